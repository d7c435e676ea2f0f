"""What goes wrong in Quantus 0.6.0, in twenty groups (Q1–Q20), is right here; each group has a test.

That Quantus is wrong is shown in tests/peers/test_quantus_wrong.py. Groups that concern one score have their test
beside that score's others, and are named in ``ELSEWHERE``; the rest are here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.evaluate.pictures import image_case
from tests.evaluate.settings import ROWS, curved, digits, replace_values

import assay
from assay import Ball, Constant, Marginal, Mean, NoisyLinear, evaluate, examples, explain
from assay.basics.errors import InputError
from assay.engine.neighbourhoods.neighbourhood import recompute_values
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

HERE = Path(__file__).parent
ELSEWHERE = {
    1: ("monotonicity", "test_q1_it_is_not_the_same_for_every_explanation"),
    2: ("road", "test_q2_every_row_counts_whatever_the_batch"),
    3: ("sensitivity_n", "test_attributions_and_falls_are_of_the_same_parts_q3"),
    4: ("irof", "test_q4_images_of_several_channels_and_superpixels_of_any_size_are_ranked_by_mean_attribution"),
    7: ("region_perturbation", "test_q7_a_high_score_is_a_good_one_and_said_to_be"),
    8: ("local_lipschitz", "test_q8_a_row_is_not_scaled_by_other_rows"),
    9: ("parameter_randomisation", "test_q9_the_intact_nets_likeness_of_one_is_in_no_mean"),
    10: ("parameter_randomisation", "test_q10_every_parameter_is_randomised_those_of_a_transformer_too"),
    11: ("monotonicity_correlation", "test_an_output_near_zero_is_no_special_case_q11"),
    13: ("logits", "test_q13_the_classes_are_the_models_own_however_many"),
    15: ("infidelity", "test_no_draw_repeats_another_and_none_takes_parts_away_for_the_next_q15"),
    16: ("entropy", "test_q16_the_callers_attributions_are_not_written_to"),
    19: ("road", "test_q19_a_patch_is_taken_from_all_channels"),
}


def test_each_group_has_one_test() -> None:
    here = {int(n) for n in re.findall(r"^def test_q(\d+)_", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)}
    assert here | set(ELSEWHERE) == set(range(1, 21))
    assert not here & set(ELSEWHERE)
    for file, name in ELSEWHERE.values():
        assert f"def {name}(" in (HERE / f"test_{file}.py").read_text(encoding="utf-8")


# localisation


def test_q05_an_empty_mask_is_no_hit() -> None:
    case, e = image_case(np.arange(32.0).reshape(2, 4, 4))
    inside = np.zeros((2, 4, 4), dtype=bool)
    inside[1, 3, 3] = True
    score = evaluate.pointing_game(e, case, inside=inside)
    assert_allclose(score.values, [np.nan, 1.0])
    assert [note.rows for note in score.notes] == [("0",)]


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_q06_the_share_of_mass_does_not_depend_on_the_other_rows(rows: int) -> None:
    case, e = image_case(np.ones((rows, 4, 4)))
    inside = np.zeros((rows, 4, 4), dtype=bool)
    inside[:, :2, :2] = True
    score = evaluate.mass_accuracy(e, case, inside=inside)
    assert_allclose(score.values, 0.25)
    assert_allclose(score.extra["area"], 0.25)


# numpy, numbers and units


def test_q12_areas_and_undefined_rows_are_had_from_this_numpy() -> None:
    case = examples.additive((3.0, 1.0))
    e = explain.integrated_gradients(case)
    assert_allclose(evaluate.irof(e, case, remove=ZERO).values, 0.625)  # shares 1, 1/4, 0 are left
    assert_allclose(evaluate.deletion(e, case, remove=ZERO).values, 1.5)
    assert_allclose(evaluate.selectivity(e, case, remove=ZERO).values, 0.5)
    flat = replace(digits(2), rows=replace(digits(2).rows, x=torch.ones(2, 1, 8, 8)))
    assert np.isnan(evaluate.continuity(explain.saliency(flat), flat, reach=1).values).all()


def test_q14_a_complete_explanation_is_complete_whatever_rounding_did() -> None:
    weights, rows = np.random.default_rng(0).normal(size=7), np.random.default_rng(1).normal(size=(8, 7))
    case = examples.linear(weights, rows)
    e = explain.integrated_gradients(case)
    assert (e.values.sum(axis=1) != case.output).any()  # equality of floating-point numbers would say no
    score = evaluate.completeness(e, case)
    assert_allclose(score.values, 0.0, atol=1e-12)
    assert_allclose(
        evaluate.completeness(replace_values(e, 10 * e.values), case).extra["relative"], 9.0
    )  # nothing rescaled


def test_q17_what_stands_in_for_a_part_depends_on_no_other_part() -> None:
    """And is what its name says: a constant is that constant, a mean that of the background, noise is each pixel's."""
    inputs: list[np.ndarray] = []
    model = function(lambda x: inputs.append(np.array(x)) or x.sum(axis=(1, 2, 3)), name="seen", fingerprint="seen")
    picture = np.random.default_rng(0).uniform(1, 2, (1, 1, 4, 4))
    background = np.random.default_rng(1).uniform(5, 6, (3, 1, 4, 4))
    case = assay.case(model, picture)
    keep = np.ones((2, 16), dtype=bool)
    keep[0, :3], keep[1, :9] = False, False
    seen, _ = {}, case.game(Constant(0.0)).table(keep)  # the model is checked before
    for remove in (Constant(0.5), Mean(background), Marginal(background[:1]), NoisyLinear(0.1)):
        inputs.clear()
        case.game(remove).table(keep)
        few, many = np.concatenate(inputs).reshape(2, 16)
        assert_allclose(few[3:], picture.ravel()[3:])
        if not isinstance(remove, NoisyLinear):  # a guess from neighbours does depend on them
            assert_allclose(few[:3], many[:3])
        seen[type(remove)] = many[:9]
    assert_allclose(seen[Constant], 0.5)  # not the picture's least
    assert_allclose(seen[Mean], background.mean(axis=0).ravel()[:9])
    assert_allclose(seen[Marginal], background[0].ravel()[:9])
    assert len(np.unique(seen[NoisyLinear])) == 9


@pytest.mark.parametrize("target", ["logit", "probability"])
def test_q18_all_scores_speak_of_the_target_of_the_case(target: str) -> None:
    case = digits(3, target=target)
    e = explain.integrated_gradients(case, steps=8)
    curve = [
        evaluate.morf(e, case, remove=ZERO),
        evaluate.selectivity(e, case, remove=ZERO),
        evaluate.irof(e, case, remove=ZERO),
    ]
    others = [
        evaluate.faithfulness_correlation(e, case, remove=ZERO),
        evaluate.infidelity(e, case, remove=ZERO),
        evaluate.road(e, case),
    ]
    assert {score.provenance.target for score in (*curve, *others)} == {e.provenance.target}
    assert target in e.provenance.target
    empty = case.game(Constant(0.0)).table(np.zeros((1, 64), dtype=bool))[:, 0]
    own = case.value(torch.zeros(3, 1, 8, 8))
    assert_allclose(empty, own)
    area = evaluate.deletion(e, case, remove=ZERO).values
    assert ((area >= 0) & (area <= 1)).all() == (target == "probability")


# failures and options


def test_q20_what_fails_is_said_and_options_stay_with_their_method() -> None:
    case = curved()
    coarse, fine = (explain.integrated_gradients(case, start=start, steps=4) for start in (0.0, 1.0))
    assert_allclose(recompute_values(fine, case), fine.values)
    assert_allclose(recompute_values(coarse, case), coarse.values)  # the other's start has not leaked
    assert not np.allclose(coarse.values, fine.values)
    with pytest.raises(InputError, match="no option 'start'"):
        evaluate.deletion(coarse, case, start=1.0, remove=ZERO)
    with pytest.raises(InputError, match="draws=0"):
        evaluate.max_sensitivity(coarse, case, ball=Ball("linf", 0.1), draws=0)


def test_values_that_are_all_negative_are_scored_like_others() -> None:
    """Quantus refuses them (Q20)."""
    case = examples.linear((-1.0, -2.0, -3.0), np.abs(ROWS[:, :3]))
    e = explain.integrated_gradients(case)
    assert (e.values < 0).all()
    scores: list[Any] = [evaluate.deletion, evaluate.infidelity, evaluate.sparseness, evaluate.faithfulness_correlation]
    assert all(np.isfinite(score(e, case).values).all() for score in scores)
