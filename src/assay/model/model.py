# SPDX-License-Identifier: Apache-2.0
"""A trained model, whatever made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Array
from assay.model.curvature import bent, live_slope
from assay.model.layer_slices import ROWS
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    from assay.model.adapters.text import Encoder
    from assay.model.forests.forest import Parsed


@dataclass
class Meter:
    """Counts rows that went forwards and backwards; models made from one another share it.

    ``remembered`` counts the forward passes that a game's memory saved: forwards + remembered is what was asked for,
    each mask once a call, and does not depend on what had been asked before. ``converted`` keeps forward passes made
    by ``assay.model.fast``, so that a net is converted once.
    """

    forwards: int = 0
    backwards: int = 0
    remembered: int = 0
    listener: Callable[[int, int], None] | None = field(default=None, repr=False)
    weights: dict[tuple[str, tuple[int, ...]], tuple[int, int]] = field(default_factory=dict, repr=False)
    converted: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    def count(self, forwards: int = 0, backwards: int = 0) -> None:
        """Add to the counts and tell whoever listens."""
        self.forwards += forwards
        self.backwards += backwards
        if self.listener is not None:
            self.listener(forwards, backwards)

    @property
    def asked(self) -> int:
        """Forward passes asked for, whether the model made them or a game remembered."""
        return self.forwards + self.remembered


@dataclass(frozen=True, eq=False)
class Slope:
    """A gradient at a layer (row, *unit), the activations there, and their derivative along a direction of the rows."""

    gradient: Array
    activation: Array
    pushed: Array | None = None


@dataclass(frozen=True, eq=False)
class Returned:
    """What came back through backward rules (row, *shape), and what stayed in biases and constants (row,).

    ``start`` is the target at the reference (row,), where there is one. ``again`` is how many passes were made a second
    time, row by row.
    """

    values: Array
    absorbed: Array | None = None
    start: Array | None = None
    again: int = 0


class Ruling(Protocol):
    """A table of backward rules for one pass."""

    @property
    def folded(self) -> bool:
        """Whether a net with folded batch norms (``assay.model.transformations.fold_batch_norm``) gives the same."""

    @property
    def mode(self) -> Any:
        """Open while the net runs."""

    def begin(self, x: Array, start: Array | None) -> tuple[Array, Array]:
        """What is derived by, and the input made of it."""

    def end(self, values: Array, total: Array) -> Returned | None:
        """What came back; ``None`` where rows were mixed up and must be asked one by one."""


class Inside(Protocol):
    """The inside of a torch net, for those who look at its layers."""

    def slope(self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None) -> Slope:
        """The gradient of ``read(outputs)`` at a layer, and how the layer moves when the rows move ``along``."""

    def backward(
        self, read: Callable[[Array], Array], rows: Rows, ruling: Callable[[int], Ruling], start: Array | None
    ) -> Returned:
        """One pass forward, and one back by rules."""

    def weight(self, row: Rows) -> tuple[int, int]:
        """Bytes that one row takes in passing, and that a graph keeps of it."""


@dataclass(frozen=True, eq=False)
class Model:
    """A function from rows to outputs, with what is known about it.

    ``forward(rows)`` gives outputs (row, out) in the model's namespace. A torch model is ``differentiable`` when
    autograd can follow ``forward``; a numpy model may give its ``slope`` with respect to the rows in closed form.
    ``fingerprint`` changes when the weights change. ``net`` is the private torch module, ``None`` for other models.
    ``place`` is the slice the rows are of: the model's own rows, or a layer (``since``).
    ``batch`` bounds the rows of one pass, ``memory`` its bytes (a net's activations; ``None`` for no such bound).
    ``passes`` is how many passes of the underlying model one row costs (a smoothed model: its draws).
    ``fast`` lets removal methods convert the net where so many rows lie ahead that it pays (``assay.model.fast``).
    ``gaps`` says that rows may hold missing numbers (NaN), which the model itself knows what to make of.
    ``encode`` turns texts into rows, for models that read text. ``forest`` reads the trees the model is made of.
    Anything that changes a model gives another ``Model`` and shares its meter.
    """

    forward: Callable[[Rows], Array]
    name: str
    fingerprint: str
    gives: Gives
    classes: tuple[str, ...] = ()
    differentiable: bool = False
    slope: Callable[[Array], Array] | None = field(default=None, repr=False)
    columns: tuple[str, ...] | None = None
    namespace: str = "numpy"
    dtype: str = "float64"
    device: str = "cpu"
    batch: int = 4096
    passes: int = 1
    meter: Meter = field(default_factory=Meter)
    notes: tuple[Note, ...] = ()
    default_target: str = "probability"
    net: Any = field(default=None, repr=False)
    recomputed: Callable[[Any, str, str], Model] | None = field(default=None, repr=False)
    cut: Callable[[str], tuple[Model, Model]] | None = field(default=None, repr=False)
    inside: Inside | None = field(default=None, repr=False)
    place: str = ROWS
    memory: int | None = None
    fast: bool = True
    encode: Encoder | None = field(default=None, repr=False)
    gaps: bool = False
    forest: Parsed | None = field(default=None, repr=False)
    about: Mapping[str, str] = field(default_factory=dict)

    def up_to_layer(self, layer: str) -> Model:
        """The model up to ``layer``: its outputs are that layer's activations."""
        return self._cut(layer)[0]

    def from_layer(self, layer: str) -> Model:
        """The model from ``layer`` on: its rows are that layer's activations; what lies beneath is carried along.

        The layer ``""`` is the net's own input, after ``preprocess``.
        """
        return self._cut(layer)[1]

    def _cut(self, layer: str) -> tuple[Model, Model]:
        if self.cut is None:
            raise CapabilityError(f"{self.name} has no layers to cut at; only torch nets have.")
        until, since = self.cut(layer)
        return (
            replace(until, batch=self.batch, memory=self.memory, fast=self.fast),
            replace(since, batch=self.batch, memory=self.memory, fast=self.fast),
        )

    def slope_at(self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None) -> Slope:
        """Derivative of ``read(outputs)`` by the activations of ``layer``; along a direction of the rows, too."""
        if self.inside is None:
            raise CapabilityError(f"{self.name} has no layers to look at; only torch nets have.")
        return self.inside.slope(read, rows, layer, along)

    def with_net(self, net: Any, fingerprint: str, name: str) -> Model:
        """The same model around another torch module (scrambled, softened, retrained weights)."""
        if self.recomputed is None:
            raise CapabilityError(f"{self.name} is no torch net, so its weights cannot be exchanged.")
        return replace(self.recomputed(net, fingerprint, name), fast=self.fast)

    @property
    def has_gradient(self) -> bool:
        """Whether the output's derivative with respect to the rows can be had."""
        return self.differentiable or self.slope is not None

    def room(self, rows: Rows, kept: int) -> int:
        """How many of these rows go into one pass: ``batch``, or fewer where ``memory`` has no place for them.

        ``kept`` is what the pass keeps of each row: 0 nothing (no gradient), 1 the activations, more for rules that
        keep several of each. What a row takes is measured once for each shape, by a pass of one row not counted.
        """
        most = max(1, self.batch // max(1, kept))
        if self.memory is None or self.inside is None:
            return most
        key = (self.fingerprint, rows.shape)
        if key not in self.meter.weights:
            self.meter.weights[key] = self.inside.weight(rows.take(np.array([0])))
        passing, activations = self.meter.weights[key]
        return max(1, min(most, self.memory // max(1, passing + kept * activations)))

    def values(self, rows: Rows) -> Array:
        """Outputs without recording a graph."""
        if self.namespace != "torch":
            return self.forward(rows)
        import torch

        with torch.no_grad():
            return self.forward(rows)

    def gradient(self, read: Callable[[Array], Array], rows: Rows, live: bool) -> Array:
        """Derivative of ``read(outputs)``, summed over rows, by ``rows.x``; ``live`` can be derived again."""
        if self.slope is not None:
            return self.slope(rows.x)
        import torch

        if live and rows.x.requires_grad:
            again = self._total(read, rows, self.forward)
            return live_slope(again, rows.x, lambda: self.meter.count(len(rows), len(rows)))
        derived = getattr(self.forward, "derived", None)  # a torch net's own forward pass
        net = self.forward if derived is None else derived(rows)
        total = self._total(read, rows, net)
        with torch.enable_grad(), getattr(net, "hastened", nullcontext)():
            x = rows.x.detach().requires_grad_(True)
            return torch.autograd.grad(total(x), x, materialize_grads=True)[0]

    def curvature(self, read: Callable[[Array], Array], rows: Rows, along: Array) -> Array:
        """Second derivative of ``read(outputs)`` by ``rows.x``, each row's times its direction ``along``: H · d."""
        if not self.differentiable:
            raise CapabilityError(f"second derivatives are needed; {self.name} is no torch net, which could give them.")
        return bent(self._total(read, rows, self.forward), rows.x, along)

    def _total(
        self, read: Callable[[Array], Array], rows: Rows, forward: Callable[[Rows], Array]
    ) -> Callable[[Array], Array]:
        """``read(outputs)``, summed over rows, as a function of ``rows.x``."""

        def total(x: Array) -> Array:
            answer = read(forward(replace(rows, x=x))).sum()
            if not answer.requires_grad:
                raise CapabilityError(
                    f"no gradient reaches the rows of {self.name}: preprocess, output or the net leaves torch or "
                    f"detaches. Keep it in torch, or use a removal method."
                )
            return answer

        return total

    def backward(
        self, read: Callable[[Array], Array], rows: Rows, ruling: Callable[[int], Ruling], start: Array | None
    ) -> Returned:
        """``read(outputs)`` sent back to the rows by rules; ``ruling(rows)`` makes the table of one pass."""
        if self.inside is None:
            raise CapabilityError(f"{self.name} is no torch net, so there is nothing to send back through it.")
        return self.inside.backward(read, rows, ruling, start)

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Model({self.name}, gives {self.gives}{classes}, mark {self.fingerprint[:8]})"
