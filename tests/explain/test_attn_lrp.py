"""Attention-aware layer-wise relevance propagation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from tests.oracles import attention as oracle
from torch.nn import functional

import assay
from assay import explain
from assay.cases.case import Case


class Head(torch.nn.Module):
    """One head of attention over tokens of three units, read at the first token."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.query, self.key, self.value = (torch.nn.Linear(3, 3) for _ in range(3))
        self.head = torch.nn.Linear(3, 2)
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.how == "fused":
            mixed = functional.scaled_dot_product_attention(q, k, v)
        elif self.how == "functions":
            mixed = torch.bmm(functional.softmax(torch.bmm(q, k.transpose(1, 2)) / 3**0.5, dim=-1), v)
        else:
            scores = torch.einsum("bqd,bkd->bqk", q, k) * 3**-0.5
            mixed = scores.softmax(-1) @ v
        return self.head(mixed[:, 0])


def make_case(how: str = "fused") -> Case:
    x = torch.randn((3, 4, 3), generator=nets.generator(3), dtype=torch.float64)
    return assay.case(assay.wrap(nets.filled(Head(how))), x, label=1)


def weights() -> dict[str, Any]:
    net, found = nets.filled(Head("fused")), {}
    for name in ("query", "key", "value", "head"):
        layer: Any = getattr(net, name)
        found |= {name: layer.weight.detach().numpy(), f"{name}_bias": layer.bias.detach().numpy()}
    return found


@pytest.mark.parametrize("epsilon", [1e-6, 0.02])
@pytest.mark.parametrize("how", ["fused", "functions", "operators"])
def test_attention_gets_relevance_as_in_the_paper(how: str, epsilon: float) -> None:
    case = make_case(how)
    expected = np.stack([oracle.relevance(row, weights(), 1, epsilon) for row in nets.rows(case)])
    found = explain.attn_lrp(case, epsilon=epsilon)
    assert_allclose(found.map(), expected, rtol=1e-9, atol=1e-12)
    assert_allclose(found.extra["absorbed"], case.output - expected.sum((1, 2)), atol=1e-9)
    assert_allclose(found.extra["conservation"], 0.0, atol=1e-9)


def test_it_is_lrp_epsilon_whose_softmax_passes_its_linear_part() -> None:
    case = make_case()
    found = explain.attn_lrp(case).values
    assert_allclose(explain.lrp(case, composite="epsilon").values, found, atol=1e-12)
    constant = explain.lrp(case, composite="epsilon", softmax="constant")
    assert np.abs(constant.values - found).max() > 1e-3
    assert_allclose(constant.extra["conservation"], 0.0, atol=1e-9)


def test_without_attention_it_is_lrp_epsilon() -> None:
    case = nets.make_case(nets.mlp())
    assert_allclose(explain.attn_lrp(case).values, explain.lrp(case, composite="epsilon").values, atol=1e-12)


def test_a_pass_is_one_forward_and_one_backward_a_row() -> None:
    case = make_case()
    _ = case.output
    before = case.model.meter.requested, case.model.meter.backwards
    explain.attn_lrp(case)
    assert (case.model.meter.requested - before[0], case.model.meter.backwards - before[1]) == (3, 3)
