# SPDX-License-Identifier: Apache-2.0
"""Passes of a net that is cut at layers: the states with autograd's graph, and tangents restricted to some nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError
from assay.model.layer_slices import LayerHook
from assay.model.pass_locks import forward_mode
from assay.nouns.inputs.rows import Rows, to_double

if TYPE_CHECKING:
    import torch as pt

Read = Callable[[Any], Any]
"""The target (point,) as a function of a net's outputs."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear layer inside a cut layer that mixes the heads of its attention: its dotted name and their number."""

    layer: str
    heads: int


@dataclass(frozen=True, eq=False)
class PathNet:
    """A net cut at ``layers``, each a full cut between its input and its output.

    ``projections`` names for each layer the linear layer that mixes the heads of its attention, where there is one.
    """

    net: Any
    layers: tuple[str, ...]
    projections: Mapping[str, Projection]

    def record(self, rows: Rows, read: Read) -> PathStates:
        """One pass at the points ``rows``: all states, the target, and autograd's graph between them."""
        import torch

        x = rows.x.detach().clone().requires_grad_(True)
        found: dict[str, pt.Tensor] = {}
        inputs: dict[str, pt.Tensor] = {}

        def record_state(layer: str) -> LayerHook:
            def hook(out: pt.Tensor) -> pt.Tensor:
                found[layer] = out.clone()  # a node of its own: the gradient stops here
                return found[layer]

            return hook

        def record_input(layer: str, given: pt.Tensor) -> pt.Tensor:
            inputs[layer] = given.clone()
            return inputs[layer]

        with torch.enable_grad(), self._projection_inputs(record_input):
            hooks = {layer: record_state(layer) for layer in self.layers}
            total = read(self.net.scores(self.net.run(replace(rows, x=x), hooks), rows))
        return PathStates(self, rows, (x, *(found[layer] for layer in self.layers)), inputs, total)

    def tangents(
        self, rows: Rows, along: pt.Tensor, restrict: Sequence[pt.Tensor | None]
    ) -> tuple[tuple[pt.Tensor, ...], dict[str, pt.Tensor]]:
        """The derivative of every state when the rows move ``along``, by one pass in forward mode.

        After state l is recorded, its tangent is multiplied by ``restrict[l]`` (``None``: left as it is), so that state
        l + 1 gets what passes through the chosen nodes only. Also the tangents of the projections' inputs.
        """
        import torch

        found, inputs = [along], {}

        def hook_at(place: int) -> LayerHook:
            def hook(out: pt.Tensor) -> pt.Tensor:
                primal, tangent = unpacked(out)
                found.append(tangent)
                return dual(primal, tangent, restrict[place])

            return hook

        def read_input(layer: str, given: pt.Tensor) -> pt.Tensor:
            inputs[layer] = unpacked(given)[1]
            return given

        with torch.enable_grad(), self._projection_inputs(read_input), forward_mode():
            x = dual(rows.x.detach().clone().requires_grad_(True), along, restrict[0])
            self.net.run(replace(rows, x=x), {layer: hook_at(place + 1) for place, layer in enumerate(self.layers)})
        return tuple(found), inputs

    @contextmanager
    def _projection_inputs(self, change: Callable[[str, pt.Tensor], pt.Tensor]) -> Iterator[None]:
        """Context in which the input of each projection goes through ``change(cut layer, input)``."""
        with ExitStack() as stack:
            for layer, projection in self.projections.items():

                def on_input(module: Any, args: Any, layer: str = layer) -> Any:
                    return (change(layer, args[0]), *args[1:])

                module = self.net.module.get_submodule(projection.layer)
                stack.callback(module.register_forward_pre_hook(on_input).remove)
            yield


@dataclass(frozen=True, eq=False)
class PathStates:
    """The states of one pass: state 0 are the rows, state l the output of layer l (point, node, …); with the graph."""

    cut: PathNet
    rows: Rows
    states: tuple[pt.Tensor, ...]
    inputs: Mapping[str, pt.Tensor]
    total: pt.Tensor

    @cached_property
    def gradients(self) -> tuple[pt.Tensor, ...]:
        """The gradient of the target with respect to every state, by one backward pass."""
        import torch

        return torch.autograd.grad(self.total.sum(), self.states, retain_graph=True, materialize_grads=True)

    def pull(self, place: int, adjoint: pt.Tensor) -> tuple[pt.Tensor, pt.Tensor | None]:
        """Jᵀ · adjoint from state ``place`` to the state before it, and to the input of the layer's projection."""
        import torch

        layer = self.cut.layers[place - 1]
        wanted = [self.states[place - 1], *([self.inputs[layer]] if layer in self.inputs else [])]
        found = torch.autograd.grad(
            self.states[place], wanted, adjoint, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return found[0], found[1] if len(found) > 1 else None


def pair(one: pt.Tensor, other: pt.Tensor) -> pt.Tensor:
    """The products of an adjoint and a tangent, element by element, in float64."""
    product: pt.Tensor = to_double(one.detach()) * to_double(other.detach())
    return product


def unpacked(out: pt.Tensor) -> tuple[pt.Tensor, pt.Tensor]:
    """The value of a dual number, and its tangent, 0 where it has none."""
    import torch
    from torch.autograd import forward_ad

    parts = forward_ad.unpack_dual(out)  # type: ignore[no-untyped-call]  # torch gives it no types
    tangent = torch.zeros_like(parts.primal) if parts.tangent is None else parts.tangent
    return parts.primal, tangent.detach().clone()


def dual(primal: pt.Tensor, tangent: pt.Tensor, restrict: pt.Tensor | None) -> pt.Tensor:
    """A dual number whose tangent is multiplied by ``restrict`` (``None``: left as it is)."""
    from torch.autograd import forward_ad

    own = tangent.to(primal.dtype) if restrict is None else (tangent * restrict).to(primal.dtype)
    made: pt.Tensor = forward_ad.make_dual(primal, own)  # type: ignore[no-untyped-call]  # torch gives it no types
    return made


def open_net(access: Any, name: str) -> Any:
    """The net behind a model's access to layers, evaluated without padding; ``CapabilityError`` where there is none."""
    inner = access
    while not hasattr(inner, "run") and hasattr(inner, "net"):
        inner = inner.net
    if not hasattr(inner, "run"):
        raise CapabilityError(f"{name} shows no layers whose Jacobians could be read; give an eager torch net.")
    return inner
