"""The line of progress: what it says, where and how often it is written; it changes no result."""

from __future__ import annotations

import io
import json

import pytest

from assay.cli.terminal.progress import ProgressLine, meter_progress
from assay.model.model import Meter
from assay.nouns.catalogue import Cost


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Screen(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return Screen(True)


def written(stream, *, seconds, done=lambda: 0, clock=None, **settings):
    """What a command of so many seconds writes, if it is looked at ten times a second."""
    clock = clock or Clock()
    line = ProgressLine(done, stream=stream, clock=clock, **settings)
    for tick in range(1, 10 * seconds + 1):
        clock.now = tick / 10
        line.update()
    line._clear()
    return stream.getvalue()


def test_a_command_of_less_than_two_seconds_writes_nothing(screen):
    assert written(screen, seconds=1) == ""


def test_the_line_has_share_rate_and_time_left():
    clock = Clock()
    line = ProgressLine(lambda: 3000, planned=12000, label="explain.shapley", clock=clock, stream=Screen(False))
    assert line.line(10.0) == " 25%  300 evaluations/s  10 s, about 30 s left  explain.shapley"


def test_an_audit_sets_the_share_itself():
    line = ProgressLine(lambda: 50, clock=Clock(), stream=Screen(False))
    line("step", "evaluate.deletion of lime", 0.8)
    assert line.line(400.0) == " 80%  0.12 evaluations/s  7 min, about 100 s left  evaluate.deletion of lime"


def test_without_a_planned_cost_there_is_no_share_and_no_time_left():
    assert ProgressLine(lambda: 40, clock=Clock(), stream=Screen(False)).line(4.0) == "10 evaluations/s  4 s"


def test_more_than_planned_is_no_share():
    assert "%" not in ProgressLine(lambda: 40, planned=30, clock=Clock(), stream=Screen(False)).line(4.0)


def test_elsewhere_there_is_a_line_each_ten_seconds_at_most():
    lines = written(Screen(False), seconds=35, label="x").splitlines()
    assert [line.split()[0] for line in lines] == ["2", "12", "22", "32"]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_lines(screen, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    text = written(screen, seconds=13)
    assert "\r" not in text
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_terminal_gets_one_line_that_fits_and_is_erased(screen, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = written(screen, seconds=3, label="evaluate.parameter_randomisation of expected_gradients")
    assert "\n" not in text
    assert max(len(part) for part in text.split("\r")) < columns
    assert text.endswith("\r" + " " * (columns - 1) + "\r")


def test_quiet_writes_nothing(screen):
    line = ProgressLine(stream=screen, quiet=True)
    with line:
        line("plan", "many steps", 0.0)
    assert line.thread is None
    assert screen.getvalue() == ""


def test_hostile_text_in_a_step_is_escaped():
    line = ProgressLine(label="\x1b[2Jgone\n", clock=Clock(), stream=Screen(False))
    assert line.line(3.0).endswith("\\x1b[2Jgone\\n")


def test_a_closed_standard_error_ends_the_line_and_not_the_command(screen):
    screen.close()
    line = ProgressLine(stream=Screen(False), clock=Clock())
    line.stream, line.started = screen, -10.0
    line._renew()  # returns


def test_the_meter_is_counted_from_the_start():
    meter = Meter(forwards=100)
    line = meter_progress(meter, "explain.lime", Cost(60, 20))
    meter.count(30, 10)
    assert line.done() == 40
    assert line.planned == 80


def test_cached_evaluations_count_for_the_share_and_not_for_the_rate():
    line = ProgressLine(lambda: 30, lambda: 30, 120, clock=Clock(), stream=Screen(False))
    assert line.line(2.0) == " 50%  15 evaluations/s  2 s, about 2 s left"


SLOW = """
import time
import assay

def build():
    def answer(x):
        time.sleep(0.002)
        return x.to_numpy(dtype=float)[:, :1]
    return assay.wrap(answer, output='values')
"""
COMMANDS = {
    "explain": "explain slow.py:build occlusion --data plain.csv --target y --rows 4",
    "evaluate": "evaluate slow.py:build deletion --data plain.csv --target y --rows 4 --of occlusion",
    "certify": "certify mine.py:build mus --data plain.csv --target y --rows 2 --of occlusion",
    "attack": "attack mine.py:net pgd --data plain.csv --target y --rows 4 --ball linf:0.1",
    "diagnose": "diagnose mine.py:build performance --data plain.csv --target y",
    "repair": "repair mine.py:build refit --data plain.csv --target y --recipe mine.py:recipe --option strength=1",
    "audit": "audit mine.py:build --data plain.csv --target y --profile quick --select EXP",
    "compare": "compare mine.py:build mine.py:build --data plain.csv --target y --profile quick --select EXP",
    "axioms": "axioms --measure --method constant",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_long_command_reports_on_standard_error_alone(assay, project, monkeypatch, command):
    (project / "slow.py").write_text(SLOW)
    monkeypatch.setattr("assay.cli.terminal.progress.FIRST", 0.0)
    monkeypatch.setattr("assay.cli.terminal.progress.TERMINAL_EVERY", 0.0005)
    monkeypatch.setattr("assay.cli.terminal.progress.PLAIN_EVERY", 0.0)
    loud = assay(COMMANDS[command])
    assert " s  " in loud.err or "/s" in loud.err
    quiet = assay(f"{COMMANDS[command]} -q")
    assert quiet.err == ""
    assert "/s" not in loud.out
    assert loud.out == quiet.out
    assert loud.code == quiet.code


def test_progress_does_not_enter_json(assay, monkeypatch):
    monkeypatch.setattr("assay.cli.terminal.progress.FIRST", 0.0)
    json.loads(assay("explain mine.py:build occlusion --data plain.csv --target y --rows 4 --format json").out)


def test_the_time_left_is_not_guessed_from_the_first_moments() -> None:
    line = ProgressLine(lambda: 30, clock=Clock(), stream=Screen(False))
    line("step", "explain.saliency", 0.001)
    assert "left" not in line.line(2.0)
    line("step", "explain.saliency", 0.02)
    assert "about 98 s left" in line.line(2.0)
