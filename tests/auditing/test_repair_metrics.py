"""A repair states what it costs: metrics of the model before and after on the same rows, paired."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import assay
from assay.basics.stats import Interval
from assay.engine.performance.labelled_outputs import LabelledOutputs
from assay.engine.performance.metric_changes import metric_changes
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.records.record import MetricChange

ROWS = 400


def classifier(seed: int, strength: float, classes: int) -> tuple[LabelledOutputs, np.ndarray]:
    """Probabilities of a classifier that knows the labels with some strength."""
    labels = np.random.default_rng(0).choice(classes, ROWS, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    scores = np.random.default_rng(seed).normal(size=(ROWS, classes)) + strength * np.eye(classes)[labels]
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    names = tuple(f"c{i}" for i in range(classes))
    return LabelledOutputs(chances, labels, OutputKind("probabilities"), names, labels), labels


def regression(seed: int, noise: float) -> tuple[LabelledOutputs, np.ndarray]:
    labels = np.random.default_rng(0).normal(size=ROWS)
    values = labels + noise * np.random.default_rng(seed).normal(size=ROWS)
    return LabelledOutputs(values[:, None], labels, OutputKind("values"), (), labels), labels


@pytest.mark.parametrize("classes", [2, 3])
def test_the_metrics_of_both_classifiers_are_those_of_scikit_learn(classes: int) -> None:
    (one, labels), (other, _) = classifier(1, 2.0, classes), classifier(2, 1.0, classes)
    found = {change.name: change for change in metric_changes(one, other)}
    for side, model in (("before", one), ("after", other)):
        chances, decided = model.outputs, model.outputs.argmax(axis=1)
        expected = {
            "accuracy": reference.accuracy_score(labels, decided),
            "balanced accuracy": reference.balanced_accuracy_score(labels, decided),
            "log loss": reference.log_loss(labels, chances),
            "AUC": reference.roc_auc_score(
                labels, chances[:, 1] if classes == 2 else chances, multi_class="ovr", average="macro"
            ),
            **{
                f"recall of c{place}": value
                for place, value in enumerate(reference.recall_score(labels, decided, average=None))
            },
        }
        assert {name: getattr(change, side) for name, change in found.items()} == pytest.approx(expected)
    assert found["AUC"].is_worse
    assert found["log loss"].is_worse  # it rises, and lower is better


def test_the_metrics_of_both_regressions_are_those_of_scikit_learn() -> None:
    (one, labels), (other, _) = regression(1, 0.5), regression(2, 0.9)
    found = {change.name: change for change in metric_changes(one, other)}
    for side, model in (("before", one), ("after", other)):
        values = model.outputs[:, 0]
        expected = {
            "R²": reference.r2_score(labels, values),
            "RMSE": reference.mean_squared_error(labels, values) ** 0.5,
            "MAE": reference.mean_absolute_error(labels, values),
        }
        assert {name: getattr(change, side) for name, change in found.items()} == pytest.approx(expected)
    assert all(change.is_worse for change in found.values())


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_the_intervals_are_as_wide_as_those_of_a_paired_bootstrap(kind: str) -> None:
    sides = [classifier(s, 1.5, 2)[0] if kind == "classes" else regression(s, 0.5 + 0.1 * s)[0] for s in (1, 2)]
    drawn: dict[str, list[float]] = {}
    generator = np.random.default_rng(3)
    for _ in range(300):
        rows = generator.integers(ROWS, size=ROWS)
        again = [LabelledOutputs(s.outputs[rows], s.labels[rows], s.kind, s.classes, s.reference) for s in sides]
        for change in metric_changes(again[0], again[1]):
            drawn.setdefault(change.name, []).append(change.after - change.before)
    for change in metric_changes(sides[0], sides[1]):
        spread = 2 * 1.96 * np.std(drawn[change.name])
        assert change.interval.high - change.interval.low == pytest.approx(spread, rel=0.2), change.name
        assert change.interval.low < change.after - change.before < change.interval.high


def test_a_model_that_stays_is_not_worse_and_one_row_does_not_prove_it() -> None:
    same = metric_changes(classifier(1, 2.0, 2)[0], classifier(1, 2.0, 2)[0])
    assert all(change.before == change.after and not change.is_worse for change in same)
    accuracy = next(change for change in same if change.name == "accuracy")
    assert accuracy.interval.low < 0 < accuracy.interval.high


@pytest.mark.parametrize(("better", "low", "high", "worse"), [
    ("higher", -0.2, -0.1, True), ("higher", 0.1, 0.2, False), ("higher", -0.1, 0.1, False),
    ("lower", 0.1, 0.2, True), ("lower", -0.2, -0.1, False), ("higher", float("nan"), float("nan"), False),
])  # fmt: skip
def test_only_an_interval_without_0_on_the_bad_side_shows_a_price(
    better: str, low: float, high: float, worse: bool
) -> None:
    assert MetricChange("metric", 0.5, 0.5, Interval(low, high, 0.95, ""), better).is_worse is worse


def test_an_audit_stores_the_paired_metrics_of_each_repair(tmp_path) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 4))
    y = (x[:, 0] + generator.normal(size=500) > 0).astype(int)

    def fit(rows, labels, seed, strength):
        return (LogisticRegression() if strength else DecisionTreeClassifier(random_state=0)).fit(rows, labels)

    recipe = assay.Recipe(fit, x[:250], y[:250], regularises=True)
    tree = DecisionTreeClassifier(random_state=0).fit(x[:250], y[:250])
    run = assay.audit(
        tree, x[250:], y[250:], train=(x[:250], y[:250]), recipe=recipe, profile="quick", methods=["occlusion"],
        select=("PRV", "PER"), out=tmp_path,
    )  # fmt: skip
    (repaired,) = run.record.repairs
    found = {change.name: change for change in repaired.metrics}
    assert found["accuracy"].before == pytest.approx(tree.score(x[250:], y[250:]))
    assert found["accuracy"].after == pytest.approx(LogisticRegression().fit(x[:250], y[:250]).score(x[250:], y[250:]))
    assert {"balanced accuracy", "AUC", "recall of 0", "recall of 1"} <= set(found)
    (loaded,) = assay.Run.load(tmp_path).record.repairs
    assert repr(loaded.metrics) == repr(repaired.metrics)  # the log loss of a tree is infinite, its interval NaN
    (written,) = json.loads(run.to_json())["repairs"]
    assert [line["name"] for line in written["metrics"]] == [change.name for change in repaired.metrics]
