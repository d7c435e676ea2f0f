"""What is printed on terminals of every kind, in pipes, and for data whose names are hostile."""

from __future__ import annotations

import io
import re
import sys

import pytest

from assay.cli.main import run_command
from assay.cli.terminal.printable import printable
from assay.cli.terminal.standard_streams import TolerantStream

HOSTILE = "\x1b[2J\x1b]0;title\x07\u202egnp\u2066\r\x9b31m"
"""Clears the screen, sets the title of the window, turns the direction of text around, and goes to the line's start."""

EVIL = f"""
import assay, numpy as np
HOSTILE = {HOSTILE!r}
def build():
    def answer(x):
        p = 1 / (1 + np.exp(-np.asarray(x, dtype=float)[:, 0]))
        return np.stack([1 - p, p], axis=1)
    return assay.wrap(answer, output='probabilities', classes=['no' + HOSTILE, 'yes' + HOSTILE])
def net():
    import torch
    layer = torch.nn.Linear(2, 2)
    return assay.wrap(layer.eval(), classes=['no' + HOSTILE, 'yes' + HOSTILE])
def fit(x, y, seed, strength):
    from sklearn.linear_model import LogisticRegression
    return LogisticRegression(C=1 / (1 + strength)).fit(x, y)
def table():
    import pandas as pd
    frame = pd.read_csv('evil.csv')
    return frame[['a' + HOSTILE, 'b' + HOSTILE]], frame['y' + HOSTILE]
def fitted():
    return fit(*table(), 0, 0.0)
def recipe():
    return assay.Recipe(fit, *table(), regularises=True)
"""
DATA = ["--data", "evil.csv", "--target", f"y{HOSTILE}", "--ids", f"id{HOSTILE}"]
AUDIT = ["audit", "evil.py:build", *DATA, "--train", "evil.csv", "--sensitive", f"a{HOSTILE}", "--profile", "quick"]
ONE = ["--rows", "3", "--of", "occlusion"]
COMMANDS = {
    "audit": [*AUDIT, "--methods", "occlusion", "--title", f"title{HOSTILE}"],
    "dry run": [*AUDIT, "--dry-run"],
    "explain": ["explain", "evil.py:build", "occlusion", *DATA],
    "evaluate": ["evaluate", "evil.py:build", "deletion", *DATA, *ONE],
    "attack": ["attack", "evil.py:net", "pgd", *DATA, "--rows", "3", "--ball", "linf:0.1"],
    "repair": [
        "repair",
        "evil.py:fitted",
        "refit",
        *DATA,
        "--recipe",
        "evil.py:recipe",
        "--option",
        f"without=a{HOSTILE}",
    ],
    "compare models": ["compare", "evil.py:build", "evil.py:fitted", *DATA, "--profile", "quick", "--select", "EXP"],
    "certify": ["certify", "evil.py:build", "mus", *DATA, *ONE],
    "diagnose": ["diagnose", "evil.py:build", "data", *DATA, "--train", "evil.csv"],
    "init": ["init", "evil.csv"],
    "show": ["show", "DAT", "--run", "audit"],
    "show saved": ["show", "audit/run.assay"],
    "report md": ["report", "audit", "--format", "md"],
    "report junit": ["report", "audit", "--format", "junit"],
    "report html": ["report", "audit", "--format", "html"],
    "report json": ["report", "audit", "--format", "json"],
    "gate": ["gate", "audit", "--require", f"x{HOSTILE}"],
    "compare": ["compare", "audit", "audit"],
    "error of a column": ["explain", "evil.py:build", "occlusion", "--data", "evil.csv", "--target", HOSTILE],
    "error of a file": ["inspect", HOSTILE],
    "error of an option": [f"--{HOSTILE}"],
    "error of a method": ["explain", "evil.py:build", HOSTILE, *DATA],
    "error of a class": ["explain", "evil.py:build", "occlusion", *DATA, "--label", HOSTILE],
    "error of a check": ["show", HOSTILE],
    "error of a choice": ["choose", "--goal", HOSTILE],
    "choose": ["choose", "--goal", "act", "--data", HOSTILE],
}
"""A call of each command that prints text of the data or of the command line."""


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(scope="module")
def evil_folder(tmp_path_factory):
    """A project whose columns, classes, ids and model have hostile names, and a finished audit of it."""
    folder = tmp_path_factory.mktemp("evil")
    (folder / "evil.py").write_text(EVIL)
    cells = ["".join(('"', name, HOSTILE, '"')) for name in ("a", "b", "id", "y")]
    rows = [f'{i % 7 - 3},{i % 3},"{i}{HOSTILE}","{("no", "yes")[i % 2]}{HOSTILE}"' for i in range(40)]
    (folder / "evil.csv").write_bytes(("\n".join([",".join(cells), *rows]) + "\n").encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command([*COMMANDS["audit"], "-q"]) in (0, 1)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_text_does_not_steer_the_terminal(evil_folder, monkeypatch, capsys, command):
    monkeypatch.chdir(evil_folder)
    monkeypatch.setenv("TERM", "dumb")
    if command in ("report junit", "report html"):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    (evil_folder / "assay.toml").unlink(missing_ok=True)
    code = run_command(COMMANDS[command])
    assert code in ((2, 4) if command.startswith("error") else (0, 1, 3)), capsys.readouterr().err
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert code != 70, printed.err
    assert text.strip()
    assert [ascii(c) for c in set(text) - {"\n", "\t", "\xa0", "\u202f"} if not c.isprintable()] == []


@pytest.mark.parametrize("command", ["audit", "explain", "show", "list", "checks", "axioms", "choose"])
@pytest.mark.parametrize(("term", "columns"), [("dumb", 40), ("xterm", 40), ("xterm", 10)])
def test_a_narrow_or_dumb_terminal_gets_text_without_escapes(evil_folder, monkeypatch, command, term, columns):
    words = COMMANDS | {"list": ["list", "attack"], "checks": ["list", "--checks"], "axioms": ["axioms"]}
    monkeypatch.chdir(evil_folder)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert run_command(words[command]) in (0, 1)
    text = sys.stdout.getvalue()
    assert text.strip()
    assert re.findall(r"\x1b\[[0-9;]*[^0-9;m]|\x1b[^\[]|\r", text) == []
    if term == "dumb":
        assert "\x1b" not in text


def test_a_terminal_gets_a_table_with_headings(assay, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    run_command(["list", "attack"])
    assert sys.stdout.getvalue().split()[:3] == ["method", "needs", "meaning"]


@pytest.mark.parametrize("kind", ["methods", "explain", "repair", "checks", "profiles", "formats", "adapters"])
def test_a_pipe_gets_one_line_an_entry(assay, monkeypatch, kind):
    import json

    monkeypatch.setenv("COLUMNS", "40")
    lines = assay(f"list {kind}").out.splitlines()
    entries = json.loads(assay(f"list {kind} --json").out)
    assert len(lines) == len(entries)
    assert len({line.count("\t") for line in lines}) == 1
    first = entries[0].get("code") or entries[0].get("name") or next(iter(entries[0].values()))
    assert lines[0].split("\t")[0].removeprefix("explain.").removeprefix("repair.") == first


def test_the_plan_of_an_audit_has_one_line_a_step_in_a_pipe(assay, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = assay("audit mine.py:build --data plain.csv --target y --profile quick --dry-run").out.splitlines()
    steps = [line.split("\t") for line in lines if "\t" in line]
    assert steps[1][0].startswith("explain.")
    assert {len(step) for step in steps} == {3}


def test_what_is_printable_stays():
    assert printable("Größe 10 µm → 日本") == "Größe 10 µm → 日本"
    assert printable("1\xa0000\u202f%") == "1 000 %"
    assert printable("a\x1b\n\u202e") == "a\\x1b\\n\\u202e"


class Closed(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text):
        raise BrokenPipeError

    flush = write


def test_a_stream_without_a_reader_drops_what_is_written(monkeypatch):
    stream = TolerantStream(Closed())
    dropped = []
    monkeypatch.setattr(stream, "_discard", lambda: dropped.append(True))
    assert stream.write("text") == 4
    stream.writelines(["a", "b"])
    assert len(dropped) == 3
