# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from tests.oracles import mus as oracle

import assay
from assay import certify
from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.engine.feature_sets.certified_radius import certified_radius as _radius
from assay.engine.feature_sets.smoothed_scores import smoothed_scores
from assay.model.transformations.frozen_masks import QuantisedMasks
from assay.nouns.inputs.output_kind import OutputKind

ZERO = assay.Constant(0.0)


def table_case(table, rows=1, seed=0, **options):
    """A classifier of n bits given by a table of class probabilities (2ⁿ, class), at x = (1, …, 1)."""
    parts = int(np.log2(len(table)))
    weights = 2 ** np.arange(parts)
    model = assay.model.function(
        lambda x: table[(x > 0.5).astype(int) @ weights],
        gives="probabilities",
        name="table",
        fingerprint=str(table.tolist()),
    )
    return assay.case(model, np.ones((rows, parts)), seed=seed, **options)


def random_table(parts, classes, seed):
    """Probabilities in sixteenths, so that sums of them are exact."""
    return np.random.default_rng(seed).multinomial(16, np.ones(classes) / classes, size=2**parts) / 16


def lean(table, to, share):
    """The probabilities mixed with ``share`` of certainty of class ``to``."""
    return (1 - share) * table + share * np.eye(table.shape[1])[to]


def one_hot(scores):
    return np.eye(scores.shape[1])[scores.argmax(axis=1)]


def by_scores(table):
    return lambda mask: [Fraction(score) for score in table[int(np.dot(mask, 2 ** np.arange(len(mask))))]]


def by_votes(table):
    return by_scores(one_hot(table))


def drawn(case, smoothing, q):
    """The masks of a case."""
    return QuantisedMasks.draw(len(case.features), smoothing, q, case.seed)


def votes_of(case, mask, noise):
    """Numbers of votes (1, class) at one mask."""
    mask = np.array([mask], dtype=bool)
    return smoothed_scores(case.game(ZERO), np.zeros(1, dtype=int), mask, noise.masks, True)


def noise_of(case, smoothing, q):
    return oracle.quantised_noise(drawn(case, smoothing, q).offsets.tolist(), q, Fraction(smoothing))


@pytest.mark.parametrize("seed", range(12))
def test_radii_are_those_of_the_literal_transcription(seed):
    parts, q, smoothing = 3 + seed % 4, 8, Fraction(1 + seed % 3, 8)
    table = random_table(parts, 2 + seed % 3, seed)
    table = lean(table, 0, (seed % 2) * 0.75)
    case = table_case(table, seed=seed)
    mask = np.random.default_rng(seed).random((1, parts)) < 0.5
    found = certify.mus(case, mask, smoothing=smoothing, q=q, remove=ZERO)
    noise, h = noise_of(case, smoothing, q), by_votes(table)
    at_parts = oracle.smooth(h, tuple(map(int, mask[0])), noise)
    at_all = oracle.smooth(h, (1,) * parts, noise)
    consistent = np.argmax(at_parts) == np.argmax(at_all)
    wanted = [oracle.radius(at_parts, smoothing), oracle.radius(at_all, smoothing)] if consistent else [np.nan, np.nan]
    np.testing.assert_array_equal([found.incremental[0], found.decremental[0]], wanted)


@pytest.mark.parametrize("votes", [True, False])
def test_every_superset_within_the_radius_keeps_the_smoothed_class(votes):
    checked = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        parts, q = 5, 12
        smoothing = Fraction(int(generator.integers(1, 4)), q)
        table = lean(random_table(parts, 3, seed), 1, generator.random() * 0.6)
        case = table_case(table, seed=seed)
        mask = generator.random((1, parts)) < 0.4
        found = certify.mus(case, mask, smoothing=smoothing, q=q, votes=votes, remove=ZERO)
        if found.abstained[0]:
            continue
        scores = one_hot(table) if votes else table
        h = by_scores(scores)
        noise, alpha = noise_of(case, smoothing, q), tuple(map(int, mask[0]))
        own = oracle.winners(oracle.smooth(h, alpha, noise))
        for other in oracle.supersets(alpha):
            added, missing = sum(other) - sum(alpha), parts - sum(other)
            near = (0 < added <= found.incremental[0]) or missing <= found.decremental[0] > 0
            if near:
                assert oracle.winners(oracle.smooth(h, other, noise)) == own
                checked += 1
    assert checked > 20


def test_the_bound_is_attained():
    """Masks that never overlap, and a model that any visible part turns: each part moves the gap by 2λ."""
    table = np.tile([0.0, 1.0], (16, 1))
    table[0] = (1.0, 0.0)
    cases = (table_case(table, seed=seed) for seed in range(200))
    case = next(c for c in cases if (drawn(c, 0.125, 8).masks.sum(axis=1) <= 1).all())
    noise, h = noise_of(case, Fraction(1, 8), 8), by_votes(table)
    gaps = [scores[0] - scores[1] for scores in (oracle.smooth(h, (1,) * r + (0,) * (4 - r), noise) for r in range(5))]
    assert gaps == [1 - 2 * Fraction(1, 8) * r for r in range(5)]
    noise = drawn(case, 0.125, 8)
    assert _radius(votes_of(case, [False] * 4, noise), noise, True) == 3  # at 4 the gap is 0: a tie


def test_a_tie_within_reach_is_not_certified():
    """λ = 1/2 with unanimous votes: one part more can end in a tie, so r = 1 must not be claimed."""
    table = np.tile([1.0, 0.0], (8, 1))
    found = certify.mus(table_case(table), np.array([[True, False, False]]), smoothing=0.5, q=2, remove=ZERO)
    assert found.incremental[0] == 0
    found = certify.mus(table_case(table), np.array([[True, False, False]]), smoothing=0.25, q=4, remove=ZERO)
    assert found.incremental[0] == 1


def test_a_unanimous_model_is_certified_to_just_below_the_cap():
    found = certify.mus(
        table_case(np.tile([1.0, 0.0], (16, 1))), np.ones((1, 4), dtype=bool), smoothing=1 / 8, q=64, remove=ZERO
    )
    assert found.incremental[0] == found.decremental[0] == 3
    assert found.cap == 4.0


@pytest.mark.parametrize("q", [2, 3, 7, 8, 16, 100])
def test_every_part_is_kept_in_exactly_k_of_the_q_masks(q):
    case = table_case(np.ones((64, 2)) / 2)
    for kept in range(1, q + 1):
        noise = drawn(case, Fraction(kept, q), q)
        np.testing.assert_array_equal(noise.masks.sum(axis=0), kept)
        assert noise.masks.shape == (q, 6)


@pytest.mark.parametrize("q", [3, 8, 10])
def test_the_masks_are_the_quantised_noise_of_the_paper(q):
    case = table_case(np.ones((64, 2)) / 2, seed=4)
    for kept in range(1, q + 1):
        noise = drawn(case, Fraction(kept, q), q)
        literal = oracle.quantised_noise(noise.offsets.tolist(), q, Fraction(kept, q))
        assert sorted(literal) == sorted(map(tuple, noise.masks.astype(int).tolist()))


@pytest.mark.parametrize(
    ("smoothing", "q"), [(0.3, 64), (1 / 128, 64), (0.0, 64), (1.5, 64), (1.0, 1), (float("nan"), 8)]
)
def test_smoothing_that_q_masks_cannot_express_is_refused(smoothing, q):
    case = table_case(np.ones((8, 2)) / 2)
    with pytest.raises(InputError, match="nan is not a number" if np.isnan(smoothing) else "whole number"):
        certify.mus(case, np.ones((1, 3), dtype=bool), smoothing=smoothing, q=q, remove=ZERO)


@pytest.mark.parametrize("smoothing", [0.58, 0.29, 0.57])
def test_floats_that_mean_a_whole_number_lose_no_step(smoothing):
    assert drawn(table_case(np.ones((8, 2)) / 2), smoothing, 100).keep_count == round(100 * smoothing)


def test_exactly_q_evaluations_a_mask_and_the_same_answer_twice():
    case = table_case(random_table(5, 3, 1), rows=3)
    mask = np.random.default_rng(0).random((3, 5)) < 0.5
    first, second = (certify.mus(case, mask, smoothing=0.25, q=16, remove=ZERO) for _ in range(2))
    assert first.draws == 16
    assert second.provenance.cost["forwards"] == 3 * 3 * 16 + 3  # three masks a row, and the rows themselves
    np.testing.assert_array_equal(first.incremental, second.incremental)
    np.testing.assert_array_equal(first.control["incremental"], second.control["incremental"])


def test_rows_are_certified_alike_alone_and_together():
    table = random_table(5, 2, 9)
    case = table_case(lean(table, 0, 0.5), rows=4)
    mask = np.random.default_rng(2).random((4, 5)) < 0.5
    together = certify.mus(case, mask, smoothing=0.125, q=8, remove=ZERO)
    alone = certify.mus(case.take([2]), mask[[2]], smoothing=0.125, q=8, remove=ZERO)
    np.testing.assert_array_equal(alone.incremental, together.incremental[[2]])
    np.testing.assert_array_equal(alone.control["incremental"], together.control["incremental"][[2]])


def test_a_row_whose_parts_alone_get_another_class_is_abstained_from_by_name():
    table = np.tile([0.0, 1.0], (8, 1))
    table[0] = (1.0, 0.0)  # nothing kept: class 0
    case = table_case(table, ids=["lone"])
    found = certify.mus(case, np.zeros((1, 3), dtype=bool), smoothing=1.0, q=2, remove=ZERO)
    assert found.abstained.tolist() == [True]
    assert np.isnan(found.incremental[0])
    assert np.isnan(found.decremental[0])
    assert next(n for n in found.notes if n.code == "inconsistent").rows == ("lone",)


def test_a_nearly_constant_smoothed_model_is_noted():
    parts = 4
    model = assay.model.function(
        lambda x: one_hot(x[:, [0, 1]] * (x.sum(axis=1, keepdims=True) > 1.5)), gives="probabilities"
    )
    x = np.zeros((10, parts))
    x[::2, 0] = x[1::2, 1] = 1.0
    x[:, 2] = x[:, 3] = 0.5
    found = certify.mus(assay.case(model, x), np.ones((10, parts), dtype=bool), smoothing=0.25, q=4, remove=ZERO)
    codes = {note.code for note in found.notes}
    assert {"nearly-constant", "few-parts"} <= codes
    assert found.histogram.tolist() == [1.0, 0.0]
    assert found.extra["entropy"] == 0.0
    assert found.agreement == 0.5


def test_votes_are_those_of_the_models_decision_threshold():
    """Class 1 has probability 0.3 with all of four parts, else 0.1, and is decided from 0.2 on."""
    table = np.tile([0.9, 0.1], (16, 1))
    table[-1] = (0.7, 0.3)
    model = assay.model.function(
        lambda x: table[(x > 0.5).astype(int) @ 2 ** np.arange(4)],
        gives=OutputKind("probabilities").with_threshold(0.2),
    )
    found = certify.mus(
        assay.case(model, np.ones((1, 4))), np.ones((1, 4), dtype=bool), smoothing=1.0, q=2, remove=ZERO
    )
    assert found.agreement == 1.0
    assert found.histogram.tolist() == [0.0, 1.0]


def test_random_masks_that_do_as_well_are_noted():
    found = certify.mus(
        table_case(np.tile([1.0, 0.0], (2**6, 1))), np.eye(6, dtype=bool)[:1], smoothing=1 / 8, q=8, remove=ZERO
    )
    assert found.control["incremental"][0] == found.incremental[0] == 3
    assert "random-as-good" in {note.code for note in found.notes}


def test_no_smoothing_at_all_certifies_the_model_itself():
    table = random_table(4, 2, 3)
    found = certify.mus(table_case(table), np.ones((1, 4), dtype=bool), smoothing=1.0, q=2, remove=ZERO)
    assert found.agreement == 1.0
    assert found.incremental.tolist() == [0.0]


def test_probabilities_outside_their_range_are_refused():
    table = np.full((8, 2), 1.5)
    table[-1] = 0.5  # nothing removed
    case = table_case(table)
    with pytest.raises(NumericalError, match="votes=True"):
        certify.mus(case, np.ones((1, 3), dtype=bool), smoothing=0.5, q=4, votes=False, remove=ZERO)


def test_masks_that_do_not_fit_are_refused():
    case = table_case(random_table(3, 2, 0))
    for wrong in (np.ones((1, 3)), np.ones((2, 3), dtype=bool), np.ones((1, 4), dtype=bool)):
        with pytest.raises(InputError, match="boolean masks"):
            certify.mus(case, wrong, remove=ZERO)


def test_regressions_are_refused():
    with pytest.raises(CapabilityError, match="needs a classifier"):
        certify.mus(assay.examples.linear(), np.ones((1, 2), dtype=bool), remove=ZERO)


def test_another_seed_is_another_smoothed_model():
    case = table_case(random_table(6, 2, 0))
    offsets = [drawn(replace(case, seed=assay.Seed(root)), 0.25, 64).offsets.tolist() for root in (0, 0, 1)]
    assert offsets[0] == offsets[1] != offsets[2]


def test_scores_move_by_at_most_lambda_a_part():
    case = table_case(random_table(4, 3, 8))
    noise = drawn(case, 0.25, 8)
    scores = {m: votes_of(case, m, noise)[0] for m in product((0, 1), repeat=4)}
    for m in scores:
        for part in range(4):
            other = tuple(1 if i == part else bit for i, bit in enumerate(m))
            assert np.abs(scores[m] - scores[other]).max() <= noise.keep_count


@pytest.mark.parametrize("columns", [1, 2])
def test_votes_need_decisions_and_not_log_odds(columns):
    table = random_table(4, 2, seed=3)
    as_margin = np.stack([table[:, 0] - 0.5, table[:, 1] - 0.5], axis=1)[:, -columns:] * 40
    weights = 2 ** np.arange(4)
    model = assay.model.function(
        lambda x: as_margin[(x > 0.5).astype(int) @ weights], gives=OutputKind("margin", link="none"), name="margin"
    )
    case = assay.case(model, np.ones((1, 4)), target="margin")
    parts = np.array([[True, True, False, False]])
    found = certify.mus(case, parts, smoothing=0.25, q=16, remove=ZERO)
    expected = certify.mus(table_case(table), parts, smoothing=0.25, q=16, remove=ZERO)
    for name in ("incremental", "decremental"):
        np.testing.assert_array_equal(found.bounds[name], expected.bounds[name])
    with pytest.raises(CapabilityError, match="Use votes=True"):
        certify.mus(case, parts, smoothing=0.25, q=16, remove=ZERO, votes=False)


@pytest.mark.parametrize("parts", [3, 6, 8])
def test_no_table_breaks_the_lipschitz_bound_or_the_radius_at_any_q_and_k(parts):
    """Every q ≤ 16, every k ≤ q, every pair of masks: the score moves by at most λ a part, and no class changes."""
    every = (np.arange(2**parts)[:, None] >> np.arange(parts) & 1).astype(bool)
    distance = (every[:, None] != every[None]).sum(axis=2)
    superset = (every[None] | ~every[:, None]).all(axis=2)
    steps = 1 if parts < 8 else 5
    certified = 0
    for q in range(2, 17):
        for k in range(1, q + 1, steps):
            case = table_case(lean(random_table(parts, 3, 17 * q + k), 0, 0.5), seed=q)
            noise = drawn(case, Fraction(k, q), q)
            assert (noise.masks.sum(axis=0) == k).all()
            votes = smoothed_scores(case.game(ZERO), np.zeros(len(every), dtype=int), every, noise.masks, True)
            moved = np.abs(votes[:, None] - votes[None]).max(axis=2)
            assert (moved <= k * distance).all()
            radius = _radius(votes, noise, True)
            near = superset & (distance <= radius[:, None]) & (radius[:, None] > 0)
            winners = votes == votes.max(axis=1, keepdims=True)
            same = (winners[:, None] == winners[None]).all(axis=2)
            assert same[near].all()
            certified += int(near.sum())
    assert certified > 100


def test_a_whole_radius_at_equality_is_not_counted():
    """Gap 2kr exactly: r − 1 is certified, whatever k."""
    for k in range(1, 9):
        noise = QuantisedMasks(np.zeros(2, dtype=int), 16, k)
        scores = np.array([[16.0, 16.0 - 2 * k * r, 0.0] for r in range(16 // (2 * k) + 1)])
        assert _radius(scores, noise, True).tolist() == [max(0.0, r - 1.0) for r in range(len(scores))]


def test_protected_features_are_always_present_and_their_certificate_is_called_vacuous():
    case = table_case(random_table(5, 3, 2), rows=2)
    chosen = np.array([[True, True, False, False, False], [False, False, True, True, True]])
    found = certify.mus(case, chosen, smoothing=0.125, q=8, remove=ZERO, protected=chosen)
    consistent = ~found.abstained
    assert consistent.any()
    assert (found.incremental[consistent] == 3).all()  # just below the cap, whatever the explanation
    assert (found.control["incremental"][np.isfinite(found.control["incremental"])] == 3).all()
    assert "no evidence" in next(note.text for note in found.notes if note.code == "protected")
    nothing = certify.mus(case, chosen, smoothing=0.125, q=8, remove=ZERO, protected=np.zeros(5, dtype=bool))
    plain = certify.mus(case, chosen, smoothing=0.125, q=8, remove=ZERO)
    np.testing.assert_array_equal(nothing.incremental, plain.incremental)
    with pytest.raises(InputError, match="boolean mask over the 5 features"):
        certify.mus(case, chosen, smoothing=0.125, q=8, remove=ZERO, protected=[0, 1])


def test_protected_features_leave_the_bound_of_the_others():
    table = random_table(5, 3, 8)
    case = table_case(table)
    noise, always = drawn(case, 0.25, 8), np.array([[True, False, False, True, False]])
    every = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    votes = smoothed_scores(
        case.game(ZERO), np.zeros(32, dtype=int), every, noise.masks, True, np.repeat(always, 32, axis=0)
    )
    distance = (every[:, None] != every[None]).sum(axis=2)
    assert (np.abs(votes[:, None] - votes[None]).max(axis=2) <= noise.keep_count * distance).all()
