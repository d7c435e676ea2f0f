"""Agreement with captum where captum is right: a second witness, never the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import net, neural, picture_net, visual

from assay import Constant, explain

ZERO = Constant(0.0)

pytestmark = pytest.mark.peer
attr: Any = pytest.importorskip("captum.attr", reason="captum is not installed (make peers)", exc_type=ImportError)


def inputs(case: Any) -> torch.Tensor:
    return case.rows.x.clone().requires_grad_(True)


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_integrated_gradients_agree_on_a_net(start: float) -> None:
    case = neural()
    theirs = attr.IntegratedGradients(net()).attribute(
        inputs(case), baselines=start, target=1, n_steps=24, method="gausslegendre"
    )
    ours = explain.integrated_gradients(case, start=start, steps=24)
    assert_allclose(ours.values, theirs.detach().numpy(), atol=1e-10)


def test_integrated_gradients_agree_on_pictures() -> None:
    case = visual()
    theirs = attr.IntegratedGradients(picture_net()).attribute(
        inputs(case), target=1, n_steps=16, method="gausslegendre"
    )
    assert_allclose(explain.integrated_gradients(case, steps=16).map(), theirs.detach().numpy(), atol=1e-10)


def test_saliency_agrees() -> None:
    case = visual()
    theirs = attr.Saliency(picture_net()).attribute(inputs(case), target=1)
    assert_allclose(explain.saliency(case).map(), theirs.detach().numpy(), atol=1e-12)


def test_signed_saliency_agrees() -> None:
    case = neural()
    theirs = attr.Saliency(net()).attribute(inputs(case), target=1, abs=False)
    assert_allclose(explain.saliency(case, signed=True).values, theirs.detach().numpy(), atol=1e-12)


def test_input_times_gradient_agrees() -> None:
    case = neural()
    theirs = attr.InputXGradient(net()).attribute(inputs(case), target=1)
    assert_allclose(explain.input_x_gradient(case).values, theirs.detach().numpy(), atol=1e-12)


def test_exact_shapley_agrees_with_all_permutations() -> None:
    from itertools import permutations

    case, module = neural(), net()
    sampler = attr.ShapleyValueSampling(module)
    theirs = sampler.attribute(case.rows.x, baselines=0.0, target=1, n_samples=1)
    assert theirs.shape == case.rows.x.shape
    # captum draws its permutations; all of them, one by one, through its ablation, are the exact value
    total = np.zeros(case.rows.x.shape)
    orders = list(permutations(range(4)))
    with torch.no_grad():
        for order in orders:
            kept = torch.zeros_like(case.rows.x)
            before = module(kept)[:, 1]
            for part in order:
                kept[:, part] = case.rows.x[:, part]
                after = module(kept)[:, 1]
                total[:, part] += (after - before).numpy()
                before = after
    assert_allclose(explain.shapley(case, remove=ZERO).values, total / len(orders), atol=1e-10)


def test_occlusion_agrees_with_feature_ablation() -> None:
    case = neural()
    theirs = attr.FeatureAblation(net()).attribute(case.rows.x, baselines=0.0, target=1)
    assert_allclose(explain.occlusion(case, remove=ZERO).values, theirs.detach().numpy(), atol=1e-10)


def test_occlusion_agrees_with_feature_ablation_of_patches() -> None:
    case = visual()
    mask = torch.as_tensor(case.features.index)[None]
    theirs = attr.FeatureAblation(picture_net()).attribute(case.rows.x, baselines=0.0, target=1, feature_mask=mask)
    assert_allclose(case.features.map(explain.occlusion(case, remove=ZERO).values), theirs.detach().numpy(), atol=1e-10)


def test_infidelity_and_ours_rank_two_explanations_alike() -> None:
    from captum.metrics import infidelity

    case, module = neural(), net()
    generator = np.random.default_rng(0)

    def removed(x: torch.Tensor, baselines: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        gone = torch.as_tensor(generator.random(x.shape) < 0.5)
        moved = torch.where(gone, torch.zeros_like(x), x)
        return x - moved, moved

    ours = explain.integrated_gradients(case).values
    good = infidelity(module, removed, case.rows.x, torch.as_tensor(np.array(ours)), target=1, n_perturb_samples=400)
    bad = infidelity(module, removed, case.rows.x, torch.as_tensor(-ours), target=1, n_perturb_samples=400)
    assert (good < bad).all()
