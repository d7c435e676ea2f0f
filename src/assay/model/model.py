# SPDX-License-Identifier: Apache-2.0
"""A trained model, whatever made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assay.nouns.result import Note
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.errors import CapabilityError
from assay.words.types import Array


@dataclass
class Meter:
    """Counts rows that went forwards and backwards; models made from one another share it."""

    forwards: int = 0
    backwards: int = 0
    listener: Callable[[int, int], None] | None = field(default=None, repr=False)

    def count(self, forwards: int = 0, backwards: int = 0) -> None:
        """Add to the counts and tell whoever listens."""
        self.forwards += forwards
        self.backwards += backwards
        if self.listener is not None:
            self.listener(forwards, backwards)


@dataclass(frozen=True, eq=False)
class Model:
    """A function from rows to outputs, with what is known about it.

    ``forward(rows)`` gives outputs (row, out) in the model's namespace. A torch model is ``differentiable`` when
    autograd can follow ``forward``; a numpy model may give its ``slope`` with respect to the rows in closed form.
    ``mark`` changes when the weights change. ``net`` is the private torch module, ``None`` for other models.
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
    meter: Meter = field(default_factory=Meter)
    notes: tuple[Note, ...] = ()
    default_target: str = "probability"
    net: Any = field(default=None, repr=False)
    remade: Callable[[Any, str, str], Model] | None = field(default=None, repr=False)
    cut: Callable[[str], Model] | None = field(default=None, repr=False)
    about: Mapping[str, str] = field(default_factory=dict)

    def until(self, layer: str) -> Model:
        """The model up to ``layer``: its outputs are that layer's activations."""
        if self.cut is None:
            raise CapabilityError(f"{self.name} has no layers to cut at; only torch nets have.")
        return self.cut(layer)

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
        """Derivative of ``read(outputs)``, summed over rows, with respect to ``rows.x``; ``live`` keeps the graph."""
        if self.slope is not None:
            return self.slope(rows.x)
        import torch

        with torch.enable_grad():
            x = rows.x if live and rows.x.requires_grad else rows.x.detach().requires_grad_(True)
            total = read(self.forward(replace(rows, x=x))).sum()
            slope = torch.autograd.grad(total, x, create_graph=live, allow_unused=True)[0] if total.requires_grad else None
        if slope is None:
            return torch.zeros_like(x)
        return slope if live else slope.detach()

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Model({self.name}, gives {self.gives}{classes}, mark {self.mark[:8]})"
