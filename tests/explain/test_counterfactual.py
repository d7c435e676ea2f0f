# SPDX-License-Identifier: Apache-2.0
"""Counterfactuals: exact against enumeration, the seed's card to the penny, and the traps."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import assay
from assay import Recipe, certify, explain
from assay.basics.errors import CapabilityError, InputError

LEVELS = 4.0
"""Columns of the small problems hold whole numbers from 0 to this."""


def small_problem(number: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(number)
    x = generator.integers(0, int(LEVELS) + 1, size=(60, 3)).astype(float)
    y = (x @ generator.normal(size=3) + generator.normal(size=60) + x[:, 0] * (x[:, 1] > 2) > 2).astype(int)
    y[:2] = [0, 1]
    return x, y


def grid() -> np.ndarray:
    return np.array(list(product(np.arange(LEVELS + 1), repeat=3)))


def classifier(number: int, x: np.ndarray, y: np.ndarray) -> Any:
    kind = number % 4
    if kind == 0:
        return RandomForestClassifier(5, max_depth=3, random_state=number).fit(x, y)
    if kind == 1:
        return GradientBoostingClassifier(n_estimators=6, max_depth=2, random_state=number).fit(x, y)
    if kind == 2:
        return HistGradientBoostingClassifier(max_iter=5, max_depth=3, min_samples_leaf=5).fit(x, y)
    return LogisticRegression().fit(x, y)


def enumerated(model: Any, own: np.ndarray, allowed: np.ndarray, costs: np.ndarray, wanted: int) -> float:
    """The least cost over all allowed rows of the grid; ∞ where none is decided as wanted."""
    good = allowed & (model.predict(grid()) == wanted)
    return float(costs[good].min()) if good.any() else np.inf


def is_cheapest(number: int) -> None:
    x, y = small_problem(number)
    model, generator = classifier(number, x, y), np.random.default_rng(1000 + number)
    rows = x[:3]
    weights, fixed = generator.uniform(0.5, 2.0, 3).round(2), float(number % 3) * 0.1
    rising, still = number % 2 == 0, number % 5 == 0
    found = explain.counterfactual(
        assay.case(assay.wrap(model), rows),
        background=np.vstack([np.zeros(3), np.full(3, LEVELS), x]),
        columns=("0", "1") if still else (),
        up=("0",) if rising else (),
        weights={str(j): float(weights[j]) for j in range(2 if still else 3)},
        change_cost=fixed,
    )
    for row, own in enumerate(rows):
        change = grid() - own
        allowed = (change[:, 0] >= 0) | (not rising)
        allowed &= (change[:, 2] == 0) | (not still)
        costs = np.abs(change) / LEVELS @ weights + fixed * (change != 0).sum(axis=1)
        expected = enumerated(model, own, allowed, costs, 1 - int(model.predict(own[None])[0]))
        if np.isinf(expected):
            assert found.extra["status"][row] == 2
            assert np.isinf(found.extra["bound"][row])
            assert np.isnan(found.values[row]).all()
        else:
            assert found.extra["status"][row] == 0
            assert_allclose(found.extra["cost"][row, 0], expected, atol=1e-9)
            assert found.extra["valid"][row, 0] == 1
            assert_array_equal(found.extra["x"][row, 0] - own, found.values[row])


@pytest.mark.parametrize("number", range(12))
def test_the_cost_is_that_of_enumeration(number: int) -> None:
    is_cheapest(number)


@pytest.mark.judge
@pytest.mark.parametrize("number", range(12, 200))
def test_the_cost_is_that_of_enumeration_on_many_problems(number: int) -> None:
    is_cheapest(number)


def credit(count: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "income": generator.normal(30, 8, count),
            "months": generator.integers(6, 48, count),
            "noise": generator.normal(size=count),
        }
    )
    return frame, (frame.income - 0.4 * frame.months + generator.normal(0, 2, count) > 20).to_numpy().astype(int)


def test_a_number_steps_past_a_threshold_of_float32() -> None:
    """Trap a: scikit-learn compares in float32, so that the next float64 above the threshold is not enough."""
    frame, y = credit()
    model = RandomForestClassifier(20, max_depth=4, random_state=0).fit(frame, y)
    found = explain.counterfactual(assay.case(assay.wrap(model), frame[:20]), background=frame)
    assert (found.extra["valid"] == 1).all()
    assert (found.extra["status"] == 0).all()
    x = found.extra["x"][:, 0]
    assert_array_equal(x[:, 1], np.round(x[:, 1]))  # trap e: whole months


def test_a_margin_costs_more_and_holds_under_more_refits() -> None:
    """Trap b: the cheapest counterfactual lies on the boundary."""
    frame, y = credit()

    def fit(x: Any, labels: Any, seed: assay.Seed, strength: float) -> Any:
        return RandomForestClassifier(20, max_depth=4, random_state=seed.entropy % 2**32).fit(x, labels)

    model = RandomForestClassifier(20, max_depth=4, random_state=0).fit(frame, y)
    recipe, case = Recipe(fit, frame, y), assay.case(assay.wrap(model), frame[:20])
    plain, safe = (
        explain.counterfactual(case, background=frame, margin=margin, recipe=recipe, refits=2) for margin in (0.0, 0.15)
    )
    assert (safe.extra["cost"] >= plain.extra["cost"] - 1e-12).all()
    for kind in ("refit_seeds", "refit_bootstrap"):
        assert safe.extra[kind].mean() > plain.extra[kind].mean()
    probability = model.predict_proba(pd.DataFrame(safe.extra["x"][:, 0], columns=frame.columns))[:, 1]
    assert (np.abs(probability - 0.5) >= 0.15 - 1e-9).all()


def test_the_base_score_of_boosted_trees_is_the_models_own() -> None:
    """Trap c: XGBoost's base score, with rare positives."""
    from xgboost import XGBClassifier

    frame, y = credit()
    rare = ((y == 1) & (frame.income > 38)).astype(int)
    model = XGBClassifier(n_estimators=10, max_depth=3, base_score=0.1, n_jobs=1).fit(frame, rare)
    found = explain.counterfactual(assay.case(assay.wrap(model), frame[:20]), background=frame, target_label=1)
    asked = found.extra["status"] != 4
    assert asked.any()
    assert (found.extra["valid"][asked] == 1).all()


def test_the_threshold_of_the_decision_counts_not_one_half() -> None:
    """Trap d."""
    frame, y = credit()
    model = RandomForestClassifier(20, max_depth=4, random_state=0).fit(frame, y)
    strict = explain.counterfactual(
        assay.case(assay.wrap(model, threshold=0.8), frame[:20]), background=frame, target_label=1
    )
    asked = strict.extra["status"] == 0
    x = pd.DataFrame(strict.extra["x"][asked, 0], columns=frame.columns)
    assert (model.predict_proba(x)[:, 1] >= 0.8 - 1e-9).all()
    assert asked.any()


def test_a_row_that_is_accepted_already_has_no_counterfactual() -> None:
    """Trap f."""
    frame, y = credit()
    model = RandomForestClassifier(20, max_depth=4, random_state=0).fit(frame, y)
    found = explain.counterfactual(assay.case(assay.wrap(model), frame[:20]), background=frame, target_label=1)
    accepted = model.predict(frame[:20]) == 1
    assert_array_equal(found.extra["status"] == 4, accepted)
    assert np.isnan(found.values[accepted]).all()
    assert np.isfinite(found.values[~accepted]).all()
    assert "accepted" in [note.code for note in found.notes]


@pytest.mark.parametrize("kind", range(4))
def test_a_column_that_the_model_ignores_never_changes(kind: int) -> None:
    frame, y = credit()
    numbers = frame.to_numpy(dtype=float)
    fitted = numbers.copy()
    fitted[:, 2] = 0.0  # without variation no model can use it
    model = classifier(kind, fitted, y)
    found = explain.counterfactual(
        assay.case(assay.wrap(model), numbers[:12]), background=numbers, count=2, differences=1
    )
    change = found.extra["x"] - numbers[:12, None]
    assert (found.extra["status"] == 0).all()
    assert (np.nan_to_num(change[:, :, 2]) == 0).all()
    assert (np.nan_to_num(change[:, :, :2]) != 0).any()


def test_further_counterfactuals_leave_changes_out_in_the_order_of_costs() -> None:
    x, y = small_problem(0)
    for model in (RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, y), LogisticRegression().fit(x, y)):
        case = assay.case(assay.wrap(model), x[:8])
        found = explain.counterfactual(case, background=np.vstack([np.zeros(3), np.full(3, LEVELS)]), count=3)
        for row, own in enumerate(x[:8]):
            points = found.extra["x"][row][np.isfinite(found.extra["cost"][row])]
            costs = np.abs(points - own).sum(axis=1) / LEVELS
            assert (np.diff(costs) >= -1e-9).all()
            steps, kept = np.sign(points - own), []
            for number, step in enumerate(steps):
                for other in kept:
                    assert ((other != 0) & (step != other)).any()
                kept.append(step)
                allowed = np.ones(len(grid()), dtype=bool)
                for other in kept[:number]:
                    allowed &= ((other != 0) & (np.sign(grid() - own) != other)).any(axis=1)
                label = 1 - int(model.predict(own[None])[0])
                expected = enumerated(model, own, allowed, np.abs(grid() - own).sum(axis=1) / LEVELS, label)
                assert_allclose(costs[number], expected, atol=1e-9)


@pytest.mark.parametrize("trees", [True, False])
def test_a_wanted_class_of_three_beats_every_other(trees: bool) -> None:
    x, _ = small_problem(3)
    y = (x.sum(axis=1) // 4.5).astype(int)
    model = (
        RandomForestClassifier(6, max_depth=3, random_state=0) if trees else LogisticRegression(max_iter=1000)
    ).fit(x, y)
    case = assay.case(assay.wrap(model), x[:6])
    for wanted in (0, 1, 2):
        found = explain.counterfactual(
            case, target_label=wanted, background=np.vstack([np.zeros(3), np.full(3, LEVELS)])
        )
        for row, own in enumerate(x[:6]):
            if model.predict(own[None])[0] == wanted:
                assert found.extra["status"][row] == 4
                continue
            cost = np.abs(grid() - own).sum(axis=1) / LEVELS
            expected = enumerated(model, own, np.ones(len(grid()), dtype=bool), cost, wanted)
            assert_allclose(found.extra["cost"][row, 0], expected, atol=1e-9)


def test_a_plausible_counterfactual_is_isolated_no_sooner_than_asked() -> None:
    from assay.engine.recourse.plausibility import fit_plausibility

    x, y = small_problem(1)
    model = RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, y)
    case = assay.case(assay.wrap(model), x[:5])
    known = fit_plausibility(x, np.zeros(3, dtype=bool), 0.5, case.seed)
    found = explain.counterfactual(case, background=x, plausible=0.5)
    depth = known.depths(grid())
    assert 0 < (depth >= known.limit).mean() < 1
    for row, own in enumerate(x[:5]):
        cost = np.abs(grid() - own).sum(axis=1) / LEVELS
        expected = enumerated(model, own, depth >= known.limit, cost, 1 - int(model.predict(own[None])[0]))
        assert_allclose(found.extra["cost"][row, 0] if found.extra["status"][row] == 0 else np.inf, expected, atol=1e-9)


def test_depths_are_those_of_the_isolation_forest_of_scikit_learn() -> None:
    from sklearn.ensemble import IsolationForest

    from assay.engine.recourse.plausibility import TREES, fit_plausibility

    x, seed = np.random.default_rng(0).normal(size=(80, 3)), assay.Seed(0)
    known = fit_plausibility(x, np.zeros(3, dtype=bool), 0.1, seed)
    other = IsolationForest(n_estimators=TREES, random_state=seed.child("isolation forest").entropy % 2**32).fit(x)
    scores = -np.log2(-other.score_samples(x))  # mean depth / a constant
    assert_allclose(known.depths(x) / known.depths(x)[0], scores / scores[0], rtol=1e-9)


def test_levels_cost_what_the_table_says() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"home": generator.choice(["rent", "own", "free"], 200), "income": generator.normal(30, 8, 200)}
    )
    y = ((frame.home != "rent") & (frame.income > 25)).astype(int)
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encode = make_column_transformer((OneHotEncoder(sparse_output=False), ["home"]), remainder="passthrough")
    model = make_pipeline(encode, RandomForestClassifier(20, max_depth=4, random_state=0)).fit(frame, y)
    rows = frame[(frame.home == "rent") & (frame.income > 32)][:5]
    case = assay.case(assay.wrap(model), rows)
    costs = {"home": [["rent", "own", 3.0], ["rent", "free", 0.25]]}
    found = explain.counterfactual(case, background=frame, target_label=1, level_costs=costs)
    assert_allclose(found.extra["cost"][:, 0], 0.25)
    assert all("home rent → free" in line for line in found.description)
    assert_allclose(found.values[:, 0], 1.0)
    none = explain.counterfactual(case, background=frame, target_label=1, columns=("home",), values={"home": ["rent"]})
    assert (none.extra["status"] == 2).all()


def test_what_a_counterfactual_changes_meets_every_minimal_sufficient_set() -> None:
    frame, y = credit()
    model = RandomForestClassifier(15, max_depth=3, random_state=0).fit(frame, y)
    case = assay.case(assay.wrap(model), frame[:15])
    found = explain.counterfactual(case, background=frame, count=3)
    sets = certify.sufficient_features(case, reference=frame).extra["members"] > 0
    for row in range(15):
        for x in found.extra["x"][row][np.isfinite(found.extra["cost"][row])]:
            assert (sets[row] & (x != frame.to_numpy(dtype=float)[row])).any()


def test_what_cannot_be_answered_is_refused() -> None:
    frame, y = credit()
    model = LogisticRegression(max_iter=2000).fit(frame, y)
    case = assay.case(assay.wrap(model), frame[:5])
    with pytest.raises(InputError, match="follows itself"):
        explain.counterfactual(case, causes={"income": [["months", 1.0]], "months": [["income", 1.0]]})
    with pytest.raises(InputError, match="weight"):
        explain.counterfactual(case, weights={"income": -1.0})
    with pytest.raises(InputError, match="probability"):
        explain.counterfactual(case, margin=0.6)
    with pytest.raises(CapabilityError, match="plausible"):
        explain.counterfactual(case, background=frame, plausible=0.1)
    with pytest.raises(InputError, match="count"):
        explain.counterfactual(case, count=0)


def test_the_command_line_takes_every_rule(tmp_path: Any) -> None:
    import json

    from assay.cli.options import parsed
    from assay.nouns.catalogue import known

    files = {"bounds": {"income": [0, 80]}, "causes": {"savings": [["income", 0.5]]}, "values": {"home": ["own"]}}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    method = next(one for one in known("explain") if one.name == "counterfactual")
    words = ["target_label=1", "up=income", "weights=income:2,months:0.5", "unit=mad", "margin=0.1", "max_columns=2"]
    found = parsed(method, [*words, *(f"{name}={tmp_path / name}" for name in files)])
    assert found["weights"] == {"income": 2.0, "months": 0.5}
    assert found["causes"] == files["causes"]
    assert found["target_label"] == 1
    assert found["max_columns"] == 2


def test_a_search_that_ends_early_says_how_cheap_a_change_may_be() -> None:
    frame, y = credit()
    model = RandomForestClassifier(30, max_depth=6, random_state=0).fit(frame, y)
    case = assay.case(assay.wrap(model), frame[:10])
    full = explain.counterfactual(case, background=frame)
    short = explain.counterfactual(case, background=frame, max_nodes=3)
    assert set(short.extra["status"]) - {0.0}
    assert (short.extra["bound"] <= full.extra["cost"][:, 0] + 1e-12).all()
    known = np.isfinite(short.extra["cost"][:, 0])
    assert (short.extra["cost"][known, 0] >= full.extra["cost"][known, 0] - 1e-12).all()


def test_a_deep_audit_of_trees_shows_counterfactuals() -> None:
    from assay.auditing.audit import prepare

    x, y = small_problem(0)
    model = RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, y)
    steps = prepare(model, x[40:], y[40:], train=(x[:40], y[:40]), profile="deep").plan.steps
    assert [step.subject for step in steps if step.method == "counterfactual"] == ["the model"]


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("unit", ["mad", "quantile"])
def test_other_units_of_cost_are_exact_as_well(kind: int, unit: Any) -> None:
    x, y = small_problem(kind + 20)
    model = classifier(kind, x, y)
    found = explain.counterfactual(assay.case(assay.wrap(model), x[:3]), background=x, unit=unit)
    for row, own in enumerate(x[:3]):
        cost = np.zeros(len(grid()))
        for j in range(3):
            column, known = grid()[:, j], np.sort(x[:, j])
            if unit == "mad":
                cost += np.abs(column - own[j]) / (np.median(np.abs(known - np.median(known))) or 1.0)
            else:
                rank = [
                    (np.searchsorted(known, v, "left") + np.searchsorted(known, v, "right")) / 2
                    for v in (column, own[j])
                ]
                cost += np.abs(rank[0] - rank[1]) / len(known)
        allowed = ((grid() >= x.min(axis=0)) & (grid() <= x.max(axis=0))).all(axis=1)
        expected = enumerated(model, own, allowed, cost, 1 - int(model.predict(own[None])[0]))
        ours = found.extra["cost"][row, 0] if found.extra["status"][row] == 0 else np.inf
        assert_allclose(ours, expected, atol=1e-6)
