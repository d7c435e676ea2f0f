# SPDX-License-Identifier: Apache-2.0
"""Repairs that fine-tune a net: a penalty on curvature, and adversarial training, each beside plain fine-tuning."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.repair.nets import BALL, case, digits

import assay
from assay import attack, explain, repair
from assay.basics.errors import CapabilityError, InputError
from assay.engine.performance.change_of_model import ATTACKED, RANDOM
from assay.engine.performance.change_of_training import PLAIN, ROBUST
from assay.engine.performance.explained_and_inverted import (
    ALIGNMENT,
    INVERSION,
    NEAREST,
    VISUALISATION,
    explained_and_inverted,
)
from assay.engine.retraining.adversarial_rows import adversarial_rows

FITTING = {"epochs": 4, "rate": 3e-3, "steps": 8, "rows": 20}
DEFENCES = ("curvature_penalty", "adversarial_training")


def repaired(name, explained=2, **given):
    return getattr(repair, name)(case(explained), **digits()[1], **{**FITTING, "ball": BALL, **given})


def test_the_stronger_the_penalty_the_more_the_top_features_withstand_the_attack_that_knows_the_net():
    weak, strong = (repaired("curvature_penalty", 30, strength=strength) for strength in (0.1, 20.0))
    assert strong.after[ATTACKED] > weak.after[ATTACKED] + 0.05
    assert strong.after[ATTACKED] > strong.after[ATTACKED + PLAIN] + 0.05
    assert strong.after["accuracy"] > strong.before["accuracy"] - 0.05
    other = assay.case(strong.model, case().rows.x)
    alone = attack.top_k(explain.saliency(other), other, BALL, steps=8)
    assert strong.after[ATTACKED] == alone.after.mean()
    assert strong.after[RANDOM] == alone.random.mean()


def test_training_at_adversarial_points_raises_the_robust_accuracy_more_than_plain_fine_tuning_does():
    found = repaired("adversarial_training", steps=12, rows=100, clean=0.0)
    assert found.after[ROBUST] > found.after[ROBUST + PLAIN] + 0.05
    assert found.after["accuracy"] >= found.before["accuracy"] - 0.03
    assert found.before[ROBUST] == found.before[ROBUST + PLAIN]


def test_accuracies_and_robust_accuracies_are_those_of_the_models_on_the_held_out_rows():
    found = repaired("adversarial_training", epochs=1, inner_steps=1)
    x, y = digits()[1]["held_out"]
    for model, metrics, end in (
        (case().model, found.before, ""),
        (found.model, found.after, ""),
        (found.baseline, found.after, PLAIN),
    ):
        assert metrics["accuracy" + end] == (assay.case(model, x).prediction.argmax(axis=1) == y).mean()
        seed = case().seed.child("robust accuracy")
        chosen = np.sort(seed.generator().permutation(100)[:20])
        rows = assay.case(model, x[chosen], ids=[str(one) for one in chosen], seed=seed)
        robust = attack.pgd(rows, BALL, steps=8, restarts=2, labels=y[chosen].tolist()).robust_accuracy
        assert metrics[ROBUST + end] == pytest.approx(robust)
        assert metrics[ROBUST + end] <= metrics["accuracy" + end] + 0.2
    codes = [note.code for note in found.notes]
    assert codes[:2] == ["held-out", "robust-accuracy"]
    assert "paired difference" in found.notes[1].text


@pytest.mark.parametrize("name", DEFENCES)
def test_the_callers_net_stays_and_the_same_seed_gives_the_same_bytes(name):
    kept = [weight.clone() for weight in digits()[2].parameters()]
    one, again = (repaired(name, epochs=1, steps=1, rows=2) for _ in range(2))
    assert one.model.fingerprint == again.model.fingerprint != case().model.fingerprint
    assert one.after == again.after
    assert all(torch.equal(a, b) for a, b in zip(kept, digits()[2].parameters()))
    assert all(torch.equal(a, b) for a, b in zip(kept, case().model.net.parameters()))
    assert one.baseline.fingerprint not in (one.model.fingerprint, case().model.fingerprint)
    assert one.meaning.startswith("A net fine-tuned")


@pytest.mark.parametrize("of", ["curvature", "loss_curvature", "gradient"])
def test_each_penalty_lowers_what_it_penalises(of):
    found = repaired("curvature_penalty", ball=None, of=of, strength=30.0)
    x, y = (torch.as_tensor(one) for one in digits()[1]["held_out"])

    def slopes(model, x):
        x = x.clone().requires_grad_(True)
        outputs = model.net(x)
        chosen = outputs.gather(1, y[:, None]).sum()
        loss = torch.nn.functional.cross_entropy(outputs, y, reduction="sum")
        return torch.autograd.grad(chosen if of == "curvature" else loss, x)[0]

    def penalised(model):
        near, step = slopes(model, x), 0.4
        if of == "gradient":
            return float(near.square().sum(dim=1).mean())
        far = slopes(model, x + step * near.sign() / 8)
        change = (far - near).square().sum(dim=1)
        return float((change / near.square().sum(dim=1)).mean() if of == "curvature" else change.mean())

    assert penalised(found.model) < 0.8 * penalised(found.baseline)


def test_without_a_ball_the_defence_says_that_it_is_not_adaptively_tested():
    found = repaired("curvature_penalty", ball=None, epochs=1)
    assert "not-adaptively-tested" in {note.code for note in found.notes}
    assert ATTACKED not in found.after
    assert "over a distance of" in found.change


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_adversarial_points_lie_in_the_ball_and_have_a_higher_loss(norm):
    x = torch.rand((6, 4), generator=torch.Generator().manual_seed(0))
    ball = assay.Ball(norm, 0.2, 0.0, 1.0)

    def losses(x):
        return (3 * x[:, 0] - x[:, 1]) ** 2

    for steps in (1, 4):
        moved = adversarial_rows(ball, steps, assay.Seed(0))(losses, x)
        assert (ball.length(moved - x) <= 0.2 + 1e-6).all()
        assert moved.min() >= 0
        assert moved.max() <= 1
        assert not moved.requires_grad
        assert losses(moved).mean() > losses(x).mean()
    draw = adversarial_rows(ball, 1, assay.Seed(0))
    assert not torch.equal(draw(losses, x), draw(losses, x))


def test_models_that_are_no_nets_and_impossible_options_are_refused():
    for wrong in ({"strength": 0.0}, {"distance": -1.0}, {"sharpness": 0.0}, {"steps": 0}, {"train_rows": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            repaired("curvature_penalty", **wrong)
    for wrong in ({"clean": 1.0}, {"inner_steps": 0}, {"train_rows": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            repaired("adversarial_training", **wrong)
    no_net = assay.case(assay.wrap(lambda x: np.zeros((len(x), 10)), output="logits"), case(2).rows.x.numpy())
    for name in DEFENCES:
        with pytest.raises(InputError, match="bounds"):
            repaired(name, ball=assay.Ball("linf", 0.1, 2.0, 3.0))
        with pytest.raises(InputError, match="l0"):
            repaired(name, ball=assay.Ball("l0", 3, 0.0, 1.0))
        with pytest.raises(CapabilityError, match="gradients"):
            getattr(repair, name)(no_net, **digits()[1], ball=BALL)


MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist" / "mnist.npz"


@pytest.mark.judge
@pytest.mark.skipif(not MNIST.is_file(), reason="needs shared/data")
def test_on_the_mnist_cnn_the_penalty_helps_against_the_adaptive_attack_and_plain_fine_tuning_does_not():
    from bench.attack_nets import digits as cnn

    net, x, y = cnn()
    data = np.load(MNIST)
    train = data["x_train"][:500, None].astype("float32") / 255, data["y_train"][:500].astype(int)
    asked = assay.case(assay.model.torch(net), x[:8])
    found = repair.curvature_penalty(
        asked, train=train, held_out=(x[100:200], y[100:200]), ball=BALL, steps=12, rows=20, strength=10.0
    )
    assert found.after[ATTACKED] > found.before[ATTACKED] + 0.05
    assert found.after[ATTACKED] > found.after[ATTACKED + PLAIN] + 0.05
    assert found.after["accuracy"] > 0.93


def test_the_repair_says_how_well_the_net_is_explained_and_inverted_before_and_after():
    found = repaired("adversarial_training", steps=4, rows=100, clean=0.0)
    for name in (ALIGNMENT, INVERSION, NEAREST):
        assert found.before[name] == found.before[name + PLAIN]
        assert name + PLAIN in found.after
    assert found.after[ALIGNMENT] > found.after[ALIGNMENT + PLAIN] + 0.02
    assert VISUALISATION not in found.after  # rows of numbers are no pictures


def test_alignment_and_reconstructions_are_perfect_for_a_net_whose_weights_are_the_class_means():
    means = np.random.default_rng(0).normal(size=(3, 1, 4, 4))
    means -= means.mean(axis=0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3, bias=False)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.as_tensor(means.reshape(3, 16)))
    labels = np.repeat(np.arange(3), 5)
    found = explained_and_inverted(
        assay.case(assay.model.torch(net.eval(), gives="logits"), torch.as_tensor(means[labels])), labels
    )
    assert found[NEAREST] == 1.0
    assert found[VISUALISATION] > 0.7
    assert found[INVERSION] > 0.7
    assert found[ALIGNMENT] > 0.8
    assert (
        explained_and_inverted(
            assay.case(assay.model.torch(net, gives="logits"), torch.as_tensor(means[:1])), labels[:1]
        )
        == {}
    )
