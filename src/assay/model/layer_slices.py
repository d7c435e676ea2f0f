# SPDX-License-Identifier: Apache-2.0
"""Places inside a net: reading a layer's activations, and running a net on from activations given to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError, InputError

if TYPE_CHECKING:
    import torch as pt

ROWS, OWN = "rows", ""
"""The slice every model starts at (the rows as given), and the net's own input (after ``preprocess``)."""

Visit = Callable[["pt.Tensor"], "pt.Tensor | None"]
"""What happens to a layer's output when it comes by: a tensor returned takes its place."""


def held(place: str) -> str:
    """The name under which activations beneath a slice are carried along."""
    return f"assay at {place or 'the net'}"


def submodule(net: pt.nn.Module, layer: str) -> pt.nn.Module:
    """The layer of this dotted name; raises ``InputError`` with the nearest names."""
    names = dict(net.named_modules())
    if layer not in names or layer == "":
        import difflib

        near = difflib.get_close_matches(layer, list(names), n=4, cutoff=0.3)
        raise InputError(f"no layer {layer!r}; near names: {', '.join(near) or ', '.join(list(names)[1:6])}.")
    return names[layer]


def address(net: pt.nn.Module, layer: str) -> tuple[pt.nn.Module, int | None]:
    """A layer and which of its calls is meant: ``"relu#2"`` is the third call of a module that is used again."""
    name, fingerprint, call = layer.partition("#")
    if fingerprint and not call.isdigit():
        raise InputError(f"layer {layer!r}: after # comes the number of the call, 0 for the first.")
    return submodule(net, name), int(call) if fingerprint else None


@contextmanager
def visited(net: pt.nn.Module, visits: Mapping[str, Visit]) -> Iterator[None]:
    """While open, each layer's output goes through its visit; hooks are gone afterwards, whatever happens.

    A layer may return one tensor, alone or first in a tuple. One that is called more than once must be addressed with
    the number of the call (``"relu#0"``), and one that is never reached is refused: both are ``CapabilityError``.
    """
    import torch

    calls = dict.fromkeys(visits, 0)

    def hook(layer: str, wanted: int | None, visit: Visit) -> Callable[..., Any]:
        def passed(module: pt.nn.Module, args: Any, out: Any) -> Any:
            call = calls[layer]
            calls[layer] += 1
            if wanted is not None and call != wanted:
                return None
            several = isinstance(out, tuple)
            tensors = [part for part in (out if several else (out,)) if isinstance(part, torch.Tensor)]
            if len(tensors) != 1 or (several and tensors[0] is not out[0]):
                raise CapabilityError(f"layer {layer!r} returns {type(out).__name__}, not a tensor.")
            first = tensors[0]
            new = visit(first)
            return new if new is None or first is out else (new, *out[1:])

        return passed

    with ExitStack() as stack:
        for layer, visit in visits.items():
            module, wanted = address(net, layer)
            stack.callback(module.register_forward_hook(hook(layer, wanted, visit)).remove)
        yield
    for layer, count in calls.items():
        wanted = address(net, layer)[1]
        if count == 0:
            raise CapabilityError(f"layer {layer!r} was not reached by the forward pass.")
        if wanted is None and count > 1:
            raise CapabilityError(
                f"layer {layer!r} is called {count} times in a pass; say which call: '{layer}#{count - 1}' is the last."
            )
        if wanted is not None and wanted >= count:
            raise CapabilityError(f"layer {layer!r}: the pass calls it {count} times only, numbered from 0.")
