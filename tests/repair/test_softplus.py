# SPDX-License-Identifier: Apache-2.0
"""Softplus as a repair of explanations, and defences under an adaptive attack."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.attack.test_top_k import BALL, digits
from torch import nn

import assay
from assay import attack, explain, repair
from assay.basics.errors import CapabilityError, InputError
from assay.engine.performance.change_of_model import ATTACKED, RANDOM


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3)).eval()


X = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)


def test_the_new_model_has_softplus_for_relu_and_the_old_one_stays():
    one = net()
    case = assay.case(assay.wrap(one), X)
    before = case.prediction.copy()
    repaired = repair.softplus(case, sharpness=3.0)
    with torch.no_grad():
        hidden = nn.functional.softplus(one[0](torch.tensor(X)), beta=3.0)
        expected = one[2](hidden).numpy()
    assert_allclose(assay.case(repaired.model, X).prediction, expected, atol=1e-5)
    assert_allclose(assay.case(case.model, X).prediction, before)
    assert repaired.change == "ReLU replaced by softplus with β = 3"
    chances = torch.softmax(torch.tensor(expected), dim=1).numpy()
    chosen = before.argmax(axis=1)
    assert repaired.after["agreement"] == (chances.argmax(axis=1) == chosen).mean()
    assert_allclose(repaired.after["mean confidence"], chances[np.arange(12), chosen].mean(), atol=1e-6)


def test_a_sharp_softplus_is_the_net_itself():
    repaired = repair.softplus(assay.case(assay.wrap(net()), X), sharpness=1e5)
    assert repaired.after["agreement"] == 1.0
    assert_allclose(repaired.after["mean confidence"], repaired.before["mean confidence"], atol=1e-5)


@pytest.mark.parametrize("defence", ["softplus", "smoothing"])
def test_without_a_ball_a_defence_says_that_it_is_not_adaptively_tested(defence):
    case = assay.case(assay.wrap(net()), X)
    options = {"softplus": {"sharpness": 2.0}, "smoothing": {"sigma": 0.3, "draws": 4}}[defence]
    untested = getattr(repair, defence)(case, **options)
    assert [note.code for note in untested.notes] == ["not-adaptively-tested"]
    assert untested.notes[0].text.startswith("not adaptively tested")
    assert ATTACKED not in untested.after
    tested = getattr(repair, defence)(case, ball=assay.Ball("linf", 0.1), steps=2, **options)
    assert not tested.notes
    assert {ATTACKED, RANDOM} <= set(tested.after) & set(tested.before)


def test_the_attack_goes_through_the_softplus_and_a_smoother_net_withstands_more():
    model, x = digits()
    case = assay.case(model, x[:12])
    overlaps = []
    for sharpness in (20.0, 1.0):
        repaired = repair.softplus(case, sharpness=sharpness, ball=BALL, steps=12)
        other = assay.case(repaired.model, x[:12])
        alone = attack.top_k(explain.saliency(other), other, BALL, steps=12)
        assert repaired.after[ATTACKED] == alone.after.mean()
        assert repaired.after[ATTACKED] <= repaired.after[RANDOM]
        overlaps.append(repaired.after[ATTACKED])
    assert overlaps[1] > overlaps[0] > 0
    assert overlaps[1] > repaired.before[ATTACKED] + 0.1


def test_models_that_are_no_nets_and_impossible_options_are_refused():
    case = assay.case(assay.wrap(net()), X)
    for sharpness in (0.0, -1.0):
        with pytest.raises(InputError, match="sharpness"):
            repair.softplus(case, sharpness=sharpness)
    with pytest.raises(CapabilityError, match="net"):
        repair.softplus(assay.examples.linear(), sharpness=1.0)


def test_a_regression_has_its_change_of_values():
    torch.manual_seed(0)
    one = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1)).eval()
    case = assay.case(assay.model.torch(one, gives="values"), X)
    repaired = repair.softplus(case, sharpness=2.0)
    change = assay.case(repaired.model, X).prediction - case.prediction
    assert_allclose(repaired.after["root mean square change"], np.sqrt((change**2).mean()))
