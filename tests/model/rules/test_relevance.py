"""The absorbed relevance of each operation in LRP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import assay
from assay import explain


class Around(torch.nn.Module):
    """A linear layer, the function ``middle``, a linear head."""

    def __init__(self, middle: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.a, self.head, self.middle = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2), middle

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.a(x))[:, :4])


def written(h: torch.Tensor) -> torch.Tensor:
    out = torch.ones(len(h), 4, dtype=h.dtype)
    out[:, :2] = h[:, 2:]
    out[:, 3] += h[:, 0]
    return out


CONSTANT = torch.tensor([0.3, -1.0, 2.0, 0.5], dtype=torch.float64)
TENSOR = torch.linspace(-1, 1, 64, dtype=torch.float64).reshape(4, 4, 4).sin()
MIDDLES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a number added": lambda h: h + 0.7,
    "a number less": lambda h: 0.7 - h,
    "a constant added": lambda h: h + CONSTANT,
    "itself added": lambda h: h + h,
    "joined with a constant": lambda h: torch.cat([CONSTANT[:2].expand(len(h), 2), h], 1),
    "joined with itself": lambda h: torch.cat([h[:, 2:], h[:, :2]], 1),
    "stacked with a constant": lambda h: torch.stack([h, CONSTANT.expand_as(h)]).sum(0),
    "a constant where it is low": lambda h: torch.where(h < 0, CONSTANT, h),
    "masked": lambda h: h.masked_fill(h < 0, 3.0),
    "padded": lambda h: torch.nn.functional.pad(h[:, :3], (1, 0), value=2.0),
    "written into a constant": written,
    "sigmoid": torch.sigmoid,
    "sigmoid of zero": lambda h: torch.sigmoid(h * 0),
    "softplus": torch.nn.functional.softplus,
    "clamped from above 0": lambda h: h.clamp(min=0.2),
    "a maximum with a constant": lambda h: torch.maximum(h, CONSTANT),
    "softmax": lambda h: torch.softmax(h, -1),
    "log softmax": lambda h: torch.log_softmax(h, -1),
    "a bilinear map": lambda h: torch.nn.functional.bilinear(h, h, TENSOR, CONSTANT),
    "a bilinear map of a constant": lambda h: torch.nn.functional.bilinear(h, CONSTANT.expand_as(h), TENSOR, CONSTANT),
    "masked softmax": lambda h: torch.softmax(h.masked_fill(h < 0, -torch.inf), -1) + h,
}


@pytest.mark.parametrize("middle", MIDDLES.values(), ids=MIDDLES)
@pytest.mark.parametrize("composite", ["zero", "epsilon", "alpha_beta", "gamma"])
def test_constants_absorb_relevance(middle: Callable[[torch.Tensor], torch.Tensor], composite: str) -> None:
    torch.manual_seed(2)
    net = Around(middle).double()
    case = assay.case(assay.wrap(net), torch.randn(5, 4, dtype=torch.float64), label=0)
    found = explain.lrp(case, composite=composite)
    left = case.output - found.values.sum(axis=1) - found.extra["absorbed"]
    assert abs(left).max() < 1e-10 * (abs(case.output) + abs(found.extra["absorbed"])).max()


def test_a_net_whose_paths_end_in_constants_is_refused() -> None:
    net = Around(lambda h: 1 / (3 + torch.sigmoid(h))).double()
    case = assay.case(assay.wrap(net), torch.randn(2, 4, dtype=torch.float64), label=0)
    with pytest.raises(assay.basics.errors.CapabilityError, match="nothing reaches the input"):
        explain.lrp(case)


@pytest.mark.parametrize("composite", ["flat", "w_square", "box"])
def test_a_first_layer_after_zero_padding_uses_the_first_rule(composite: str) -> None:
    torch.manual_seed(4)
    layers = [torch.nn.ZeroPad2d((0, 1, 2, 0)), torch.nn.Conv2d(2, 3, 3), torch.nn.ReLU(), torch.nn.Flatten()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(3 * 5 * 4, 2)).double()
    case = assay.case(assay.wrap(net), torch.randn(3, 2, 5, 5, dtype=torch.float64), label=1)
    found = explain.lrp(case, composite=composite, low=-3.0, high=3.0)
    assert abs(found.extra["conservation"]).max() < 1e-10
    assert (found.values != 0).mean() > 0.8  # a corner may see rectifiers alone that are off
