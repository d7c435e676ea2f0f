"""Changes found by evaluations: valid, allowed, and next to the cheapest ones of the exact search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

import assay
from assay.engine.changes.column_rules import column_rules
from assay.engine.recourse.answers import Answer
from assay.engine.recourse.causes import read_causes
from assay.engine.recourse.question import ANY, Question
from assay.engine.recourse.searched import most_evaluations, search
from assay.engine.recourse.solvers import solve

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(400, 4)), 2)
Y = ((X[:, 0] + X[:, 1] * (X[:, 2] > 0)) > 0.2).astype(int)
FOREST = RandomForestClassifier(8, max_depth=4, random_state=0).fit(X, Y)


def question(rows: np.ndarray, **given: Any) -> Question:
    case = assay.case(assay.wrap(FOREST), rows, names=["a", "b", "c", "d"])
    rules = column_rules(
        case, columns=given.get("columns", ()), up=given.get("up", ()), down=(), values=given.get("values"),
        bounds=given.get("bounds"), background=X, unit="range", level=1.0,
    )  # fmt: skip
    return Question(
        case, rules, read_causes(case, given.get("causes")), np.full(len(rows), ANY), given.get("margin", 0.0),
        given.get("count", 1), given.get("apart", 1), given.get("max_nodes", 2000), given.get("max_columns"),
        given.get("plausible"), X,
    )  # fmt: skip


def decided_otherwise(asked: Question, found: dict[int, Answer]) -> bool:
    own = asked.case.predicted(asked.case.rows.x)
    return all(
        (FOREST.predict(np.stack([point.x for point in one.points])) != own[row]).all()
        for row, one in found.items()
        if one.points
    )


def test_changes_are_valid_and_little_dearer_than_the_cheapest() -> None:
    asked = question(X[:8])
    found, exact = search(asked, np.arange(8)), solve(asked, np.arange(8))
    assert decided_otherwise(asked, found)
    assert all(one.status == "feasible" and one.bound == 0.0 for one in found.values())
    ratios = np.array([found[row].points[0].cost / exact[row].points[0].cost for row in range(8)])
    assert ratios.min() >= 1 - 1e-6
    assert np.median(ratios) < 1.2


def test_only_what_is_allowed_changes_and_whole_numbers_stay_whole() -> None:
    rows = np.round(X[:12])
    asked = question(rows, columns=("a", "b"), up=("a",), bounds={"b": [-1.0, 1.0]})
    for row, one in search(asked, np.arange(12)).items():
        for point in one.points:
            np.testing.assert_array_equal(point.x[2:], rows[row, 2:])
            assert point.x[0] >= rows[row, 0]
            assert 1 not in point.intervened or -1 <= point.x[1] <= 1


def test_several_changes_leave_out_changes_of_the_cheaper_ones_and_a_margin_is_kept() -> None:
    asked = question(X[:4], count=3, margin=0.1)
    for row, one in search(asked, np.arange(4)).items():
        sets = [set(point.intervened) for point in one.points]
        assert all(sets[i] - sets[j] != sets[i] or sets[i] != sets[j] for i in range(len(sets)) for j in range(i))
        chance = FOREST.predict_proba(np.stack([point.x for point in one.points]))[:, 1]
        own = FOREST.predict_proba(X[row : row + 1])[0, 1]
        assert ((chance >= 0.6) if own < 0.5 else (chance <= 0.4)).all()


def test_columns_that_follow_others_move_with_them_and_cost_nothing() -> None:
    asked = question(X[:8], causes={"b": [["a", 0.5]]}, columns=("a",))
    for row, one in search(asked, np.arange(8)).items():
        for point in one.points:
            moved = point.x - X[row]
            assert moved[1] == pytest.approx(0.5 * moved[0])
            assert point.cost == pytest.approx(abs(moved[0]) / np.ptp(X[:, 0]))


def test_a_row_that_nothing_allowed_turns_is_undecided() -> None:
    asked = question(X[:6], columns=("d",), bounds={"d": [-0.01, 0.01]})
    found = search(asked, np.arange(6))
    assert {one.status for one in found.values()} <= {"undecided", "feasible"}
    assert any(one.status == "undecided" for one in found.values())


def test_no_row_takes_more_evaluations_than_is_said() -> None:
    asked = question(X[:4], count=2, max_nodes=200)
    before = asked.case.model.meter.requested
    found = search(asked, np.arange(4))
    assert max(one.nodes for one in found.values()) <= most_evaluations(4, 200, 2)
    assert asked.case.model.meter.requested - before <= 4 * most_evaluations(4, 200, 2)


def test_the_same_seed_gives_the_same_changes_and_rows_do_not_depend_on_each_other() -> None:
    together, alone = search(question(X[:6]), np.arange(6)), search(question(X[2:3]), np.arange(1))
    np.testing.assert_array_equal(together[2].points[0].x, alone[0].points[0].x)
