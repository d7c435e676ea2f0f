# SPDX-License-Identifier: Apache-2.0
"""The saliency-map attack against the text of its paper, and HopSkipJump against closed forms."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from tests.attack.nets import codes, linear, linear_case
from torch import nn

import assay
from assay import attack
from assay.basics.errors import InputError
from assay.engine.cost import cost_of
from assay.nouns.catalogue import find

X = np.random.default_rng(0).random((12, 6))
BALL = assay.Ball("l0", 4, 0.0, 1.0)


class Curved(nn.Module):
    """A smooth net of which few elements change the class."""

    def __init__(self, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = nn.Linear(6, 12).double(), nn.Linear(12, 3, bias=False).double()

    def forward(self, x):
        return self.last(torch.tanh(6 * self.first(x - 0.5)))


def net_case(seed=1):
    return assay.case(assay.model.torch(Curved(seed).eval()), X)


def jacobian(net, x):
    return torch.autograd.functional.jacobian(lambda one: net(one[None])[0], torch.tensor(x)).numpy()


def paper(net, x, target, radius, signs, pairs):
    """Algorithm 3 of Papernot et al. (2016): the saliency of all elements, or pairs, of one row, written as loops."""
    start, x = x.copy(), x.copy()
    while int(net(torch.tensor(x[None])).argmax()) != target:
        slopes = jacobian(net, x)
        changed = np.flatnonzero(x != start)
        full = len(changed) + (2 if pairs else 1) > radius
        domain = changed.tolist() if full else list(range(len(x)))
        best, chosen, way = 0.0, None, 0.0
        for sign in signs:
            inside = [i for i in domain if (start[i] <= x[i] < 1.0 if sign > 0 else start[i] >= x[i] > 0.0)]
            sets = [(p, q) for p in inside for q in inside if p < q] if pairs else [(p,) for p in inside]
            for members in sets:
                alpha = sign * sum(slopes[target, i] for i in members)
                beta = sign * sum(slopes[other, i] for i in members for other in range(3) if other != target)
                if alpha > 0 and beta < 0 and alpha * -beta > best:
                    best, chosen, way = alpha * -beta, members, sign
        if chosen is None:
            return x
        for i in chosen:
            x[i] = np.clip(x[i] + way, 0.0, 1.0)
    return x


@pytest.mark.parametrize("elements", ["one", "two"])
@pytest.mark.parametrize(("direction", "signs"), [("up", (1,)), ("down", (-1,)), ("both", (1, -1))])
def test_the_saliency_map_attack_is_that_of_the_paper(elements, direction, signs):
    case = net_case()
    runner_up = np.argsort(case.prediction, axis=1)[:, 1]
    found = attack.saliency_map(
        case, BALL, elements=elements, direction=direction, target_label=runner_up.tolist(), steps=20
    )
    net, reached = case.model.net, 0
    for row in range(len(X)):
        expected = paper(net, X[row], int(runner_up[row]), 4, signs, elements == "two")
        if int(net(torch.tensor(expected[None])).argmax()) == runner_up[row]:
            reached += 1
            np.testing.assert_allclose(found.x[row], expected)
            assert found.success[row]
        else:
            assert not found.success[row]
    assert reached > 1


def test_a_saliency_map_attack_without_a_target_leaves_the_class_with_few_elements():
    case = net_case()
    found = attack.saliency_map(case, BALL, steps=20)
    assert found.success.any()
    assert (found.distance[found.success] > 0).all()
    assert found.distance.max() <= 4
    assert found.validity["norm"] == "l0"
    before, after = case.predicted(case.rows.x), case.predicted(torch.tensor(found.x))
    np.testing.assert_array_equal(found.success, before != after)
    assert found.provenance.cost["forwards"] <= cost_of(find("attack", "saliency_map"), case, {"steps": 20}).forwards


def test_fmn_changes_at_most_as_many_elements_on_as_many_rows():
    case = net_case()
    fmn, jsma = attack.fmn(case, BALL, steps=200), attack.saliency_map(case, BALL, steps=20)
    assert fmn.success.sum() >= jsma.success.sum()
    both = fmn.success & jsma.success
    assert fmn.extra["minimal_distance"][both].mean() <= jsma.distance[both].mean() + 0.5


@pytest.mark.parametrize(("norm", "expected"), [("l1", 0.9), ("l0", 1.0)])
def test_fmn_finds_the_sparse_distances_of_a_linear_model(norm, expected):
    """ℓ1: the gap by the largest slope. ℓ0: one element where it can move far enough."""
    weights = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])
    case = assay.case(assay.model.torch(linear(weights, np.array([0.9, 0.0]))), np.zeros((1, 3)))
    found = attack.fmn(case, assay.Ball(norm, 2.0, -2.0, 2.0), steps=300)
    np.testing.assert_allclose(found.extra["minimal_distance"], expected, rtol=0.01)


def test_true_labels_given_as_targets_are_refused_and_so_is_a_step_of_nothing():
    case = net_case()
    truth = case.predicted(case.rows.x).tolist()
    with pytest.raises(InputError, match="decided for its target_label already"):
        attack.saliency_map(case, BALL, target_label=truth)
    with pytest.raises(InputError, match="own label"):
        attack.saliency_map(case, BALL, labels=truth, target_label=truth)
    with pytest.raises(InputError, match="step=0"):
        attack.saliency_map(case, BALL, step=0.0)
    with pytest.raises(InputError, match="'linf'; this attack is defined for l0"):
        attack.saliency_map(case, assay.Ball("linf", 0.1))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_hop_skip_jump_comes_near_the_distance_of_a_linear_model(norm):
    case, exact = linear_case()
    found = attack.hop_skip_jump(case, assay.Ball(norm, 1.0), queries=3000)
    assert (found.extra["minimal_distance"] >= exact[norm] * (1 - 1e-9)).all()
    assert (found.extra["minimal_distance"] <= exact[norm] * 1.05).all()


@pytest.mark.parametrize("queries", [48, 200, 1000])
def test_hop_skip_jump_asks_no_more_decisions_than_allowed(queries):
    case, _ = linear_case(rows=5)
    _ = case.prediction
    before = case.model.meter.forwards
    found = attack.hop_skip_jump(case, assay.Ball("l2", 1.0), queries=queries)
    assert found.extra["queries"].max() <= queries
    report = cost_of(find("attack", "hop_skip_jump"), case, {"queries": 0}).forwards
    assert case.model.meter.forwards - before == found.extra["queries"].sum() + report
    assert np.isfinite(found.extra["minimal_distance"]).all()


def test_hop_skip_jump_reads_the_decision_alone():
    """The same decisions of other scores give the same points."""
    weights, bias = np.random.default_rng(1).normal(size=(3, 4)), np.zeros(3)
    x = np.random.default_rng(2).normal(size=(4, 4))
    cases = [assay.case(assay.model.torch(linear(s * weights, s * bias)), x) for s in (1.0, 1e6)]
    found = [attack.hop_skip_jump(case, assay.Ball("l2", 1.0), queries=200) for case in cases]
    np.testing.assert_array_equal(found[0].x, found[1].x)


def test_hop_skip_jump_attacks_trees_and_keeps_bounds_and_columns_of_scale_0():
    x = np.random.default_rng(0).random((200, 4))
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(x, x[:, 0] + x[:, 1] > 1)
    case = assay.case(assay.wrap(model), x[:10])
    ball = assay.Ball("linf", 0.5, 0.0, 1.0, scale=(1.0, 2.0, 1.0, 0.0))
    found = attack.hop_skip_jump(case, ball, queries=400)
    assert found.success.any()
    assert found.validity["inside_ball_and_bounds"]
    assert (found.x[:, 3] == x[:10, 3]).all()
    np.testing.assert_array_equal(found.success, model.predict(found.x) != model.predict(x[:10]))
    assert found.robust_accuracy <= found.validity["random_robust_accuracy"]


def test_hop_skip_jump_starts_at_rows_where_no_random_point_succeeds_and_says_so():
    """A class of a tiny region, which random points miss."""
    model = assay.model.function(
        lambda x: np.stack([np.ones(len(x)), 2.0 * (np.abs(x - 0.5).max(axis=1) < 1e-3)], axis=1),
        gives="logits",
        classes=["wide", "tiny"],
    )
    x = np.concatenate([np.full((1, 6), 0.5), np.random.default_rng(0).random((3, 6))])
    found = attack.hop_skip_jump(assay.case(model, x), assay.Ball("l2", 5.0, 0.0, 1.0), queries=100)
    assert found.success.all()
    assert "started-at-rows" in codes(found)
    with pytest.raises(InputError, match="queries=10"):
        attack.hop_skip_jump(assay.case(model, x), assay.Ball("l2", 5.0, 0.0, 1.0), queries=10)
