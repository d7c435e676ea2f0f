"""Fingerprints of functions: their code, what they close over, and what they call."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.model import fitted_estimators
from tests.model.fitted_estimators import FULL, WITH_GAPS, Y
from tests.model.processes import in_another_process

import assay
from assay.model.state_fingerprint import state_fingerprint, unread_parts


def _log(z: Any) -> Any:
    return np.log1p(z)


def _square(z: Any) -> Any:
    return np.square(z)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (lambda z: np.log1p(z), lambda z: np.log1p(z), lambda z: np.log2(z)),
        (_log, _log, _square),
        (lambda z: _log(z), lambda z: _log(z), lambda z: _square(z)),
        (functools.partial(np.maximum, 0), functools.partial(np.maximum, 0), functools.partial(np.maximum, 1)),
        (np.log1p, np.log1p, np.expm1),
        (np.vectorize(lambda v: v + 1), np.vectorize(lambda v: v + 1), np.vectorize(lambda v: v + 2)),
    ],
)
def test_functions_inside_a_pipeline_count_by_what_they_do(one: Any, same: Any, other: Any) -> None:
    def wrapped(call: Any) -> assay.Model:
        return assay.wrap(make_pipeline(FunctionTransformer(call), LinearRegression()).fit(np.abs(FULL), Y))

    line = LinearRegression().fit(np.abs(FULL), Y)
    marks = [state_fingerprint(make_pipeline(FunctionTransformer(call), line)) for call in (one, same, other)]
    assert marks[0] == marks[1] != marks[2]
    assert wrapped(one).fingerprint == wrapped(same).fingerprint


def test_a_local_objective_and_a_local_class_are_read() -> None:
    import xgboost

    def with_objective(weight: float) -> Any:
        def objective(y: Any, p: Any) -> Any:
            return weight * (p - y), np.ones_like(p)

        return xgboost.XGBRegressor(n_estimators=2, objective=objective).fit(FULL, Y)

    class Doubled(TransformerMixin, BaseEstimator):
        factor = 2.0

        def fit(self, x: Any, y: Any = None) -> Doubled:
            self.fitted_ = True
            return self

        def transform(self, x: Any) -> Any:
            return x * self.factor

    assert assay.wrap(with_objective(1.0)).fingerprint == assay.wrap(with_objective(1.0)).fingerprint
    assert assay.wrap(with_objective(1.0)).fingerprint != assay.wrap(with_objective(0.5)).fingerprint
    pipeline = make_pipeline(Doubled(), LinearRegression()).fit(FULL, Y)
    before = assay.wrap(pipeline).fingerprint
    Doubled.factor = 3.0
    assert assay.wrap(pipeline).fingerprint != before


def test_a_function_over_a_retrained_estimator_is_another_function() -> None:
    def over(estimator: Any) -> assay.Model:
        return assay.model.function(lambda x: estimator.predict_proba(x)[:, 1])

    first = over(LogisticRegression().fit(FULL, Y)).fingerprint
    assert over(LogisticRegression().fit(FULL, Y)).fingerprint == first
    assert over(LogisticRegression().fit(FULL, np.roll(Y, 1))).fingerprint != first
    assert over(LogisticRegression(C=0.1).fit(FULL, Y)).fingerprint != first


class Holder:
    """An object of the user that holds an estimator in an attribute or in a slot."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __call__(self, x: Any) -> Any:
        return self.estimator.predict(x)

    def score(self, x: Any) -> Any:
        return self.estimator.predict(x)


class Slots:
    """The same with slots, and not to be pickled."""

    __slots__ = ("__estimator",)

    def __init__(self, estimator: Any) -> None:
        self.__estimator = estimator

    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")

    def __call__(self, x: Any) -> Any:
        return self.__estimator.predict(x)


GLOBAL: dict[str, Any] = {}


def _through_a_global(x: Any) -> Any:
    return GLOBAL["model"].predict(x)


def _as_global(estimator: Any) -> Any:
    GLOBAL["model"] = estimator
    return _through_a_global


WAYS: dict[str, Callable[[Any], Any]] = {
    "closure": lambda e: lambda x: e.predict(x),
    "nested closure": lambda e: (lambda f: lambda x: f(x))(lambda x: e.predict(x)),
    "bound method": lambda e: e.predict,
    "callable object": Holder,
    "method of an object": lambda e: Holder(e).score,
    "slots": Slots,
    "partial": lambda e: functools.partial(lambda x, model: model.predict(x), model=e),
    "default argument": lambda e: lambda x, model=e: model.predict(x),
    "list": lambda e: lambda x, models=(e, e): models[0].predict(x) + models[1].predict(x),
    "cached": lambda e: functools.lru_cache(lambda x: e.predict(x)),
    "global": _as_global,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_estimator_is_found_however_a_function_holds_it(way: str) -> None:
    def mark(y: Any) -> str:
        return state_fingerprint(WAYS[way](LinearRegression().fit(FULL, y)))

    assert mark(Y) == mark(Y.copy())
    assert mark(Y) != mark(np.roll(Y, 1))


SCRIPT = """
import numpy as np
from sklearn.linear_model import LinearRegression
from assay.model.state_fingerprint import state_fingerprint
X = np.arange(12.0).reshape(6, 2) ** 2
NAMES = {{"b", "a", "c"}}
def helper(x):
    '''{comment}'''
    return {body}
class Scale:
    {factor}
    def __call__(self, x):
        return x * self.factor
def make():
    model = LinearRegression().fit(X, X[:, 0])
    def score(x):
        return helper(model.predict(Scale()(x))) if len(NAMES) else 0
    return score
mark = state_fingerprint(make())
"""
BASE = {"comment": "What it does.", "body": "np.sin(x)", "factor": "factor = 2.0"}


def _defined(change: dict[str, str]) -> str:
    space: dict[str, Any] = {"__name__": "users_script"}
    exec(compile(SCRIPT.format(**{**BASE, **change}), "users_script.py", "exec"), space)
    return space["mark"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"comment": "Another text, \n\n    which is longer."}, True),
        ({"body": "np.tanh(x)"}, False),
        ({"body": "np.sin(x) + 1"}, False),
        ({"factor": "factor = 2.5"}, False),
        ({"factor": "factor = 2.0; offset = 1"}, False),
    ],
)
def test_the_code_that_a_function_calls_counts_and_its_comments_do_not(change: dict[str, str], same: bool) -> None:
    assert (_defined(change) == _defined({})) is same


def test_a_function_has_the_same_fingerprint_in_a_script_of_another_process() -> None:
    script = "\n\n# moved down\n" + SCRIPT.format(**BASE) + "print(mark)"
    assert in_another_process("-c", script, hash_seed=2).strip() == _defined({})


@pytest.mark.parametrize("late", [False, True], ids=["imported before", "imported by the call"])
def test_functions_of_the_users_modules_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    name = f"users_package_{late}"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    code = f"import {name}.inner as inner\nf = lambda x: inner.scale(x)"
    if late:
        code = f"def f(x):\n    from {name} import inner\n    return inner.scale(x)"

    def mark(factor: float) -> str:
        (package / "inner.py").write_text(f"def scale(x):\n    return x * {factor}\n")
        for known in [module for module in sys.modules if module.startswith(name)]:
            monkeypatch.delitem(sys.modules, known)
        importlib.invalidate_caches()
        space: dict[str, Any] = {"__name__": "users_script"}
        exec(code, space)
        return state_fingerprint(space["f"])

    assert mark(2.0) == mark(2.0)
    assert mark(2.0) != mark(3.0)


def test_a_function_that_the_user_replaces_in_a_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = LogisticRegression().fit(FULL, Y)
    before = state_fingerprint(estimator)
    monkeypatch.setattr(LogisticRegression, "predict_proba", lambda self, x: np.full((len(x), 2), 0.5))
    assert state_fingerprint(estimator) != before


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (scipy.sparse.csr_array(FULL), scipy.sparse.coo_array(FULL), scipy.sparse.csr_array(FULL + 1)),
        (np.random.default_rng(1), np.random.default_rng(1), np.random.default_rng(2)),
        (np.random.RandomState(1), np.random.RandomState(1), np.random.RandomState(2)),
        (KNeighborsClassifier, KNeighborsClassifier, GridSearchCV),
    ],
    ids=["sparse", "generator", "random state", "class"],
)
def test_objects_of_libraries_count_by_content(one: Any, same: Any, other: Any) -> None:
    assert state_fingerprint(one) == state_fingerprint(same) != state_fingerprint(other)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_count_by_their_values_types_and_names(library: str) -> None:
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    base = {"a": [1.0, None, 3.0], "b": ["x", "y", None], "c": [1, 2, 3]}
    changes = [
        {"c": [1, 2, 4]},
        {"a": [1.0, 2.0, 3.0]},
        {"b": ["x", "y", "z"]},
        {"c": [1.0, 2.0, 3.0]},
        {"d": [0, 0, 0]},
    ]
    marks = [state_fingerprint(make({**base, **change})) for change in changes]
    assert state_fingerprint(make(base)) == state_fingerprint(make(dict(base)))
    assert len({state_fingerprint(make(base)), *marks}) == len(changes) + 1


def test_what_cannot_be_read_is_named_and_the_rest_still_counts() -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")

    def reads(weight: float) -> Callable[[Any], Any]:
        return lambda x: x[:, 0] * weight if connection.total_changes == 0 else x[:, 0]

    assert unread_parts(reads(1.0)) == ("sqlite3.Connection",)
    assert state_fingerprint(reads(1.0)) != state_fingerprint(reads(2.0))
    connection.close()


def test_a_model_says_whether_its_fingerprint_shows_everything() -> None:
    class Own(RegressorMixin, BaseEstimator):
        def fit(self, x: Any, y: Any) -> Own:
            self.file_ = open(os.devnull)  # noqa: SIM115  # the open file is what cannot be read
            self.n_features_in_ = x.shape[1]
            return self

        def predict(self, x: Any) -> Any:
            return np.asarray(x)[:, 0]

    own = Own().fit(FULL, Y)
    assert assay.wrap(own).partial_fingerprint
    own.file_.close()
    assert not assay.wrap(LogisticRegression().fit(FULL, Y)).partial_fingerprint
    assert assay.model.function(lambda x: x[:, 0]).partial_fingerprint
    assert not assay.model.function(lambda x: x[:, 0], fingerprint="mine").partial_fingerprint


def test_catboost_models_of_texts_have_a_fingerprint(tmp_path: Path) -> None:
    import catboost
    import pandas as pd

    words = np.random.default_rng(0).choice(["red", "blue", "green", "big"], (60, 4))
    frame = pd.DataFrame({"a": FULL[:, 0], "t": [" ".join(row) for row in words]})
    options = {"iterations": 4, "text_features": ["t"], "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    estimator = catboost.CatBoostClassifier(**options).fit(frame, Y)
    other = catboost.CatBoostClassifier(**options).fit(frame, 1 - Y)
    estimator.save_model(str(tmp_path / "model.cbm"))
    code = (
        "import catboost; from assay.model.state_fingerprint import state_fingerprint\n"
        f"m = catboost.CatBoostClassifier().load_model({str(tmp_path / 'model.cbm')!r}); print(state_fingerprint(m))"
    )
    before = state_fingerprint(estimator)
    estimator.predict(frame)
    assert state_fingerprint(estimator) == before != state_fingerprint(other)
    assert in_another_process("-c", code).strip() == before
    estimator.set_probability_threshold(0.2)
    assert state_fingerprint(estimator) != before


def test_estimators_with_gaps_are_in_the_list() -> None:
    assert set(WITH_GAPS) <= set(fitted_estimators.unfitted())
