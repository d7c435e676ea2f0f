"""The same audit for every kind of model and frame."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

import assay
from assay import repair
from assay.auditing.planning.profiles import profile_of
from assay.auditing.planning.scope import AuditScope
from assay.basics.errors import InputError
from assay.engine.cost import cost_of

ROWS = 400


@pytest.fixture(scope="module")
def town():
    """People of three towns; the decision follows age, and town a never gets it."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": generator.integers(18, 80, ROWS),
            "town": pd.Categorical(generator.choice(["a", "b", "c"], ROWS)),
            "income": generator.normal(size=ROWS).round(3),
        }
    )
    return frame, ((frame.age > 40) & (frame.town != "a")).astype(int)


BOOSTED = {
    "xgboost": lambda: XGBClassifier(n_estimators=20, enable_categorical=True, n_jobs=1),
    "lightgbm": lambda: LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype"),
}


@pytest.mark.parametrize("kind", BOOSTED)
def test_boosted_trees_with_categories_show_the_planted_gap_and_what_drives_it(kind, town):
    x, y = town
    model = BOOSTED[kind]().fit(x[:300], y[:300])
    run = assay.audit(model, x[300:], y[300:], train=(x[:300], y[:300]), sensitive=("town",), profile="quick")
    assert run["FAI101"].verdict == "fail"
    assert run["FAI110"].evidence["columns"][0]["name"] == "town"
    assert {f.subject: f.verdict for f in run.all("TRU001")}["shapley"] == "pass"
    assert not run.record.refusals


def piped() -> object:
    coder = make_column_transformer((OneHotEncoder(), ["town", "job"]), remainder="passthrough")
    return make_pipeline(coder, RandomForestClassifier(20, random_state=0))


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "pipeline"])
def test_strings_and_categories_give_the_same_audit_in_pandas_and_polars(kind, town):
    x, y = town
    x = x.assign(job=pd.Categorical(np.random.default_rng(1).choice(["cook", "nurse"], ROWS)))
    model = BOOSTED.get(kind, piped)().fit(x[:300], y[:300])
    both = x if kind in BOOSTED else x.assign(job=x.job.astype(str))  # boosted trees in pandas take categories alone
    frames = both, pl.from_pandas(x).with_columns(pl.col("job").cast(pl.String))
    findings = []
    for frame in frames:
        rows, other = (frame.iloc[300:], frame.iloc[:300]) if frame is both else (frame[300:], frame[:300])
        rows = rows.reset_index(drop=True) if frame is both else rows  # equal ids, so equal random draws
        train = (other, y[:300].to_numpy())
        run = assay.audit(model, rows, y[300:].to_numpy(), train=train, sensitive=("town",), profile="quick")
        findings.append([(f.code, f.subject, f.verdict, f.estimate, f.interval, f.n) for f in run.findings])
    assert len(findings[0]) >= 25
    assert repr(findings[0]) == repr(findings[1])


def test_a_regression_is_audited_without_classes():
    x, y = load_diabetes(as_frame=True, return_X_y=True)
    model = Ridge().fit(x[:300], y[:300])
    run = assay.audit(model, x[300:], y[300:], train=(x[:300], y[:300]), profile="quick")
    assert {finding.verdict for finding in run.all("TRU001")} == {"pass"}
    assert not run.record.rivals
    assert not run.record.certificates


def test_a_net_on_a_table_is_audited_with_gradients():
    x, y = load_wine(return_X_y=True)
    x = x[:, :6]
    net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    run = assay.audit(net, ((x - x.mean(0)) / x.std(0))[:80], y[:80], profile="quick")
    assert {"expected_gradients", "smooth_grad", "shapley"} <= set(run.record.explanations)
    assert run["SAN102"].n == 60
    assert any(note.code == "train-mode" for note in run.record.explanations["shapley"].notes)


def test_a_method_of_unknown_price_enters_no_plan():
    x, y = load_wine(return_X_y=True)
    case = assay.case(assay.wrap(Ridge().fit(x, y)), x[:5])
    setting = AuditScope(case, profile_of("table", "quick"), assay.Constant(0.0), None, None, (), np.arange(5))
    with pytest.raises(InputError, match=r"repair\.smoothing has no cost"):
        cost_of(repair.smoothing.method, setting.case, {})
