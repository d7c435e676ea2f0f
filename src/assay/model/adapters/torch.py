# SPDX-License-Identifier: Apache-2.0
"""Adapter for torch modules."""

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
from assay.model.layer_slices import NET_INPUT, ROWS, LayerHook, carried_name, find_layer_call, hook_layers
from assay.model.model import BackwardResult, BackwardRules, LayerGradient, Meter, Model
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

    The model is a private copy in evaluation mode; the caller's module stays unchanged. ``preprocess`` is applied to
    tensors in the units of the rows, inside the graph. ``output`` selects the tensor (row, class) from the module's
    return value. ``gives`` says what that tensor is; one column of logits means two classes. A pass takes ``batch``
    rows at most, and fewer where their activations would take more than ``memory`` bytes.
    """
    need("torch", extra="torch")
    notes: tuple[Note, ...] = ()
    if any(module.training for module in net.modules()):
        notes = (Note("train-mode", "the net was in training mode; a private copy in evaluation mode is used"),)
    private = copy.deepcopy(net).eval().requires_grad_(False)
    if device is not None:
        private = private.to(device)
    channels_last = any(p.ndim == 4 for p in private.parameters())
    if channels_last:
        _set_memory_format(private, need("torch", extra="torch").channels_last)
    wrapped = _Net(private, preprocess, output, _Layout(channels_last))
    if memory is not None and memory <= 0:
        raise InputError(f"memory={memory}; a number of bytes above 0 is needed.")
    model = _model(
        wrapped, _fingerprint(wrapped, gives), name or type(net).__name__, gives, tuple(classes or ()), batch, notes
    )
    return replace(model, memory=memory)


@dataclass
class _Layout:
    """Whether images have the memory format channels last, which is faster; unset by a net that cannot read it."""

    channels_last: bool


@dataclass(frozen=True, eq=False)
class _Net:
    """A module, the functions before and after it, and the layers at which it is cut.

    ``until`` is the layer whose activations are the outputs. ``since`` are layers whose activations are given instead
    of computed: the rows are those of the last, the rows of the earlier ones are carried along. ``read`` is an
    ``output`` that also gets the rows, and what they carry.
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
        return self.read_layer(rows, self.until)[0]

    def run(self, rows: Rows, hooks: Mapping[str, LayerHook] | None = None) -> Any:
        """The module's return value; the outputs of layers go through ``hooks``."""
        carried = dict(rows.carried)
        *earlier, last = (ROWS, *self.since)
        given = {layer: carried.pop(carried_name(layer)) for layer in earlier} | {last: rows.x}
        x = given.pop(ROWS)
        if NET_INPUT in given:
            x = given.pop(NET_INPUT).clone()
        elif self.preprocess is not None:
            x = self.preprocess(x.clone())
        else:
            x = x.clone()  # a net that works in place must not change the rows
        all_hooks = {layer: replace_output(activation) for layer, activation in given.items()}
        for layer, hook in (hooks or {}).items():
            all_hooks[layer] = hook if layer not in all_hooks else chain_hooks(all_hooks[layer], hook)
        with hook_layers(self.module, all_hooks):
            return self.call_module(x, carried)

    def call_module(self, x: pt.Tensor, carried: Mapping[str, Any]) -> Any:
        """The module's return value; images are passed channels last, unless the module cannot read that format."""
        import torch as pt

        if not self.layout.channels_last or x.ndim != 4:
            return self.module(x, **carried)
        try:
            return self.module(x.contiguous(memory_format=pt.channels_last), **carried)
        except RuntimeError as error:
            if "view size is not compatible" not in str(error):
                raise
        self.layout.channels_last = False
        _set_memory_format(self.module, pt.contiguous_format)
        return self.call_module(x, carried)

    def for_gradients(self, rows: Rows, *layers: str) -> _Net:
        """The net for gradients: the same function with folded batch norms, where a check confirms the outputs."""
        from assay.model.transformations.fold_batch_norm import fold_batch_norm

        return fold_batch_norm(self, rows, *layers)

    def accelerate(self) -> AbstractContextManager[Any]:
        """Context in which gradients by the input of convolutions take less time."""
        from assay.model.transformations.column_gradients import column_gradients

        return column_gradients(self.module)

    def scores(self, out: Any, rows: Rows) -> pt.Tensor:
        """The scores (row, class) in the module's return value."""
        if self.read is not None:
            out = self.read(out, rows)
        elif self.output is not None:
            out = self.output(out)
        pt = need("torch", extra="torch")
        if not isinstance(out, pt.Tensor):
            raise CapabilityError(
                f"the net returns {type(out).__name__}, not a tensor. "
                f"Select the tensor with output=, for example output=lambda out: out.logits"
            )
        if out.ndim == 1:
            out = out[:, None]
        if out.ndim != 2 or len(out) != len(rows):
            raise CapabilityError(
                f"the net returns shape {tuple(out.shape)} for {len(rows)} rows; one row of scores per input is "
                f"needed. Select it with output=…"
            )
        return out

    def read_layer(self, rows: Rows, layer: str) -> tuple[pt.Tensor, Any]:
        """A layer's activations, row first, and the module's return value."""
        if layer == NET_INPUT:
            x = rows.x.clone()
            return (x if self.preprocess is None or self.since else self.preprocess(x)), None
        recorded: list[pt.Tensor] = []

        def record(out: pt.Tensor) -> None:
            if out.ndim < 2 or len(out) != len(rows):
                raise CapabilityError(
                    f"layer {layer!r} gives shape {tuple(out.shape)} for {len(rows)} rows; its first axis must be the "
                    f"row. Choose a layer with one output for each row."
                )
            recorded.append(out.clone())  # the next layer may work in place

        out = self.run(rows, {layer: record})
        return recorded[-1], out

    def layer_gradient(
        self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None
    ) -> LayerGradient:
        """The gradient of ``read(outputs)`` at a layer, and the layer's derivative along ``along``, in one pass."""
        import torch as pt
        from torch.autograd import forward_ad
        from torch.nn.attention import SDPBackend, sdpa_kernel

        net = self.for_gradients(rows, layer)
        leaf: list[pt.Tensor] = []
        tangents: list[pt.Tensor] = []

        def start_graph(out: pt.Tensor) -> pt.Tensor:
            dual = forward_ad.unpack_dual(out) if along is not None else None  # type: ignore[no-untyped-call]  # torch gives it no types
            if dual is not None:
                tangents.append(pt.zeros_like(out) if dual.tangent is None else dual.tangent.detach().clone())
            primal = out if dual is None else dual.primal
            if len(primal) != len(rows):
                raise CapabilityError(
                    f"layer {layer!r} gives shape {tuple(out.shape)}; its first axis must be the row."
                )
            leaf.append(primal.detach().clone().requires_grad_(True))
            return leaf[-1].clone()  # the next layer may work in place

        with pt.enable_grad(), ExitStack() as stack:
            if along is not None:  # fused attention has no directional derivative
                stack.enter_context(warnings.catch_warnings())  # torch's forward mode scripts its decompositions
                warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
                stack.enter_context(forward_ad.dual_level())
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
                dual = forward_ad.make_dual(rows.x.detach(), along)  # type: ignore[no-untyped-call]  # torch gives it no types
                rows = replace(rows, x=dual)
            total = read(net.scores(net.run(rows, {layer: start_graph}), rows)).sum()
            gradient = pt.autograd.grad(total, leaf[-1], materialize_grads=True)[0]
        return LayerGradient(gradient, leaf[-1].detach(), tangents[-1] if tangents else None)

    def row_bytes(self, row: Rows) -> tuple[int, int]:
        """Bytes of one row during a pass, and bytes that the autograd graph stores of it.

        During a pass: six times the largest activation (input, output, their gradients, workspace).
        """
        import torch as pt
        from torch.autograd.graph import saved_tensors_hooks

        own = {parameter.untyped_storage().data_ptr() for parameter in self.module.parameters()}
        stored: dict[int, int] = {}

        def record(tensor: pt.Tensor) -> pt.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                stored[storage.data_ptr()] = storage.nbytes()
            return tensor

        with pt.enable_grad(), saved_tensors_hooks(record, lambda tensor: tensor):
            out = self(replace(row, x=row.x.detach().clone().requires_grad_(True)))
        largest = max([_bytes(row.x), _bytes(out), *stored.values()])
        return 6 * largest, sum(stored.values())

    def backward(
        self,
        read: Callable[[Array], Array],
        rows: Rows,
        make_rules: Callable[[int], BackwardRules],
        start: Array | None,
    ) -> BackwardResult:
        """One forward pass in the rules' context, and one backward pass; repeated row by row where rules need it."""
        import torch as pt

        rules = make_rules(len(rows))
        net = self.for_gradients(rows) if rules.allows_folding else self
        with pt.enable_grad():
            leaf, x = rules.begin(rows.x.detach(), start)
            with rules.mode:
                given = replace(rows, x=x)
                total = read(net.scores(net.run(given), given))
            if not total.requires_grad:
                raise CapabilityError("nothing reaches the input: every path from it ends in a constant.")
            values = pt.autograd.grad(total.sum(), leaf, materialize_grads=True)[0]
        result = rules.end(values, total)
        if result is not None:
            return result
        each = [self.backward(read, row, make_rules, row_start) for row, row_start in _single_rows(rows, start)]
        absorbed = pt.cat([pt.as_tensor(one.absorbed_relevance) for one in each])
        return BackwardResult(pt.cat([one.values for one in each]), absorbed, repeated_passes=len(rows))


def with_scores(
    model: Model, read: Callable[[Any, Rows], pt.Tensor], gives: Gives = "logits", classes: tuple[str, ...] = ()
) -> Model:
    """The same net; its scores are ``read(return value of the net, rows)``."""
    net: Any = model.forward
    fingerprint = digest(model.fingerprint, read, gives)
    other = _model(replace(net, read=read), fingerprint, model.name, gives, classes, model.batch, model.notes)
    return replace(other, memory=model.memory, fast=model.fast)


def _set_memory_format(net: pt.nn.Module, layout: Any) -> None:
    """Set the memory format of 4-d weights in place, also of those with one channel, which ``contiguous`` skips."""
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=layout)


def _bytes(tensor: pt.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _single_rows(rows: Rows, start: Array | None) -> Iterator[tuple[Rows, Array | None]]:
    """Each row and its start, as batches of one."""
    for place in range(len(rows)):
        yield rows.take(np.array([place])), None if start is None else start[place : place + 1]


def replace_output(activation: pt.Tensor) -> LayerHook:
    """A hook that replaces a layer's output by ``activation``."""
    return lambda out: activation.to(out.dtype).reshape(out.shape).clone()


def chain_hooks(first: LayerHook, second: LayerHook) -> LayerHook:
    """Two hooks of one layer, one after the other."""

    def both(out: pt.Tensor) -> pt.Tensor | None:
        new = first(out)
        out = out if new is None else new
        after = second(out)
        return new if after is None else after

    return both


def _fingerprint(net: _Net, gives: Gives) -> str:
    weights = net_fingerprint(net.module)
    plain = net.preprocess is None and net.output is None and gives == "logits"
    return weights if plain else digest(weights, net.preprocess, net.output, gives)


def net_fingerprint(net: pt.nn.Module) -> str:
    """A digest of the architecture's text and of every parameter and buffer."""
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

    def rebuild(other: pt.nn.Module, other_fingerprint: str, other_name: str) -> Model:
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
        if layer != NET_INPUT:
            find_layer_call(net.module, layer)
        until = replace(net, until=layer)
        is_cut = layer == NET_INPUT and net.since  # the rows are activations already
        since = net if is_cut else replace(net, since=(*net.since, layer))
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
        layer_access=net,
        input_layer=net.since[-1] if net.since else ROWS,
        rebuild=rebuild,
        cut=cut,
        about={
            "architecture": type(net.module).__name__,
            "parameters": f"{sum(p.numel() for p in net.module.parameters()):,}",
        },
    )
