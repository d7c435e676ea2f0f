"""Counterfactuals where changing one column changes others."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.explain.test_counterfactual import LEVELS, grid, small_problem

import assay
from assay import explain


class Card:
    """A linear decision: salary + ⅔ savings of at least 25,227.68."""

    @staticmethod
    def case() -> assay.Case:
        model = LogisticRegression().fit(np.array([[0.0, 0.0], [30000.0, 30000.0]]), [0, 1])
        model.coef_, model.intercept_ = np.array([[1.0, 2 / 3]]), np.array([-25227.68])
        return assay.case(assay.wrap(model), pd.DataFrame({"salary": [17000.0], "savings": [341.52]}))

    RULES: ClassVar[dict[str, Any]] = {
        "columns": ("salary",),
        "bounds": {"salary": (0.0, 100000.0)},
    }


def test_without_causes_the_salary_alone_has_to_rise() -> None:
    found = explain.counterfactual(Card.case(), target_label=1, **Card.RULES)
    assert_allclose(found.extra["x"][0, 0].round(2), [25000.0, 341.52])
    assert found.extra["valid"][0, 0] == 1
    assert found.extra["status"][0] == 0


def test_with_causes_the_savings_follow_to_the_penny() -> None:
    found = explain.counterfactual(Card.case(), target_label=1, causes={"savings": [["salary", 0.5]]}, **Card.RULES)
    assert_allclose(found.extra["x"][0, 0].round(2), [23000.0, 3341.52])
    assert_array_equal(found.extra["intervened"][0], [1.0, 0.0])
    low, high = found.extra["cost_low_slopes"][0], found.extra["cost_high_slopes"][0]
    assert low > found.extra["cost"][0, 0] > high  # a steeper slope makes the same rise worth more
    assert 0 < found.extra["slopes_valid"][0] < 1


def test_the_salary_of_the_published_example_rises_to_85000() -> None:
    """Karimi et al. (2021): savings are 3/10 of the salary, and the loan needs salary + 5 · savings ≥ 225,000."""
    model = LogisticRegression().fit(np.array([[0.0, 0.0], [9e4, 9e4]]), [0, 1])
    model.coef_, model.intercept_ = np.array([[1.0, 5.0]]), np.array([-225000.0])
    frame = pd.DataFrame({"salary": [75000.0], "savings": [25000.0]})
    given: dict[str, Any] = {"columns": ("salary",), "bounds": {"salary": (0.0, 200000.0)}, "target_label": 1}
    found = explain.counterfactual(assay.case(assay.wrap(model), frame), causes={"savings": [["salary", 0.3]]}, **given)
    assert_allclose(found.extra["x"][0, 0], [85000.0, 28000.0], rtol=1e-9)
    alone = explain.counterfactual(assay.case(assay.wrap(model), frame), **given)
    assert_allclose(alone.extra["x"][0, 0], [100000.0, 25000.0], rtol=1e-9)


@pytest.mark.parametrize("number", range(8))
def test_causes_are_searched_exactly(number: int) -> None:
    x, y = small_problem(number)
    model: Any = RandomForestClassifier(5, max_depth=3, random_state=number).fit(x, y)
    if number >= 6:
        model = LogisticRegression().fit(x, y)
    slope = [0.5, -0.5, 1.0][number % 3]
    found = explain.counterfactual(
        assay.case(assay.wrap(model), x[:4]),
        background=np.vstack([np.zeros(3), np.full(3, LEVELS)]),
        causes={"1": [["0", slope]]},
    )
    for row, own in enumerate(x[:4]):
        best = np.inf
        for target in grid():
            for sets_second in (False, True):
                moved, change = target.copy(), np.abs(target - own)
                if not sets_second:
                    moved[1], change[1] = own[1] + slope * (target[0] - own[0]), 0.0
                if model.predict(moved[None])[0] != model.predict(own[None])[0]:
                    best = min(best, float(change.sum() / LEVELS))
        if np.isfinite(best):
            assert_allclose(found.extra["cost"][row, 0], best, atol=1e-9)
            assert found.extra["valid"][row, 0] == 1
        else:
            assert found.extra["status"][row] == 2
