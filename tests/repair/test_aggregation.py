# SPDX-License-Identifier: Apache-2.0
"""The mean of several explainers as a repair: what it returns, and attacks that know it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.repair.nets import BALL, case

import assay
from assay import attack, explain, repair
from assay.basics.errors import InputError
from assay.engine.attributions.map_objectives import normalised, top_features, top_objective
from assay.engine.performance.change_of_model import ATTACKED, RANDOM
from assay.engine.search.explanation_attack import begin_attack
from assay.model.transformations.softplus_surrogate import softplus_surrogate
from assay.repair.aggregation import BEST_MEMBER, SEARCHED

MEMBERS = ("saliency", "input_x_gradient")


def repaired(members=MEMBERS, rows=6, **given):
    return repair.aggregation(case(rows), members=members, **{"ball": BALL, "steps": 3, "queries": 5, **given})


def test_the_explanation_is_the_aggregate_and_the_model_the_same():
    found, asked = repaired(ball=None), case(6)
    np.testing.assert_allclose(found.explanation.values, explain.aggregate(asked, members=MEMBERS).values)
    assert found.model.fingerprint == asked.model.fingerprint
    assert [note.code for note in found.notes] == ["not-adaptively-tested"]
    assert "not adaptively tested" in found.notes[0].text
    assert set(found.after) == {"rank correlation"}
    assert -1 <= found.after["rank correlation"] < found.before["rank correlation"] == 1


def test_numbers_before_are_those_of_the_first_member_and_those_of_the_best_member_are_named():
    found, asked = repaired(), case(6)
    each = [getattr(explain, name)(asked) for name in MEMBERS]
    attacked = [attack.top_k(one, asked, BALL, steps=3).after.mean() for one in each]
    searched = [attack.explanation_search(one, asked, BALL, queries=5).after.mean() for one in each]
    assert found.before[ATTACKED] == found.before[ATTACKED + BEST_MEMBER] == attacked[0]
    assert found.after[ATTACKED + BEST_MEMBER] == max(attacked)
    assert found.after[SEARCHED + BEST_MEMBER] == max(searched)
    alone = attack.explanation_search(found.explanation, asked, BALL, queries=5)
    assert found.after[SEARCHED] == alone.after.mean()
    assert found.after[RANDOM] == alone.random.mean()


def test_an_attack_that_follows_the_members_gradients_lowers_the_overlap_of_the_aggregate_below_a_random_one():
    found = repaired(rows=12, steps=10, queries=1)
    assert found.after[ATTACKED] < found.after[RANDOM] - 0.05


def test_the_gradient_is_that_of_the_mean_of_the_members_normalised_maps():
    asked = case(3)
    each = [getattr(explain, name)(asked) for name in MEMBERS]
    whole = explain.aggregate(asked, members=MEMBERS)
    attacked = begin_attack(whole, asked, BALL, lambda: top_objective(whole, 0.1), 0.1)
    found = replace(attacked, members=tuple(each))._gradient(20.0, 0.0)(asked.rows.x)
    x = asked.rows.x.clone().requires_grad_(True)
    outputs = softplus_surrogate(asked.model, sharpness=20.0).forward(replace(asked.rows, x=x))
    chosen = outputs.gather(1, torch.as_tensor(asked.label)[:, None]).sum()
    slope = torch.autograd.grad(chosen, x, create_graph=True)[0]
    mean = (normalised(slope) + normalised(slope * x)) / 2
    rising = -(normalised(mean) * torch.as_tensor(top_features(whole.values, 0.1))).sum()
    torch.testing.assert_close(found, torch.autograd.grad(rising, x)[0], atol=1e-5, rtol=1e-4)


def test_members_without_derivative_are_searched_only():
    found = repaired(("saliency", "random"))
    assert [note.code for note in found.notes] == ["searched-only"]
    assert "random" in found.notes[0].text
    only = repaired(("random", "constant"))
    assert ATTACKED not in only.after
    assert SEARCHED in only.after


def test_impossible_options_are_refused():
    for wrong in ({"steps": 0}, {"queries": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            repaired(**wrong)
    with pytest.raises(InputError, match="members"):
        repaired(())
    with pytest.raises(InputError, match="bounds"):
        repaired(ball=assay.Ball("linf", 0.1, 2.0, 3.0))
