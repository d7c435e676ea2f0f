"""Models that are linear in their weights: what leaving a row out changes, against models fitted without it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError, NumericalError

ROWS = 90


@cache
def data(classes: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training rows and labels, test rows and labels; numbers for 0 classes."""
    generator = np.random.default_rng(classes)
    x = generator.normal(size=(ROWS + 6, 4))
    score = x @ generator.normal(size=(4, max(1, classes))) + generator.normal(size=(len(x), max(1, classes)))
    y = score[:, 0] if not classes else (score[:, 0] > 0).astype(int) if classes == 2 else score.argmax(axis=1)
    return x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]


def logistic(**options: Any) -> LogisticRegression:
    return LogisticRegression(**{"tol": 1e-12, "max_iter": 20000, **options})


def refitted(make: Callable[[], Any], classes: int, left_out: Any, target: str = "loss") -> np.ndarray:
    """The target at the test rows of a model fitted without some rows, minus that of the model on all."""
    x, y, tests, truth = data(classes)

    def at_tests(estimator: Any) -> np.ndarray:
        label = truth if target == "loss" else 1
        return np.asarray(assay.case(assay.wrap(estimator), tests, target=target, label=label).output)

    whole = make().fit(x, y)
    return at_tests(make().fit(np.delete(x, left_out, axis=0), np.delete(y, left_out))) - at_tests(whole)


def influence(estimator: Any, classes: int, target: str = "loss", **options: Any) -> Any:
    x, y, tests, truth = data(classes)
    label = truth if target == "loss" else 1
    case = assay.case(assay.wrap(estimator.fit(x, y)), tests, target=target, label=label)
    return explain.training_influence(case, train=(x, y), **options)


@pytest.mark.parametrize(
    "make", [LinearRegression, lambda: LinearRegression(fit_intercept=False), lambda: Ridge(3.0), lambda: Ridge(0.1)]
)
def test_a_linear_regression_without_a_row_is_known_exactly(make: Callable[[], Any]) -> None:
    found = influence(make(), 0).values
    for row in (0, 7, 40):
        assert_allclose(found[:, row], refitted(make, 0, row), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("options", "target"),
    [({}, "loss"), ({"C": 0.1}, "probability"), ({"fit_intercept": False}, "loss"),
     ({"class_weight": {0: 3.0}}, "loss"), ({"solver": "newton-cg", "C": 10.0}, "loss")],
)  # fmt: skip
def test_newton_steps_give_the_refit_of_logistic_regressions(classes: int, options: Any, target: str) -> None:
    """Points drawn at random, not those of the largest values, which would flatter."""
    found = influence(logistic(**options), classes, target, steps=6).values
    rows = np.random.default_rng(3).choice(ROWS, 6, replace=False)
    exact = np.stack([refitted(lambda: logistic(**options), classes, row, target) for row in rows], axis=1)
    assert_allclose(found[:, rows], exact, atol=2e-3 * np.abs(exact).max())


def test_liblinear_penalises_the_intercept() -> None:
    def make() -> Any:
        return LogisticRegression(solver="liblinear", C=0.3, tol=1e-10, max_iter=5000)

    found = influence(make(), 2, steps=6).values
    assert_allclose(found[:, 11], refitted(make, 2, 11), atol=1e-3 * np.abs(found).max())


def test_one_newton_step_is_nearer_the_refit_than_the_influence_function() -> None:
    rows = list(range(0, ROWS, 9))
    exact = np.stack([refitted(lambda: logistic(C=10.0), 3, row) for row in rows], axis=1).ravel()
    errors, slopes = [], []
    for options in ({"method": "gauss_newton"}, {"steps": 1}, {"steps": 3}):
        found = influence(logistic(C=10.0), 3, **options).values[:, rows].ravel()
        errors.append(np.abs(found - exact).max())
        slopes.append(exact @ found / (exact @ exact))
    assert errors[0] > errors[1] > 4 * errors[2]
    assert slopes[0] < 0.9  # the plain influence function understates
    assert abs(slopes[2] - 1) < 0.02


def test_groups_are_left_out_together() -> None:
    names = [f"group {i % 10}" for i in range(ROWS)]
    found = influence(logistic(), 2, groups=names)
    assert found.features.names == tuple(f"group {i}" for i in range(10))
    member = np.arange(ROWS) % 10 == 4
    exact = refitted(logistic, 2, np.flatnonzero(member))
    assert_allclose(found.values[:, 4], exact, atol=0.1 * np.abs(exact).max())
    assert "self_influence" not in found.extra
    linear = influence(LinearRegression(), 0, groups=names)
    assert_allclose(linear.values[:, 4], refitted(LinearRegression, 0, np.flatnonzero(member)), rtol=1e-8)


def test_equal_rows_have_equal_influence_and_a_row_without_loss_has_none() -> None:
    x, y, tests, truth = data(0)
    x, y = np.concatenate([x, x[:1], x[5:6]]), np.concatenate([y, y[:1], y[5:6]])
    y[-1] = (x[5] @ np.linalg.lstsq(np.delete(x, -1, 0), y[:-1], rcond=None)[0]).item()
    estimator = LinearRegression(fit_intercept=False).fit(x, y)
    case = assay.case(assay.wrap(estimator), tests, target="loss", label=truth)
    found = explain.training_influence(case, train=(x, y)).values
    assert_allclose(found[:, 0], found[:, -2], rtol=1e-10)
    assert_allclose(found[:, -1], 0.0, atol=1e-9)


def test_a_pipeline_is_read_and_its_steps_are_held_fixed() -> None:
    x = data(2)[0]
    scaled = influence(make_pipeline(StandardScaler(), logistic()), 2, steps=6)
    assert "steps-fixed" in {note.code for note in scaled.notes}
    mean, spread = x.mean(axis=0), x.std(axis=0)

    class Fixed(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
        def fit(self, *_: Any, **__: Any) -> Any:
            return super().fit(np.stack([mean - spread, mean + spread]))

    exact = refitted(lambda: make_pipeline(Fixed(), logistic()), 2, 17)
    assert_allclose(scaled.values[:, 17], exact, atol=1e-3 * np.abs(exact).max())


def test_a_fit_that_stopped_early_is_moved_to_its_optimum_and_says_so() -> None:
    x, y, tests, truth = data(2)
    with pytest.warns(Warning, match="converge"):
        early = LogisticRegression(C=100.0, max_iter=5).fit(x, y)
    case = assay.case(assay.wrap(early), tests, target="loss", label=truth)
    found = explain.training_influence(case, train=(x, y), steps=6)
    text = next(note.text for note in found.notes if note.code == "not-converged")
    moved = np.abs(early.predict_proba(tests) - logistic(C=100.0).fit(x, y).predict_proba(tests)).max()
    assert f"differ by up to {moved:.2g}" in text
    assert_allclose(found.values, influence(logistic(C=100.0), 2, steps=6).values, atol=1e-6)


def test_rows_that_did_not_train_the_model_are_refused() -> None:
    x, y, tests, truth = data(2)
    case = assay.case(assay.wrap(logistic().fit(x, y)), tests, target="loss", label=truth)
    with pytest.raises(InputError, match="was not trained on these rows"):
        explain.training_influence(case, train=(x, 1 - y))


@pytest.mark.parametrize(
    ("estimator", "classes", "error", "text"),
    [
        (LogisticRegression(l1_ratio=1.0, solver="saga", max_iter=5000), 2, CapabilityError, "no second derivative"),
        (Ridge(1.0, positive=True), 0, CapabilityError, "bounds on its weights"),
    ],
)
def test_objectives_without_a_hessian_are_refused(estimator: Any, classes: int, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        influence(estimator, classes)


def test_a_row_that_alone_determines_a_weight_has_no_fit_without_it() -> None:
    x, y, tests, truth = data(0)
    x = np.concatenate([x, np.eye(1, ROWS, 0).T], axis=1)
    estimator = LinearRegression().fit(x, y)
    case = assay.case(
        assay.wrap(estimator), np.concatenate([tests, np.ones((6, 1))], axis=1), target="loss", label=truth
    )
    with pytest.raises(NumericalError, match="determines a weight alone"):
        explain.training_influence(case, train=(x, y))
    found = explain.training_influence(case, train=(x, y), damping=1e-3)
    assert np.isfinite(found.values).all()


def test_other_models_are_refused_with_what_to_do() -> None:
    from sklearn.ensemble import RandomForestClassifier

    with pytest.raises(CapabilityError, match="method='refit'"):
        influence(RandomForestClassifier(5), 2)
    with pytest.raises(CapabilityError, match="exact method='newton' is known"):
        influence(logistic(), 2, method="ek_fac")


def test_self_influence_finds_flipped_labels_and_no_others() -> None:
    x, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(x))[:300]
    x, y = x[rows] / 16, y[rows].copy()
    flipped = np.arange(300) < 30
    y[flipped] = (y[flipped] + generator.integers(1, 10, 30)) % 10

    def ranking(labels: np.ndarray) -> float:
        model = assay.wrap(logistic(C=0.1, tol=1e-6).fit(x, labels))
        case = assay.case(model, x[:2], target="loss", label=labels[:2])
        own = explain.training_influence(case, train=(x, labels), steps=1).extra["self_influence"]
        above = own[flipped][:, None] > own[~flipped][None, :]
        return float(above.mean())

    assert ranking(y) > 0.95
    shuffled = [ranking(generator.permutation(y)) for _ in range(3)]  # no row is a better candidate than another
    assert abs(np.mean(shuffled) - 0.5) < 0.12


def test_more_columns_than_rows_are_solved_among_the_rows() -> None:
    generator = np.random.default_rng(0)
    x, tests = generator.normal(size=(40, 6000)), generator.normal(size=(3, 6000))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)

    def at_tests(rows: np.ndarray) -> Any:
        estimator = logistic(C=1e-3).fit(x[rows], y[rows])
        return assay.case(assay.wrap(estimator), tests, target="loss", label=[0, 1, 1])

    case = at_tests(np.arange(40))
    found = explain.training_influence(case, train=(x, y), steps=6).values
    exact = at_tests(np.arange(1, 40)).output - case.output
    assert_allclose(found[:, 0], exact, atol=1e-4 * np.abs(exact).max())


def test_more_weights_than_an_exact_hessian_takes_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(40, 5200))
    case = assay.case(assay.wrap(LinearRegression().fit(x, x[:, 0])), x[:2], target="loss", label=x[:2, 0])
    with pytest.raises(CapabilityError, match="5,201 weights are too many"):
        explain.training_influence(case, train=(x, x[:, 0]))
