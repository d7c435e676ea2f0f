# SPDX-License-Identifier: Apache-2.0
import copy

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay import attack
from assay.basics.errors import CapabilityError, InputError


def linear_net(weights, bias=None):
    weights = torch.tensor(weights, dtype=torch.float32)
    net = nn.Linear(weights.shape[1], weights.shape[0])
    net.load_state_dict({"weight": weights, "bias": torch.zeros(len(weights)) if bias is None else torch.tensor(bias)})
    return net.eval()


def small_net(seed=0, inputs=6, classes=3, hidden=24):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    ).eval()


X = np.random.default_rng(0).normal(size=(12, 6)).astype("float32")


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_single_scores_margin_falls_by_radius_times_the_dual_norm(norm):
    w = np.array([2.0, -1.0, 0.5])
    case = assay.case(
        assay.model.torch(linear_net(w[None]), gives="logits"), np.array([[1.0, 0.5, 2.0], [-1.0, 3.0, 0.0]])
    )
    found = attack.pgd(case, assay.Ball(norm, 0.25), steps=15)
    dual = np.abs(w).sum() if norm == "linf" else np.linalg.norm(w)
    np.testing.assert_allclose(found.before, [2.5, 5.0])
    np.testing.assert_allclose(found.before - found.after, 0.25 * dual, rtol=1e-5)
    np.testing.assert_allclose(found.distance, 0.25, rtol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_two_classes_margin_falls_by_the_dual_norm_of_their_difference(norm):
    weights = [[1.0, 2.0, 0.0], [0.0, -1.0, 4.0]]
    found = attack.pgd(
        assay.case(assay.model.torch(linear_net(weights)), np.ones((1, 3))), assay.Ball(norm, 0.1), steps=15
    )
    gap = np.subtract(*weights)
    dual = np.abs(gap).sum() if norm == "linf" else np.linalg.norm(gap)
    np.testing.assert_allclose(found.before - found.after, 0.1 * dual, rtol=1e-4)


def test_success_is_a_changed_prediction_and_kept_its_opposite():
    case = assay.case(
        assay.model.torch(linear_net([[1.0, 1.0]]), gives="logits"), np.array([[0.1, 0.1], [2.0, 2.0], [-0.1, 0.0]])
    )
    found = attack.pgd(case, assay.Ball("linf", 0.5))
    assert found.success.tolist() == [True, False, True]
    assert (found.prediction_unchanged == ~found.success).all()
    assert ((found.after < 0) == found.success).all()
    before, after = case.predicted(case.rows.x), case.predicted(torch.tensor(found.x))
    assert ((before != after) == found.success).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_perturbed_rows_stay_in_the_ball_and_the_bounds(norm):
    x = np.random.default_rng(1).random((8, 6)).astype("float32")
    found = attack.pgd(
        assay.case(assay.model.torch(small_net()), x), assay.Ball(norm, 0.3, 0.0, 1.0), steps=15, restarts=2
    )
    move = (found.x - x).astype(float)
    length = np.abs(move).max(axis=1) if norm == "linf" else np.sqrt((move**2).sum(axis=1))
    assert (length <= 0.3 * (1 + 1e-6)).all()
    assert found.x.min() >= 0.0
    assert found.x.max() <= 1.0
    np.testing.assert_allclose(found.distance, length, rtol=1e-5)


def test_it_does_at_least_as_well_as_random_moves_everywhere():
    found = attack.pgd(assay.case(assay.model.torch(small_net(3)), X), assay.Ball("linf", 0.4), restarts=3)
    assert (found.after <= found.random + 1e-9).all()
    assert found.success.sum() >= (found.random < 0).sum()
    assert found.after.mean() < found.random.mean() - 0.05


def test_more_restarts_never_do_worse():
    case, ball = assay.case(assay.model.torch(small_net(3)), X), assay.Ball("l2", 0.8)
    one, four = (attack.pgd(case, ball, steps=8, restarts=n) for n in (1, 4))
    assert (four.after <= one.after + 1e-9).all()
    assert (four.after < one.after - 1e-6).any()


def test_a_sure_model_is_attacked_all_the_same():
    """Logits times 1000 saturate a cross-entropy; the margin keeps its slope."""
    net = small_net(1)
    sure = copy.deepcopy(net)
    sure[-1].load_state_dict({name: 1000 * tensor for name, tensor in net[-1].state_dict().items()})
    plain, loud = (attack.pgd(assay.case(assay.model.torch(n), X), assay.Ball("linf", 0.3)) for n in (net, sure))
    assert plain.success.any()
    np.testing.assert_array_equal(loud.success, plain.success)
    np.testing.assert_allclose(loud.after, 1000 * plain.after, rtol=1e-2, atol=1.0)


def test_rows_with_a_masked_gradient_are_noted():
    class Steps(nn.Module):
        def forward(self, x):
            return torch.round(x) @ torch.tensor([[1.0, -1.0], [1.0, -1.0]])

    case = assay.case(assay.model.torch(Steps()), np.array([[1.2, 0.9], [0.7, 2.0]], dtype="float32"), ids=["a", "b"])
    found = attack.pgd(case, assay.Ball("linf", 0.2))
    (note,) = [note for note in found.notes if note.code == "zero-gradient"]
    assert note.rows == ("a", "b")
    np.testing.assert_array_equal(found.x, case.rows.x.numpy())


def test_random_perturbations_that_do_better_are_noted():
    class Deceiving(nn.Module):
        def forward(self, x):
            score = x.detach() @ torch.ones(2, 1) - 0.001 * (x @ torch.ones(2, 1))
            return torch.cat([score, -score], dim=1)

    found = attack.pgd(assay.case(assay.model.torch(Deceiving()), np.ones((9, 2))), assay.Ball("linf", 0.9), steps=5)
    assert "random-better" in {note.code for note in found.notes}


def test_a_net_without_gradient_masking_has_no_notes():
    assert attack.pgd(assay.case(assay.model.torch(small_net()), X), assay.Ball("linf", 0.1)).notes == ()


def test_the_callers_tensor_net_and_generators_are_untouched():
    net, x = small_net(), torch.tensor(X)
    kept, before, state = x.clone(), copy.deepcopy(net.state_dict()), torch.get_rng_state()
    attack.pgd(assay.case(assay.model.torch(net), x), assay.Ball("linf", 0.3), steps=3, restarts=2)
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_rows_are_attacked_alike_alone_and_together():
    case = assay.case(assay.model.torch(small_net(), batch=5), X)
    together = attack.pgd(case, assay.Ball("l2", 0.5), steps=6, restarts=2)
    alone = attack.pgd(case.take([7, 3]), assay.Ball("l2", 0.5), steps=6, restarts=2)
    np.testing.assert_allclose(alone.x, together.x[[7, 3]], atol=1e-5)
    np.testing.assert_allclose(alone.random, together.random[[7, 3]], atol=1e-5)


def test_the_predicted_class_is_attacked_whatever_the_case_asks():
    model = assay.model.torch(small_net())
    cases = [
        assay.case(model, X),
        assay.case(model, X, label="runner_up", target="loss"),
        assay.case(model, X, label=1),
    ]
    found = [attack.pgd(case, assay.Ball("linf", 0.2), steps=5) for case in cases]
    for other in found[1:]:
        np.testing.assert_array_equal(other.x, found[0].x)


def test_images_are_moved_in_their_own_units_before_preprocess():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(4 * 36, 3))
    model = assay.model.torch(net, preprocess=lambda x: (x - 127) / 128)
    x = np.random.default_rng(0).integers(0, 256, size=(2, 3, 8, 8)).astype("float32")
    found = attack.pgd(assay.case(model, x), assay.Ball("linf", 8.0, 0.0, 255.0), steps=10)
    assert np.abs(found.x - x).max() == pytest.approx(8.0, rel=1e-5)
    assert (found.after < found.before).all()
    with pytest.raises(InputError, match="outside the ball's bounds"):
        attack.pgd(assay.case(model, x), assay.Ball("linf", 8 / 255, 0.0, 1.0))


def test_models_without_gradients_or_classes_are_refused():
    forest = assay.model.function(lambda x: np.tile([0.5, 0.5], (len(x), 1)), gives="probabilities")
    with pytest.raises(CapabilityError, match="needs gradients"):
        attack.pgd(assay.case(forest, X), assay.Ball("linf", 0.1))
    with pytest.raises(CapabilityError, match="needs a classifier"):
        attack.pgd(assay.examples.linear(), assay.Ball("linf", 0.1))


def test_impossible_options_are_refused():
    case = assay.case(assay.model.torch(small_net()), X)
    with pytest.raises(InputError, match="restarts=0"):
        attack.pgd(case, assay.Ball("linf", 0.1), restarts=0)
