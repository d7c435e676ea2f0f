from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved, digits

from assay import evaluate, explain, grid, model
from assay.basics.errors import CapabilityError, InputError
from assay.cases.new_case import case as ask


class Round(torch.nn.Module):
    """A convolution on a torus, and the mean: it does not care where the picture lies."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = torch.linspace(-1, 1, 9, dtype=x.dtype).reshape(1, 1, 3, 3)
        out = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), weight)
        return torch.stack([torch.tanh(out).sum((1, 2, 3)), out.sum((1, 2, 3))], dim=1)


def _round(features: Any = None) -> Any:
    x = torch.as_tensor(np.random.default_rng(0).uniform(size=(2, 1, 6, 6)))
    return ask(model.torch(Round().eval(), gives="logits"), x, label=0, features=features)


@pytest.mark.parametrize("features", [None, grid((1, 6, 6), 2)], ids=["pixels", "patches"])
def test_an_explanation_that_moves_along_with_the_picture_is_continuous(features: Any) -> None:
    case = _round(features)
    for e in (explain.input_x_gradient(case), explain.occlusion(case) if features else explain.saliency(case)):
        score = evaluate.continuity(e, case)
        assert_allclose(score.values, 0.0, atol=1e-5)
        assert_allclose(score.extra["relative"], 0.0, atol=1e-5)


def test_it_equals_the_literal_maximum_over_the_shifts() -> None:
    case = digits(2)
    score = evaluate.continuity(explain.saliency(case, signed=True), case, reach=2)
    best = np.zeros(2)
    for dy, dx in [(1, 0), (-1, 0), (0, 1), (0, -1), (2, 0), (-2, 0), (0, 2), (0, -2)]:
        x = torch.roll(case.rows.x, (dy, dx), dims=(2, 3))
        after = explain.saliency(case.at(x), signed=True).values.reshape(2, 8, 8)
        before = explain.saliency(case, signed=True).values.reshape(2, 8, 8)
        change = np.abs(np.roll(after, (-dy, -dx), axis=(1, 2)) - before).sum(axis=(1, 2))
        best = np.maximum(best, change / (x - case.rows.x).double().flatten(1).norm(dim=1).numpy())
    assert_allclose(score.values, best, rtol=1e-6)


def test_a_wider_reach_computes_only_the_additional_shifts_and_never_lowers_it() -> None:
    case = digits(2)
    e = explain.saliency(case, signed=True)
    one, three = (evaluate.continuity(e, case, reach=r) for r in (1, 3))
    assert one.provenance.cost["backwards"] == 4 * 2
    assert three.provenance.cost["backwards"] == 8 * 2
    assert (three.values >= one.values).all()


def test_an_even_picture_is_undefined() -> None:
    case = ask(model.torch(Round().eval(), gives="logits"), torch.full((1, 1, 6, 6), 0.5), label=0)
    assert np.isnan(evaluate.continuity(explain.saliency(case), case).values).all()


def test_bad_options_and_tables_are_refused() -> None:
    case = digits(1)
    with pytest.raises(InputError, match="reach=0"):
        evaluate.continuity(explain.saliency(case), case, reach=0)
    with pytest.raises(CapabilityError, match="needs images"):
        evaluate.continuity(explain.saliency(curved()), curved())
