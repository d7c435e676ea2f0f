# SPDX-License-Identifier: Apache-2.0
"""The effect of removing top features: linear models by hand, known shares of a ball, and coverage."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import assay
from assay import certify, explain
from assay.basics.errors import CapabilityError, InputError

ZERO = assay.Constant(0.0)


def linear_case(weights, x, **options):
    weights = np.asarray(weights, dtype=float)
    model = assay.model.function(lambda rows: rows @ weights, gives="values", fingerprint=str(weights.tolist()))
    return assay.case(model, np.asarray(x, dtype=float), **options)


def test_the_drop_of_a_linear_model_is_the_share_of_its_largest_terms():
    generator = np.random.default_rng(0)
    weights, x = generator.uniform(0.1, 2, 10), generator.uniform(0.1, 1, size=(6, 10))
    case = linear_case(weights, x)
    found = certify.removal_effect(explain.shapley(case, remove=ZERO), case, share=0.25, effect=0.5, remove=ZERO)
    terms = -np.sort(-weights * x, axis=1)
    assert_allclose(found.drop, terms[:, :3].sum(axis=1) / terms.sum(axis=1))
    np.testing.assert_array_equal(found.extra["holds"], found.drop >= 0.5)
    assert found.guarantee == "exact"
    assert (found.control["drop"] <= found.drop + 1e-12).all()
    hits = int(found.extra["holds"].sum())
    wanted = stats.beta.ppf(0.05, hits, 6 - hits + 1) if hits else 0.0
    assert_allclose(found.extra["share_low"], [wanted])


def test_a_negative_target_is_compared_by_its_size_and_a_target_of_zero_is_undefined():
    case = linear_case([1.0, 1.0], [[-3.0, -1.0], [1.0, -1.0]], ids=["below", "zero"])
    found = certify.removal_effect(explain.shapley(case, remove=ZERO), case, share=0.5, remove=ZERO)
    assert found.drop[0] == -0.25  # without −1 the target rises from −4 to −3
    assert np.isnan(found.drop[1])
    assert found.abstained.tolist() == [False, True]
    assert next(note for note in found.notes if note.code == "undefined").rows == ("zero",)


def test_the_share_of_a_ball_is_covered_as_often_as_stated():
    """f = a + b without a: the drop is a/(a + b), at least ½ where a ≥ b: half of the ball around (1, 1)."""
    rows = 400
    case = linear_case([1.0, 1.0], np.ones((rows, 2)))
    values = explain.shapley(case, remove=ZERO)
    found = certify.removal_effect(
        values, case, share=0.5, effect=0.5, ball=assay.Ball("linf", 0.3), draws=50, confidence=0.9, remove=ZERO
    )
    missed = int((found.share_low > 0.5).sum())
    assert stats.binomtest(missed, rows, 0.1, alternative="greater").pvalue > 0.01
    assert missed > 0
    assert found.share_low.mean() > 0.35
    assert found.guarantee == "probabilistic"


def test_where_it_always_holds_the_share_is_what_the_draws_allow():
    case = linear_case([5.0, 0.1], np.ones((2, 2)))
    found = certify.removal_effect(
        explain.shapley(case, remove=ZERO),
        case,
        share=0.5,
        effect=0.5,
        ball=assay.Ball("l2", 0.1),
        draws=40,
        remove=ZERO,
    )
    assert_allclose(found.share_low, 0.05 ** (1 / 40))


def test_a_row_has_the_same_share_alone():
    case = linear_case([1.1, 1.0, 1.0], np.ones((3, 3)), ids=list("abc"))
    values = explain.shapley(case, remove=ZERO)
    options = {"share": 0.3, "effect": 0.35, "ball": assay.Ball("linf", 0.5), "draws": 30, "remove": ZERO}
    together = certify.removal_effect(values, case, **options)
    alone = case.take([1])
    one = certify.removal_effect(explain.shapley(alone, remove=ZERO), alone, **options)
    assert one.share_low[0] == together.share_low[1]


@pytest.mark.parametrize("ball", [None, assay.Ball("linf", 0.1)], ids=["rows", "ball"])
def test_evaluations_are_those_declared(ball):
    from assay.engine.cost import cost_of

    case = linear_case(np.arange(1.0, 5.0), np.ones((3, 4)))
    values = explain.occlusion(case, remove=ZERO)
    options = {"ball": ball, "draws": 6, "remove": assay.Marginal(np.zeros((2, 4)))}
    meter, _ = case.model.meter, case.output
    before = meter.requested
    certify.removal_effect(values, case, **options)
    assert meter.requested - before <= cost_of(certify.removal_effect.method, case, options).forwards
    assert meter.requested > before


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.5}, {"effect": float("nan")}, {"draws": 0}])
def test_impossible_options_are_refused(wrong):
    case = linear_case([1.0, 2.0], np.ones((2, 2)))
    with pytest.raises(InputError):
        certify.removal_effect(explain.shapley(case, remove=ZERO), case, remove=ZERO, **wrong)


def test_texts_and_categories_have_no_ball():
    from tests.contract.subjects import loan_pipeline, mixed

    case = mixed()
    remove = assay.Marginal(loan_pipeline()[0].iloc[20:22])
    values = explain.occlusion(case, remove=remove)
    found = certify.removal_effect(values, case, share=0.3, remove=remove)
    assert np.isfinite(found.drop).all()
    with pytest.raises(CapabilityError, match="numeric inputs"):
        certify.removal_effect(values, case, share=0.3, remove=remove, ball=assay.Ball("linf", 0.1))
