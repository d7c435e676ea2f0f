# SPDX-License-Identifier: Apache-2.0
"""When a forest decides for another class: the sum of weighted tree outputs that has to exceed a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.trees.tree_case import model_outputs
from assay.model.forests.forest import Forest
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.target import predicted_class

PROBES = 200
"""Random sums of the trees at which the conditions are compared with the model's decision."""


@dataclass(frozen=True, eq=False)
class Rival:
    """Class ``label`` is preferred to the class decided for where Σ weights · sums > ``limit``; with ``ties`` where ≥.

    ``weights`` (out,) multiply the sums of the trees' outputs.
    """

    label: int
    weights: Floats
    limit: float
    ties: bool

    def holds(self, sums: Floats) -> np.ndarray:
        """Whether it is preferred (row,) where the trees add up to ``sums`` (row, out)."""
        value = sums @ self.weights
        return value >= self.limit if self.ties else value > self.limit


def rivals(case: Case, forest: Forest, label: int) -> list[Rival]:
    """Under which conditions the model decides for each class other than ``label``.

    One of them has to hold for another decision, and where one holds, ``label`` is not decided for.
    ``CapabilityError`` for labels that do not exclude each other, and where the decision is no comparison of sums.
    """
    return rivals_of_sums(case, OutputKind.of(forest.gives), forest.value.shape[1], label)


def rivals_of_sums(case: Case, summed: OutputKind, size: int, label: int) -> list[Rival]:
    """The same for a model whose outputs follow from ``size`` sums of the kind ``summed``, of trees or of columns."""
    kind = case.model.kind
    classes = max(2, size)
    if not kind.exclusive or not kind.decides:
        raise _no_comparison(case)
    found = [_rival(kind, summed, size, label, other) for other in range(classes) if other != label]
    draws = case.seed.child("decisions").generator().normal(size=(PROBES, size))
    if summed == "probabilities":
        draws = np.abs(draws) / np.abs(draws).sum(axis=1, keepdims=True) if size > 1 else 1 / (1 + np.exp(-draws))
    outputs = model_outputs(kind, summed, draws)
    if outputs is None:
        raise _no_comparison(case)
    changed = np.any([one.holds(draws) for one in found], axis=0)
    if not np.array_equal(changed, predicted_class(outputs, kind) != label):
        raise _no_comparison(case)
    return found


def _rival(kind: OutputKind, summed: OutputKind, size: int, label: int, other: int) -> Rival:
    threshold = kind.threshold
    if size == 1:
        middle = 0.5 if summed == "probabilities" else 0.0
        limit = middle if threshold is None else _of_sum(threshold, kind, summed)
        sign = 1.0 if other == 1 else -1.0
        return Rival(other, np.array([sign]), sign * limit, ties=(other == 1) == (threshold is not None))
    weights = np.zeros(size)
    weights[other], weights[label] = 1.0, -1.0
    if threshold is None:
        return Rival(other, weights, 0.0, ties=other < label)
    sign = 1.0 if other == 1 else -1.0
    if kind.of_score or summed == "probabilities":
        return Rival(other, sign * np.array([0.0, 1.0]), sign * threshold, ties=other == 1)
    return Rival(other, weights, sign * _of_sum(threshold, kind, summed), ties=other == 1)


def _of_sum(threshold: float, kind: OutputKind, summed: OutputKind) -> float:
    """The sum of the trees at which the score, or the probability, is ``threshold``."""
    if kind.of_score or summed == "probabilities":
        return threshold
    with np.errstate(divide="ignore"):
        return float((np.log(threshold) - np.log1p(-threshold)) / summed.scale)


def _no_comparison(case: Case) -> CapabilityError:
    return CapabilityError(
        f"the decision of {case.model.name} (gives {case.model.kind}) is not a comparison of sums, so no "
        f"exact search is possible. Use attack.square, and certify.randomised_smoothing."
    )
