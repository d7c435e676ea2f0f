# SPDX-License-Identifier: Apache-2.0
"""Trace of a net's layer calls during one pass: names, kinds and shapes, and the layers that methods use by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError

if TYPE_CHECKING:
    import torch as pt

PASS_THROUGH = ("Dropout", "Identity", "Flatten")
"""Kinds of layers that return what they receive."""


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer: its name (with the number of the call, if there are several), its kind, its output's shape.

    ``shape`` leaves out the row. ``is_leaf``: the layer has no sublayers; ``has_parameters``: it has parameters of its
    own. ``passes_through``: the output is that of a pooling, or of a layer that returns what it receives.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    is_leaf: bool
    has_parameters: bool
    passes_through: bool

    @property
    def is_spatial(self) -> bool:
        """Whether the output consists of maps (channel, height, width) with more than one position."""
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


def trace_layers(net: pt.nn.Module, run: Callable[[], Any]) -> list[LayerCall]:
    """The layer calls of ``run``, one pass of ``net``, in the order in which they finish.

    Layers that return something other than one tensor, row first, are left out, as is the net itself. A layer that is
    called more than once has the number of the call in its name.
    """
    import torch

    found: list[tuple[str, int, LayerCall]] = []
    passed_through: list[pt.Tensor] = []  # stored, so that no other tensor takes their place in memory
    calls: Counter[str] = Counter()

    def make_hook(name: str) -> Callable[..., None]:
        def hook(module: pt.nn.Module, args: Any, out: Any) -> None:
            call = calls[name]
            calls[name] += 1
            first = out[0] if isinstance(out, tuple) and out else out
            if not isinstance(first, torch.Tensor) or first.ndim < 2:
                return
            kind, is_leaf = type(module).__name__, next(module.children(), None) is None
            passes_kind = "Pool" in kind or kind.startswith(PASS_THROUGH)
            passes = passes_kind if is_leaf else any(first is tensor for tensor in passed_through)
            if passes:
                passed_through.append(first)
            has_parameters = next(module.parameters(recurse=False), None) is not None
            found.append((name, call, LayerCall(name, kind, tuple(first.shape[1:]), is_leaf, has_parameters, passes)))

        return hook

    with ExitStack() as stack:
        for name, module in net.named_modules():
            if name:
                stack.callback(module.register_forward_hook(make_hook(name)).remove)
        run()
    return [replace(one, layer=f"{name}#{call}") if calls[name] > 1 else one for name, call, one in found]


def last_spatial_layer(calls: list[LayerCall], name: str) -> str:
    """The last layer that gives maps with more than one position and is no pooling.

    An activation finishes after its convolution, and a block after the layers within it. So this is the output of the
    last block, including an activation or a sum that the block computes by a function.
    """
    maps = [one for one in calls if one.is_spatial and not one.passes_through]
    if not maps:
        raise CapabilityError(
            f"no layer of {name} gives maps (channel, height, width) with more than one position. Name a layer that "
            f"does with layer=…, or explain the input itself (integrated_gradients, occlusion)."
        )
    return maps[-1].layer


def last_hidden_layer(calls: list[LayerCall], name: str) -> str:
    """The last layer before the last one with weights of its own."""
    weighted = [place for place, one in enumerate(calls) if one.is_leaf and one.has_parameters]
    before = [one for one in calls[: weighted[-1]] if not one.passes_through] if weighted else []
    if not before:
        raise CapabilityError(f"{name} has no hidden layer that a trace finds. Name the layer with layer=….")
    return before[-1].layer


def may_end_in_pooling(net: pt.nn.Module | None) -> bool:
    """Whether a net's modules are compatible with an end in global average pooling and one linear layer.

    The last module with weights is linear, and has one input for each channel of the one before it, a convolution or a
    normalisation. No pass is made, so a pooling that is a function and no module is accepted; a method that needs the
    pooling checks the numbers.
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
