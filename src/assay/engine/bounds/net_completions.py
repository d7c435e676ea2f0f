# SPDX-License-Identifier: Apache-2.0
"""Completions of a row by which a net decides for another class: refuted by a search, proved by linear bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.bounds.layer_graph import LayerGraph
from assay.engine.bounds.margins import margin_limits
from assay.engine.bounds.propagation import InputSet
from assay.engine.feature_sets.completion_search import Decision
from assay.engine.feature_sets.domains import Domain
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

STEPS, STARTS = 16, 8
"""Steps of the search for a completion of another class, and points from which it begins."""

CROWN_UNITS = 20_000
"""Nets with at most so many numbers in their layers are bounded by CROWN, others by CROWN between intervals."""


@dataclass(frozen=True, eq=False)
class NetCompletions:
    """The completions of one row of a net read as a graph; ``like`` is the row (1, *shape) in the model's precision."""

    graph: LayerGraph
    domain: Domain
    part: Ints
    label: int
    like: pt.Tensor
    generator: np.random.Generator

    @property
    def adds_up(self) -> bool:
        """Nets interact."""
        return False

    @property
    def is_tied(self) -> bool:
        """Whether the bounds cannot show the class even at the row itself, for rounding."""
        return self.decide(np.zeros(int(self.part.max()) + 1, dtype=bool), 1).verdict != "stays"

    def decide(self, free: Masks, max_nodes: int) -> Decision:
        """Whether the class stays where the features ``free`` (part,) lie anywhere in their ranges."""
        moves = free[np.where(self.part >= 0, self.part, 0)] & (self.part >= 0)
        low = np.where(moves, self.domain.low, self.domain.x)
        high = np.where(moves, self.domain.high, self.domain.x)
        found = self._search(low, high) if moves.any() else None
        if found is not None:
            return Decision("changes", found, 0)
        return Decision("stays" if self._margin(low, high) > 0 else "open", None, 1)

    def importance(self) -> Floats:
        """How far each feature alone lowers the bound of the margin (part,)."""
        parts = int(self.part.max()) + 1
        lows, highs = [], []
        for one in range(parts):
            moves = self.part == one
            lows.append(np.where(moves, self.domain.low, self.domain.x))
            highs.append(np.where(moves, self.domain.high, self.domain.x))
        return -self._margins(np.array(lows), np.array(highs), "crown-ibp")

    def _margin(self, low: Floats, high: Floats) -> float:
        sizes = sum(value.numel() for value in _values(self.graph, self.like.double()))
        how = "crown" if sizes <= CROWN_UNITS else "crown-ibp"
        return float(self._margins(low[None], high[None], how)[0])

    def _margins(self, low: Floats, high: Floats, how: str) -> Floats:
        import torch

        with torch.no_grad():
            shape = (len(low), *self.like.shape[1:])
            ends = [torch.as_tensor(end, device=self.like.device).double().reshape(shape) for end in (low, high)]
            inputs = InputSet(ends[0], ends[1], (ends[0] + ends[1]) / 2)
            labels = np.full(len(low), self.label)
            return to_floats(margin_limits(self.graph, inputs, labels, how, self.like.dtype))

    def _search(self, low: Floats, high: Floats) -> Floats | None:
        """A completion of another class, by steps along the sign of the gradient of the margin."""
        import torch

        starts = np.concatenate([self.domain.x[None], self.generator.uniform(low, high, (STARTS - 1, len(low)))])
        least, most = (torch.as_tensor(end, device=self.like.device).double() for end in (low, high))
        x = torch.as_tensor(starts, device=self.like.device).double()
        for step in range(STEPS):
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                margin = _margin_of(self.graph(x.reshape(len(x), *self.like.shape[1:])), self.label)
                slope = torch.autograd.grad(margin.sum(), x)[0]
            if bool((margin < 0).any()):
                found: Floats = to_floats(x[int(margin.argmin())])
                return found
            x = torch.minimum(torch.maximum(x - (most - least) / (1 + step) * slope.sign(), least), most)
        return None


def _values(graph: LayerGraph, x: pt.Tensor) -> list[pt.Tensor]:
    values = [x]
    for step, source in zip(graph.steps, graph.sources):
        values.append(step(*(values[one] for one in source)))
    return values


def _margin_of(scores: pt.Tensor, label: int) -> pt.Tensor:
    """The score of the label less the highest other (row,)."""
    import torch

    if scores.shape[1] == 1:
        return scores[:, 0] * (2.0 * label - 1.0)
    others = torch.cat([scores[:, :label], scores[:, label + 1 :]], dim=1)
    return scores[:, label] - others.amax(dim=1)
