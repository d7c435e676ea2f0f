"""Global explanations and surrogates of boosted trees on Californian houses."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.shared import folder

import assay
from assay import explain

pytestmark = pytest.mark.shared

NUMBERS = ["longitude", "latitude", "housing_median_age", "population", "households", "median_income"]


@pytest.fixture(scope="module")
def houses():
    frame = pd.read_csv(folder("california-housing") / "housing.csv").dropna().sample(3000, random_state=0)
    y = frame["median_house_value"].to_numpy() / 1e5
    x = frame[[*NUMBERS, "ocean_proximity"]].reset_index(drop=True)
    encode = ColumnTransformer(
        [("sea", OneHotEncoder(handle_unknown="ignore"), ["ocean_proximity"])],
        remainder="passthrough",
        sparse_threshold=0,
    )
    model = make_pipeline(encode, HistGradientBoostingRegressor(max_iter=60, random_state=0)).fit(x[:2000], y[:2000])
    return assay.wrap(model), x, y


@pytest.fixture(scope="module")
def numeric(houses):
    _, x, y = houses
    model = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(x[NUMBERS][:2000], y[:2000])
    return assay.wrap(model), x[NUMBERS], y


def test_permutation_importance_agrees_with_shuffling(houses):
    from sklearn.inspection import permutation_importance

    model, x, y = houses
    rows, truth = x.iloc[2000:2100], y[2000:2100]
    ours = explain.permutation_importance(assay.case(model, rows, target="loss", label=truth), background=rows).mean()

    class Bare:
        def fit(self):
            return self

        def predict(self, frame):
            return model.values(assay.case(model, frame).rows)[:, 0]

    def loss(bare, frame, y):
        return -mean_squared_error(y, bare.predict(frame))

    theirs = permutation_importance(Bare(), rows, truth, scoring=loss, n_repeats=10, random_state=0)
    assert ours.names[ours.order()[0]] == "median_income"
    # a shuffle leaves one row in n where it is on average, as ours does
    assert np.abs(ours.values - theirs.importances_mean).max() < 4 * theirs.importances_std.max() / np.sqrt(10)


def test_sage_says_what_income_knows_and_adds_up(houses):
    model, x, y = houses
    case = assay.case(model, x.iloc[2000:2100], target="loss", label=y[2000:2100])
    result = explain.sage(case, background=x.iloc[:40])
    mean = result.mean()
    assert mean.names[mean.order()[0]] == "median_income"
    np.testing.assert_allclose(result.residual, 0.0, atol=1e-9)
    assert 0 < result.extra["convergence"][0] < 0.3


def test_partial_dependence_of_income_rises_and_the_sea_is_told_by_name(houses):
    model, x, _ = houses
    result = explain.partial_dependence(assay.case(model, x.iloc[2000:2010]), background=x.iloc[:100], points=8)
    curve = result.extra["curve"][0, NUMBERS.index("median_income"), :8]
    assert curve[-1] - curve[0] > 0.8
    assert "INLAND" in result.description[0]
    assert result.provenance.cost["forwards"] > 0


def test_ice_and_partial_dependence_agree_on_their_own_rows(houses):
    model, x, _ = houses
    rows = x.iloc[2000:2030]
    lines = explain.ice(assay.case(model, rows), background=rows, points=5).extra["lines"]
    curve = explain.partial_dependence(assay.case(model, rows), background=rows, points=5).extra["curve"][0]
    np.testing.assert_allclose(lines.mean(axis=0), curve, atol=1e-9)


def test_ale_of_the_place_is_steeper_than_partial_dependence(numeric):
    """Longitude and latitude go together along the coast: apart, they make houses in the sea or the desert."""
    model, x, _ = numeric
    case = assay.case(model, x.iloc[2000:2050])
    local = explain.ale(case, background=x.iloc[:1000], bins=15, pairs=[("longitude", "latitude")])
    apart = explain.partial_dependence(case, background=x.iloc[:100])
    place = NUMBERS.index("median_income")
    assert np.corrcoef(local.values[:, place], apart.values[:, place])[0, 1] > 0.97
    assert np.abs(local.extra["joint"]).mean() > 0.05
    assert local.provenance.cost["forwards"] <= (1 + 2 * 6 + 4) * 1000 + 50


def test_a_deeper_tree_tells_more_and_rules_are_readable(houses):
    model, x, _ = houses
    case = assay.case(model, x.iloc[2000:2020])
    shallow, deep = (
        explain.surrogate_tree(case, background=x.iloc[:1500], depth=d).extra["fidelity"][0] for d in (2, 6)
    )
    assert 0.4 < shallow < deep < 1
    listed = explain.surrogate_rules(case, background=x.iloc[:1500])
    assert 0.3 < listed.extra["fidelity"][0] < deep
    assert any("median_income" in line for line in listed.description)
    assert [note.code for note in listed.notes] == ["unfaithful"]


def test_lime_on_houses_is_steadier_with_more_masks(houses):
    model, x, _ = houses
    case = assay.case(model, x.iloc[2000:2010])
    remove = assay.Marginal(x.iloc[:20])
    few, all_ = (explain.lime(case, remove=remove, budget=budget).extra["stability"] for budget in (60, 128))
    np.testing.assert_array_equal(all_, 1.0)
    assert (few[np.isfinite(few)] <= 1).all()
    assert np.nanmean(few) > 0.3


def test_leaving_one_out_is_not_the_shapley_value_where_columns_stand_in(houses):
    model, x, _ = houses
    case, remove = assay.case(model, x.iloc[2000:2020]), assay.Marginal(x.iloc[:30])
    one, fair = explain.leave_one_out(case, remove=remove), explain.shapley(case, remove=remove)
    assert np.corrcoef(one.values.ravel(), fair.values.ravel())[0, 1] > 0.8
    assert np.abs(one.values - fair.values).max() > 0.05
