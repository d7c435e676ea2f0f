# SPDX-License-Identifier: Apache-2.0
"""Columns that may change are changed so that the class changes: against all rows, exact for trees."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.attack.nets import codes

import assay
from assay import attack
from assay.basics.errors import InputError
from assay.data import german_credit
from assay.nouns.records.store import Bundle, load, save

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "age": RNG.integers(0, 5, 250),
        "job": RNG.choice(["cook", "nurse", "pilot", "judge"], 250),
        "sum": RNG.integers(0, 4, 250) / 2,
        "home": RNG.choice(["own", "rent", "none"], 250),
    }
)
NOISE = RNG.normal(0, 0.4, 250)
GOOD = (
    FRAME["age"] + 2 * FRAME["job"].isin(["cook", "pilot"]) - 2 * FRAME["sum"] + (FRAME["home"] == "own") + NOISE
) > 1.5
COUNT = 10
ESTIMATORS = {
    "forest": lambda: RandomForestClassifier(7, max_depth=5, random_state=0),
    "boosted": lambda: GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=2000),
}


def pipeline(name="forest"):
    encode = make_column_transformer((OneHotEncoder(), ["job", "home"]), remainder="passthrough")
    return make_pipeline(encode, ESTIMATORS[name]()).fit(FRAME, GOOD)


def case_of(name="forest", count=COUNT):
    model = pipeline(name)
    return model, assay.case(assay.wrap(model), FRAME[:count])


def unit_of(column):
    return float(np.median(np.abs(column - np.median(column)))) or float(np.abs(column - np.median(column)).mean())


def cheapest(model, most, norm="l1", allowed=lambda row, other: True, level=1.0):
    """The least cost of a row of another class over all rows of the grid, with at most ``most`` columns changed."""
    values = [sorted(FRAME[name].unique()) for name in FRAME]
    grid = pd.DataFrame(list(itertools.product(*values)), columns=FRAME.columns)
    decided, found = model.predict(grid), []
    for _, row in FRAME[:COUNT].iterrows():
        parts = []
        for name in FRAME:
            if name in ("job", "home"):
                parts.append(np.where(grid[name] != row[name], level, 0.0))
            else:
                parts.append(np.abs(grid[name].to_numpy(float) - float(row[name])) / unit_of(FRAME[name]))
        costs = np.stack(parts)
        total = costs.sum(axis=0) if norm == "l1" else costs.max(axis=0)
        fits = np.array([allowed(row, other) for _, other in grid.iterrows()])
        own = model.predict(row.to_frame().T.astype(FRAME.dtypes.to_dict()))[0]
        changed = (decided != own) & ((costs > 0).sum(axis=0) <= most) & fits
        found.append(min(total[changed], default=np.inf))
    return found


@pytest.mark.parametrize("name", ["forest", "boosted"])
@pytest.mark.parametrize(("most", "norm"), [(1, "l1"), (2, "linf"), (4, "l1")])
def test_the_cheapest_change_of_trees_is_that_of_all_rows(name, most, norm):
    """The sums of the grid lie in the cells of the trees, at values that are in between: so ``sum`` is listed."""
    model, case = case_of(name)
    halves = {"sum": sorted(FRAME["sum"].unique().tolist())}
    found = attack.column_changes(case, max_columns=most, norm=norm, background=FRAME, values=halves)
    least = cheapest(model, most, norm)
    np.testing.assert_allclose(np.where(found.success, found.distance, np.inf), least, atol=1e-9)
    np.testing.assert_allclose(found.extra["lower_bound"], least, atol=1e-9)
    assert found.validity["rows_proved"] == COUNT
    assert found.validity["rows_proved_robust"] == np.isinf(least).sum()


def test_rules_hold_and_the_cheapest_allowed_change_is_found():
    model, case = case_of()
    rules = {"columns": ("age", "job", "sum"), "up": ("age",), "values": {"job": ["nurse", "judge"], "sum": [0.5, 1.0]}}
    found = attack.column_changes(case, **rules, bounds={"age": (0, 3)}, background=FRAME, level_cost=0.5)

    def allowed(row, other):
        return (
            row["age"] <= other["age"] <= max(3, row["age"])
            and other["home"] == row["home"]
            and other["job"] in (row["job"], "nurse", "judge")
            and other["sum"] in (row["sum"], 0.5, 1.0)
        )

    least = cheapest(model, 3, allowed=allowed, level=0.5)
    np.testing.assert_allclose(np.where(found.success, found.distance, np.inf), least, atol=1e-9)
    assert 0 < np.isinf(least).sum() < COUNT
    for (_, before), (_, after) in zip(FRAME[:COUNT].iterrows(), found.inputs.iterrows()):
        assert allowed(before, after)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("max_nodes", [0, 2000])
def test_frames_come_back_as_they_were_and_success_is_the_models_own(name, max_nodes):
    model, case = case_of(name)
    found = attack.column_changes(case, background=FRAME, max_nodes=max_nodes)
    assert (found.inputs.dtypes == FRAME.dtypes).all()
    assert list(found.success) == list(model.predict(found.inputs) != model.predict(FRAME[:COUNT]))
    assert found.success.any()
    changed = (found.inputs.to_numpy() != FRAME[:COUNT].to_numpy()).sum(axis=1)
    assert changed.tolist() == found.extra["changed"].tolist() == list(map(len, found.changes))
    assert changed.max() <= 3
    assert set(found.inputs["job"]) <= set(FRAME["job"])
    assert found.robust_accuracy <= found.validity["random_robust_accuracy"]


def test_a_search_is_never_better_than_the_proof_and_both_are_monotone():
    _, case = case_of("boosted", 5)
    rates = []
    for most in (1, 2):
        exact = attack.column_changes(case, max_columns=most, background=FRAME)
        searched = attack.column_changes(case, max_columns=most, background=FRAME, max_nodes=0, queries=500)
        assert (searched.success <= exact.success).all()
        both = searched.success & exact.success
        assert (searched.distance[both] >= exact.distance[both] - 1e-9).all()
        rates.append(exact.success)
    cheap = attack.column_changes(case, max_columns=most, background=FRAME, max_cost=1.0)
    assert (cheap.success == (exact.success & (exact.distance <= 1.0 + 1e-9))).all()
    assert (rates[0] <= rates[1]).all()


@pytest.mark.parametrize("queries", [1, 9, 80])
def test_no_row_is_evaluated_more_often_than_allowed(queries):
    _, case = case_of("logistic")
    _ = case.prediction
    before = case.model.meter.forwards
    found = attack.column_changes(case, background=FRAME, queries=queries)
    assert found.extra["queries"].max() <= queries
    assert case.model.meter.forwards - before - 4 * COUNT == found.extra["queries"].sum()
    assert ("queries-spent" in codes(found)) == bool((~found.success).any())


def test_a_search_that_stops_says_so():
    _, case = case_of()
    found = attack.column_changes(case, background=FRAME, max_nodes=1)
    assert "stopped" in codes(found)
    assert found.validity["rows_proved"] < COUNT


def test_a_quantile_cost_is_the_share_of_rows_between_both_values():
    x = np.arange(11.0)[:, None] + np.zeros((1, 2))
    model = LogisticRegression(C=1e4).fit(x, x[:, 0] > 4.5)
    case = assay.case(assay.wrap(model), x[3:4])
    found = attack.column_changes(case, background=x, unit="quantile", columns=(case.features.names[0],), candidates=20)
    assert found.success.all()
    moved = found.x[0, 0] - 3
    np.testing.assert_allclose(found.distance, moved / 11)
    assert "whole-numbers" in codes(found)
    assert found.x[0, 1] == 3


def test_frames_are_not_kept_in_a_file_and_what_changed_is(tmp_path):
    _, case = case_of("logistic", 3)
    found = attack.column_changes(case, background=FRAME)
    loaded = load(found.save(tmp_path / "found.assay"))
    assert loaded.inputs is None
    assert loaded.changes == found.changes
    assert loaded.x.tobytes() == found.x.tobytes()
    inside = load(save(Bundle({"one": found}), tmp_path / "bundle.assay")).contents["one"]
    assert (inside.inputs, inside.changes) == (None, found.changes)
    assert "; " in repr(loaded) or "→" in repr(loaded)


def test_rules_that_cannot_hold_are_refused():
    _, case = case_of("logistic", 3)
    for options, words in (
        ({"columns": ("agee",)}, "no column 'agee'"),
        ({"up": ("age",), "down": ("age",)}, "in up and in down"),
        ({"up": ("job",)}, "has no order"),
        ({"columns": ("age",), "up": ("sum",)}, "not among columns"),
        ({"values": {"job": ["astronaut"]}}, "no level"),
        ({"bounds": {"age": (3, 1)}}, "is above"),
        ({"bounds": {"age": (3,)}}, "not a pair"),
        ({"max_columns": 0}, "at least 1"),
        ({"level_cost": 0.0}, "level_cost"),
        ({"candidates": 0}, "candidates=0"),
    ):
        with pytest.raises(InputError, match=words):
            attack.column_changes(case, background=FRAME, **options)


def test_true_labels_given_as_targets_are_refused():
    _, case = case_of("logistic", 3)
    target = [case.model.classes[place] for place in case.predicted(case.rows.x)]
    with pytest.raises(InputError, match="decided for its target_label already"):
        attack.column_changes(case, target_label=target)


def test_of_german_credit_only_actionable_columns_change_and_the_proof_is_cheapest():
    frame = pd.DataFrame(german_credit())
    good = frame.pop("credit")
    texts = [name for name in frame if frame[name].dtype.kind not in "if"]
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), texts), remainder="passthrough")
    model = make_pipeline(encode, RandomForestClassifier(12, max_depth=4, random_state=0)).fit(frame[:700], good[:700])
    case = assay.case(assay.wrap(model), frame[700:706])
    options = {
        "columns": ("duration", "credit_amount", "savings", "age", "employment"),
        "up": ("age",),
        "background": frame[:700],
        "max_columns": 2,
    }
    proved = attack.column_changes(case, **options)
    searched = attack.column_changes(case, **options, max_nodes=0, queries=300)
    assert proved.validity["rows_proved"] == 6
    assert proved.success.any()
    assert (searched.success <= proved.success).all()
    assert (proved.distance <= searched.distance + 1e-9)[searched.success].all()
    for found in (proved, searched):
        still = [name for name in frame if name not in options["columns"]]
        pd.testing.assert_frame_equal(
            found.inputs[still].reset_index(drop=True), frame[700:706][still].reset_index(drop=True)
        )
        assert (found.inputs["age"].to_numpy() >= frame["age"][700:706].to_numpy()).all()
        assert (found.inputs.dtypes == frame.dtypes).all()
