"""Estimators of games against the definitions, and their designs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles import games

from assay import examples
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.cases.removals import Constant
from assay.engine.coalitions.estimator import (
    Estimator,
    all_masks,
    bernoulli,
    estimate_by_removal,
    exact_banzhaf,
    exact_shapley,
    is_enumerable,
)
from assay.engine.coalitions.leverage import paired_leverage
from assay.engine.coalitions.local_regression import local_regression
from assay.engine.coalitions.permutations import permutations
from assay.engine.coalitions.regression_adjustment import regression_adjusted
from assay.engine.coalitions.sample_reuse import sample_reuse
from assay.nouns.inputs.features import Features


def test_masks_count_in_binary_with_the_first_part_lowest() -> None:
    assert_array_equal(all_masks(2), [[False, False], [True, False], [False, True], [True, True]])


def test_more_coalitions_than_can_be_listed_are_refused() -> None:
    with pytest.raises(InputError, match="21 features"):
        all_masks(21)


def test_all_coalitions_fit_or_do_not() -> None:
    assert is_enumerable(4, 16)
    assert not is_enumerable(4, 15)
    assert not is_enumerable(21, 2**30)


ORACLES: dict[str, tuple[Estimator, Callable[..., object]]] = {
    "shapley by orders": (exact_shapley, games.shapley),
    "shapley by constrained least squares": (exact_shapley, games.kernel_shap),
    "leverage by constrained least squares": (paired_leverage, games.kernel_shap),
    "banzhaf": (exact_banzhaf, games.banzhaf),
    "complements": (sample_reuse, games.banzhaf),
    "rise": (bernoulli(0.3), lambda v, n: games.rise(v, n, 0.3)),
    "local regression": (local_regression(0.4, 0.5), lambda v, n: games.lime(v, n, 0.4, 0.5)[0]),
}


@pytest.mark.parametrize("parts", [2, 3, 4, 5])
@pytest.mark.parametrize(("estimator", "oracle"), ORACLES.values(), ids=ORACLES)
def test_with_every_coalition_it_is_the_definition(
    estimator: Estimator, oracle: Callable[..., object], parts: int
) -> None:
    case, _ = examples.random_game(parts, seed=parts)
    found = estimate_by_removal(case, Constant(0.0), estimator, max(2**parts, 4))
    assert_allclose(found.values[0], oracle(games.value_of(case), parts), atol=1e-8)
    assert_array_equal(found.stderr, 0.0)


def design(estimator: Estimator, parts: int, budget: int, seed: int = 0) -> np.ndarray:
    return np.asarray(estimator.design(parts, budget, Seed(seed)).masks)


@pytest.mark.parametrize("estimator", [paired_leverage, sample_reuse], ids=lambda s: s.name)
@pytest.mark.parametrize(("parts", "budget"), [(6, 40), (9, 101), (12, 300), (30, 500)])
def test_pairs_are_complements_and_never_repeat(estimator: Estimator, parts: int, budget: int) -> None:
    masks = design(estimator, parts, budget)
    assert_array_equal(masks[::2], ~masks[1::2])
    assert len({mask.tobytes() for mask in masks}) == len(masks)


@pytest.mark.parametrize(
    "estimator", [paired_leverage, sample_reuse, permutations, bernoulli(0.5)], ids=lambda s: s.name
)
@pytest.mark.parametrize("budget", [60, 101, 250])
def test_a_design_never_exceeds_the_budget(estimator: Estimator, budget: int) -> None:
    masks = design(estimator, 9, budget)
    assert len({mask.tobytes() for mask in masks}) <= budget


@pytest.mark.parametrize("budget", [100, 101])
def test_pairs_spend_the_whole_budget(budget: int) -> None:
    assert len(design(paired_leverage, 12, budget)) == 100


def test_sizes_are_drawn_equally_often_where_there_are_enough() -> None:
    masks = design(paired_leverage, 40, 402)
    sizes = np.bincount(np.minimum(masks[2::2].sum(axis=1), 40 - masks[2::2].sum(axis=1)), minlength=21)[1:]
    assert sizes.sum() == 200
    assert sizes[:19].min() >= 10
    assert sizes[19] <= 6


def test_hundreds_of_parts_do_not_overflow() -> None:
    masks = paired_leverage.design(1040, 2200, Seed(0))
    assert np.isfinite(masks.weight).all()
    assert np.isfinite(masks.population).all()


@pytest.mark.parametrize(
    ("estimator", "budget"),
    [
        (paired_leverage, 15),
        (permutations, 29),
        (sample_reuse, 3),
        (bernoulli(0.5), 1),
        (local_regression(0.25, 0.0), 9),
    ],
    ids=lambda s: getattr(s, "name", s),
)
def test_an_under_determined_budget_is_refused_before_the_model_is_evaluated(estimator: Estimator, budget: int) -> None:
    case, _ = examples.random_game(8)
    with pytest.raises(InputError, match=f"budget={budget}"):
        estimate_by_removal(case, Constant(0.0), estimator, budget)
    assert case.model.meter.forwards == 0


@pytest.mark.parametrize(
    ("estimator", "budget"),
    [(permutations, 30), (sample_reuse, 4), (bernoulli(0.5), 2)],
    ids=lambda s: getattr(s, "name", s),
)
def test_two_draws_are_the_fewest_that_are_enough_and_stay_within_the_budget(estimator: Estimator, budget: int) -> None:
    case, _ = examples.random_game(8)
    found = estimate_by_removal(case, Constant(0.0), estimator, budget)
    assert np.isfinite(found.values).any()
    assert 0 < case.model.meter.forwards <= budget


def test_pairs_that_just_determine_the_values_have_an_unknown_error() -> None:
    found = estimate_by_removal(examples.random_game(3)[0], Constant(0.0), paired_leverage, 6)
    assert np.isfinite(found.values).all()
    assert np.isnan(found.stderr).all()


@pytest.mark.parametrize("estimator", [paired_leverage, permutations], ids=lambda s: s.name)
def test_one_part_gets_the_whole_rise(estimator: Estimator) -> None:
    found = estimate_by_removal(examples.linear((3.0,), intercept=1.0), Constant(0.0), estimator, 8)
    assert_allclose(found.values, [[3.0]])
    assert_array_equal(found.stderr, 0.0)


def test_shares_of_keeping_must_leave_something_to_chance() -> None:
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(InputError, match="share"):
            bernoulli(share)


def test_a_part_that_no_mask_keeps_is_undefined_and_one_kept_once_has_no_error() -> None:
    estimator = bernoulli(0.5)
    drawn = estimator.design(9, 4, Seed(0))
    masks = np.zeros((4, 9), dtype=bool)
    masks[0, 1] = True
    found = estimator.estimate(type(drawn)(masks, drawn.weight), np.array([[5.0, 1.0, 2.0, 3.0]]))
    assert np.isnan(found.values[0, 0])
    assert found.values[0, 1] == pytest.approx(5.0)
    assert np.isnan(found.stderr[0, 1])


def test_local_regression_and_rise_ask_the_same_masks() -> None:
    assert_array_equal(design(local_regression(0.25, 0.0), 12, 90), design(bernoulli(0.5), 12, 90))
    assert local_regression(0.25, 0.0).name == bernoulli(0.5).name


def test_a_kernel_too_narrow_to_determine_the_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"width=0\.01"):
        local_regression(0.01, 0.0).design(12, 300, Seed(0))


SAMPLED = {
    "leverage": (paired_leverage, exact_shapley),
    "permutations": (permutations, exact_shapley),
    "complements": (sample_reuse, exact_banzhaf),
    "rise": (bernoulli(0.5), bernoulli(0.5)),
    "local regression": (local_regression(0.5, 0.0), local_regression(0.5, 0.0)),
}


@pytest.fixture(scope="module")
def answers() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All 2^10 values of a random game of ten parts, and their places by mask."""
    case, _ = examples.random_game(10, seed=3)
    masks = all_masks(10)
    return case.game(Constant(0.0)).table(masks), {mask.tobytes(): i for i, mask in enumerate(masks)}


def repeated(
    estimator: Estimator, answers: tuple[np.ndarray, dict[str, np.ndarray]], seeds: int, budget: int
) -> tuple[np.ndarray, np.ndarray]:
    values, places = answers
    found = []
    for seed in range(seeds):
        drawn = estimator.design(10, budget, Seed(seed))
        found.append(estimator.estimate(drawn, values[:, [places[m.tobytes()] for m in drawn.masks]]))
    return np.stack([f.values[0] for f in found]), np.stack([f.stderr[0] for f in found])


@pytest.mark.parametrize(("estimator", "exact"), SAMPLED.values(), ids=SAMPLED)
def test_intervals_of_two_errors_cover_nearly_as_often_as_they_say(
    estimator: Estimator, exact: Estimator, answers: tuple[np.ndarray, dict[str, np.ndarray]]
) -> None:
    truth = exact.estimate(exact.design(10, 1024, Seed(0)), answers[0]).values[0]
    values, stderr = repeated(estimator, answers, 40, 300)
    assert 0.85 <= (np.abs(values - truth) <= 1.96 * stderr).mean() <= 0.995


@pytest.mark.parametrize(("estimator", "exact"), SAMPLED.values(), ids=SAMPLED)
def test_the_mean_over_many_seeds_is_the_exact_value(
    estimator: Estimator, exact: Estimator, answers: tuple[np.ndarray, dict[str, np.ndarray]]
) -> None:
    truth = exact.estimate(exact.design(10, 1024, Seed(0)), answers[0]).values[0]
    values, _ = repeated(estimator, answers, 200, 120)
    error = values.std(axis=0, ddof=1) / np.sqrt(200)
    assert np.abs(values.mean(axis=0) - truth).max() <= 4.5 * error.max()


@pytest.mark.parametrize(("estimator", "exact"), SAMPLED.values(), ids=SAMPLED)
def test_the_standard_error_is_as_large_as_the_error(
    estimator: Estimator, exact: Estimator, answers: tuple[np.ndarray, dict[str, np.ndarray]]
) -> None:
    truth = exact.estimate(exact.design(10, 1024, Seed(0)), answers[0]).values[0]
    values, stderr = repeated(estimator, answers, 60, 800)
    assert 0.8 < np.sqrt((stderr**2).mean() / ((values - truth) ** 2).mean()) < 1.25


def test_the_more_is_asked_the_smaller_the_error(answers: tuple[np.ndarray, dict[str, np.ndarray]]) -> None:
    errors = [repeated(paired_leverage, answers, 10, budget)[1].mean() for budget in (60, 240, 960)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_leverage_pairs_err_less_than_permutations(answers: tuple[np.ndarray, dict[str, np.ndarray]]) -> None:
    truth = exact_shapley.estimate(exact_shapley.design(10, 1024, Seed(0)), answers[0]).values[0]
    lever, order = (np.mean((repeated(s, answers, 30, 200)[0] - truth) ** 2) for s in (paired_leverage, permutations))
    assert lever < order


LACKING = [paired_leverage, sample_reuse, bernoulli(0.5), local_regression(0.25, 0.0)]


@pytest.mark.parametrize("estimator", LACKING, ids=["leverage", "complements", "rise", "local regression"])
def test_parts_that_a_row_lacks_get_nothing(estimator: Estimator) -> None:
    index = np.stack([np.arange(8), np.arange(8) // 2])
    cut = Features(index, tuple(map(str, range(8))), per_row=True)
    case = examples.linear(np.arange(1.0, 9.0), x=np.ones((2, 8)), features=cut)
    found = estimate_by_removal(case, Constant(0.0), estimator, 60)
    assert_array_equal(found.values[1, 4:], 0.0)
    assert_array_equal(found.stderr[1, 4:], 0.0)
    assert np.isfinite(found.values).all()
    if estimator is not LACKING[2] and estimator is not LACKING[1]:
        assert_allclose(found.values, [np.arange(1.0, 9.0), [3, 7, 11, 15, 0, 0, 0, 0]], atol=1e-9)


@pytest.mark.parametrize("estimator", [*LACKING, regression_adjusted("auto")], ids=lambda one: one.name)
def test_a_row_without_parts_has_zeros_and_its_one_number_as_the_base(estimator: Estimator) -> None:
    cut = Features(np.stack([np.arange(8), np.full(8, -1)]), tuple(map(str, range(8))), per_row=True)
    case = examples.linear(np.arange(1.0, 9.0), x=np.ones((2, 8)), features=cut)
    found = estimate_by_removal(case, Constant(0.0), estimator, 60)
    exact = estimate_by_removal(case, Constant(0.0), exact_shapley)
    assert_array_equal(found.values[1], 0.0)
    assert_array_equal(found.stderr[1], 0.0)
    assert_allclose(exact.values[1], 0.0, atol=1e-12)
    assert exact.base is not None
    assert exact.base[1] == 36.0
    alone = estimate_by_removal(case.take([0]), Constant(0.0), estimator, 60)
    assert_allclose(found.values[0], alone.values[0])
    if estimator.has_base:
        assert found.base is not None
        assert found.base[1] == 36.0
    else:
        assert alone.base is None
