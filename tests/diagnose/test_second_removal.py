"""The reference explanation is judged under a removal that it was not computed with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import assay
from assay import diagnose, evaluate, explain
from assay.basics.errors import InputError
from assay.diagnose.explanation_trust import conclude
from assay.nouns.results.finding import Finding

X = np.random.default_rng(0).normal(size=(60, 5))
CASE = assay.case(assay.wrap(lambda x: x @ np.array([4.0, 2.0, 1.0, 0.5, 0.0]), output="values"), X)
SECOND = assay.Constant(0.0)


def shapley():
    return explain.shapley(CASE, remove=assay.Marginal(X[:10]))


def test_the_estimate_is_the_share_of_random_rankings_that_score_worse():
    explanation = shapley()
    (found,) = diagnose.second_removal(CASE, explanation, second=SECOND, draws=2)
    own = evaluate.deletion(explanation, CASE, remove=SECOND).values
    sign = -1 if evaluate.deletion(explanation, CASE, remove=SECOND).better == "lower" else 1
    rates = np.zeros(len(X))
    for draw in range(2):
        drawn = explain.random(replace(CASE, seed=CASE.seed.child("second removal", str(draw))))
        other = evaluate.deletion(drawn, CASE, remove=SECOND).values
        rates += np.where(sign * own > sign * other, 1.0, np.where(own == other, 0.5, 0.0)) / 2
    assert_allclose(found.estimate, rates.mean())
    assert (found.code, found.subject, found.n, found.null) == ("EXP204", "shapley", 60, 0.5)
    assert found.verdict == "pass"


def test_a_ranking_that_is_reversed_fails_and_a_random_one_does_not_pass():
    good = shapley()
    (reversed_one,) = diagnose.second_removal(CASE, replace(good, values=-good.values), second=SECOND)
    assert reversed_one.verdict == "fail"
    noise = np.random.default_rng(1).normal(size=good.values.shape)
    (random_one,) = diagnose.second_removal(CASE, replace(good, values=noise), second=SECOND)
    assert random_one.verdict != "pass"


def test_the_reference_is_not_judged_by_the_score_whose_unit_it_defines():
    ranking = Finding("EXP201", "pass", "shapley: 1", "shapley")
    for verdict, word in (("pass", "pass"), ("undecided", "undecided"), ("fail", "fail")):
        (found,) = conclude([ranking, Finding("EXP204", verdict, "shapley: 0.9", "shapley")], ["shapley"])
        assert found.verdict == word
    (without,) = conclude([ranking], ["shapley"])
    assert without.verdict == "pass"


@pytest.mark.parametrize(
    ("options", "message"), [({"score": "sparseness"}, "an ordered score"), ({"draws": 0}, "draws=0")]
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        diagnose.second_removal(CASE, shapley(), second=SECOND, **options)


def test_an_audit_judges_its_reference_under_another_removal():
    model = assay.wrap(lambda x: x @ np.array([4.0, 2.0, 1.0, 0.5, 0.0]), output="values")
    run = assay.audit(model, X, profile="standard", select=["EXP", "TRU"])
    assert run["EXP204"].subject == "shapley"
    assert run["EXP204"].verdict == "pass"
    assert "EXP204" in next(f for f in run.all("TRU001") if f.subject == "shapley").evidence["facts"]


def test_rankings_that_score_the_same_count_half():
    equal = assay.case(assay.wrap(lambda x: x.sum(axis=1), output="values"), np.ones((30, 4)))
    same = explain.shapley(equal, remove=assay.Constant(0.0))
    (tied,) = diagnose.second_removal(equal, same, second=SECOND)
    assert (tied.estimate, tied.n) == (0.5, 30)
