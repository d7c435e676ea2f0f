# SPDX-License-Identifier: Apache-2.0
"""A torch net in which some units of a layer always give 0."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Masks
from assay.model.model import Model


def mask_units(model: Model, layer: str, units: Masks, name: str) -> Model:
    """The model whose ``layer`` (a dotted name) gives 0 where ``units``, of the shape of its activations, is false.

    The layer is replaced by itself and a multiplication, in a copy of the net. ``CapabilityError`` for one call of a
    layer that is called several times.
    """
    from assay.model.adapters.torch import net_fingerprint

    if model.net is None or model.rebuild is None:
        raise CapabilityError(f"{model.name} is no torch net, so it has no units to mask.")
    if "#" in layer or not layer:
        raise CapabilityError(f"layer {layer!r} is one of several calls, or the input; name a layer called once.")
    net = copy.deepcopy(model.net)
    place, _, own = layer.rpartition(".")
    parent = net.get_submodule(place)
    setattr(parent, own, _masked(getattr(parent, own), units))
    other = model.with_net(net, digest(model.fingerprint, "masked", layer, net_fingerprint(net)), name)
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


def _masked(inner: Any, units: Masks) -> Any:
    """The layer, and a multiplication by 0 or 1 after it."""
    import torch

    class Mask(torch.nn.Module):
        """Multiplies by a fixed mask."""

        mask: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            like = next((p for p in inner.parameters() if p.is_floating_point()), None)
            device = None if like is None else like.device
            self.register_buffer("mask", torch.as_tensor(np.asarray(units, dtype=np.float32), device=device))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.mask.to(x.dtype)

    return torch.nn.Sequential(inner, Mask().eval()).train(inner.training)
