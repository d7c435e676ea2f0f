"""TCAV: closed forms, the test among random concepts, controls, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay import Concept, diagnose, explain
from assay.auditing.audit import prepare
from assay.basics.errors import CapabilityError, InputError
from assay.engine.concepts.directions import Dual, Pool, Sets

RNG = np.random.default_rng(0)


class Sum(torch.nn.Module):
    """A linear function of the layer ``body``, or ReLU(a₁) − ReLU(a₂) of it."""

    def __init__(self, weights: Any, rectified: bool = False) -> None:
        super().__init__()
        self.body = torch.nn.Identity()
        self.rectified = rectified
        self.weights = torch.nn.Parameter(torch.tensor(np.array(weights), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.body(x)
        if self.rectified:
            return (torch.relu(a[:, :1]) - torch.relu(a[:, 1:2])).reshape(-1, 1)
        return (a @ self.weights).reshape(-1, 1)


def of_net(net: torch.nn.Module, x: np.ndarray) -> assay.Case:
    return assay.case(assay.model.torch(net.double().eval(), gives="values"), x)


def mlp(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    )


def classified(x: np.ndarray, seed: int = 0) -> assay.Case:
    return assay.case(assay.model.torch(mlp(seed).double().eval(), gives="logits"), x, target="logit", label=0)


def rows(count: int, seed: int, shift: int | None = None) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 6))
    if shift is not None:
        found[:, shift] += 3.0
    return found


def test_of_a_linear_function_the_sensitivity_is_the_weight_along_the_direction() -> None:
    w = np.array([1.0, -2.0, 0.5])
    concept, random = RNG.normal(size=(40, 3)) + np.array([2.0, 0.0, 0.0]), RNG.normal(size=(200, 3))
    found = explain.tcav(of_net(Sum(w), RNG.normal(size=(10, 3))), concepts={"c": concept}, random_rows=random,
                         layers=("body",))  # fmt: skip
    assert np.ptp(found.values) < 1e-9
    assert found.values[0, 0] == pytest.approx(w[0], abs=0.25)  # the direction is e₁ up to the noise of the means
    assert np.isnan(found.extra["p"]).all()
    assert any(note.code == "one-direction" for note in found.notes)


def test_of_a_difference_of_rectified_units_tcav_is_the_share_of_active_rows() -> None:
    x = np.random.default_rng(1).normal(size=(300, 2))
    concept = np.random.default_rng(2).normal(size=(200, 2)) * 0.01 + np.array([5.0, 0.0])
    random = np.random.default_rng(3).normal(size=(1000, 2)) * 0.01
    found = explain.tcav(
        of_net(Sum([0.0], rectified=True), x), concepts={"first": concept}, random_rows=random, layers=("body",)
    )
    # v is e₁ to within the noise: S > 0 where a₁ > 0 (only then does the first unit rise)
    assert found.extra["tcav"][0, 0] == pytest.approx((x[:, 0] > 0).mean(), abs=0.35)
    clearly = np.abs(found.values[:, 0]) > 0.5
    np.testing.assert_array_equal(found.values[clearly, 0] > 0, x[clearly, 0] > 0)


def test_dual_directions_are_those_of_the_activations_themselves() -> None:
    a, gradient = RNG.normal(size=(30, 50)), RNG.normal(size=(4, 50))
    sets = Sets(np.arange(10)[None], np.arange(10, 30)[None])
    for kind in ("pattern", "ridge"):
        dual = Dual.of(gradient, gradient, a, kind, 1.0)  # type: ignore[arg-type]  # both kinds
        v = a[:10].mean(axis=0) - a[10:].mean(axis=0)
        if kind == "ridge":
            centred = a - a.mean(axis=0)
            y = np.concatenate([np.ones(10), -np.ones(20)])
            penalty = np.trace(centred @ centred.T) / 30
            v = np.linalg.solve(centred.T @ centred + penalty * np.eye(50), centred.T @ (y - y.mean()))
        np.testing.assert_allclose(dual.sensitivities(sets)[:, 0], gradient @ v, rtol=1e-8)
        np.testing.assert_allclose(dual.lengths(sets)[0], np.linalg.norm(v), rtol=1e-8)


def test_a_concept_that_is_added_to_a_pool_has_the_directions_of_all_samples_together() -> None:
    pool, concept, gradient, own = (RNG.normal(size=(count, 9)) + 1.0 for count in (20, 8, 4, 4))
    sets = Sets(np.arange(20, 28)[None], np.arange(12)[None])
    for kind in ("pattern", "ridge"):
        added = Pool.of(gradient, own, pool, kind, 0.5).with_concept(concept)  # type: ignore[arg-type]  # both kinds
        whole = Dual.of(gradient, own, np.concatenate([pool, concept]), kind, 0.5)  # type: ignore[arg-type]  # as above
        for name in ("sensitivities", "lengths"):
            np.testing.assert_allclose(getattr(added, name)(sets), getattr(whole, name)(sets), rtol=1e-9)
        step = np.diff(added.projections(sets, added.lengths(sets))[:, 0])  # from another origin
        np.testing.assert_allclose(step, np.diff(whole.projections(sets, whole.lengths(sets))[:, 0]), rtol=1e-9)


def test_pooled_directions_go_with_gradients_summed_over_positions() -> None:
    net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    net.append(torch.nn.Linear(3, 1))
    weights = net[3].weight.detach().numpy().ravel()
    pool, shown = (np.random.default_rng(seed).normal(size=(count, 3, 4, 4)) for seed, count in ((1, 400), (2, 200)))
    shown[:, 1] += 5.0
    case = of_net(net, pool[:6])
    options: dict[str, Any] = {"concepts": {"c": shown}, "random_rows": pool, "layers": ("0",)}
    pooled, plain = (explain.tcav(case, pooled=how, **options) for how in (True, False))
    np.testing.assert_allclose(pooled.values, weights[1], atol=0.02)  # of a shift of unit 1 by 1 at all positions
    np.testing.assert_allclose(plain.values, weights[1] / 4, atol=0.02)  # of a shift of length 1, over 16 positions


class Waves(torch.nn.Module):
    """a₀ + Σ cos(4 aⱼ): only the first number has a slope of one sign."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Identity()
        self.scale = torch.nn.Parameter(torch.tensor(4.0, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.body(x)
        return (a[:, :1] + torch.cos(self.scale * a[:, 1:24]).sum(dim=1, keepdim=True) / 4).reshape(-1, 1)


def planted(seed: int) -> assay.Explanation:
    """The target rises with number 0; number 24 is not read at all."""

    def some(count: int, number: int, shift: int | None = None) -> np.ndarray:
        found = np.random.default_rng([seed, number]).normal(size=(count, 25))
        if shift is not None:
            found[:, shift] += 3.0
        return found

    return explain.tcav(
        of_net(Waves(), some(100, 0)),
        concepts={"used": some(40, 1, 0), "not read": some(40, 2, 24)},
        random_rows=some(300, 3),
        layers=("body",),
    )


@pytest.mark.parametrize("seeds", [5, pytest.param(40, marks=pytest.mark.judge)])
def test_a_planted_concept_is_found_in_95_percent_of_runs_and_one_that_is_not_read_is_not(seeds: int) -> None:
    found = [planted(seed) for seed in range(seeds)]
    assert sum(one.extra["p"][0, 0] <= 0.02 for one in found) >= 0.95 * seeds
    assert sum(one.extra["p"][1, 0] <= 0.05 for one in found) <= (1 if seeds == 5 else 6)


class Rising(torch.nn.Module):
    """a₀ and small waves of a₁: some scores of random concepts are exactly 0 or 1, too."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Identity()
        self.scale = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.body(x)
        return self.scale * (a[:, :1] + 0.01 * torch.cos(a[:, 1:2])).reshape(-1, 1)


def test_among_scores_of_0_and_1_the_concept_of_the_largest_sensitivity_is_the_farthest() -> None:
    found = explain.tcav(
        of_net(Rising(), rows(40, 0)), concepts={"used": rows(40, 1, 0), "not read": rows(40, 2, 5)},
        random_rows=rows(300, 3), layers=("body",),
    )  # fmt: skip
    assert int(np.isin(found.extra["null"][0], (0.0, 1.0)).sum()) >= 10  # each of them as far from ½ as the concept
    assert found.extra["tcav"][0, 0] == 1.0
    assert found.extra["p"][0, 0] == 0.01
    assert found.extra["p"][1, 0] > 0.05


def null_calls(net: int, batches: int, each: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """How many null concepts the rank test and the customary t-test call at 5 %, (layer,); new rows for each batch."""
    calls, customary = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    for batch in range(batches):
        drawn = np.random.default_rng([net, batch]).normal(size=(50 + 150 + 30 * each, 6))
        shown = drawn[200:].reshape(each, 30, 6)
        found = explain.tcav(
            classified(drawn[:50], net), concepts={f"n{one}": shown[one] for one in range(each)},
            random_rows=drawn[50:200], layers=("0", "2"), separability=1.0,
        )  # fmt: skip
        for name, counts in (("p", calls), ("t_test", customary)):
            counts += (found.extra[name].reshape(2, each, -1)[:, :, 0] <= 0.05).sum(axis=1)
    return calls, customary


def test_null_concepts_are_called_at_the_level_and_the_customary_test_calls_many_more() -> None:
    calls, customary = null_calls(net=0, batches=6)
    assert calls.max() <= 9  # 60 concepts a layer; the 99 % binomial limit
    assert customary.min() > 0.2 * 60


@pytest.mark.judge
@pytest.mark.parametrize("net", [0, 1, 2])
def test_of_1000_null_concepts_a_layer_as_many_are_called_as_the_level_says(net: int) -> None:
    calls, customary = null_calls(net, batches=100)
    print(f"net {net}: of 1,000 null concepts the rank test calls {calls.tolist()}, the t-test {customary.tolist()}")
    assert calls.min() >= 33
    assert calls.max() <= 69  # 99 % binomial limits
    assert customary.min() > 200


def test_the_scores_of_a_concept_depend_on_no_other_concept() -> None:
    case, concept, pool = classified(rows(20, 1)), rows(30, 2, 0), rows(200, 3)
    alone = explain.tcav(case, concepts={"c": concept}, random_rows=pool, layers=("1",))
    both = explain.tcav(case, concepts={"d": rows(40, 4, 1), "c": concept}, random_rows=pool, layers=("1",))
    assert alone.values[:, 0].tobytes() == both.values[:, 1].tobytes()
    for name in ("tcav", "p", "accuracy", "null"):
        assert alone.extra[name][0].tobytes() == both.extra[name][1].tobytes()


def test_the_order_and_ids_of_rows_change_nothing() -> None:
    x, concept, pool = rows(20, 1), rows(30, 2, 0), rows(200, 3)
    one = explain.tcav(classified(x), concepts={"c": concept}, random_rows=pool, layers=("1",))
    mixed = np.random.default_rng(0).permutation
    order = mixed(20)
    two = explain.tcav(
        classified(x[order]), concepts={"c": concept[mixed(30)]}, random_rows=pool[mixed(200)], layers=("1",)
    )
    np.testing.assert_array_equal(one.values[order], two.values)
    assert one.extra["p"].tobytes() == two.extra["p"].tobytes()


def test_a_concept_minus_its_controls_is_what_the_controls_do_not_share() -> None:
    concept = rows(40, 5, 0)
    found = explain.tcav(
        classified(rows(50, 4)), concepts={"c": concept}, controls={"same kind": concept[::-1].copy()},
        random_rows=rows(250, 6), layers=("1",),
    )  # fmt: skip
    assert found.extra["contrast"][0, 0] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found.extra["contrast"][1, 0])
    assert np.isnan(found.extra["p_holm"][1]).all()


def test_what_cannot_be_tested_is_refused_by_name() -> None:
    case = classified(rows(10, 0))
    with pytest.raises(InputError, match="twice as many random rows"):
        explain.tcav(case, concepts={"c": rows(30, 1)}, random_rows=rows(40, 2), layers=("1",))
    with pytest.raises(InputError, match="concepts is empty"):
        explain.tcav(case, concepts={}, random_rows=rows(40, 2))
    with pytest.raises(InputError, match="given twice"):
        explain.tcav(case, concepts=[Concept("c", rows(5, 1)), Concept("c", rows(5, 2))], random_rows=rows(40, 2))
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        explain.tcav(case, concepts={"c": np.ones((30, 4))}, random_rows=rows(90, 2))
    forest = assay.case(assay.model.function(lambda x: x.sum(axis=1), fingerprint="sum"), rows(4, 0))
    with pytest.raises(CapabilityError):
        explain.tcav(forest, concepts={"c": rows(5, 1)}, random_rows=rows(20, 1))


def test_an_audit_with_concepts_has_a_finding_for_each_within_the_cost_that_is_said() -> None:
    net = mlp(3).double().eval()
    concepts = {"first": rows(30, 9, 0), "last": rows(30, 10, 5)}
    prepared = prepare(
        assay.model.torch(net, gives="logits"), rows(60, 1), train=(rows(200, 2), np.zeros(200, dtype=int)),
        concepts=concepts, select=("CPT",), options={"concept_use": {"layers": ("1",)}},
    )  # fmt: skip
    record = prepared.run().record
    assert [f.subject.split(":")[0] for f in record.findings if f.code == "CPT101"] == ["first", "last"]
    limit = prepared.plan.cost.forwards + prepared.plan.at_most.forwards
    assert record.cost["model evaluations requested"] <= limit
    case = assay.case(assay.model.torch(mlp(0).double().eval(), gives="logits"), rows(60, 1), target="logit", label=0)
    found = diagnose.concept_use(case, concepts, random_rows=rows(200, 2), layers=("1",), level=0.9)[0]
    null = explain.tcav(case, concepts=concepts, random_rows=rows(200, 2), layers=("1",)).extra["null"][0]
    assert found.null_interval is not None
    np.testing.assert_allclose(
        (found.null_interval.low, found.null_interval.high), np.quantile(null, (0.05, 0.95)), rtol=1e-12
    )
