"""A trained digit classifier on real digits."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.shared import folder

import assay
from assay import attack, certify, evaluate, explain

pytestmark = pytest.mark.shared


class Digits(torch.nn.Module):
    """Two convolutions, functional ReLU and pooling, as the weights were trained."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(1, 20, 5), torch.nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = torch.nn.Linear(800, 500), torch.nn.Linear(500, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        functional = torch.nn.functional
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


@pytest.fixture(scope="module")
def model():
    net = Digits()
    net.load_state_dict(load_file(folder("mnist-models") / "cnn.safetensors"))
    return assay.model.torch(net, classes=list("0123456789"), preprocess=lambda x: (x / 255 - 0.1307) / 0.3081)


@pytest.fixture(scope="module")
def digits():
    held = np.load(folder("mnist") / "mnist.npz")
    return held["x_test"][:, None].astype(np.float32), held["y_test"]


@pytest.fixture(scope="module")
def case(model, digits):
    return assay.case(model, digits[0][:12], features=assay.grid((1, 28, 28), 4))


def test_the_classifier_is_wrapped_as_it_was_trained(model, digits):
    x, y = digits
    assert (assay.case(model, x[:500]).label == y[:500]).mean() >= 0.99


def test_shapley_beats_random_order_on_every_curve(case):
    black = assay.Constant(0.0)
    values, chance = explain.shapley(case, remove=black, budget=400), explain.random(case)
    assert evaluate.deletion(values, case, remove=black).mean < evaluate.deletion(chance, case, remove=black).mean
    assert evaluate.insertion(values, case, remove=black).mean > evaluate.insertion(chance, case, remove=black).mean


def test_integrated_gradients_and_shapley_from_black_agree_in_rank(case):
    ours = explain.integrated_gradients(case, start=0.0, steps=64)
    other = explain.shapley(case, remove=assay.Constant(0.0), budget=400)
    ranks = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours.values, other.values)]
    assert np.mean(ranks) > 0.5


def test_multiplying_by_the_digit_keeps_the_map_alike_when_the_weights_are_lost(case):
    multiplied = evaluate.parameter_randomisation(explain.integrated_gradients(case, steps=16), case)
    bare = evaluate.parameter_randomisation(explain.saliency(case), case)
    assert multiplied.mean > 0.8  # black patches get 0 whatever the weights: the sanity check catches it
    assert bare.mean < multiplied.mean


def test_small_moves_change_the_saliency_more_when_they_are_chosen(case):
    e = explain.saliency(case)
    attack_result = attack.top_k(e, case, assay.Ball("linf", 8.0, low=0.0, high=255.0), steps=8)
    assert attack_result.prediction_unchanged.all()
    assert attack_result.after.mean() < attack_result.random.mean()


def test_projected_descent_moves_predictions_that_random_moves_do_not(case):
    attack_result = attack.pgd(case, assay.Ball("linf", 64.0, low=0.0, high=255.0), steps=20)
    assert attack_result.success.mean() > 0.5
    assert (attack_result.after <= attack_result.random).all()


def test_soft_stability_of_the_leading_quarter_exceeds_that_of_random_parts(case):
    leading = explain.shapley(case, remove=assay.Constant(0.0), budget=400).top(0.25)
    anything = explain.random(case).top(0.25)
    ours, chance = (certify.soft_stability(case, parts, radius=3, draws=80) for parts in (leading, anything))
    assert ours.extra["rate"].mean() > chance.extra["rate"].mean()


def test_the_net_with_max_pooling_is_bounded_below_every_attack(digits):
    net = Digits()
    net.load_state_dict(load_file(folder("mnist-models") / "cnn.safetensors"))
    x = (torch.as_tensor(digits[0][:6]) / 255 - 0.1307) / 0.3081
    case = assay.case(assay.wrap(net.eval(), output="logits"), x)
    ball = assay.Ball("linf", 0.002 / 0.3081)
    intervals, lines = (certify.bound_propagation(case, ball, how=how).margin for how in ("ibp", "crown-ibp"))
    assert (intervals <= lines).all()
    assert (lines <= attack.pgd(case, ball, steps=10).after).all()
    assert (lines > 0).all()
    found = certify.lipschitz_margin(case)
    moved = np.asarray(attack.deepfool(case, assay.Ball("l2", 20.0)).x) - x.numpy()
    assert (found.radius <= np.linalg.norm(moved.reshape(len(x), -1), axis=1)).all()
    assert (found.radius > 0.01).all()
    assert (found.extra["slope_found"] <= found.extra["slope_bound"]).all()


def test_the_needed_clusters_of_a_digit_are_the_fewest_and_its_certified_limits_hold(model, digits):
    x = digits[0][:3]
    case = assay.case(model, x, features=assay.mean_shift_clusters(x, 8, 8))
    black = assay.Constant(0.0)
    found = explain.cluster_variational(case, remove=black)
    assert (found.extra["kl_bits"] > 1).all()
    np.testing.assert_allclose(found.extra["fidelity"], 0.9, atol=1e-6)
    masks = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    chances = case.with_target("probability").game(black).table(masks)
    for row, order in enumerate(found.order()):
        enough = masks[chances[row] >= 0.9 * chances[row, -1]].sum(axis=1).min()
        kept = np.isin(np.arange(8), order[:enough])
        assert chances[row, (kept * 2 ** np.arange(8)).sum()] >= 0.9 * chances[row, -1]
    part = explain.cluster_variational(case, remove=black, budget=100, beta=float(found.extra["beta"][0]))
    whole = explain.cluster_variational(case, remove=black, beta=float(found.extra["beta"][0]))
    assert (part.extra["certified_low"] <= whole.extra["marginals"] + 1e-9).all()
    assert (whole.extra["marginals"] <= part.extra["certified_high"] + 1e-9).all()
