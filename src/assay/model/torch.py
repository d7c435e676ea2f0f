# SPDX-License-Identifier: Apache-2.0
"""torch nets as models."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assay.model.model import Model
from assay.nouns.result import Note
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.digest import digest
from assay.words.errors import CapabilityError, InputError
from assay.words.optional import need

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
    name: str | None = None,
) -> Model:
    """A torch module as a model.

    A private copy in evaluation mode is used; the caller's module is never touched. ``preprocess`` is applied to
    tensors in the units of the rows, inside the graph. ``output`` picks the tensor (row, class) out of whatever the
    module returns. ``gives`` says what that tensor is; one column of logits means two classes.
    """
    need("torch", extra="torch")
    notes: tuple[Note, ...] = ()
    if any(module.training for module in net.modules()):
        notes = (Note("train-mode", "the net was in training mode; a private copy in evaluation mode is used"),)
    private = copy.deepcopy(net).eval().requires_grad_(False)
    if device is not None:
        private = private.to(device)
    kept = _Net(private, preprocess, output)
    return _model(kept, _mark(kept, gives), name or type(net).__name__, gives, tuple(classes or ()), batch, notes)


@dataclass(frozen=True, eq=False)
class _Net:
    """A module, what goes before it, what comes after, and the layer whose activations are wanted."""

    module: pt.nn.Module
    preprocess: Callable[[pt.Tensor], pt.Tensor] | None
    output: Callable[[Any], pt.Tensor] | None
    layer: str | None = None

    def __call__(self, rows: Rows) -> pt.Tensor:
        x = rows.x.clone()  # a net or a preprocess that works in place must not reach the rows
        x = x if self.preprocess is None else self.preprocess(x)
        if self.layer is not None:
            return self._activation(x, rows)
        out = self.module(x, **rows.carried)
        if self.output is not None:
            out = self.output(out)
        pt = need("torch", extra="torch")
        if not isinstance(out, pt.Tensor):
            raise CapabilityError(
                f"the net returns {type(out).__name__}, not a tensor. "
                f"Say which part to use: output=lambda out: out.logits"
            )
        if out.ndim == 1:
            out = out[:, None]
        if out.ndim != 2 or len(out) != len(x):
            raise CapabilityError(
                f"the net returns shape {tuple(out.shape)} for {len(x)} rows; one row of scores per input is needed. "
                f"Pick it with output=…"
            )
        return out

    def _activation(self, x: pt.Tensor, rows: Rows) -> pt.Tensor:
        seen: list[pt.Tensor] = []
        assert self.layer is not None
        module = submodule(self.module, self.layer)

        def keep(module: pt.nn.Module, args: Any, out: Any) -> None:
            if not isinstance(out, need("torch", extra="torch").Tensor):
                raise CapabilityError(f"layer {self.layer!r} returns {type(out).__name__}, not a tensor.")
            seen.append(out.clone())  # the next layer may work in place

        handle = module.register_forward_hook(keep)
        try:
            self.module(x, **rows.carried)
        finally:
            handle.remove()
        if not seen:
            raise CapabilityError(f"layer {self.layer!r} was not reached by the forward pass.")
        return seen[-1]


def submodule(net: pt.nn.Module, layer: str) -> pt.nn.Module:
    """The layer of this dotted name; raises ``InputError`` with the nearest names."""
    names = dict(net.named_modules())
    if layer not in names or layer == "":
        import difflib

        near = difflib.get_close_matches(layer, list(names), n=4, cutoff=0.3)
        raise InputError(f"no layer {layer!r}; near names: {', '.join(near) or ', '.join(list(names)[1:6])}.")
    return names[layer]


def _mark(net: _Net, gives: Gives) -> str:
    weights = mark_of(net.module)
    plain = net.preprocess is None and net.output is None and gives == "logits"
    return weights if plain else digest(weights, net.preprocess, net.output, gives)


def mark_of(net: pt.nn.Module) -> str:
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
    mark: str,
    name: str,
    gives: Gives,
    classes: tuple[str, ...],
    batch: int,
    notes: tuple[Note, ...],
) -> Model:
    import torch as pt

    first = next((p for p in net.module.parameters() if p.is_floating_point()), None)
    dtype = pt.get_default_dtype() if first is None else first.dtype

    def remade(other: pt.nn.Module, other_mark: str, other_name: str) -> Model:
        return sharing(_model(replace(net, module=other), other_mark, other_name, gives, classes, batch, notes))

    def cut(layer: str) -> Model:
        submodule(net.module, layer)
        part = replace(net, layer=layer)
        return sharing(_model(part, digest(mark, layer), f"{name} up to {layer}", "units", (), batch, notes))

    model = Model(
        forward=net,
        name=name,
        mark=mark,
        gives=gives,
        classes=classes,
        differentiable=True,
        namespace="torch",
        dtype=str(dtype).removeprefix("torch."),
        device=str(first.device) if first is not None else "cpu",
        batch=batch,
        notes=notes,
        default_target={"logits": "logit", "values": "value"}.get(gives, "probability"),
        net=net.module,
        remade=remade,
        cut=cut,
        about={
            "architecture": type(net.module).__name__,
            "parameters": f"{sum(p.numel() for p in net.module.parameters()):,}",
        },
    )

    def sharing(other: Model) -> Model:
        return replace(other, meter=model.meter)

    return model
