# SPDX-License-Identifier: Apache-2.0
"""The influence of changing a training row: z becomes z_δ, for a change of any size, and its derivative by the row.

Of fits that are linear in their weights, with H the Hessian of the objective in its sum form: the weights change by
−H⁻¹ (∇ℓ(z_δ) − ∇ℓ(z)) to first order (Koh and Liang 2017, whose 1/n is that of the mean form), or by a Newton step of
the new objective, whose Hessian is H − ∇²ℓ(z) + ∇²ℓ(z_δ).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from assay.basics.types import Floats, Ints
from assay.engine.influence.linear_fit import CLOSE, LinearFit, Read, in_basis, weight_span

MEMORY = 1 << 27
"""Bytes that scores of the tests take at a time."""

OUTSIDE = 1e-9
"""A changed row lies in the span of the others if what is left of it has less than this share of its length."""


@dataclass(frozen=True, eq=False)
class ChangedFit:
    """The fit of training rows of which one was changed, in a ``basis`` (column, direction) that holds all of them.

    ``fit`` has no tests, and the weights from before the change; ``basis`` is ``None`` where directions are columns.
    """

    fit: LinearFit
    row: int
    basis: Floats | None

    def refitted(self, tolerance: float = CLOSE) -> ChangedFit:
        """The same with the weights at the optimum of the changed rows, to this share of the rows' own gradients."""
        return replace(self, fit=self.fit.at_optimum(tolerance=tolerance))

    def of_columns(self, values: Floats) -> Floats:
        """Values (…, direction) as (…, column)."""
        return values if self.basis is None else np.asarray(values @ self.basis.T)

    @property
    def weights(self) -> Floats:
        """The weights (out, column)."""
        return self.of_columns(self.fit.weights)

    @property
    def point(self) -> Floats:
        """The changed row (column,)."""
        return self.of_columns(self.fit.x[self.row])

    def solve(self, gradients: Floats) -> Floats:
        """H⁻¹ times gradients (test, out, column) of all columns; outside the span of the rows H is the penalty."""
        flat = gradients if self.basis is None else gradients @ self.basis
        found = self.fit.solve(flat.reshape(len(flat), -1).T).T.reshape(flat.shape)
        if self.basis is None:
            return np.asarray(found)
        return np.asarray(found @ self.basis.T + (gradients - flat @ self.basis.T) / self.fit.penalty.max())

    def row_slope(self, direction: Floats) -> Floats:
        """∇_x ⟨direction, ∇_θ ℓ(θ, x, y)⟩ (column,) at the changed row, for a ``direction`` (out, column).

        Minus this, with direction = H⁻¹ ∇L(z′), is the derivative of the test loss L(z′) by the training row.
        """
        one = slice(self.row, self.row + 1)
        scores = self.fit.x[one] @ self.fit.weights.T
        slopes = self.fit.slopes_at(scores, np.asarray(self.fit.labels)[one])[0]
        along = self.fit.curvatures_at(scores)[0] @ (direction @ self.point)
        return np.asarray(self.fit.importance[self.row] * (slopes @ direction + along @ self.weights))


def _with_label(fit: LinearFit, row: int, label: Ints | Floats) -> LinearFit:
    """The fit with another label of a row, which then has the weight of the rows of its new class."""
    labels, importance = np.array(fit.labels), fit.importance.copy()
    same: Ints = np.flatnonzero((labels == label) & (fit.link != "identity"))
    labels[row] = label
    if len(same):
        importance[row] = importance[same[0]]
    return replace(fit, labels=labels, importance=importance)


@dataclass(frozen=True, eq=False)
class PointChanges:
    """Changes of one training row of a fit at its optimum."""

    fit: LinearFit

    @cached_property
    def _span(self) -> tuple[LinearFit, Floats | None]:
        """The fit in a basis of its rows, and the basis."""
        basis = weight_span(self.fit)
        return (self.fit, None) if basis is None else (in_basis(self.fit, basis), basis)

    def with_row(
        self, row: int, x: Floats, label: Ints | Floats | None = None, *, weights: Floats | None = None
    ) -> ChangedFit:
        """The fit of the rows with ``x`` (column,) as row ``row``, and a ``label`` if it changes too.

        ``weights`` (out, column) are where a refit begins; by default those of the fit.
        """
        small, basis = self._span
        begin = self.fit.weights if weights is None else weights
        own, rows = x, small.x
        if basis is not None:
            left = x - basis @ (basis.T @ x)
            left -= basis @ (basis.T @ left)
            length = float(np.linalg.norm(left))
            if length > OUTSIDE * max(float(np.linalg.norm(x)), np.finfo(float).tiny):
                basis = np.concatenate([basis, (left / length)[:, None]], axis=1)
                rows = np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
            own, begin = x @ basis, begin @ basis
        rows = rows.copy()
        rows[row] = own
        penalty = small.penalty
        if len(penalty) < rows.shape[1]:
            penalty = np.append(penalty, self.fit.penalty.max())
        changed = replace(self.fit, x=rows, weights=begin, tests=self.fit.tests[:0], penalty=penalty)
        return ChangedFit(changed if label is None else _with_label(changed, row, label), row, basis)

    def weight_changes(
        self, row: int, x: Floats, label: Ints | Floats | None = None, *, newton: bool = False
    ) -> tuple[ChangedFit, Floats]:
        """What the change does to the weights, (out, direction): to first order, or by one Newton step.

        The directions are those of the changed fit, which is returned with it and has the weights from before.
        """
        changed = self.with_row(row, x, label)
        before = self.with_row(row, self.fit.x[row]).fit if changed.basis is None else self._before(changed, row)
        moved = changed.fit.row_gradients[row] - before.row_gradients[row]
        curved = changed.fit if newton else before
        step = -curved.solve(moved[:, None]).reshape(changed.fit.weights.shape)
        return changed, step

    def _before(self, changed: ChangedFit, row: int) -> LinearFit:
        """The fit of the unchanged rows in the basis of the changed ones."""
        assert changed.basis is not None
        rows = changed.fit.x.copy()
        rows[row] = self.fit.x[row] @ changed.basis
        return replace(changed.fit, x=rows, labels=self.fit.labels, importance=self.fit.importance)

    def target_change(
        self,
        read: Read,
        row: int,
        x: Floats,
        label: Ints | Floats | None = None,
        *,
        newton: bool = False,
        linear: bool = False,
    ) -> Floats:
        """What a target of the tests changes by, (test,), when the training row becomes ``x``, predicted without refit.

        −(1/n) ∇T(z′)ᵀ H⁻¹ (∇ℓ(z_δ) − ∇ℓ(z)) with ``linear``; else the target is evaluated at the changed weights.
        ``newton``: the weights of a Newton step of the changed objective, which stays true for larger changes.
        """
        changed, step = self.weight_changes(row, x, label, newton=newton)
        moved = changed.of_columns(step)[None]
        found = self.fit.linear_target_changes(moved, read) if linear else self.fit.target_changes(moved, read, MEMORY)
        return np.asarray(found[:, 0])

    def derivative(self, read: Read, row: int) -> Floats:
        """The derivative (test, column) of each test's target by the training row: −(1/n) ∇T(z′)ᵀ H⁻¹ ∂_x ∇_θ ℓ(z)."""
        same = self.with_row(row, self.fit.x[row])
        slopes = self.fit.target_slopes(read)[:, :, None] * self.fit.tests[:, None, :]
        return np.stack([-same.row_slope(one) for one in same.solve(slopes)])
