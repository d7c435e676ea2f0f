"""Views of the model: explanations that an audit shows and does not judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.report.extreme_records import empty

import assay
from assay import explain
from assay.auditing.audit import prepare
from assay.auditing.planning.views import ROWS, VIEW
from assay.report.audit.page import render
from assay.report.audit.views import CURVES, draw_views

G = np.random.default_rng(0)
X = G.normal(size=(160, 4))
Y = (X[:, 0] - X[:, 1] > 0).astype(int)
MODEL = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X[:80], Y[:80])
NAMES = {
    "permutation_importance", "partial_dependence", "ale", "tree_interactions", "surrogate_rules", "reason_codes",
    "local_slopes",
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return assay.audit(
        MODEL, X[80:], Y[80:], train=(X[:80], Y[:80]), profile="standard", methods=["shapley"], scores=["deletion"]
    )


def test_a_standard_audit_of_a_table_shows_its_views(run):
    assert set(run.record.views) == NAMES
    assert not [refusal for refusal in run.record.refusals if VIEW in refusal.method]
    assert not set(run.record.views) & set(run.record.explanations)


def test_curves_are_about_the_last_of_two_classes_and_importance_about_the_true_one(run):
    views = run.record.views
    case = assay.case(assay.wrap(MODEL), X[80:], label=1)
    background = views["partial_dependence"].provenance.options["background"]
    found = explain.partial_dependence(case, background=background)
    assert_allclose(views["partial_dependence"].values, found.values)
    importance = views["permutation_importance"]
    truth = assay.case(assay.wrap(MODEL), X[80:], label=Y[80:].tolist()).with_target("probability")
    assert_allclose(importance.values, explain.permutation_importance(truth, background=background).values)
    assert importance.values[:, 0].mean() < 0  # the probability of the true class falls without the column
    assert len(views["reason_codes"].ids) == ROWS


def test_a_view_that_needs_labels_is_left_out_without_them_and_costs_are_planned():
    steps = prepare(MODEL, X[80:], train=(X[:80], Y[:80]), profile="standard").plan
    names = {step.method for step in steps.steps if step.subject == VIEW}
    assert names == NAMES - {"permutation_importance"}
    assert any(item.what.startswith("explain.permutation_importance") for item in steps.skipped)
    assert all(
        step.cost.forwards > 0 for step in steps.steps if step.subject == VIEW and step.method != "tree_interactions"
    )


def test_the_terms_of_an_additive_model_are_shown_and_of_no_other_model():
    linear = LogisticRegression().fit(X[:80], Y[:80])
    audited = assay.audit(linear, X[80:], Y[80:], profile="standard", methods=["occlusion"], scores=["deletion"])
    shown = audited.record.views["additive_terms"]
    case = assay.case(assay.wrap(linear), X[80:], label=1)
    assert_allclose(shown.values, explain.additive_terms(case).values)
    steps = prepare(MODEL, X[80:], Y[80:], profile="standard").plan.steps
    assert "additive_terms" not in {step.method for step in steps}


def test_selected_checks_leave_the_views_out():
    selected = prepare(MODEL, X[80:], Y[80:], profile="standard", select=["PER"]).plan
    assert not [step for step in selected.steps if step.subject == VIEW]


def test_a_regression_has_views_of_its_loss():
    y = X[:, 0] * 2 + X[:, 1]
    model = LinearRegression().fit(X[:80], y[:80])
    run = assay.audit(
        model, X[80:], y[80:], train=(X[:80], y[:80]), profile="standard", methods=["shapley"], scores=["deletion"]
    )
    assert run.record.views["permutation_importance"].mean().values[0] > 1  # the squared error rises
    assert "reason_codes" not in run.record.views


def test_the_page_draws_the_views_and_prints_the_rules(run):
    page = render(run.record).split('<section id="views"')[1].split("</section>")[0]
    for name in NAMES:
        assert name.replace("_", " ") in page
    assert run.record.views["surrogate_rules"].description[0][:40] in page.replace("&#34;", '"')
    curves = next(view for view in draw_views(run.record).shown if view.method == "partial_dependence")
    assert curves.picture.count("probability of 1</text>") == CURVES
    assert draw_views(empty()).shown == ()


def test_views_beyond_the_space_of_the_page_are_named(run, monkeypatch):
    monkeypatch.setattr("assay.report.audit.views.BUDGET", 10)
    found = draw_views(run.record)
    assert {view.method for view in found.shown} == {"surrogate_rules", "reason_codes", "local_slopes"}
    assert set(found.left_out) == NAMES - {"surrogate_rules", "reason_codes", "local_slopes"}
    assert "Left out to limit the size" in render(replace(run.record))


def test_the_page_says_how_far_the_explanations_agree():
    run = assay.audit(
        MODEL, X[80:], Y[80:], profile="quick", methods=["shapley", "occlusion"], scores=["deletion"], select=["TRU"]
    )
    found = run.record.agreement
    assert found.methods == ("shapley", "occlusion")
    expected = assay.agreement({name: run.record.explanations[name] for name in found.methods}, k=4)
    assert_allclose(found.mean("spearman"), expected.mean("spearman"))
    page = render(run.record).split('<section id="methods"')[1].split("</section>")[0]
    assert f"{expected.mean('spearman')[1, 0]:.2f}</td>" in page
    alone = assay.audit(
        MODEL, X[80:], Y[80:], profile="quick", methods=["shapley"], scores=["deletion"], select=["TRU"]
    )
    assert alone.record.agreement is None


def test_the_page_says_up_to_where_a_tangent_describes_the_model(run):
    view = run.record.views["local_slopes"]
    assert len(view.ids) == ROWS
    page = render(run.record).split('<section id="views"')[1].split("</section>")[0]
    assert view.description[0] in page
    assert all(f"{radius:>12}  " in page for radius in ("0.1 sd", "0.3 sd", "1 sd"))
    assert view.extra["slopes"].shape == (3, ROWS, 4)


def test_local_slopes_of_coded_columns_or_without_a_ball_are_left_out_with_the_reason():
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0, "x", "y")})
    columns = make_column_transformer((OneHotEncoder(), ["b"]), remainder="passthrough")
    coded = make_pipeline(columns, RandomForestClassifier(3, random_state=0)).fit(frame, Y)
    plan = prepare(coded, frame, Y, profile="standard").plan
    assert "local_slopes" not in {step.method for step in plan.steps}
    assert [item.enable for item in plan.skipped if "local_slopes" in item.what] == ["ball=assay.Ball('linf', …)"]
