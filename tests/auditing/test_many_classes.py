"""What grows with the number of classes is bounded, and the page says what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier

import assay
from assay.auditing.planning.profile_sizes import MANY_CLASSES, reduce_for_many_classes
from assay.auditing.planning.profiles import all_profiles
from assay.auditing.run import Run
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.engine.performance import metrics
from assay.engine.performance.labelled_outputs import LabelledOutputs
from assay.engine.performance.metrics import MAX_LISTED, brier, class_metrics
from assay.engine.retraining.split_statistics import MAX_TREE_CLASSES, SplitData, predict_from_column
from assay.engine.trees.tree_case import linear_readout
from assay.model.model import MAX_INPUT_BYTES
from assay.nouns.inputs.output_kind import OutputKind
from assay.report.audit.page import render

CLASSES, ROWS = 1000, 200


def outputs(rows: int, classes: int, seed: int = 0) -> LabelledOutputs:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    scores = generator.normal(size=(rows, classes)).round(1)  # with ties
    scores[np.arange(rows), labels] += 1.0
    names = tuple(f"c{i}" for i in range(classes))
    return LabelledOutputs(scores, labels, OutputKind.of("logits"), names, labels)


@pytest.fixture(scope="module")
def run() -> Run:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(4, CLASSES))

    def predict(x: Floats) -> Floats:
        assert len(x) * CLASSES * 8 <= MAX_INPUT_BYTES
        return np.asarray(x @ weights)

    model = assay.model.function(predict, gives="logits", classes=[f"c{i}" for i in range(CLASSES)])
    x = generator.normal(size=(2 * ROWS, 4))
    y = [f"c{i}" for i in predict(x).argmax(axis=1)]
    few: dict[str, Any] = {"methods": ["shapley"], "scores": ["deletion"], "profile": "quick"}
    return assay.audit(model, x[ROWS:], y[ROWS:], train=(x[:ROWS], y[:ROWS]), **few)


def test_the_page_and_the_results_of_a_thousand_classes_are_small(run: Run) -> None:
    assert len(render(run.record).encode()) <= 300_000
    evidence = run["PER101"].evidence
    assert len(evidence["by class"]) == MAX_LISTED
    assert "confusion matrix" not in evidence


def test_the_page_says_how_many_classes_are_not_listed_and_how_many_rows_are_explained(run: Run) -> None:
    page = render(run.record)
    assert f"{CLASSES - MAX_LISTED} classes with fewer rows are not listed" in page
    limit = next(text for text in run.record.limits if text.startswith("1,000 classes"))
    explained = len(next(iter(run.record.explanations.values())).ids)
    assert limit.startswith(f"1,000 classes: {explained} rows are explained against ")
    assert limit in page


@pytest.mark.parametrize("classes", [1000, 5000, 100_000])
@pytest.mark.parametrize(("kind", "depth"), [key for key in all_profiles() if key[0] == "table"])
def test_the_numbers_computed_for_an_explanation_do_not_grow_with_the_classes(
    kind: str, depth: str, classes: int
) -> None:
    whole = all_profiles()[kind, depth]
    reduced, texts = reduce_for_many_classes(whole, classes)
    floor = 12 * 4 * classes
    most = whole.rows * whole.background * MANY_CLASSES
    assert reduced.rows * reduced.background * classes <= max(1.15 * most, floor)
    assert texts
    assert reduce_for_many_classes(whole, MANY_CLASSES) == (whole, ())


def test_the_classes_of_the_most_rows_are_listed() -> None:
    found = outputs(400, 300)
    listed = class_metrics(found, 0.95)
    counts = np.bincount(found.labels, minlength=300)
    assert len(listed) == MAX_LISTED
    assert min(line["rows"] for line in listed.values()) >= np.sort(counts)[-MAX_LISTED]


def test_the_mean_average_precision_of_many_classes_is_scikit_learns() -> None:
    found = outputs(60, 40)
    ours = metrics._average_precision(found, 0.95, Seed(0))
    present = np.unique(found.labels)
    assert len(present) > 60 / metrics.SORTS
    expected = [sk.average_precision_score(found.labels == one, found.scores[:, one]) for one in present]
    assert_allclose(ours.value, np.mean(expected))


def test_ranking_classes_together_gives_the_draws_of_ranking_them_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outputs(50, 8)
    together = metrics._average_precision(found, 0.95, Seed(0))
    monkeypatch.setattr(metrics, "SORTS", 1)
    alone = metrics._average_precision(found, 0.95, Seed(0))
    assert_allclose([together.value, *_ends(together)], [alone.value, *_ends(alone)])


def _ends(metric: metrics.Metric) -> tuple[float, float]:
    return metric.interval.low, metric.interval.high


def test_fewer_samples_are_drawn_of_many_rows_and_the_interval_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_RANKED", 300 * 50 * 8)
    monkeypatch.setattr(metrics, "SORTS", 1)
    found = metrics._average_precision(outputs(50, 8), 0.95, Seed(0))
    assert found.interval.method == "bootstrap percentiles of 300 draws"


def test_the_brier_score_is_the_squared_distance_from_the_one_hot_label() -> None:
    found = outputs(30, 7)
    assert found.probabilities is not None
    slow = ((found.probabilities - np.eye(7)[found.labels]) ** 2).sum(axis=1)
    assert_allclose(brier(found.probabilities, found.labels), slow)


@pytest.mark.parametrize("is_coded", [True, False])
def test_a_rule_of_one_column_finds_many_classes_without_a_tree(is_coded: bool) -> None:
    classes = 3 * MAX_TREE_CLASSES
    labels = np.repeat(np.arange(classes), 4)
    column = labels.astype(np.float64)[:, None]
    split = SplitData(column, column, np.array([is_coded]), ("a",), ("0",), "model", Seed(0))
    assert (predict_from_column(split, 0, labels, labels) == labels).mean() > 0.95


def test_a_rule_gives_a_level_its_class_of_the_largest_weight() -> None:
    levels, labels = np.array([0.0, 0.0, 0.0, 1.0])[:, None], np.array([0, 0, 1, 0])
    held_out = np.array([0.0, 1.0, 2.0])[:, None]
    split = SplitData(held_out, levels, np.array([True]), ("a",), ("0",), "model", Seed(0))
    # class 0 has three rows of weight 1/3, class 1 one of weight 1: level 0 has 2/3 against 1
    assert predict_from_column(split, 0, labels, np.array([0, 0, 1])).tolist() == [1, 0, -1]


def test_weights_of_tree_outputs_are_read_off_for_any_class_without_solving(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(300, 3)), np.arange(300) % 150
    model = assay.wrap(RandomForestClassifier(2, max_depth=3, random_state=0).fit(x, y))
    case = assay.case(model, x[:5], target="probability", label="predicted")

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a system of equations is solved")

    monkeypatch.setattr(np.linalg, "lstsq", refuse)
    assert case.model.forest is not None
    found = linear_readout(case, case.model.forest())
    assert found is not None
    assert_allclose(found[0], np.eye(150)[case.label], atol=1e-9)
    assert_allclose(found[1], 0.0, atol=1e-9)
