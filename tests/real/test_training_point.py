# SPDX-License-Identifier: Apache-2.0
"""One changed training picture of chest X-rays: predictions turn after scikit-learn's own refit, pixels stay whole."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.shared import folder

import assay
from assay import attack

pytestmark = pytest.mark.shared
ROWS, TESTS, RADIUS = 100, 6, 8


def fitted(x, y):
    return LogisticRegression(C=1e-4, solver="newton-cholesky", tol=1e-9, max_iter=500).fit(x, y)


def test_one_changed_x_ray_turns_predictions_more_than_chance():
    data = np.load(folder("pneumoniamnist") / "pneumoniamnist.npz")
    x, y = data["x_train"].reshape(-1, 784)[:ROWS, ::2].astype(float), data["y_train"].ravel()[:ROWS].astype(int)
    held, truth = data["x_test"].reshape(-1, 784)[:, ::2].astype(float), data["y_test"].ravel().astype(int)
    model = fitted(x, y)
    margin = (2 * truth - 1) * model.decision_function(held)
    weak = np.argsort(np.where(margin > 0, margin, np.inf))[:TESTS]
    case = assay.case(assay.wrap(model), held[weak])
    ball = assay.Ball("linf", RADIUS, 0.0, 255.0)
    found = attack.training_point(case, ball, train=(x, y), labels=truth[weak], steps=6, candidates=2, ranges=False)
    assert (found.after < found.random).all()
    assert (found.x == np.round(found.x)).all()
    for place, row in enumerate(found.extra["training_row"].astype(int)):
        changed = x.copy()
        changed[row] = found.x[place]
        exact = (2 * truth[weak[place]] - 1) * fitted(changed, y).decision_function(held[weak[[place]]])[0]
        assert found.after[place] == pytest.approx(exact, abs=1e-4)
        assert np.abs(found.x[place] - x[row]).max() <= RADIUS
    assert found.validity["flipped"] > found.validity["random_flipped"]
