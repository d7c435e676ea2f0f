"""A verdict on every explanation method: fires on the planted fault, silent on the null."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

import assay
from assay import diagnose, evaluate, examples, explain
from assay.words.errors import InputError

SCORES = ("deletion", "insertion", "faithfulness_correlation", "completeness")


def people(seed: int = 0, rows: int = 30) -> assay.Case:
    x = np.random.default_rng(seed).normal(size=(rows, 8))
    return examples.linear(tuple(np.linspace(-2, 2, 8)), x, seed=seed)


def judged(case, **candidates):
    everyone = {**candidates, "random": explain.random(case)}
    scores = {
        (name, score): getattr(evaluate, score)(e, case)
        for name, e in everyone.items()
        for score in SCORES
        if score != "completeness" or np.isfinite(e.base).all()
    }
    findings = diagnose.explanation_trust(case, candidates, scores)
    return {(finding.subject, finding.code): finding for finding in findings}


def test_the_truth_is_to_be_used_and_its_reverse_is_not():
    case = people()
    truth = explain.shapley(case)
    found = judged(case, truth=truth, lie=replace(truth, values=-truth.values))
    assert found["truth", "TRU001"].verdict == "pass"
    assert found["truth", "TRU001"].claim.startswith("use truth")
    assert found["lie", "TRU001"].verdict == "fail"
    assert found["lie", "EXP203"].estimate == pytest.approx(-1.0)
    assert found["lie", "EXP101"].verdict == "fail"


def test_a_gain_over_random_order_is_the_paired_difference_of_the_scores():
    case = people()
    values, chance = explain.shapley(case), explain.random(case)
    found = judged(case, truth=values)
    lower = evaluate.deletion(chance, case).values - evaluate.deletion(values, case).values
    higher = evaluate.insertion(values, case).values - evaluate.insertion(chance, case).values
    assert found["truth", "EXP201"].estimate == pytest.approx(lower.mean())
    assert found["truth", "EXP202"].estimate == pytest.approx(higher.mean())


def test_random_values_are_seldom_forbidden():
    failed = 0
    runs = 60
    for seed in range(runs):
        case = people(seed, rows=12)
        noise = explain.random(replace(case, seed=case.seed.child("other")))
        failed += judged(case, noise=noise)["noise", "TRU001"].verdict == "fail"
    assert failed <= binom.ppf(0.999, runs, 0.05)


def test_an_explanation_that_nothing_was_tested_of_is_to_be_used_with_care():
    case = people(rows=4)
    (finding,) = diagnose.explanation_trust(case, {"saliency": explain.saliency(case)}, {})
    assert finding.verdict == "undecided"
    assert "nothing could be tested" in finding.claim


def test_intervals_of_one_explanation_hold_together():
    case = people()
    found = judged(case, truth=explain.shapley(case))
    assert found["truth", "EXP201"].interval.level == pytest.approx(1 - 0.05 / 4)


def test_a_score_that_needs_the_random_reference_says_so():
    case = people(rows=4)
    e = explain.saliency(case)
    with pytest.raises(InputError, match="reference 'random'"):
        diagnose.explanation_trust(case, {"saliency": e}, {("saliency", "deletion"): evaluate.deletion(e, case)})


def test_rows_without_a_score_are_counted_and_left_out():
    case = people()
    truth = explain.shapley(case)
    flat = replace(truth, values=np.where(np.arange(30)[:, None] < 3, 1.0, truth.values))
    finding = judged(case, flat=flat)["flat", "EXP203"]
    assert finding.n == 27
    assert finding.evidence["rows undefined"] == 3
