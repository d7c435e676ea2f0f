"""Games that other libraries answer wrongly, at needless cost, or not at all; here they are right or refused."""

from __future__ import annotations

from importlib.metadata import version
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.oracles import interactions as oracle

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def captum() -> Any:
    return pytest.importorskip("captum.attr", reason="captum is not installed (make peers)", exc_type=ImportError)


@pytest.fixture(scope="module")
def shapiq() -> Any:
    return pytest.importorskip("shapiq", reason="shapiq is not installed", exc_type=ImportError)


def mended(peer: str, what: str) -> None:
    pytest.skip(f"{peer} {version(peer)} has been mended: {what}")


def random_table(parts: int) -> Any:
    return oracle.any_game(parts, seed=parts)[0]


def asked(table: Any) -> Case:
    parts = int(np.log2(len(table)))
    worths = function(
        lambda x: table[(x > 0.5) @ (1 << np.arange(parts))], name="table", fingerprint=str(table.tolist())
    )
    return assay.case(worths, np.ones((1, parts)))


def game_of(table: Any) -> Any:
    """The game as shapiq takes it: coalitions (query, part) → worths."""
    return lambda coalitions: table[np.asarray(coalitions, dtype=int) @ (1 << np.arange(coalitions.shape[1]))]


def counted(parts: int) -> tuple[Any, list[int]]:
    """A net of one output for captum, and how many rows it has been asked."""
    weights, rows = torch.arange(1.0, parts + 1), [0]

    def forward(x: torch.Tensor) -> torch.Tensor:
        rows[0] += len(x)
        return x @ weights + x[:, 0] * x[:, -1]

    return forward, rows


def same(parts: int) -> Case:
    weights = np.arange(1.0, parts + 1)
    return assay.case(
        function(lambda x: x @ weights + x[:, 0] * x[:, -1], fingerprint=f"same {parts}"), np.ones((1, parts))
    )


@pytest.mark.parametrize("index", ["SII", "k-SII", "STII", "FSII", "BII", "FBII"])
@pytest.mark.parametrize("order", [2, 3])
def test_indices_agree_with_shapiqs_exact_computer(shapiq: Any, index: str, order: int) -> None:
    table = random_table(6)
    name = {"SII": "sii", "k-SII": "k_sii", "BII": "banzhaf"}.get(index, index.lower())
    theirs = shapiq.ExactComputer(n_players=6, game=game_of(table))(index=index, order=order)
    ours = explain.interactions(asked(table), index=name, order=order, remove=ZERO)
    for members, value in zip(ours.extra["subsets"], ours.extra["interactions"][0]):
        assert theirs[tuple(int(i) for i in members if i >= 0)] == pytest.approx(value, abs=1e-8)


def test_a_budget_of_three_for_six_players_is_refused_where_shapiq_answers(shapiq: Any) -> None:
    table = random_table(6)
    for ask in (explain.shapley, explain.interactions, explain.owen, explain.permutation_shapley):
        with pytest.raises(InputError, match="budget=3"):
            ask(asked(table), budget=3, remove=ZERO)  # type: ignore[operator]  # four methods, one option
    theirs = shapiq.KernelSHAP(n=6, random_state=0).approximate(budget=3, game=game_of(table))
    told = np.array([theirs[(i,)] for i in range(6)])
    truth = explain.shapley(asked(table), remove=ZERO).values[0]
    if np.abs(told - truth).max() < 1e-6:
        mended("shapiq", "three coalitions give six values")
    assert np.isfinite(told).all()
    assert np.abs(told - truth).max() > 0.1


def test_a_game_of_nan_is_told_of_where_shapiq_is_silent(shapiq: Any) -> None:
    nothing = np.full(64, np.nan)
    with pytest.raises(InputError, match="gives NaN for 1 of 1 rows"):
        explain.interactions(asked(nothing), remove=ZERO)
    with np.errstate(all="ignore"):
        theirs = shapiq.ExactComputer(n_players=6, game=game_of(nothing))(index="SV", order=1)
    assert np.isnan([theirs[(i,)] for i in range(6)]).any() or not any(theirs.values)


def test_four_features_need_fourteen_coalitions_and_no_luck_where_captum_draws_with_replacement(captum: Any) -> None:
    case = same(4)
    result = explain.shapley(case, budget=16, remove=ZERO)
    wanted = np.array([1.5, 2.0, 3.0, 4.5])
    assert_allclose(result.values[0], wanted, atol=1e-12)
    assert case.model.meter.forwards == 16  # fourteen between the empty and the full one
    forward, _ = counted(4)
    missed = []
    for seed in range(5):
        torch.manual_seed(seed)
        theirs = captum.KernelShap(forward).attribute(torch.ones(1, 4), n_samples=16)
        missed.append(float(np.abs(theirs.numpy()[0] - wanted).max()))
    if max(missed) < 1e-4:
        mended("captum", "KernelShap lists all coalitions")
    assert max(missed) > 0.01


@pytest.mark.parametrize("parts", [4, 6])
def test_exact_values_ask_each_coalition_once_where_captum_asks_every_order(captum: Any, parts: int) -> None:
    case = same(parts)
    ours = explain.shapley(case, remove=ZERO)
    assert case.model.meter.forwards == 2**parts
    forward, rows = counted(parts)
    theirs = captum.ShapleyValues(forward).attribute(torch.ones(1, parts), perturbations_per_eval=1)
    assert_allclose(ours.values, theirs.numpy(), atol=1e-4)
    if rows[0] <= 2**parts + 1:
        mended("captum", "ShapleyValues asks each coalition once")
    assert rows[0] > factorial(parts) * (parts - 1)


def test_one_feature_is_explained_where_captums_kernel_shap_raises(captum: Any) -> None:
    case = examples.linear((3.0,))
    for ask in (explain.shapley, explain.owen, explain.permutation_shapley):
        assert_allclose(ask(case, remove=ZERO).values, [[3.0]])  # type: ignore[operator]  # three methods of one shape
    assert_allclose(explain.interactions(case, order=1, remove=ZERO).values, [[3.0]])
    try:
        captum.KernelShap(lambda x: 3 * x[:, 0]).attribute(torch.ones(1, 1), n_samples=10)
    except (ValueError, RuntimeError, AssertionError, ZeroDivisionError):
        return
    mended("captum", "KernelShap takes one feature")
