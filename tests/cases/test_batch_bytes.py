"""Batches of wide rows are bounded by bytes, and masked copies are made one batch at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import explain
from assay.model.model import INPUT_COPIES, MAX_INPUT_BYTES

WIDTH = 4000
X = np.random.default_rng(0).normal(size=(40, WIDTH))
Y = (X[:, 0] > 0).astype(int)


def linear() -> Any:
    return assay.wrap(LogisticRegression().fit(X, Y), output="margin")


def tree() -> Any:
    return assay.wrap(DecisionTreeClassifier(max_depth=2).fit(X, Y))


def function() -> Any:
    return assay.wrap(lambda x: x[:, 0] * 2.0, output="values")


def booster() -> Any:
    import xgboost

    return assay.wrap(xgboost.XGBClassifier(n_estimators=2).fit(X, Y))


MODELS = {"linear": linear, "tree": tree, "function": function, "xgboost": booster}
REMOVALS: dict[str, Callable[[], Any]] = {
    "constant": lambda: assay.Constant(0.0),
    "background": lambda: assay.Marginal(X[:2]),
}


@pytest.mark.parametrize("remove", REMOVALS)
@pytest.mark.parametrize("kind", MODELS)
def test_occlusion_of_wide_rows_takes_little_memory(kind: str, remove: str) -> None:
    case = assay.case(MODELS[kind](), X[:3])
    tracemalloc.start()
    explain.occlusion(case, remove=REMOVALS[remove]())
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert peak < 200  # 64 MiB of inputs, and what belongs to the masks


@pytest.mark.parametrize("width", [1, 100, 4000, 10**6, 10**8])
def test_a_batch_has_as_many_rows_as_its_bytes_allow(width: int) -> None:
    model = assay.model.function(lambda x: x[:, 0], batch=65536)
    rows = assay.case(model, X[:2]).rows
    wide = np.broadcast_to(np.zeros(1), (2, width))
    size = model.max_batch_rows(type(rows)(wide, ("a", "b")), 0)
    assert size == max(1, min(65536, MAX_INPUT_BYTES // (INPUT_COPIES * 8 * width)))


def test_the_bound_changes_no_value() -> None:
    model = LogisticRegression().fit(X, Y)
    case = assay.case(assay.wrap(model, output="margin"), X[:2], label=1)
    assert_allclose(explain.occlusion(case, remove=assay.Constant(0.0)).values, X[:2] * model.coef_, atol=1e-9)
