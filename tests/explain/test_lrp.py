"""Layer-wise relevance propagation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import relevance as oracle

import assay
from assay import explain
from assay.basics.errors import InputError

MLP: dict[str, tuple[str, str, str]] = {
    "zero": ("zero",) * 3,
    "epsilon": ("epsilon",) * 3,
    "gamma": ("gamma",) * 3,
    "alpha_beta": ("alpha_beta",) * 3,
    "z_plus": ("z_plus",) * 3,
    "flat": ("flat", "epsilon", "epsilon"),
    "w_square": ("w_square", "epsilon", "epsilon"),
    "box": ("box", "epsilon", "epsilon"),
    "epsilon_plus": ("epsilon",) * 3,
    "epsilon_plus_flat": ("flat", "epsilon", "epsilon"),
    "epsilon_gamma_box": ("box", "epsilon", "epsilon"),
}
CONV: dict[str, tuple[str, str]] = {
    "zero": ("zero", "zero"),
    "epsilon": ("epsilon", "epsilon"),
    "gamma": ("gamma", "gamma"),
    "alpha_beta": ("alpha_beta", "alpha_beta"),
    "z_plus": ("z_plus", "z_plus"),
    "flat": ("flat", "epsilon"),
    "w_square": ("w_square", "epsilon"),
    "box": ("box", "epsilon"),
    "epsilon_plus": ("z_plus", "epsilon"),
    "epsilon_plus_flat": ("flat", "epsilon"),
    "epsilon_alpha2_beta1": ("alpha_beta", "epsilon"),
    "epsilon_alpha2_beta1_flat": ("flat", "epsilon"),
    "epsilon_gamma_box": ("box", "epsilon"),
}


def given(composite: str) -> dict[str, float]:
    return {"low": -3.0, "high": 3.5} if "box" in composite else {}


def literal(net: Any, case: Any, rules: Any, label: int = 1, **options: float) -> np.ndarray:
    layers = nets.layers(net)
    return np.stack([oracle.relevance(layers, row, label, rules, **options) for row in nets.rows(case)])


@pytest.mark.parametrize("epsilon", [1e-6, 0.05])
@pytest.mark.parametrize("composite", MLP)
def test_each_rule_is_its_formula_on_a_dense_net(composite: str, epsilon: float) -> None:
    net, options = nets.mlp(), {"epsilon": epsilon, **given(composite)}
    case = nets.make_case(net)
    expected = literal(net, case, MLP[composite], **options)
    found = explain.lrp(case, composite=composite, **options)
    assert_allclose(found.values, expected, rtol=1e-9, atol=1e-11)
    assert_allclose(found.extra["absorbed"], case.output - expected.sum(1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("epsilon", [1e-6, 0.05])
@pytest.mark.parametrize("composite", CONV)
def test_each_rule_is_its_formula_on_a_convolution(composite: str, epsilon: float) -> None:
    net, options = nets.conv(), {"epsilon": epsilon, **given(composite)}
    case = nets.make_case(net)
    expected = literal(net, case, CONV[composite], **options)
    found = explain.lrp(case, composite=composite, **options)
    assert_allclose(found.values, expected, rtol=1e-9, atol=1e-11)
    assert_allclose(found.extra["conservation"], 0.0, atol=1e-9)


@pytest.mark.parametrize(("name", "option"), [("gamma", {"gamma": 1.5}), ("alpha_beta", {"alpha": 3.0})])
def test_options_reach_their_rule(name: str, option: dict[str, float]) -> None:
    net = nets.mlp()
    case = nets.make_case(net)
    found = explain.lrp(case, composite=name, **option).values
    assert_allclose(found, literal(net, case, (name,) * 3, **option), rtol=1e-9)
    assert np.abs(found - explain.lrp(case, composite=name).values).max() > 1e-3


@pytest.mark.parametrize("composite", CONV)
def test_a_batch_norm_is_merged_into_the_sum_before_it(composite: str) -> None:
    apart, merged = nets.make_case(nets.conv(norm=True)), nets.make_case(nets.merged())
    assert_allclose(apart.output, merged.output, atol=1e-12)
    one, two = (explain.lrp(case, composite=composite, **given(composite)) for case in (apart, merged))
    assert_allclose(one.values, two.values, atol=1e-10)
    assert_allclose(one.extra["absorbed"], two.extra["absorbed"], atol=1e-10)
    assert_allclose(one.values, literal(nets.merged(), merged, CONV[composite], **given(composite)), atol=1e-9)


def test_a_linear_model_gives_weight_times_input() -> None:
    net = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]]))
        net.bias.copy_(torch.tensor([0.25, 0.0]))
    case = assay.case(assay.wrap(net), torch.tensor([[2.0, 1.0, 4.0]], dtype=torch.float64), label=0)
    found = explain.lrp(case, composite="zero")
    assert_allclose(found.values, [[2.0, -2.0, 2.0]])
    assert_allclose(found.extra["absorbed"], [0.25])
    assert_allclose(found.extra["conservation"], [0.0], atol=1e-12)


def test_a_pass_is_one_forward_and_one_backward_a_row() -> None:
    case = nets.make_case(nets.mlp())
    _ = case.output
    requested, backwards = case.model.meter.requested, case.model.meter.backwards
    explain.lrp(case)
    assert (case.model.meter.requested - requested, case.model.meter.backwards - backwards) == (4, 4)


@pytest.mark.parametrize("composite", ["box", "epsilon_gamma_box"])
def test_a_box_needs_its_range(composite: Any) -> None:
    with pytest.raises(InputError, match=f"composite='{composite}' needs low= and high="):
        explain.lrp(nets.make_case(nets.mlp()), composite=composite)
    with pytest.raises(InputError, match=r"low=1.0, high=0.0"):
        explain.lrp(nets.make_case(nets.mlp()), composite=composite, low=1.0, high=0.0)


@pytest.mark.parametrize("option", [{"epsilon": -1.0}, {"gamma": -0.1}, {"alpha": 0.5}])
def test_options_out_of_range_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))}="):
        explain.lrp(nets.make_case(nets.mlp()), **option)


def test_a_composite_that_does_not_exist_is_refused() -> None:
    from assay.model.rules.composites import make_composite

    with pytest.raises(InputError, match="no composite 'epsilon_minus'"):
        make_composite("epsilon_minus")
