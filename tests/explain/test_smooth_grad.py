"""SmoothGrad."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.nouns.inputs.features import integer_map


def drawn(case: Case, draws: int) -> np.ndarray:
    """The noise of each row from its own stream, one draw after another: (draw, row, element)."""
    streams = [case.seed.child("gaussian", name).generator() for name in case.rows.ids]
    return np.stack([[stream.standard_normal(case.rows.shape) for stream in streams] for _ in range(draws)])


def test_it_is_the_literal_mean_of_noisy_gradients() -> None:
    case = examples.quadratic([[1.0, 0.5], [0.0, 2.0]], [[1.0, 4.0], [0.0, 1.0]], seed=9)
    spread = np.array([[3.0], [1.0]])
    points = case.rows.x + 0.2 * spread * drawn(case, 6)
    expected = np.mean([case.gradient(point) for point in points], axis=0)
    assert_allclose(explain.smooth_grad(case, noise=0.2, draws=6).values, expected)


def test_without_noise_it_is_the_gradient(tanh_case: Case) -> None:
    plain = explain.saliency(tanh_case, signed=True)
    assert_allclose(explain.smooth_grad(tanh_case, noise=0.0, draws=3).values, plain.values, atol=1e-12)


def test_on_a_linear_model_noise_changes_nothing() -> None:
    result = explain.smooth_grad(examples.linear((2, -1), x=[1.0, 7.0]))
    assert_allclose(result.values, [[2.0, -1.0]])
    assert_array_equal(result.stderr, 0.0)


def test_unsigned_it_is_the_size_of_the_mean() -> None:
    case = examples.quadratic([[1.0, 0.0], [0.0, -1.0]], [0.01, 1.0])
    one, two = explain.smooth_grad(case, noise=0.9), explain.smooth_grad(case, noise=0.9, signed=False)
    assert_allclose(two.values, np.abs(one.values))
    assert_array_equal(one.stderr, two.stderr)


def test_unsigned_parts_of_several_elements_have_no_error() -> None:
    case = examples.linear((2.0, -1.0, 1.0), x=[1.0, 2.0, 3.0], features=integer_map([0, 0, 1]))
    assert explain.smooth_grad(case, signed=False).stderr is None
    assert explain.smooth_grad(case).stderr is not None


def test_its_error_covers_the_smoothed_gradient() -> None:
    inside = []
    for seed in range(120):
        case = examples.analytic(lambda x: (x**3).sum(axis=1), lambda x: 3 * x**2, [[0.0, 1.0]], "cubes", seed=seed)
        result = explain.smooth_grad(case, noise=0.5, draws=40)
        inside.append(np.abs(result.values - 3 * (np.array([[0.0, 1.0]]) ** 2 + 0.25)) <= 1.96 * result.stderr)
    assert 0.87 <= np.mean(inside) <= 0.985


def test_a_row_of_equal_elements_gets_no_noise_and_a_note() -> None:
    case = examples.additive((1.0, 2.0))
    result = explain.smooth_grad(case)
    assert_allclose(result.values, [[2.0, 4.0]])
    assert [(note.code, note.rows) for note in result.notes] == [("no-noise", ("0",))]


def test_negative_noise_is_refused() -> None:
    with pytest.raises(InputError, match=r"noise=-0.1"):
        explain.smooth_grad(examples.product(), noise=-0.1)


def test_a_digits_noise_does_not_depend_on_order_other_rows_and_batches(digits: Callable[..., Case]) -> None:
    case = digits()
    whole = explain.smooth_grad(case).values
    assert_allclose(explain.smooth_grad(case.take([2, 0])).values, whole[[2, 0]], atol=1e-6)
    small = replace(case, model=replace(case.model, batch=2))
    assert_allclose(explain.smooth_grad(small).values, whole, atol=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_another_others(digits: Callable[..., Case]) -> None:
    one, two, three = (explain.smooth_grad(digits(seed=seed)).values.tobytes() for seed in (1, 1, 2))
    assert one == two
    assert one != three
