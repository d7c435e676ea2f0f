# SPDX-License-Identifier: Apache-2.0
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

import assay
from assay import certify
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.feature_sets.supersets import count_supersets as _count
from assay.engine.feature_sets.supersets import draw_supersets as _draw
from assay.nouns.inputs.output_kind import OutputKind

ZERO = assay.Constant(0.0)


def parity_case(parts, rows=1, **options):
    """Class 1 where an even number of the parts that are 1 is kept."""

    def scores(x):
        even = ((x > 0.5).sum(axis=1) % 2 == 0).astype(float)
        return np.stack([1 - even, even], axis=1)

    return assay.case(
        assay.model.function(scores, gives="probabilities", name="parity"), np.ones((rows, parts)), **options
    )


def parity_rate(free, radius):
    """Adding an even number of parts keeps the class."""
    counts = [comb(free, j) for j in range(min(radius, free) + 1)]
    return sum(counts[::2]) / sum(counts)


def first(count, parts, rows=1):
    return np.tile(np.arange(parts) < count, (rows, 1))


@pytest.mark.parametrize(("free", "radius"), [(4, 1), (4, 2), (5, 3), (3, 9), (0, 2)])
def test_small_balls_are_enumerated_and_exact(free, radius):
    found = certify.soft_stability(parity_case(free + 2), first(2, free + 2), radius=radius, draws=150, remove=ZERO)
    assert found.extra["exact"].tolist() == [1.0]
    for values in (found.rate_low, found.extra["rate"], found.extra["rate_high"]):
        np.testing.assert_allclose(values, parity_rate(free, radius), rtol=1e-14)


NO_LOG_ODDS = OutputKind("margin", link="none")
DECIDED = {
    "two scores without log odds": (NO_LOG_ODDS, [-3.0, 0.5], [2.0, 0.5]),
    "one score without log odds": (NO_LOG_ODDS, [1.0], [-7.0]),
    "a threshold of a score without log odds": (NO_LOG_ODDS.with_threshold(2.0, of_score=True), [2.5], [1.5]),
    "a threshold of a score with log odds": (OutputKind("margin").with_threshold(2.0, of_score=True), [2.5], [1.5]),
    "a threshold of one of two scores": (OutputKind("logits").with_threshold(2.0, of_score=True), [9, 2.5], [-9, 1]),
}
"""Kinds of outputs, with outputs that decide for class 1 and for class 0."""


def decided_case(kind, one, other, parts):
    """The case of the given outputs where an even number of the parts is kept, and elsewhere."""

    def scores(x):
        even = (x > 0.5).sum(axis=1) % 2 == 0
        return np.where(even[:, None], np.array(one, dtype=float), np.array(other, dtype=float))

    return assay.case(assay.model.function(scores, gives=kind, name="decided"), np.ones((1, parts)), target="decision")


@pytest.mark.parametrize(("kind", "one", "other"), DECIDED.values(), ids=DECIDED)
def test_every_classifier_with_known_decisions_has_a_rate(kind, one, other):
    found = certify.soft_stability(decided_case(kind, one, other, 6), first(2, 6), radius=2, draws=150, remove=ZERO)
    np.testing.assert_allclose(found.rate_low, parity_rate(4, 2))
    assert found.extra["consistent"].tolist() == [1.0]


def test_scores_without_log_odds_are_averaged_over_the_fillings():
    case = assay.case(
        assay.model.function(lambda x: x.sum(axis=1, keepdims=True), gives=NO_LOG_ODDS, name="sum"),
        np.array([[1.0, -2.0]]),
        target="margin",
    )
    remove = assay.Marginal(np.array([[0.0, -1.0], [0.0, -1.0], [0.0, 9.0]]))  # 1 + mean = 10/3; most alone are ≤ 0
    found = certify.soft_stability(case, first(1, 2), radius=1, remove=remove)
    assert found.extra["rate"].tolist() == [0.5]  # {a}: class 1; {a, b}: class 0


def test_the_class_is_that_of_the_models_decision_threshold():
    """Class 1 has probability 0.3 where an even number is kept, else 0.1, and is decided from 0.2 on."""

    def scores(x):
        even = np.where((x > 0.5).sum(axis=1) % 2 == 0, 0.3, 0.1)
        return np.stack([1 - even, even], axis=1)

    kind = OutputKind("probabilities").with_threshold(0.2)
    case = assay.case(assay.model.function(scores, gives=kind, name="low"), np.ones((1, 6)))
    found = certify.soft_stability(case, first(2, 6), radius=2, draws=150, remove=ZERO)
    np.testing.assert_allclose(found.rate_low, parity_rate(4, 2))


def test_the_exact_rate_lies_in_the_interval_as_often_as_stated():
    rows, free, radius = 400, 9, 4
    case = parity_case(free + 1, rows=rows)
    found = certify.soft_stability(case, first(1, free + 1, rows), radius=radius, draws=60, confidence=0.9, remove=ZERO)
    truth = parity_rate(free, radius)
    assert not found.extra["exact"].any()
    covered = int(((found.rate_low <= truth) & (truth <= found.extra["rate_high"])).sum())
    assert stats.binomtest(covered, rows, 0.9, alternative="less").pvalue > 0.01
    assert found.extra["rate"].mean() == pytest.approx(truth, abs=4 * np.sqrt(0.25 / (60 * rows)))


def test_sets_are_drawn_uniformly_over_the_ball():
    chosen, free = np.array([True, False, False, False, False, False]), np.array([False, True, True, True, True, True])
    masks = _draw(chosen, free, 2, 16000, Seed(3))
    assert masks[:, 0].all()
    wanted = {frozenset(s) for size in range(3) for s in combinations(range(1, 6), size)}
    seen = [frozenset((np.flatnonzero(m[1:]) + 1).tolist()) for m in masks]
    assert set(seen) == wanted
    counts = [seen.count(s) for s in wanted]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_ball_saturates_where_all_parts_are_added():
    chosen, free = np.zeros(3, dtype=bool), np.ones(3, dtype=bool)
    masks = _draw(chosen, free, 50, 4000, Seed(0))
    assert stats.chisquare(np.bincount(masks @ [1, 2, 4], minlength=8)).pvalue > 1e-3


def test_balls_too_large_for_floats_are_still_drawn_from():
    chosen, free = np.zeros(5000, dtype=bool), np.ones(5000, dtype=bool)
    masks = _draw(chosen, free, 2500, 20, Seed(1))
    assert np.isinf(_count(5000, 2500))
    assert ((masks.sum(axis=1) > 2300) & (masks.sum(axis=1) <= 2500)).all()


@pytest.mark.parametrize(("free", "radius"), [(10, 1), (20, 5), (64, 3)])
def test_sets_are_counted_right(free, radius):
    assert _count(free, radius) == sum(comb(free, j) for j in range(radius + 1))


def test_a_rate_of_one_supports_only_what_the_draws_allow():
    model = assay.model.function(lambda x: np.tile([1.0, 0.0], (len(x), 1)), gives="probabilities")
    found = certify.soft_stability(
        assay.case(model, np.ones((1, 20))), first(2, 20), radius=9, draws=50, confidence=0.9, remove=ZERO
    )
    np.testing.assert_allclose(found.rate_low, 0.05 ** (1 / 50), rtol=1e-10)
    assert found.extra["rate_high"].tolist() == [1.0]
    assert not found.abstained.any()


def test_streams_follow_ids():
    case = parity_case(14, rows=4, ids=list("abcd"))
    together = certify.soft_stability(case, first(3, 14, 4), radius=6, draws=40, remove=ZERO)
    alone = certify.soft_stability(case.take([2]), first(3, 14), radius=6, draws=40, remove=ZERO)
    assert alone.extra["rate"][0] == together.extra["rate"][2]
    assert len(set(together.extra["rate"].tolist())) > 1


def test_explanations_that_share_free_parts_meet_the_same_random_numbers():
    free = np.array([False] * 3 + [True] * 10)
    other = np.array([False, False, True, *[True] * 10])
    a = _draw(~free, free, 4, 30, Seed(5))
    b = _draw(~other, other, 4, 30, Seed(5))
    assert (a == b)[:, 3:].mean() > 0.85  # independent sets agree on about 55 %


def test_empty_parts_of_a_cut_per_row_are_never_added():
    features = assay.Features(np.array([[0, 1, 2, 3], [0, 0, 1, 1]]), ("a", "b", "c", "d"), per_row=True)
    case = parity_case(4, rows=2, features=features)
    found = certify.soft_stability(case, first(1, 4, 2), radius=1, remove=ZERO)
    assert found.extra["rate"].tolist() == [1 / 4, 1.0]  # row 2 can only add part b, two elements


def test_the_full_inputs_class_is_compared_with_that_of_the_parts_alone():
    found = certify.soft_stability(
        parity_case(5, rows=2), np.stack([first(2, 5)[0], first(3, 5)[0]]), radius=1, remove=ZERO
    )
    assert found.extra["consistent"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"radius": 0}, "must satisfy radius"),
        ({"draws": 0}, "must satisfy radius"),
        ({"confidence": 1.0}, "confidence=1.0 is no level between 0 and 1"),
    ],
)
def test_impossible_options_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        certify.soft_stability(parity_case(3), first(1, 3), remove=ZERO, **wrong)


def test_regressions_are_refused():
    with pytest.raises(CapabilityError, match="needs a classifier"):
        certify.soft_stability(assay.examples.linear(), np.ones((1, 2), dtype=bool), remove=ZERO)


def test_the_statement_names_removal_and_confidence():
    found = certify.soft_stability(parity_case(3), first(1, 3), confidence=0.8, remove=ZERO)
    assert found.confidence == 0.8
    assert any("Constant(0.0)" in text for text in found.assumptions)
