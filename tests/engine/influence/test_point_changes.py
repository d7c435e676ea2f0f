"""Changing a training row of a fit that is linear in its weights, against models fitted to the changed rows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

import assay
from assay.engine.influence.point_changes import PointChanges
from assay.engine.influence.read_fit import estimator_fit
from assay.engine.influence.training_rows import training_case

ROWS, TESTS = 60, 8
MODELS = {
    "two classes": (2, 4, lambda: LogisticRegression(C=0.5, tol=1e-13, max_iter=20000)),
    "three classes": (3, 4, lambda: LogisticRegression(C=0.5, tol=1e-13, max_iter=20000)),
    "more columns than rows": (2, 90, lambda: LogisticRegression(C=0.5, tol=1e-13, max_iter=20000)),
    "three classes, more columns": (3, 90, lambda: LogisticRegression(C=0.5, tol=1e-13, max_iter=20000)),
    "weights of classes": (2, 4, lambda: LogisticRegression(class_weight={0: 3.0}, tol=1e-13, max_iter=20000)),
    "ridge": (0, 90, lambda: Ridge(0.7)),
    "least squares": (0, 4, LinearRegression),
}
EVERY = pytest.mark.parametrize("name", MODELS)


@cache
def data(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    classes, columns, _ = MODELS[name]
    generator = np.random.default_rng(columns + classes)
    x = generator.normal(size=(ROWS + TESTS, columns))
    score = x[:, :4] @ generator.normal(size=(4, max(1, classes))) + generator.normal(size=(len(x), max(1, classes)))
    y = score[:, 0] if not classes else (score[:, 0] > 0).astype(int) if classes == 2 else score.argmax(axis=1)
    return x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]


@cache
def changes(name: str) -> tuple[PointChanges, Any]:
    """The fit at its optimum, and a reading of the loss of the tests."""
    x, y, tests, truth = data(name)
    case = assay.case(assay.wrap(MODELS[name][2]().fit(x, y)), tests, target="loss", label=truth)
    fit, _ = estimator_fit(case, training_case(case, (x, y)), 0.0)

    def read(outputs: Any, which: Any) -> Any:
        return np.asarray(case.target.read(outputs, case.label[which], case.model.gives))

    return PointChanges(fit.at_optimum()), read


def refitted(name: str, row: int, point: np.ndarray, label: Any = None) -> np.ndarray:
    """What the loss of the tests changes by when scikit-learn fits the changed rows."""
    x, y, tests, truth = (one.copy() for one in data(name))

    def losses() -> np.ndarray:
        fitted = MODELS[name][2]().fit(x, y)
        return np.asarray(assay.case(assay.wrap(fitted), tests, target="loss", label=truth).output)

    before = losses()
    x[row], y[row] = point, y[row] if label is None else label
    return losses() - before


def with_one(name: str, point: np.ndarray) -> np.ndarray:
    """A row as the fit has it: with a 1 for the intercept."""
    return np.append(point, 1.0)


def slope(found: np.ndarray, exact: np.ndarray) -> float:
    return float(found @ exact / (exact @ exact))


@EVERY
def test_a_small_change_of_a_row_moves_the_loss_as_refits_do(name: str) -> None:
    at, read = changes(name)
    x = data(name)[0]
    for row in (3, 41):
        point = x[row] + 3e-4 * np.random.default_rng(row).normal(size=x.shape[1])
        exact = refitted(name, row, point)
        for options in ({"linear": True}, {}, {"newton": True}):
            found = at.target_change(read, row, with_one(name, point), **options)
            assert abs(slope(found, exact) - 1) < 0.01, (row, options)
            assert_allclose(found, exact, atol=0.02 * np.abs(exact).max())


@EVERY
def test_the_derivative_by_the_training_row_is_that_of_refits(name: str) -> None:
    at, read = changes(name)
    x, row, step = data(name)[0], 7, 2e-4
    found = at.derivative(read, row)
    assert found.shape == (TESTS, x.shape[1] + 1)
    for column in (0, 3):
        moved = step * np.eye(x.shape[1])[column]
        exact = (refitted(name, row, x[row] + moved) - refitted(name, row, x[row] - moved)) / (2 * step)
        assert_allclose(found[:, column], exact, atol=2e-4 * np.abs(exact).max() + 1e-9)


@EVERY
def test_a_refit_of_the_changed_rows_is_that_of_scikit_learn(name: str) -> None:
    """Also of a change that leaves the span of the training rows, and of the label."""
    at, read = changes(name)
    x, y = data(name)[:2]
    point = np.random.default_rng(5).normal(size=x.shape[1])
    label = None if MODELS[name][0] == 0 else (y[11] + 1) % MODELS[name][0]
    after = at.with_row(11, with_one(name, point), label).refitted()
    assert after.fit.gradient_share() < 1e-10
    everyone = np.arange(TESTS)
    before = read(at.fit.outputs(at.fit.tests @ at.fit.weights.T), everyone)
    found = read(at.fit.outputs(at.fit.tests @ after.weights.T), everyone) - before
    assert_allclose(found, refitted(name, 11, point, label), atol=1e-5)


@pytest.mark.parametrize("name", [name for name, (_, columns, _) in MODELS.items() if columns == 4 or name == "ridge"])
def test_a_newton_step_stays_nearer_the_refit_of_a_large_change_than_first_order(name: str) -> None:
    at, read = changes(name)
    x, row = data(name)[0], 20
    point = 3 * x[row]
    exact = refitted(name, row, point)
    errors = [
        np.abs(at.target_change(read, row, with_one(name, point), newton=newton) - exact).max()
        for newton in (False, True)
    ]
    assert errors[1] < errors[0]
    if MODELS[name][0] == 0:
        assert errors[1] < 1e-8 * np.abs(exact).max()  # squared error has no third derivative


def test_a_row_that_stays_as_it_is_changes_nothing() -> None:
    at, read = changes("more columns than rows")
    assert_allclose(at.target_change(read, 4, at.fit.x[4]), 0.0, atol=1e-12)


def test_changing_the_label_of_a_ridge_is_known_exactly() -> None:
    """β′ = β + (XᵀX + λ I)⁻¹ x_i Δy."""
    at, _ = changes("ridge")
    fit = at.fit
    hessian = fit.x.T @ fit.x + np.diag(fit.penalty)
    weights = fit.weights[0] + np.linalg.solve(hessian, fit.x[9]) * 2.5
    after = at.with_row(9, fit.x[9], fit.labels[9] + 2.5).refitted()
    assert_allclose(after.weights[0], weights, atol=1e-9)
    changed, step = at.weight_changes(9, fit.x[9], fit.labels[9] + 2.5)
    assert_allclose(fit.weights + changed.of_columns(step), after.weights, atol=1e-9)


def test_an_optimum_far_away_is_reached_by_halved_steps() -> None:
    """Full Newton steps of this fit diverge."""
    at, _ = changes("three classes, more columns")
    far = replace(at.fit, weights=at.fit.weights + 4 * np.random.default_rng(0).normal(size=at.fit.weights.shape))
    row = at.fit.x[0]
    near = PointChanges(replace(far, weights=0 * far.weights)).with_row(0, row).refitted()
    assert near.fit.gradient_share() < 1e-12
    found = PointChanges(far).with_row(0, row).refitted()
    difference = found.weights - near.weights
    assert_allclose(difference - difference.mean(axis=0), 0.0, atol=1e-6)  # all intercepts may move together
