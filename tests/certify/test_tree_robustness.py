"""The nearest input of another class: enumeration of all cells, the libraries' own predictions, and real rows."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import Ball, certify
from assay.basics.errors import CapabilityError, InputError
from assay.engine.boxes.cells import find_cells

FAR = 1e6


def table(classes: int = 2, rows: int = 150, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(rows, columns)).round(2) * np.array([1.0, 10.0, 0.1, 1.0])[:columns]
    score = x[:, 0] + 0.1 * x[:, 1] * np.sign(x[:, 2])
    return x, np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))


def xgboost(x: Any, y: Any) -> Any:
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1).fit(x, y)


def lightgbm(x: Any, y: Any) -> Any:
    made = pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=4, max_depth=2, n_jobs=1, verbose=-1)
    return made.fit(x, y)


def catboost(x: Any, y: Any) -> Any:
    made = pytest.importorskip("catboost").CatBoostClassifier(
        iterations=4, depth=2, thread_count=1, verbose=False, allow_writing_files=False
    )
    return made.fit(x, y)


MODELS: dict[str, Any] = {
    "tree": lambda x, y: DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, y),
    "forest": lambda x, y: RandomForestClassifier(4, max_depth=2, random_state=0).fit(x, y),
    "extra trees": lambda x, y: ExtraTreesClassifier(4, max_depth=2, random_state=0).fit(x, y),
    "boosting": lambda x, y: GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0).fit(x, y),
    "hist": lambda x, y: HistGradientBoostingClassifier(max_iter=4, max_depth=2, random_state=0).fit(x, y),
    "scaled": lambda x, y: make_pipeline(StandardScaler(), RandomForestClassifier(4, max_depth=2, random_state=0)).fit(
        x, y
    ),
    "xgboost": xgboost,
    "lightgbm": lightgbm,
    "catboost": catboost,
}


def predicted_class_of(case: assay.Case, points: np.ndarray) -> np.ndarray:
    """The model's class (point,) at any number of points."""
    return case.predicted(points) if len(points) == len(case) else assay.case(case.model, points).predicted(points)


def enumerated(case: assay.Case, ball: Ball) -> np.ndarray:
    """The distance (row,) to the nearest point of another class: every combination of cells, asked of the model."""
    cells = find_cells(case.model.forest(), case.rows, np.zeros(case.rows.shape, dtype=bool))
    x, predicted, scale = np.asarray(case.rows.x), case.predicted(case.rows.x), np.array(ball.scale or (1.0,) * 99)
    best = []
    for row, own in zip(x, predicted):
        values = [cells.nearest_values(column, row[column]) for column in range(len(row))]
        points = np.array(list(product(*values)))
        other = predicted_class_of(case, points) != own
        moves = np.abs(points - row) / scale[: len(row)]
        size = {"linf": moves.max(axis=1), "l2": np.sqrt((moves**2).sum(axis=1))}[ball.norm]
        inside = (size <= ball.radius) & (points >= ball.low).all(axis=1) & (points <= ball.high).all(axis=1)
        best.append(size[other & inside].min(initial=np.inf))
    return np.array(best)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_distance_is_that_of_an_enumeration(kind: str, norm: Any, classes: int) -> None:
    x, y = table(classes)
    case = assay.case(assay.wrap(MODELS[kind](x, y)), x[:5])
    ball = Ball(norm, FAR, scale=(1.0, 10.0, 0.1))
    found = certify.tree_robustness(case, ball)
    expected = enumerated(case, ball)
    assert_array_equal(found.extra["distance"], expected)
    assert_array_equal(found.radius, np.minimum(expected, FAR))
    moved = found.extra["nearest"]
    changed = np.isfinite(expected)
    assert_array_equal(case.predicted(moved)[changed] != case.predicted(x[:5])[changed], True)
    assert_allclose(np.asarray(ball.length(moved - x[:5]))[changed], expected[changed])
    assert not found.notes


def test_nothing_beyond_the_ball_and_its_bounds_is_found() -> None:
    x, y = table()
    case = assay.case(assay.wrap(MODELS["boosting"](x, y)), x[:8])
    for ball in (Ball("linf", 0.3), Ball("linf", FAR, low=float(x.min()), high=0.5 + float(x[:8].max()))):
        found = certify.tree_robustness(case, ball)
        expected = enumerated(case, ball)
        assert_array_equal(found.extra["distance"], expected)
        assert_array_equal(found.radius, np.minimum(expected, ball.radius))
    inside = certify.tree_robustness(case, Ball("linf", 0.3))
    assert np.isinf(inside.extra["distance"]).any()
    assert np.isfinite(inside.extra["distance"]).any()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["forest", "boosting", "xgboost"])
def test_the_models_own_threshold_decides(kind: str, threshold: float) -> None:
    x, y = table()
    case = assay.case(assay.wrap(MODELS[kind](x, y), threshold=threshold), x[:5])
    found = certify.tree_robustness(case, Ball("linf", FAR))
    assert_array_equal(found.extra["distance"], enumerated(case, Ball("linf", FAR)))


def test_ties_between_votes_go_where_the_model_puts_them() -> None:
    x, y = table()
    case = assay.case(assay.wrap(RandomForestClassifier(2, random_state=0).fit(x, y)), x[:6])
    found = certify.tree_robustness(case, Ball("linf", FAR))
    assert_array_equal(found.extra["distance"], enumerated(case, Ball("linf", FAR)))


def test_a_stopped_search_gives_a_lower_bound_and_says_so() -> None:
    x, y = table()
    case = assay.case(assay.wrap(RandomForestClassifier(30, random_state=0).fit(x, y)), x[:10])
    exact = certify.tree_robustness(case, Ball("linf", FAR))
    stopped = certify.tree_robustness(case, Ball("linf", FAR), max_nodes=1)
    assert (stopped.radius <= exact.radius).all()
    assert (stopped.extra["distance"] >= exact.extra["distance"]).all()
    assert (stopped.radius < stopped.extra["distance"]).any()
    assert [note.code for note in stopped.notes] == ["stopped"]


def test_coded_and_missing_cells_and_columns_of_scale_zero_stay() -> None:
    x, y = table()
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": pd.Categorical(np.where(x[:, 2] > 0, "u", "v"))})
    frame.loc[0, "b"] = np.nan
    model = HistGradientBoostingClassifier(max_iter=5, max_depth=3, random_state=0, categorical_features="from_dtype")
    case = assay.case(assay.wrap(model.fit(frame, y)), frame.iloc[:6])
    found = certify.tree_robustness(case, Ball("linf", FAR, scale=(0.0, 1.0, 1.0)))
    before = np.asarray(case.rows.x)
    moved = found.extra["nearest"] != before
    assert not moved[:, [0, 2]].any()
    assert np.isnan(found.extra["nearest"][0, 1])
    assert moved[:, 1].any()


def test_no_attack_by_random_search_beats_the_proof() -> None:
    x, y = table(3, columns=4)
    model = assay.wrap(RandomForestClassifier(20, max_depth=4, random_state=0).fit(x, y))
    case = assay.case(model, x[:4])
    found = certify.tree_robustness(case, Ball("linf", FAR))
    draws = np.random.default_rng(1).uniform(-1, 1, (20_000, 4))
    for row, own in enumerate(case.predicted(x[:4])):
        inside = x[row] + 0.999999 * found.radius[row] * draws
        assert (predicted_class_of(case, inside) == own).all()


def levels_only() -> assay.Case:
    """A number that has scale 0 below, and a column of levels."""
    x, y = table()
    frame = pd.DataFrame({"a": x[:, 0], "c": pd.Categorical(np.where(x[:, 2] > 0, "u", "v"))})
    model = HistGradientBoostingClassifier(max_iter=3, random_state=0, categorical_features="from_dtype")
    return assay.case(assay.wrap(model.fit(frame, y)), frame.iloc[:3])


def test_what_cannot_be_searched_is_refused() -> None:
    x, y = table()
    forest = assay.case(assay.wrap(MODELS["forest"](x, y)), x[:2])
    with pytest.raises(InputError, match="max_nodes"):
        certify.tree_robustness(forest, Ball("linf", 1.0), max_nodes=0)
    with pytest.raises(CapabilityError, match="trees"):
        certify.tree_robustness(assay.case(assay.wrap(LogisticRegression().fit(x, y)), x[:2]), Ball("linf", 1.0))
    with pytest.raises(CapabilityError, match="no column can be moved"):
        certify.tree_robustness(levels_only(), Ball("linf", 1.0, scale=(0.0, 1.0)))


def test_the_certificate_says_what_it_is_worth() -> None:
    x, y = table()
    found = certify.tree_robustness(assay.case(assay.wrap(MODELS["forest"](x, y)), x[:20]), Ball("linf", 0.5))
    text = repr(found)
    assert "exact: a proof; in the linf norm of the change, at most 0.5; a tie counts as a change" in text
    assert "holds for the model itself; it predicts as the model in 100% of the rows" in text
    assert found.histogram.sum() == 1.0


def test_each_row_costs_one_evaluation_beyond_the_prediction() -> None:
    x, y = table()
    case = assay.case(assay.wrap(MODELS["forest"](x, y)), x[:7])
    _ = case.prediction
    assert certify.tree_robustness(case, Ball("linf", 1.0)).provenance.cost == {"forwards": 7}
