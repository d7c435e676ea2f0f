# SPDX-License-Identifier: Apache-2.0
"""The model noun: a function from rows to outputs, its metadata, its gradients and its counter of passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Array, Ints
from assay.model.autograd_errors import derivative_of
from assay.model.curvature import differentiable_gradient, hessian_vector_product
from assay.model.layer_slices import ROWS
from assay.model.pass_locks import PassLock
from assay.nouns.inputs.output_kind import Gives, OutputKind
from assay.nouns.inputs.rows import Rows
from assay.nouns.renamed import WithFormerNames
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    from assay.model.forests.forest import ForestReader


MAX_INPUT_BYTES = 1 << 26
"""Bytes of the rows of one pass (64 MiB) of a model that is no torch net, with their outputs and copies of both."""

INPUT_COPIES = 4
"""Copies of a filled row during a pass: the row, its mask and filling, and the input in the model's own form."""


@dataclass
class Meter:
    """Counts the rows that go through a model forwards and backwards; a model and its variants share one meter.

    ``cached`` counts the forward passes that a game's cache saves: forwards + cached is the number of requested passes,
    each mask once a call, and does not depend on earlier requests. ``row_costs`` caches measurements of one row:
    bytes, or counts of numbers. ``converted`` caches the forward passes made by ``assay.model.fast``, so that a net is
    converted once. ``lock`` is held during passes and calls of methods. ``checked`` is the number
    of rows on which the model was found to be a function of each row alone; ``heads`` caches what the outputs of a net
    are.
    """

    forwards: int = 0
    backwards: int = 0
    cached: int = 0
    listener: Callable[[int, int], None] | None = field(default=None, repr=False)
    row_costs: dict[tuple[str, tuple[int, ...]], tuple[int, int]] = field(default_factory=dict, repr=False)
    converted: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)
    lock: PassLock = field(default_factory=PassLock, repr=False, compare=False)
    checked: int = 0
    heads: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    def count(self, forwards: int = 0, backwards: int = 0) -> None:
        """Add to the counts and call the listener."""
        self.forwards += forwards
        self.backwards += backwards
        if self.listener is not None:
            self.listener(forwards, backwards)

    @property
    def requested(self) -> int:
        """Number of requested forward passes: those the model made and those a game's cache returned."""
        return self.forwards + self.cached

    def separate(self) -> Meter:
        """A new meter that counts by itself and shares the lock and the check, for a variant of the same net."""
        return Meter(lock=self.lock, checked=self.checked)


@dataclass(frozen=True, eq=False)
class LayerGradient:
    """A gradient at a layer (row, *unit), the activations there, and their derivative along a direction of the rows."""

    gradient: Array
    activation: Array
    directional_derivative: Array | None = None


@dataclass(frozen=True, eq=False)
class BackwardResult:
    """Result of a backward pass by rules: values (row, *shape), and what biases and constants absorbed (row,).

    ``start`` is the target at the reference (row,), where there is one. ``repeated_passes`` counts the passes that were
    repeated row by row.
    """

    values: Array
    absorbed_relevance: Array | None = None
    start: Array | None = None
    repeated_passes: int = 0


class BackwardRules(Protocol):
    """A table of backward rules for one pass."""

    @property
    def allows_folding(self) -> bool:
        """Whether the rules give the same on a net whose batch norms are folded (``fold_batch_norm``)."""

    @property
    def mode(self) -> Any:
        """The context manager in which the net runs."""

    def begin(self, x: Array, start: Array | None) -> tuple[Array, Array]:
        """The tensor to differentiate by, and the net's input computed from it."""

    def end(self, values: Array, total: Array) -> BackwardResult | None:
        """The result; ``None`` where absorbed relevance cannot be assigned to rows, so that each row needs a pass."""


class LayerAccess(Protocol):
    """Access to the layers of a torch net."""

    def layer_gradient(
        self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None
    ) -> LayerGradient:
        """The gradient of ``read(outputs)`` at a layer, and the layer's derivative when the rows move ``along``."""

    def backward(
        self,
        read_rows: Callable[[Ints], Callable[[Array], Array]],
        rows: Rows,
        make_rules: Callable[[int], BackwardRules],
        start: Array | None,
    ) -> BackwardResult:
        """One forward pass, and one backward pass by rules."""

    def row_bytes(self, row: Rows) -> tuple[int, int]:
        """Bytes that one row takes during a pass, and bytes that the autograd graph stores of it."""


@dataclass(frozen=True, eq=False)
class Model(WithFormerNames):
    """A function from rows to outputs, with its metadata.

    ``forward(rows)`` gives outputs (row, out) in the model's namespace. A torch model is ``differentiable`` when
    autograd can follow ``forward``; a numpy model may have a ``closed_form_gradient`` with respect to the rows.
    ``fingerprint`` changes when the weights or the code change; ``partial_fingerprint`` says that some of the model
    cannot be read, so that stored outcomes also depend on its outputs (``auditing.steps.model_key``). ``net`` is the
    private torch module, ``None`` for other models.
    ``input_layer`` names the space of the rows: the model's own rows, or the activations of a layer (``from_layer``).
    ``batch`` bounds the rows of one pass, ``memory`` its bytes (a net's activations; ``None`` for no such bound).
    ``passes_per_row`` is the number of passes of the underlying model for one row (a smoothed model: its draws).
    ``fast`` allows removal methods to convert the net where they evaluate enough rows for it (``assay.model.fast``).
    ``accepts_missing`` says that rows may contain missing values (NaN), which the model itself handles.
    ``encode`` turns texts into rows, for models that read text. ``forest`` holds the parsed trees of a tree ensemble.
    ``rebuild`` makes the same model of another torch module, ``cut`` splits it at a layer. ``output_names`` name the
    values of a model of several. ``with_kind`` gives the same net with another reading of its outputs; what they are
    is found from ``read_from``, the net that this one evaluates (by default itself). ``column_types`` says which
    columns were "text" and which "number" in training, where a loaded model tells.
    Every function that changes a model returns another ``Model``, which shares the meter.
    """

    forward: Callable[[Rows], Array]
    name: str
    fingerprint: str
    gives: Gives
    classes: tuple[str, ...] = ()
    differentiable: bool = False
    closed_form_gradient: Callable[[Array], Array] | None = field(default=None, repr=False)
    columns: tuple[str, ...] | None = None
    namespace: str = "numpy"
    dtype: str = "float64"
    device: str = "cpu"
    batch: int = 4096
    passes_per_row: int = 1
    meter: Meter = field(default_factory=Meter)
    notes: tuple[Note, ...] = ()
    default_target: str = "probability"
    net: Any = field(default=None, repr=False)
    rebuild: Callable[[Any, str, str], Model] | None = field(default=None, repr=False)
    cut: Callable[[str], tuple[Model, Model]] | None = field(default=None, repr=False)
    layer_access: LayerAccess | None = field(default=None, repr=False)
    input_layer: str = ROWS
    memory: int | None = None
    fast: bool = True
    encode: Any = field(default=None, repr=False)
    accepts_missing: bool = False
    forest: ForestReader | None = field(default=None, repr=False)
    output_names: tuple[str, ...] = ()
    with_kind: Callable[[OutputKind], Model] | None = field(default=None, repr=False)
    read_from: Model | None = field(default=None, repr=False)
    column_types: Mapping[str, str] = field(default_factory=dict, repr=False)
    partial_fingerprint: bool = False
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> OutputKind:
        """What the outputs are, with the link, the threshold, and whether classes exclude each other."""
        return OutputKind.of(self.gives)

    @property
    def rows_exact(self) -> bool:
        """Whether a row's outputs have the same bytes in every batch: so of trees that can be parsed."""
        try:
            return self.forest is not None and self.forest() is not None
        except CapabilityError:
            return False

    def up_to_layer(self, layer: str) -> Model:
        """The model up to ``layer``: its outputs are that layer's activations."""
        return self._cut(layer)[0]

    def from_layer(self, layer: str) -> Model:
        """The model from ``layer`` on: its rows are that layer's activations; the original rows are carried along.

        The layer ``""`` is the net's own input, after ``preprocess``.
        """
        return self._cut(layer)[1]

    def _cut(self, layer: str) -> tuple[Model, Model]:
        if self.cut is None:
            raise CapabilityError(f"{self.name} has no layers to cut at; a torch net is needed.")
        until, since = self.cut(layer)
        return (
            replace(until, batch=self.batch, memory=self.memory, fast=self.fast),
            replace(since, batch=self.batch, memory=self.memory, fast=self.fast),
        )

    def layer_gradient(
        self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None
    ) -> LayerGradient:
        """Gradient of ``read(outputs)`` by the activations of ``layer``, and their derivative along ``along``."""
        if self.layer_access is None:
            raise CapabilityError(f"{self.name} has no layers to read; a torch net is needed.")
        with derivative_of(self.name):
            return self.layer_access.layer_gradient(read, rows, layer, along)

    def with_net(self, net: Any, fingerprint: str, name: str) -> Model:
        """The same model with another torch module (randomised or retrained weights)."""
        if self.rebuild is None:
            raise CapabilityError(f"{self.name} is no torch net, so its weights cannot be replaced.")
        return replace(self.rebuild(net, fingerprint, name), fast=self.fast)

    @property
    def has_gradient(self) -> bool:
        """Whether the output's derivative with respect to the rows is available."""
        return self.differentiable or self.closed_form_gradient is not None

    def max_batch_rows(self, rows: Rows, copies: int) -> int:
        """Largest number of these rows in one pass: ``batch``, or fewer where they exceed ``memory``.

        ``copies`` is how many times the pass stores each row's activations: 0 without a gradient, 1 with one, more for
        rules that store several. The bytes of a row are measured once for each shape, by a pass of one row that is not
        counted. Rows of a model that is no torch net take at most ``MAX_INPUT_BYTES`` with the copies made of them and
        of their outputs.
        """
        most = max(1, self.batch // max(1, copies))
        if self.namespace != "torch":
            each = INPUT_COPIES * (_input_bytes(rows) + 8 * len(self.classes or self.output_names))
            return max(1, min(most, MAX_INPUT_BYTES // max(1, each)))
        if self.memory is None or self.layer_access is None:
            return most
        key = (self.fingerprint, rows.shape)
        with self.meter.lock:
            if key not in self.meter.row_costs:
                self.meter.row_costs[key] = self.layer_access.row_bytes(rows.take(np.array([0])))
        passing, activations = self.meter.row_costs[key]
        return max(1, min(most, self.memory // max(1, passing + copies * activations)))

    def values(self, rows: Rows) -> Array:
        """Outputs without recording a graph."""
        if self.namespace != "torch":
            return self.forward(rows)
        import torch

        with torch.no_grad():
            return self.forward(rows)

    def gradient(self, read: Callable[[Array], Array], rows: Rows, create_graph: bool) -> Array:
        """Derivative of ``read(outputs)``, summed over rows, by ``rows.x``.

        With ``create_graph``, autograd can differentiate the result once more, if ``rows.x`` requires a gradient.
        """
        if self.closed_form_gradient is not None:
            return self.closed_form_gradient(rows.x)
        import torch

        if create_graph and rows.x.requires_grad:
            total = self._total(read, rows, self.forward)
            return differentiable_gradient(total, rows.x, lambda: self.meter.count(len(rows), len(rows)))
        for_gradients = getattr(self.forward, "for_gradients", None)  # a torch net's own forward pass
        net = self.forward if for_gradients is None else for_gradients(rows)
        total = self._total(read, rows, net)
        with torch.enable_grad(), derivative_of(self.name), getattr(net, "accelerate", nullcontext)():
            x = rows.x.detach().requires_grad_(True)
            return torch.autograd.grad(total(x), x, materialize_grads=True)[0]

    def curvature(self, read: Callable[[Array], Array], rows: Rows, along: Array) -> Array:
        """Hessian-vector product H · d of each row: H is that of ``read(outputs)`` by ``rows.x``, d is ``along``."""
        if not self.differentiable:
            raise CapabilityError(f"second derivatives need a torch net; {self.name} is none.")
        with derivative_of(self.name):
            return hessian_vector_product(self._total(read, rows, self.forward), rows.x, along)

    def _total(
        self, read: Callable[[Array], Array], rows: Rows, forward: Callable[[Rows], Array]
    ) -> Callable[[Array], Array]:
        """``read(outputs)``, summed over rows, as a function of ``rows.x``."""

        def total(x: Array) -> Array:
            result = read(forward(replace(rows, x=x))).sum()
            if not result.requires_grad:
                raise CapabilityError(
                    f"no gradient reaches the rows of {self.name}: preprocess, output or the net leaves torch or "
                    f"detaches. Keep it in torch, or use a removal method."
                )
            return result

        return total

    def backward(
        self,
        read_rows: Callable[[Ints], Callable[[Array], Array]],
        rows: Rows,
        make_rules: Callable[[int], BackwardRules],
        start: Array | None,
    ) -> BackwardResult:
        """The target propagated back to the rows by rules; ``make_rules(rows)`` makes the table of one pass.

        ``read_rows(which)`` reads the target of the rows ``which`` from their outputs: each row has its own label.
        """
        if self.layer_access is None:
            raise CapabilityError(f"backward rules need a torch net; {self.name} is none.")
        with derivative_of(self.name):
            return self.layer_access.backward(read_rows, rows, make_rules, start)

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Model({self.name}, gives {self.gives}{classes}, fingerprint {self.fingerprint[:8]})"


def _input_bytes(rows: Rows) -> int:
    """Bytes of one row and of what is carried along with it."""
    arrays = (rows.x, *rows.carried.values())
    return sum(prod(array.shape[1:]) * getattr(array.dtype, "itemsize", 8) for array in arrays)
