# SPDX-License-Identifier: Apache-2.0
"""torch nets as models."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array
from assay.model.layer_slices import OWN, ROWS, Visit, address, held, visited
from assay.model.model import Meter, Model, Returned, Ruling, Slope
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt


def torch(
    net: pt.nn.Module,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[pt.Tensor], pt.Tensor] | None = None,
    output: Callable[[Any], pt.Tensor] | None = None,
    device: str | None = None,
    gives: Gives = "logits",
    batch: int = 64,
    memory: int | None = None,
    name: str | None = None,
) -> Model:
    """A torch module as a model.

    A private copy in evaluation mode is used; the caller's module is never touched. ``preprocess`` is applied to
    tensors in the units of the rows, inside the graph. ``output`` picks the tensor (row, class) out of whatever the
    module returns. ``gives`` says what that tensor is; one column of logits means two classes. A pass takes ``batch``
    rows at most, and fewer where their activations would take more than ``memory`` bytes.
    """
    need("torch", extra="torch")
    notes: tuple[Note, ...] = ()
    if any(module.training for module in net.modules()):
        notes = (Note("train-mode", "the net was in training mode; a private copy in evaluation mode is used"),)
    private = copy.deepcopy(net).eval().requires_grad_(False)
    if device is not None:
        private = private.to(device)
    pictures = any(p.ndim == 4 for p in private.parameters())
    if pictures:
        _laid(private, need("torch", extra="torch").channels_last)
    kept = _Net(private, preprocess, output, _Layout(pictures))
    if memory is not None and memory <= 0:
        raise InputError(f"memory={memory}; a number of bytes above 0 is needed.")
    model = _model(
        kept, _fingerprint(kept, gives), name or type(net).__name__, gives, tuple(classes or ()), batch, notes
    )
    return replace(model, memory=memory)


@dataclass
class _Layout:
    """Whether pictures lie channels last in memory, which is faster; a net that cannot read them so unsets it."""

    last: bool


@dataclass(frozen=True, eq=False)
class _Net:
    """A module, what goes before it and comes after, and where it is cut.

    ``until`` is the layer whose activations are wanted. ``since`` are layers whose activations are given instead of
    computed: the rows are those of the last, what lies beneath is carried along. ``read`` is an ``output`` that also
    sees the rows, and what they carry.
    """

    module: pt.nn.Module
    preprocess: Callable[[pt.Tensor], pt.Tensor] | None
    output: Callable[[Any], pt.Tensor] | None
    layout: _Layout
    until: str | None = None
    since: tuple[str, ...] = ()
    read: Callable[[Any, Rows], pt.Tensor] | None = None

    def __call__(self, rows: Rows) -> pt.Tensor:
        if self.until is None:
            return self.scores(self.run(rows), rows)
        return self.reached(rows, self.until)[0]

    def run(self, rows: Rows, visits: Mapping[str, Visit] | None = None) -> Any:
        """Whatever the module returns; ``visits`` see layers' outputs pass by."""
        carried = dict(rows.carried)
        *beneath, last = (ROWS, *self.since)
        given = {place: carried.pop(held(place)) for place in beneath} | {last: rows.x}
        x = given.pop(ROWS)
        if OWN in given:
            x = given.pop(OWN).clone()
        elif self.preprocess is not None:
            x = self.preprocess(x.clone())
        else:
            x = x.clone()  # a net that works in place must not reach the rows
        taken = {place: replacing(activation) for place, activation in given.items()}
        for place, visit in (visits or {}).items():
            taken[place] = visit if place not in taken else then(taken[place], visit)
        with visited(self.module, taken):
            return self.called(x, carried)

    def called(self, x: pt.Tensor, carried: Mapping[str, Any]) -> Any:
        """The module itself, channels last as long as it can read pictures so."""
        import torch as pt

        if not self.layout.last or x.ndim != 4:
            return self.module(x, **carried)
        try:
            return self.module(x.contiguous(memory_format=pt.channels_last), **carried)
        except RuntimeError as error:
            if "view size is not compatible" not in str(error):
                raise
        self.layout.last = False
        _laid(self.module, pt.contiguous_format)
        return self.called(x, carried)

    def derived(self, rows: Rows, *layers: str) -> _Net:
        """The net that gradients are taken of: the same function with batch norms folded, where that is proven."""
        from assay.model.transformations.fold_batch_norm import folded

        return folded(self, rows, *layers)

    def hastened(self) -> AbstractContextManager[Any]:
        """While entered, gradients at the input take less time."""
        from assay.model.transformations.column_gradients import by_columns

        return by_columns(self.module)

    def scores(self, out: Any, rows: Rows) -> pt.Tensor:
        """What the module returned as scores (row, class)."""
        if self.read is not None:
            out = self.read(out, rows)
        elif self.output is not None:
            out = self.output(out)
        pt = need("torch", extra="torch")
        if not isinstance(out, pt.Tensor):
            raise CapabilityError(
                f"the net returns {type(out).__name__}, not a tensor. "
                f"Say which part to use: output=lambda out: out.logits"
            )
        if out.ndim == 1:
            out = out[:, None]
        if out.ndim != 2 or len(out) != len(rows):
            raise CapabilityError(
                f"the net returns shape {tuple(out.shape)} for {len(rows)} rows; one row of scores per input is "
                f"needed. Pick it with output=…"
            )
        return out

    def reached(self, rows: Rows, layer: str) -> tuple[pt.Tensor, Any]:
        """A layer's activations, row first, and what the module returned."""
        if layer == OWN:
            x = rows.x.clone()
            return (x if self.preprocess is None or self.since else self.preprocess(x)), None
        seen: list[pt.Tensor] = []

        def keep(out: pt.Tensor) -> None:
            if out.ndim < 2 or len(out) != len(rows):
                raise CapabilityError(
                    f"layer {layer!r} gives shape {tuple(out.shape)} for {len(rows)} rows; its first axis must be the "
                    f"row. Choose a layer whose output is one line a row."
                )
            seen.append(out.clone())  # the next layer may work in place

        out = self.run(rows, {layer: keep})
        return seen[-1], out

    def slope(self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None) -> Slope:
        """The gradient of ``read(outputs)`` at a layer, in one pass, and how the layer moves when rows move along."""
        import torch as pt
        from torch.autograd import forward_ad
        from torch.nn.attention import SDPBackend, sdpa_kernel

        net = self.derived(rows, layer)
        leaf: list[pt.Tensor] = []
        pushed: list[pt.Tensor] = []

        def open_here(out: pt.Tensor) -> pt.Tensor:
            moved = forward_ad.unpack_dual(out) if along is not None else None  # type: ignore[no-untyped-call]  # torch gives it no types
            if moved is not None:
                pushed.append(pt.zeros_like(out) if moved.tangent is None else moved.tangent.detach().clone())
            primal = out if moved is None else moved.primal
            if len(primal) != len(rows):
                raise CapabilityError(
                    f"layer {layer!r} gives shape {tuple(out.shape)}; its first axis must be the row."
                )
            leaf.append(primal.detach().clone().requires_grad_(True))
            return leaf[-1].clone()  # the next layer may work in place

        with pt.enable_grad(), ExitStack() as stack:
            if along is not None:  # fused attention knows no derivative along a direction
                stack.enter_context(warnings.catch_warnings())  # torch's own forward mode scripts its decompositions
                warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
                stack.enter_context(forward_ad.dual_level())
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
                dual = forward_ad.make_dual(rows.x.detach(), along)  # type: ignore[no-untyped-call]  # torch gives it no types
                rows = replace(rows, x=dual)
            total = read(net.scores(net.run(rows, {layer: open_here}), rows)).sum()
            slope = pt.autograd.grad(total, leaf[-1], materialize_grads=True)[0]
        return Slope(slope, leaf[-1].detach(), pushed[-1] if pushed else None)

    def weight(self, row: Rows) -> tuple[int, int]:
        """Bytes in passing (six of the largest activation: in, out, their gradients, work), and in the graph."""
        import torch as pt
        from torch.autograd.graph import saved_tensors_hooks

        own = {parameter.untyped_storage().data_ptr() for parameter in self.module.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: pt.Tensor) -> pt.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with pt.enable_grad(), saved_tensors_hooks(keep, lambda tensor: tensor):
            out = self(replace(row, x=row.x.detach().clone().requires_grad_(True)))
        largest = max([_bytes(row.x), _bytes(out), *kept.values()])
        return 6 * largest, sum(kept.values())

    def backward(
        self, read: Callable[[Array], Array], rows: Rows, ruling: Callable[[int], Ruling], start: Array | None
    ) -> Returned:
        """One pass forward while the rules listen, and one back."""
        import torch as pt

        table = ruling(len(rows))
        net = self.derived(rows) if table.folded else self
        with pt.enable_grad():
            leaf, x = table.begin(rows.x.detach(), start)
            with table.mode:
                seen = replace(rows, x=x)
                total = read(net.scores(net.run(seen), seen))
            if not total.requires_grad:
                raise CapabilityError("nothing reaches the input: every way from it to the output ends in a constant.")
            values = pt.autograd.grad(total.sum(), leaf, materialize_grads=True)[0]
        returned = table.end(values, total)
        if returned is not None:
            return returned
        each = [self.backward(read, row, ruling, begun) for row, begun in _alone(rows, start)]
        absorbed = pt.cat([pt.as_tensor(one.absorbed) for one in each])
        return Returned(pt.cat([one.values for one in each]), absorbed, again=len(rows))


def reading(
    model: Model, read: Callable[[Any, Rows], pt.Tensor], gives: Gives = "logits", classes: tuple[str, ...] = ()
) -> Model:
    """The same net, its scores read by ``read(what the net returned, rows)``."""
    net: Any = model.forward
    fingerprint = digest(model.fingerprint, read, gives)
    other = _model(replace(net, read=read), fingerprint, model.name, gives, classes, model.batch, model.notes)
    return replace(other, memory=model.memory, fast=model.fast)


def _laid(net: pt.nn.Module, layout: Any) -> None:
    """Lay out a private net's weights for pictures, in place; those of one channel too, which ``contiguous`` skips."""
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=layout)


def _bytes(tensor: pt.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _alone(rows: Rows, start: Array | None) -> Iterator[tuple[Rows, Array | None]]:
    """Each row by itself."""
    for place in range(len(rows)):
        yield rows.take(np.array([place])), None if start is None else start[place : place + 1]


def replacing(activation: pt.Tensor) -> Visit:
    """A visit that puts ``activation`` in the place of what comes by."""
    return lambda out: activation.to(out.dtype).reshape(out.shape).clone()


def then(first: Visit, second: Visit) -> Visit:
    """Two visits at one layer."""

    def both(out: pt.Tensor) -> pt.Tensor | None:
        new = first(out)
        out = out if new is None else new
        after = second(out)
        return new if after is None else after

    return both


def _fingerprint(net: _Net, gives: Gives) -> str:
    weights = fingerprint_of(net.module)
    plain = net.preprocess is None and net.output is None and gives == "logits"
    return weights if plain else digest(weights, net.preprocess, net.output, gives)


def fingerprint_of(net: pt.nn.Module) -> str:
    """Stands for the architecture's text and every parameter and buffer."""
    import torch as pt

    parts: list[Any] = [repr(net)]
    for name, tensor in net.state_dict().items():
        stored = io.BytesIO()
        stored.write(tensor.detach().cpu().contiguous().view(-1).view(pt.uint8).numpy().tobytes())
        parts += [name, str(tensor.dtype), tuple(tensor.shape), stored.getvalue()]
    return digest(*parts)


def _model(
    net: _Net,
    fingerprint: str,
    name: str,
    gives: Gives,
    classes: tuple[str, ...],
    batch: int,
    notes: tuple[Note, ...],
    meter: Meter | None = None,
) -> Model:
    import torch as pt

    first = next((p for p in net.module.parameters() if p.is_floating_point()), None)
    dtype = pt.get_default_dtype() if first is None else first.dtype
    meter = Meter() if meter is None else meter

    def recomputed(other: pt.nn.Module, other_fingerprint: str, other_name: str) -> Model:
        return _model(
            replace(net, module=other, layout=copy.copy(net.layout)),
            other_fingerprint,
            other_name,
            gives,
            classes,
            batch,
            notes,
            meter,
        )

    def cut(layer: str) -> tuple[Model, Model]:
        if layer != OWN:
            address(net.module, layer)
        until = replace(net, until=layer)
        own = layer == OWN and net.since  # the rows are activations already
        since = net if own else replace(net, since=(*net.since, layer))
        place = layer or "the net's own input"
        return (
            _model(
                until, digest(fingerprint, "until", layer), f"{name} up to {place}", "units", (), batch, notes, meter
            ),
            _model(
                since, digest(fingerprint, "since", layer), f"{name} from {place}", gives, classes, batch, notes, meter
            ),
        )

    return Model(
        forward=net,
        name=name,
        fingerprint=fingerprint,
        gives=gives,
        classes=classes,
        differentiable=True,
        namespace="torch",
        dtype=str(dtype).removeprefix("torch."),
        device=str(first.device) if first is not None else "cpu",
        batch=batch,
        meter=meter,
        notes=notes,
        default_target={"logits": "logit", "values": "value"}.get(gives, "probability"),
        net=net.module,
        inside=net,
        place=net.since[-1] if net.since else ROWS,
        recomputed=recomputed,
        cut=cut,
        about={
            "architecture": type(net.module).__name__,
            "parameters": f"{sum(p.numel() for p in net.module.parameters()):,}",
        },
    )
