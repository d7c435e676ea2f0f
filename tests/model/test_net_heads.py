"""What a net's outputs are does not depend on its weights, nor on which rows come first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import assay
from assay.basics.errors import InputError

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


class Ending(nn.Module):
    """Two scores of a linear layer, and what is done with them."""

    def __init__(self, end: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner, self.end = nn.Linear(4, 2), end

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.inner(x))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.cell = kind(1, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x[..., None])[0][:, -1]


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_a_recurrent_net_gives_logits_whatever_its_weights(kind: type[nn.Module]) -> None:
    for seed in range(60):
        torch.manual_seed(seed)
        assert assay.case(assay.wrap(Recurrent(kind)), X, label=1).model.gives == "logits"


ENDS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str, bool]] = {
    "joined columns": (lambda z: torch.stack([z[:, 0], z[:, 1]], dim=1), "logits", True),
    "a sigmoid each, joined": (
        lambda z: torch.cat([z[:, :1].sigmoid(), z[:, 1:].sigmoid()], dim=1),
        "probabilities",
        False,
    ),
    "a sigmoid of a score and of its negative": (
        lambda z: torch.stack([-z[:, 0], z[:, 0]], dim=1).sigmoid(),
        "probabilities",
        True,
    ),
    "a probability and its complement": (
        lambda z: torch.stack([1 - z[:, 0].sigmoid(), z[:, 0].sigmoid()], dim=1),
        "probabilities",
        True,
    ),
    "a softmax, transposed in place twice": (lambda z: z.softmax(1).t_().t_(), "probabilities", True),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_moves_or_joins_numbers_is_no_head(end: str) -> None:
    call, gives, exclusive = ENDS[end]
    for seed in range(20):
        torch.manual_seed(seed)
        model = assay.case(assay.wrap(Ending(call)), X, label=1).model
        assert (model.gives, model.kind.exclusive) == (gives, exclusive)


def test_numbers_in_the_unit_interval_on_two_rows_only_are_by_chance() -> None:
    net = Ending(lambda z: z * 1.0)
    with torch.no_grad():
        net.inner.weight.copy_(torch.eye(2, 4))
        net.inner.bias.zero_()
    first = torch.tensor([[0.2, 0.4, 0.0, 0.0], [0.6, 0.1, 0.0, 0.0]])
    assert assay.case(assay.wrap(net), torch.cat([first, X]), label=1).model.gives == "logits"
    with pytest.raises(InputError, match="from the operation mul"):
        assay.case(assay.wrap(net), first, label=1)
