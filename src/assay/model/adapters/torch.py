# SPDX-License-Identifier: Apache-2.0
"""Adapter for torch modules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.object_state import StateDigest
from assay.basics.optional import need
from assay.basics.types import Array, Ints
from assay.model.input_forms import call_net
from assay.model.layer_slices import NET_INPUT, ROWS, LayerHook, carried_name, find_layer_call, hook_layers
from assay.model.model import BackwardResult, BackwardRules, LayerGradient, Meter, Model
from assay.model.net_state import saved_extras
from assay.model.nets.net_passes import (
    backward,
    chain_hooks,
    differentiable_recurrence,
    layer_gradient,
    read_layer,
    replacements,
)
from assay.model.nets.private_net import private_net
from assay.model.nets.selected_outputs import NamedScores, check_scores, selector
from assay.model.state_fingerprint import read_state, state_fingerprint
from assay.model.texts.padding import trim_common
from assay.nouns.inputs.input_layout import InputLayout
from assay.nouns.inputs.output_kind import Gives, OutputKind, check_gives
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt


def torch(
    net: pt.nn.Module,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[pt.Tensor], pt.Tensor] | None = None,
    output: Any = None,
    device: str | None = None,
    gives: str | None = None,
    threshold: float | None = None,
    batch: int = 64,
    memory: int | None = None,
    name: str | None = None,
) -> Model:
    """A torch module as a model.

    The model is a private copy in evaluation mode; the caller's module stays unchanged. ``preprocess`` is applied to
    tensors in the units of the rows, inside the graph. ``output`` selects the tensor (row, class) from the module's
    return value: a key, a position, or a function. ``gives`` says what that tensor is (``OUTPUTS``); by default the
    last operation of the net decides when a case is made: a sigmoid or a softmax gives probabilities, anything else
    logits, and one column without either is asked for. One column of logits means two classes. ``threshold`` is the
    probability from which the last of two classes is decided. A pass takes ``batch`` rows at most, and fewer where
    their activations would take more than ``memory`` bytes.
    """
    need("torch", extra="torch")
    private, own_name, notes = private_net(net)
    if device is not None:
        private = private.to(device)
    channels_last = any(p.ndim == 4 for p in private.parameters())
    if channels_last:
        _set_memory_format(private, need("torch", extra="torch").channels_last)
    wrapped = _Net(private, preprocess, selector(output), _Layout(channels_last))
    kind = OutputKind("logits") if gives is None else check_gives(gives)
    kind = kind if threshold is None else kind.with_threshold(threshold)
    if memory is not None and memory <= 0:
        raise InputError(f"memory={memory}; a number of bytes above 0 is needed.")
    fingerprint, partial = _fingerprint(wrapped, kind)
    model = _model(
        wrapped,
        fingerprint,
        name or own_name,
        kind,
        tuple(classes or ()),
        batch,
        notes,
        settled=gives is not None,
    )
    return replace(model, memory=memory, partial_fingerprint=partial)


@dataclass
class _Layout:
    """Whether images have the memory format channels last, which is faster; unset by a net that cannot read it.

    ``row_axes`` remembers the axis of a layer's output that is the row, where a pass has found it. ``per_token``
    names the further inputs of one value a token, where the outputs were found not to depend on padding: tokens that
    are padding in all rows of a pass are then left out.
    """

    channels_last: bool
    row_axes: dict[str, int] = field(default_factory=dict)
    per_token: frozenset[str] | None = None


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
            trimmed = self.trimmed(rows)
            if trimmed is not rows:
                try:
                    return self.scores(self.run(trimmed), trimmed)
                except (AssayError, RuntimeError, ValueError, IndexError):
                    self.layout.per_token = None  # some nets pad to a multiple of their own: keep the padding
            return self.scores(self.run(rows), rows)
        return self.read_layer(rows, self.until)[0]

    def trimmed(self, rows: Rows) -> Rows:
        """The rows as they are passed: without common padding where they are embeddings of tokens."""
        names = self.layout.per_token
        return rows if names is None or len(self.since) != 1 else trim_common(rows, names | {carried_name(ROWS)})

    def run(self, rows: Rows, hooks: Mapping[str, LayerHook] | None = None) -> Any:
        """The module's return value; the outputs of layers go through ``hooks``."""
        carried = dict(rows.carried)
        *earlier, last = (ROWS, *self.since)
        given = {layer: carried.pop(carried_name(layer)) for layer in earlier} | {last: rows.x}
        x = given.pop(ROWS)
        original = replace(rows, x=x, carried=carried)
        if NET_INPUT in given:
            x = given.pop(NET_INPUT)
            x = x.clone() if rows.layout is None else self.split(x, rows.layout)
        else:
            x = self.prepared(x, rows.layout)
        all_hooks = replacements(replace(self, since=(), until=None), original, given)
        for layer, hook in (hooks or {}).items():
            all_hooks[layer] = hook if layer not in all_hooks else chain_hooks(all_hooks[layer], hook)
        with hook_layers(self.module, all_hooks), differentiable_recurrence(self.module, rows.x):
            try:
                return self.call_module(x, carried)
            except IndexError as error:
                if rows.layout is None or not rows.layout.any_whole:
                    raise
                raise InputError(
                    f"an id is outside the net's table ({error}). Check the rows and the removal."
                ) from error

    def call_module(self, x: Any, carried: Mapping[str, Any]) -> Any:
        """The module's return value; images are passed channels last, unless the module cannot read that format."""
        import torch as pt

        positional, named = x if isinstance(x, tuple) else ((x,), {})
        if not self.layout.channels_last:
            return call_net(self.module, positional, named, carried)
        try:
            images = {name: _channels_last(part) for name, part in named.items()}
            return call_net(self.module, [*map(_channels_last, positional)], images, carried)
        except RuntimeError as error:
            if "view size is not compatible" not in str(error):
                raise
        self.layout.channels_last = False
        _set_memory_format(self.module, pt.contiguous_format)
        return self.call_module(x, carried)

    def prepared(self, x: pt.Tensor, layout: InputLayout | None) -> Any:
        """The net's input: a preprocessed copy, since a net may work in place, or several inputs of a layout."""
        if layout is None:
            return x.clone() if self.preprocess is None else self.preprocess(x.clone())
        if self.preprocess is not None and not layout.single:
            raise CapabilityError("preprocess= takes one tensor; this net has several inputs. Put it into the net.")
        positional, named = self.split(x, layout)
        return tuple(positional if self.preprocess is None else map(self.preprocess, positional)), named

    def split(self, x: pt.Tensor, layout: InputLayout) -> tuple[tuple[pt.Tensor, ...], dict[str, pt.Tensor]]:
        """Copies of the inputs by position and by name."""
        floats = [p.dtype for p in self.module.parameters() if p.is_floating_point()]
        positional, named = layout.split(x, floats[0] if floats else x.dtype)
        return tuple(part.clone() for part in positional), {name: part.clone() for name, part in named.items()}

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
        return check_scores(out, len(rows))

    def read_layer(self, rows: Rows, layer: str) -> tuple[pt.Tensor, Any]:
        """A layer's activations, row first, and the module's return value."""
        if layer == NET_INPUT:
            x = rows.x.clone()
            return (x if self.preprocess is None or self.since else self.preprocess(x)), None
        return read_layer(self, rows, layer)

    @property
    def row_axes(self) -> dict[str, int]:
        """The axis of the row, for layers where a pass has found it."""
        return self.layout.row_axes

    def layer_gradient(
        self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None
    ) -> LayerGradient:
        """The gradient of ``read(outputs)`` at a layer, and the layer's derivative along ``along``, in one pass."""
        return layer_gradient(self, read, rows, layer, along)

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
            out = self(replace(row, x=row.x.detach().clone().requires_grad_(True), text=None))
        largest = max([_bytes(row.x), _bytes(out), *stored.values()])
        return 6 * largest, sum(stored.values())

    def backward(
        self,
        read_rows: Callable[[Ints], Callable[[Array], Array]],
        rows: Rows,
        make_rules: Callable[[int], BackwardRules],
        start: Array | None,
    ) -> BackwardResult:
        """One forward pass in the rules' context, and one backward pass; repeated row by row where rules need it."""
        return backward(self, read_rows, rows, make_rules, start)


def with_scores(
    model: Model, read: Callable[[Any, Rows], pt.Tensor], gives: Gives = "logits", classes: tuple[str, ...] = ()
) -> Model:
    """The same net; its scores are ``read(return value of the net, rows)``."""
    net: Any = model.forward
    fingerprint = digest(model.fingerprint, state_fingerprint(read), gives)
    other = _model(replace(net, read=read), fingerprint, model.name, gives, classes, model.batch, model.notes)
    return replace(other, memory=model.memory, fast=model.fast, partial_fingerprint=model.partial_fingerprint)


def _set_memory_format(net: pt.nn.Module, layout: Any) -> None:
    """Set the memory format of 4-d weights in place, also of those with one channel, which ``contiguous`` skips."""
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=layout)


def _channels_last(part: pt.Tensor) -> pt.Tensor:
    """An image channels last, anything else as a copy, since a pass may be repeated."""
    import torch as pt

    return part.contiguous(memory_format=pt.channels_last) if part.ndim == 4 else part.clone()


def _bytes(tensor: pt.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _fingerprint(net: _Net, gives: OutputKind) -> tuple[str, bool]:
    """The fingerprint of a net with the functions around it, and whether something of them cannot be read."""
    output = None if isinstance(net.output, NamedScores) else net.output  # what the kind says, too
    module, around = _read_net(net.module), read_state(net.preprocess, output)
    plain = net.preprocess is None and output is None and gives.key == "logits"
    whole = module.digest if plain else digest(module.digest, around.digest, gives.key)
    return whole, bool(module.unread or around.unread)


def net_fingerprint(net: pt.nn.Module) -> str:
    """A digest of weights, buffers, attributes, hooks, and the code of ``forward`` and of what it calls."""
    return _read_net(net).digest


def _read_net(net: pt.nn.Module) -> StateDigest:
    training = [name for name, module in net.named_modules() if getattr(module, "training", False)]
    return read_state(net, saved_extras(net), training)


def _model(
    net: _Net,
    fingerprint: str,
    name: str,
    gives: Gives,
    classes: tuple[str, ...],
    batch: int,
    notes: tuple[Note, ...],
    meter: Meter | None = None,
    settled: bool = True,
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
            settled,
        )

    def with_kind(kind: OutputKind) -> Model:
        known = fingerprint if kind.key == OutputKind.of(gives).key else digest(fingerprint, kind.key)
        return _model(net, known, name, kind, classes, batch, notes, meter)

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
                since,
                digest(fingerprint, "since", layer),
                f"{name} from {place}",
                gives,
                classes,
                batch,
                notes,
                meter,
                settled,
            ),
        )

    return Model(
        forward=net,
        name=name,
        fingerprint=fingerprint,
        gives=gives,
        classes=() if gives == "values" else classes,
        output_names=classes if gives == "values" else (),
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
        with_kind=None if settled else with_kind,
        about={
            "architecture": type(net.module).__name__,
            "parameters": f"{sum(p.numel() for p in net.module.parameters()):,}",
        },
    )
