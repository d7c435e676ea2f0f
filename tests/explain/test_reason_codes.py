"""Reason codes: the table a lender prints."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from tests.explain.lending import german

import assay
from assay import explain
from assay.basics.errors import InputError

COLUMNS = ["income", "debts", "age"]
SLOPES = np.array([1.0, -2.0, 0.1])


def lender():
    """A score of three columns: granted above 0."""

    def score(frame):
        value = np.asarray(frame, dtype=float) @ SLOPES
        return np.column_stack([-value, value])

    return assay.model.function(score, gives="logits", classes=["refused", "granted"], columns=COLUMNS)


def people():
    """One who is refused for debts and a low income, and one who is granted; twenty to compare with."""
    two = pd.DataFrame([[1.0, 3.0, 40.0], [9.0, 0.0, 50.0]], columns=COLUMNS)
    others = pd.DataFrame({"income": np.full(20, 6.0), "debts": np.full(20, 1.0), "age": np.linspace(30, 50, 20)})
    return two, others


def test_the_table_names_what_lowers_the_score_most():
    two, others = people()
    case = assay.case(lender(), two, label="granted", ids=["Ann", "Bob"])
    found = explain.reason_codes(case, comparison=others, actionable=["debts"], group="those granted")
    assert_allclose(found.values, SLOPES * (two.to_numpy() - others.to_numpy().mean(axis=0)), atol=1e-9)
    assert found.extra["reasons"].tolist() == [[0, 1, -1], [-1, -1, -1]] or found.extra["reasons"][0, 0] == 0
    lines = found.description
    assert lines[0].startswith("row Ann: not granted (logit -1")
    assert "mean of those granted 8" in lines[0]
    assert lines[1].startswith("  1. income = 1: -5 [-5, -5]; not in the applicant")
    assert lines[2].startswith("  2. debts = 3: -4 [-4, -4]; can be changed")
    assert lines[-1].startswith("row Bob: granted")
    assert lines[-1].endswith("No adverse decision.")


def test_a_reason_whose_interval_includes_0_is_open():
    two, others = people()
    young = two.assign(age=39.9)
    found = explain.reason_codes(assay.case(lender(), young.iloc[:1], label="granted"), comparison=others)
    (line,) = [line for line in found.description if "age" in line]
    assert line.endswith("; open")
    assert found.extra["high"][0, 2] >= 0 > found.values[0, 2]


def test_a_row_has_no_more_reasons_than_features_below_0():
    two, others = people()
    found = explain.reason_codes(assay.case(lender(), two, label="granted"), comparison=others, top=1)
    assert found.extra["reasons"].tolist() == [[0.0], [-1.0]]
    assert len(found.description) == 3


def test_unknown_columns_cannot_be_actionable():
    two, others = people()
    with pytest.raises(InputError, match=r"actionable=\['shoes'\].*income, debts, age"):
        explain.reason_codes(assay.case(lender(), two, label="granted"), comparison=others, actionable=["shoes"])


def test_a_refused_applicant_of_german_credit_gets_four_reasons():
    x, good = german()
    model = assay.wrap(LogisticRegression(max_iter=5000).fit(x[:800], good[:800]))
    case = assay.case(model, x[800:], target="log_odds", label=1)
    refused = case.take(np.flatnonzero(case.output < 0)[:5])
    granted = x[:800][model.forward(assay.case(model, x[:800]).rows)[:, 1] > 0.5]
    found = explain.reason_codes(refused, comparison=granted[:200])
    assert (found.extra["reasons"][:, 0] >= 0).all()
    for values, reasons in zip(found.values, found.extra["reasons"].astype(int)):
        kept = reasons[reasons >= 0]
        assert (values[kept] < 0).all()
        assert values[kept].max() <= np.sort(values)[: len(kept)].max() + 1e-12
    assert_allclose(found.residual, 0.0, atol=1e-9)


def test_missing_numbers_stay_missing_in_the_comparison():
    """A frame with gaps, for a model that takes them: marks, folds and the table cope."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    generator = np.random.default_rng(0)
    x = pd.DataFrame(generator.normal(size=(200, 3)), columns=COLUMNS)
    x.loc[::5, "debts"] = np.nan
    y = np.where(x["income"] - x["debts"].fillna(0) > 0, "granted", "refused")
    model = assay.wrap(HistGradientBoostingClassifier(max_iter=10).fit(x, y))
    case = assay.case(model, x.iloc[:6], label="granted", target="log_odds")
    found = explain.reason_codes(case, comparison=x.iloc[50:90])
    exact = explain.tree_shapley(case, background=x.iloc[50:90])
    assert_allclose(found.values, exact.values, atol=1e-9)
    assert any("debts = " in line for line in found.description)
