# SPDX-License-Identifier: Apache-2.0
"""A trained model, whatever made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from assay.model.curvature import live_slope
from assay.model.slices import ROWS
from assay.nouns.result import Note
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.errors import CapabilityError
from assay.words.types import Array


@dataclass
class Meter:
    """Counts rows that went forwards and backwards; models made from one another share it.

    ``remembered`` counts the forward passes that a game's memory saved: forwards + remembered is what was asked for,
    each mask once a call, and does not depend on what had been asked before.
    """

    forwards: int = 0
    backwards: int = 0
    remembered: int = 0
    listener: Callable[[int, int], None] | None = field(default=None, repr=False)

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


class Inside(Protocol):
    """The inside of a torch net, for those who look at its layers."""

    def slope(self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None) -> Slope:
        """The gradient of ``read(outputs)`` at a layer, and how the layer moves when the rows move ``along``."""


@dataclass(frozen=True, eq=False)
class Model:
    """A function from rows to outputs, with what is known about it.

    ``forward(rows)`` gives outputs (row, out) in the model's namespace. A torch model is ``differentiable`` when
    autograd can follow ``forward``; a numpy model may give its ``slope`` with respect to the rows in closed form.
    ``mark`` changes when the weights change. ``net`` is the private torch module, ``None`` for other models.
    ``place`` is the slice the rows are of: the model's own rows, or a layer (``since``).
    ``passes`` is how many passes of the underlying model one row costs (a smoothed model: its draws).
    Anything that changes a model gives another ``Model`` and shares its meter.
    """

    forward: Callable[[Rows], Array]
    name: str
    mark: str
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
    remade: Callable[[Any, str, str], Model] | None = field(default=None, repr=False)
    cut: Callable[[str], tuple[Model, Model]] | None = field(default=None, repr=False)
    inside: Inside | None = field(default=None, repr=False)
    place: str = ROWS
    about: Mapping[str, str] = field(default_factory=dict)

    def until(self, layer: str) -> Model:
        """The model up to ``layer``: its outputs are that layer's activations."""
        return self._cut(layer)[0]

    def since(self, layer: str) -> Model:
        """The model from ``layer`` on: its rows are that layer's activations; what lies beneath is carried along.

        The layer ``""`` is the net's own input, after ``preprocess``.
        """
        return self._cut(layer)[1]

    def _cut(self, layer: str) -> tuple[Model, Model]:
        if self.cut is None:
            raise CapabilityError(f"{self.name} has no layers to cut at; only torch nets have.")
        return self.cut(layer)

    def slope_at(self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None) -> Slope:
        """Derivative of ``read(outputs)`` by the activations of ``layer``; along a direction of the rows, too."""
        if self.inside is None:
            raise CapabilityError(f"{self.name} has no layers to look at; only torch nets have.")
        return self.inside.slope(read, rows, layer, along)

    def with_net(self, net: Any, mark: str, name: str) -> Model:
        """The same model around another torch module (scrambled, softened, retrained weights)."""
        if self.remade is None:
            raise CapabilityError(f"{self.name} is no torch net, so its weights cannot be exchanged.")
        return self.remade(net, mark, name)

    @property
    def has_gradient(self) -> bool:
        """Whether the output's derivative with respect to the rows can be had."""
        return self.differentiable or self.slope is not None

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

        def total(x: Array) -> Array:
            answer = read(self.forward(replace(rows, x=x))).sum()
            if not answer.requires_grad:
                raise CapabilityError(
                    f"no gradient reaches the rows of {self.name}: preprocess, output or the net leaves torch or "
                    f"detaches. Keep it in torch, or use a removal method."
                )
            return answer

        if live and rows.x.requires_grad:
            return live_slope(total, rows.x, lambda: self.meter.count(len(rows), len(rows)))
        with torch.enable_grad():
            x = rows.x.detach().requires_grad_(True)
            return torch.autograd.grad(total(x), x, materialize_grads=True)[0]

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Model({self.name}, gives {self.gives}{classes}, mark {self.mark[:8]})"
