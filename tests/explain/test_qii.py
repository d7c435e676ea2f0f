"""Quantitative input influence: closed forms of linear models, decisions, groups, and its error."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from tests.explain.lending import SLOPES, applicants, german, scored

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.engine.coalitions.quantitative_input_influence import index_estimator
from assay.nouns.inputs.features import groups


@pytest.mark.parametrize("index", ["shapley", "banzhaf", "unary"])
def test_on_a_linear_score_it_is_the_distance_from_the_comparison_groups_mean(index):
    x, other = applicants(1, 5), applicants(2, 40)
    found = explain.qii(assay.case(scored(), x), comparison=other, index=index)
    assert_allclose(found.values, SLOPES * (x - other.mean(axis=0)), atol=1e-12)
    spread = np.abs(SLOPES) * other.std(axis=0, ddof=1) / np.sqrt(40)  # of the group's mean, as a sample
    assert_allclose(np.median(found.stderr / spread), 1.0, atol=0.5)
    assert ((found.extra["low"] < found.values) & (found.values < found.extra["high"])).all()


def test_the_interval_covers_the_influence_against_the_population():
    """Comparison groups drawn from a population: the interval holds the population's influence as often as said."""
    x, everyone = applicants(3, 1), applicants(4, 4000)
    case, truth = assay.case(scored(), x), SLOPES * (x - everyone.mean(axis=0))
    hits = []
    for draw in range(200):
        other = everyone[np.random.default_rng(draw).choice(4000, 60, replace=False)]
        found = explain.qii(case, comparison=other, index="unary")
        hits.append((found.extra["low"] <= truth) & (truth <= found.extra["high"]))
    assert 0.92 <= np.mean(hits) <= 0.98


def test_what_keeps_a_decision():
    """In is who is above 0: the row is, by its first part alone; half of the others have −1 there."""

    def rule(x):
        return np.stack([-x[:, 0], x[:, 0]], axis=1)

    model = assay.model.function(rule, gives="logits", classes=["out", "in"])
    case = assay.case(model, np.array([[1.0, 5.0]]), target="decision", label="predicted")
    other = np.array([[1.0, 0.0], [-1.0, 0.0]] * 10)
    found = explain.qii(case, comparison=other, index="unary")
    assert_allclose(found.values, [[0.5, 0.0]])
    assert_allclose(found.output, 1.0)


def test_a_group_of_columns_is_one_feature():
    x, other = applicants(5, 4), applicants(6, 30)
    cut = groups({"both": ["a", "b"]}, ["a", "b", "c"])
    found = explain.qii(assay.case(scored(), x, features=cut), comparison=other, index="unary")
    moved = SLOPES * (x - other.mean(axis=0))
    assert_allclose(found.values, np.column_stack([moved[:, :2].sum(axis=1), moved[:, 2]]), atol=1e-12)


def test_values_add_up_to_the_gap_between_groups():
    x, other = applicants(7, 30), applicants(8, 20)
    members = x[:, 0] > 0
    found = explain.qii(assay.case(scored(), x), comparison=other)
    gap = found.gap(members)
    assert_allclose(gap.values.sum(), found.output[members].mean() - found.output[~members].mean(), atol=1e-12)
    assert_allclose(gap.values, SLOPES * (x[members].mean(axis=0) - x[~members].mean(axis=0)), atol=1e-12)
    assert ((gap.low <= gap.values) & (gap.values <= gap.high)).all()


def test_too_few_rows_to_compare_with_are_refused():
    with pytest.raises(InputError, match=r"folds=10 of a comparison group of 4 rows"):
        explain.qii(assay.case(scored(), applicants(1, 2)), comparison=applicants(2, 4))
    with pytest.raises(InputError, match=r"index='both'; there are shapley"):
        index_estimator("both", 3, 64)


def test_the_values_depend_on_the_comparison_group():
    """German credit: against those approved, and against all, the same score rests on columns by other amounts."""
    x, good = german()
    model = assay.wrap(LogisticRegression(max_iter=5000).fit(x, good))
    case = assay.case(model, x[:3], target="log_odds", label=1)
    granted = model.forward(assay.case(model, x).rows)[:, 1] > 0.7
    against_all = explain.qii(case, comparison=x[100:300])
    against_granted = explain.qii(case, comparison=x[100:300][granted[100:300]])
    assert against_granted.base.mean() > against_all.base.mean() + 0.2
    assert np.abs(against_all.values - against_granted.values).max() > 0.1
    of_decision = explain.qii(case.with_target("decision", 1), comparison=x[100:300])
    assert_allclose(of_decision.residual, 0.0, atol=1e-9)
    assert np.abs(of_decision.values).max() <= 1.0
