# SPDX-License-Identifier: Apache-2.0
"""Gradients by a net's weights for each row, from what its linear and convolutional layers read and pass back.

Of such a layer, the gradient of a row is Σ_s g_s a_sᵀ over the positions s at which it is applied: a_s is what it reads
there, with a 1 for its bias, g_s the derivative by what it gives. Weights of other layers are held fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.optional import need
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.labels import labels_like
from assay.model.autograd_errors import derivative_of
from assay.model.model import Model
from assay.nouns.inputs.rows import to_double
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

    Reading = Callable[[pt.Tensor], pt.Tensor]

COPIES = 3
"""Arrays of the size of the rows' gradients that are held at a time."""


@dataclass(frozen=True, eq=False)
class WeightLayer:
    """A linear or convolutional layer by its dotted name; ``shape`` (out, in) of its weights, the bias as a column."""

    name: str
    module: Any
    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.shape[0] * self.shape[1]

    def inputs(self, x: pt.Tensor) -> pt.Tensor:
        """What the layer reads at each position, (row, position, in), in float64."""
        pt = need("torch", extra="torch")
        found = x.detach().double()
        if isinstance(self.module, pt.nn.Linear):
            found = found.reshape(len(found), -1, found.shape[-1])
        else:
            found = _patches(self.module, found)
        if self.module.bias is None:
            return found
        return pt.cat([found, found.new_ones(*found.shape[:2], 1)], dim=2)

    def slopes(self, gradient: pt.Tensor) -> pt.Tensor:
        """Derivatives by what the layer gives at each position, (row, position, out), in float64."""
        pt = need("torch", extra="torch")
        found = gradient.detach().double()
        if isinstance(self.module, pt.nn.Linear):
            return found.reshape(len(found), -1, found.shape[-1])
        return found.flatten(2).transpose(1, 2)


def weight_layers(model: Model) -> tuple[list[WeightLayer], tuple[Note, ...]]:
    """The layers whose weights are followed, and a note of the weights that are held fixed."""
    if model.net is None:
        raise CapabilityError(f"{model.name} is no torch net: influence by gradients needs its weights.")
    layers: list[WeightLayer] = []
    for name, module in model.net.named_modules():
        if not _is_followed(module):
            continue
        weight, bias = module.weight, module.bias
        layers.append(WeightLayer(name, module, (len(weight), weight[0].numel() + (bias is not None))))
    if not layers:
        raise CapabilityError(
            f"{model.name} has no linear or convolutional layer whose weights can be followed. Use method='refit'."
        )
    known = {id(p) for one in layers for p in (one.module.weight, one.module.bias) if p is not None}
    left = [name for name, weight in model.net.named_parameters() if id(weight) not in known]
    if not left:
        return layers, ()
    count = sum(weight.numel() for name, weight in model.net.named_parameters() if name in set(left))
    text = f"{count:,} weights of other layers are held fixed: {', '.join(left[:4])}{' …' if len(left) > 4 else ''}"
    return layers, (Note("weights-fixed", text),)


def _is_followed(module: Any) -> bool:
    pt = need("torch", extra="torch")
    if type(module) is pt.nn.Linear:
        return True
    return type(module) in (pt.nn.Conv1d, pt.nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros"


def _patches(module: Any, x: pt.Tensor) -> pt.Tensor:
    """What a convolution reads at each position, (row, position, channel · kernel)."""
    pt = need("torch", extra="torch")
    flat = module.weight.ndim == 3
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    padding = module.padding
    if isinstance(padding, str):
        total = [0 if padding == "valid" else d * (k - 1) for d, k in zip(dilation, kernel)]
        sides = [side for one in reversed(total) for side in (one // 2, one - one // 2)]
    else:
        sides = [side for one in reversed(padding) for side in (one, one)]
    x = pt.nn.functional.pad(x, sides)
    if flat:
        x, kernel, stride, dilation = x[:, :, None], (1, *kernel), (1, *stride), (1, *dilation)
    found: Any = pt.nn.functional.unfold(x, kernel, dilation=dilation, stride=stride)
    return found.transpose(1, 2)


@dataclass(frozen=True, eq=False)
class RecordedPass:
    """A forward pass of some rows: their outputs (row, out), and what each layer read (row, position, in)."""

    model: Model
    layers: list[WeightLayer]
    outputs: pt.Tensor
    inputs: list[list[pt.Tensor]]
    probes: list[list[pt.Tensor]]

    def slopes(self, values: pt.Tensor) -> list[list[pt.Tensor]]:
        """Derivatives of each row's value by what each layer gives, (row, position, out), for each call of it."""
        pt = need("torch", extra="torch")
        flat = [probe for calls in self.probes for probe in calls]
        found = iter(pt.autograd.grad(values.sum(), flat, retain_graph=True, materialize_grads=True))
        return [[one.slopes(next(found)) for _ in calls] for one, calls in zip(self.layers, self.probes)]

    def gradients(self, values: pt.Tensor) -> list[pt.Tensor]:
        """Gradients of each row's value by the weights of each layer, (row, out, in)."""
        pt = need("torch", extra="torch")
        found = []
        for layer, calls, slopes in zip(self.layers, self.inputs, self.slopes(values)):
            parts = [pt.einsum("bso,bsi->boi", g, layer.inputs(a)) for g, a in zip(slopes, calls)]
            found.append(sum(parts[1:], parts[0]) if parts else values.new_zeros(len(values), *layer.shape).double())
        return found

    def flat_gradients(self, values: pt.Tensor) -> pt.Tensor:
        """Gradients of each row's value by all weights, (row, weight), in float64."""
        pt = need("torch", extra="torch")
        return pt.cat([one.flatten(1) for one in self.gradients(values)], dim=1)


def weight_count(layers: list[WeightLayer]) -> int:
    """Number of weights followed."""
    return sum(layer.size for layer in layers)


def batch_rows(case: Case, layers: list[WeightLayer], memory: int) -> int:
    """How many rows' gradients fit into ``memory`` bytes."""
    return max(1, min(case.max_batch_rows(2), memory // (COPIES * 8 * weight_count(layers))))


def record(case: Case, layers: list[WeightLayer], size: int, passes: int = 1) -> Iterator[tuple[Ints, RecordedPass]]:
    """Batches of rows with their recorded passes; each is counted with ``passes`` backward passes."""
    pt = need("torch", extra="torch")
    for start in range(0, len(case), size):
        which = np.arange(start, min(start + size, len(case)))
        with pt.enable_grad(), derivative_of(case.model.name), _recording(layers) as (inputs, probes):
            outputs = case.model.forward(case.rows.take(which))
        rows = len(which) * case.model.passes_per_row
        case.model.meter.count(forwards=rows, backwards=rows * passes)
        if any(len(one) != len(which) for calls in inputs for one in calls):
            raise CapabilityError(
                f"a layer of {case.model.name} reads rows and positions as one axis, so that its gradient cannot be "
                f"assigned to rows. Use method='refit'."
            )
        if not any(inputs):
            raise CapabilityError(f"{case.model.name} calls none of its layers as modules. Use method='refit'.")
        yield which, RecordedPass(case.model, layers, outputs, inputs, probes)


@contextmanager
def _recording(layers: list[WeightLayer]) -> Iterator[tuple[list[list[Any]], list[list[Any]]]]:
    """Hooks that note what each layer reads, and add to what it gives a 0 by which one can differentiate."""
    pt = need("torch", extra="torch")
    inputs: list[list[Any]] = [[] for _ in layers]
    probes: list[list[Any]] = [[] for _ in layers]
    handles = []

    def hook_of(place: int) -> Callable[[Any, Any, Any], Any]:
        def hook(module: Any, given: Any, out: Any) -> Any:
            probe = pt.zeros_like(out, requires_grad=True)
            inputs[place].append(given[0].detach().clone())  # the next layer may work in place
            probes[place].append(probe)
            return out + probe

        return hook

    try:
        for place, layer in enumerate(layers):
            handles.append(layer.module.register_forward_hook(hook_of(place)))
        yield inputs, probes
    finally:
        for handle in handles:
            handle.remove()


def target_reading(case: Case) -> Callable[[Any, Ints], Any]:
    """The case's target (row,) of outputs at the rows named by their positions, in float64."""
    if not case.target.smooth:
        raise CapabilityError(f"target {case.target.name!r} is a step function: its gradient is zero. Use logit.")

    def read(outputs: Any, which: Ints) -> Any:
        return case.target.read(to_double(outputs), labels_like(case.label[which], outputs), case.model.gives)

    return read


def target_gradients(case: Case, layers: list[WeightLayer], memory: int) -> pt.Tensor:
    """Gradients of the target at each row by all weights, (row, weight), in float64."""
    pt = need("torch", extra="torch")
    read, parts = target_reading(case), []
    for which, done in record(case, layers, batch_rows(case, layers, memory)):
        parts.append(done.flat_gradients(read(done.outputs, which)))
    return pt.cat(parts)


def last_linear_layer(model: Model) -> WeightLayer:
    """The last linear layer of a net, in the order of its modules; ``CapabilityError`` where it has none."""
    pt = need("torch", extra="torch")
    linear = [one for one in weight_layers(model)[0] if isinstance(one.module, pt.nn.Linear)]
    if not linear:
        raise CapabilityError(f"{model.name} does not end in a linear layer. Use method='gauss_newton'.")
    return linear[-1]


def last_layer_inputs(case: Case) -> tuple[str, Floats, Floats]:
    """The name of the net's last linear layer, its weights (out, in) and what it reads (row, in), a 1 for the bias."""
    pt = need("torch", extra="torch")
    parts, last = [], [last_linear_layer(case.model)]
    for _, done in record(case, last, case.max_batch_rows(1), passes=0):
        if len(done.inputs[0]) != 1:
            raise CapabilityError(f"layer {last[0].name!r} is called {len(done.inputs[0])} times in a pass, not once.")
        found = last[0].inputs(done.inputs[0][0])
        if found.shape[1] != 1:
            raise CapabilityError(f"layer {last[0].name!r} is applied at {found.shape[1]} positions, not once a row.")
        parts.append(found[:, 0])
    weight = last[0].module.weight.detach().double()
    if last[0].module.bias is not None:
        weight = pt.cat([weight, last[0].module.bias.detach().double()[:, None]], dim=1)
    return last[0].name, weight.cpu().numpy(), pt.cat(parts).cpu().numpy()
