# SPDX-License-Identifier: Apache-2.0
"""Counterfactuals of models that are neither trees nor linear: searched, valid, near the exact ones, never proved."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.explain.lending import german

import assay
from assay import explain
from assay.engine.cost import cost_of
from assay.engine.recourse.answers import STATUSES
from assay.nouns.catalogue import find

GENERATOR = np.random.default_rng(0)
X = np.round(GENERATOR.normal(size=(300, 4)), 2)
Y = (X[:, 0] - X[:, 1] + np.sin(2 * X[:, 2]) > 0).astype(int)


def test_a_net_of_german_credit_gets_valid_counterfactuals_that_are_never_called_optimal() -> None:
    x, y = german()
    net = make_pipeline(
        StandardScaler(), MLPClassifier((16,), max_iter=60, solver="lbfgs", tol=0.1, random_state=0)
    ).fit(x[:700], y[:700])
    case = assay.case(assay.wrap(net), x[700:706])
    found = explain.counterfactual(case, background=x[:700])
    status = [STATUSES[int(one)] for one in found.extra["status"]]
    assert set(status) <= {"feasible", "undecided"}
    assert "feasible" in status
    has = np.isfinite(found.extra["cost"][:, 0])
    assert_flips(net, found, x[700:706], has)
    assert (found.extra["bound"] == 0).all()
    assert any("searched" in note.text for note in found.notes)
    assert any("searched, no proof" in line for line in found.description)


def test_a_network_without_hidden_units_costs_little_more_than_the_exact_linear_optimum() -> None:
    from sklearn.linear_model import LogisticRegression

    linear = LogisticRegression().fit(X, Y)
    exact = explain.counterfactual(assay.case(assay.wrap(linear), X[:10]), background=X)
    hidden = assay.model.function(linear.predict_proba, gives="probabilities", fingerprint="linear")
    found = explain.counterfactual(assay.case(hidden, X[:10]), background=X)
    ratio = found.extra["cost"][:, 0] / exact.extra["cost"][:, 0]
    assert ratio.min() >= 1 - 1e-6
    assert np.median(ratio) < 1.1
    assert (exact.extra["status"] == 0).all()
    assert (found.extra["status"] == 1).all()


def test_the_cost_told_beforehand_is_an_upper_limit() -> None:
    net = MLPClassifier((8,), max_iter=60, solver="lbfgs", tol=0.1, random_state=0).fit(X, Y)
    case = assay.case(assay.wrap(net), X[:4])
    meter, _ = case.model.meter, (case.output, case.prediction)
    requested = meter.requested
    found = explain.counterfactual(case, background=X, max_nodes=500)
    told = cost_of(find("explain", "counterfactual"), case, found.provenance.options)
    assert 0 < meter.requested - requested <= told.forwards


def assert_flips(model: Any, found: Any, rows: Any, has: Any) -> None:
    changed = found.extra["x"][has, 0]
    assert (model.predict(changed) != model.predict(rows[has])).all()
    assert (found.extra["valid"][has] == 1).all()
