# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.contract.subjects import neural, visual

import assay
from assay import certify, examples, explain
from assay.basics.errors import InputError, NumericalError
from assay.engine.cost import cost_of
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)


def bounded_game(parts, seed=0, draw=0):
    """Worths in [0, 1]: a squashed sum of unanimity games, as a regression, and its exact Shapley values."""
    raw, _ = examples.random_game(parts, seed=seed, order=3)
    squashed = function(
        lambda x: 1 / (1 + np.exp(-raw.value(x, np.zeros(len(x), dtype=int)))), fingerprint=f"squashed {parts} {seed}"
    )
    case = assay.case(squashed, np.ones((1, parts)), seed=draw)
    return case, explain.shapley(case, budget=2**parts, remove=ZERO).values


def test_the_truth_lies_within_and_the_error_is_bounded():
    case, truth = bounded_game(12)
    sampled = explain.shapley(case, budget=200, remove=ZERO)
    found = certify.shapley_error(sampled, case, bounds=(0, 1), budget=2000, remove=ZERO)
    lower, upper = found.extra["lower"], found.extra["upper"]
    assert ((lower <= truth) & (truth <= upper)).all()
    assert found.error[0] >= np.abs(sampled.values - truth).max()
    assert_allclose(found.error, np.maximum(sampled.values - lower, upper - sampled.values).max(axis=1))
    assert found.confidence == 0.95
    assert found.draws == (2000 - 2) // 22


def test_more_draws_bound_more_tightly_and_wide_bounds_less():
    case, truth = bounded_game(12)
    exact = explain.shapley(case, budget=2**12, remove=ZERO)
    assert_allclose(exact.values, truth)

    def error(**options):
        return float(certify.shapley_error(exact, case, remove=ZERO, **options).error[0])

    assert error(bounds=(0, 1), budget=4000) < error(bounds=(0, 1), budget=1000) < error(bounds=(-3, 4), budget=1000)
    assert error(bounds=(0, 1), budget=1000, alpha=0.2) < error(bounds=(0, 1), budget=1000, alpha=0.01)


@pytest.mark.parametrize("bounds", [None, (-100.0, 100.0)])
def test_listed_the_error_is_what_it_is(bounds):
    case, truth = examples.random_game(8, seed=4)
    wrong = replace(explain.shapley(case, remove=ZERO), values=truth + np.linspace(-0.3, 0.7, 8))
    found = certify.shapley_error(wrong, case, bounds=bounds, remove=ZERO)
    assert_allclose(found.error, 0.7, atol=1e-9)
    assert_allclose(found.extra["lower"], truth, atol=1e-9)
    assert_allclose(found.extra["upper"], truth, atol=1e-9)
    assert found.confidence == 1.0


def test_without_bounds_it_abstains_says_why_and_asks_nothing():
    case, _ = bounded_game(14)
    explanation = explain.shapley(case, budget=60, remove=ZERO)
    before = case.model.meter.forwards
    found = certify.shapley_error(explanation, case, remove=ZERO)
    assert found.abstained.all()
    assert np.isnan(found.error).all()
    assert [note.code for note in found.notes] == ["unbounded"]
    assert "bounds=(low, high)" in found.notes[0].text
    assert case.model.meter.forwards == before


@pytest.mark.parametrize("bounds", [(0.0, 0.9), (0.2, 1.0)])
def test_values_beyond_the_bounds_are_refused(bounds):
    case, _ = bounded_game(12)
    with pytest.raises(InputError, match="beyond"):
        certify.shapley_error(
            explain.shapley(case, budget=60, remove=ZERO), case, bounds=bounds, budget=500, remove=ZERO
        )


def test_probabilities_that_are_none_are_refused():
    broken = function(
        lambda x: np.stack([0.5 - (14 - x.sum(axis=1)), 0.5 + (14 - x.sum(axis=1))], axis=1),  # right at the row
        gives="probabilities",
        fingerprint="broken",
    )
    case = assay.case(broken, np.ones((1, 14)), label=1, target="probability")
    with pytest.raises(NumericalError, match="beyond"):
        certify.shapley_error(explain.constant(case), case, budget=500, remove=ZERO)


def test_a_game_of_nan_is_refused():
    case = assay.case(
        function(lambda x: np.where(x.sum(axis=1) < 5, np.nan, 0.5), fingerprint="holes"), np.ones((1, 14))
    )
    with pytest.raises(NumericalError, match="NaN"):
        certify.shapley_error(explain.constant(case), case, bounds=(0, 1), budget=500, remove=ZERO)


def test_a_probability_and_a_decision_need_no_bounds():
    weights = np.linspace(-1, 1, 14)
    model = function(lambda x: (x @ weights)[:, None], gives="logits", fingerprint="line")
    for target in ("probability", "decision"):
        case = assay.case(model, np.ones((2, 14)) * [[1.0], [0.3]], label=1, target=target)
        found = certify.shapley_error(explain.shapley(case, budget=100, remove=ZERO), case, budget=500, remove=ZERO)
        assert np.isfinite(found.error).all()
        assert not found.abstained.any()


def test_its_orders_are_not_those_that_made_the_explanation():
    case, _ = bounded_game(12)
    explanation = explain.permutation_shapley(case, budget=500, remove=ZERO)
    middle = certify.shapley_error(explanation, case, bounds=(0, 1), budget=500, remove=ZERO).extra
    assert np.abs((middle["lower"] + middle["upper"]) / 2 - explanation.values).max() > 1e-4


def test_another_removal_is_noted():
    case, _ = bounded_game(12)
    explanation = explain.shapley(case, budget=60, remove=ZERO)
    same = certify.shapley_error(explanation, case, bounds=(0, 1), budget=200, remove=ZERO)
    other = certify.shapley_error(explanation, case, remove=assay.Constant(0.5), bounds=(0, 1), budget=200)
    assert "other-removal" not in [note.code for note in same.notes]
    assert "other-removal" in [note.code for note in other.notes]


@pytest.mark.parametrize("options", [{"bounds": (1, 0)}, {"bounds": (0, np.inf)}, {"alpha": 0.0}, {"budget": 20}])
def test_what_makes_no_sense_is_refused(options):
    case, _ = bounded_game(12)
    with pytest.raises(InputError):
        certify.shapley_error(
            explain.shapley(case, budget=60, remove=ZERO), case, remove=ZERO, **{"bounds": (0, 1)} | options
        )


@pytest.mark.parametrize("options", [{}, {"budget": 600}, {"budget": 600, "bounds": (0.0, 1.0)}])
@pytest.mark.parametrize("make", [neural, visual, lambda: bounded_game(12)[0], lambda: bounded_game(14)[0]])
def test_it_asks_for_what_its_price_says(make, options):
    case = make()
    if len(case.features) < 12 and "bounds" in options:
        options = options | {"bounds": (-50.0, 50.0)}
    explanation = explain.constant(case)
    meter, _ = case.model.meter, (case.output, case.prediction)
    before = meter.requested
    found = certify.shapley_error(explanation, case, remove=ZERO, **options)
    assert meter.requested - before == cost_of(certify.shapley_error.method, case, found.provenance.options).forwards
