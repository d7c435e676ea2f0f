"""Expected gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from tests.oracles.paths import integrated

from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case

BACKGROUND = np.array([[0.0, 1.0], [2.0, -1.0], [4.0, 3.0]])


def test_on_a_linear_model_it_is_weight_times_distance_from_the_mean() -> None:
    result = explain.expected_gradients(examples.linear((2, -1), x=[3.0, 5.0]), background=BACKGROUND)
    assert_allclose(result.values, [[2.0, -4.0]])


def test_it_is_the_mean_of_finely_integrated_gradients() -> None:
    case = examples.analytic(
        lambda x: np.sin(x[:, 0]) * x[:, 1],
        lambda x: np.stack([np.cos(x[:, 0]) * x[:, 1], np.sin(x[:, 0])], axis=1),
        [[1.0, 2.0]],
        "sine times",
    )
    expected = np.mean([integrated(case, row, steps=1000) for row in BACKGROUND], axis=0)
    assert_allclose(explain.expected_gradients(case, background=BACKGROUND, steps=12).values, expected, atol=1e-5)


def test_the_base_is_the_mean_target_over_the_background() -> None:
    assert_allclose(explain.expected_gradients(examples.product(), background=BACKGROUND).base, [(0 - 2 + 12) / 3])


def test_a_background_of_one_row_gives_integrated_gradients(tanh_case: Case) -> None:
    start = torch.full((1, 5), 0.3, dtype=torch.float64)
    one = explain.expected_gradients(tanh_case, background=start, steps=9)
    two = explain.integrated_gradients(tanh_case, start=0.3, steps=9)
    assert_allclose(one.values, two.values, atol=1e-12)
    assert_allclose(one.base, two.base)


def test_cost_counts_every_row_of_the_background() -> None:
    case = examples.product()
    assert explain.expected_gradients(case, background=BACKGROUND, steps=5).provenance.cost["backwards"] == 15


def test_nothing_is_drawn() -> None:
    one, two = (explain.expected_gradients(examples.product(seed=s), background=BACKGROUND) for s in (1, 2))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.stderr is None


def test_a_background_must_be_given() -> None:
    with pytest.raises(InputError, match="background"):
        explain.expected_gradients(examples.product())  # type: ignore[call-arg]  # the omission is the test


def test_a_background_of_other_columns_is_refused() -> None:
    with pytest.raises(InputError, match=r"other rows have shape \(3,\)"):
        explain.expected_gradients(examples.product(), background=np.zeros((2, 3)))


def test_on_digits_it_is_complete_whatever_the_label(digits: Callable[..., Case]) -> None:
    background = (load_digits().images[50:58] / 16.0)[:, None]
    result = explain.expected_gradients(digits(label=[3, 1, 8]), background=background)
    assert np.abs(result.residual).max() <= 1e-4
