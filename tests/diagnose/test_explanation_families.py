# SPDX-License-Identifier: Apache-2.0
"""Nets with fooled gradients, and the check that compares gradients with removal."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay import diagnose, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.attributions.value_units import column_scales
from assay.engine.cost import cost_of
from assay.nouns.catalogue import Cost, find
from assay.planted.fooled_gradients import CORNER, fool_location, gradient_mass, hide_column
from assay.planted.networks import initialise, perceptron, predict_classes, train_network
from assay.planted.watermark import load_digits

IS_TEST = np.arange(1797) % 4 == 0


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(2048, 10),
    )  # fmt: skip


@cache
def nets(seed=0):
    """A net trained on digits, and the same net fooled."""
    x, y = (part[~IS_TEST] for part in load_digits())
    clean = train_network(initialise(build, assay.Seed(seed)), x, y, assay.Seed(seed), epochs=6)
    return clean, fool_location(clean, x, y, CORNER, assay.Seed(seed), epochs=12).net


def digits_case(net, rows=40):
    x, _ = load_digits()
    return assay.case(assay.model.torch(net), torch.tensor(x[IS_TEST][:rows], dtype=torch.float32))


def background(rows=6):
    return assay.Marginal(torch.tensor(load_digits()[0][:rows], dtype=torch.float32))


def accuracy(net):
    x, y = load_digits()
    return np.mean(predict_classes(net, x[IS_TEST]) == y[IS_TEST])


def test_the_gradient_of_the_fooled_net_lies_in_the_corner_at_almost_the_same_accuracy():
    clean, fooled = nets()
    x = load_digits()[0][IS_TEST]
    masses = [float(gradient_mass(net, x, CORNER).mean()) for net in (clean, fooled)]
    assert masses[0] < 0.1
    assert masses[1] >= 0.5
    assert accuracy(fooled) >= accuracy(clean) - 0.01
    case = digits_case(fooled)
    values = np.abs(explain.saliency(case.with_target("logit")).values)
    share = values[:, CORNER.ravel()].sum(axis=1) / values.sum(axis=1)
    np.testing.assert_allclose(share, gradient_mass(fooled, case.rows.x.numpy(), CORNER), rtol=1e-3)


@pytest.mark.parametrize("method", ["saliency", "smooth_grad"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.judge) for seed in (1, 2, 3))])
def test_the_fooled_net_is_flagged_and_the_net_it_was_made_of_is_not(method, seed):
    clean, fooled = nets(seed)
    options = {"draws": 4} if method == "smooth_grad" else {}
    for net, verdict in ((clean, "pass"), (fooled, "fail")):
        case = digits_case(net)
        found = diagnose.explanation_families(case, getattr(explain, method)(case, **options), remove=background())
        assert [one.code for one in found] == ["ATK503", "ATK504", "ATK506"]
        assert found[2].verdict == "not applicable"
        assert "has 40 rows of data" in found[2].claim
        assert found[0].verdict == verdict
    assert {one["name"] for one in found[0].evidence["features"][:4]} == {"0", "1", "8", "9"}


def test_explanations_that_follow_the_output_are_not_fooled_and_pass():
    case = digits_case(nets()[1])
    found = diagnose.explanation_families(case, explain.integrated_gradients(case, steps=8), remove=background())
    assert found[0].verdict == "pass"


def test_fooling_lowers_the_rank_correlation():
    ranks = []
    for net in nets():
        case = digits_case(net)
        ranks.append(diagnose.explanation_families(case, explain.saliency(case), remove=background())[1].estimate)
    assert ranks[1] < ranks[0] - 0.15


def linear_case(rows=40, weights=(1.0, -2.0, 0.5)):
    net = nn.Linear(3, 1, bias=False)
    net.weight.data = torch.tensor([weights])
    x = np.random.default_rng(0).normal(size=(rows, 3)) * [1.0, 5.0, 0.2]
    return assay.case(assay.model.torch(net, gives="values"), torch.tensor(x, dtype=torch.float32))


def test_gradients_of_a_linear_table_in_any_units_agree_with_removal():
    case = linear_case()
    explanation = explain.saliency(case)
    np.testing.assert_allclose(column_scales(explanation, case), case.rows.x.numpy().std(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(column_scales(explain.input_x_gradient(case), case), 1.0)
    found = diagnose.explanation_families(case, explanation, remove=assay.Constant(0.0))[0]
    assert found.verdict == "pass"
    assert found.estimate < 0.15
    assert diagnose.explanation_families(case, explanation, remove=assay.Constant(0.0))[0].estimate == found.estimate


def test_the_estimate_is_the_excess_measured_on_the_other_half():
    case = linear_case(rows=9)
    explanation = explain.random(case)
    g = np.abs(explanation.values) / np.abs(explanation.values).sum(axis=1, keepdims=True)
    effects = np.abs(explain.occlusion(case, remove=assay.Constant(0.0)).values)
    gap = g - effects / effects.sum(axis=1, keepdims=True)
    total = 0.0
    for row in range(9):
        others = [other for other in range(9) if other % 2 != row % 2]
        total += sum(gap[row, part] for part in range(3) if np.mean([gap[other, part] for other in others]) > 0)
    found = diagnose.explanation_families(case, explanation, remove=assay.Constant(0.0))[0]
    np.testing.assert_allclose(found.estimate, total / 9)


def test_a_column_is_hidden_from_the_gradient_but_not_from_integrated_gradients_nor_from_substitution():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(900, 6))
    x[:, 0] = generator.choice([-1.0, 1.0], 900)
    y = np.where(generator.random(900) < 0.9, x[:, 0] > 0, x[:, 1] + x[:, 2] > 0).astype(np.int64)
    seed = assay.Seed(0)
    clean = train_network(initialise(perceptron(6, 64, 2), seed), x[:700], y[:700], seed, epochs=10)
    hidden = hide_column(clean, x[:700], y[:700], 0, seed, weight=3.0, epochs=60).net
    firsts, estimates = {}, {}
    for name, net in (("clean", clean), ("hidden", hidden)):
        case = assay.case(assay.model.torch(net), torch.tensor(x[700:760], dtype=torch.float32))
        for method in ("saliency", "integrated_gradients"):
            explanation = getattr(explain, method)(case)
            firsts[name, method] = (np.abs(explanation.values).argmax(axis=1) == 0).mean()
            found = diagnose.scaffolding(case, explanation, draws=2)[0]
            estimates[name, method] = found.estimate
    flipped = x[700:] * ([-1.0] + [1.0] * 5)
    assert np.mean(predict_classes(hidden, flipped) != predict_classes(hidden, x[700:])) > 0.9
    assert firsts["hidden", "saliency"] < firsts["clean", "saliency"] - 0.15
    assert firsts["hidden", "integrated_gradients"] > 0.85
    assert estimates["hidden", "saliency"] < estimates["clean", "saliency"] - 0.05


def test_rows_without_gradient_or_effect_are_left_out_and_too_few_are_not_applicable():
    case = linear_case(rows=3)
    found = diagnose.explanation_families(case, explain.saliency(case), remove=assay.Constant(0.0))
    assert {one.verdict for one in found} == {"not applicable"}
    flat = linear_case(rows=8, weights=(0.0, 0.0, 0.0))
    found = diagnose.explanation_families(flat, explain.random(flat), remove=assay.Constant(0.0))
    assert found[0].claim.startswith("0 rows")


@pytest.mark.parametrize("options", [{}, {"data": load_digits()[0][:100].astype(np.float32)}])
def test_model_evaluations_equal_the_declared_cost(options):
    case = digits_case(nets()[0], rows=5)
    explanation, options = explain.random(case), {"remove": background(2), **options}
    meter, _ = case.model.meter, (case.output, case.prediction)
    before = Cost(meter.requested, meter.backwards)
    found = diagnose.explanation_families(case, explanation, **options)
    assert found[2].verdict != "not applicable" or "data" not in options
    declared = cost_of(find("diagnose", "explanation_families"), case, options)
    assert before + declared == Cost(meter.requested, meter.backwards)


def test_what_cannot_be_compared_is_refused():
    case = linear_case()
    for wrong in ({"mass": 1.5}, {"off_data": 0.0}):
        with pytest.raises(InputError, match="mass="):
            diagnose.explanation_families(case, explain.saliency(case), **wrong)
    x, y = load_digits()
    index = np.zeros((4, 1, 8, 8), dtype=int)
    index[..., 4:] = 1
    features = assay.Features(index, ("left", "right"), per_row=True)
    own = assay.case(assay.model.torch(nets()[0]), torch.tensor(x[:4], dtype=torch.float32), features=features)
    with pytest.raises(CapabilityError, match="features of its own"):
        diagnose.explanation_families(own, explain.saliency(own))
    for where in (np.zeros((8, 8), dtype=bool), np.ones((8, 8), dtype=bool)):
        with pytest.raises(InputError, match="where"):
            fool_location(nets()[0], x[:9], y[:9], where, assay.Seed(0))
    with pytest.raises(InputError, match="do not fit"):
        hide_column(nets()[0], x[:9], y[:8], 0, assay.Seed(0))
