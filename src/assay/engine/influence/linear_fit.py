# SPDX-License-Identifier: Apache-2.0
"""Models that are linear in their weights: exact Hessian, Newton step without a row or a group, plain influence.

Scores (row, out) = X Θᵀ. The weights minimise Σ_i w_i ℓ(Θ x_i, y_i) + ½ Σ λ Θ², the sum over training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.types import Floats, Ints
from assay.engine.influence.training_rows import TrainingParts

Link = Literal["softmax", "sigmoid", "identity"]

Read = Callable[[Floats, Ints], Floats]
"""The target (row,) of outputs (row, out) at the rows explained that are named by their positions (row,)."""

COPIES = 6
"""Arrays of the size of the moved scores that are held at a time."""

MAX_WEIGHTS = 5000
"""Largest number of weights whose Hessian is inverted."""

HALVINGS = 12
"""How often a Newton step is halved."""

CLOSE = 1e-13
"""The gradient, as a share of the training rows' own, at which Newton steps end."""

CONVERGED, UNRELATED = 1e-4, 0.1
"""Largest gradient, as a share of the training rows' own, at which weights count as optimal; and above which the rows
or the objective are not those of the training."""


def require_few_weights(count: int) -> None:
    """Raise ``CapabilityError`` for more weights than an exact Hessian is made of."""
    if count > MAX_WEIGHTS:
        raise CapabilityError(
            f"{count:,} weights are too many for an exact Hessian (at most {MAX_WEIGHTS:,}). Use method='ek_fac' of a "
            f"net, fewer columns, or method='refit' with groups."
        )


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A fit that is linear in its weights, with what its training minimised.

    ``x`` (row, column) training rows, a column of ones among them where there is an intercept; ``weights``
    (out, column); ``penalty`` (column,) the λ of the sum form; ``labels`` (row,) class positions or numbers (row, out);
    ``importance`` (row,) the weight of each row. ``tests`` (test, column) are the rows explained. ``outputs`` maps
    scores (…, out) to the outputs of the model.
    """

    x: Floats
    weights: Floats
    penalty: Floats
    labels: Ints | Floats
    importance: Floats
    link: Link
    tests: Floats
    outputs: Callable[[Floats], Floats] = field(repr=False)
    damping: float = 0.0

    def __post_init__(self) -> None:
        if self.damping < 0:
            raise InputError(f"damping={self.damping}; it is at least 0.")

    @property
    def scores(self) -> Floats:
        """Scores (row, out) of the training rows."""
        return np.asarray(self.x @ self.weights.T)

    def probabilities(self, scores: Floats) -> Floats:
        """Probabilities (row, out) of the scores; those of a single score have one column."""
        if self.link == "sigmoid":
            return np.asarray(0.5 * (1 + np.tanh(scores / 2)))
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    @property
    def slopes(self) -> Floats:
        """Derivative of each row's loss by its scores, (row, out)."""
        return self.slopes_at(self.scores, np.asarray(self.labels))

    def slopes_at(self, scores: Floats, labels: Ints | Floats) -> Floats:
        """Derivative (row, out) of the loss of any rows' labels by their scores (row, out); of a value of ½ error²."""
        if self.link == "identity":
            return scores - labels.reshape(scores.shape)
        slopes = self.probabilities(scores).copy()
        if self.link == "sigmoid":
            return np.asarray(slopes - labels[:, None])
        slopes[np.arange(len(slopes)), labels] -= 1
        return slopes

    @property
    def curvatures(self) -> Floats:
        """Second derivative of each row's loss by its scores, (row, out, out)."""
        return self.curvatures_at(self.scores)

    def curvatures_at(self, scores: Floats) -> Floats:
        """Second derivative (row, out, out) of the loss of any rows by their scores (row, out)."""
        outs = len(self.weights)
        if self.link == "identity":
            return np.broadcast_to(np.eye(outs), (len(scores), outs, outs))
        p = self.probabilities(scores)
        if self.link == "sigmoid":
            return np.asarray((p * (1 - p))[:, :, None])
        return np.asarray(p[:, :, None] * np.eye(outs) - p[:, :, None] * p[:, None, :])

    @property
    def row_gradients(self) -> Floats:
        """Gradient of each row's loss by the weights, (row, out · column)."""
        found = (self.importance[:, None] * self.slopes)[:, :, None] * self.x[:, None, :]
        return np.asarray(found.reshape(len(self.x), -1))

    @property
    def gradient(self) -> Floats:
        """Gradient of the whole objective by the weights, (out, column)."""
        return np.asarray((self.importance[:, None] * self.slopes).T @ self.x + self.penalty * self.weights)

    def gradient_share(self) -> float:
        """Norm of the gradient of the whole objective, divided by the sum of the norms of its rows' gradients."""
        own = np.linalg.norm(self.importance[:, None] * self.slopes, axis=1) * np.linalg.norm(self.x, axis=1)
        return float(np.linalg.norm(self.gradient) / max(own.sum(), np.finfo(float).tiny))

    def require_optimum(self) -> float:
        """The share of the gradient; ``InputError`` where it is so large that these rows did not train the model."""
        share = self.gradient_share()
        if share > UNRELATED:
            raise InputError(
                f"the gradient of the training loss is {share:.2g} of its rows' own, at an optimum it is 0: the model "
                f"was not trained on these rows, or by another objective (weights of rows, another penalty). Give the "
                f"rows it was trained on, as it got them; of a net give weight_decay=."
            )
        return share

    def hessian(self, without: Ints | None = None) -> Floats:
        """Hessian (out · column, out · column) of the objective, without some of the rows."""
        require_few_weights(self.weights.size)
        keep = np.ones(len(self.x), dtype=bool)
        if without is not None:
            keep[without] = False
        x, curvature = self.x[keep], self.curvatures[keep] * self.importance[keep][:, None, None]
        outs, columns = self.weights.shape
        found = np.zeros((outs, columns, outs, columns))
        for one in range(outs):
            for other in range(one, outs):
                found[one, :, other, :] = (x * curvature[:, one, other][:, None]).T @ x
                found[other, :, one, :] = found[one, :, other, :].T
        matrix = found.reshape(outs * columns, -1)
        scale = self.mean_curvature()
        matrix[np.diag_indices_from(matrix)] += np.tile(self.penalty, outs) + self.damping * scale
        if self.link == "softmax" and not self.damping:
            self._fix_shift(matrix.reshape(found.shape), scale)
        return matrix

    def mean_curvature(self) -> float:
        """Mean of the diagonal of the loss's Hessian over all rows."""
        bent = np.trace(self.curvatures, axis1=1, axis2=2) * self.importance
        return float(bent @ (self.x**2).sum(axis=1)) / self.weights.size

    def _fix_shift(self, hessian: Floats, scale: float) -> None:
        """Bend the directions in which all classes move equally, which change no probability and have no gradient."""
        for column in np.flatnonzero(self.penalty == 0):
            hessian[:, column, :, column] += scale / len(self.weights)

    def solve(self, right: Floats, without: Ints | None = None) -> Floats:
        """The inverse Hessian times the columns of ``right``."""
        try:
            return np.asarray(cho_solve(cho_factor(self.hessian(without)), right))
        except LinAlgError as error:
            raise NumericalError(
                "the Hessian of the training loss is singular: the rows do not determine the weights. Give damping=, "
                "such as 1e-6 (a share of the mean of its diagonal)."
            ) from error

    def plain_changes(self) -> Floats:
        """Influence of leaving out each row on the weights, (row, out, column), to first order: H⁻¹ ∇ℓ_i."""
        return np.asarray(self.solve(self.row_gradients.T).T.reshape(len(self.x), *self.weights.shape))

    def newton_changes(self, steps: int, memory: int) -> Floats:
        """Newton steps of the objective without each row, (row, out, column): the first is (H − ∇²ℓ_i)⁻¹ ∇ℓ_i.

        By the identity of Woodbury, in which the leverage of the row enters; exact for squared error. Further steps
        keep the curvature of the first.
        """
        outs, columns = self.weights.shape
        inverse = self.solve(np.eye(outs * columns)).reshape(outs, columns, outs, columns)
        leverage = np.empty((len(self.x), outs, outs))
        for one in range(outs):
            for other in range(outs):
                leverage[:, one, other] = ((self.x @ inverse[one, :, other, :]) * self.x).sum(axis=1)
        curved = self.importance[:, None, None] * self.curvatures
        system = np.eye(outs) - curved @ leverage
        if np.linalg.cond(system).max() > 1e12:
            raise NumericalError(
                "a training row determines a weight alone (leverage 1), so that the fit without it is not unique. Give "
                "damping=, or use method='refit'."
            )
        flat, everyone = inverse.reshape(outs * columns, -1), np.arange(len(self.x))

        def step(right: Floats, which: Ints) -> Floats:
            """(H − ∇²ℓ_i)⁻¹ times gradients (row, weight) of the rows ``which``."""
            plain = right @ flat
            at_row = np.einsum("nod,nd->no", plain.reshape(-1, outs, columns), self.x[which])
            back = np.linalg.solve(system[which], curved[which] @ at_row[:, :, None])
            return plain + (back * self.x[which][:, None, :]).reshape(len(which), -1) @ flat

        found = step(self.row_gradients, everyone)
        size = max(1, memory // (COPIES * 8 * len(self.x) * outs))
        for _ in range(steps - 1 if self.link != "identity" else 0):
            for start in range(0, len(self.x), size):
                which = everyone[start : start + size]
                found[which] -= step(self._gradients_without(which, found[which]), which)
        return np.asarray(found.reshape(len(self.x), outs, columns))

    def _gradients_without(self, which: Ints, changes: Floats) -> Floats:
        """Gradient of the objective without each row at its changed weights, (row, weight)."""
        outs, columns = self.weights.shape
        weights = self.weights + changes.reshape(-1, outs, columns)
        scores = np.einsum("nd,pod->pno", self.x, weights, optimize=True)
        labels = np.tile(np.asarray(self.labels), len(which))
        slopes = self.slopes_at(scores.reshape(-1, outs), labels).reshape(scores.shape) * self.importance[:, None]
        slopes[np.arange(len(which)), which] = 0.0
        total = np.einsum("pno,nd->pod", slopes, self.x, optimize=True) + self.penalty * weights
        scale = self.damping * self.mean_curvature() if self.damping else 0.0
        return np.asarray((total + scale * changes.reshape(weights.shape)).reshape(len(which), -1))

    def group_changes(self, parts: TrainingParts, *, newton: bool) -> Floats:
        """Changes of the weights without each group, (group, out, column): a Newton step, or sums of first order."""
        gradients = parts.sums(self.row_gradients.T).T
        if not newton:
            return np.asarray(self.solve(gradients.T).T.reshape(len(parts), *self.weights.shape))
        steps = [
            self.solve(gradients[part], np.flatnonzero(parts.member == part)).reshape(self.weights.shape)
            for part in range(len(parts))
        ]
        return np.stack(steps)

    def target_changes(self, changes: Floats, read: Read, memory: int) -> Floats:
        """What the target of the tests changes by, (test, part), for changes of the weights (part, out, column)."""
        tests, outs = len(self.tests), len(self.weights)
        scores = self.tests @ self.weights.T
        before = read(self.outputs(scores), np.arange(tests))
        found = np.empty((tests, len(changes)))
        size = max(1, memory // (COPIES * 8 * tests * outs))
        for start in range(0, len(changes), size):
            some = changes[start : start + size]
            moved = scores[:, None, :] + np.einsum("td,pod->tpo", self.tests, some, optimize=True)
            values = read(self.outputs(moved.reshape(-1, outs)), np.repeat(np.arange(tests), len(some)))
            found[:, start : start + size] = values.reshape(tests, -1) - before[:, None]
        return found

    def own_loss_changes(self, changes: Floats, *, linear: bool) -> Floats:
        """What the loss of each row changes by when it is left out, (row,), or its tangent for its own change."""
        moved = np.einsum("nd,nod->no", self.x, changes)
        if linear:
            return np.asarray((moved * self.slopes).sum(axis=1) * (2.0 if self.link == "identity" else 1.0))
        return self.losses(self.scores + moved) - self.losses(self.scores)

    def losses(self, scores: Floats) -> Floats:
        """Loss (row,) of scores (row, out): −log p of the label; the squared error, summed over outputs."""
        if self.link == "identity":
            return np.asarray(((scores - np.asarray(self.labels).reshape(len(self.x), -1)) ** 2).sum(axis=1))
        if self.link == "sigmoid":
            return np.asarray(np.logaddexp(0.0, np.where(self.labels == 1, -scores[:, 0], scores[:, 0])))
        own = np.take_along_axis(scores, np.asarray(self.labels)[:, None], axis=1)[:, 0]
        return np.asarray(np.logaddexp.reduce(scores, axis=1) - own)

    @property
    def objective(self) -> float:
        """What the weights minimise."""
        half = 0.5 if self.link == "identity" else 1.0
        loss = half * self.importance @ self.losses(self.scores)
        return float(loss + 0.5 * (self.penalty * self.weights**2).sum())

    def at_optimum(self, steps: int = 40, tolerance: float = CLOSE) -> LinearFit:
        """The same fit with its weights moved to the optimum by Newton steps, halved until they are no step back."""
        found, size = self, np.linalg.norm(self.gradient)
        for _ in range(steps):
            step = found.solve(found.gradient.reshape(-1, 1)).reshape(found.weights.shape)
            for times in range(HALVINGS):
                other = replace(found, weights=found.weights - step / 2**times)
                after = np.linalg.norm(other.gradient)
                if after < size / 2 or other.objective < found.objective:
                    break
            else:
                return found  # rounding: no step comes nearer
            found, size = other, after
            if found.gradient_share() < tolerance:
                break
        return found

    def target_slopes(self, read: Read, step: float = 1e-3) -> Floats:
        """Derivative (test, out) of ``read`` by the scores of the tests, by central differences of fourth order."""
        scores = self.tests @ self.weights.T
        found = np.empty_like(scores)

        def at(change: Floats) -> Floats:
            return read(self.outputs(scores + change), np.arange(len(scores)))

        for out in range(scores.shape[1]):
            moved = np.zeros(scores.shape[1])
            moved[out] = step
            near, far = (at(times * moved) - at(-times * moved) for times in (1, 2))
            found[:, out] = (8 * near - far) / (12 * step)
        return found

    def linear_target_changes(self, changes: Floats, read: Read) -> Floats:
        """As ``target_changes``, with the target replaced by its tangent."""
        slopes = (self.target_slopes(read)[:, :, None] * self.tests[:, None, :]).reshape(len(self.tests), -1)
        return np.asarray(slopes @ changes.reshape(len(changes), -1).T)


def weight_span(fit: LinearFit) -> Floats | None:
    """An orthonormal basis (column, direction) of the rows, in which the optimal weights lie whatever the labels.

    Columns without penalty are directions of their own. ``None`` where there are no fewer directions than columns, or
    where penalties differ.
    """
    held, free = np.flatnonzero(fit.penalty > 0), np.flatnonzero(fit.penalty <= 0)
    if len(held) <= len(fit.x) or np.ptp(fit.penalty[held]) > 0:
        return None
    basis = np.zeros((len(fit.penalty), len(fit.x) + len(free)))
    basis[held, : len(fit.x)] = np.linalg.qr(fit.x[:, held].T)[0]
    basis[free, len(fit.x) + np.arange(len(free))] = 1.0
    return basis


def in_basis(fit: LinearFit, basis: Floats) -> LinearFit:
    """The fit in the directions of an orthonormal basis (column, direction) instead of columns."""
    return replace(
        fit,
        x=fit.x @ basis,
        weights=fit.weights @ basis,
        tests=fit.tests @ basis,
        penalty=(basis**2).T @ fit.penalty,
    )
