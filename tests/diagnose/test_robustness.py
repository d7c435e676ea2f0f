"""ROB101: inputs that exist from above, proofs from below; no verdict without a threshold that the caller gave."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from tests.repair.nets import digits
from torch import nn

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.auditing.joint_verdicts import further_rows_needed, judge_jointly, smallest_detectable, with_thresholds
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis, clopper_pearson
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.robustness.both_sides import Effort, both_sides
from assay.nouns.catalogue import check_named, find

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")


def numbers() -> Any:
    return assay.case(digits()[0], X[1400:1500])


@cache
def trees() -> Any:
    return assay.wrap(GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X[:300], Y[:300] > 4))


def robust(case: Any, ball: assay.Ball, labels: Any = (), **given: Any) -> Any:
    return diagnose.robustness(case, ball, labels=labels, **given)[0]


BALLS = [assay.Ball("l2", 0.25), assay.Ball("linf", 0.03, 0.0, 1.0), assay.Ball("l1", 0.4)]


@pytest.mark.parametrize("ball", BALLS, ids=lambda ball: ball.norm)
def test_no_row_of_a_net_is_both_certified_and_attacked_and_the_shares_are_those_of_the_rows(ball: Any) -> None:
    case = numbers()
    sides = both_sides(case, ball, Effort(steps=10))
    assert not (sides.certified & sides.changed).any()
    assert sides.contradicted == 0
    assert sides.changed.any()
    found = robust(case, ball, Y[1400:1500], steps=10)
    right = case.prediction.argmax(axis=1) == Y[1400:1500]
    assert found.estimate == (right & ~sides.changed).mean()
    assert found.evidence["certified"] == (right & sides.certified).mean() <= found.estimate
    assert found.evidence["right without a change"] == right.mean()
    counts = found.evidence
    assert counts["rows open"] + counts["rows changed"] + round(100 * counts["certified"]) == right.sum()
    assert set(found.rows) == {str(row) for row in np.flatnonzero(right & sides.changed)}
    assert sides.margin[int(found.rows[0])] == sides.margin[right].min()
    assert found.affected == (right & sides.changed).mean()


def test_of_trees_both_sides_meet_and_the_exact_search_adds_what_the_attack_misses() -> None:
    case, ball = assay.case(trees(), X[300:340]), assay.Ball("linf", 0.06)
    sides = both_sides(case, ball, Effort(queries=1))
    assert sides.by == ("tree_robustness",)
    assert (sides.certified ^ sides.changed).all()
    weak = both_sides(case, ball, Effort(queries=1, max_nodes=0))
    assert not weak.certified.any()
    assert (weak.changed <= sides.changed).all()
    assert weak.changed.sum() < sides.changed.sum()


def test_a_linear_net_has_both_sides_at_its_exact_distances() -> None:
    net = nn.Sequential(nn.Linear(64, 3)).double()
    x = torch.as_tensor(np.random.default_rng(0).normal(size=(60, 64)))
    case = assay.case(assay.model.torch(net, gives="logits"), x)
    scores, weight = case.prediction, net[0].weight.detach().numpy()
    own = scores.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        gaps = (scores[np.arange(60), own][:, None] - scores) / np.linalg.norm(weight[own][:, None] - weight, axis=2)
    distance = np.nanmin(gaps, axis=1)
    sides = both_sides(case, assay.Ball("l2", float(np.median(distance))), Effort(steps=30))
    assert np.array_equal(sides.changed, distance < np.median(distance))
    assert np.array_equal(sides.certified, distance > np.median(distance))


def test_without_a_certificate_the_lower_bound_is_0_and_the_reason_is_given() -> None:
    model = assay.wrap(LogisticRegression(max_iter=2000).fit(X[:300], Y[:300] > 4))
    found = robust(assay.case(model, X[300:330]), BALLS[1], Y[300:330] > 4, queries=20)
    assert found.evidence["certified by"] == []
    assert found.interval.low == 0.0
    assert "no proof was tried" in found.claim
    odd = assay.model.torch(nn.Sequential(nn.Linear(64, 3), nn.GELU()).eval(), gives="logits")
    found = robust(assay.case(odd, X[:20]), BALLS[1], steps=3)
    assert "GELU" in found.evidence["no certificate because"][0]
    assert found.evidence["certified"] == 0.0
    assert "no certificate applies" in found.claim


def test_without_a_threshold_nothing_fails_and_with_one_the_two_bounds_decide() -> None:
    ball = BALLS[1]
    free = robust(numbers(), ball, steps=5)
    low, high = free.interval.low, free.interval.high
    assert free.verdict == "informative"
    assert free.threshold is None
    hits, trials = free.basis.data["hits"], free.basis.data["trials"]
    assert low == clopper_pearson(int(hits[0]), trials).low
    assert high == clopper_pearson(int(hits[1]), trials).high
    for threshold, verdict in ((low - 0.01, "pass"), (high + 0.01, "fail"), ((low + high) / 2, "undecided")):
        asked = robust(numbers(), ball, steps=5, threshold=threshold)
        assert (asked.verdict, asked.threshold) == (verdict, threshold)
        set_later = judge_jointly(with_thresholds([free], {"ROB101": threshold}, {}))[0]
        assert (set_later.verdict, set_later.threshold_origin) == (verdict, "given")
        assert judge_jointly([asked])[0].verdict == verdict
    assert judge_jointly([free])[0].verdict == "informative"
    check = check_named("ROB101")
    assert check is not None
    assert check.passes == "at least a threshold that you give"


def test_a_threshold_between_the_two_bounds_is_not_said_to_need_more_rows() -> None:
    basis = Basis("bracket", {"hits": np.array([20, 80]), "trials": 100})
    free = robust(numbers(), BALLS[1], steps=2)
    between = replace(free, verdict="undecided", threshold=0.5, direction="at least", n=100, basis=basis)
    between = replace(between, interval=basis.at(0.95), estimate=0.8)
    assert further_rows_needed(between) is None
    assert (further_rows_needed(replace(between, threshold=0.85)) or 0) > 100
    assert (further_rows_needed(replace(between, threshold=0.15)) or 0) > 100
    limits = clopper_pearson(80, 100)
    reach = (limits.high - limits.low) / 2 * (1 + 0.8416 / 1.96)
    assert smallest_detectable(between) == pytest.approx(0.5 - reach, abs=1e-3)


def test_the_interval_of_a_rate_between_two_covers_it() -> None:
    generator, missed = np.random.default_rng(0), 0
    for _ in range(400):
        truth = generator.random(60)
        certified, unchanged = truth < 0.5, truth < 0.55  # the rate itself is 0.52
        limits = Basis("bracket", {"hits": np.array([certified.sum(), unchanged.sum()]), "trials": 60}).at(0.9)
        missed += not limits.low <= 0.52 <= limits.high
    assert missed <= 40


def test_noise_is_counted_for_each_row_and_says_less_than_an_attack() -> None:
    found = robust(numbers(), BALLS[0], Y[1400:1500], steps=10, noise=6)
    limits = clopper_pearson(round(found.evidence["class kept at random points"] * 600), 600)
    assert (found.evidence["class kept low"], found.evidence["class kept high"]) == (limits.low, limits.high)
    assert found.null > found.estimate
    assert robust(numbers(), BALLS[0], steps=2, noise=0).null is None


def test_rows_are_drawn_and_the_same_seed_gives_the_same_finding() -> None:
    one, again = (robust(numbers(), BALLS[1], Y[1400:1500], rows=30, steps=5) for _ in range(2))
    assert one.n == 30
    assert one == again
    assert one.evidence == again.evidence


def test_the_cost_is_at_most_what_is_declared_and_an_audit_runs_it_where_a_ball_is_known() -> None:
    method = find("diagnose", "robustness")
    options = {"robustness": {"rows": 20, "steps": 4, "noise": 3}}
    inputs = AuditInputs(digits()[0], X[1400:1450], labels=Y[1400:1450], ball=BALLS[1], options=options)
    _ = inputs.case.prediction
    meter = inputs.model.meter
    before = meter.requested, meter.backwards
    found = call_on_inputs(method, inputs)[0]
    cost = method.audit_cost(inputs)
    assert found.n == 20
    assert 0 < meter.requested - before[0] <= cost.forwards
    assert 0 < meter.backwards - before[1] <= cost.backwards
    given = {"ball": BALLS[1], "train": (X[:100], Y[:100])}
    for depth, diagnosed, repaired in (
        ("quick", set(), set()),
        ("standard", {"robustness"}, set()),
        ("deep", {"robustness", "robust_features", "cluster_sensitivity"}, {"gloro", "adversarial_training"}),
    ):
        steps = prepare(digits()[0], X[1400:1450], Y[1400:1450], profile=depth, select=["ROB"], **given).plan.steps
        assert {step.method for step in steps if step.verb == "diagnose"} == diagnosed
        assert repaired <= {step.method for step in steps if step.verb == "repair"}


def test_wrong_options_and_labels_that_do_not_exclude_each_other_are_refused() -> None:
    for wrong in ({"rows": 0}, {"noise": -1}, {"threshold": 1.2}, {"level": 1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            robust(numbers(), BALLS[0], **wrong)
    several = assay.model.function(lambda x: x[:, :3], gives="multilabel logits", classes=("a", "b", "c"))
    with pytest.raises(CapabilityError, match="exclude each other"):
        robust(assay.case(several, X[:3]), BALLS[0])
