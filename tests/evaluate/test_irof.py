import itertools
from typing import Any

import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised, replace_values
from tests.oracles import ordered_removal as oracle

import assay
from assay import Constant, evaluate, examples, explain
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

HALF = Constant(0.5)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.irof(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def shares(f: Any, x: Any, values: Any, fill: float) -> float:
    curve = oracle.path(f, x, values, fill)
    left = [v / curve[0] for v in curve]
    return 1 - sum((a + b) / 2 for a, b in itertools.pairwise(left)) / len(x)


def test_it_equals_the_literal_area_row_by_row_and_is_undefined_where_nothing_positive_can_be_lost() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    score = evaluate.irof(e, case, remove=HALF)
    expected = [shares(curved_value, x, v, 0.5) if curved_value(x) > 0 else np.nan for x, v in zip(ROWS, e.values)]
    assert_allclose(score.values, expected, atol=1e-12)
    assert 0 < score.defined.sum() < 4
    assert score.notes[-1].code == "undefined"


def test_the_size_of_the_target_does_not_matter() -> None:
    small, large = examples.additive((3.0, 1.0, 2.0)), examples.additive((3e4, 1e4, 2e4))
    scores = [evaluate.irof(explain.integrated_gradients(case), case, remove=ZERO).values for case in (small, large)]
    assert_allclose(*scores)


def test_q4_images_of_several_channels_and_superpixels_of_any_size_are_ranked_by_mean_attribution() -> None:
    index = np.zeros((3, 2, 4), dtype=int)
    index[:, :, 3] = 1  # six elements, the others eighteen
    model = function(lambda x: x.reshape(len(x), -1).sum(axis=1), name="sum", fingerprint="sum")
    question = assay.case(model, np.ones((2, 3, 2, 4)), features=assay.integer_map(index))
    e = replace_values(
        explain.shapley(question, remove=ZERO), [[9.0, 6.0], [24.0, 6.0]]
    )  # a mean of ½ and 1; of 4/3 and 1
    first, second = (18 + 24) / 2 / 24 / 2 + 18 / 2 / 24 / 2, (6 + 24) / 2 / 24 / 2 + 6 / 2 / 24 / 2
    assert_allclose(evaluate.irof(e, question, remove=ZERO).values, [1 - first, 1 - second])


def test_images_cut_into_more_parts_score_on_the_same_scale() -> None:
    few, many = examples.additive([1.0] * 4), examples.additive([1.0] * 64)
    scores = [evaluate.irof(explain.integrated_gradients(case), case, remove=ZERO).values for case in (few, many)]
    assert_allclose(*scores)
