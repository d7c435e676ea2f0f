"""Rule lists against every list of small problems, planted rules, permuted labels, and COMPAS."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from tests.interpretable.brute_force import best_list_objective, random_binary
from tests.interpretable.compas import compas_conditions

import assay
from assay.basics.errors import InputError
from assay.engine.distinct.rule_lists import _Search, best_rule_list, conjunctions
from assay.engine.distinct.table import distinct_rows
from assay.interpretable import RiskScore, RuleList


def agrees_with_brute_force(seed: int) -> bool:
    """Whether the search finds the objective of the best of all lists of a random problem, and proves it."""
    x, y = random_binary(seed, 3)
    penalty = (0.002, 0.01, 0.03)[seed % 3]
    table = distinct_rows(x.astype(bool), y, 2)
    antecedents = conjunctions(table, 2 if x.shape[1] < 3 else 1, 0.01)
    found = best_rule_list(table, antecedents, penalty, 10**6)
    expected = best_list_objective(antecedents.masks[:, table.which], y, penalty, 4)
    assert found.ended
    assert found.lower_bound == found.objective
    return bool(abs(found.objective - expected) < 1e-12)


def test_lists_are_the_best_of_all_lists_of_small_problems() -> None:
    assert all(agrees_with_brute_force(seed) for seed in range(24))


def test_the_search_needs_no_first_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Search, "dive", lambda self: None)
    assert all(agrees_with_brute_force(seed) for seed in range(24))


@pytest.mark.parametrize("seed", range(6))
def test_no_longer_list_is_below_the_bound_of_a_prefix(seed: int) -> None:
    x, y = random_binary(seed, 3)
    table = distinct_rows(x.astype(bool), y, 2)
    antecedents = conjunctions(table, 1, 0.01)
    masks, penalty = antecedents.masks[:, table.which], 0.001
    search = _Search(table, antecedents, penalty)
    for first in range(len(masks)):
        left = ~antecedents.masks[first]
        caught = y[masks[first]]
        errors = float(min(caught.sum(), len(caught) - caught.sum()))
        _, objective, bounds, useful = search._extensions(left, errors, 1)
        for second in np.flatnonzero(useful).tolist():
            alone = best_list_objective(masks, y, penalty, 0, (first, second))
            assert objective[second] == pytest.approx(alone, abs=1e-12)
            assert bounds[second] <= best_list_objective(masks, y, penalty, 3, (first, second), 1) + 1e-12


@pytest.mark.judge
def test_lists_are_the_best_of_all_lists_of_200_small_problems() -> None:
    assert all(agrees_with_brute_force(seed) for seed in range(200))


def test_the_objective_is_that_of_the_list_returned() -> None:
    x, y = random_binary(3)
    model = RuleList(0.01).fit(x, y)
    rules = len(model.rules_) - 1
    assert model.certificate_.objective == pytest.approx((model.predict(x) != y).mean() + 0.01 * rules, abs=1e-12)


def planted(rows: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame of numbers, levels and gaps, and labels by a rule list of two rules."""
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": draws.integers(18, 80, rows).astype(float),
            "priors": draws.poisson(2, rows),
            "sex": draws.choice(["female", "male"], rows),
            "town": draws.choice(["A", "B", "C"], rows),
        }
    )
    labels = np.where((frame.priors > 3) & (frame.sex == "male"), "yes", np.where(frame.town == "A", "yes", "no"))
    frame.loc[draws.choice(rows, 20, replace=False), "age"] = np.nan
    return frame, labels


def test_a_planted_list_is_found_in_readable_words() -> None:
    frame, labels = planted()
    model = RuleList(0.005, cuts={"priors": (1, 3), "age": (25, 45)}).fit(frame, labels)
    assert (model.predict(frame) == labels).all()
    assert "priors > 3 and sex = male" in model.text_
    assert "town = A" in model.text_
    assert model.certificate_.status == "optimal"
    assert model.certificate_.objective == pytest.approx(2 * 0.005)


def test_exclusive_or_is_found_by_pairs_and_not_by_single_conditions() -> None:
    x = np.random.default_rng(0).integers(0, 2, (400, 3))
    y = x[:, 0] ^ x[:, 1]
    assert RuleList(0.01, length=2).fit(x, y).score(x, y) == 1.0
    single = RuleList(0.02, length=1).fit(x, y)
    assert single.certificate_.status == "optimal"
    assert single.score(x, y) < 0.8


def test_permuted_labels_give_the_empty_list() -> None:
    draws, empty = np.random.default_rng(0), 0
    x = draws.integers(0, 2, (5000, 8))
    y = (draws.random(5000) < 0.25 + 0.4 * x[:, 0]).astype(int)
    assert len(RuleList(0.02, length=1).fit(x, y).rules_) == 2
    for _ in range(20):
        empty += len(RuleList(0.02, length=1).fit(x, draws.permutation(y)).rules_) == 1
    assert empty >= 19


def test_a_stopped_search_states_a_gap_and_a_valid_bound() -> None:
    draws = np.random.default_rng(0)
    x = draws.integers(0, 2, (400, 5))
    y = (draws.random(400) < 0.2 + 0.5 * (x[:, 0] ^ x[:, 1])).astype(int)
    full = RuleList(0.01, length=1).fit(x, y).certificate_
    stopped = RuleList(0.01, length=1, nodes=1).fit(x, y).certificate_
    assert full.status == "optimal"
    assert stopped.status == "feasible"
    assert stopped.gap > 0
    assert stopped.lower_bound <= full.objective <= stopped.objective


def test_several_classes_are_predicted() -> None:
    frame, _ = planted()
    labels = np.where(frame.priors > 3, "high", np.where(frame.town == "A", "mid", "low"))
    model = RuleList(0.005, cuts={"priors": (3,)}).fit(frame, labels)
    assert (model.predict(frame) == labels).all()
    np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1.0)


def test_the_order_of_rows_changes_nothing() -> None:
    frame, labels = planted()
    order = np.random.default_rng(1).permutation(len(frame))
    one = RuleList(0.01).fit(frame, labels)
    other = RuleList(0.01).fit(frame.iloc[order].reset_index(drop=True), labels[order])
    assert one.text_ == other.text_
    assert one.certificate_ == other.certificate_


def test_a_fitted_list_is_an_ordinary_model() -> None:
    frame, labels = planted()
    fitted = RuleList(0.01).fit(frame, labels)
    wrapped = assay.wrap(fitted)
    before = wrapped.fingerprint
    assert not wrapped.partial_fingerprint
    case = assay.case(wrapped, frame.iloc[:5])
    np.testing.assert_allclose(case.outputs(case.rows.x), fitted.predict_proba(frame.iloc[:5]))
    assert assay.wrap(fitted).fingerprint == before


@pytest.mark.parametrize(
    "options", [{"penalty": 0.0}, {"length": 4}, {"nodes": 0}, {"least": 0.7}, {"cuts": {"nothing": (1,)}}], ids=str
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    frame, labels = planted(60)
    with pytest.raises(InputError):
        RuleList(**options).fit(frame, labels)


def test_labels_of_one_class_are_refused() -> None:
    with pytest.raises(InputError, match="2 to 20 classes"):
        RuleList().fit(np.eye(3), np.zeros(3))


def test_compas_is_certified_with_the_known_list() -> None:
    x, y = compas_conditions()
    started = time.process_time()
    model = RuleList(0.01, length=1).fit(x[:5000], y[:5000])
    assert model.certificate_.status == "optimal"
    known = (x["age 18–20"] == 1) | (x["priors > 3"] == 1)  # the list of the literature; its two rules may be swapped
    assert (model.predict(x) == known.astype(int)).all()
    assert model.certificate_.objective == pytest.approx((known != y)[:5000].mean() + 0.02, abs=1e-12)
    assert time.process_time() - started < 5


@pytest.mark.judge
def test_compas_is_certified_with_pairs_within_5_seconds() -> None:
    x, y = compas_conditions()
    started = time.process_time()
    found = RuleList(0.01).fit(x[:5000], y[:5000]).certificate_
    assert found.status == "optimal"
    assert found.objective == pytest.approx(0.3512, abs=1e-9)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("estimator", [RuleList(0.01), RiskScore(0.01)], ids=["list", "score"])
def test_an_estimator_fits_from_a_recipe_in_folds_and_behind_a_clone(estimator: RuleList | RiskScore) -> None:
    frame, labels = planted()
    recipe = assay.Recipe(lambda x, y, seed, strength: clone(estimator).fit(x, y), frame, labels)
    trained = recipe.train(frame, labels, assay.Seed(0))
    model = assay.wrap(trained)
    assert model.classes == ("no", "yes")
    assert model.fingerprint == assay.wrap(clone(estimator).fit(frame, labels)).fingerprint
    assert model.fingerprint != assay.wrap(clone(estimator).fit(frame[:200], labels[:200])).fingerprint
    folds = cross_validate(estimator, frame, labels, cv=3, return_estimator=True)
    assert (folds["test_score"] > 0.6).all()
    cuts = {one.binariser_.names for one in folds["estimator"]}
    assert len(cuts) > 1  # thresholds are those of the training rows of each fold
