"""The game v(S): what it asks, what it remembers, and how each removal fills."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import RandomForestRegressor
from tests.cases import nets

import assay
from assay import Blur, Conditional, Constant, Game, Marginal, Mean, evaluate, examples, explain, grid, integer_map
from assay.basics.errors import InputError
from assay.engine.coalitions.estimator import all_masks

X = np.random.default_rng(0).normal(size=(3, 4))
BACKGROUND = np.random.default_rng(1).normal(size=(7, 4))
MASKS = all_masks(4)


def bent(x: np.ndarray) -> np.ndarray:
    """A function with interactions of every order."""
    return np.sin(x[:, 0] * x[:, 1]) + x[:, 2] ** 2 * x[:, 3] + x.prod(axis=1)


def asked(**options: Any) -> assay.Case:
    return assay.case(assay.model.function(bent, **options), X)


def by_row(fill: Callable[[np.ndarray, np.ndarray], list[np.ndarray]]) -> np.ndarray:
    """v(S) row by row and mask by mask: the mean of the function over the filled versions."""
    return np.array([[np.mean([bent(v[None])[0] for v in fill(x, keep)]) for keep in MASKS] for x in X])


def test_the_grand_coalition_is_worth_the_output() -> None:
    case = asked()
    assert_array_equal(case.game(Marginal(BACKGROUND)).table(np.ones((1, 4), dtype=bool))[:, 0], case.output)


def test_absent_parts_take_the_constant() -> None:
    assert_allclose(asked().game(Constant(0.5)).table(MASKS), by_row(lambda x, keep: [np.where(keep, x, 0.5)]))


def test_absent_parts_take_a_row_of_constants() -> None:
    other = np.arange(4.0)
    assert_allclose(asked().game(Constant(other)).table(MASKS), by_row(lambda x, keep: [np.where(keep, x, other)]))


def test_absent_parts_take_the_mean_of_the_background() -> None:
    middle = BACKGROUND.mean(axis=0)
    found = asked().game(Mean(BACKGROUND)).table(MASKS)
    assert_allclose(found, by_row(lambda x, keep: [np.where(keep, x, middle)]))


@pytest.mark.parametrize("batch", [1, 3, 4096])
def test_the_marginal_game_averages_over_every_background_row(batch: int) -> None:
    slow = by_row(lambda x, keep: [np.where(keep, x, other) for other in BACKGROUND])
    assert_allclose(asked(batch=batch).game(Marginal(BACKGROUND)).table(MASKS), slow, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_conditional_game_takes_the_rows_nearest_in_present_features(k: int) -> None:
    spread = BACKGROUND.std(axis=0)

    def nearest(x: np.ndarray, keep: np.ndarray) -> list[np.ndarray]:
        far = [sum(((x[j] - other[j]) / spread[j]) ** 2 for j in np.flatnonzero(keep)) for other in BACKGROUND]
        order = sorted(range(len(BACKGROUND)), key=lambda i: (far[i], i))[:k]
        return [np.where(keep, x, BACKGROUND[i]) for i in order]

    assert_allclose(asked().game(Conditional(BACKGROUND, k)).table(MASKS), by_row(nearest), atol=1e-12)


def test_categories_are_near_when_they_are_equal() -> None:
    rows = pl.DataFrame({"t": ["b", "c", "a"], "n": [5.0, 5.0, 5.0]})  # a is coded further from b than c is
    background = pl.DataFrame({"t": ["a", "b", "c"], "n": [1.0, 2.0, 3.0]})
    case = assay.case(assay.wrap(lambda f: f["n"].to_numpy(), output="values"), rows)
    only_text = np.array([[True, False]])
    assert_array_equal(case.game(Conditional(background, 1)).table(only_text)[0], [2.0])
    assert_array_equal(case.game(Conditional(background, 2)).table(only_text)[0], [1.5])


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_absent_patches_take_the_blurred_image(library: str) -> None:
    image = np.random.default_rng(2).random((1, 3, 6, 6))
    soft = np.stack([gaussian_filter(channel, 1.5, mode="reflect") for channel in image[0]])
    if library == "numpy":
        model = assay.model.function(lambda x: x.sum(axis=(1, 2, 3)))
    else:
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 1, bias=False)).double()
        torch.nn.init.ones_(net[1].weight)
        model = assay.model.torch(net, gives="values")
    case = assay.case(model, image, features=grid((3, 6, 6), 3))
    keep = np.array([[True, False, False, True]])
    where = grid((3, 6, 6), 3).expand_masks(keep, np.array([0]))[0]
    assert_allclose(case.game(Blur(1.5)).table(keep), [[np.where(where, image[0], soft).sum()]], rtol=1e-9)


def test_a_constant_a_channel_fills_images() -> None:
    image = np.ones((1, 3, 2, 2))
    case = assay.case(
        assay.model.function(lambda x: x.sum(axis=(2, 3)) @ [1, 10, 100]), image, features=grid((3, 2, 2), 2)
    )
    value = case.game(Constant(np.array([2.0, 3.0, 4.0]).reshape(3, 1, 1))).table(np.zeros((1, 1), dtype=bool))
    assert_allclose(value, [[4 * (2 + 30 + 400)]])


def test_padding_is_never_taken_away() -> None:
    case = assay.case(assay.model.function(bent), X, features=integer_map([0, -1, 1, -1]))
    gone = case.game(Constant(0.0)).table(np.zeros((1, 2), dtype=bool))[:, 0]
    assert_allclose(gone, bent(X * [0.0, 1.0, 0.0, 1.0]))


def test_each_row_may_be_cut_in_its_own_way() -> None:
    index = np.array([[0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 1, -1]])
    case = assay.case(assay.model.function(bent), X, features=integer_map(index, per_row=True))
    found = case.game(Constant(0.0)).table(np.array([[True, False]]))[:, 0]
    assert_allclose(found, bent(np.where((index == 0) | (index == -1), X, 0.0)))


# ---- text and categories ------------------------------------------------------------------------------------------

FRAME = pd.DataFrame({"age": [20.0, 60.0], "purpose": pd.Categorical(["car", "tv"], ["car", "tv", "boat"])})


def priced() -> assay.Case:
    cost = {"car": 1.0, "tv": 2.0, "boat": 4.0}
    return assay.case(
        assay.wrap(lambda f: f["age"].to_numpy() + f["purpose"].map(cost).to_numpy().astype(float), output="values"),
        FRAME,
    )


def test_a_constant_may_name_a_value_for_every_column() -> None:
    game = priced().game(Constant({"purpose": "boat", "age": 35}))
    assert_allclose(game.table(all_masks(2)), [[39.0, 24.0, 36.0, 21.0], [39.0, 64.0, 37.0, 62.0]])


def test_a_number_has_no_meaning_for_text_and_the_message_says_what_has() -> None:
    with pytest.raises(InputError, match=r"text or categorical columns \['purpose'\]\. Use Marginal\(background\)"):
        priced().game(Constant(0.0))
    with pytest.raises(InputError, match=r"Use Marginal\(background\)"):
        priced().game(Mean(FRAME))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"age": 3}, r"has values for columns \['age'\]; it needs one for every column"),
        ({"age": 3, "purpose": "plane"}, "'purpose' has no category 'plane'"),
        ({"age": "old", "purpose": "car"}, "'age' holds numbers; got 'old'"),
    ],
)
def test_a_constant_that_does_not_fit_the_columns_is_refused(value: dict[str, Any], message: str) -> None:
    case = priced()
    with pytest.raises(InputError, match=message):
        case.game(Constant(value))
    assert_allclose(case.output, [21.0, 62.0])


def test_a_background_of_frames_is_used_by_name() -> None:
    background = pd.DataFrame({"purpose": pd.Categorical(["boat"], ["car", "tv", "boat"]), "age": [0.0]})
    assert_allclose(priced().game(Marginal(background)).table(np.zeros((1, 2), dtype=bool)), [[4.0], [4.0]])


def test_text_needs_a_background_of_frames() -> None:
    with pytest.raises(InputError, match="pass the other rows as a data frame too"):
        priced().game(Marginal(np.ones((2, 2))))


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        (Constant(np.zeros(3)), r"shape \(3,\); rows have \(4,\)"),
        (Blur(2.0), r"needs images.*\(4,\)"),
        (Marginal(BACKGROUND[:, :2]), r"\(2,\); the rows explained have \(4,\)"),
    ],
    ids=lambda thing: thing if isinstance(thing, str) else repr(thing),
)
def test_a_removal_that_does_not_fit_the_rows_is_refused(remove: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked().game(remove)


@pytest.mark.parametrize("keep", [np.ones((1, 3), dtype=bool), np.ones((1, 4)), np.ones(4, dtype=bool)])
def test_masks_are_boolean_and_fit_the_parts(keep: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"boolean \(query, 4\)"):
        asked().game(Constant(0.0))(np.array([0]), keep)


# ---- what is remembered -------------------------------------------------------------------------------------------


def test_each_mask_costs_the_model_once() -> None:
    case = asked()
    meter, game = case.model.meter, case.game(Marginal(BACKGROUND))
    case.output.sum()
    before = meter.forwards
    twice = np.array([[True, False, False, False]] * 2)
    game(np.array([1, 1]), twice)
    assert meter.forwards - before == 7
    game(np.array([1]), twice[:1])
    game(np.array([1]), np.ones((1, 4), dtype=bool))
    assert meter.forwards - before == 7
    game(np.array([2]), twice[:1])
    assert meter.forwards - before == 14
    assert game.cost == 7


def trees() -> assay.Case:
    """A model whose outputs do not depend on the batch."""
    x = np.random.default_rng(2).normal(size=(80, 4))
    return assay.case(assay.wrap(RandomForestRegressor(5, random_state=0).fit(x, bent(x))), X)


def test_after_one_enumeration_of_trees_every_method_of_the_game_is_free() -> None:
    case = trees()
    first = explain.shapley(case, remove=Marginal(BACKGROUND))
    before = case.model.meter.forwards
    evaluate.deletion(first, case, remove=Marginal(BACKGROUND))
    explain.shapley(case, remove=Marginal(BACKGROUND))
    assert case.model.meter.forwards == before


@pytest.mark.parametrize(("make", "shares"), [(trees, True), (asked, False)])
def test_single_values_are_shared_only_where_no_output_depends_on_the_batch(make: Any, shares: bool) -> None:
    case = make()
    game = case.game(Constant(0.0))
    game.table(MASKS[:8])
    before = case.model.meter.forwards
    game.table(MASKS[2:9])
    game.table(MASKS[:8])
    assert case.model.rows_exact is shares
    assert case.model.meter.forwards - before == (3 if shares else 3 * 7)


def test_equal_removals_share_a_game_and_others_do_not() -> None:
    case = asked()
    assert case.game(Constant(0.0)) is case.game(Constant(0))
    assert case.game(Marginal(BACKGROUND)) is case.game(Marginal(BACKGROUND.copy()))
    games = [Constant(0.0), Constant(1.0), Mean(BACKGROUND), Marginal(BACKGROUND), Conditional(BACKGROUND, 2)]
    assert len({id(case.game(remove)) for remove in games}) == 5


def test_a_changed_case_does_not_reuse_cached_values() -> None:
    case = examples.linear((2.0, -1.0), np.array([[1.0, 1.0], [3.0, 0.0]]))
    case.game(Constant(0.0)).table(all_masks(2))
    taken = case.take([1])
    assert_allclose(taken.game(Constant(0.0)).table(all_masks(2)), [[0.0, 6.0, 0.0, 6.0]])


def test_the_cache_is_bounded_and_dropping_values_changes_no_result() -> None:
    case = asked()
    whole = case.game(Constant(0.0))
    small = Game(case, whole.remove, whole.filling, cache_size=len(case) * len(MASKS))
    for masks in (MASKS, MASKS[1:], MASKS[:-1], MASKS):
        assert_array_equal(small.table(masks), whole.table(masks))
    assert len(small.cache) <= len(case) * len(MASKS) < len(whole.cache)


def test_class_probabilities_under_removal_average_the_probabilities() -> None:
    def scores(x: np.ndarray) -> np.ndarray:
        return np.stack([x[:, 0], x[:, 1] * x[:, 2]], axis=1)

    case = assay.case(assay.model.function(scores, gives="logits"), X)
    keep = np.array([[True, False, True, False]] * 3)
    filled = np.where(keep[0], X[:, None, :], BACKGROUND[None])
    odds = np.exp(scores(filled.reshape(-1, 4)).reshape(3, 7, 2))
    expected = (odds / odds.sum(axis=2, keepdims=True)).mean(axis=1)
    assert_allclose(case.game(Marginal(BACKGROUND)).outputs(np.arange(3), keep), expected)


def test_paths_ask_each_row_its_own_masks() -> None:
    case = asked()
    keep = np.random.default_rng(3).random((3, 5, 4)) < 0.5
    slow = [[bent(np.where(mask, x, 0.0)[None])[0] for mask in masks] for x, masks in zip(X, keep)]
    assert_allclose(case.game(Constant(0.0)).paths(keep), slow)


def test_a_nets_game_is_the_games_arithmetic_on_tensors() -> None:
    net = nets.small()
    case = assay.case(assay.model.torch(net), X, label=1)
    keep = np.array([[True, False, True, False]])
    filled = np.where(keep, X[:, None, :], BACKGROUND[None]).reshape(-1, 4)
    with torch.no_grad():
        slow = net(torch.tensor(filled, dtype=torch.float32))[:, 1].reshape(3, 7).double().mean(dim=1)
    assert_allclose(case.game(Marginal(BACKGROUND)).table(keep)[:, 0], slow, atol=1e-6)
