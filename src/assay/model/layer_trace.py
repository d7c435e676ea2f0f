# SPDX-License-Identifier: Apache-2.0
"""Trace of a net's layer calls during one pass: names, kinds and shapes, and the layers that methods use by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError

if TYPE_CHECKING:
    import torch as pt

    from assay.model.model import Model
    from assay.nouns.inputs.rows import Rows

PASS_THROUGH = ("Dropout", "Identity", "Flatten")
"""Kinds of layers that return what they receive."""


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer: its name (with the number of the call, if there are several), its kind, its output's shape.

    ``shape`` leaves out the row. ``is_leaf``: the layer has no sublayers; ``has_parameters``: it has parameters of its
    own. ``passes_through``: the output is that of a pooling, or of a layer that returns what it receives.
    ``channel_axis`` is the axis of ``shape`` that holds the channels, ``None`` where the net's operations do not tell.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    is_leaf: bool
    has_parameters: bool
    passes_through: bool
    channel_axis: int | None = None

    def has_maps(self, positions: int = 2) -> bool:
        """Whether the output consists of maps: channels, and so many axes of positions, more than one in all."""
        others = [length for axis, length in enumerate(self.shape) if axis != (self.channel_axis or 0)]
        return len(others) == positions and prod(others) > 1


WITHOUT_CHANNELS = (
    "Rows of a net that adds the axis of channels itself need one for maps: pass x[:, None], and "
    "preprocess=lambda x: x[:, 0]"
)
"""What to do where a net's maps have one axis more than its rows without channels."""


@dataclass(frozen=True)
class LayerTrace:
    """The layer calls of one pass, in the order in which they finish; and which axis of a row holds its channels."""

    calls: list[LayerCall]
    input_axis: int | None = None


def trace_layers(net: pt.nn.Module, run: Callable[[], Any], x: pt.Tensor) -> LayerTrace:
    """The layer calls of ``run``, one pass of ``net`` over the rows ``x``.

    Layers that return something other than one tensor with an axis for the rows are left out, as are those that do not
    depend on the rows (embedded positions), and the net itself. A layer that is called more than once has the number of
    the call in its name.
    """
    import torch

    from assay.model.channel_axes import ChannelAxes

    found: list[tuple[str, int, LayerCall]] = []
    dependent: list[bool] = []
    passed_through: list[pt.Tensor] = []  # stored, so that no other tensor takes their place in memory
    calls: Counter[str] = Counter()
    channels = ChannelAxes(x)

    def make_hook(name: str) -> Callable[..., None]:
        def hook(module: pt.nn.Module, args: Any, kwargs: Any, out: Any) -> None:
            call = calls[name]
            calls[name] += 1
            first = out[0] if isinstance(out, tuple) and out else out
            if not isinstance(first, torch.Tensor) or first.ndim < 2:
                return
            depends = channels.depends((args, kwargs), first)
            row = _row_axis(tuple(first.shape), len(x))
            if row is None:
                return
            kind, is_leaf = type(module).__name__, next(module.children(), None) is None
            passes_kind = "Pool" in kind or kind.startswith(PASS_THROUGH)
            passes = passes_kind if is_leaf else any(first is tensor for tensor in passed_through)
            if passes:
                passed_through.append(first)
            has_parameters = next(module.parameters(recurse=False), None) is not None
            if channels.axis(first) is None:
                channels.inherit((args, kwargs), first)
            axis, shape = channels.axis(first), [*first.shape[:row], *first.shape[row + 1 :]]
            axis = None if axis is None or axis == row else axis - (axis > row)
            found.append((name, call, LayerCall(name, kind, tuple(shape), is_leaf, has_parameters, passes, axis)))
            dependent.append(depends)

        return hook

    with ExitStack() as stack:
        for name, module in net.named_modules():
            if name and not isinstance(module, torch.jit.ScriptModule):  # those take no hooks
                stack.callback(module.register_forward_hook(make_hook(name), with_kwargs=True).remove)
        stack.enter_context(channels)
        run()
    named = [replace(one, layer=f"{name}#{call}") if calls[name] > 1 else one for name, call, one in found]
    kept = [one for one, depends in zip(named, dependent) if depends or not any(dependent)]
    return LayerTrace(kept, channels.input_axis)


def find_channel_axis(model: Model, rows: Rows, layer: str) -> int | None:
    """The axis of the rows of ``layer`` that holds the channels; ``None`` where the net's operations do not tell.

    One pass of one row, which is not counted, finds those of all layers.
    """
    import torch

    if model.net is None or model.layer_access is None or not isinstance(rows.x, torch.Tensor) or not len(rows):
        return None
    key = (model.fingerprint, "channel axes", model.input_layer, rows.shape)
    if key not in model.meter.heads:
        one = rows.take(np.array([0]))
        plain = replace(model, forward=getattr(model.forward, "plain", model.forward))  # a converted net has no layers
        trace = trace_layers(model.net, lambda: plain.values(one), one.x)
        model.meter.heads[key] = {call.layer: call.channel_axis for call in trace.calls}
    axes: dict[str, int | None] = model.meter.heads[key]
    return axes.get(layer)


def _row_axis(shape: tuple[int, ...], rows: int) -> int | None:
    """The axis of the rows: the first, or the only one of their number."""
    axes = [axis for axis, length in enumerate(shape) if length == rows]
    return axes[0] if axes[:1] == [0] or len(axes) == 1 else None


def last_maps_layer(calls: list[LayerCall], name: str, positions: int = 2) -> str:
    """The last layer that gives maps with more than one position and is no pooling.

    An activation finishes after its convolution, and a block after the layers within it. So this is the output of the
    last block, including an activation or a sum that the block computes by a function. Layers whose channels are known
    come first.
    """
    maps = [one for one in calls if one.has_maps(positions) and not one.passes_through]
    if not maps:
        axes = {1: "channel, position", 2: "channel, height, width", 3: "channel, depth, height, width"}[positions]
        advice = "Name a layer that does with layer=…, or explain the input itself (integrated_gradients, occlusion)"
        if any(one.has_maps(positions + 1) and not one.passes_through for one in calls):
            advice = WITHOUT_CHANNELS
        raise CapabilityError(f"no layer of {name} gives maps ({axes}) with more than one position. {advice}.")
    return ([one for one in maps if one.channel_axis is not None] or maps)[-1].layer


def last_hidden_layer(calls: list[LayerCall], name: str) -> str:
    """The last layer before the last one with weights of its own."""
    weighted = [place for place, one in enumerate(calls) if one.is_leaf and one.has_parameters]
    before = [one for one in calls[: weighted[-1]] if not one.passes_through] if weighted else []
    if not before:
        raise CapabilityError(f"{name} has no hidden layer that a trace finds. Name the layer with layer=….")
    return before[-1].layer


def may_end_in_pooling(net: pt.nn.Module | None) -> bool:
    """Whether a net's modules are compatible with an end in global average pooling and one linear layer.

    The last module with weights is linear, and has one input for each channel of the one before it: a convolution, a
    dense layer on channels that come last, or a normalisation. No pass is made, so a pooling that is a function and no
    module is accepted; a method that needs the pooling checks the numbers.
    """
    if net is None:
        return False
    from torch import nn

    weighted = [m for m in net.modules() if next(m.parameters(recurse=False), None) is not None]
    if len(weighted) < 2 or not isinstance(weighted[-1], nn.Linear):
        return False
    before = weighted[-2]
    names = ("out_channels", "num_features", "num_channels", "out_features", "normalized_shape")
    channels = next((getattr(before, name) for name in names if hasattr(before, name)), None)
    return (channels[-1] if isinstance(channels, tuple) else channels) == weighted[-1].in_features
