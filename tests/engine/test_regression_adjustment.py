"""Regression adjustment against slow literal versions; errors and intervals."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from bench.estimators import BARS, BUDGETS, random_game
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles import games

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.coalitions import third_order, tree_proxy
from assay.engine.coalitions.leverage import PairRegression, draw_pairs
from assay.engine.coalitions.regression_adjustment import FITS, describe_fit, regression_adjusted
from assay.engine.coalitions.third_order import RidgeFit, ScreenedFit
from assay.nouns.results.result import Estimate

PARTS = 9


@pytest.fixture(scope="module")
def pairs() -> PairRegression:
    return PairRegression(draw_pairs(PARTS, 90, Seed(4)))


@pytest.fixture(scope="module")
def difference(pairs: PairRegression) -> np.ndarray:
    return pairs.differences(np.random.default_rng(1).normal(size=(2, len(pairs.design.masks))))


def triples(pairs: PairRegression) -> np.ndarray:
    """q_T = x_i x_j x_k − (x_i + x_j + x_k)/3, one by one."""
    signs = np.where(pairs.half, 1.0, -1.0)
    return np.array(
        [[one[list(t)].prod() - one[list(t)].sum() / 3 for t in combinations(range(PARTS), 3)] for one in signs]
    )


def test_a_triples_product_less_its_share_has_no_shapley_values() -> None:
    for members in ((0, 1, 2), (1, 3, 4)):

        def q(coalition: frozenset[int], members: tuple[int, ...] = members) -> float:
            x = np.array([1.0 if i in coalition else -1.0 for i in members])
            return float(x.prod() - x.sum() / 3)

        assert_allclose(games.shapley(q, 5), 0.0, atol=1e-12)


def test_the_kernel_sums_over_all_triples(pairs: PairRegression) -> None:
    features = triples(pairs)
    gram = features @ features.T
    assert_allclose(RidgeFit(pairs).kernel, gram / np.diag(gram).mean(), atol=1e-12)
    assert_allclose(ScreenedFit(pairs).triples, features, atol=1e-12)


def test_ridge_predicts_each_pair_from_the_others_alone(pairs: PairRegression, difference: np.ndarray) -> None:
    found, penalty = RidgeFit(pairs).predict(difference)
    features = triples(pairs)
    scale = (features**2).sum(axis=1).mean()
    for row in range(2):
        for left_out in np.flatnonzero(~pairs.is_exhausted)[::7]:
            others = np.arange(len(features)) != left_out
            additive = pairs.centred[others]
            projector = np.eye(others.sum()) - additive @ np.linalg.pinv(additive)
            f, y = projector @ features[others] / np.sqrt(scale), projector @ difference[row, others]
            b = np.linalg.solve(f.T @ f + penalty[row] * np.eye(f.shape[1]), f.T @ y)
            assert_allclose(found[row, left_out], features[left_out] @ b / np.sqrt(scale), atol=1e-8)


def test_screening_predicts_a_fold_from_the_others_alone(pairs: PairRegression, difference: np.ndarray) -> None:
    screened = ScreenedFit(pairs)
    counts, fold = [1, 3], screened.folds == 2
    changed = np.where(fold, difference + 5.0, difference)
    one, two = (screened._path(d, ~fold, counts) for d in (difference, changed))
    assert_array_equal(one, two)


def test_screening_finds_the_triples_there_are(pairs: PairRegression) -> None:
    features = triples(pairs)
    hidden = 3.0 * features[:, 5] - 2.0 * features[:, 40]
    found, count = ScreenedFit(pairs).predict(hidden[None])
    assert count[0] >= 2
    assert_allclose(found[0], hidden, atol=1e-8)


def test_the_leaves_of_trees_have_the_shapley_values_of_their_sum() -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    generator = np.random.default_rng(0)
    masks = generator.random((60, 5)) < 0.5
    boosted = GradientBoostingRegressor(n_estimators=8, max_depth=3, random_state=0).fit(
        masks, generator.normal(size=60)
    )

    def v(members: frozenset[int]) -> float:
        return float(boosted.predict(np.array([[float(i in members) for i in range(5)]]))[0])

    assert_allclose(tree_proxy.shapley_values(boosted, 5), games.shapley(v, 5), atol=1e-10)


def test_trees_predict_a_fold_from_all_other_folds_and_from_both_ends(
    pairs: PairRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tree_proxy.BOOSTED, "n_estimators", 30)
    folds = ScreenedFit(pairs).folds
    values = np.random.default_rng(2).normal(size=len(pairs.design.masks))
    fold_of_mask = np.concatenate([[-1, -2], np.repeat(folds, 2)])  # the empty coalition and the full one have none
    groups = [-1, -2, *range(tree_proxy.FOLDS)]
    noise = np.random.default_rng(3).normal(size=len(values))
    changed = np.stack([np.where(fold_of_mask == group, values + 5.0 * noise, values) for group in groups])
    before, after = tree_proxy.predict(pairs, values[None]), tree_proxy.predict(pairs, changed)
    for group, prediction in zip(groups, after):
        for fold in range(tree_proxy.FOLDS):
            sampled = (folds == fold) & ~pairs.is_exhausted  # exhausted sizes are predicted by the fits to all folds
            moved = np.abs(prediction - before[0])[sampled].max()
            assert moved == 0.0 if fold == group else moved > 1e-3, (group, fold)


@pytest.mark.parametrize("fit", ["odd", "sparse", "auto"])
def test_third_order_games_are_exact_once_pairs_determine_all_triples(fit: Any) -> None:
    value, truth = random_game(3, parts=8, order=4)
    design = draw_pairs(8, 240, Seed(0))
    found = regression_adjusted(fit).estimate(design, value(design.masks)[None])
    assert np.abs(found.values - truth).max() < 0.02 * np.abs(truth).max()


@pytest.mark.parametrize("fit", FITS)
def test_every_fit_is_efficient_and_within_its_errors(fit: Any) -> None:
    value, truth = random_game(1, parts=20)
    design = draw_pairs(20, 400, Seed(0))
    values = value(design.masks)[None]
    found = regression_adjusted(fit).estimate(design, values)
    assert_allclose(found.values.sum(), values[0, 1] - values[0, 0], atol=1e-9)
    assert np.abs((found.values - truth) / found.stderr).max() < 4.5
    assert found.stderr.min() > 0


@pytest.mark.parametrize("fit", [*FITS, "auto"])
def test_a_single_part_gets_the_whole_rise_and_needs_no_adjustment(fit: Any) -> None:
    estimator = regression_adjusted(fit)
    found = estimator.estimate(estimator.design(1, 2, Seed(0)), np.array([[1.0, 4.0], [1.0, np.nan]]))
    assert_array_equal(found.values, [[3.0], [np.nan]])
    assert_array_equal(found.stderr, [[0.0], [np.nan]])  # a value that is no number has no error either
    assert describe_fit(found, ("a", "b"), fit) == ()


def test_auto_takes_each_row_for_itself_and_what_errs_less() -> None:
    cubic, _ = random_game(1, parts=12, order=3)
    design = draw_pairs(12, 300, Seed(0))
    noise = np.random.default_rng(0).normal(size=len(design.masks))
    values = np.stack([cubic(design.masks), noise])
    found = regression_adjusted("auto").estimate(design, values)
    single = [regression_adjusted(fit).estimate(design, values) for fit in ("linear", "odd")]
    assert_allclose((found.stderr**2).mean(axis=1), np.min([(s.stderr**2).mean(axis=1) for s in single], axis=0))
    assert found.extra["fit"][0] == 1
    assert found.extra["variance_left"][0] < 0.5
    assert_allclose(regression_adjusted("auto").estimate(design, values[1:]).values, found.values[1:], atol=1e-12)


def test_a_note_gives_the_fit_the_rows_got() -> None:
    found = Estimate(0.0, extra={"fit": np.array([0.0, 1.0, 1.0]), "variance_left": np.array([1.0, 0.2, 0.4])})
    (note,) = describe_fit(found, ("a", "b", "c"), "auto")
    assert note.code == "fit"
    assert note.text == (
        "regression adjustment of the Shapley estimate, fit='auto': 1 row(s) with fit 'linear'; "
        "2 row(s) with fit 'odd' (median variance 0.3 times that without adjustment)"
    )


def test_unknown_fits_and_triples_beyond_listing_are_refused() -> None:
    with pytest.raises(InputError, match="fit='cubic'; there are auto, linear"):
        regression_adjusted("cubic")  # type: ignore[arg-type]  # a name of the list, or meant to be none
    design = draw_pairs(45, 300, Seed(0))
    with pytest.raises(InputError, match="up to 39 features; there are 45"):
        regression_adjusted("sparse").estimate(design, np.zeros((1, len(design.masks))))


@pytest.mark.parametrize(("budget", "bar"), list(zip(BUDGETS, BARS))[:3])
def test_the_default_errs_less_than_the_bar(budget: int, bar: float) -> None:
    errors = []
    for seed in range(20):
        value, truth = random_game(seed)
        design = draw_pairs(30, budget, Seed(seed))
        found = regression_adjusted("auto").estimate(design, value(design.masks)[None])
        errors.append(((found.values[0] - truth) ** 2).sum() / (truth**2).sum())
    assert np.median(errors) <= bar


def test_pairs_beyond_the_training_pairs_are_predicted(pairs: PairRegression, monkeypatch: pytest.MonkeyPatch) -> None:
    value, truth = random_game(2, parts=PARTS, order=3)
    values = value(pairs.design.masks)[None]
    monkeypatch.setattr(third_order, "MAX_TRAINING_PAIRS", 30)
    found = regression_adjusted("odd").estimate(pairs.design, values)
    assert found.extra["fit"][0] == 1
    assert np.abs((found.values - truth) / found.stderr).max() < 5
