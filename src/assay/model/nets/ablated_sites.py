# SPDX-License-Identifier: Apache-2.0
"""A torch net whose gates of recurrent cells and heads of attention take their mean at chosen positions."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Floats, Masks
from assay.model.model import Model

GATES_SITE = "gates"
"""The last name of a site of gates (``open_lstm``); other sites are layers whose input are the heads' states."""


@contextmanager
def record_sites(net: Any, sites: Sequence[str], found: dict[str, list[Any]]) -> Iterator[None]:
    """Context in which what each site gets is added to ``found``: gates (row, 4, unit) of each time, heads' states."""
    with ExitStack() as stack:
        for site in sites:

            def on_input(module: Any, args: Any, site: str = site) -> None:
                found.setdefault(site, []).append(args[0].detach())

            stack.callback(net.get_submodule(site).register_forward_pre_hook(on_input).remove)
        yield


def ablate_sites(model: Model, keep: Mapping[str, Masks], means: Mapping[str, Floats], name: str) -> Model:
    """The model in which each site takes its mean wherever ``keep`` is false.

    ``keep`` and ``means`` have for each site the shape (position, 4, unit) of gates, or (position, width) of the
    heads' states. The model then takes rows with as many positions only (``CapabilityError`` when it runs).
    """
    from assay.model.adapters.torch import net_fingerprint

    if model.net is None or model.rebuild is None:
        raise CapabilityError(f"{model.name} is no torch net, so it has no gates or heads.")
    net = copy.deepcopy(model.net)
    for site, mask in keep.items():
        place, _, own = site.rpartition(".")
        parent = net.get_submodule(place)
        inner = getattr(parent, own)
        make = _gates if own == GATES_SITE else _heads
        made = make(inner, np.broadcast_to(mask, means[site].shape), means[site])
        setattr(parent, own, made.to(model.device))
    other = model.with_net(net, digest(model.fingerprint, "ablated", net_fingerprint(net)), name)
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


def _gates(inner: Any, mask: Masks, values: Floats) -> Any:
    """Gates that take their mean at some times."""
    import torch

    class AblatedGates(torch.nn.Module):
        """The gates of one time, or their means."""

        keep: torch.Tensor
        means: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            _register(self, mask, values)

        def forward(self, gates: torch.Tensor, time: int) -> torch.Tensor:
            if time >= len(self.keep):
                raise CapabilityError(_other_length(len(self.keep), time + 1))
            return torch.where(self.keep[time], gates, self.means[time].to(gates.dtype))

    return AblatedGates().train(inner.training)


def _heads(inner: Any, mask: Masks, values: Floats) -> Any:
    """A mixer of heads whose input takes its mean at some positions."""
    import torch

    class AblatedHeads(torch.nn.Module):
        """The mixer, with means in its input."""

        keep: torch.Tensor
        means: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.mixer = inner
            _register(self, mask, values)

        def forward(self, states: torch.Tensor) -> Any:
            if states.shape[1] != len(self.keep):
                raise CapabilityError(_other_length(len(self.keep), states.shape[1]))
            return self.mixer(torch.where(self.keep, states, self.means.to(states.dtype)))

    return AblatedHeads().train(inner.training)


def _register(module: Any, keep: Masks, means: Floats) -> None:
    import torch

    module.register_buffer("keep", torch.as_tensor(np.array(keep, dtype=bool)))
    module.register_buffer("means", torch.as_tensor(np.array(means, dtype=np.float64)))


def _other_length(known: int, found: int) -> str:
    return f"the gates of this model were averaged over rows of {known} positions; this row has {found}."
