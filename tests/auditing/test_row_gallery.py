"""Which rows are shown: typical, borderline, misclassified, unstable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.contract.subjects import plain

import assay
from assay import explain
from assay.auditing.row_gallery import SHOWN, galleries
from assay.cases.case import Case
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.records.record import Gallery

CHANCES = np.array([0.95, 0.9, 0.52, 0.48, 0.1, 0.8, 0.99, 0.3])
TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0])


def eight_rows(gives: str | OutputKind = "probabilities") -> Case:
    """Eight rows whose chance of class yes is written in their only column."""
    model = assay.model.function(
        lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1),
        gives=gives,
        classes=("no", "yes"),
        name="first_column",
    )
    return assay.case(model, np.stack([CHANCES, np.arange(8.0)], axis=1))


def by_name(truth: np.ndarray | None = TRUTH) -> dict[str, Gallery]:
    return {gallery.name: gallery for gallery in galleries(eight_rows(), truth, {}, {})}


def test_borderline_rows_are_sorted_by_margin() -> None:
    assert by_name()["borderline"].rows[:3] == (2, 3, 7)
    assert by_name()["borderline"].of == 8


def test_false_positives_and_negatives_are_separate_and_the_most_confident_come_first() -> None:
    found = by_name()
    assert found["wrong: false positives"].rows == (6, 5)
    assert "predicted yes, true class no" in found["wrong: false positives"].why
    assert found["wrong: false negatives"].rows == (3,)


def test_typical_rows_are_correct_and_near_the_median_margin() -> None:
    typical = by_name()["typical"]
    right = {0, 1, 2, 4, 7}
    assert set(typical.rows) == right
    leads = np.abs(2 * CHANCES - 1)
    middle = np.median(leads[sorted(right)])
    assert list(typical.rows) == sorted(right, key=lambda row: abs(leads[row] - middle))


def test_without_the_truth_nothing_is_called_wrong() -> None:
    assert set(by_name(None)) == {"typical", "borderline"}
    assert by_name(None)["typical"].of == 8


def test_no_gallery_shows_more_than_a_handful() -> None:
    assert all(len(gallery.rows) <= SHOWN for gallery in by_name().values())


def test_a_decision_threshold_decides_which_rows_are_wrong_and_which_are_near() -> None:
    kind = OutputKind("probabilities").with_threshold(0.25)
    found = {gallery.name: gallery for gallery in galleries(eight_rows(kind), TRUTH, {}, {})}
    assert found["borderline"].rows[:3] == (7, 4, 3)
    assert found["wrong: false positives"].rows == (6, 5, 7)
    assert "wrong: false negatives" not in found


def test_scores_that_are_no_log_odds_have_galleries_too() -> None:
    kind = OutputKind("margin", link="none")
    found = {gallery.name: gallery for gallery in galleries(eight_rows(kind), TRUTH, {}, {})}
    assert found["borderline"].rows[:3] == (2, 3, 7)
    assert "two highest scores" in found["borderline"].why
    assert found["wrong: false positives"].rows == (6, 5)


def test_the_least_stable_rows_are_those_on_which_methods_disagree() -> None:
    case = plain()
    one = explain.shapley(case)
    other = replace(one, values=np.array([one.values[0], one.values[1], -one.values[2]]))
    (gallery,) = galleries(case, None, {"one": one, "other": other}, {})
    assert gallery.name == "least stable"
    assert gallery.rows[0] == 2


@pytest.mark.parametrize("classes", [3])
def test_with_more_classes_the_wrong_stand_together(classes: int) -> None:
    scores = np.eye(classes)[[0, 1, 2, 0]] * 0.7 + 0.1
    model = assay.model.function(lambda x: x, gives="probabilities", classes=("a", "b", "c"), name="three")
    found = galleries(assay.case(model, scores), np.array([0, 1, 0, 2]), {}, {})
    assert {g.name: g.rows for g in found if g.name.startswith("wrong")} == {"wrong": (2, 3)}
