import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import curved, replace_values

from assay import Constant, examples, explain, integer_map
from assay.basics.errors import InputError
from assay.cases.new_case import case
from assay.engine.removal.ordered_removal import (
    mean_of_points,
    perturbation_curve,
    perturbation_curve_start,
    perturbation_points,
    removal_counts,
    removal_ranks,
)
from assay.model import function
from assay.nouns.inputs.features import Features

ZERO = Constant(0.0)


def test_ties_are_broken_by_feature_order() -> None:
    question = examples.additive((1.0, 2.0, 1.0, 2.0))
    assert removal_ranks(explain.integrated_gradients(question), question).tolist() == [[2, 0, 3, 1]]


def test_many_ties_keep_feature_order() -> None:
    question = examples.additive(np.arange(60) % 2)
    first, then = np.flatnonzero(np.arange(60) % 2), np.flatnonzero(np.arange(60) % 2 == 0)
    order = removal_ranks(explain.integrated_gradients(question), question)[0].argsort()
    assert_array_equal(order, np.concatenate([first, then]))


@pytest.mark.parametrize(("parts", "steps"), [(1, 0), (7, 0), (7, 3), (10, 4), (5, 50), (196, 14)])
def test_removal_counts_rise_from_none_to_all(parts: int, steps: int) -> None:
    gone = removal_counts(parts, steps)
    assert gone[0] == 0
    assert gone[-1] == parts
    assert (np.diff(gone) > 0).all()
    assert len(gone) == min(steps or parts, parts) + 1


def test_negative_steps_are_refused() -> None:
    with pytest.raises(InputError, match="steps=-1"):
        removal_counts(5, -1)


def test_the_four_curves_of_an_additive_model() -> None:
    question = examples.additive((4.0, 1.0, 2.0))
    e = explain.integrated_gradients(question)
    for options, expected in (
        ({}, [7, 3, 1, 0]),
        ({"lowest": True}, [7, 6, 4, 0]),
        ({"insert": True}, [0, 4, 6, 7]),
        ({"insert": True, "lowest": True}, [0, 1, 3, 7]),
    ):
        share, value = perturbation_curve(e, question, ZERO, **options)
        assert_allclose(value, [expected])
        assert_allclose(share, [[0, 1 / 3, 2 / 3, 1]])


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_the_start_of_a_curve_of_an_additive_model(limit: int) -> None:
    question = examples.additive((4.0, 1.0, 2.0))
    share, value = perturbation_curve_start(explain.integrated_gradients(question), question, ZERO, limit)
    assert_allclose(share, [[0, 1 / 3, 2 / 3, 1][: limit + 1]])
    assert_allclose(value, [[7, 3, 1, 0][: limit + 1]])
    assert_allclose(mean_of_points(share, value), np.mean([7, 3, 1, 0][: limit + 1]))


def test_the_start_of_a_curve_counts_shares_of_the_parts_that_a_row_has() -> None:
    model, features = _uneven()
    both = case(model, np.ones((2, 4)), features=features)  # type: ignore[arg-type]  # a model
    share, value = perturbation_curve_start(explain.shapley(both, remove=ZERO), both, ZERO, 3)
    assert_allclose(share, [[0, 1 / 4, 2 / 4, 3 / 4], [0, 1 / 2, 1, 1]])
    assert_allclose(value, [[10, 6, 3, 1], [10, 3, 0, 0]])


def test_points_are_points_of_the_curve() -> None:
    question = curved()
    e = explain.saliency(question, signed=True)
    _, value = perturbation_curve(e, question, ZERO)
    assert_allclose(perturbation_points(e, question, ZERO, (0.1, 0.5, 1.0)), value[:, [1, 3, 6]])


def _uneven() -> tuple[object, Features]:
    index = np.array([[0, 1, 2, 3], [0, 0, 1, 1]])
    return function(lambda x: x @ np.array([1.0, 2.0, 3.0, 4.0]), name="weighted"), Features(
        index, ("a", "b", "c", "d"), per_row=True
    )


def test_a_row_with_fewer_parts_has_the_curve_it_has_alone() -> None:
    model, features = _uneven()
    both = case(model, np.ones((2, 4)), features=features)  # type: ignore[arg-type]  # a model
    alone = case(model, np.ones((1, 4)), features=integer_map([0, 0, 1, 1]))  # type: ignore[arg-type]  # a model
    e = replace_values(
        explain.shapley(both, remove=ZERO), [[1, 2, 3, 4], [3, 7, 99, 5]]
    )  # parts c and d do not exist in the second row
    for steps in (0, 2):
        for options in ({}, {"insert": True}, {"lowest": True}, {"insert": True, "lowest": True}):
            share, value = perturbation_curve(e, both, ZERO, steps, **options)
            own_share, own = perturbation_curve(explain.shapley(alone, remove=ZERO), alone, ZERO, steps, **options)
            area = np.trapezoid(value, share, axis=1)[1]
            assert_allclose(area, np.trapezoid(own, own_share, axis=1)[0])
            assert_allclose(value[1, [0, -1]], own[0, [0, -1]])


def test_a_whole_row_with_fewer_features_is_the_row_itself_and_not_evaluated_again() -> None:
    model, features = _uneven()
    both = case(model, np.ones((2, 4)), features=features)  # type: ignore[arg-type]  # a model
    e = explain.shapley(both, remove=ZERO)
    fresh = case(model, np.ones((2, 4)), features=features)  # type: ignore[arg-type]  # a model
    assert fresh.output.tolist() == [10.0, 10.0]
    before = fresh.model.meter.forwards
    perturbation_curve(e, fresh, ZERO, insert=True)
    assert fresh.model.meter.forwards - before == 4 + 2


def test_the_top_of_a_row_with_fewer_parts_is_a_share_of_its_own_parts() -> None:
    model, features = _uneven()
    both = case(model, np.ones((2, 4)), features=features)  # type: ignore[arg-type]  # a model
    e = explain.shapley(both, remove=ZERO)
    assert_allclose(perturbation_points(e, both, ZERO, (0.5,)), [[3.0], [3.0]])


def test_a_missing_value_leaves_its_row_without_a_curve() -> None:
    question = curved()
    values = np.array(explain.saliency(question).values)
    values[1, 3] = np.nan
    _, value = perturbation_curve(replace_values(explain.saliency(question), values), question, ZERO)
    assert_array_equal(np.isnan(value).all(axis=1), [False, True, False, False])
    assert_array_equal(np.isnan(value).any(axis=1), [False, True, False, False])
