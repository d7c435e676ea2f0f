"""Every command ends with the exit codes that are documented for it, and with no other."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.test_docs import generator

from assay.auditing import gate
from assay.cli import exit_codes, main
from assay.cli.exit_codes import COMMAND_CODES, DETAILS, EXIT_CODES

PLAIN = "--data plain.csv --target y"
LOSS = f"{PLAIN} --ask loss --background plain.csv"
NUMERICAL = "numerical error: "
"""Begins the words of a command whose model raises a numerical error."""

JUDGING = ("gate", "compare", "audit", "diagnose", "doctor", "redteam")
"""Commands that print on standard output why they end with another code than 0."""

LEAK = f"{PLAIN} --train plain.csv --profile quick -q --methods occlusion --select DAT"
CASES = {
    "audit": {
        0: f"audit mine.py:build {PLAIN} --profile quick -q --methods occlusion --select EXP202",
        1: f"audit mine.py:build {LEAK}",
        2: "audit mine.py:build --data absent.csv",
        3: f"audit mine.py:build {PLAIN} --profile quick -q --methods occlusion --select EXP202 --require FAI",
        4: "audit harm.pkl --data plain.csv",
        5: f"audit mine.py:build {PLAIN} --select ZZZ -q",
    },
    "explain": {
        0: f"explain mine.py:build occlusion {PLAIN} --rows 2",
        2: f"explain mine.py:build aggregate {PLAIN} --rows 2",
        3: f"explain mine.py:memorising permutation_importance {LOSS}",
        4: f"explain mine.py:memorising saliency {PLAIN}",
    },
    "evaluate": {
        0: f"evaluate mine.py:build deletion {PLAIN} --rows 2 --of occlusion",
        2: f"evaluate mine.py:build deletion {PLAIN} --rows 2",
        3: f"evaluate mine.py:memorising deletion {LOSS} --of permutation_importance",
        4: f"evaluate mine.py:memorising parameter_randomisation {PLAIN} --rows 2 --of occlusion",
    },
    "attack": {
        0: f"attack mine.py:net pgd {PLAIN} --rows 2 --ball linf:0.1",
        2: f"attack mine.py:net pgd {PLAIN} --rows 2 --ball wide",
        3: f"{NUMERICAL}attack mine.py:net pgd {PLAIN} --rows 2 --ball linf:0.1",
        4: f"attack mine.py:memorising pgd {PLAIN} --rows 2 --ball linf:0.1",
    },
    "certify": {
        0: f"certify mine.py:build mus {PLAIN} --rows 2 --of occlusion",
        2: f"certify mine.py:build mus {PLAIN} --rows 2",
        3: f"certify mine.py:memorising mus {LOSS} --of permutation_importance",
        4: "certify harm.pkl mus --data plain.csv --of occlusion",
    },
    "diagnose": {
        0: f"diagnose mine.py:build performance {PLAIN}",
        1: f"diagnose mine.py:build data {PLAIN} --train plain.csv",
        2: f"diagnose mine.py:build data {PLAIN}",
        3: f"{NUMERICAL}diagnose mine.py:build performance {PLAIN}",
        4: "diagnose harm.pkl performance --data plain.csv --target y",
    },
    "redteam": {
        0: "redteam mine.py:robust --probe unplanted -q",
        1: "redteam mine.py:obedient --probe direct_injection -q",
        2: "redteam mine.py:robust --probe nothing",
        3: "redteam http://127.0.0.1:9/v1 --named none --probe unplanted -q",
        4: "redteam harm.pkl",
    },
    "repair": {
        0: f"repair mine.py:build refit {PLAIN} --recipe mine.py:recipe --option strength=1",
        2: f"repair mine.py:build refit {PLAIN}",
        3: f"{NUMERICAL}repair mine.py:build refit {PLAIN} --recipe mine.py:recipe",
        4: f"repair harm.pkl refit {PLAIN} --recipe mine.py:recipe",
    },
    "report": {0: "report audit --format json", 2: "report nowhere --format json", 4: "report torn --format json"},
    "show": {0: "show DAT101 --run audit", 2: "show nothing", 4: "show DAT101 --run torn"},
    "choose": {0: "choose --goal act", 2: "choose --goal fun"},
    "axioms": {0: "axioms --method lime", 2: "axioms --method nothing"},
    "benchmark": {0: "benchmark --quick --only table-logistic --method constant", 2: "benchmark --only nothing"},
    "experiment": {
        0: f"experiment mus mine.py:build {PLAIN} --rows 2 --dry-run",
        2: "experiment nothing",
    },
    "simulatability": {
        0: f"simulatability mine.py:build {PLAIN} --method occlusion --taught 20 --seeds 2",
        2: f"simulatability mine.py:build {PLAIN}",
        3: f"{NUMERICAL}simulatability mine.py:build {PLAIN} --method occlusion",
        4: "simulatability harm.pkl --data plain.csv --method occlusion",
    },
    "study": {
        0: f"study mine.py:build {PLAIN} --of occlusion --tests 4 --teaching 2",
        2: "study",
        3: f"{NUMERICAL}study mine.py:build {PLAIN} --of occlusion --tests 4 --teaching 2",
        4: "study harm.pkl --data plain.csv --target y --of occlusion",
    },
    "list": {0: "list checks", 2: "list nothing"},
    "compare": {
        0: "compare audit audit",
        1: "compare clean audit",
        2: "compare nowhere audit",
        3: f"{NUMERICAL}compare mine.py:build mine.py:build {PLAIN}",
        4: "compare audit torn",
        5: f"compare mine.py:build mine.py:build {PLAIN} --select ZZZ -q",
    },
    "gate": {
        0: "gate audit --fail-on never",
        1: "gate audit",
        2: "gate nowhere",
        3: "gate audit --require FAI",
        4: "gate torn",
        5: "gate audit --ignore DAT",
    },
    "inspect": {0: "inspect harm.pkl", 2: "inspect absent.skops"},
    "doctor": {0: "doctor", 2: "doctor --format fun", 3: "doctor --store mine.py/store"},
    "init": {0: "init plain.csv --target y", 2: "init absent.csv", 4: "init torn.parquet --out other.toml"},
    "schema": {0: "schema config", 2: "schema nothing"},
    "demo": {0: "demo credit -q", 2: "demo nothing", 4: "demo image -q"},
}


class Example:
    """A demonstration of a tiny model."""

    def __init__(self, prepared):
        self.prepared = prepared

    def run(self, *, out, store, reproduce, progress):
        run = self.prepared.run(store=store, progress=progress)
        run.save(out)
        return run


def example(which, profile, seed):
    import numpy as np

    import assay as package
    from assay.auditing.audit import prepare
    from assay.basics.errors import MissingExtra

    if which == "image":
        raise MissingExtra("the demo needs a package: pip install 'assay[demo]'")
    model = package.wrap(lambda x: x[:, :1], output="values")
    return Example(prepare(model, np.arange(20.0).reshape(10, 2), profile="quick", select=["EXP202"]))


@pytest.fixture
def files(assay, project):
    """Files that are damaged or harmful."""
    (project / "harm.pkl").write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    (project / "torn.parquet").write_bytes(b"PAR1junk")
    return project


def audits(assay, project):
    """Audits that failed, passed and are damaged."""
    assay(f"audit mine.py:build {LEAK} --out audit")
    assay(
        f"audit mine.py:build {PLAIN} --train noisy.csv --profile quick -q --methods occlusion "
        "--select DAT101,DAT103 --out clean"
    )
    (project / "torn").mkdir()
    (project / "torn" / "run.assay").write_bytes((project / "audit" / "run.assay").read_bytes()[:200])


@pytest.mark.parametrize("command", CASES)
def test_each_command_ends_with_its_documented_exit_codes(assay, files, monkeypatch, command):
    monkeypatch.setattr("assay.cli.commands.demo.prepare_demo", example)
    if command in ("report", "show", "compare", "gate"):
        audits(assay, files)
    ended = {}
    for code, words in CASES[command].items():
        with monkeypatch.context() as patch:
            if words.startswith(NUMERICAL):
                patch.setattr("assay.model.files.load.load_model", failing)
            done = assay(words.removeprefix(NUMERICAL))
        ended[code] = done.code if done.code == code else (done.code, done.err or done.out)
        assert done.code == 0 or done.err or command in JUDGING
        assert "E070" not in done.err
    assert ended == {code: code for code in COMMAND_CODES[command]}


def failing(*given, **options):
    from assay.basics.errors import NumericalError

    raise NumericalError("the probability is 2; it lies between 0 and 1. Check the model.")


def test_every_command_has_documented_exit_codes():
    assert set(COMMAND_CODES) == set(main.COMMANDS) == set(CASES)
    assert set(DETAILS) == set(EXIT_CODES)


def test_the_gate_has_the_same_codes():
    assert (gate.OK, gate.FINDINGS, gate.INCOMPLETE, gate.NOTHING) == (
        exit_codes.PASSED,
        exit_codes.FINDINGS,
        exit_codes.INCOMPLETE,
        exit_codes.NOTHING,
    )


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("a fault of assay"), 70)])
@pytest.mark.parametrize("command", main.COMMANDS)
def test_an_interruption_and_an_internal_error_have_their_codes(assay, project, monkeypatch, command, error, code):
    def app(*given, **options):
        raise error

    monkeypatch.setattr(main, "app", app)
    done = assay([command])
    assert done.code == code
    assert "a fault of assay" not in done.err


def test_the_reference_shows_the_codes_of_every_command():
    ((_, page),) = generator().command_line()
    for command, codes in COMMAND_CODES.items():
        cells = [cell.strip() for cell in page.partition(f"| `assay {command}` |")[2].partition("\n")[0].split("|")]
        shown = [code for code, cell in zip((0, 1, 2, 3, 4, 5), cells) if cell]
        assert shown == list(codes)


@pytest.mark.parametrize(("words", "code"), [("list", 0), (f"audit mine.py:build {LEAK}", 1)])
def test_a_closed_pipe_changes_no_exit_code(project, words, code):
    line = f'"{sys.executable}" -m assay {words} | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr
