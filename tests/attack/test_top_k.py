# SPDX-License-Identifier: Apache-2.0
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import assay
from assay import attack, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.attributions.map_objectives import top_features
from assay.engine.search.explanation_attack import pool_tensor


@cache
def digits():
    """A small convolutional ReLU net trained on digits (0 … 1), and rows it was not trained on."""
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(y)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(768, 32), nn.ReLU6(), nn.Linear(32, 10)
    )
    parameters = list(net.parameters())
    for step in range(60):  # by hand: importing torch.optim takes longer than the training
        batch = slice(20 * step, 20 * step + 200)
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters)):
            parameter.data -= 0.3 * slope
    return assay.model.torch(net.eval()), x[1400:1416].numpy()


BALL = assay.Ball("linf", 0.1, 0.0, 1.0)
METHODS = {
    "saliency": {},
    "input_x_gradient": {},
    "integrated_gradients": {"steps": 4},
    "smooth_grad": {"draws": 3},
}


def attacked(name="saliency", rows=16, ball=BALL, features=None, options=None, **how):
    model, x = digits()
    case = assay.case(model, x[:rows], features=features)
    made = getattr(explain, name)(case, **(METHODS.get(name, {}) if options is None else options))
    return case, made, attack.top_k(made, case, ball, **{"steps": 15, **how})


def test_the_net_of_these_tests_has_learned_something():
    model, x = digits()
    truth = load_digits(return_X_y=True)[1][1400:1416]
    assert (assay.case(model, x).label == truth).mean() > 0.7


def test_it_changes_the_top_features_of_a_trained_net_more_than_random_perturbations_do():
    _, _, found = attacked(steps=30)
    assert found.after.mean() < found.random.mean() - 0.1
    assert (found.after <= found.random).mean() > 0.8
    np.testing.assert_array_equal(found.success, found.after < found.random)
    np.testing.assert_array_equal(found.before, 1.0)
    assert found.quantity == "top-k overlap"


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_moved_rows_stay_in_the_ball_and_the_bounds(norm):
    case, _, found = attacked(ball=assay.Ball(norm, 0.2, 0.0, 1.0), rows=6)
    move = (found.x - case.rows.x.numpy()).astype(float).reshape(6, -1)
    length = np.abs(move).max(axis=1) if norm == "linf" else np.sqrt((move**2).sum(axis=1))
    assert (length <= 0.2 * (1 + 1e-6)).all()
    assert found.x.min() >= 0.0
    assert found.x.max() <= 1.0
    assert (length > 0).all()


def test_the_prediction_is_kept_on_every_row_even_when_the_ball_reaches_others():
    ball = assay.Ball("linf", 0.3, 0.0, 1.0)
    case, _, found = attacked(ball=ball)
    assert found.prediction_unchanged.all()
    np.testing.assert_array_equal(case.predicted(torch.tensor(found.x)), case.label)
    assert attack.pgd(case, ball, steps=10).success.any()


def test_a_row_without_a_feasible_move_stays_where_it_is():
    class Edge(nn.Module):
        """Predicts class 0 at exactly one point."""

        def forward(self, x):
            here = (x - 1.0).abs().sum(dim=1, keepdim=True)
            return torch.cat(
                [
                    torch.relu(x).prod(dim=1, keepdim=True) * 0 - 1e6 * here,
                    x.pow(3).sum(dim=1, keepdim=True) - 3.0 - 1e-3,
                ],
                1,
            )

    case = assay.case(assay.model.torch(Edge()), np.ones((1, 3)), label=1, target="logit")
    found = attack.top_k(explain.saliency(case), case, assay.Ball("linf", 0.1), k=0.3, steps=5)
    np.testing.assert_array_equal(found.x, 1.0)
    assert found.after.tolist() == found.before.tolist() == [1.0]
    assert found.distance.tolist() == [0.0]
    assert not found.success.any()


@pytest.mark.parametrize("name", METHODS)
def test_every_differentiable_explanation_is_moved(name):
    if not hasattr(explain, name):
        pytest.skip(f"explain.{name} is not there yet")
    _, _, found = attacked(name, rows=8, steps=10)
    assert found.after.mean() < 1.0
    assert found.after.mean() <= found.random.mean()
    assert "zero-gradient" not in {note.code for note in found.notes}


def test_after_is_the_overlap_of_the_remade_explanation_on_the_real_net():
    case, made, found = attacked("integrated_gradients", rows=5, k=0.2)
    again = explain.integrated_gradients(case.at(torch.tensor(found.x)), steps=4)
    top = [
        set(np.argsort(-np.abs(e.values), axis=1, kind="stable")[:, :13][i]) for e in (made, again) for i in range(5)
    ]
    overlap = [len(top[i] & top[i + 5]) / 13 for i in range(5)]
    np.testing.assert_allclose(found.after, overlap)


def test_grid_patches_are_the_parts():
    _, made, found = attacked(features=assay.nouns.inputs.features.grid((1, 8, 8), 2), rows=8, k=0.25)
    assert made.values.shape == (8, 16)
    assert set((found.after * 4).round(9)) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    assert found.after.mean() < 1.0


@pytest.mark.parametrize("per_row", [False, True])
def test_pooling_tensors_is_pooling_arrays_and_can_be_differentiated(per_row):
    generator = np.random.default_rng(0)
    index = generator.integers(-1, 4, size=(3, 2, 5) if per_row else (2, 5))
    index[..., 0, :4] = np.arange(4)
    features = assay.Features(index, tuple("abcd"), per_row=per_row)
    values = generator.normal(size=(3, 2, 5))
    tensor = torch.tensor(values, requires_grad=True)
    np.testing.assert_allclose(pool_tensor(features, tensor).detach(), features.pool(values))
    pool_tensor(features, tensor).sum().backward()
    np.testing.assert_array_equal(tensor.grad, np.broadcast_to(index >= 0, values.shape))


def test_top_features_are_the_largest_in_size_and_ties_fall_in_part_order():
    values = np.array([[0.5, -3.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(top_features(values, 0.5), [[0, 1, 1, 0], [1, 1, 0, 0]])
    assert top_features(values, 0.01).sum() == 2
    assert top_features(values, 0.75).sum(axis=1).tolist() == [3, 3]


def test_the_attack_follows_the_second_derivative():
    """Two units of opposite curvature: the slope of |gradient| shares is known in closed form."""

    class Cubic(nn.Module):
        def forward(self, x):
            score = (x**3 / 3).sum(dim=1, keepdim=True)
            return torch.cat([score, score - 10.0], dim=1)

    case = assay.case(assay.model.torch(Cubic()), np.array([[1.0, 0.9]]))
    found = attack.top_k(explain.saliency(case), case, assay.Ball("linf", 0.1), k=0.5, steps=20)
    np.testing.assert_allclose(found.x, [[0.9, 1.0]], atol=1e-6)  # the first falls, the second rises
    assert found.after.tolist() == [0.0]


def test_explanations_that_cannot_be_differentiated_are_refused_with_those_that_can():
    model, x = digits()
    case = assay.case(model, x[:1], features=assay.nouns.inputs.features.grid((1, 8, 8), 4))
    with pytest.raises(CapabilityError, match=r"shapley cannot be differentiated.*integrated_gradients.*saliency"):
        attack.top_k(explain.shapley(case), case, BALL)


def test_an_explanation_of_another_target_is_refused():
    model, x = digits()
    case = assay.case(model, x[:2])
    for other in (case.at(case.rows.x * 0.5), case.with_target("log_odds")):
        with pytest.raises(InputError, match="Explain this case first"):
            attack.top_k(explain.saliency(case), other, BALL)


def test_regressions_and_shares_out_of_range_are_refused():
    with pytest.raises(CapabilityError, match="needs a classifier"):
        attack.top_k(explain.saliency(assay.examples.linear()), assay.examples.linear(), BALL)
    model, x = digits()
    case = assay.case(model, x[:1])
    for k in (0.0, 1.5):
        with pytest.raises(InputError, match="share of the features"):
            attack.top_k(explain.saliency(case), case, BALL, k=k)


def test_a_linear_net_leaves_nothing_to_search_and_says_so():
    case = assay.case(assay.model.torch(nn.Linear(5, 3)), np.ones((2, 5)), ids=["a", "b"])
    found = attack.top_k(explain.saliency(case), case, assay.Ball("linf", 0.1), k=0.4, steps=3)
    assert next(note for note in found.notes if note.code == "zero-gradient").rows == ("a", "b")
    np.testing.assert_array_equal(found.after, 1.0)


def test_rows_are_attacked_equally_alone_and_together_and_nothing_is_changed():
    model, x = digits()
    before = x.copy()
    case = assay.case(model, x[:6])
    together = attack.top_k(explain.saliency(case), case, BALL, steps=6)
    part = case.take([4, 1])
    alone = attack.top_k(explain.saliency(part), part, BALL, steps=6)
    np.testing.assert_allclose(alone.x, together.x[[4, 1]], atol=1e-6)
    np.testing.assert_array_equal(alone.random, together.random[[4, 1]])
    np.testing.assert_array_equal(x, before)
    assert not case.rows.x.requires_grad
    assert not case.live
