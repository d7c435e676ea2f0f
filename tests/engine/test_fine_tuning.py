# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of a copy of a net: the same bytes each time, the caller's net as it was, Adam as torch has it."""

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.engine.retraining.fine_tuning import fine_tune, fine_tuned_model, plain_loss, row_losses
from assay.engine.retraining.smoothness_penalties import PENALTIES, default_distance

X = torch.tensor(np.random.default_rng(0).normal(size=(40, 5)), dtype=torch.float32)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 3))


def cross_entropy(net, x, y):
    return nn.functional.cross_entropy(net(x), y)


def tuned(one, **given):
    return fine_tune(
        one, X, Y, cross_entropy, **{"epochs": 4, "batch": 16, "rate": 0.01, "seed": assay.Seed(0), **given}
    )


def weights(one):
    return torch.cat([weight.flatten() for weight in one.state_dict().values()])


def test_it_lowers_the_loss_and_gives_the_same_bytes_whatever_the_global_stream_and_the_threads():
    before = cross_entropy(net().eval(), X, Y)
    one = tuned(net())
    torch.manual_seed(99)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other = net()
        torch.rand(7)
        tuned(other)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), weights(tuned(net(), seed=assay.Seed(1))))
    assert cross_entropy(one.eval(), X, Y) < before - 0.1


def test_modes_flags_statistics_and_the_global_stream_stay():
    one = net()
    one[3].eval()
    one[0].weight.requires_grad_(False)
    statistics, stream = one[1].running_mean.clone(), torch.get_rng_state()
    tuned(one)
    assert [module.training for module in one] == [True, True, True, False, True]
    assert [weight.requires_grad for weight in one.parameters()][:2] == [False, True]
    assert all(weight.grad is None for weight in one.parameters())
    assert torch.equal(one[1].running_mean, statistics)
    assert torch.equal(torch.get_rng_state(), stream)


@pytest.mark.judge  # making torch's optimiser imports its compiler
def test_the_steps_are_those_of_torchs_adam():
    one, other = net(), net().eval()
    tuned(one, epochs=3, batch=20)
    optimiser, order = torch.optim.Adam(other.parameters()), assay.Seed(0).child("batches").generator()
    for step in range(6):
        halves = np.array_split(order.permutation(40), 2) if step % 2 == 0 else halves
        optimiser.param_groups[0]["lr"] = 0.01 * 0.5 * (1 + np.cos(np.pi * step / 6))
        optimiser.zero_grad()
        cross_entropy(other, X[halves[step % 2]], Y[halves[step % 2]]).backward()
        optimiser.step()
    torch.testing.assert_close(weights(one), weights(other), atol=1e-6, rtol=0)


def test_the_first_step_of_adam_has_the_length_of_the_rate_against_the_sign_of_the_gradient():
    one = nn.Linear(2, 1, bias=False).double()
    start = one.weight.detach().clone()
    x = torch.tensor([[3.0, -0.2]], dtype=torch.float64)
    fine_tune(one, x, x, lambda net, x, y: net(x).sum(), epochs=1, batch=1, rate=0.1, seed=assay.Seed(0))
    torch.testing.assert_close(one.weight.detach() - start, torch.tensor([[-0.1, 0.1]], dtype=torch.float64))


def test_several_labels_come_as_a_tuple_of_the_same_rows():
    def loss(net, x, labels):
        assert torch.equal(labels[1], x)
        return cross_entropy(net, x, labels[0])

    fine_tune(net(), X, (Y, X), loss, epochs=1, seed=assay.Seed(0))


def test_a_fine_tuned_model_is_another_one_in_the_units_of_the_rows():
    own = net().eval()
    model = assay.model.torch(own, preprocess=lambda x: x / 2)
    case = assay.case(model, X[:6].numpy(), label="predicted")
    kept = weights(own).clone()
    fitting = {"epochs": 6, "rate": 0.02, "seed": case.seed, "name": "fine-tuned"}
    one, again = (fine_tuned_model(case, (X.numpy(), Y.numpy()), plain_loss(case.model), **fitting) for _ in range(2))
    assert one.fingerprint == again.fingerprint != case.model.fingerprint
    assert torch.equal(weights(own), kept)
    assert torch.equal(weights(case.model.net), kept)
    with torch.no_grad():
        expected = one.net(X[:6] / 2)
    np.testing.assert_allclose(assay.case(one, X[:6].numpy()).prediction, expected, atol=1e-6)
    found, was = (assay.case(each, X.numpy()).prediction.argmax(axis=1) for each in (one, model))
    assert (found == Y.numpy()).mean() > (was == Y.numpy()).mean()
    few = fine_tuned_model(case, (X.numpy(), Y.numpy()), plain_loss(case.model), most=10, **fitting)
    assert few.fingerprint != one.fingerprint


@pytest.mark.parametrize("gives", ["logits", "probabilities", "values"])
def test_losses_are_those_of_the_outputs_that_the_model_gives(gives):
    scores = torch.randn(7, 3 if gives != "values" else 1, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    model = assay.model.torch(nn.Linear(2, 3), gives=gives)
    if gives == "values":
        expected = (scores[:, 0] - labels) ** 2
    else:
        expected = nn.functional.cross_entropy(scores, labels, reduction="none")
    outputs = torch.softmax(scores, dim=1) if gives == "probabilities" else scores
    torch.testing.assert_close(row_losses(outputs, labels, model), expected)


def test_penalties_of_a_quadratic_are_those_of_its_hessian():
    matrix = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    x, h = torch.tensor([[1.0, -3.0], [0.2, 0.4]]), 0.3
    slope, step = x @ matrix, torch.sign(x @ matrix) / 2**0.5
    change = h * step @ matrix

    def value(x):
        return 0.5 * ((x @ matrix) * x).sum(dim=1)

    expected = {
        "gradient": h**2 * (slope**2).sum(dim=1),
        "loss_curvature": h**2 * (change**2).sum(dim=1),
        "curvature": (change**2).sum(dim=1) / (slope**2).sum(dim=1),
    }
    for name, number in expected.items():
        torch.testing.assert_close(PENALTIES[name].value(value, x, h), number)


def test_the_default_distance_is_the_longest_move_in_the_ball_or_a_tenth_of_the_spread():
    case = assay.case(assay.wrap(net().eval()), X[:4].numpy())
    train = (X.numpy(), Y.numpy())
    assert default_distance(case, train, assay.Ball("linf", 0.2)) == pytest.approx(0.2 * 5**0.5)
    assert default_distance(case, train, assay.Ball("l2", 0.2)) == pytest.approx(0.2)
    spread = np.sqrt(((X.numpy() - X.numpy().mean(axis=0)) ** 2).sum(axis=1).mean())
    assert default_distance(case, train, None) == pytest.approx(0.1 * spread, rel=1e-5)


def test_impossible_arguments_are_refused():
    for wrong in ({"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"rate": float("nan")}):
        with pytest.raises(InputError, match="needed are"):
            tuned(net(), **wrong)
    with pytest.raises(InputError, match="one label a row"):
        fine_tune(net(), X, Y[:5], cross_entropy, seed=assay.Seed(0))
    with pytest.raises(CapabilityError, match="no floating-point weights"):
        fine_tune(nn.ReLU(), X, Y, cross_entropy, seed=assay.Seed(0))
    with pytest.raises(NumericalError, match="nan at step 1"):
        fine_tune(net(), X, Y, lambda n, x, y: cross_entropy(n, x, y) * float("nan"), seed=assay.Seed(0))
    with pytest.raises(CapabilityError, match="no gradient reaches"):
        fine_tune(net(), X, Y, lambda n, x, y: cross_entropy(n, x, y).detach(), seed=assay.Seed(0))
