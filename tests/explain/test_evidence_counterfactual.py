"""Evidence counterfactuals: the words or segments that have to go, against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import assay
from assay import Constant, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Removal

ZERO = Constant(0.0)


def logistic(weights: np.ndarray, bias: float, x: np.ndarray) -> Case:
    model = assay.model.function(
        lambda rows: 1 / (1 + np.exp(-(rows @ weights + bias))), gives="probabilities", fingerprint=str((weights, bias))
    )
    return assay.case(model, x, target="probability")


def sizes_by_enumeration(case: Case, remove: Removal) -> list[float]:
    """The fewest features whose removal changes the class, by all sets."""
    parts, found = len(case.features), []
    masks = ~np.array(list(itertools.product([False, True], repeat=parts)))
    for row, own in enumerate(case.predicted(case.rows.x).tolist()):
        decided = case.game(remove).classes(np.full(len(masks), row), masks)
        removed = (~masks).sum(axis=1)[decided != own]
        found.append(float(removed.min()) if len(removed) else np.nan)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_of_a_sum_of_terms_the_fewest_features_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = logistic(rng.normal(size=7), float(rng.normal()), rng.normal(size=(8, 7)))
    found = explain.evidence_counterfactual(case, remove=ZERO, beam=1)
    np.testing.assert_array_equal(found.extra["size"], sizes_by_enumeration(case, ZERO))
    np.testing.assert_array_equal(np.isnan(found.values).all(axis=1), np.isnan(found.extra["size"]))


@pytest.mark.parametrize("seed", range(4))
def test_each_feature_of_the_set_is_needed_and_the_set_changes_the_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.normal(size=(6, 6))
    model = assay.model.function(
        lambda rows: 1 / (1 + np.exp(-np.einsum("ni,ij,nj->n", rows, pairs, rows))), gives="probabilities",
        fingerprint=f"pairs {seed}",
    )  # fmt: skip
    case = assay.case(model, rng.normal(size=(10, 6)), target="probability")
    found = explain.evidence_counterfactual(case, remove=ZERO)
    least = sizes_by_enumeration(case, ZERO)
    own, game = case.predicted(case.rows.x), case.game(ZERO)
    for row in np.flatnonzero(~np.isnan(found.extra["size"])).tolist():
        keep = found.values[row] == 0
        assert game.classes(np.array([row]), keep[None])[0] != own[row]
        assert found.extra["size"][row] >= least[row]
        for part in np.flatnonzero(~keep).tolist():
            again = keep.copy()
            again[part] = True
            assert game.classes(np.array([row]), again[None])[0] == own[row]


def test_a_wanted_class_and_a_threshold_of_the_model_are_kept_to() -> None:
    scores = np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 1.5]])
    model = assay.model.function(lambda rows: rows @ scores, gives="logits", classes=("a", "b", "c"), fingerprint="abc")
    case = assay.case(model, np.ones((1, 3)), target="logit")
    wanted = explain.evidence_counterfactual(case, remove=ZERO, target_label="c")
    assert wanted.values.tolist() == [[-1.0, -1.0, 0.0]]
    assert explain.evidence_counterfactual(case, remove=ZERO, target_label="b").values.tolist() == [[-1.0, 0.0, 0.0]]


def test_where_nothing_changes_the_decision_the_row_is_undefined_and_named() -> None:
    case = logistic(np.array([1.0, 1.0]), 1.0, np.array([[1.0, 1.0], [-3.0, 0.5]]))
    found = explain.evidence_counterfactual(case, remove=ZERO)
    assert np.isnan(found.values[0]).all()
    assert found.values[1].tolist() == [-1.0, 0.0]
    assert [note.rows for note in found.notes if note.code == "not-found"] == [(case.rows.ids[0],)]
    assert found.description[1].endswith("; no smaller set")


def test_a_budget_below_one_removal_of_each_feature_is_refused() -> None:
    with pytest.raises(InputError, match="at least 3 are needed"):
        explain.evidence_counterfactual(logistic(np.ones(2), 0.0, np.ones((1, 2))), remove=ZERO, budget=2)


def test_words_of_a_text_are_named() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    good, bad = ["good fine film", "a fine day"] * 10, ["bad dull film", "a dull day"] * 10
    model = assay.wrap(make_pipeline(CountVectorizer(), LogisticRegression()).fit(good + bad, [1] * 20 + [0] * 20))
    found = explain.evidence_counterfactual(assay.case(model, ["the film was good and fine", "a film"]))
    assert found.description[0].startswith("row 0: without ")
    assert {"good", "fine"} == set(found.description[0].split("without ")[1].split(", "))
