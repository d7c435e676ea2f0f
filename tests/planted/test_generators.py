"""Benchmark generators: shapes, reproducibility, ground truth by closed form or intervention, model competence."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assay import case
from assay.basics.bibliography import SOURCES
from assay.basics.errors import InputError, NumericalError
from assay.basics.seed import Seed
from assay.cases.removals import Marginal
from assay.explain import integrated_gradients, saliency, shapley
from assay.model.adapters.function import function
from assay.planted import BENCHMARKS, BenchmarkCase, agreement
from assay.planted.gaussian_tables import gaussian_tables, ground_truth_function
from assay.planted.grid_pointing import CELL, grid_pointing
from assay.planted.networks import initialise, perceptron
from assay.planted.synthetic_birds import NAMES, Bird, synthetic_birds
from assay.planted.trigger_words import trigger_words
from assay.planted.watermark import DECOY, TAG, watermark
from assay.planted.xai_tris import SIGNAL_STRENGTH, draw_images, xai_tris

pt = pytest.importorskip("torch")

SMALL = {
    "watermark": lambda seed: watermark(seed, follows=1.0, rows=6, train=400),
    "tetrominoes": lambda seed: xai_tris(seed, "xor", rows=6, train=1500),
    "table": lambda seed: gaussian_tables(seed, "additive", rows=6, train=800),
    "trees": lambda seed: gaussian_tables(seed, "logistic", trees=True, rows=6, train=800),
    "clusters": lambda seed: BENCHMARKS["clusters"].make(seed, rows=6, train=2000),
    "grid": lambda seed: grid_pointing(seed, rows=6, train=800),
    "disconnected": lambda seed: grid_pointing(seed, disconnected=True, rows=6, train=800),
    "creatures": lambda seed: synthetic_birds(seed, rows=6, train=800),
    "words": lambda seed: trigger_words(seed, rows=6, train=1500),
}


@cache
def small(name: str) -> BenchmarkCase:
    return SMALL[name](Seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_rows_truth_and_mask_fit_and_the_truth_agrees_with_itself(name: str) -> None:
    planted = small(name)
    shape = len(planted.case), len(planted.case.features)
    assert shape[0] == 6
    assert planted.truth.shape == shape
    assert planted.mask is None or (planted.mask.shape == shape and planted.mask.any(axis=1).all())
    assert np.shape(planted.start) == planted.case.rows.shape == planted.background.shape[1:]
    assert set(planted.sources) <= set(SOURCES)
    assert_allclose(agreement(planted.truth, planted), 1.0)


@pytest.mark.parametrize("name", SMALL)
def test_competence_is_measured_and_lies_in_its_interval(name: str) -> None:
    competence = small(name).competence
    assert competence.share in competence.interval
    assert competence.description
    assert competence.is_sufficient == (competence.interval.low >= competence.required)


@pytest.mark.parametrize("name", ["words", "trees"])
def test_the_same_seed_makes_the_same_case_and_leaves_torch_s_random_stream(name: str) -> None:
    before = pt.get_rng_state()
    again, other = SMALL[name](Seed(0)), SMALL[name](Seed(1))
    assert pt.equal(before, pt.get_rng_state())
    assert again.truth.tobytes() == small(name).truth.tobytes()
    assert again.case.output.tobytes() == small(name).case.output.tobytes()
    assert other.case.rows.fingerprint != again.case.rows.fingerprint


def test_weights_are_drawn_from_the_seed_with_variance_two_over_fan_in() -> None:
    net = initialise(perceptron(50, 200, 2), Seed(3))
    weight, bias = net[1].weight.detach().double(), net[1].bias.detach()
    assert float(weight.var()) == pytest.approx(2 / 50, rel=0.05)
    assert not bias.any()


def test_every_explained_image_has_tag_and_decoy() -> None:
    x = np.asarray(small("watermark").case.rows.x)
    assert (x[:, 0, TAG] == 1).all()
    assert (x[:, 0, DECOY] == 1).all()
    assert not small("watermark").mask[:, DECOY.ravel()].any()


def test_removing_the_tag_lowers_the_score_of_the_tagged_class() -> None:
    planted = small("watermark")
    x = planted.case.rows.x.numpy().copy()
    x[:, 0, TAG] = 0.0
    assert (planted.case.value(pt.as_tensor(x)) < planted.case.output).all()


@pytest.mark.parametrize("scenario", SIGNAL_STRENGTH)
def test_the_class_depends_on_pixels_inside_the_mask_only(scenario) -> None:
    x, y, mask = draw_images(Seed(0), scenario, 4000)
    flat = x.reshape(len(x), -1)
    assert mask.sum(axis=1).tolist() == [4 if scenario == "rigid" else 8] * len(x)
    reads = {
        "linear": lambda z, inside: z,
        "multiplicative": lambda z, inside: np.abs(z),
        "xor": lambda z, inside: z * z[:, inside[0]][:, :1],
    }
    if scenario == "rigid":
        assert flat[mask].mean() > 5 * abs(flat[~mask].mean())
        return
    gap = np.abs(np.subtract(*(reads[scenario](flat, mask)[y == kind].mean(axis=0) for kind in (0, 1))))
    assert gap[mask[0]].max() > 4 * gap[~mask[0]].max()


def test_an_unknown_kind_of_table_is_refused() -> None:
    with pytest.raises(InputError, match="there are logistic, additive, xor"):
        ground_truth_function("linear", 0.5)


@pytest.mark.parametrize("kind", ["logistic", "additive", "xor"])
def test_exact_shapley_values_equal_those_of_the_game_with_the_background(kind) -> None:
    planted, quadratic = small("table"), ground_truth_function(kind, 0.5)
    x = np.asarray(planted.case.rows.x, dtype=float)
    oracle = case(function(quadratic, name="planted"), x)
    found = shapley(oracle, remove=Marginal(planted.background), budget=64).values
    assert_allclose(found, quadratic.shapley(x), atol=1e-8)
    assert_allclose(quadratic.shapley(x)[:, 3:], 0.0, atol=1e-12)


def test_conditional_values_share_a_linear_cause_with_its_copy() -> None:
    quadratic = ground_truth_function("logistic", 0.5)
    x = np.array([[1.0, 0.0, 0.0, -2.0, 0.0, 0.0]])
    # of the pair (cause, copy): v(cause) = 2 x₀, v(copy) = 2 ρ x₃, v(both) = 2 x₀
    assert_allclose(quadratic.shapley(x, conditional=True)[0, [0, 3]], [(2 + 4) / 2, -2 / 2], atol=1e-12)


def test_conditional_means_include_the_remaining_variance() -> None:
    quadratic = ground_truth_function("additive", 0.7)
    x = np.array([[0.0, 0.0, 0.0, 0.0, 2.0, 0.0]])
    # given the suppressor, the second cause has mean 1.4 and variance 1 − 0.7²; the third cause has variance 1
    expected = 1.4**2 + (1 - 0.7**2) - 0.5
    assert_allclose(quadratic.expected(x, (4,), conditional=True), [expected], atol=1e-12)
    draws = np.random.default_rng(0).standard_normal((400_000, 6)) @ np.linalg.cholesky(quadratic.covariance).T
    near = draws[np.abs(draws[:, 4] - 2.0) < 0.02]
    assert float(quadratic(near).mean()) == pytest.approx(expected, abs=0.2)


def test_masked_columns_of_a_cluster_have_no_truth() -> None:
    planted = small("clusters")
    assert ((planted.truth == 0) == ~planted.mask).all()


def test_emptying_other_cells_does_not_change_a_disconnected_head() -> None:
    planted = small("disconnected")
    x = planted.case.rows.x.numpy().copy()
    inside = planted.case.features.map(planted.mask.astype(float)) > 0
    assert_allclose(planted.case.value(pt.as_tensor(np.where(inside, x, 0.0))), planted.case.output, atol=1e-5)
    left = planted.case.output - planted.case.value(pt.as_tensor(np.where(inside, 0.0, x)))
    assert_allclose(left, planted.truth.max(axis=1), atol=1e-5)
    assert inside[:, 0].sum(axis=(1, 2)).tolist() == [CELL * CELL] * 6


def test_gradients_of_a_disconnected_head_lie_in_its_cell() -> None:
    planted = small("disconnected")
    assert_allclose(agreement(saliency(planted.case).values, planted), 1.0)
    assert agreement(saliency(small("grid").case).values, small("grid")).max() < 0.6


def test_grids_need_four_classes() -> None:
    from assay.planted.grid_pointing import draw_grids

    with pytest.raises(NumericalError, match="confident on 3 classes"):
        draw_grids(np.zeros((3, 1, 8, 8)), np.arange(3), 1, np.random.default_rng(0))


def test_a_bird_without_a_part_differs_only_at_the_part() -> None:
    one = Bird(np.array([0, 1, 2, 0, 1]), (1, 2), np.zeros((0, 6)))
    whole, part_map = one.render()
    assert set(np.unique(part_map)) == set(range(len(NAMES)))
    for number, part in enumerate(NAMES[:6]):
        changed = (one.render(frozenset({part}))[0] != whole).any(axis=0)
        assert (part_map[changed] == number).all()
        assert changed.sum() > 0


def test_the_truth_of_the_trigger_is_the_effect_of_the_filler() -> None:
    planted = small("words")
    x = planted.case.rows.x.numpy().copy()
    x[planted.mask] = 0.0
    assert_allclose(planted.case.output - planted.case.value(pt.as_tensor(x)), planted.truth.max(axis=1), atol=1e-4)


def test_integrated_gradients_find_the_trigger() -> None:
    planted = small("words")
    assert agreement(integrated_gradients(planted.case).values, planted).mean() > 0.9


@pytest.mark.parametrize(
    ("measure", "values", "expected"),
    [
        ("auc", [3.0, 2.0, 1.0, 0.0], 0.5),
        ("auc", [0.0, 0.0, 0.0, 0.0], 0.5),
        ("energy", [3.0, -2.0, 0.0, 1.0], 0.25),
        ("energy", [0.0, 0.0, -1.0, -2.0], np.nan),
        ("precision", [0.0, 5.0, -9.0, 2.0], 0.5),
        ("precision", [1.0, 1.0, 1.0, 1.0], 0.5),
        ("rank", [0.0, 1.0, -1.0, 2.0], 1.0),
        ("rank", [1.0, 1.0, 1.0, 1.0], np.nan),
        ("rank of size", [0.0, -3.0, -3.0, 4.0], 1.0),
        ("rank", [np.nan, 1.0, 2.0, 3.0], np.nan),
    ],
)
def test_agreement_by_hand(measure, values, expected) -> None:
    mask = {"auc": [True, False, False, True]}.get(measure, [False, True, False, True])
    mask = [False, False, False, True] if measure == "energy" else mask
    one = replace(
        small("trees"),
        agreement=measure,
        mask=np.array([mask]),
        truth=np.array([[0.0, 1.0, -1.0, 5.0]]),
    )
    assert_allclose(agreement(np.array([values]), one), [expected])


def test_values_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="for a truth of"):
        agreement(np.zeros((2, 3)), small("trees"))
    with pytest.raises(InputError, match="has no mask"):
        agreement(small("trees").truth, replace(small("trees"), agreement="auc"))
