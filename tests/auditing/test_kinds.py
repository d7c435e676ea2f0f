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
from assay.auditing.plan import Setting, price_of
from assay.auditing.profile import PROFILES
from assay.words.errors import InputError

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
    "xgboost": lambda: XGBClassifier(n_estimators=20, enable_categorical=True),
    "lightgbm": lambda: LGBMClassifier(n_estimators=20, verbose=-1),
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


def test_text_columns_go_through_a_pipeline_alike_in_pandas_and_polars(town):
    x, y = town[0].assign(town=town[0].town.astype(str)), town[1].to_numpy()
    runs = []
    for frame in (x, pl.from_pandas(x)):
        encoder = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
        model = make_pipeline(encoder, RandomForestClassifier(20, random_state=0)).fit(frame[:300], y[:300])
        runs.append(assay.audit(model, frame[300:], y[300:], sensitive=("town",), profile="quick"))
    ours, other = ([(f.code, f.subject, f.verdict, f.estimate) for f in run.findings] for run in runs)
    assert [line[:3] for line in ours] == [line[:3] for line in other]
    np.testing.assert_array_equal([line[3] for line in ours], [line[3] for line in other])


def test_a_regression_is_audited_without_classes():
    x, y = load_diabetes(as_frame=True, return_X_y=True)
    model = Ridge().fit(x[:300], y[:300])
    run = assay.audit(model, x[300:], y[300:], train=(x[:300], y[:300]), profile="quick")
    assert {finding.verdict for finding in run.all("TRU001")} == {"pass"}
    assert not run.record.rivals
    assert not run.record.certificates


def test_a_net_on_a_table_is_audited_with_gradients():
    x, y = load_wine(return_X_y=True)
    net = torch.nn.Sequential(torch.nn.Linear(13, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    run = assay.audit(net, ((x - x.mean(0)) / x.std(0))[:80], y[:80], profile="quick")
    assert {"expected_gradients", "smooth_grad", "shapley"} <= set(run.record.explanations)
    assert run["SAN102"].n == 60
    assert any(note.code == "train-mode" for note in run.record.explanations["shapley"].notes)


def test_a_method_of_unknown_price_enters_no_plan():
    x, y = load_wine(return_X_y=True)
    asked = assay.case(assay.wrap(Ridge().fit(x, y)), x[:5])
    setting = Setting(asked, PROFILES["table", "quick"], assay.Constant(0.0), None, None, ())
    with pytest.raises(InputError, match="no price is known for smoothing"):
        price_of(repair.smoothing.method, setting)
