from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, digits, normalised, replace_values
from tests.oracles import random_removal as oracle

from assay import Constant, evaluate, examples, explain, grid
from assay.basics.seed import Seed
from assay.cases.new_case import case as make_case
from assay.nouns.inputs.features import integer_map

ZERO = Constant(0.0)


def literal(x: Any, values: Any, fill: float) -> tuple[float, float]:
    """Over every order and prefix: the squared error, and that of an explanation of zeros."""
    empty = curved_value(oracle.without(x, range(6), fill))
    gaps, worths = [], []
    for order in permutations(range(6)):
        for k in range(1, 7):
            worth = curved_value(oracle.without(x, order[k:], fill)) - empty
            gaps.append((sum(values[i] for i in order[:k]) - worth) ** 2)
            worths.append(worth**2)
    return float(np.mean(gaps)), float(np.mean(worths))


def test_it_equals_the_literal_mean_over_all_orders() -> None:
    case = curved().take([0, 1])
    e = explain.saliency(case, signed=True)
    score = evaluate.explanation_error(e, case, remove=Constant(0.5))
    expected = [literal(x, v, 0.5) for x, v in zip(ROWS[:2], e.values)]
    assert_allclose(score.values, [gap for gap, _ in expected])
    assert_allclose(score.extra["relative"], [gap / worth for gap, worth in expected])
    assert_allclose(score.stderr, 0.0)


def test_drawn_orders_estimate_it_and_the_error_covers_about_as_often_as_it_says() -> None:
    case = curved().take([0])
    e = explain.saliency(case, signed=True)
    exact = evaluate.explanation_error(e, case, remove=ZERO).values[0]
    inside = 0
    for seed in range(60):
        sampled = evaluate.explanation_error(e, replace(case, seed=Seed(seed)), budget=62, remove=ZERO)
        assert sampled.stderr is not None
        inside += abs(sampled.values[0] - exact) < 2.57 * sampled.stderr[0]  # five or six pairs: Student's
    assert 50 <= inside <= 60


def test_it_shares_the_orders_of_permutation_shapley_and_the_coalitions_of_shapley() -> None:
    case = digits(2)
    patches = make_case(case.model, case.rows.x, features=grid((1, 8, 8), 2))
    e = explain.permutation_shapley(patches, budget=300, remove=ZERO)
    assert evaluate.explanation_error(e, patches, budget=300, remove=ZERO).provenance.cost == {}
    small = curved()
    assert evaluate.explanation_error(explain.shapley(small, remove=ZERO), small, remove=ZERO).provenance.cost == {}


def test_effects_that_add_up_have_none_and_saying_nothing_gets_one() -> None:
    case, true, _, _ = normalised()
    assert_allclose(evaluate.explanation_error(true, case, budget=200, remove=ZERO).values, 0.0, atol=1e-18)
    nothing = replace_values(true, np.zeros_like(true.values))
    assert_allclose(evaluate.explanation_error(nothing, case, budget=200, remove=ZERO).extra["relative"], 1.0)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.explanation_error(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] < scores[1] < scores[2]


def test_parts_that_a_row_lacks_change_nothing() -> None:
    x = np.array([[1.0, 2.0, 3.0, 4.0]])
    model = examples.linear((1.0, 1.0, 1.0, 1.0)).model
    model = replace(model, forward=lambda rows: (rows.x.sum(axis=1) ** 2)[:, None], fingerprint="squared sum")
    alone = make_case(model, x, features=integer_map(np.array([[0, 0, 1, 1]]), per_row=True))
    padded_case = make_case(
        model, x, features=integer_map(np.array([[0, 0, 1, 1]]), ["a", "b", "c", "d"], per_row=True)
    )
    values = np.array([[1.0, 2.0]])
    own = evaluate.explanation_error(replace_values(explain.occlusion(alone, remove=ZERO), values), alone, remove=ZERO)
    padded = replace_values(
        explain.occlusion(padded_case, remove=ZERO), np.concatenate([values, np.zeros((1, 2))], axis=1)
    )
    assert_allclose(evaluate.explanation_error(padded, padded_case, remove=ZERO).values, own.values)
    sampled = evaluate.explanation_error(
        padded, padded_case, budget=14, remove=ZERO
    )  # two pairs: both orders of two parts
    assert_allclose(sampled.values, own.values)


def test_the_global_stream_is_left_alone() -> None:
    case = digits(1)
    e = explain.saliency(case)
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002  # the stream that must stay untouched
    evaluate.explanation_error(e, case, budget=300, remove=ZERO)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002  # the same stream
