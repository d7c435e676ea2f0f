"""Steps of Adam: those of torch's optimiser, for arrays and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.engine.adam import Adam


@pytest.mark.parametrize("decays", [(0.9, 0.999), (0.5, 0.9)])
def test_steps_are_those_of_torchs_optimiser(decays: tuple[float, float]) -> None:
    slopes = np.random.default_rng(0).normal(size=(7, 5))
    weight = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
    reference = torch.optim.Adam([weight], lr=0.1, betas=decays)
    own, of_tensors, x = Adam(*decays), Adam(*decays), np.zeros(5)
    for slope in slopes:
        weight.grad = torch.tensor(slope)
        reference.step()
        step = own.step(slope)
        np.testing.assert_allclose(of_tensors.step(torch.tensor(slope)).numpy(), step, rtol=1e-12)
        x = x - 0.1 * step
        np.testing.assert_allclose(weight.detach().numpy(), x, rtol=1e-12, atol=1e-15)
