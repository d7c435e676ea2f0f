"""DeepLIFT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import relevance as oracle

import assay
from assay import explain
from assay.cases.case import Case


class Formula(torch.nn.Module):
    """A function of x as a net with one value."""

    def __init__(self, f: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.f = f
        self.one = torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.f(x) * self.one


def formula(f: Callable[[torch.Tensor], torch.Tensor], *x: float) -> Case:
    model = assay.model.torch(Formula(f), gives="values")
    return assay.case(model, torch.tensor([x], dtype=torch.float64))


@pytest.mark.parametrize("make", [nets.mlp, nets.conv])
@pytest.mark.parametrize("start", [0.0, 0.4])
def test_on_rectifiers_it_is_the_rescale_rule(make: Callable[[], Any], start: float) -> None:
    net = make()
    case, layers = nets.make_case(net), nets.layers(net)
    expected = np.stack([oracle.rescale(layers, row, np.full(row.shape, start), 1) for row in nets.rows(case)])
    found = explain.deep_lift(case, start=start)
    assert_allclose(found.values, expected, atol=1e-10)
    assert_allclose(found.residual, 0.0, atol=1e-10)


CLOSED: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], tuple[float, ...], Any, tuple[float, ...]]] = {
    "a product: midpoints": (lambda x: x[:, 0] * x[:, 1], (3.0, 5.0), [1.0, 2.0], (2 * 3.5, 3 * 2.0)),
    "a square": (lambda x: (x * x)[:, 0], (3.0,), [1.0], (8.0,)),
    "a saturated unit": (lambda x: 1 - torch.relu(1 - x[:, 0]), (2.0,), 0.0, (1.0,)),
    "a maximum that rises": (lambda x: x.max(1).values, (3.0, 1.0), [0.0, 2.0], (1.0, 0.0)),
    "a maximum that drops": (lambda x: x.max(1).values, (1.0, 2.0), [5.0, 0.0], (-3.0, 0.0)),
    "a maximum that stays": (lambda x: x.max(1).values, (3.0, 1.0), [1.0, 3.0], (0.0, 0.0)),
    "the larger of two": (lambda x: torch.maximum(x[:, 0], x[:, 1]), (3.0, 1.0), [0.0, 0.0], (3.0, 0.0)),
    "a quotient by a constant": (lambda x: x[:, 0] / 4, (3.0,), 1.0, (0.5,)),
    "an exponential": (
        lambda x: torch.exp(x[:, 0] + x[:, 1]),
        (1.0, 2.0),
        0.0,
        ((np.e**3 - 1) / 3, 2 * (np.e**3 - 1) / 3),
    ),
    "a linear one": (lambda x: 2 * x[:, 0] - x[:, 1], (1.0, 1.0), 0.5, (1.0, -0.5)),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name: str) -> None:
    f, x, start, expected = CLOSED[name]
    begun = start if np.ndim(start) == 0 else torch.tensor(start, dtype=torch.float64)
    found = explain.deep_lift(formula(f, *x), start=begun)
    assert_allclose(found.values, [expected], atol=1e-12)
    assert_allclose(found.residual, 0.0, atol=1e-12)


def test_a_softmax_is_decomposed_and_stays_complete() -> None:
    case = formula(lambda x: torch.softmax(x, 1)[:, 0], 2.0, -1.0, 0.5)
    found = explain.deep_lift(case, start=torch.tensor([0.1, 0.2, -0.3], dtype=torch.float64))
    assert_allclose(found.residual, 0.0, atol=1e-12)
    assert np.abs(found.values).min() > 1e-3


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-7, 1e-5])
@pytest.mark.parametrize("f", [torch.tanh, torch.exp, torch.nn.functional.gelu], ids=["tanh", "exp", "gelu"])
def test_where_input_and_start_are_near_the_slope_is_the_derivative(f: Any, gap: float) -> None:
    from assay.engine.gradients.backward_pass import at_net_input, start_at_net_input
    from assay.model.rules.deep_lift import DeepLiftRules

    case = formula(lambda x: f(3 * x[:, 0]) + x[:, 1], 0.4 + gap, 1.0)
    begun = torch.tensor([[0.4, 0.0]], dtype=torch.float64)
    found = explain.deep_lift(case, start=begun).values[0, 0]
    derivative = float(case.gradient(case.rows.x)[0, 0])
    assert found == pytest.approx(gap * derivative, rel=3e-5, abs=1e-30)
    inner = at_net_input(case)
    assert DeepLiftRules("here").begin(inner.rows.x, start_at_net_input(case, inner, begun))[0].sum() == 2.0


def test_a_pass_is_two_forwards_and_one_backward_a_row() -> None:
    case = nets.make_case(nets.mlp())
    _ = case.output
    requested, backwards = case.model.meter.requested, case.model.meter.backwards
    explain.deep_lift(case)
    assert (case.model.meter.requested - requested, case.model.meter.backwards - backwards) == (8, 4)


def test_each_row_may_have_its_own_start() -> None:
    case = nets.make_case(nets.mlp())
    starts = torch.randn((4, 4), generator=nets.generator(2), dtype=torch.float64)
    whole = explain.deep_lift(case, start=starts)
    assert_allclose(whole.base, case.value(starts), atol=1e-12)
    for place in range(4):
        alone = explain.deep_lift(case.take([place]), start=starts[place])
        assert_allclose(alone.values[0], whole.values[place], atol=1e-12)


@pytest.mark.parametrize("target", ["logit", "margin", "log_odds", "probability", "loss"])
@pytest.mark.parametrize("outputs", [1, 4])
def test_it_is_complete_for_every_smooth_target(target: str, outputs: int) -> None:
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, outputs)).double()
    case = assay.case(assay.wrap(net), torch.randn(3, 5, dtype=torch.float64), target=target, label=1)
    found = explain.deep_lift(case, start=0.3)
    assert np.abs(found.residual).max() < 1e-10
    assert np.abs(found.output - found.base).min() > 1e-6
