"""Concepts found in a layer: completeness, exact indices of a known game, order of rows, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError

PARTS, WIDTH = 8, 2


class Weighted(torch.nn.Module):
    """w · a + coupling · a₀ a₄ of the layer ``body``, with a the positive part of the rows."""

    def __init__(self, weights: np.ndarray, coupling: float = 0.0) -> None:
        super().__init__()
        self.body = torch.nn.ReLU()
        self.weights = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float64))
        self.coupling = coupling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.body(x)
        return (a @ self.weights + self.coupling * a[:, 0] * a[:, WIDTH]).reshape(-1, 1)


PLANTED = np.kron(np.eye(PARTS), np.ones(WIDTH)) / np.sqrt(WIDTH)
WEIGHTS = np.linspace(-1.0, 2.0, PARTS * WIDTH)


def rows(count: int, seed: int, alone: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are sums of planted parts, or one part ``alone`` each, and the amounts."""
    amounts = np.random.default_rng(seed).uniform(0.5, 2.0, (count, PARTS))
    if alone:
        amounts *= np.eye(PARTS)[np.arange(count) % PARTS]
    return amounts @ PLANTED, amounts


def found(coupling: float = 0.0, **options: Any) -> tuple[assay.Explanation, np.ndarray, list[int]]:
    """The explanation of rows of planted concepts, their amounts, and which planted part each concept is."""
    x, amounts = rows(30, 1)
    case = assay.case(assay.model.torch(Weighted(WEIGHTS, coupling).double(), gives="values"), x)
    given = {"reference": rows(90, 2, alone=True)[0], "layer": "body", "concepts": PARTS} | options
    one = explain.concept_discovery(case, **given)
    return one, amounts, [int(np.argmax(PLANTED @ way)) for way in one.extra["directions"]]


def test_shapley_values_of_planted_concepts_in_a_linear_net_are_amount_times_weight() -> None:
    one, amounts, order = found()
    expected = (amounts * (PLANTED @ WEIGHTS))[:, order]
    np.testing.assert_allclose(one.values, expected, atol=1e-5)
    np.testing.assert_allclose(one.residual, 0.0, atol=1e-9)
    np.testing.assert_allclose(one.extra["codes"][:, 0], amounts[:, order], atol=1e-5)
    assert one.extra["explained"][0] > 0.999
    assert not any("unstable" in name for name in one.features.names)


def test_total_sobol_indices_of_an_additive_game_are_shares_of_the_variance() -> None:
    one, amounts, order = found(importance="sobol")
    squares = (amounts * (PLANTED @ WEIGHTS))[:, order] ** 2
    np.testing.assert_allclose(one.values, squares / squares.sum(axis=1, keepdims=True), atol=1e-5)


def test_sampled_sobol_indices_lie_within_their_standard_errors() -> None:
    exact = found(3.0, importance="sobol")[0].values
    drawn = found(3.0, importance="sobol", budget=255)[0]  # 256 coalitions do not fit: 28 draws
    assert drawn.stderr is not None
    assert drawn.stderr.max() > 0
    assert (np.abs(drawn.values - exact) <= 3 * drawn.stderr + 1e-6).mean() > 0.9


def test_deletion_is_the_fall_of_the_target_and_counts_what_concepts_share() -> None:
    one, amounts, order = found(3.0, importance="deletion")
    shared = 3.0 * amounts[:, 0] * amounts[:, 1] / WIDTH
    expected = amounts * (PLANTED @ WEIGHTS) + shared[:, None] * (np.arange(PARTS) < 2)
    np.testing.assert_allclose(one.values, expected[:, order], atol=1e-5)


@pytest.mark.parametrize("importance", ["shapley", "sobol", "deletion"])
def test_order_and_ids_of_rows_and_reference_change_no_byte(importance: str) -> None:
    x, reference, mixed = rows(20, 3)[0] + 0.1, rows(60, 4)[0] + 0.1, np.random.default_rng(0).permutation
    model = assay.model.torch(Weighted(WEIGHTS, 2.0).double(), gives="values")
    order = mixed(20)
    options: dict[str, Any] = {"layer": "body", "concepts": 2, "importance": importance}
    one = explain.concept_discovery(assay.case(model, x), reference=reference, **options)
    two = explain.concept_discovery(
        assay.case(model, x[order], ids=[f"r{i}" for i in order]), reference=reference[mixed(60)], **options
    )
    assert one.values[order].tobytes() == two.values.tobytes()
    assert one.extra["directions"].tobytes() == two.extra["directions"].tobytes()
    assert one.x[order].tobytes() == two.x.tobytes()
    np.testing.assert_array_equal(one.x, one.extra["codes"].mean(axis=1))


def test_what_the_concepts_do_not_describe_is_kept_or_dropped() -> None:
    x = rows(20, 5)[0] + np.random.default_rng(6).uniform(0, 0.5, (20, PARTS * WIDTH))
    case = assay.case(assay.model.torch(Weighted(WEIGHTS).double(), gives="values"), x)
    kept, dropped = (
        explain.concept_discovery(case, reference=x, layer="body", concepts=2, rest=rest)
        for rest in ("keep", "drop")  # type: ignore[arg-type]  # both words
    )
    np.testing.assert_allclose(kept.output, case.output, atol=1e-9)
    np.testing.assert_allclose(dropped.base, 0.0, atol=1e-12)
    np.testing.assert_allclose(kept.values, dropped.values, atol=1e-9)  # in a linear net
    assert np.abs(dropped.output - case.output).max() > 0.01


def test_a_layer_with_values_below_zero_is_refused_unless_it_is_split() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
    x = np.random.default_rng(7).normal(size=(40, 6))
    case = assay.case(assay.model.torch(net, gives="values"), x[:5])
    with pytest.raises(CapabilityError, match="down to"):
        explain.concept_discovery(case, reference=x, layer="1", concepts=4)
    split = explain.concept_discovery(case, reference=x, layer="1", concepts=4, halves=True)
    np.testing.assert_allclose(split.residual, 0.0, atol=1e-9)
    assert (split.extra["directions"] < 0).any()
    with pytest.raises(InputError, match="at least 10"):
        explain.concept_discovery(case, reference=x, layer="1", concepts=4, halves=True, importance="sobol", budget=7)
