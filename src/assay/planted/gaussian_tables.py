# SPDX-License-Identifier: Apache-2.0
"""Gaussian tables with relevant, correlated and irrelevant columns, and their exact Shapley values."""

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
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.model.adapters.wrap import wrap
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import initialise, perceptron, predict, to_tensor, train_network

FunctionKind = Literal["logistic", "additive", "xor"]
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
        """The expected value (row,) with the ``known`` columns of ``x`` fixed.

        The other columns follow their marginal distribution (interventional) or their distribution given the known
        columns (conditional). Both are Gaussian, with mean m and covariance C, so that the expected value is
        b · m + mᵀ A m + tr(A C).
        """
        fixed = list(known)
        free = [i for i in range(len(self.b)) if i not in known]
        mean, covariance = np.zeros_like(x), np.zeros_like(self.covariance)
        mean[:, fixed] = x[:, fixed]
        free_covariance = self.covariance[np.ix_(free, free)]
        if conditional and fixed:
            slope = np.linalg.solve(self.covariance[np.ix_(fixed, fixed)], self.covariance[np.ix_(fixed, free)])
            mean[:, free] = x[:, fixed] @ slope
            free_covariance = free_covariance - self.covariance[np.ix_(free, fixed)] @ slope
        covariance[np.ix_(free, free)] = free_covariance
        return np.asarray(self(mean) + np.trace(self.a @ covariance))

    def shapley(self, x: Floats, *, conditional: bool = False) -> PerPart:
        """Exact Shapley values (row, feature), by enumeration of all coalitions."""
        n = len(self.b)
        coalitions = [members for size in range(n + 1) for members in combinations(range(n), size)]
        value = {members: self.expected(x, members, conditional) for members in coalitions}
        values = np.zeros((len(x), n))
        for i in range(n):
            for members in (one for one in coalitions if i not in one):
                weight = factorial(len(members)) * factorial(n - len(members) - 1) / factorial(n)
                values[:, i] += weight * (value[tuple(sorted((*members, i)))] - value[members])
        return values


def ground_truth_function(kind: FunctionKind, rho: float) -> Quadratic:
    """The function of ``NAMES`` that generates the labels of a table.

    The copy and the suppressor correlate by ``rho`` with the first two causes; they and the idle column have no effect.
    Logistic: 2 x₀ − 1.5 x₁ + x₂. Additive: x₀ + x₁² − 0.5 x₂². XOR: 2 x₀ x₁ + 0.5 x₂, whose sign depends on both.
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


def gaussian_tables(
    seed: Seed,
    kind: FunctionKind = "logistic",
    *,
    rho: float = 0.5,
    trees: bool = False,
    rows: int = 64,
    train: int = 4000,
) -> BenchmarkCase:
    """Six Gaussian columns, three of which determine the value; a perceptron or boosted trees are trained on it.

    Truth: the exact interventional Shapley values of the ground-truth function under the columns' distribution; copy,
    suppressor and idle column have 0. The conditional values (``ground_truth_function(…).shapley(x,
    conditional=True)``) share effects with correlated columns. Agreement is the Spearman correlation over features,
    with signs.
    """
    function = ground_truth_function(kind, rho)
    generator = seed.child("tables", kind, rho).generator()
    x = generator.standard_normal((train + 500, 6)) @ np.linalg.cholesky(function.covariance).T
    y = function(x)
    model, predictions = _fit_trees(seed, x, y, train) if trees else _fit_network(seed, x, y, train)
    test = x[train : train + rows]
    inputs: Any = test if trees else to_tensor(test)
    return BenchmarkCase(
        name=f"table, {kind}, ρ {rho:g}{', trees' if trees else ''}",
        case=case(model, inputs, label=None, names=NAMES, seed=seed),
        truth=function.shapley(test),
        mask=None,
        agreement="rank",
        chance=0.0,
        competence=_competence(predictions, y[train:], seed),
        start=np.zeros(6),
        background=_background(function.covariance, generator),
        training_rows=x[:500],
        meaning="exact interventional Shapley values of the ground-truth function",
        should="rank the columns as the Shapley values of the ground-truth function do, irrelevant ones at 0",
        sources=("shapley1953", "liu2021", "wilming2023"),
        is_marginal=True,
        budget=64,
    )


def _background(covariance: Floats, generator: np.random.Generator, pairs: int = 16) -> Floats:
    """Rows with mean 0 and exactly this covariance, so that the games they fill have the exact Shapley values."""
    half = generator.standard_normal((pairs, len(covariance)))
    half = half @ np.linalg.inv(np.linalg.cholesky(half.T @ half / pairs)).T @ np.linalg.cholesky(covariance).T
    return np.concatenate([half, -half])


def _fit_network(seed: Seed, x: Floats, y: Floats, train: int) -> tuple[Any, Floats]:
    net = initialise(perceptron(6, 48, 1, act="Tanh"), seed)
    net = train_network(net, x[:train], y[:train, None], seed, epochs=30, rate=1e-2)
    return torch_model(net, gives="values", name="a perceptron trained on the table"), predict(net, x[train:])[:, 0]


def _fit_trees(seed: Seed, x: Floats, y: Floats, train: int) -> tuple[Any, Floats]:
    regressor = need("sklearn.ensemble", extra="sklearn").GradientBoostingRegressor
    trees = regressor(n_estimators=150, max_depth=3, learning_rate=0.15, random_state=seed.entropy % 2**32)
    trees.fit(x[:train], y[:train])
    return wrap(trees), np.asarray(trees.predict(x[train:]), dtype=np.float64)


def _competence(predictions: Floats, y: Floats, seed: Seed) -> Competence:
    """R² on test rows; the interval is one minus the bootstrap interval of the mean squared error over the variance."""
    error = (predictions - y) ** 2 / y.var()
    error_interval = bootstrap(error, seed=seed)
    interval = Interval(1 - error_interval.high, 1 - error_interval.low, error_interval.level, error_interval.method)
    return Competence("R² of the model on the ground-truth function", float(1 - error.mean()), interval, 0.9)
