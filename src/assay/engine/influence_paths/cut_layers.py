# SPDX-License-Identifier: Apache-2.0
"""The layers at which a net can be cut for paths: full cuts, which every path from the input to the output crosses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.influence_paths.path_passes import PathNet, Projection, Read, dual, pair, unpacked
from assay.model.pass_locks import forward_mode
from assay.nouns.inputs.rows import Rows

if TYPE_CHECKING:
    import torch as pt

MIXERS = frozenset({"o_proj", "c_proj", "out_proj", "out_lin", "dense", "o"})
"""Names of the linear layer that mixes the heads of an attention, in the nets of transformers."""

TOLERANCE = {"float64": 1e-5, "float32": 1e-3}
"""How far what crosses a layer may lie from the whole derivative, relative to it; 0.05 in other number types.

Nets in float64 compute some steps in float32 (norms and rotations of the Llama kind)."""


@dataclass(eq=False)
class _Call:
    """A module's call whose output has the shape of a state."""

    name: str
    out: pt.Tensor
    tangent: pt.Tensor
    reads: pt.Tensor | None
    is_plain: bool
    has_weights: bool


@dataclass(eq=False)
class _Trace:
    """What a pass of one row calls, in order: states by name, and mixers of heads with what they come after."""

    calls: list[_Call] = field(default_factory=list)
    mixers: list[tuple[str, int, int]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    returned: Any = None


def find_cut(net: Any, rows: Rows, read: Read, layers: Sequence[str], seed: Seed) -> PathNet:
    """The net cut at ``layers``, or where none are named at all layers that are full cuts, in the order of the pass.

    A layer is a full cut where the derivative of the target along a random direction is the same through the layer as
    through the whole net. ``rows`` is one row: (position, width) or (unit,); states of other numbers of axes are no
    cuts. ``InputError`` for a named layer that is none, ``CapabilityError`` where there is none at all.
    """
    import torch

    direction = torch.as_tensor(seed.child("cut").generator().standard_normal(tuple(rows.x.shape)))
    trace = _Trace()
    x = rows.x.detach().clone().requires_grad_(True)
    total = _traced(net, rows, x, direction.to(x), read, trace)
    calls = [one for one in trace.calls if trace.counts[one.name] == 1 and one.out is not trace.returned]
    calls = [one for one in calls if one.out.requires_grad]
    found: tuple[Any, ...] = torch.autograd.grad(total.sum(), [x, *(one.out for one in calls)], allow_unused=True)
    whole = float(pair(found[0], direction.to(x)).sum()) if found[0] is not None else 0.0
    limit = TOLERANCE.get(str(x.dtype).removeprefix("torch."), 0.05) * abs(whole)
    full = [
        call
        for call, slope in zip(calls, found[1:])
        if slope is not None and abs(float(pair(slope, call.tangent).sum()) - whole) <= limit
    ]
    names = [one.name for one in full]
    layers = [trace.aliases.get(one, one) for one in layers]
    odd = [one for one in layers if one not in names]
    if odd:
        raise InputError(
            f"layer {odd[0]!r} is not crossed by every path once; such layers are {', '.join(names[:40])}."
        )
    chosen = [one.name for one in (full if layers else _without_inputs_of_activations(full))]
    chosen = [one for one in chosen if not layers or one in layers]
    if not chosen or whole == 0:
        raise CapabilityError(
            "no layer of the net is crossed by every path from the input to the output once, with states (position, "
            "width) or (unit,) like the rows: influence paths need a stack of layers."
        )
    places = {one.name: number for number, one in enumerate(trace.calls)}
    return PathNet(net, tuple(chosen), _projections(net, trace, [places[one] for one in chosen], chosen))


def _without_inputs_of_activations(full: Sequence[_Call]) -> list[_Call]:
    """The layers without those whose output is only the input of the next, a module without weights."""
    following: list[_Call | None] = [*full[1:], None]
    return [
        one
        for one, after in zip(full, following)
        if after is None or not (one.is_plain and one.has_weights and not after.has_weights and after.reads is one.out)
    ]


def _traced(net: Any, rows: Rows, x: pt.Tensor, direction: pt.Tensor, read: Read, trace: _Trace) -> pt.Tensor:
    """The target (1,) of a pass in forward mode, while every module's call is recorded."""
    import torch

    with torch.enable_grad(), _recorded(net.module, len(rows.shape) + 1, rows.shape, trace), forward_mode():
        out = net.run(replace(rows, x=dual(x, direction, None)))
        found = out if isinstance(out, torch.Tensor) else getattr(out, "logits", out[0] if len(out) else None)
        trace.returned = found
        return unpacked(read(net.scores(out, rows)))[0]


@contextmanager
def _recorded(module: Any, axes: int, shape: Sequence[int], trace: _Trace) -> Iterator[None]:
    """Context in which the calls of all modules are added to ``trace``."""
    import torch

    def make_hook(name: str) -> Callable[..., Any]:
        def hook(one: Any, args: Any, out: Any) -> Any:
            trace.counts[name] = trace.counts.get(name, 0) + 1
            first = out[0] if isinstance(out, tuple) and out else out
            if not isinstance(first, torch.Tensor) or not first.is_floating_point() or first.ndim != axes:
                return None
            if len(first) != 1 or (axes == 3 and first.shape[1] != shape[0]):
                return None
            inner = next((call.name for call in trace.calls if first is call.out), None)
            if inner is not None:  # a container that returns its last module's output
                trace.aliases[name] = inner
                return None
            new = first.clone()
            tangent = unpacked(new)[1]
            weights = any(True for _ in one.parameters())
            given = args[0] if args and isinstance(args[0], torch.Tensor) else None
            trace.calls.append(_Call(name, new, tangent, given, not any(True for _ in one.children()), weights))
            return new if first is out else (new, *out[1:])

        return hook

    def make_mixer_hook(name: str) -> Callable[..., Any]:
        def hook(one: Any, args: Any) -> None:
            if args and isinstance(args[0], torch.Tensor) and args[0].ndim == axes:
                trace.mixers.append((name, len(trace.calls), int(args[0].shape[-1])))

        return hook

    with ExitStack() as stack:
        for name, one in module.named_modules():
            if name and not isinstance(one, torch.jit.ScriptModule):
                stack.callback(one.register_forward_hook(make_hook(name)).remove)
                place, _, own = name.rpartition(".")
                if own in MIXERS and any(word in place.lower() for word in ("attn", "attention")):
                    stack.callback(one.register_forward_pre_hook(make_mixer_hook(name)).remove)
        yield


def _projections(net: Any, trace: _Trace, places: Sequence[int], chosen: Sequence[str]) -> Mapping[str, Projection]:
    """For each layer the mixer of heads that is called in it, where there is exactly one."""
    found = {}
    for before, place, layer in zip([-1, *places], places, chosen):
        own = [(name, width) for name, number, width in trace.mixers if before < number <= place]
        heads = _head_count(net.module, own[0][0]) if len(own) == 1 else 0
        if heads > 0 and own[0][1] % heads == 0 and trace.counts.get(own[0][0], 0) == 1:
            found[layer] = Projection(own[0][0], heads)
    return found


def _head_count(module: Any, mixer: str) -> int:
    """The number of heads that a mixer reads: what the attention around it says, else the config; 0 if unknown."""
    place = mixer
    while place:
        place = place.rpartition(".")[0]
        owner = module.get_submodule(place)
        for name in ("num_heads", "num_attention_heads", "n_heads", "n_head"):
            for holder in (owner, getattr(owner, "config", None)):
                if isinstance(getattr(holder, name, None), int):
                    return int(getattr(holder, name))
    return 0
