# SPDX-License-Identifier: Apache-2.0
"""What a net's layers give, seen as one row passes: names that can be asked for, kinds, shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError

if TYPE_CHECKING:
    import torch as pt

PASSING = ("Dropout", "Identity", "Flatten")
"""Kinds of layers that hand on what they were given."""


@dataclass(frozen=True)
class Reached:
    """A call of a layer: the name it is asked for by, its kind, and the shape it gives a row.

    ``leaf``: it holds no other layers; ``weighted``: it has parameters of its own. ``idle``: what it gives is what a
    pooling, or a layer that only hands on, gave.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    leaf: bool
    weighted: bool
    idle: bool

    @property
    def mapped(self) -> bool:
        """Whether it gives maps (channel, height, width) with more than one position."""
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


def outline(net: pt.nn.Module, ask: Callable[[], Any]) -> list[Reached]:
    """The layers that ``ask``, one pass of ``net``, goes through, in the order in which they finish.

    Layers that return something other than one tensor, row first, are left out, as is the net itself. A layer that is
    called again has the number of the call in its name.
    """
    import torch

    found: list[tuple[str, int, Reached]] = []
    handed: list[pt.Tensor] = []  # kept, so that no other tensor takes their place in memory
    calls: Counter[str] = Counter()

    def hook(name: str) -> Callable[..., None]:
        def passed(module: pt.nn.Module, args: Any, out: Any) -> None:
            call = calls[name]
            calls[name] += 1
            first = out[0] if isinstance(out, tuple) and out else out
            if not isinstance(first, torch.Tensor) or first.ndim < 2:
                return
            kind, leaf = type(module).__name__, next(module.children(), None) is None
            passing = "Pool" in kind or kind.startswith(PASSING)
            idle = passing if leaf else any(first is tensor for tensor in handed)
            if idle:
                handed.append(first)
            weighted = next(module.parameters(recurse=False), None) is not None
            found.append((name, call, Reached(name, kind, tuple(first.shape[1:]), leaf, weighted, idle)))

        return passed

    with ExitStack() as stack:
        for name, module in net.named_modules():
            if name:
                stack.callback(module.register_forward_hook(hook(name)).remove)
        ask()
    return [replace(one, layer=f"{name}#{call}") if calls[name] > 1 else one for name, call, one in found]


def last_maps(reached: list[Reached], name: str) -> str:
    """The last layer that gives maps with more than one position and is no pooling.

    An activation finishes after its convolution, and a block after the layers within it: so it is what the last block
    gives in the end, an activation or a sum that are functions included.
    """
    maps = [one for one in reached if one.mapped and not one.idle]
    if not maps:
        raise CapabilityError(
            f"no layer of {name} gives maps (channel, height, width) with more than one position. Name a layer that "
            f"does with layer=…, or explain the input itself (integrated_gradients, occlusion)."
        )
    return maps[-1].layer


def last_hidden(reached: list[Reached], name: str) -> str:
    """The last layer before the last one with weights of its own."""
    weighted = [place for place, one in enumerate(reached) if one.leaf and one.weighted]
    before = [one for one in reached[: weighted[-1]] if not one.idle] if weighted else []
    if not before:
        raise CapabilityError(f"{name} shows no hidden layer. Name the layer to look at with layer=….")
    return before[-1].layer


def ends_pooled(net: pt.nn.Module | None) -> bool:
    """Whether a net's modules allow for an end in global average pooling and one linear layer; no pass is made.

    The last module with weights is linear, and has one input for each channel of the one before it, a convolution or a
    normalisation. So a pooling that is a function, and no module, is let through; the numbers must tell.
    """
    if net is None:
        return False
    from torch import nn

    weighted = [m for m in net.modules() if next(m.parameters(recurse=False), None) is not None]
    if len(weighted) < 2 or not isinstance(weighted[-1], nn.Linear):
        return False
    before = weighted[-2]
    channels = getattr(before, "out_channels", getattr(before, "num_features", getattr(before, "num_channels", None)))
    return channels == weighted[-1].in_features
