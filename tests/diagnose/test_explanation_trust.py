"""A verdict on every explanation method: fires on the planted fault, silent on the null."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom

import assay
from assay import diagnose, evaluate, examples, explain
from assay.basics.errors import InputError
from assay.diagnose.explanation_trust import conclude
from assay.engine.comparison.criteria import criterion_named, reading
from assay.nouns.results.finding import Finding

RANDOMISED = "parameter_randomisation"
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
    assert found["truth", "TRU001"].claim.startswith("truth: use;")
    assert found["lie", "TRU001"].verdict == "fail"
    assert found["lie", "EXP203"].estimate == pytest.approx(-1.0)
    assert found["lie", "EXP101"].verdict == "fail"


def test_an_order_is_told_as_its_share_of_the_way_from_random_to_the_yardstick():
    case = people()
    best, half, chance = explain.shapley(case), explain.occlusion(case), explain.random(case)
    half = replace(half, values=np.where(np.arange(8) < 4, half.values, 0.0))
    found = judged(case, shapley=best, half=half)

    def gain(score, e):
        one, other = score(e, case).values, score(chance, case).values
        return (other - one if score is evaluate.deletion else one - other).mean()

    for code, score in (("EXP201", evaluate.deletion), ("EXP202", evaluate.insertion)):
        assert found["half", code].estimate == pytest.approx(gain(score, half) / gain(score, best))
        assert found["shapley", code].estimate == pytest.approx(1.0)
        normalised = found["half", code].evidence["normalised scores"]
        assert normalised["random"] == 0.0
        assert normalised["shapley"] == pytest.approx(1.0)
        assert normalised["half"] == pytest.approx(found["half", code].estimate)


def given_gains(**gains):
    """Deletion scores of four rows in which random has 0 and every other explainer gains so much over it."""
    case = people(rows=4)
    score = evaluate.deletion(explain.random(case), case)
    values = {name: -np.asarray(gain) for name, gain in gains.items()} | {"random": np.zeros(4)}  # lower is better
    return {(name, "deletion"): replace(score, values=each) for name, each in values.items()}


def test_the_rows_of_a_normalised_score_are_gains_in_units_of_the_mean_gain_of_the_yardstick():
    scores = given_gains(shapley=[1.0, 2.0, 3.0, np.nan], half=[np.nan, 2.0, 1.0, 5.0])
    found = reading(criterion_named("EXP201"), "half", scores, "shapley")
    assert_allclose(found.rows, [np.nan, 2 / 2.5, 1 / 2.5, np.nan])  # both are defined on the rows in the middle
    assert found.estimate == pytest.approx(1.5 / 2.5) == np.nanmean(found.rows)
    assert (found.n, found.undefined) == (2, 2)


@pytest.mark.parametrize("last", [-6.0, -7.0])
def test_a_yardstick_whose_mean_gain_is_not_above_0_leaves_other_scores_undefined(last):
    scores = given_gains(shapley=[1.0, 2.0, 3.0, last], half=[1.0, 0.0, 2.0, 1.0])
    found = reading(criterion_named("EXP201"), "half", scores, "shapley")
    assert np.isnan(found.estimate)
    assert np.isnan(found.rows).all()
    assert (found.n, found.undefined) == (4, 0)


@pytest.mark.parametrize("name", ["shapley", "half"])
@pytest.mark.parametrize("last", [-3.0, np.nan], ids=["every gain defined", "a gain undefined"])
def test_where_the_yardstick_gains_nothing_only_rows_without_a_gain_are_counted_as_undefined(name, last):
    scores = given_gains(shapley=[1.0, 2.0, -3.0 if np.isnan(last) else 0.0, last], half=[1.0, 0.0, 2.0, 1.0])
    found = reading(criterion_named("EXP201"), name, scores, "shapley")
    assert np.isnan(found.estimate)
    assert (found.n, found.undefined) == (4 - np.isnan(last), np.isnan(last))
    interval = found.basis.at(0.95)
    assert (interval.low, interval.high) == (-np.inf, np.inf)


def test_a_shuffled_explanation_beside_the_yardstick_is_not_to_be_used():
    case = people()
    best = explain.shapley(case)
    shuffled = np.random.default_rng(1).permuted(best.values, axis=1)
    found = judged(case, shapley=best, shuffled=replace(best, values=shuffled))
    assert found["shapley", "TRU001"].evidence["word"] == "use"
    yard = found["shapley", "EXP201"]
    assert "than that of a random ranking (as the reference method, its normalised score is 1)" in yard.claim
    assert yard.interval.low < 1.0 < yard.interval.high  # in the unit that is told
    assert found["shuffled", "TRU001"].evidence["word"] == "do not use"
    assert "not the model" in found["shuffled", "TRU001"].advice
    assert "faithful" in found["shapley", "TRU001"].advice


def test_without_a_ladder_nothing_is_decided_of_an_order():
    case = people()
    chance = [explain.random(replace(case, seed=case.seed.child(name))) for name in "ab"]
    found = judged(case, shapley=chance[0], other=chance[1])
    assert found["other", "EXP201"].verdict == "undecided"
    assert found["other", "TRU001"].evidence["word"] in ("undecided", "do not use")
    if np.isnan(found["other", "EXP201"].estimate):
        assert "does not beat a random ranking" in found["other", "EXP201"].claim


def test_an_undecided_verdict_says_how_many_more_rows_would_decide():
    case = people(rows=4)
    best = explain.shapley(case)
    weak = replace(best, values=np.where(np.arange(8) < 2, best.values, 0.0))
    held = judged(case, shapley=best, weak=weak)
    findings = [replace(f, more=7 if f.code == "EXP201" else None) for f in held.values() if f.code != "TRU001"]
    findings = [replace(f, verdict="undecided") if f.code.startswith("EXP2") else f for f in findings]
    (found,) = conclude(findings, ["weak"])
    assert found.verdict == "undecided"
    assert found.more == 7
    assert "7 more rows" in found.advice


def test_a_faithful_explanation_that_fails_a_test_of_stability_is_to_be_used_with_care():
    held = judged(people(), shapley=explain.shapley(people()))
    shaky = Finding("STA301", "fail", "shapley moves by 3.00 of its own size", "shapley")
    (found,) = conclude([*(f for f in held.values() if f.code != "TRU001"), shaky], ["shapley"])
    assert found.evidence["word"] == "use with care"
    assert found.verdict == "informative"
    assert found.evidence["facts"][0] == "STA301"


def test_a_score_that_is_unreliable_here_decides_nothing_and_is_named():
    case = people()
    truth = explain.shapley(case)
    held = judged(case, shapley=truth, lie=replace(truth, values=-truth.values))
    findings = [f for f in held.values() if f.code != "TRU001"]
    scores = ("deletion", "insertion", "faithfulness_correlation")
    blind = [Finding("SCO101", "fail", f"{score} cannot tell", score) for score in scores]
    best, lie = conclude([*findings, *blind], ["shapley", "lie"])
    assert best.evidence["word"] == lie.evidence["word"] == "undecided"
    assert set(best.evidence["left out"]) == set(scores)
    assert "not used" in best.claim
    one, _ = conclude([*findings, blind[0]], ["shapley", "lie"])
    assert one.evidence["word"] == "use"
    assert one.evidence["left out"] == ["deletion"]


def test_magnitudes_that_outlive_the_weights_ask_for_care_and_signs_that_do_for_another_method():
    case = people()
    truth, chance = explain.shapley(case), explain.random(case)
    made = {n: evaluate.deletion(e, case) for n, e in (("shapley", truth), ("random", chance))}
    scores = {(name, "deletion"): score for name, score in made.items()}

    def lasting(signed, absolute):
        values = {"signed": np.full(30, signed), "absolute": np.full(30, absolute)}
        kept = replace(made["shapley"], values=values["absolute"], extra=values)
        found = diagnose.explanation_trust(case, {"shapley": truth}, {**scores, ("shapley", RANDOMISED): kept})
        return next(f for f in found if f.code == "TRU001").evidence["word"], {f.code for f in found}

    assert lasting(0.0, 0.0) == ("use", {"EXP201", "SAN102", "TRU001"})
    assert lasting(0.0, 0.8)[0] == "use with care"
    assert lasting(0.9, 0.9) == ("do not use", {"EXP201", "SAN102", "TRU001"})
    assert "SAN104" in lasting(0.0, 0.8)[1]


def test_random_values_are_seldom_forbidden():
    failed = 0
    runs = 60
    for seed in range(runs):
        case = people(seed, rows=12)
        noise = explain.random(replace(case, seed=case.seed.child("other")))
        failed += judged(case, noise=noise)["noise", "TRU001"].verdict == "fail"
    assert failed <= binom.ppf(0.999, runs, 0.05)


def test_an_explanation_that_nothing_was_tested_of_is_undecided():
    case = people(rows=4)
    (finding,) = diagnose.explanation_trust(case, {"saliency": explain.saliency(case)}, {})
    assert finding.verdict == "undecided"
    assert "no check could be computed" in finding.claim


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
