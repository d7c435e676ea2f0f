"""Sibling targets: a value that one game computes is cached in all games, and equals that of a separate game."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from tests.evaluate.settings import digits

import assay
from assay import Blur, Constant, Marginal, evaluate, explain, unit
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.sibling_targets import with_sibling_targets
from assay.engine.coalitions.estimator import all_masks

TARGETS = ("logit", "probability", "log_odds", "margin")


def small(rows: int = 3) -> Case:
    """Three classes, five columns."""
    weights = torch.tensor(np.random.default_rng(0).normal(size=(3, 5)), dtype=torch.float32)
    net = torch.nn.Linear(5, 3)
    net.weight.data, net.bias.data = weights, torch.zeros(3)
    x = torch.tensor(np.random.default_rng(1).normal(size=(rows, 5)), dtype=torch.float32)
    return assay.case(assay.model.torch(net), x)


@pytest.mark.parametrize("remove", [Constant(0.0), Marginal(np.random.default_rng(2).normal(size=(4, 5)))])
@pytest.mark.parametrize("pooled", [False, True])
def test_answers_are_those_that_each_target_gets_alone(remove: Any, pooled: bool) -> None:
    masks, case = all_masks(5), small()
    targets = TARGETS[1:3] if pooled else TARGETS  # pooled games have probabilities
    for one, name in zip(with_sibling_targets(case, targets), targets):
        alone = small().with_target(name)
        assert_array_equal(one.game(remove, pooled=pooled).table(masks), alone.game(remove, pooled=pooled).table(masks))


def test_all_targets_cost_the_passes_of_one() -> None:
    case, masks = small(), all_masks(5)
    sibling_targets = with_sibling_targets(case, TARGETS)
    before = case.model.meter.forwards
    for one in sibling_targets:
        one.game(Constant(0.0)).table(masks)
    assert case.model.meter.forwards - before == 3 * 31


def test_scores_of_other_targets_are_free_where_the_order_is_the_same() -> None:
    case = digits(4)
    explanation = explain.input_x_gradient(case)
    first, *others = with_sibling_targets(case, TARGETS)
    evaluate.deletion(explanation, first, steps=8)
    assert all(not evaluate.deletion(explanation, one, steps=8).provenance.cost for one in others)


def test_a_pair_that_asks_the_same_masks_costs_one_target() -> None:
    case = small()
    one, other = with_sibling_targets(case, ("logit", "probability"))
    one.game(Constant(0.0)).table(all_masks(5)[:10])
    before = case.model.meter.forwards
    other.game(Constant(0.0)).table(all_masks(5)[:10])
    assert case.model.meter.forwards == before
    other.game(Constant(0.0)).table(all_masks(5)[:12])
    assert case.model.meter.forwards - before == 12 * 3


def test_cached_values_of_the_case_go_to_its_own_target_only() -> None:
    case, masks = small(), all_masks(5)
    case.game(Constant(0.0)).table(masks)
    before = case.model.meter.forwards
    own, other = with_sibling_targets(case, ("logit", "probability"))
    own.game(Constant(0.0)).table(masks)
    assert case.model.meter.forwards == before
    other.game(Constant(0.0)).table(masks)
    assert case.model.meter.forwards == before + 3 * 31
    assert case.sibling_targets == ()


def test_a_picture_is_blurred_once_for_all_targets() -> None:
    first, second = with_sibling_targets(digits(2), ("logit", "probability"))
    assert first.game(Blur(1.0)).filling is second.game(Blur(1.0)).filling


def test_a_target_of_a_layer_or_of_another_label_is_refused() -> None:
    with pytest.raises(InputError, match="does not read the same outputs"):
        with_sibling_targets(digits(2), ("logit", unit("0", 1)))
