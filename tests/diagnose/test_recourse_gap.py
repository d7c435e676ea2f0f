"""Gaps between groups in the cost of recourse: planted, null, and against a literal count of pairs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.basics.errors import InputError
from assay.basics.samples.group_gaps import areas_of_groups


def stumps() -> assay.Model:
    """Accepts an income of at least 0."""
    return assay.wrap(DecisionTreeClassifier(max_depth=1).fit([[-2.0], [-0.1], [0.1], [2.0]], [0, 0, 1, 1]))


def incomes(seed: int, count: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """All are denied; group b is ``factor`` times as far away."""
    rng = np.random.default_rng(seed)
    group = np.where(np.arange(count) % 2 == 0, "a", "b")
    distance = rng.uniform(0.2, 1.0, count) * np.where(group == "b", factor, 1.0)
    return -distance[:, None], group


def gap(x: np.ndarray, group: np.ndarray, **options: object) -> assay.Finding:
    background = np.linspace(-2.0, 2.0, 50)[:, None]
    case = assay.case(stumps(), x)
    return diagnose.recourse_gap(case, {"group": group}, favourable=1, background=background, **options)[0]


def test_a_group_that_is_twice_as_far_away_is_found() -> None:
    x, group = incomes(0, 160, 2.0)
    found = gap(x, group)
    assert found.verdict == "fail"
    assert found.estimate > 0.71
    assert found.interval is not None
    assert found.interval.low > 0.64
    assert set(group[[int(one) for one in found.rows]]) == {"b"}
    assert found.evidence["columns changed in the group"] == {"0": 1.0}


def test_the_estimate_counts_pairs_and_the_costs_are_distances_to_the_threshold() -> None:
    x, group = incomes(1, 40, 1.3)
    found = gap(x, group)
    a, b = -x[group == "a", 0], -x[group == "b", 0]
    pairs = (b[:, None] > a).mean() + 0.5 * (b[:, None] == a).mean()
    assert found.estimate == pytest.approx(max(pairs, 1 - pairs))
    assert found.evidence["groups"]["b"]["median cost"] == pytest.approx(np.median(b) / 4.0, abs=1e-6)


@pytest.mark.parametrize("runs", [15, pytest.param(200, marks=pytest.mark.judge)])
def test_without_a_gap_at_most_five_percent_fail_and_the_interval_covers(runs: int) -> None:
    found = [gap(*incomes(10 + seed, 60, 1.0), threshold=0.5) for seed in range(runs)]
    assert sum(one.verdict == "fail" for one in found) <= (3 if runs == 15 else 16)
    assert all(one.interval is not None and one.interval.low <= 0.5 for one in found if one.verdict != "fail")


def test_rows_without_any_way_are_dearest_and_columns_that_may_not_change_stay() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(-1.5, 0.3, 80), np.tile([0.0, 1.0], 40)])
    model = LogisticRegression().fit(np.vstack([x, -x]), np.repeat([0, 1], 80))
    model.coef_, model.intercept_ = np.array([[1.0, 0.0]]), np.zeros(1)
    case = assay.case(assay.wrap(model), x)
    group = np.where(x[:, 1] > 0, "b", "a")
    reachable = diagnose.recourse_gap(case, {"g": group}, favourable=1, bounds={"0": [-3.0, 1.0]})[0]
    assert reachable.evidence["groups"]["a"]["without a way"] == 0.0
    found = diagnose.recourse_gap(case, {"g": group}, favourable=1, columns=("1",))[0]
    assert found.evidence["groups"]["a"]["without a way"] == 1.0
    assert found.estimate == 0.5
    assert "infinite against infinite" in found.claim


def test_fewer_than_two_groups_with_denied_rows_are_not_compared() -> None:
    x, group = incomes(0, 30, 1.0)
    x[group == "b"] *= -1
    found = gap(x, group)
    assert found.verdict == "not applicable"
    assert "a: 15" in found.claim


def test_areas_are_shares_of_pairs_with_ties_counted_half() -> None:
    values = np.array([1.0, 2.0, 2.0, np.inf, np.inf])
    areas, sizes, others = areas_of_groups(values, np.array(["a", "b", "a", "b", "a"]), ["a", "b"])
    assert areas.tolist() == pytest.approx([(0.5 + 0.5) / 6 + (0 + 0) / 6 + 1 / 6, 1 - 2 / 6])
    assert (sizes.tolist(), others.tolist()) == ([3, 2], [2, 3])


def test_options_that_mean_nothing_are_refused() -> None:
    x, group = incomes(0, 30, 1.0)
    with pytest.raises(InputError, match=r"threshold from 0\.5 to 1"):
        gap(x, group, threshold=0.2)


@pytest.mark.parametrize("model", [LogisticRegression(), MLPClassifier((4,), max_iter=30, random_state=0)])
def test_an_audit_asks_at_most_what_it_states(model: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = (x[:, 0] > 0).astype(int)
    group = np.where(rng.random(60) < 0.5, "a", "b")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = model.fit(x[:60], y[:60])
    options = {"recourse_gap": {"max_nodes": 60, "rows": 10}}
    prepared = prepare(
        fitted, x[60:], y[60:], sensitive={"g": group}, select=("FAI501",), options=options, profile="deep"
    )
    record = prepared.run().record
    assert [f.code for f in record.findings] == ["FAI501"]
    limit = prepared.plan.cost.forwards + prepared.plan.at_most.forwards
    assert record.cost["model evaluations requested"] <= limit
