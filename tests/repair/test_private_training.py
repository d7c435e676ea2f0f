"""Training with differential privacy: what it spends, what it refuses, what it changes, and three audits of it."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from opacus.accountants.utils import get_noise_multiplier
from tests.repair.nets import case, digits
from torch import nn

import assay
from assay import diagnose, repair
from assay.auditing.planning.profiles import profile_of
from assay.auditing.steps.repairs import call_repair, proposals_of
from assay.basics.errors import CapabilityError, InputError
from assay.engine.audit_inputs import AuditInputs
from assay.engine.privacy.private_fit import PrivateOptions, TrainingRows, fit_privately, new_net, noise_for
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding
from assay.repair.private_training import ADVANTAGE, PLAIN

FAST = {"epochs": 2, "batch": 500}


def small(**given: Any) -> Any:
    return repair.private_training(case(2), **{**digits()[1], **FAST, **given})


@cache
def found_once() -> Any:
    return small(epsilon=3.0, delta=1e-4)


def test_the_net_is_another_one_the_same_seed_gives_the_same_bytes_and_nothing_of_the_callers_changes() -> None:
    kept = [weight.clone() for weight in digits()[2].parameters()]
    stream, noise = torch.get_rng_state(), torch.get_num_threads()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        one, again = found_once(), small(epsilon=3.0, delta=1e-4)
    assert not seen
    assert one.model.fingerprint == again.model.fingerprint != case().model.fingerprint
    assert one.baseline.fingerprint not in (one.model.fingerprint, case().model.fingerprint)
    assert one.after == again.after
    assert all(torch.equal(a, b) for a, b in zip(kept, digits()[2].parameters()))
    assert torch.equal(stream, torch.get_rng_state())
    assert noise == torch.get_num_threads()
    assert not any(module._forward_hooks or module._backward_hooks for module in one.model.net.modules())
    assert not any(hasattr(weight, "grad_sample") for weight in one.model.net.parameters())


def test_numbers_are_those_of_the_models_and_the_budget_is_not_exceeded() -> None:
    found, rows = found_once(), digits()[1]
    (x, y), (u, v) = rows["train"], rows["held_out"]
    for model, numbers, end in ((found.model, found.after, ""), (found.baseline, found.after, PLAIN)):
        assert numbers["accuracy" + end] == (assay.case(model, u).prediction.argmax(axis=1) == v).mean()
        inside = assay.case(model, x, target="loss", label=y, seed=case().seed)
        assert numbers[ADVANTAGE + end] == diagnose.membership(inside, y, u, v)[0].estimate
    assert "without privacy" in found.baseline_change
    assert 2.9 < float(found.change.partition("ε = ")[2].split()[0]) <= 3.0
    note = next(note.text for note in found.notes if note.code == "differential-privacy")
    assert "(3, 0.0001) for a row added or removed, (6, 0.0021) for a row replaced" in note
    assert "on this says nothing" in note


def test_less_budget_is_more_noise_and_the_spent_epsilon_is_at_most_the_one_given() -> None:
    rows, noise = TrainingRows.of(case(2), digits()[1]["train"]), []
    for epsilon in (0.5, 5.0):
        options = PrivateOptions(epsilon, 1e-4, 1.0, epochs=1, batch=500, rate=0.1)
        fitted = fit_privately(new_net(case(2), None, assay.Seed(0)), rows, options, assay.Seed(0))
        assert 0.99 * epsilon < fitted.epsilon <= epsilon
        noise.append(fitted.noise)
    assert noise[0] > 2 * noise[1]


def test_one_row_moves_the_weights_by_at_most_twice_the_clipping_norm() -> None:
    """With the same noise, training sets that differ by one row give sums that differ by two clipped gradients."""
    x, y = digits()[1]["train"]
    options, after = PrivateOptions(5.0, 1e-3, max_grad_norm=0.5, epochs=1, batch=20, rate=1.0), []
    for factor in (1, -1000):
        rows = TrainingRows.of(case(2), (np.vstack([x[:19], factor * x[19:20]]), y[:20]))
        fitted = fit_privately(new_net(case(2), None, assay.Seed(0)), rows, options, assay.Seed(0))
        after.append([weight.numpy() for weight in fitted.net.parameters()])
    moved = 20 * np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(*after)))
    assert 0.3 < moved <= 1.0 + 1e-5


@pytest.mark.judge
@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(1.0, 0.1, 100), (6.0, 0.05, 60)])
def test_the_noise_is_that_of_opacus_own_search(epsilon: float, rate: float, steps: int) -> None:
    noise, spent = noise_for(epsilon, 1e-4, rate, steps)
    given = {"target_epsilon": epsilon, "target_delta": 1e-4, "sample_rate": rate, "steps": steps}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert noise == pytest.approx(get_noise_multiplier(**given, accountant="prv"), rel=0.02)
    assert 0.99 * epsilon < spent <= epsilon


def test_empty_batches_take_a_step_of_noise_alone() -> None:
    x, y = digits()[1]["train"]
    rows = TrainingRows.of(case(2), (x[:30], y[:30]))
    options = PrivateOptions(1.0, 1e-3, 1.0, epochs=2, batch=1, rate=0.1)  # two of five batches are empty
    fitted = fit_privately(new_net(case(2), None, assay.Seed(0)), rows, options, assay.Seed(0))
    assert all(bool(torch.isfinite(weight).all()) for weight in fitted.net.parameters())


class BatchNorm(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10))


def test_layers_that_mix_rows_are_refused_with_what_to_do() -> None:
    with pytest.raises(CapabilityError, match=r"BatchNorm cannot support.*Give fresh=.*GroupNorm instead of BatchNorm"):
        small(fresh=BatchNorm)
    given = small(fresh=lambda: nn.Sequential(nn.Linear(64, 8), nn.GroupNorm(2, 8), nn.ReLU(), nn.Linear(8, 10)))
    assert isinstance(given.model.net[1], nn.GroupNorm)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"epsilon": 0.0}, "a finite ε above 0"),
        ({"delta": 0.01}, "0 < δ < 1 / 500"),
        ({"max_grad_norm": 0.0}, "max_grad_norm > 0"),
        ({"rate": -1.0}, "rate > 0"),
        ({"fresh": lambda: None}, "must return a new torch"),
    ],
)
def test_impossible_options_are_refused(given: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        small(**given)


@pytest.mark.judge
@pytest.mark.parametrize("epsilon", [1.0, 3.0, 8.0])
def test_audits_of_three_private_nets_do_not_refute_their_epsilon(epsilon: float) -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, order = (x / 16).astype("float32"), np.random.default_rng(0).permutation(1797)
    train, other = (x[order[:898]], y[order[:898]]), (x[order[898:]], y[order[898:]])
    found = repair.private_training(case(2), train=train, held_out=other, epsilon=epsilon, delta=1e-4, epochs=15)
    inside = assay.case(found.model, train[0])
    bound = diagnose.privacy_bound(inside, train[1], *other, epsilon=epsilon, delta=1e-4)[0]
    assert bound.interval.low <= epsilon
    assert bound.verdict != "fail"


def test_the_cost_is_at_most_the_one_an_audit_plans_with() -> None:
    (x, y), (u, v) = digits()[1]["train"], digits()[1]["held_out"]
    inputs = AuditInputs(case().model, u, v, train=(x[:60], y[:60]))
    method = find("repair", "private_training")
    assert method.audit_cost is not None
    _ = inputs.case.prediction
    declared, before = method.audit_cost(inputs).forwards, inputs.model.meter.forwards
    method.call(inputs.case, train=inputs.train, held_out=(u, v))
    assert 0.4 * declared < inputs.model.meter.forwards - before <= declared


def test_an_audit_plans_it_in_profile_deep_and_tries_it_where_the_loss_attack_fails() -> None:
    (x, y), (u, v) = digits()[1]["train"], digits()[1]["held_out"]
    for kind in ("table", "image"):
        assert "private_training" in profile_of(kind, "deep").repairs
        assert "private_training" not in profile_of(kind, "standard").repairs
    inputs, method = AuditInputs(case().model, u, v, train=(x[:60], y[:60])), find("repair", "private_training")
    leak = Finding("PRV101", "fail", "", "")
    assert proposals_of(method, inputs, [leak]) == [{}]
    assert proposals_of(method, inputs, [Finding("PRV101", "pass", "", "")]) == []
    made = call_repair(method, inputs, {})
    assert made.baseline.fingerprint != made.model.fingerprint
