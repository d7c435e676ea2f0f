# SPDX-License-Identifier: Apache-2.0
"""Which features to keep so that a model's decisions lean to no class: the strongest of either direction (experts)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Constant
from assay.engine.fairness.decision_shift import binary_scores
from assay.engine.gradients.activation_maps import find_hidden_layer
from assay.engine.gradients.distributions import Point
from assay.engine.gradients.influence import influence
from assay.model.linear_scores import is_linear, read_linear
from assay.model.model import Model
from assay.model.nets.masked_units import mask_units
from assay.model.reduced_coefficients import reduce_coefficients
from assay.model.transformations.shift_scores import decision_point
from assay.nouns.inputs.rows import to_floats

LINEAR_STEPS, NET_STEPS = 40, 12
"""Most numbers of features that are tried in either direction, of linear models and of nets."""


@dataclass(frozen=True, eq=False)
class PrunableParts:
    """Features whose contribution to the score can be removed, and their influence (feature,) on it.

    The score is that of the second of two classes minus that of the first, from the point of decision on. ``scores``
    gives it (mask, row) at rows of a case, for masks (mask, feature) of the features that stay; ``prune`` makes the
    model; ``names`` name them; ``steps`` is how many numbers are tried in either direction.
    """

    influence: Floats
    scores: Callable[[Case, Masks], Floats]
    prune: Callable[[Masks, str], Model]
    names: tuple[str, ...]
    steps: int
    kind: str

    @property
    def directions(self) -> tuple[Ints, Ints]:
        """The features with a positive and with a negative influence, the strongest first."""
        order = np.argsort(-np.abs(self.influence), kind="stable")
        return order[self.influence[order] > 0], order[self.influence[order] < 0]

    def remaining(self, alpha: int, beta: int) -> Masks:
        """The mask (feature,) of the ``alpha`` most positive and the ``beta`` most negative features."""
        up, down = self.directions
        mask = self.influence == 0  # features without influence stay
        mask[up[:alpha]] = True
        mask[down[:beta]] = True
        return mask


def linear_parts(case: Case, rows: Case) -> PrunableParts:
    """The encoded columns of a linear classifier; influence: coefficient × standard deviation at ``rows``.

    A column that is pruned adds 0, as in the paper; for standardised columns that is its mean.
    """
    found = read_linear(case.model)
    if len(found.coef) != 1:
        raise CapabilityError(f"{case.model.name} has {len(found.coef)} scores; a linear classifier of one is needed.")
    coef, table = found.coef[0], found.matrix(rows.rows)
    kind, point = case.model.kind, decision_point(case.model.kind)

    def scores(other: Case, masks: Masks) -> Floats:
        added = found.matrix(other.rows) * coef
        return np.asarray(found.intercept[0] + masks.astype(np.float64) @ added.T) * kind.scale - point

    def prune(mask: Masks, name: str) -> Model:
        return replace(reduce_coefficients(case.model, mask.astype(np.float64), 0.0), name=name)

    names = _column_names(case, found.origin)
    return PrunableParts(coef * table.std(axis=0), scores, prune, names, LINEAR_STEPS, "columns")


def _column_names(case: Case, origin: Ints) -> tuple[str, ...]:
    """The name of each encoded column: its input column, numbered where there are several."""
    index, names = case.features.index.ravel(), case.features.names
    own = [names[index[element]] if index[element] >= 0 else str(element) for element in origin]
    return tuple(name if own.count(name) == 1 else f"{name} [{own[:i].count(name)}]" for i, name in enumerate(own))


def net_parts(case: Case, rows: Case, layer: str | None) -> tuple[PrunableParts, tuple[Any, ...]]:
    """The units of a layer of a net; influence: the mean gradient of the log odds by the unit at ``rows``.

    Pruned units give 0. The layer is by default the last hidden one, named in a note.
    """
    name, notes = find_hidden_layer(rows, layer)
    asked = _asked(rows)
    found = influence(asked, Point(), layer=name, along=False)
    assert found.features is not None
    features, point = found.features, decision_point(case.model.kind)
    values = features.pool(to_floats(found.values)).mean(axis=0)

    def scores(other: Case, masks: Masks) -> Floats:
        own = _asked(other)
        inside, whole = own.from_layer(name, features), masks.all(axis=1)
        answers = np.empty((len(masks), len(other)))
        answers[whole] = own.output
        if not whole.all():
            answers[~whole] = inside.game(Constant(0.0)).table(masks[~whole]).T
        return answers - point

    def prune(mask: Masks, called: str) -> Model:
        kept = np.where(features.index >= 0, mask[np.maximum(features.index, 0)], True)
        return mask_units(case.model, name, kept, called)

    names = tuple(f"{name}: {one}" for one in features.names)
    return PrunableParts(values, scores, prune, names, NET_STEPS, f"units of {name}"), notes


def _asked(rows: Case) -> Case:
    """The log odds of the second class."""
    return replace(rows.with_target("log_odds"), label=np.ones(len(rows), dtype=np.int64))


def parts_of(case: Case, rows: Case, layer: str | None) -> tuple[PrunableParts, tuple[Any, ...]]:
    """The parts of a linear classifier or of a net of two classes; ``CapabilityError`` for other models."""
    if binary_width(case.model, rows) != 2:
        raise CapabilityError(
            f"{case.model.name} has more than two classes; experts are of one direction or the other."
        )
    if is_linear(case.model) and layer is None:
        return linear_parts(case, rows), ()
    if case.model.net is None:
        raise CapabilityError(f"{case.model.name} is neither a linear classifier nor a torch net. Use threshold_shift.")
    return net_parts(case, rows, layer)


def binary_width(model: Model, rows: Case) -> int:
    """The number of classes."""
    width = int(rows.prediction.shape[1])
    return 2 if width == 1 else width


@dataclass(frozen=True)
class Choice:
    """How many features of either direction stay, with |B| and the share of errors on the choosing rows."""

    alpha: int
    beta: int
    bias: float
    error: float
    constant: bool


def try_experts(parts: PrunableParts, rows: Case, labels: Ints) -> tuple[Choice, list[Choice]]:
    """The whole model, and every pair (α, β) that is tried, on the choosing rows."""
    up, down = parts.directions
    pairs = [(a, b) for a in _grid(len(up), parts.steps) for b in _grid(len(down), parts.steps)]
    tried: list[Choice] = []
    for start in range(0, len(pairs), 64):
        block = pairs[start : start + 64]
        tried += _measured(parts, block, rows, labels)
    return tried[-1], tried


def _measured(parts: PrunableParts, pairs: list[tuple[int, int]], rows: Case, labels: Ints) -> list[Choice]:
    decided = parts.scores(rows, np.stack([parts.remaining(*pair) for pair in pairs])) > 0
    positive = labels == 1
    return [
        Choice(
            a,
            b,
            abs(float(own.mean() - positive.mean())),
            float((own != positive).mean()),
            bool(own.all() or not own.any()),
        )
        for (a, b), own in zip(pairs, decided)
    ]


def measure_pair(parts: PrunableParts, alpha: int, beta: int, rows: Case, labels: Ints) -> Choice:
    """One pair (α, β) on the choosing rows."""
    return _measured(parts, [(alpha, beta)], rows, labels)[0]


def best_experts(whole: Choice, tried: list[Choice]) -> Choice | None:
    """The smallest |B| of those with no more errors than the whole model and no constant decision; ``None`` if none.

    Of equals the one that keeps most features.
    """
    allowed = [
        one
        for one in tried
        if one.error <= whole.error + 1e-12 and one.bias < whole.bias - 1e-12 and (not one.constant or whole.constant)
    ]
    return min(allowed, key=lambda one: (one.bias, -(one.alpha + one.beta), one.error), default=None)


def _grid(count: int, steps: int) -> Ints:
    return np.unique(np.round(np.linspace(0, count, steps + 1)).astype(int))


def check_scores(parts: PrunableParts, rows: Case) -> None:
    """Raise ``CapabilityError`` where the score of the parts decides otherwise than the model."""
    own = parts.scores(rows, np.ones((1, len(parts.influence)), dtype=bool))[0] > 0
    if not np.array_equal(own, binary_scores(to_floats(rows.prediction), rows.model.kind) > 0):
        raise CapabilityError(f"the parts of {rows.model.name} do not add up to its decisions, so none can be pruned.")
