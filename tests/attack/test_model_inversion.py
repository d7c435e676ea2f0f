"""Model inversion: the algorithm by a plain loop, ART's faults as laws, processing, queries alone, and rounding."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from torch import nn

import assay
from assay import attack, repair
from assay.basics.errors import CapabilityError, InputError
from assay.engine.cost import cost_of
from assay.engine.retraining.fine_tuning import fine_tune
from assay.model.transformations.round_probabilities import round_probabilities
from assay.nouns.catalogue import find

LABELS, MOST = list(range(10)), 1 - 1e-12


@cache
def data() -> tuple[Any, Any]:
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("float32").reshape(-1, 1, 8, 8), y


def trained(seed: int, rows: slice, epochs: int) -> Any:
    x, y = data()
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def loss(net: Any, x: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(net(x), y)

    given = torch.tensor(x[rows]), torch.tensor(y[rows])
    fine_tune(net, *given, loss, epochs=epochs, batch=50, rate=0.01, seed=assay.Seed(seed))
    return assay.model.torch(net.eval(), gives="logits")


@cache
def digits() -> Any:
    return trained(0, slice(0, 900), 12)


def case(rows: int = 10) -> Any:
    return assay.case(digits(), data()[0][:rows])


def plain(label: int, *, steps: int, patience: int, confidence: float, step: float) -> tuple[Any, float, int]:
    """MI-FACE of one class from 0, as the paper writes it, in float64 around the net in float32."""
    net, x = digits().net, torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    costs: list[float] = []
    best, least = x.clone(), np.inf
    for number in range(steps + 1):
        moved = x.float().requires_grad_(True)
        with torch.enable_grad():
            cost = 1 - torch.softmax(net(moved).double(), dim=1)[0, label]
        slope = torch.autograd.grad(cost, moved)[0]
        value = cost.item()
        if value < least:
            best, least = x.clone(), value
        is_stuck = number >= patience and value >= max(costs[-patience:])
        costs.append(value)
        if is_stuck or value <= 1 - confidence or number == steps:
            return best.numpy(), 1 - least, number
        x = (x - step * slope.double()).clamp(0, 1)
    raise AssertionError


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 60, "patience": 100, "confidence": 0.99, "step": 0.1},
        {"steps": 80, "patience": 3, "confidence": MOST, "step": 30.0},
    ],
)
def test_each_row_is_what_a_plain_loop_finds_for_its_class(given: Any) -> None:
    found = attack.model_inversion(case(4), labels=[3, 8, 0, 1], bounds=(0.0, 1.0), **given)
    for row, label in enumerate((3, 8, 0, 1)):
        x, probability, taken = plain(label, **given)
        assert_allclose(found.x[row], x[0], atol=2e-4)
        assert found.after[row] == pytest.approx(probability, abs=1e-4)
        assert found.extra["steps_taken"][row] == taken


def test_reconstructions_are_named_by_another_model_and_are_no_members() -> None:
    x, y = data()
    other = SVC().fit(x[900:].reshape(-1, 64), y[900:])
    second = assay.model.function(lambda rows: np.eye(10)[other.predict(rows.reshape(-1, 64))], gives="probabilities")
    found = attack.model_inversion(
        case(),
        labels=LABELS,
        bounds=(0.0, 1.0),
        confidence=0.999,
        evaluator=second,
        train=(x[:900], y[:900]),
        held_out=(x[900:], y[900:]),
    )
    assert found.validity["evaluator_agreement"] == found.extra["evaluator_agrees"].mean() >= 0.9
    assert found.success.mean() >= 0.5
    assert (found.after > np.maximum(found.random, 0.98)).all()
    assert found.validity["nearer_to_member_low"] < 0.5
    assert found.validity["correlation_with_class_mean"] > 0.3
    assert "class-mean" in {note.code for note in found.notes}


def test_a_start_below_one_percent_is_not_given_up_and_confidence_is_no_cost() -> None:
    others = [(label + 1) % 10 for label in LABELS]  # row i shows the digit i
    found = attack.model_inversion(case(), labels=others, start=None, bounds=(0.0, 1.0), step=5.0)
    low = found.before < 0.01
    assert low.sum() >= 8
    assert (found.after[low] > 0.5).mean() > 0.5
    assert (found.extra["steps_taken"][low] > 1).all()


def test_a_row_ends_where_the_probability_reaches_the_confidence() -> None:
    loose, strict = (attack.model_inversion(case(), labels=LABELS, confidence=one) for one in (0.6, 0.99))
    assert (loose.extra["steps_taken"] < strict.extra["steps_taken"]).all()
    assert ((loose.after >= 0.6) & (loose.after < 0.99)).all()
    begun = attack.model_inversion(case(2), labels=[3, 8], start=None, confidence=1e-9)
    assert (begun.extra["steps_taken"] == 0).all()
    assert (begun.distance == 0).all()


def test_the_best_point_is_returned_and_not_the_last() -> None:
    def worse(x: Any) -> Any:
        calls[0] += 1
        return x if calls[0] < 20 else np.zeros_like(x)

    calls = [0]
    found = attack.model_inversion(case(3), labels=[1, 2, 3], steps=40, process=worse, confidence=MOST)
    assert (found.after > found.before + 0.1).all()
    own = assay.case(digits(), found.x, target="probability", label=[1, 2, 3])
    assert_allclose(own.output, found.after, atol=1e-6)


def test_logits_are_read_as_logits() -> None:
    found = attack.model_inversion(case(), labels=LABELS, steps=5)
    assert ((found.after > 0) & (found.after < 1)).all()
    assert_allclose(found.before.sum(), 1, atol=1e-6)  # all classes at the same start


def test_the_auxiliary_cost_and_the_processing_do_what_they_say() -> None:
    def weight(x: Any) -> Any:
        return 0.05 * (x**2).sum(axis=(1, 2, 3)), 0.1 * x

    given = {"labels": LABELS, "confidence": MOST, "steps": 150}
    free, small = attack.model_inversion(case(), **given), attack.model_inversion(case(), auxiliary=weight, **given)
    assert (small.distance < 0.8 * free.distance).all()
    assert free.x.min() < -0.01
    bounded = attack.model_inversion(case(), bounds=(0.0, 1.0), **given)
    assert bounded.x.min() >= 0
    smooth = attack.model_inversion(case(), bounds=(0.0, 1.0), denoise=0.1, **given)

    def roughness(x: Any) -> float:
        return float(np.abs(np.diff(x, axis=2)).mean() / np.abs(x).mean())

    assert roughness(smooth.x) < 0.8 * roughness(bounded.x)


@pytest.mark.parametrize("gradient", ["nes", "spsa"])
def test_queries_alone_suffice_and_estimated_slopes_are_near_the_exact_ones(gradient: str) -> None:
    given: dict[str, Any] = {"labels": LABELS, "bounds": (0.0, 1.0), "steps": 200}
    found = attack.model_inversion(case(), gradient=gradient, **given)
    assert found.success.mean() >= 0.9
    assert "backwards" not in found.provenance.cost
    again = attack.model_inversion(case(), gradient=gradient, **given)
    assert_allclose(again.x, found.x, atol=0)


def test_a_model_without_gradient_is_refused_until_queries_are_asked_for() -> None:
    x, y = data()
    flat = x[:300].reshape(-1, 64)
    model = assay.wrap(LogisticRegression().fit(flat, y[:300]))
    with pytest.raises(CapabilityError, match="gradient"):
        attack.model_inversion(assay.case(round_probabilities(model), flat[:2]), labels=[1, 2])
    found = attack.model_inversion(assay.case(model, flat[:2]), labels=[1, 2], gradient="nes", steps=60, step=1.0)
    assert (found.after > found.before).all()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"steps": 0}, "steps ≥ 1"),
        ({"confidence": 1.5}, "no level between 0 and 1"),
        ({"bounds": (1.0, 0.0)}, "the lower one first"),
        ({"denoise": 2.0}, "a share from 0"),
        ({"sigma": 0.0}, "sigma > 0"),
        ({"train": (np.zeros((2, 1, 8, 8)), [1, 2])}, "are both needed"),
        ({"process": lambda x: x[:1]}, "must keep the shape"),
    ],
)
def test_impossible_options_are_refused(given: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        attack.model_inversion(case(2), labels=[1, 2], **given)


@pytest.mark.parametrize("gradient", ["exact", "nes"])
def test_the_cost_is_at_most_the_one_declared(gradient: str) -> None:
    one, method = case(3), find("attack", "model_inversion")
    _ = one.prediction
    before = one.model.meter.forwards, one.model.meter.backwards
    found = method.call(one, labels=[1, 2, 3], gradient=gradient, steps=7, draws=4)
    declared = cost_of(method, one, found.provenance.options)
    assert one.model.meter.forwards - before[0] <= declared.forwards
    assert one.model.meter.backwards - before[1] <= declared.backwards
    assert (found.extra["steps_taken"] == 7).all()
    assert declared.forwards - (one.model.meter.forwards - before[0]) <= 3


def test_rounded_probabilities_are_multiples_that_sum_to_one_and_nearest_by_the_largest_remainder() -> None:
    rounded, own = (assay.case(m, data()[0][:200]) for m in (round_probabilities(digits(), 0.05), digits()))
    found, exact = rounded.prediction, own.with_target("probability").model.kind.as_probabilities()
    assert exact == rounded.model.kind
    assert_allclose(found.sum(axis=1), 1, atol=1e-9)
    assert_allclose(found * 20, np.round(found * 20), atol=1e-5)
    true = np.exp(own.prediction - own.prediction.max(axis=1, keepdims=True))
    true /= true.sum(axis=1, keepdims=True)
    assert np.abs(found - true).max() < 0.05
    for wrong in (0.0, 0.3, 0.6):
        with pytest.raises(InputError, match="divides 1"):
            round_probabilities(digits(), wrong)
    with pytest.raises(CapabilityError, match="needs a classifier"):
        round_probabilities(assay.model.function(lambda rows: rows[:, 0]))


def test_rounding_hinders_an_attack_by_near_queries_and_not_one_by_far_ones() -> None:
    x, y = data()
    near, far = (
        repair.rounding(
            case(2), held_out=(x[900:1000], y[900:1000]), unit=0.1, sigma=sigma, steps=60, draws=8, step=0.5
        )
        for sigma in (0.001, 0.3)
    )
    assert near.before["classes reconstructed"] > 0.8 > 0.2 > near.after["classes reconstructed"]
    assert far.after["probability reached"] > near.after["probability reached"] + 0.1
    assert abs(near.after["accuracy"] - near.before["accuracy"]) <= 0.05


@pytest.mark.judge
def test_reconstructions_of_digits_nets_are_named_rightly_by_second_nets() -> None:
    x, agreement = data()[0], []
    for seed in range(3):
        first, second = trained(2 * seed, slice(0, 900), 30), trained(2 * seed + 1, slice(900, None), 30)
        found = attack.model_inversion(
            assay.case(first, x[:10]), labels=LABELS, bounds=(0.0, 1.0), confidence=0.999, evaluator=second
        )
        agreement.append(found.validity["evaluator_agreement"])
    assert np.mean(agreement) >= 0.9
