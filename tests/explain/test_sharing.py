"""Methods that use the same game evaluate a coalition once, where a row has the same output in every batch."""

from collections.abc import Callable

import pytest

from assay import evaluate, examples, explain
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal, Removal

ZERO = Constant(0.0)


def after_listing(case: Case, remove: Removal) -> dict[str, int]:
    """Forwards that each method costs after every coalition has been evaluated."""
    first = explain.shapley(case, remove=remove, budget=2**10)
    meter = case.model.meter
    costs = {}
    for name, ask in {
        "banzhaf": lambda: explain.banzhaf(case, remove=remove, budget=2**10),
        "rise": lambda: explain.rise(case, remove=remove, budget=2**10),
        "lime": lambda: explain.lime(case, remove=remove, budget=2**10),
        "occlusion": lambda: explain.occlusion(case, remove=remove),
        "orders": lambda: explain.permutation_shapley(case, remove=remove),
        "deletion": lambda: evaluate.deletion(first, case, remove=remove),
    }.items():
        before = meter.forwards
        ask()
        costs[name] = meter.forwards - before
    return costs


def test_after_one_full_enumeration_everything_is_free(tissue: Callable[..., Case], exact_rows: None) -> None:
    assert set(after_listing(tissue(rows=2), Constant(0.0)).values()) == {0}


def test_with_a_background_too(exact_rows: None) -> None:
    case, _ = examples.random_game(6)
    assert set(after_listing(case, Marginal([[0.0] * 6, [0.5] * 6])).values()) == {0}


def test_an_enumeration_evaluates_each_coalition_once() -> None:
    case, _ = examples.random_game(9)
    explain.shapley(case, remove=ZERO)
    assert case.model.meter.forwards == 2**9


def test_another_removal_is_another_game() -> None:
    case, _ = examples.random_game(5)
    explain.shapley(case, remove=ZERO)
    before = case.model.meter.forwards
    explain.shapley(case, remove=Constant(0.3))
    assert case.model.meter.forwards == before + 2**5 - 1


@pytest.mark.parametrize("budget", [100, 400])
def test_lime_after_rise_of_one_budget_is_free(budget: int) -> None:
    case, _ = examples.random_game(12)
    explain.rise(case, budget=budget, remove=ZERO)
    before = case.model.meter.forwards
    explain.lime(case, budget=budget, remove=ZERO)
    assert case.model.meter.forwards == before
