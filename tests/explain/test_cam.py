"""Class activation maps."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import pictures, pooled, visual
from tests.oracles import maps

import assay
from assay.basics.errors import CapabilityError
from assay.explain import cam


@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_papers_map(label: int) -> None:
    slow = np.zeros((3, 3, 3))
    for row, picture in enumerate(maps.PICTURES):
        active = maps.activations(picture)
        for k, i, j in np.ndindex(2, 3, 3):
            slow[row, i, j] += maps.POOLED[label, k] * active[k, i, j]
    found = cam(maps.handmade(pooled=True, label=label), signed=True)
    assert_allclose(found.extra["map"], slow, atol=1e-12)
    assert_allclose(cam(maps.handmade(pooled=True, label=label)).extra["map"], np.maximum(slow, 0), atol=1e-12)


def test_the_signed_maps_mean_is_the_logit_less_its_bias() -> None:
    case = pooled()
    found = cam(case, signed=True)
    bias = float(case.model.net[6].bias[1])
    assert_allclose(found.extra["map"].mean(axis=(1, 2)), case.output - bias, atol=1e-12)


def test_of_a_contrast_it_is_the_difference_of_two_maps() -> None:
    case = pooled()
    one, other = (cam(case.with_target(label=k), signed=True).values for k in (1, 2))
    assert_allclose(cam(case.with_target(assay.contrast(2)), signed=True).values, one - other, atol=1e-12)


class Functional(torch.nn.Module):
    """Pools by a function, so that its modules do not show it; its activation is a module, or a function too."""

    def __init__(self, *, hidden: bool) -> None:
        super().__init__()
        self.conv, self.act = torch.nn.Conv2d(3, 4, 3), None if hidden else torch.nn.Tanh()
        self.head = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x)
        return self.head((torch.tanh(maps) if self.act is None else self.act(maps)).mean(dim=(2, 3)))


def test_a_pooling_that_is_no_module_is_checked_by_its_numbers() -> None:
    case = assay.case(assay.wrap(Functional(hidden=False).double()), pictures(), label=1)
    mean = cam(case, signed=True).extra["map"].mean(axis=(1, 2))
    assert_allclose(mean, case.output - float(case.model.net.head.bias[1]), atol=1e-12)
    hidden = assay.case(assay.wrap(Functional(hidden=True).double()), pictures(), label=1)
    with pytest.raises(CapabilityError, match="pooling and one linear layer after layer 'conv'"):
        cam(hidden)


def test_other_nets_targets_and_layers_are_refused_with_grad_cam_named() -> None:
    with pytest.raises(CapabilityError, match=r"needs a net that ends in global average pooling.*grad_cam"):
        cam(visual())
    with pytest.raises(CapabilityError, match=r"probability of .* is not linear .* at row 0, 1, 2. Use grad_cam"):
        cam(pooled().with_target("probability"))
    with pytest.raises(CapabilityError, match=r"has 4 channels, .* 5 inputs. Use grad_cam"):
        cam(pooled(), layer="1")
