# SPDX-License-Identifier: Apache-2.0
"""Concept activation vectors in dual form: each is a weighted sum of activations, known by its weights alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from assay.basics.types import Floats, Ints

CavKind = Literal["pattern", "ridge"]
"""Difference of means, or the normal of a ridge regression on labels +1 and −1."""

BLOCK = 256
"""Directions whose weights are held at a time."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Pairs of row sets, positions in the activations: those of the concept (set, row) and its counterparts."""

    inside: Ints
    outside: Ints

    def __len__(self) -> int:
        return len(self.inside)

    def part(self, start: int, stop: int) -> Sets:
        """Some of the pairs."""
        return Sets(self.inside[start:stop], self.outside[start:stop])


@dataclass(frozen=True, eq=False)
class Dual:
    """All that directions need: products of gradients and activations (row, sample), of activations (sample, sample).

    A direction is v = Σ αᵢ aᵢ, so the sensitivity ∇h · v is Σ αᵢ (∇h · aᵢ) and |v|² is αᵀKα. ``rows`` (row, sample) are
    the products of the explained rows' own activations with the samples, both from the mean of the samples.
    """

    gradients: Floats
    rows: Floats
    kernel: Floats
    kind: CavKind
    ridge: float

    @classmethod
    def of(cls, gradient: Floats, own: Floats, activations: Floats, kind: CavKind, ridge: float) -> Dual:
        """From gradients and activations of the explained rows (row, number), and activations (sample, number)."""
        mean = activations.mean(axis=0)  # a shift of all samples changes no direction, since the weights sum to 0
        centred = activations - mean
        return cls(gradient @ centred.T, (own - mean) @ centred.T, centred @ centred.T, kind, ridge)

    def weights(self, sets: Sets) -> Floats:
        """α (set, sample) of each direction; they sum to 0."""
        count, size = sets.inside.shape
        others = sets.outside.shape[1]
        alpha = np.zeros((count, len(self.kernel)))
        place = np.arange(count)[:, None]
        if self.kind == "pattern":
            np.add.at(alpha, (place, sets.inside), 1.0 / size)
            np.add.at(alpha, (place, sets.outside), -1.0 / others)
            return alpha
        rows = np.concatenate([sets.inside, sets.outside], axis=1)
        total = size + others
        centre = np.eye(total) - 1.0 / total
        labels = centre @ np.concatenate([np.ones(size), -np.ones(others)])
        products = centre @ self.kernel[rows[:, :, None], rows[:, None, :]] @ centre
        scale = np.trace(products, axis1=1, axis2=2) / total
        penalty = np.where(scale > 0, self.ridge * scale, 1.0)
        system = products + penalty[:, None, None] * np.eye(total)
        found = np.linalg.solve(system, np.broadcast_to(labels, (count, total))[..., None])[..., 0]
        np.add.at(alpha, (place, rows), found @ centre)
        return alpha

    def sensitivities(self, sets: Sets) -> Floats:
        """∇h · v (row, set) of directions that are not normalised."""
        found = [self.gradients @ self.weights(block).T for block in _blocks(sets)]
        return np.concatenate(found, axis=1)

    def projections(self, sets: Sets, lengths: Floats) -> Floats:
        """How far each row lies along each direction (row, set), in units of activation, from the samples' mean."""
        found = np.concatenate([self.rows @ self.weights(block).T for block in _blocks(sets)], axis=1)
        return np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)

    def lengths(self, sets: Sets) -> Floats:
        """|v| (set,)."""
        found = []
        for block in _blocks(sets):
            alpha = self.weights(block)
            found.append(np.sqrt(np.maximum(((alpha @ self.kernel) * alpha).sum(axis=1), 0.0)))
        return np.concatenate(found)

    def cross_validated_accuracy(self, sets: Sets, folds: int) -> Floats:
        """Share of rows (set,) on the right side of a direction found without them; both sides count the same.

        The boundary is midway between the means of the two sides.
        """
        size = sets.inside.shape[1]
        fold = np.arange(size) % folds
        right = np.zeros((len(sets), 2))
        for one in range(folds):
            known, out = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
            train = Sets(sets.inside[:, known], sets.outside[:, known])
            start = 0
            for block in _blocks(train):
                some = slice(start, start + len(block))
                start += len(block)
                projected = self.weights(block) @ self.kernel
                means = [np.take_along_axis(projected, side, 1).mean(axis=1) for side in (block.inside, block.outside)]
                middle = (means[0] + means[1])[:, None] / 2
                inside, outside = (
                    np.take_along_axis(projected, side[some][:, out], 1) - middle
                    for side in (sets.inside, sets.outside)
                )
                right[some, 0] += _right(inside)
                right[some, 1] += _right(-outside)
        return np.asarray(right.mean(axis=1) / size)


@dataclass(frozen=True, eq=False)
class Pool:
    """Random rows, and the rows explained, from the mean of the random rows; concepts are added one at a time.

    So the cost grows with the number of concepts, and the scores of a concept depend on no other one. ``random``
    (sample, number) are activations, ``gradient`` and ``own`` (row, number) those of the rows explained.
    """

    gradient: Floats
    own: Floats
    random: Floats
    mean: Floats
    dual: Dual

    @classmethod
    def of(cls, gradient: Floats, own: Floats, random: Floats, kind: CavKind, ridge: float) -> Pool:
        """From gradients and activations of the explained rows, and activations of random rows."""
        mean = random.mean(axis=0)
        return cls(gradient, own - mean, random - mean, mean, Dual.of(gradient, own, random, kind, ridge))

    def __len__(self) -> int:
        return len(self.random)

    def with_concept(self, activations: Floats) -> Dual:
        """The samples of the pool, and after them those of a concept (sample, number)."""
        centred, one = activations - self.mean, self.dual
        cross = self.random @ centred.T
        return Dual(
            np.concatenate([one.gradients, self.gradient @ centred.T], axis=1),
            np.concatenate([one.rows, self.own @ centred.T], axis=1),
            np.block([[one.kernel, cross], [cross.T, centred @ centred.T]]),
            one.kind,
            one.ridge,
        )


def _right(margin: Floats) -> Floats:
    """Rows on the right side (set,); one on the boundary counts half."""
    return np.asarray((margin > 0).sum(axis=1) + 0.5 * (margin == 0).sum(axis=1))


def _blocks(sets: Sets) -> list[Sets]:
    return [sets.part(start, start + BLOCK) for start in range(0, len(sets), BLOCK)]


def positive_share(values: Floats, smooth: float) -> Floats:
    """TCAV scores (direction,) of sensitivities (row, direction): the share above 0.

    With ``smooth`` the step is Φ(S / (smooth · s)), s the root mean square of S over the rows.
    """
    if smooth == 0:
        return np.asarray((values > 0).mean(axis=0))
    scale = smooth * np.sqrt((values**2).mean(axis=0))
    return np.asarray(ndtr(values / np.where(scale > 0, scale, 1.0)).mean(axis=0))


def magnitude(values: Floats) -> Floats:
    """mean S / mean |S| (direction,), −1 … 1; NaN where every S is 0."""
    size = np.abs(values).mean(axis=0)
    return np.asarray(np.divide(values.mean(axis=0), size, out=np.full(size.shape, np.nan), where=size > 0))


def is_one_direction(gradient: Floats) -> bool:
    """Whether all gradients (row, number) that are not 0 have one direction, so that TCAV can only be 0 or 1."""
    length = np.linalg.norm(gradient, axis=1)
    some = gradient[length > 0] / length[length > 0][:, None]
    return len(some) < 2 or bool((some @ some[0] > 1 - 1e-6).all())
