"""A planted proxy is taken out of trees and linear models, what that costs is reported, and the veto holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from tests.diagnose.proxies import people

import assay
from assay import diagnose, repair
from assay.basics.errors import CapabilityError, InputError
from assay.model.forests.constant_parts import without_parts
from assay.nouns.results.result import Repair

X, Y, GROUP = people(1000)
OTHER, OTHER_Y, OTHER_GROUP = people(1000, seed=9)
MODELS: dict[str, Any] = {
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=12, max_depth=2, random_state=0),
    "forest": RandomForestClassifier(10, max_depth=4, random_state=0),
    "logistic": LogisticRegression(),
    "svm": LinearSVC(),
}


def repaired(name: str, **options: Any) -> tuple[assay.Case, Repair]:
    case = assay.case(assay.wrap(MODELS[name].fit(X, Y)), OTHER)
    return case, repair.replace_proxy(case, held_out=(OTHER, OTHER_Y), groups=OTHER_GROUP, **options)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_planted_proxy_is_replaced_and_the_loss_of_accuracy_is_reported(name: str) -> None:
    case, made = repaired(name)
    rows, _, group = people(1000, seed=10)
    (before,) = diagnose.proxy_use(assay.case(case.model, rows), group)
    (after,) = diagnose.proxy_use(assay.case(made.model, rows), group)
    assert before.verdict == "fail"
    assert after.verdict != "fail"
    assert made.after["gap between groups"] < 0.5 * made.before["gap between groups"]
    assert made.after["accuracy"] < made.before["accuracy"]
    assert made.before["accuracy, low"] < made.before["accuracy"] < made.before["accuracy, high"]
    assert any(note.code == "held-out" and "paired difference" in note.text for note in made.notes)
    assert made.baseline is not None
    assert "column 1" in made.baseline_change


def test_the_numbers_are_those_of_the_half_that_chose_nothing() -> None:
    case, made = repaired("tree")
    drawn = case.seed.child("halves").generator().permutation(len(OTHER))
    second = np.sort(drawn[len(OTHER) // 2 :])
    for model, found in ((case.model, made.before), (made.model, made.after)):
        decided = assay.case(model, OTHER[second]).prediction.argmax(axis=1)
        assert found["accuracy"] == pytest.approx((decided == OTHER_Y[second]).mean())
        rates = [decided[OTHER_GROUP[second] == group].mean() for group in (0, 1)]
        assert found["gap between groups"] == pytest.approx(abs(rates[0] - rates[1]))


@pytest.mark.parametrize("name", ["tree", "logistic"])
def test_columns_that_are_allowed_are_kept(name: str) -> None:
    every = ("0", "1", "2")
    with pytest.raises(CapabilityError, match="nothing to replace"):
        repaired(name, allowed=every)


def test_a_function_keeps_single_witnesses_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(CapabilityError, match="nothing to replace"):
        repaired("tree", justifies=lambda witness: "1" in witness["columns"])
    with pytest.raises(InputError, match="give the columns"):
        repaired("logistic", justifies=lambda witness: True)


def test_the_repaired_trees_are_trees_that_can_be_read() -> None:
    _, made = repaired("boosting")
    again = assay.case(made.model, OTHER[:20])
    values = assay.explain.tree_shapley(again, background=OTHER[20:40])
    assert np.abs(values.residual).max() < 1e-9
    assert np.abs(values.values[:, 1]).max() == 0


def test_a_forest_without_replacements_is_the_same_and_a_split_gives_way_to_a_side() -> None:
    case = assay.case(assay.wrap(MODELS["forest"].fit(X, Y)), OTHER)
    forest = case.model.forest()
    matrix = forest.matrix(case.rows)
    np.testing.assert_array_equal(without_parts(forest).outputs(matrix), forest.outputs(matrix))
    root = int(forest.roots[0])
    value = np.full(forest.value.shape[1], 0.25)
    held = without_parts(forest, constants={root: value})
    inner = forest.outputs(matrix) - next(iter(forest.split(1))).outputs(matrix)
    np.testing.assert_allclose(held.outputs(matrix), inner + value + forest.base, atol=1e-12)
    moved = matrix.copy()
    moved[:, forest.column[root]] = -1e9
    turned = without_parts(forest, turns=dict.fromkeys(np.flatnonzero(forest.column == forest.column[root]), True))
    np.testing.assert_allclose(turned.outputs(matrix), forest.outputs(moved), atol=1e-12)


def test_a_pipeline_keeps_its_frame_and_loses_all_codes_of_the_column() -> None:
    def frame(x: np.ndarray) -> pd.DataFrame:
        status = np.where(x[:, 1] > 0, "married", "single")
        return pd.DataFrame({"score": x[:, 0], "status": status, "noise": x[:, 2]})

    steps = make_column_transformer((OneHotEncoder(), ["status"]), (StandardScaler(), ["score", "noise"]))
    for last in (LogisticRegression(), DecisionTreeClassifier(max_depth=4, random_state=0)):
        estimator = make_pipeline(steps, last).fit(frame(X), Y)
        case = assay.case(assay.wrap(estimator), frame(OTHER))
        made = repair.replace_proxy(case, held_out=(frame(OTHER), OTHER_Y), groups={"sex": OTHER_GROUP})
        other = frame(OTHER).assign(status="single")
        one, two = (assay.case(made.model, rows).output for rows in (frame(OTHER), other))
        was = assay.case(case.model, other).output - case.output
        assert np.abs(one - two).max() < 0.5 * np.abs(was).max()
        assert made.after["gap between groups of sex"] < made.before["gap between groups of sex"]
        assert estimator.predict(frame(OTHER)).tolist() == case.prediction.argmax(axis=1).tolist()


def test_the_same_seed_repairs_the_same_way() -> None:
    first, again = (repaired("tree")[1] for _ in range(2))
    assert first.after == again.after
    assert first.model.fingerprint == again.model.fingerprint != assay.wrap(MODELS["tree"]).fingerprint


@pytest.mark.judge
def test_an_audit_tries_it_where_proxy_use_fails() -> None:
    run = assay.audit(
        assay.wrap(MODELS["tree"].fit(X, Y)), OTHER, OTHER_Y, sensitive={"sex": OTHER_GROUP.tolist()},
        methods=["occlusion"], scores=["deletion"],
    )  # fmt: skip
    (found,) = [finding for finding in run.record.findings if finding.code == "FAI201"]
    assert found.verdict == "fail"
    made = next(one for one in run.record.repairs if one.method == "replace_proxy")
    assert [one.verdict for one in made.after if one.code == "FAI201"] != ["fail"]
    assert made.baseline_change
