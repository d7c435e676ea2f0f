"""How good a regression's values and quantiles are: every metric against scikit-learn, and what each check says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as sk
from sklearn.linear_model import LinearRegression
from tests.diagnose.subjects import giving
from tests.diagnose.subjects import performance_of as found
from xgboost import XGBRegressor

import assay
from assay.basics.errors import InputError


def regression(seed: int, rows: int = 300) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 2))
    return x, 3.0 + x[:, 0] + generator.normal(size=rows)


def test_metrics_of_a_regression_are_scikit_learns() -> None:
    x, y = regression(0)
    fitted = LinearRegression().fit(x[:100], y[:100])
    finding = found(assay.case(assay.wrap(fitted), x[100:]), y[100:])["PER102"]
    predicted, true = fitted.predict(x[100:]), y[100:]
    table = finding.evidence["metrics"]
    assert_allclose(table["R²"]["value"], sk.r2_score(true, predicted))
    assert_allclose(table["RMSE"]["value"], sk.root_mean_squared_error(true, predicted))
    assert_allclose(table["MAE"]["value"], sk.mean_absolute_error(true, predicted))
    assert_allclose(table["MAE"]["constant prediction"], np.abs(true - true.mean()).mean())
    assert finding.verdict == "pass"
    shown = finding.evidence["residuals"]
    assert len(shown) == 200
    assert_allclose(np.mean([line["residual"] for line in shown]), (predicted - true).mean())


def test_a_regression_is_compared_with_the_mean_of_the_training_labels() -> None:
    x, y = regression(1)
    case = assay.case(assay.wrap(lambda t: 3.0 + t[:, 0], output="values"), x)
    squares = ((y - 3.0 - x[:, 0]) ** 2).sum()
    finding = found(case, y, train_labels=[10.0, 12.0])["PER102"]
    assert_allclose(finding.estimate, 1 - squares / ((y - 11.0) ** 2).sum())


def test_a_forecast_is_compared_with_the_previous_value() -> None:
    generator = np.random.default_rng(2)
    walk = np.cumsum(generator.normal(size=401))
    last, y = walk[:-1], walk[1:]
    case = assay.case(assay.wrap(lambda t: 0.9 * t[:, 0], output="values"), last[:, None])
    plain, finding = found(case, y)["PER102"], found(case, y, previous=last)["PER102"]
    assert_allclose(finding.estimate, 1 - ((y - 0.9 * last) ** 2).sum() / ((y - last) ** 2).sum())
    assert (plain.verdict, finding.verdict) == ("pass", "fail")
    assert "the previous value" in finding.claim


@pytest.mark.parametrize(("scale", "verdict"), [(1.0, "pass"), (0.3, "fail")])
def test_quantiles_cover_the_share_that_they_name(scale: float, verdict: str) -> None:
    generator = np.random.default_rng(3)
    y = generator.normal(size=3000)
    limits = np.tile(scale * np.array([-1.2815515655446004, 0.0, 1.2815515655446004]), (3000, 1))
    finding = found(quantiles(limits), y)["PER105"]
    assert finding.verdict == verdict
    shares = [(y <= limits[0, place]).mean() for place in range(3)]
    assert_allclose(finding.estimate, np.abs(np.array(shares) - [0.1, 0.5, 0.9]).max())
    assert_allclose(finding.evidence["share between the lowest and the highest quantile"], shares[2] - shares[0])


def quantiles(limits: Any) -> Any:
    """A case of a model of the quantiles 0.1, 0.5 and 0.9."""
    model = replace(giving(limits, "values").model, output_names=("quantile 0.1", "quantile 0.5", "quantile 0.9"))
    return assay.case(model, np.arange(len(limits), dtype=float)[:, None])


def test_the_quantiles_of_xgboost_are_recognised_by_their_names() -> None:
    x, y = regression(4, 400)
    fitted = XGBRegressor(
        objective="reg:quantileerror", quantile_alpha=[0.1, 0.9], n_estimators=20, max_depth=2, n_jobs=1
    ).fit(x[:200], y[:200])
    findings = found(assay.case(assay.wrap(fitted), x[200:]), y[200:])
    assert findings["PER102"].verdict == "not applicable"
    assert list(findings["PER105"].evidence["coverage"]) == ["quantile 0.1", "quantile 0.9"]
    low, high = fitted.predict(x[200:]).T
    errors = [abs((y[200:] <= low).mean() - 0.1), abs((y[200:] <= high).mean() - 0.9)]
    assert_allclose(findings["PER105"].estimate, max(errors), atol=1e-6)


def test_several_values_a_row_are_to_be_audited_one_by_one() -> None:
    finding = found(giving(np.zeros((30, 2)), "values"), np.arange(30.0))["PER102"]
    assert finding.verdict == "not applicable"
    assert "one_output" in finding.claim


def test_equal_labels_leave_r_squared_undefined() -> None:
    assert found(giving(np.zeros((30, 1)), "values"), np.ones(30))["PER102"].verdict == "not applicable"


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (np.zeros(29), {}),
        (np.full(30, np.nan), {}),
        (["a"] * 30, {}),
        (np.zeros((30, 2)), {}),
        (np.zeros(30), {"previous": np.zeros(29)}),
        (np.zeros(30), {"previous": np.full(30, np.inf)}),
        (np.zeros(30), {"level": 1.0}),
        (np.zeros(30), {"coverage_error": -0.1}),
    ],
)
def test_labels_and_options_that_do_not_fit_are_refused(labels: Any, options: Any) -> None:
    with pytest.raises(InputError):
        found(giving(np.zeros((30, 1)), "values"), labels, **options)
