# SPDX-License-Identifier: Apache-2.0
"""The strongest proxy inside a linear score, and a bound that no proxy of this association exceeds (Yeom et al. 2018).

A part of the score is P = Σ αᵢ cᵢ with weights α in [0, 1], where cᵢ is what an input adds to the score. Association
with an attribute Z is Cov(P, Z)² / (Var P · Var Z), its influence Var P / Var Ŷ. The strongest proxy has the largest
influence among the parts whose association is at least ε. This maximises a convex function, which no convex solver
does; the convex-concave procedure finds a local maximum, and a semidefinite relaxation bounds all of them from above.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats

STARTS = 4
"""Random starts of the convex-concave procedure, besides that of the convex approximation."""

STEPS = 30
"""Most steps of the procedure from one start."""

CONES = 24
"""Most inputs for which the bound also uses the products of the association's cone and the limits of α."""

TOLERANCE = 1e-5
"""How far, relatively, the association of a solution may lie below the least one asked for."""

INACCURATE = 5e-4
"""What is added, relatively, to a bound that the solver found at its reduced tolerances (5e-5 for the gap)."""

CERTIFIED = 1e-3
"""Largest relative gap between the proxy and the bound at which the proxy is called optimal."""


@dataclass(frozen=True, eq=False)
class LinearProxy:
    """A part of a linear score: ``alpha`` (input,), its ``influence`` and ``association``.

    ``bound`` is an upper bound on the influence of every part of this association (infinite where the solver
    found none), ``approximation`` the influence of the solution of Problem 2 of Yeom et al., which is convex.
    """

    alpha: Floats
    influence: float
    association: float
    bound: float
    approximation: float

    @property
    def gap(self) -> float:
        """How much stronger a proxy might still be: bound less influence."""
        return self.bound - self.influence

    @property
    def is_certified(self) -> bool:
        """Whether the proxy equals the bound, so that none of this association is stronger."""
        return bool(self.gap <= CERTIFIED * max(1.0, self.bound))


@dataclass(frozen=True, eq=False)
class Moments:
    """What the problem depends on: covariance of what the inputs add (input, input), their covariance with Z (input,).

    Both in units of the score's variance and of Z's standard deviation, so that influence is αᵀ ``covariance`` α and
    association (``with_group`` · α)² / influence.
    """

    covariance: Floats
    with_group: Floats

    @staticmethod
    def of(added: Floats, group: Floats, whole: Floats) -> Moments:
        """``added`` (row, input) is what each input adds to the score ``whole`` (row,); ``group`` (row,) is Z."""
        centred, z = added - added.mean(axis=0), group - group.mean()
        spread = float(whole.var())
        deviation = float(z.std())
        scale = np.sqrt(spread) * deviation
        if not scale > 0:
            return Moments(np.zeros((added.shape[1], added.shape[1])), np.zeros(added.shape[1]))
        return Moments(centred.T @ centred / len(z) / spread, centred.T @ z / len(z) / scale)

    def influence(self, alpha: Floats) -> float:
        """Var P / Var Ŷ."""
        return float(alpha @ self.covariance @ alpha)

    def association(self, alpha: Floats) -> float:
        """Cov(P, Z)² / (Var P · Var Z); 0 where P is constant."""
        influence = self.influence(alpha)
        return float((self.with_group @ alpha) ** 2 / influence) if influence > 1e-12 else 0.0

    @property
    def most_association(self) -> float:
        """The association of no part is larger: the share of Z's variance that a regression on all inputs explains."""
        return float(self.with_group @ np.linalg.pinv(self.covariance, hermitian=True) @ self.with_group)


def strongest_proxy(moments: Moments, epsilon: float, seed: Seed, *, starts: int = STARTS) -> LinearProxy:
    """The strongest part whose association is at least ``epsilon``, in either direction, with its bound.

    ``starts`` random starts are tried besides the convex approximation. Needs cvxpy and clarabel.
    """
    if moments.most_association < epsilon:
        return LinearProxy(np.zeros(len(moments.with_group)), 0.0, 0.0, 0.0, 0.0)
    found = [_of_sign(moments, epsilon, sign, seed, starts) for sign in (1.0, -1.0)]
    best = max(found, key=lambda one: one.influence)
    bound, approximation = (max(getattr(one, name) for one in found) for name in ("bound", "approximation"))
    return LinearProxy(best.alpha, best.influence, best.association, bound, approximation)


def _of_sign(moments: Moments, epsilon: float, sign: float, seed: Seed, starts: int) -> LinearProxy:
    """The strongest proxy with a positive (``sign`` 1) or negative (−1) covariance with Z."""
    size = len(moments.with_group)
    if most_association(moments, sign) < epsilon:
        return LinearProxy(np.zeros(size), 0.0, 0.0, 0.0, 0.0)
    program = _ConeProgram(moments, epsilon, sign)
    first = program.solve(np.sqrt(np.diag(moments.covariance)))
    generator = seed.child("starts", str(sign)).generator()
    approximation = moments.influence(first)
    best = first
    for start in [first, *generator.random((starts, size))]:
        alpha = start
        for _ in range(STEPS):
            moved = program.solve(moments.covariance @ alpha)
            done = moments.influence(moved) <= moments.influence(alpha) * (1 + 1e-7)
            alpha = moved
            if done:
                break
        if moments.influence(alpha) > moments.influence(best):
            best = alpha
    bound = upper_bound(moments, epsilon, sign)
    influence = moments.influence(best)
    return LinearProxy(best, influence, moments.association(best), max(bound, influence), approximation)


class _ConeProgram:
    """max gᵀα over α in [0, 1] with √ε ‖Aα‖ ≤ sign · with_group · α, for several g."""

    def __init__(self, moments: Moments, epsilon: float, sign: float) -> None:
        cp = need("cvxpy", extra="proxies")
        need("clarabel", extra="proxies")
        self.moments, self.epsilon = moments, epsilon
        self.alpha, self.goal = cp.Variable(len(moments.with_group)), cp.Parameter(len(moments.with_group))
        cone = np.sqrt(epsilon) * _root(moments.covariance)
        limits = [
            self.alpha >= 0,
            self.alpha <= 1,
            cp.norm(cone @ self.alpha) <= sign * moments.with_group @ self.alpha,
        ]
        self.problem, self.solver = cp.Problem(cp.Maximize(self.goal @ self.alpha), limits), cp.CLARABEL

    def solve(self, goal: Floats) -> Floats:
        """The best α for this goal, inside [0, 1]; zeros where the solver finds none of enough association."""
        size = float(np.abs(goal).max())
        if not size > 0:
            return np.zeros(len(goal))
        self.goal.value = goal / size
        _solve(self.problem, self.solver)
        if self.alpha.value is None:
            return np.zeros(len(goal))
        alpha = np.clip(np.asarray(self.alpha.value, dtype=np.float64), 0.0, 1.0)
        alpha = np.where(alpha < 1e-7, 0.0, alpha)
        is_enough = self.moments.association(alpha) >= self.epsilon * (1 - TOLERANCE)
        return alpha if is_enough else np.zeros(len(goal))


def most_association(moments: Moments, sign: float) -> float:
    """The largest association of a part with a positive (``sign`` 1) or negative (−1) covariance with Z, 0 … 1.

    The association does not depend on the length of α, so that α ≥ 0 with Var P ≤ 1 is enough: a convex problem.
    """
    cp = need("cvxpy", extra="proxies")
    need("clarabel", extra="proxies")
    scale = np.sqrt(np.maximum(np.diag(moments.covariance), 1e-300))
    alpha = cp.Variable(len(scale))
    root = _root(moments.covariance / np.outer(scale, scale))
    problem = cp.Problem(
        cp.Maximize(sign * (moments.with_group / scale) @ alpha), [alpha >= 0, cp.norm(root @ alpha) <= 1]
    )
    _solve(problem, cp.CLARABEL)
    return max(0.0, float(problem.value)) ** 2 if problem.status == "optimal" else 1.0


def upper_bound(moments: Moments, epsilon: float, sign: float) -> float:
    """An upper bound on the influence, from the semidefinite relaxation with products of limits (RLT).

    αᵀSα becomes trace(S X) with X ⪰ ααᵀ; X keeps the products of the limits 0 ≤ α ≤ 1 with each other and, up to
    ``CONES`` inputs, with the association's cone. Correct up to the solver's tolerance of about 1e-7.
    """
    cp = need("cvxpy", extra="proxies")
    need("clarabel", extra="proxies")
    size, link = len(moments.with_group), sign * moments.with_group
    if not np.abs(moments.covariance).max(initial=0.0) > 0 or moments.most_association < epsilon:
        return 0.0
    if most_association(moments, sign) < epsilon:
        return 0.0
    whole = cp.Variable((size + 1, size + 1), PSD=True)
    alpha, product = whole[0, 1:], whole[1:, 1:]
    ones = np.ones((size, 1))
    rows = cp.reshape(alpha, (size, 1), order="C") @ ones.T
    association = np.outer(link, link) - epsilon * moments.covariance
    limits: list[Any] = [
        whole[0, 0] == 1,
        alpha >= 0,
        alpha <= 1,
        product >= 0,
        product <= rows,
        product >= rows + rows.T - 1,
        cp.trace(association @ product) >= 0,
    ]
    cone = np.sqrt(epsilon) * _root(moments.covariance)
    limits.append(cp.norm(cone @ alpha) <= link @ alpha)
    for i in range(size if size <= CONES else 0):
        limits.append(cp.norm(cone @ product[i]) <= link @ product[i])
        limits.append(cp.norm(cone @ (alpha - product[i])) <= link @ (alpha - product[i]))
    problem = cp.Problem(cp.Maximize(cp.trace(moments.covariance @ product)), limits)
    _solve(problem, cp.CLARABEL)
    if problem.status == "optimal_inaccurate":
        return float(problem.value) + INACCURATE * max(1.0, float(problem.value))
    return float(problem.value) if problem.status == "optimal" else float("inf")


def _solve(problem: Any, solver: str) -> None:
    """Solves a program; an inaccurate solution is found by its status and its association, not by a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            problem.solve(solver=solver)
        except need("cvxpy", extra="proxies").error.SolverError:
            return


def _root(covariance: Floats) -> Floats:
    """A with AᵀA = covariance, of as many rows as its rank."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * max(float(values.max(initial=0.0)), 1e-300)
    return np.asarray(np.sqrt(values[kept])[:, None] * vectors[:, kept].T)
