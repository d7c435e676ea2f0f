"""Scores put to the test on the model at hand: fires on a blind score, silent on sound ones."""

import numpy as np
import pytest

import assay
from assay import diagnose, evaluate, examples, explain
from assay.engine.cost import cost_of
from assay.nouns.catalogue import find


def people(rows: int = 30, weights=(3.0, 2.0, 1.0, 0.5, -1.0, -2.0)) -> assay.Case:
    x = np.random.default_rng(0).normal(size=(rows, len(weights)))
    return examples.linear(weights, x)


def found(case, scores, **options):
    findings = diagnose.score_reliability(case, explain.shapley(case), scores=scores, **options)
    return {(finding.subject, finding.code): finding for finding in findings}


def test_sound_scores_pass_both_tests():
    by_check = found(people(), {"deletion": {}, "faithfulness_correlation": {"draws": 64}})
    assert {finding.verdict for finding in by_check.values()} == {"pass"}
    assert by_check["deletion", "SCO101"].estimate > 0.95
    assert by_check["deletion", "SCO102"].estimate < 0.1


def test_a_score_that_is_blind_on_this_model_fails():
    case = people(weights=(0.0,) * 6)  # nothing matters to the model: no order is better than another
    shapley = explain.shapley(people())
    (reacts, still) = diagnose.score_reliability(case, shapley, scores={"deletion": {}})
    assert reacts.verdict == "fail"
    assert reacts.estimate == pytest.approx(0.5)  # all ties
    assert still.verdict == "not applicable"


def test_a_score_that_reads_noise_fails():
    case = people()
    flat = explain.shapley(case)
    flat = flat.__class__(**{**vars(flat), "values": 1 + 1e-9 * flat.values})
    (_, still) = diagnose.score_reliability(case, flat, scores={"deletion": {}}, noise=5.0)
    assert still.verdict == "fail"


def test_the_figures_are_those_of_the_whole_meta_evaluation():
    case = people()
    by_check = found(case, {"insertion": {}}, draws=3, randoms=5)
    whole = assay.meta_evaluation(evaluate.insertion, explain.shapley(case), case, draws=3, randoms=5)
    assert by_check["insertion", "SCO101"].estimate == whole.reactivity["shuffled"].estimate
    assert by_check["insertion", "SCO102"].estimate == whole.noise_resilience["explanation"][1].estimate


def test_the_cost_is_the_number_of_requested_evaluations():
    case = people(rows=4)
    explanation = explain.shapley(case)
    _ = case.output, case.prediction
    options = {"scores": {"deletion": {}, "insertion": {}}, "draws": 2, "randoms": 3}
    before = case.model.meter.requested
    diagnose.score_reliability(case, explanation, **options)
    assert case.model.meter.requested - before == cost_of(find("diagnose", "score_reliability"), case, options).forwards
