from dataclasses import replace
from typing import Any

import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import digits
from tests.oracles.rank_correlation import spearman

from assay import Ball, evaluate, explain
from assay.engine.recompute import recompute
from assay.model.transformations.randomise_weights import layer_names, randomise_weights

BALL = Ball("linf", 0.05)


def _mean(case: Any, e: Any, draws: int, layers: Any = ()) -> np.ndarray:
    model = randomise_weights(case.model, case.seed.child("scramble"), layers=layers) if layers else case.model
    there = [BALL.draw(case.rows, case.seed.child("neighbourhood", d)) for d in range(draws)]
    return np.mean([recompute(e, replace(case.at(x), model=model)).values for x in there], axis=0)


def test_it_equals_the_literal_correlation_of_the_two_means() -> None:
    case = digits(2)
    e = explain.saliency(case, signed=True)
    intact, lost = _mean(case, e, 3), _mean(case, e, 3, layer_names(case.model))
    score = evaluate.smooth_parameter_randomisation(e, case, ball=BALL, draws=3)
    assert_allclose(score.values, [spearman(abs(a), abs(b)) for a, b in zip(intact, lost)])
    assert_allclose(score.extra["signed"], [spearman(a, b) for a, b in zip(intact, lost)])


def test_q9_the_intact_nets_likeness_of_one_is_in_no_mean() -> None:
    case = digits(2)
    e = explain.saliency(case, signed=True)
    layers, intact = layer_names(case.model), _mean(case, e, 2)
    stages = [_mean(case, e, 2, layers[: k + 1]) for k in range(len(layers))]
    literal = np.array([[spearman(abs(a), abs(b)) for a, b in zip(intact, lost)] for lost in stages])
    score = evaluate.smooth_parameter_randomisation(e, case, ball=BALL, draws=2, cascade=True)
    assert_allclose(score.values, literal.mean(axis=0))
    assert not np.allclose(score.values, np.vstack([literal, np.ones(2)]).mean(axis=0))
    assert_allclose(score.extra["stages"], len(layers))


def test_the_intact_net_is_explained_once_for_this_and_max_sensitivity() -> None:
    case = digits(2)
    e = explain.saliency(case)
    evaluate.max_sensitivity(e, case, ball=BALL, draws=4)
    assert evaluate.smooth_parameter_randomisation(e, case, ball=BALL, draws=4).provenance.cost["backwards"] == 4 * 2
    assert evaluate.smooth_parameter_randomisation(e, case, ball=BALL, draws=4, absolute=False).provenance.cost == {}
