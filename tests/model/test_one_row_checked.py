"""A net that mixes the rows of a batch is refused, although one row alone is explained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay.basics.errors import CapabilityError

TABLE = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))


class Ending(nn.Module):
    """A linear layer and a function."""

    def __init__(self, after: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.last, self.after = nn.Linear(4, 2), after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.last(x))


DEPENDENT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a softmax over the rows": lambda z: z.softmax(0),
    "scores less their mean": lambda z: z - z.mean(0),
    "sorted scores": lambda z: z.sort(0).values,
    "sums of the rows before": lambda z: z.cumsum(0),
    "scores less those of the first row": lambda z: z - z[:1],
    "scores less those of the last row": lambda z: z - z[-1:],
}


@pytest.mark.parametrize("x", [TABLE, torch.ones(1, 4)], ids=["numbers", "equal numbers"])
@pytest.mark.parametrize("name", DEPENDENT)
def test_a_net_that_mixes_rows_is_refused_although_one_row_is_explained(name: str, x: torch.Tensor) -> None:
    torch.manual_seed(0)
    with pytest.raises(CapabilityError, match="depend on the other rows of the batch or on their order"):
        _ = assay.case(assay.wrap(Ending(DEPENDENT[name]).eval(), output="logits"), x, label=1).output


def test_one_row_of_a_net_whose_other_rows_fail_is_explained() -> None:
    def one_row(z: torch.Tensor) -> torch.Tensor:
        assert len(z) == 1
        return z

    net = Ending(one_row).eval()
    with torch.no_grad():
        assert_allclose(assay.case(assay.wrap(net), TABLE, label=1).output, net(TABLE)[:, 1], atol=1e-6)
