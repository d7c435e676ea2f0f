"""LIME."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles import games

from assay import examples, explain
from assay.cases.case import Case
from assay.words.errors import InputError


@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_with_all_masks_it_solves_the_normal_equations(width: float, ridge: float) -> None:
    case, _ = examples.random_game(5, seed=8)
    result = explain.lime(case, width=width, ridge=ridge)
    slopes, intercept, fidelity = games.lime(games.value_of(case), 5, width, ridge)
    assert_allclose(result.values[0], slopes, atol=1e-8)
    assert_allclose(result.base, [intercept], atol=1e-8)
    assert_allclose(result.extra["fidelity"], [fidelity], atol=1e-8)


def test_a_linear_model_is_recovered_exactly_from_few_masks() -> None:
    case = examples.linear(np.arange(1.0, 13.0), intercept=0.5)
    result = explain.lime(case, budget=60)
    assert_allclose(result.values, [np.arange(1.0, 13.0)], atol=1e-9)
    assert_allclose(result.base, [0.5], atol=1e-9)
    assert_allclose(result.extra["fidelity"], 1.0)
    assert_allclose(result.stderr, 0.0, atol=1e-9)


def test_the_residual_is_the_local_models_error_at_the_row() -> None:
    case, _ = examples.random_game(6, seed=1)
    result = explain.lime(case)
    assert_allclose(result.residual, result.output - (result.base + result.values.sum(axis=1)))
    assert abs(result.residual[0]) > 1e-6


def test_its_error_is_the_sandwich() -> None:
    from assay.engine.local_regression import local_regression

    case, _ = examples.random_game(9, seed=4)
    design = local_regression(0.5, 0.0).design(9, 80, case.seed.child("design", "bernoulli 0.5"))
    z = np.concatenate([np.ones((80, 1)), design.masks], axis=1)
    y = case.value(design.masks.astype(float), np.zeros(80, dtype=int))
    bread = np.linalg.inv(z.T @ np.diag(design.weight) @ z)
    error = y - z @ (bread @ z.T @ (design.weight * y))
    meat = z.T @ np.diag((design.weight * error) ** 2) @ z
    expected = np.sqrt(np.diag(bread @ meat @ bread)[1:] * 80 / 70)
    assert_allclose(explain.lime(case, budget=80, width=0.5).stderr[0], expected)


def test_listed_there_is_no_error() -> None:
    assert_array_equal(explain.lime(examples.random_game(7)[0], budget=128).stderr, 0.0)


def test_a_target_that_no_mask_changes_has_no_fidelity_and_a_note() -> None:
    result = explain.lime(examples.linear((0.0, 0.0, 0.0), intercept=2.0))
    assert_allclose(result.values, 0.0, atol=1e-12)
    assert np.isnan(result.extra["fidelity"]).all()
    assert [(note.code, note.rows) for note in result.notes] == [("flat", ("0",))]


def test_fewer_masks_than_unknowns_are_refused() -> None:
    with pytest.raises(InputError, match="at least 32 are needed"):
        explain.lime(examples.random_game(30)[0], budget=31)


@pytest.mark.parametrize("options", [{"width": 0.0}, {"ridge": -1.0}])
def test_widths_and_ridges_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="width is above 0, ridge at least 0"):
        explain.lime(examples.product(), **options)


def test_on_digits_a_wider_kernel_describes_less_of_the_neighbourhood(digits: Callable[..., Case]) -> None:
    fidelity = explain.lime(digits(), budget=300).extra["fidelity"]
    assert ((fidelity > 0.3) & (fidelity < 1.0)).all()


def test_on_a_forest_rows_alone_are_fitted_as_among_others(tissue: Callable[..., Case]) -> None:
    case = tissue()
    assert_allclose(
        explain.lime(case.take([3]), budget=200).values, explain.lime(case, budget=200).values[[3]], atol=1e-9
    )
