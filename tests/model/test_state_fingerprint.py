"""A model's fingerprint changes when, and only when, its function changes: estimators, functions and their parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from tests.model import fitted_estimators
from tests.model.fitted_estimators import FULL, Y, training_rows
from tests.model.processes import in_another_process

from assay.model.state_fingerprint import read_state, state_fingerprint

NAMES = list(fitted_estimators.unfitted())


@pytest.fixture(scope="module")
def zoo() -> dict[str, Any]:
    return fitted_estimators.fitted()


@pytest.fixture(scope="module")
def files(zoo: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, estimator in zoo.items():
        fitted_estimators.write(name, estimator, folder)
    return folder


@pytest.mark.parametrize("hash_seed", [1, 2])
def test_one_file_has_one_fingerprint_in_every_process(zoo: dict[str, Any], files: Path, hash_seed: int) -> None:
    found = json.loads(in_another_process("-m", "tests.model.fitted_estimators", str(files), hash_seed=hash_seed))
    expected = {path.name: state_fingerprint(zoo[path.stem]) for path in files.iterdir()}
    assert len(expected) > 90
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_an_estimator_is_unread_and_use_changes_nothing(zoo: dict[str, Any], name: str) -> None:
    before = read_state(zoo[name])
    zoo[name].predict(training_rows(name)[:5])
    assert before.unread == ()
    assert read_state(zoo[name]) == before


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fit_has_the_same_fingerprint_and_other_rows_another(zoo: dict[str, Any], name: str) -> None:
    def refit(x: np.ndarray) -> Any:
        return fitted_estimators.unfitted()[name].fit(x, Y)

    x = training_rows(name)
    assert state_fingerprint(refit(x)) == state_fingerprint(zoo[name])
    assert state_fingerprint(refit(x + 3 * x**2)) != state_fingerprint(zoo[name])


def _nudge(values: np.ndarray) -> None:
    """Change one number by the least that float32 shows."""
    flat = values.reshape(-1)
    flat[-1] = np.nextafter(np.float32(flat[-1]), np.float32(np.inf))


def _tree_leaf(tree: Any) -> None:
    values = tree.tree_.value
    values[-1, 0, 0] += 1e-9


def _tree_threshold(tree: Any) -> None:
    tree.tree_.threshold[0] += 1e-9


def _histogram_leaf(estimator: Any) -> None:
    estimator._predictors[-1][0].nodes["value"][-1] += 1e-9


def _histogram_threshold(estimator: Any) -> None:
    estimator._predictors[0][0].nodes["num_threshold"][0] += 1e-9


def _xgboost_leaf(estimator: Any) -> None:
    model = json.loads(bytes(estimator.get_booster().save_raw("json")))
    model["learner"]["gradient_booster"]["model"]["trees"][0]["split_conditions"][-1] += 1e-3
    estimator.get_booster().load_model(bytearray(json.dumps(model).encode()))


CHANGES: dict[str, tuple[str, Callable[[Any], None]]] = {
    "a coefficient": ("logistic", lambda e: _nudge(e.coef_)),
    "an intercept": ("linear", lambda e: setattr(e, "intercept_", e.intercept_ + 1e-9)),
    "a coefficient in a pipeline": ("pipeline", lambda e: _nudge(e[-1].coef_)),
    "the mean of a scaler": ("pipeline", lambda e: _nudge(e[0].mean_)),
    "a coefficient of a search": ("grid", lambda e: _nudge(e.best_estimator_.coef_)),
    "a coefficient of a vote": ("voting", lambda e: _nudge(e.estimators_[1].coef_)),
    "a coefficient of a stack": ("stacking", lambda e: _nudge(e.final_estimator_.coef_)),
    "a coefficient of a bag": ("bagging", lambda e: _nudge(e.estimators_[2].coef_)),
    "a leaf": ("tree", _tree_leaf),
    "a threshold": ("tree", _tree_threshold),
    "a leaf in a forest": ("forest", lambda e: _tree_leaf(e.estimators_[3])),
    "a threshold in a forest": ("forest", lambda e: _tree_threshold(e.estimators_[3])),
    "a leaf of extra trees": ("extra trees", lambda e: _tree_leaf(e.estimators_[4])),
    "a leaf of boosted trees": ("gradient boosting", lambda e: _tree_leaf(e.estimators_[4, 0])),
    "a leaf of binned trees": ("histogram", _histogram_leaf),
    "a threshold of binned trees": ("histogram", _histogram_threshold),
    "a leaf of XGBoost": ("xgboost", _xgboost_leaf),
    "a leaf of LightGBM": ("lightgbm", lambda e: e.booster_.set_leaf_output(0, 0, 0.123)),
    "a threshold of CatBoost": ("catboost", lambda e: e.set_probability_threshold(0.3)),
    "the scale of CatBoost": ("catboost at the end", lambda e: e[-1].set_scale_and_bias(2.0, 0.0)),
    "the weight of an ensemble": ("adaboost", lambda e: _nudge(e.estimator_weights_)),
    "a dual coefficient": ("svc", lambda e: _nudge(e._dual_coef_)),
    "a stored neighbour": ("kd tree", lambda e: _nudge(e._fit_X)),
    "a weight of a net": ("mlp", lambda e: _nudge(e.coefs_[1])),
    "a training point of a process": ("gaussian process", lambda e: _nudge(e.base_estimator_.X_train_)),
    "a calibration": ("calibrated", lambda e: setattr(e.calibrated_classifiers_[0].calibrators[0], "a_", 0.5)),
    "a knot": ("columns", lambda e: _nudge(e[0].named_transformers_["bins"].bin_edges_[0])),
    "a decision threshold": ("threshold", lambda e: setattr(e, "threshold", 0.31)),
    "the order of classes": ("logistic", lambda e: setattr(e, "classes_", e.classes_[::-1].copy())),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_number_of_the_function_changes_the_fingerprint(zoo: dict[str, Any], what: str) -> None:
    name, change = CHANGES[what]
    other = deepcopy(zoo[name])
    assert state_fingerprint(other) == state_fingerprint(zoo[name])
    change(other)
    assert state_fingerprint(other) != state_fingerprint(zoo[name])


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("grid", lambda e: e.cv_results_["mean_fit_time"].__setitem__(0, 9.0)),
        ("random search", lambda e: setattr(e, "refit_time_", 9.0)),
        ("forest", lambda e: e.set_params(n_jobs=2, verbose=1)),
        ("pipeline", lambda e: e.set_params(verbose=True, memory="elsewhere")),
        ("svc", lambda e: e.set_params(cache_size=10, verbose=True)),
        ("xgboost", lambda e: e.set_params(n_jobs=2, verbosity=0)),
        ("lightgbm", lambda e: e.set_params(n_jobs=2)),
    ],
)
def test_times_and_threads_do_not_count(zoo: dict[str, Any], name: str, noise: Callable[[Any], Any]) -> None:
    other = deepcopy(zoo[name])
    noise(other)
    assert state_fingerprint(other) == state_fingerprint(zoo[name])


def test_searches_that_end_with_the_same_estimator_are_the_same_function(zoo: dict[str, Any]) -> None:
    again = clone(zoo["grid"]).set_params(cv=3, param_grid={"C": [zoo["grid"].best_params_["C"]]}).fit(FULL, Y)
    assert state_fingerprint(again) == state_fingerprint(zoo["grid"])


def test_unset_bytes_of_compiled_trees_do_not_count(zoo: dict[str, Any]) -> None:
    tree = zoo["tree"].tree_
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    raw = nodes.view(np.uint8).reshape(len(nodes), -1)
    raw[:, 57:] = 255  # after the last field
    nodes["missing_go_to_left"][nodes["left_child"] == -1] = 1  # never read in a leaf
    other = tree.__reduce__()[0](*tree.__reduce__()[1])
    other.__setstate__({**state, "nodes": nodes})
    rows = training_rows("tree").astype(np.float32)
    assert np.array_equal(other.predict(rows), tree.predict(rows))
    assert state_fingerprint(other) == state_fingerprint(tree)
