"""Robustness, complexity and randomisation of explanations of a trained digit classifier."""

import numpy as np
import pytest
from tests.real.test_mnist import Digits, case, digits, model  # noqa: F401  # pytest finds them by name

from assay import Ball, evaluate, explain

pytestmark = pytest.mark.shared
BALL = Ball("linf", 8.0, low=0.0, high=255.0)
NEAR = (
    evaluate.max_sensitivity,
    evaluate.average_sensitivity,
    evaluate.local_lipschitz,
    evaluate.relative_input_stability,
    evaluate.relative_output_stability,
    evaluate.relative_representation_stability,
)


def test_six_scores_of_robustness_make_the_explanations_of_one(case):  # noqa: F811  # a fixture, given by name
    e = explain.saliency(case)
    before = case.model.meter.backwards
    scores = [score(e, case, ball=BALL, draws=6) for score in NEAR]
    assert case.model.meter.backwards - before == 6 * len(case)
    assert all(score.defined.all() for score in scores)
    assert (scores[0].values >= scores[1].values).all()


def test_averaging_over_noise_makes_a_gradient_steadier(case):  # noqa: F811  # a fixture, given by name
    rough = explain.saliency(case, signed=True)
    smooth = explain.smooth_grad(case, noise=0.2, draws=24)
    steady = [evaluate.average_sensitivity(e, case, ball=BALL, draws=4).mean for e in (rough, smooth)]
    assert steady[1] < steady[0]


def test_where_the_digit_lies_is_more_compact_and_connected_than_chance(case):  # noqa: F811  # a fixture, given by name
    e, chance = explain.integrated_gradients(case, steps=16), explain.random(case)
    for score in (evaluate.spatial_compactness, evaluate.connectedness):
        assert score(e, case).mean > score(chance, case).mean
    assert evaluate.effective_parts(e, case).mean < evaluate.effective_parts(chance, case).mean


def test_an_edge_detector_is_caught_by_class_and_weights_and_shap_values_are_not(case):  # noqa: F811  # a fixture, given by name
    edges, values = explain.edges(case), explain.integrated_gradients(case, start=0.0, steps=16)
    for score in (evaluate.random_logit, evaluate.runner_up_logit, evaluate.parameter_randomisation):
        assert score(edges, case).mean == pytest.approx(1.0)
    assert evaluate.random_logit(values, case).mean < 0.5
    assert evaluate.runner_up_logit(values, case).mean < 0.7


def test_the_smooth_and_efficient_tests_have_a_value_for_every_digit(case):  # noqa: F811  # a fixture, given by name
    e = explain.saliency(case)
    smooth = evaluate.smooth_parameter_randomisation(e, case, ball=BALL, draws=4)
    efficient = evaluate.efficient_parameter_randomisation(e, case, bins=20)
    assert np.isfinite(smooth.values).all()
    assert np.isfinite(efficient.values).all()
    assert smooth.mean < 0.9


def test_a_gradient_by_input_moves_along_with_the_digit(case):  # noqa: F811  # a fixture, given by name
    moved = evaluate.continuity(explain.integrated_gradients(case, steps=8), case, reach=1).extra["relative"]
    still = evaluate.continuity(explain.random(case), case, reach=1).extra["relative"]
    assert (still == 0).all()  # chance follows the part, and so moves along exactly
    assert (moved > 0).all()
    assert (moved < 1.5).all()
