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


def test_typical_rows_are_correct_and_near_the_median_margin_of_their_class_the_classes_in_turn() -> None:
    typical = by_name()["typical"]
    leads = np.abs(2 * CHANCES - 1)
    no, yes = ([4, 7], [0, 1, 2])  # correctly decided; of two rows both are as near to their median
    ranked = sorted(yes, key=lambda row: abs(leads[row] - np.median(leads[yes])))
    assert (set(typical.rows[::2][:2]), [typical.rows[1], *typical.rows[3:]]) == (set(no), ranked)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_typical_rows_are_of_different_classes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    classes = 2 + seed % 4
    scores = generator.dirichlet(np.ones(classes), 40)
    model = assay.model.function(lambda x: x, gives="probabilities", classes=tuple("abcde"[:classes]))
    (typical, *_) = galleries(assay.case(model, scores), None, {}, {})
    decided = scores.argmax(axis=1)
    assert len(set(decided[list(typical.rows[: len(set(decided))])])) == min(len(set(decided)), SHOWN)


def regression() -> Case:
    model = assay.model.function(lambda x: x[:, 0], gives="values", name="first_column")
    return assay.case(model, np.stack([[5.0, 1.0, 9.0, 3.0, 7.0], np.arange(5.0)], axis=1))


def test_a_regression_shows_its_typical_and_largest_errors_and_its_extreme_predictions() -> None:
    truth = np.array([5.5, 1.0, 5.0, 3.1, 9.0])  # absolute errors 0.5, 0, 4, 0.1, 2
    found = {gallery.name: gallery for gallery in galleries(regression(), truth, {}, {})}
    assert {name: gallery.rows[:2] for name, gallery in found.items()} == {
        "typical": (0, 3),
        "largest errors": (2, 4),
        "highest predictions": (2, 4),
        "lowest predictions": (1, 3),
    }
    assert set(found) - {gallery.name for gallery in galleries(regression(), None, {}, {})} == {"largest errors"}


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
    gallery = galleries(case, None, {"one": one, "other": other}, {})[-1]
    assert gallery.name == "least stable"
    assert gallery.rows[0] == 2


@pytest.mark.parametrize("classes", [3])
def test_with_more_classes_the_wrong_stand_together(classes: int) -> None:
    scores = np.eye(classes)[[0, 1, 2, 0]] * 0.7 + 0.1
    model = assay.model.function(lambda x: x, gives="probabilities", classes=("a", "b", "c"), name="three")
    found = galleries(assay.case(model, scores), np.array([0, 1, 0, 2]), {}, {})
    assert {g.name: g.rows for g in found if g.name.startswith("wrong")} == {"wrong": (2, 3)}
