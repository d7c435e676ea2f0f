"""Budgets spent until errors are small enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.removals import Constant
from assay.engine.coalitions.budget import MIN_COALITIONS, estimate_to_tolerance
from assay.engine.coalitions.estimator import Estimator
from assay.engine.coalitions.sample_reuse import sample_reuse
from assay.engine.cost import cost_of
from assay.model.adapters.function import function
from assay.nouns.catalogue import find

ZERO = assay.Constant(0.0)

METHODS = ["shapley", "permutation_shapley", "banzhaf"]


def uneven(parts: int = 14) -> assay.Case:
    """Three rows of a game: additive, a little bent, far from additive."""
    generator = np.random.default_rng(0)
    w, mix = generator.normal(size=parts), generator.normal(size=(parts, 3))
    rows = np.ones((3, parts)) * np.array([[1.0], [1.001], [3.0]])
    bent = lambda x: x @ w + np.where(x.max(axis=1) > 1, 1.0, 0.0) * np.sin(x @ mix).prod(axis=1) * x.max(axis=1) ** 2  # noqa: E731  # a formula
    return assay.case(function(bent, fingerprint="uneven"), rows)


@pytest.mark.parametrize("name", METHODS)
def test_every_row_gets_within_the_tolerance_or_a_note_names_it(name: str) -> None:
    case, tolerance = uneven(), 0.05
    result = getattr(explain, name)(case, budget=1200, tolerance=tolerance, remove=ZERO)
    late = result.stderr.max(axis=1) > tolerance
    named = {row for note in result.notes if note.code == "tolerance" for row in note.rows}
    assert named == {case.rows.ids[i] for i in np.flatnonzero(late)}
    spent = result.extra["evaluations"]
    assert spent[0] <= spent[2]
    assert name == "banzhaf" or spent[0] < spent[2]  # additive games are Shapley's at once, not Banzhaf's
    assert (spent[late] > 600).all()


@pytest.mark.parametrize("name", METHODS)
def test_a_tolerance_out_of_reach_gives_what_the_budget_gives_and_costs_its_price(name: str) -> None:
    case = uneven().take([2])
    case.output.sum()
    before = case.model.meter.requested
    result = getattr(explain, name)(case, budget=500, tolerance=1e-12, remove=ZERO)
    plain = getattr(explain, name)(uneven().take([2]), budget=500, remove=ZERO)
    assert_allclose(result.values, plain.values, atol=1e-12)
    assert_allclose(result.stderr, plain.stderr, atol=1e-12)
    cost = cost_of(find("explain", name), case, {"budget": 500, "tolerance": 1e-12, "remove": ZERO})
    assert case.model.meter.requested - before == cost.forwards


@pytest.mark.parametrize("name", METHODS)
def test_what_a_row_takes_does_not_depend_on_the_others(name: str) -> None:
    method: Callable[..., Any] = getattr(explain, name)
    whole = method(uneven(), budget=1200, tolerance=0.05, remove=ZERO)
    alone = method(uneven().take([1]), budget=1200, tolerance=0.05, remove=ZERO)
    assert_allclose(alone.values, whole.values[[1]], atol=1e-10)
    assert_array_equal(alone.extra["evaluations"], whole.extra["evaluations"][[1]])


@pytest.mark.parametrize(
    ("budget", "least", "expected"),
    [
        (1000, 100, [125, 250, 500, 1000]),
        (1024, 256, [256, 512, 1024]),  # a quarter that is just enough
        (1022, 256, [511, 1022]),
        (2 * MIN_COALITIONS, 10, [MIN_COALITIONS, 2 * MIN_COALITIONS]),
        (100, 10, [100]),
    ],
)
def test_the_budget_is_halved_as_long_as_the_half_is_at_least_the_least(
    budget: int, least: int, expected: list[int]
) -> None:
    case, _ = examples.random_game(20)
    steps = []

    def choose(parts: int, step: int) -> Estimator:
        steps.append(step)
        return sample_reuse

    found = estimate_to_tolerance(case, Constant(0.0), choose, budget, 1e-12, least)
    assert steps == expected
    assert found.extra["evaluations"].tolist() == [budget]


def test_an_error_equal_to_the_tolerance_is_within_it() -> None:
    case, _ = examples.random_game(20)
    half = explain.banzhaf(case, remove=Constant(0.0), budget=100, tolerance=1e-12)
    assert half.stderr is not None
    error = float(half.stderr.max())
    for tolerance, evaluations in ((error, 100), (np.nextafter(error, 0.0), 200)):
        found = explain.banzhaf(case, remove=Constant(0.0), budget=200, tolerance=tolerance)
        assert found.extra["evaluations"].tolist() == [evaluations]


def test_less_is_asked_when_less_is_enough() -> None:
    truth = examples.random_game(16, seed=2)[1]
    loose, strict = (
        explain.shapley(examples.random_game(16, seed=2)[0], tolerance=t, remove=ZERO) for t in (0.3, 0.02)
    )
    assert loose.provenance.cost["forwards"] < strict.provenance.cost["forwards"] <= 2048
    assert loose.stderr.max() <= 0.3
    assert np.abs(loose.values - truth).max() < 1.2


def test_listing_everything_ends_the_search() -> None:
    case, truth = examples.random_game(9, seed=2, order=7)
    result = explain.shapley(case, budget=512, tolerance=1e-9, remove=ZERO)
    assert_allclose(result.values, truth, atol=1e-9)
    assert not [note for note in result.notes if note.code == "tolerance"]


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_a_tolerance_is_above_nothing(tolerance: float) -> None:
    with pytest.raises(InputError, match="tolerance="):
        explain.shapley(uneven(), tolerance=tolerance, remove=ZERO)


def test_a_game_that_is_no_number_stays_so() -> None:
    case = assay.case(
        function(lambda x: np.where(x.sum(axis=1) < 3, np.nan, x.sum(axis=1)), fingerprint="gone"), np.ones((1, 13))
    )
    try:
        result = explain.shapley(case, budget=200, tolerance=0.1, remove=ZERO)
    except assay.basics.errors.AssayError:
        return
    assert np.isnan(result.values).all()
    assert {note.code for note in result.notes} >= {"tolerance", "undefined"}
