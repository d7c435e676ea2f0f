# SPDX-License-Identifier: Apache-2.0
"""Hooks on a net's layers: they read a layer's activations, or replace them, so that a net can be cut at a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError, InputError

if TYPE_CHECKING:
    import torch as pt

ROWS, NET_INPUT = "rows", ""
"""The input layer of an uncut model (the rows as given), and the net's own input (after ``preprocess``)."""

LayerHook = Callable[["pt.Tensor"], "pt.Tensor | None"]
"""A function of a layer's output; a tensor that it returns replaces the output."""


CARRIED = "assay at "
"""How the names of rows begin that a model cut at a layer carries along; the caller's further inputs have others."""


def carried_name(layer: str) -> str:
    """The name under which the rows of a model cut at ``layer`` carry the rows of the model before the cut."""
    return f"{CARRIED}{layer or 'the net'}"


def submodule(net: pt.nn.Module, layer: str) -> pt.nn.Module:
    """The layer of this dotted name; raises ``InputError`` with the nearest names."""
    names = dict(net.named_modules())
    if layer not in names or layer == "":
        import difflib

        near = difflib.get_close_matches(layer, list(names), n=4, cutoff=0.3)
        raise InputError(f"no layer {layer!r}; near names: {', '.join(near) or ', '.join(list(names)[1:6])}.")
    return names[layer]


def find_layer_call(net: pt.nn.Module, layer: str) -> tuple[pt.nn.Module, int | None]:
    """A layer and the number of its call: ``"relu#2"`` is the third call of a module that is used several times."""
    name, separator, call = layer.partition("#")
    if separator and not call.isdigit():
        raise InputError(f"layer {layer!r}: after # comes the number of the call, 0 for the first.")
    return submodule(net, name), int(call) if separator else None


@contextmanager
def hook_layers(net: pt.nn.Module, hooks: Mapping[str, LayerHook]) -> Iterator[None]:
    """Context in which each layer's output goes through its hook; the hooks are removed at the end, also after errors.

    A layer may return one tensor, alone or first in a tuple. A layer that is called more than once needs the number of
    the call (``"relu#0"``), and one that the pass never reaches is refused: both are ``CapabilityError``.
    """
    import torch

    calls = dict.fromkeys(hooks, 0)

    def make_hook(layer: str, number: int | None, hook: LayerHook) -> Callable[..., Any]:
        def on_output(module: pt.nn.Module, args: Any, out: Any) -> Any:
            call = calls[layer]
            calls[layer] += 1
            if number is not None and call != number:
                return None
            several = isinstance(out, tuple)
            tensors = [part for part in (out if several else (out,)) if isinstance(part, torch.Tensor)]
            if len(tensors) != 1 or (several and tensors[0] is not out[0]):
                raise CapabilityError(f"layer {layer!r} returns {type(out).__name__}, not a tensor.")
            first = tensors[0]
            new = hook(first)
            return new if new is None or first is out else (new, *out[1:])

        return on_output

    with ExitStack() as stack:
        for layer, hook in hooks.items():
            module, number = find_layer_call(net, layer)
            if isinstance(module, torch.jit.ScriptModule):
                raise CapabilityError(
                    f"layer {layer!r} is scripted (torch.jit), so it cannot be read or replaced. Give the net from "
                    f"before torch.jit.script or torch.jit.trace."
                )
            stack.callback(module.register_forward_hook(make_hook(layer, number, hook)).remove)
        yield
    for layer, count in calls.items():
        number = find_layer_call(net, layer)[1]
        if count == 0:
            raise CapabilityError(f"layer {layer!r} was not reached by the forward pass.")
        if number is None and count > 1:
            raise CapabilityError(
                f"layer {layer!r} is called {count} times in a pass; name one call: '{layer}#{count - 1}' is the last."
            )
        if number is not None and number >= count:
            raise CapabilityError(f"layer {layer!r}: the pass calls it {count} times only, numbered from 0.")
