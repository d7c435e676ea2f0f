from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import replace_values

from assay import case, evaluate, examples, explain, grid
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.attributions.localisation import align_with_mask, attribution_mass, count_top_inside, ranking_values
from assay.model.adapters.function import function
from assay.nouns.inputs.features import integer_map
from assay.nouns.results.result import Explanation

SCORES = [
    evaluate.pointing_game,
    evaluate.mass_accuracy,
    evaluate.rank_accuracy,
    evaluate.top_k_overlap,
    evaluate.localisation_auc,
    evaluate.effective_heat_ratio,
]
EVERY = pytest.mark.parametrize("score", SCORES, ids=lambda s: s.method.name)


def pictures(values: Any, **options: Any) -> tuple[Case, Explanation]:
    """Pictures (row, channel, height, width) whose explanation has ``values``."""
    values = np.asarray(values, dtype=float)
    question = case(
        function(lambda x: x.sum(axis=(1, 2, 3)), name="sum", fingerprint="sum"), np.ones(values.shape), **options
    )
    e = explain.occlusion(question)
    parts = values.reshape(len(values), -1) if question.features.elementwise else question.features.pool(values)
    return question, replace(e, values=parts)


MAPS = np.random.default_rng(0).normal(size=(3, 2, 6, 6))
MASKS = np.zeros((3, 6, 6), dtype=bool)
MASKS[0, :2, :3], MASKS[1, 1:5, 1:5], MASKS[2, 4:, 4:] = True, True, True


@EVERY
def test_an_empty_or_a_full_mask_is_never_a_hit_but_undefined_q5(score: Any) -> None:
    question, e = pictures(MAPS)
    masks = MASKS.copy()
    masks[0], masks[1] = False, True
    found = score(e, question, inside=masks)
    assert np.isnan(found.values).tolist() == [True, True, False]
    assert np.isnan(found.extra["centre"]).tolist() == [True, True, False]
    assert found.extra["area"].tolist() == [0.0, 1.0, 4 / 36]
    assert {row for note in found.notes for row in note.rows} == {"0", "1"}


@EVERY
def test_each_row_is_scored_independently_of_the_others_q6(score: Any) -> None:
    question, e = pictures(MAPS)
    together = score(e, question, inside=MASKS).values
    for row in range(3):
        scale = np.ones((3, 1))
        scale[row - 1] = 1000.0
        loud = replace(e, values=e.values * scale)
        assert_allclose(score(loud, question, inside=MASKS).values, together)
        alone, own = pictures(MAPS[[row]])
        assert_allclose(score(own, alone, inside=MASKS[[row]]).values, together[[row]])


@EVERY
def test_it_needs_no_evaluations_and_does_not_depend_on_scale(score: Any) -> None:
    question, e = pictures(MAPS)
    found = score(e, question, inside=MASKS)
    assert found.provenance.cost == {}
    assert_allclose(score(replace(e, values=e.values * 1e-6), question, inside=MASKS).values, found.values)


@EVERY
def test_an_even_map_gets_what_chance_gets(score: Any) -> None:
    question, e = pictures(np.ones((3, 2, 6, 6)))
    found = score(e, question, inside=MASKS)
    chance = 0.5 if score is evaluate.localisation_auc else found.extra["area"]
    assert_allclose(found.values, np.broadcast_to(chance, 3))


@EVERY
def test_the_mask_itself_gets_one_and_its_opposite_nothing(score: Any) -> None:
    truth = np.repeat(MASKS[:, None].astype(float), 2, axis=1)
    question, right = pictures(truth)
    _, wrong = pictures(1.0 - truth)
    assert_allclose(score(right, question, inside=MASKS).values, 1.0)
    assert_allclose(score(wrong, question, inside=MASKS).values, 0.0)


@EVERY
def test_the_centre_baseline_is_scored_like_an_explanation(score: Any) -> None:
    away = (np.arange(6) - 2.5) / 1.5
    bump = np.exp(-(away[:, None] ** 2 + away**2) / 2)
    question, e = pictures(MAPS)
    _, centred = pictures(np.broadcast_to(bump, (3, 2, 6, 6)))
    middle = score(e, question, inside=MASKS).extra["centre"]
    assert_allclose(middle, score(centred, question, inside=MASKS).values)
    assert middle[1] > middle[0]


@EVERY
def test_channels_of_a_pixel_are_one_position_q19(score: Any) -> None:
    question, e = pictures(MAPS)
    grey, summed = pictures(MAPS.sum(axis=1, keepdims=True))
    found = score(e, question, inside=MASKS)
    assert_allclose(found.values, score(summed, grey, inside=MASKS).values)
    every = np.repeat(MASKS[:, None], 2, axis=1)
    assert_allclose(score(e, question, inside=every).values, found.values)


@EVERY
def test_a_table_has_no_centre_baseline(score: Any) -> None:
    question = examples.additive((3.0, 1.0, 2.0))
    e = replace_values(explain.integrated_gradients(question), [[2.0, -1.0, -1.0]])
    found = score(e, question, inside=[[True, False, False]])
    assert_allclose(found.values, 1.0)
    assert np.isnan(found.extra["centre"]).all()


def test_over_patches_a_mask_of_pixels_takes_its_share_of_a_patch() -> None:
    question, e = pictures(np.ones((1, 1, 4, 4)), features=grid((1, 4, 4), 2))
    e = replace(e, values=np.array([[3.0, 1.0, 0.0, 0.0]]))
    masks = np.zeros((1, 4, 4), dtype=bool)
    masks[0, :2, 0] = True  # half of the first patch
    assert_allclose(evaluate.mass_accuracy(e, question, inside=masks).values, 1.5 / 4)
    first = np.array([[True, False, False, False]])
    assert_allclose(evaluate.mass_accuracy(e, question, inside=first).values, 3 / 4)


def test_parts_of_different_size_keep_their_sums() -> None:
    cut = integer_map(np.array([[[0, 0, 0], [0, 0, 1]]]))
    question, e = pictures(np.ones((1, 1, 2, 3)), features=cut)
    e = replace(e, values=np.array([[1.0, 1.0]]))
    small = np.array([[[False, False, False], [False, False, True]]])
    assert_allclose(evaluate.mass_accuracy(e, question, inside=small).values, 0.5)


def test_features_that_a_row_lacks_are_no_positions() -> None:
    index = np.array([[[[0, 1, 2, -1]]], [[[0, 0, 1, -1]]]])
    question, e = pictures(np.ones((2, 1, 1, 4)), features=integer_map(index, per_row=True))
    e = replace(e, values=np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 0.0]]))
    found = align_with_mask(e, np.array([[False, False, True], [False, True, True]]))
    assert found.available.tolist() == [[True, True, True], [True, True, False]]
    assert evaluate.rank_accuracy(e, question, inside=found.inside).extra["area"].tolist() == [1 / 3, 1 / 2]
    pixels = align_with_mask(e, np.ones((2, 1, 4), dtype=bool))
    assert not pixels.available[:, 3].any()


def test_of_tied_positions_the_expected_share_is_taken() -> None:
    heat, inside = np.array([5.0, 2.0, 2.0, 2.0, 0.0]), np.array([False, True, False, True, True])
    assert count_top_inside(heat, inside, 2) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((3, 5, 6), dtype=bool), r"\(3, 6, 6\)"),
        (MASKS.astype(float), "boolean"),
        (np.stack([MASKS, ~MASKS], axis=1), "differs between the channels of a position"),
    ],
    ids=["shape", "type", "channels"],
)
def test_masks_that_do_not_fit_are_refused(mask: Any, message: str) -> None:
    question, e = pictures(MAPS)
    with pytest.raises(InputError, match=message):
        evaluate.mass_accuracy(e, question, inside=mask)


def test_an_unknown_sign_is_refused() -> None:
    with pytest.raises(InputError, match="there are 'signed', 'absolute'"):
        ranking_values("positive")
    with pytest.raises(InputError, match="there are 'positive', 'absolute'"):
        attribution_mass("signed")
