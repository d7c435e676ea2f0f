"""ROB102: units with a known robustness; the attack on a linear unit has a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay import diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.robustness.unit_usefulness import LayerUnits, choose_units, standardised_label, usefulness
from assay.nouns.catalogue import find

BALL = assay.Ball("linf", 0.2)


class Planted(nn.Module):
    """Unit 0 reads a number that lies far apart between the classes, unit 1 one that lies close, unit 2 noise."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.hidden, self.activation, self.head = nn.Linear(3, 3), activation, nn.Linear(3, 2)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.diag(torch.tensor([1.0, 10.0, 1.0])))
            self.hidden.bias.fill_(0.0)

    def forward(self, x: Any) -> Any:
        return self.head(self.activation(self.hidden(x)))


def planted(rows: int = 200, seed: int = 0, activation: Any = None) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=rows)
    side = 2.0 * y - 1
    x = np.stack([side, 0.1 * side, 0 * side], axis=1) + generator.normal(size=(rows, 3)) * [0.5, 0.05, 1.0]
    net = Planted(activation or nn.Identity()).double().eval()
    return assay.case(assay.model.torch(net, gives="logits"), torch.as_tensor(x)), y


def test_the_unit_far_apart_withstands_the_close_one_turns_round_and_noise_is_not_useful() -> None:
    case, y = planted()
    found = diagnose.robust_features(case, y, BALL, layer="hidden")[0]
    kinds = {one["unit"]: one["kind"] for one in found.evidence["units"]}
    assert kinds == {0: "robust", 1: "non-robust", 2: "not shown to be useful"}
    assert found.verdict == "informative"
    assert (found.estimate, found.interval.low, found.interval.high, found.null) == (0.5, 0.5, 0.5, 0.0)
    assert found.evidence["non-robust units"] == found.evidence["robust units"] == 1
    assert found.n == 100
    close = next(one for one in found.evidence["units"] if one["unit"] == 1)
    assert close["usefulness"] > 0.7 > -0.7 > close["after the attack"]
    assert abs(close["at random points"] - close["usefulness"]) < 0.4


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_of_a_linear_unit_the_attack_costs_exactly_the_dual_norm_of_its_weights(norm: Any) -> None:
    case, y = planted(40)
    units = LayerUnits.of(case, "hidden")
    activations = units.activations(case.rows.x)
    chosen = choose_units(activations, y, 2, 3)
    ball = assay.Ball(norm, 0.2)
    found = usefulness(units, chosen, y, ball, 10)
    weight = standardised_label(y[:, None] == chosen.label)
    size = np.array([1.0, 10.0, 1.0])[chosen.unit]  # each unit reads one number, so that all dual norms agree
    np.testing.assert_allclose(found.attacked, found.clean - np.abs(weight) * 0.2 * size / chosen.spread, atol=1e-9)
    expected = np.corrcoef(activations[:, chosen.unit].T, y)[-1, :-1]
    np.testing.assert_allclose(np.abs(expected), found.clean.mean(axis=0), atol=1e-9)


def test_a_unit_that_is_off_is_raised_although_it_has_no_gradient() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).double()
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.fill_(-1.0)
    case = assay.case(assay.model.torch(net.eval(), gives="logits"), torch.tensor([[0.8], [0.5]], dtype=torch.float64))
    units = LayerUnits.of(case, "1")
    raised = units.lowest(assay.Ball("linf", 1.0), np.zeros(2, dtype=int), np.full(2, -1.0), 5)
    np.testing.assert_allclose(raised, [-0.8, -0.5])


def test_channels_of_a_map_are_units() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).double()
    x = torch.randn(40, 1, 6, 6, dtype=torch.float64)
    y = (x.mean(dim=(1, 2, 3)) > 0).long().numpy()
    case = assay.case(assay.model.torch(net.eval(), gives="logits"), x)
    assert LayerUnits.of(case, "1").activations(x).shape == (40, 4)
    np.testing.assert_allclose(
        LayerUnits.of(case, "1").activations(x), net[1](net[0](x)).mean(dim=(2, 3)).detach().numpy(), atol=1e-12
    )
    found = diagnose.robust_features(case, y, BALL, steps=2)[0]
    assert {one["unit"] for one in found.evidence["units"]} <= set(range(4))
    again = diagnose.robust_features(case, y, BALL, steps=2)[0]
    assert found == again


def null_runs(runs: int) -> int:
    """Runs in which a unit is shown to be useful although the labels are noise."""
    hits = 0
    for seed in range(runs):
        case, _ = planted(60, seed)
        noise = np.random.default_rng(1000 + seed).integers(2, size=60)
        found = diagnose.robust_features(case, noise, BALL, layer="hidden", steps=1)[0]
        hits += found.verdict != "not applicable"
    return hits


def test_labels_that_are_noise_leave_no_unit_useful() -> None:
    assert null_runs(10) <= 1


@pytest.mark.judge
def test_in_200_runs_with_labels_that_are_noise_hardly_one_shows_a_useful_unit() -> None:
    assert null_runs(200) <= 16


def test_the_cost_is_at_most_what_is_declared() -> None:
    case, y = planted(50)
    options = {"robust_features": {"steps": 3, "units": 2}}
    inputs = AuditInputs(case.model, case.rows.x, labels=y, ball=BALL, options=options)
    _ = inputs.case.prediction
    meter = inputs.model.meter
    before = meter.requested, meter.backwards
    call_on_inputs(find("diagnose", "robust_features"), inputs)
    cost = find("diagnose", "robust_features").audit_cost(inputs)
    assert 0 < meter.requested - before[0] <= cost.forwards
    assert 0 < meter.backwards - before[1] <= cost.backwards


def test_wrong_options_and_too_few_rows_are_named() -> None:
    case, y = planted(30)
    for wrong in ({"units": 0}, {"steps": 0}, {"rows": 5}, {"level": 0.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            diagnose.robust_features(case, y, BALL, **wrong)
    with pytest.raises(InputError, match="l0"):
        diagnose.robust_features(case, y, assay.Ball("l0", 1, -9.0, 9.0))
    assert diagnose.robust_features(case.take(range(10)), y[:10], BALL)[0].verdict == "not run"
    flat = assay.case(
        assay.model.torch(Planted(nn.Identity()).double().eval(), gives="logits"), torch.zeros(30, 3).double()
    )
    with pytest.raises(CapabilityError, match="varies"):
        diagnose.robust_features(flat, y, BALL)
