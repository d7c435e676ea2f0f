# SPDX-License-Identifier: Apache-2.0
"""Tables of columns that help, of copies and of columns that do nothing; their Shapley values are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.stats import Interval, bootstrap
from assay.basics.types import Floats, PerPart
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.model.adapters.wrap import wrap
from assay.planted.nets import drawn, outputs, perceptron, tensor, trained
from assay.planted.planted import Competence, Planted

Kind = Literal["logistic", "additive", "xor"]
NAMES = ("cause", "second cause", "third cause", "copy", "suppressor", "idle")


@dataclass(frozen=True, eq=False)
class Quadratic:
    """f(x) = b · x + xᵀ A x of Gaussian columns with mean 0 and this covariance."""

    b: Floats
    a: Floats
    covariance: Floats

    def __call__(self, x: Floats) -> Floats:
        """The value (row,)."""
        return np.asarray(x @ self.b + np.einsum("ni,ij,nj->n", x, self.a, x))

    def expected(self, x: Floats, known: tuple[int, ...], conditional: bool) -> Floats:
        """The mean value (row,) with only the ``known`` columns of ``x`` held.

        The others follow their own law (interventional) or their law given the known ones (conditional); either is
        Gaussian, with mean m and covariance C, so that the mean value is b · m + mᵀ A m + tr(A C).
        """
        held = list(known)
        free = [i for i in range(len(self.b)) if i not in known]
        mean, spread = np.zeros_like(x), np.zeros_like(self.covariance)
        mean[:, held] = x[:, held]
        within = self.covariance[np.ix_(free, free)]
        if conditional and held:
            slope = np.linalg.solve(self.covariance[np.ix_(held, held)], self.covariance[np.ix_(held, free)])
            mean[:, free] = x[:, held] @ slope
            within = within - self.covariance[np.ix_(free, held)] @ slope
        spread[np.ix_(free, free)] = within
        return np.asarray(self(mean) + np.trace(self.a @ spread))

    def shapley(self, x: Floats, *, conditional: bool = False) -> PerPart:
        """Exact Shapley values (row, part), listing all coalitions."""
        n = len(self.b)
        coalitions = [held for size in range(n + 1) for held in combinations(range(n), size)]
        value = {held: self.expected(x, held, conditional) for held in coalitions}
        values = np.zeros((len(x), n))
        for i in range(n):
            for held in (one for one in coalitions if i not in one):
                weight = factorial(len(held)) * factorial(n - len(held) - 1) / factorial(n)
                values[:, i] += weight * (value[tuple(sorted((*held, i)))] - value[held])
        return values


def planted_function(kind: Kind, rho: float) -> Quadratic:
    """What each kind of table has planted, over ``NAMES``.

    The copy and the suppressor correlate by ``rho`` with the first two causes; they and the idle column do nothing.
    Logistic: 2 x₀ − 1.5 x₁ + x₂. Additive: x₀ + x₁² − 0.5 x₂². XOR: 2 x₀ x₁ + 0.5 x₂, so that the sign tells the class.
    """
    forms: dict[str, tuple[list[float], dict[tuple[int, int], float]]] = {
        "logistic": ([2.0, -1.5, 1.0], {}),
        "additive": ([1.0, 0.0, 0.0], {(1, 1): 1.0, (2, 2): -0.5}),
        "xor": ([0.0, 0.0, 0.5], {(0, 1): 2.0}),
    }
    if kind not in forms or not -1 < rho < 1:
        raise InputError(f"kind={kind!r}, rho={rho}; there are {', '.join(forms)}, and rho lies between −1 and 1.")
    slope, pairs = forms[kind]
    b, a, covariance = np.zeros(6), np.zeros((6, 6)), np.eye(6)
    b[:3] = slope
    for (i, j), weight in pairs.items():
        a[i, j] += weight / 2
        a[j, i] += weight / 2
    for i, j in ((0, 3), (1, 4)):
        covariance[i, j] = covariance[j, i] = rho
    return Quadratic(b, a, covariance)


def tables(
    seed: Seed, kind: Kind = "logistic", *, rho: float = 0.5, trees: bool = False, rows: int = 64, train: int = 4000
) -> Planted:
    """Six Gaussian columns, three of which make the value; a perceptron or boosted trees learn it.

    Truth: the exact interventional Shapley values of the planted function under the columns' own law, so that copy,
    suppressor and idle column have 0; the conditional ones (``planted_function(…).shapley(x, conditional=True)``)
    share what is known with copies. Agreement is Spearman's correlation with them over parts, signs kept.
    """
    planted = planted_function(kind, rho)
    chance = seed.child("tables", kind, rho).generator()
    x = chance.standard_normal((train + 500, 6)) @ np.linalg.cholesky(planted.covariance).T
    y = planted(x)
    model, said = _forest(seed, x, y, train) if trees else _net(seed, x, y, train)
    shown = x[train : train + rows]
    asked: Any = shown if trees else tensor(shown)
    truth = planted.shapley(shown)
    return Planted(
        name=f"table, {kind}, ρ {rho:g}{', trees' if trees else ''}",
        case=case(model, asked, label=None, names=NAMES, seed=seed),
        truth=truth,
        mask=None,
        agreement="rank",
        chance=0.0,
        competence=_fit(said, y[train:], seed),
        start=np.zeros(6),
        background=_background(planted.covariance, chance),
        many=x[:500],
        meaning="exact interventional Shapley values of the planted function",
        should="order the columns as the planted function's Shapley values do, idle ones at 0",
        sources=("shapley1953", "liu2021", "wilming2023"),
        marginal=True,
        budget=64,
    )


def _background(covariance: Floats, chance: np.random.Generator, pairs: int = 16) -> Floats:
    """Rows with mean 0 and exactly this covariance, so that games filled by them have the planted function's values."""
    half = chance.standard_normal((pairs, len(covariance)))
    half = half @ np.linalg.inv(np.linalg.cholesky(half.T @ half / pairs)).T @ np.linalg.cholesky(covariance).T
    return np.concatenate([half, -half])


def _net(seed: Seed, x: Floats, y: Floats, train: int) -> tuple[Any, Floats]:
    net = trained(drawn(perceptron(6, 48, 1, act="Tanh"), seed), x[:train], y[:train, None], seed, epochs=30, rate=1e-2)
    return of_net(net, gives="values", name="a perceptron that learnt the table"), outputs(net, x[train:])[:, 0]


def _forest(seed: Seed, x: Floats, y: Floats, train: int) -> tuple[Any, Floats]:
    made = need("sklearn.ensemble", extra="sklearn").GradientBoostingRegressor
    forest = made(n_estimators=150, max_depth=3, learning_rate=0.15, random_state=seed.entropy % 2**32)
    forest.fit(x[:train], y[:train])
    return wrap(forest), np.asarray(forest.predict(x[train:]), dtype=np.float64)


def _fit(said: Floats, y: Floats, seed: Seed) -> Competence:
    """R² on new rows; the interval is the bootstrap's of the mean squared error over the variance."""
    error = (said - y) ** 2 / y.var()
    found = bootstrap(error, seed=seed)
    interval = Interval(1 - found.high, 1 - found.low, found.level, found.method)
    return Competence("R² of the model on the planted function", float(1 - error.mean()), interval, 0.9)
