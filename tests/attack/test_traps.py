# SPDX-License-Identifier: Apache-2.0
"""Each trap that makes a robust accuracy too high raises its own named note, and its remedy removes it."""

import numpy as np
import pytest
import torch
from tests.attack.nets import codes, small_net
from torch import nn

import assay
from assay import attack
from assay.basics.errors import CapabilityError, InputError

X = np.random.default_rng(0).random((20, 6)).astype("float32")
BALL = assay.Ball("linf", 0.15, 0.0, 1.0)


class Before(nn.Module):
    """A net after a function of its input."""

    def __init__(self, net, function):
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x):
        return self.net(self.function(x))


def case_of(net, x=X, **options):
    return assay.case(assay.model.torch(net, **options), x)


def quantised(x):
    return torch.round(x * 8) / 8


def test_an_honest_attack_has_no_notes_and_a_whole_report():
    found = attack.pgd(case_of(small_net(3)), BALL, restarts=2)
    assert codes(found) == set()
    report = found.validity
    assert report["deterministic"]
    assert report["evaluation_mode"]
    assert report["outputs"] == "logits"
    assert not report["rows_sum_to_one"]
    assert report["bounds"] == (0.0, 1.0)
    assert report["batch_sizes"] == (20, 10)
    assert report["batches_agree"]
    assert report["zero_gradient_rows"] == 0.0
    assert report["restarts"] == 2
    assert report["robust_accuracy"] <= report["random_robust_accuracy"]
    assert report["largest_distance"] <= 0.15 * (1 + 1e-6)
    assert {"assay", "torch", "numpy"} <= set(found.provenance.versions)


def test_a_clamp_inside_the_graph_lets_the_gradient_vanish():
    net = small_net(3)
    clamped = Before(net, lambda x: x.clamp(0.4, 0.6))
    x = (0.4 + 0.2 * X).astype("float32")
    found = attack.pgd(case_of(clamped, x), assay.Ball("linf", 0.3), steps=20)
    assert "vanishing-gradient" in codes(found)
    remedy = attack.pgd(case_of(clamped, x), assay.Ball("linf", 0.3, 0.4, 0.6), steps=20)
    assert "vanishing-gradient" not in codes(remedy)
    assert remedy.robust_accuracy <= found.robust_accuracy


def test_saturated_scores_mask_the_gradient_of_cross_entropy_alone():
    net = small_net(3)
    with torch.no_grad():
        net[-1].weight *= 1e5
        net[-1].bias *= 1e5
    case = case_of(net)
    blind = attack.pgd(case, BALL, loss="cross_entropy")
    assert "zero-gradient" in codes(blind)
    assert blind.validity["zero_gradient_rows"] > 0.3
    seeing = attack.pgd(case, BALL)
    assert "zero-gradient" not in codes(seeing)
    assert seeing.robust_accuracy < blind.robust_accuracy
    assert "loss-disagreement" in codes(attack.auto(case, BALL, steps=10, queries=10))


def test_a_quantised_input_has_no_gradient_until_it_is_passed_straight_through():
    net = small_net(3)
    masked = attack.pgd(case_of(Before(net, quantised)), BALL)
    assert "zero-gradient" in codes(masked)
    assert masked.robust_accuracy == 1.0
    remedy = assay.model.straight_through(assay.model.torch(net), quantised)
    found = attack.pgd(assay.case(remedy, X), BALL)
    assert "zero-gradient" not in codes(found)
    assert found.robust_accuracy < 0.8
    again = case_of(Before(net, quantised), found.x).predicted(torch.tensor(found.x))
    np.testing.assert_array_equal(found.success, again != case_of(Before(net, quantised)).predicted(torch.tensor(X)))


def test_random_search_beats_gradients_that_are_masked():
    found = attack.auto(case_of(Before(small_net(3), quantised)), BALL, steps=5, queries=60)
    assert "black-box-better" in codes(found)
    assert found.validity["found_by_square_only"] > 0


def test_dropout_and_batch_norm_are_switched_off():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)).train()
    found = attack.pgd(case_of(net), BALL, steps=5)
    assert "train-mode" in codes(found)
    assert found.validity["evaluation_mode"]
    assert net.training


def test_a_model_that_draws_random_numbers_is_refused_until_it_is_averaged():
    net = small_net(3)

    def noisy(x, generator):
        return x + torch.tensor(0.1 * generator.standard_normal(tuple(x.shape[1:])), dtype=x.dtype)

    with pytest.raises(CapabilityError, match="other outputs for the same rows"):
        attack.pgd(case_of(Before(net, lambda x: x + 0.1 * torch.randn_like(x))), BALL)
    mean = assay.model.expectation_over_transformations(assay.model.torch(net), noisy, 8)
    found = attack.pgd(assay.case(mean, X), BALL, steps=10)
    assert found.validity["deterministic"]
    assert found.success.any()


def test_normalised_rows_are_refused_by_the_bounds_of_raw_data():
    with pytest.raises(InputError, match="units of the rows"):
        attack.pgd(case_of(small_net(3), (X - 0.5) / 0.25), BALL)
    narrow = attack.pgd(case_of(small_net(3)), assay.Ball("linf", 0.15, 0.0, 255.0), steps=3)
    assert "range-and-bounds" in codes(narrow)


def test_probabilities_that_are_read_as_scores_are_named():
    soft = nn.Sequential(small_net(3), nn.Softmax(dim=1))
    assert "probabilities-as-logits" in codes(attack.pgd(case_of(soft, gives="logits"), BALL, steps=3))
    found = attack.pgd(case_of(soft), BALL, steps=3)
    assert "probabilities-as-logits" not in codes(found)
    assert found.validity["rows_sum_to_one"]


def test_success_at_the_boundary_alone_is_named():
    found = attack.deepfool(
        case_of(small_net(3).double(), X.astype("float64")), assay.Ball("linf", 0.5), overshoot=1e-9
    )
    assert "boundary-success" in codes(found)
    assert found.validity["smallest_margin_of_success"] < 1e-6
    beyond = attack.deepfool(case_of(small_net(3).double(), X.astype("float64")), assay.Ball("linf", 0.5))
    assert "boundary-success" not in codes(beyond)


def test_numbers_that_are_not_finite_are_no_successes():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net(3)

        def forward(self, x):
            return self.net(x) + torch.log(0.6 - x[:, :1])  # NaN beyond 0.6

    x = (0.5 * X).astype("float32")
    found = attack.pgd(case_of(Broken(), x), assay.Ball("linf", 0.3), steps=10)
    assert "not-finite" in codes(found)
    assert np.isfinite(found.x).all()
    assert np.isfinite(found.after).all()


def test_too_few_steps_leave_the_margin_falling():
    found = attack.pgd(case_of(small_net(3)), assay.Ball("linf", 0.4), steps=12, step=0.01)
    assert "still-rising" in codes(found)
    assert found.validity["still_rising"] > 0.5


class TestWrappers:
    def test_forward_is_the_preprocessed_model_and_backward_the_identity(self):
        net = small_net(3).double()
        model = assay.model.straight_through(assay.model.torch(net), quantised)
        case = assay.case(model, X.astype("float64"), target="logit", label=1)
        x = torch.tensor(X.astype("float64"))
        np.testing.assert_array_equal(case.output, net(quantised(x))[:, 1].detach().numpy())
        inner = quantised(x).requires_grad_(True)
        slope = torch.autograd.grad(net(inner)[:, 1].sum(), inner)[0]
        np.testing.assert_allclose(case.gradient(case.rows.x).numpy(), slope.numpy(), rtol=1e-12)
        assert model.fingerprint != assay.model.torch(net).fingerprint

    def test_another_shape_is_refused(self):
        model = assay.model.straight_through(assay.model.torch(small_net()), lambda x: x[:, :3])
        with pytest.raises(InputError, match="same shape"):
            assay.case(model, X)

    def test_the_expectation_is_the_mean_of_probabilities_and_of_gradients(self):
        net = small_net(3).double()

        def shifted(x, generator):
            return x + torch.tensor(0.3 * generator.standard_normal(6))

        mean = assay.model.expectation_over_transformations(assay.model.torch(net), shifted, 4)
        case = assay.case(mean, X.astype("float64"), target="probability", label=1)
        x = torch.tensor(X.astype("float64")).requires_grad_(True)
        stream = assay.Seed().child("transformations")
        chances = [net(shifted(x, stream.child(k).generator())).softmax(dim=1)[:, 1] for k in range(4)]
        total = sum(chances) / 4
        np.testing.assert_allclose(case.output, total.detach().numpy(), rtol=1e-10)
        slope = torch.autograd.grad(total.sum(), x)[0]
        np.testing.assert_allclose(case.gradient(case.rows.x).numpy(), slope.numpy(), rtol=1e-8)
        assert mean.passes_per_row == 4
        with pytest.raises(InputError, match="draws=0"):
            assay.model.expectation_over_transformations(assay.model.torch(net), shifted, 0)
