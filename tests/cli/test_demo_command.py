"""assay demo: a demonstration that is stopped resumes, and ends with the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from assay.demos import credit

WITHOUT_TIMES = {"times": {}}


def small_fit(x, y, seed, strength):
    """A model of two columns of the demonstration that is trained at once."""
    numbers = ColumnTransformer([("numbers", StandardScaler(), ["duration", "age"])])
    return Pipeline([("encode", numbers), ("fit", LogisticRegression(C=10**-strength))]).fit(x, y)


class Stop:
    """Progress that interrupts the audit at a step."""

    def __init__(self, step):
        self.step, self.count = step, 0

    def __call__(self, event, text, share):
        self.count += event == "step"
        if self.count == self.step:
            raise KeyboardInterrupt


@pytest.fixture
def demo(monkeypatch):
    """The credit demonstration with a small model, few checks and no reasons."""
    monkeypatch.setattr(credit, "fit", small_fit)
    monkeypatch.setattr(credit, "refusal_reasons", lambda *given: ())
    prepare = credit.prepare

    def smaller(*given, **options):
        return prepare(*given, **options, methods=["occlusion"], select=["EXP2", "DAT"])

    monkeypatch.setattr(credit, "prepare", smaller)


def result(folder):
    return json.loads((Path(folder) / "result.json").read_text()) | WITHOUT_TIMES


def test_a_demonstration_that_is_stopped_resumes_with_the_same_result(assay, demo, monkeypatch):
    import assay.cli.terminal.progress as progress

    whole = assay("demo credit -q --out whole --store store-of-whole")
    assert whole.code == 0, whole.err
    real = progress.meter_progress

    class Interrupted(progress.ProgressLine):
        def __call__(self, event, text, share):
            stop(event, text, share)

    for step in (1, 7):
        stop = Stop(step)
        monkeypatch.setattr(progress, "meter_progress", lambda meter, label, cost=None, quiet=False: Interrupted())
        stopped = assay("demo credit --out again --store store")
        assert stopped.code == 130
        assert "continue with:  assay demo credit --out again --store store" in stopped.err
        assert not Path("again").exists()
    monkeypatch.setattr(progress, "meter_progress", real)
    assert any(Path("store").rglob("*.assay"))
    assert assay("demo credit -q --out again --store store").code == 0
    assert result("again") == result("whole")
    made = [json.loads(Path(f"{name}/result.json").read_text())["times"] for name in ("whole", "again")]
    whole_count, again_count = (int(times["model evaluations now"].replace(",", "")) for times in made)
    assert again_count < whole_count


def test_an_unknown_demonstration_or_profile_is_a_usage_error(assay):
    assert assay("demo nothing").code == 2
    assert assay("demo credit --profile shallow").code == 2
