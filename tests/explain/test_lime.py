"""LIME."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.contract.subjects import reader, whitespace
from tests.oracles import games

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Marginal

ZERO = assay.Constant(0.0)


@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_with_all_masks_it_solves_the_normal_equations(width: float, ridge: float) -> None:
    case, _ = examples.random_game(5, seed=8)
    result = explain.lime(case, width=width, ridge=ridge, remove=ZERO)
    slopes, intercept, fidelity = games.lime(games.value_of(case), 5, width, ridge)
    assert_allclose(result.values[0], slopes, atol=1e-8)
    assert_allclose(result.base, [intercept], atol=1e-8)
    assert_allclose(result.extra["fidelity"], [fidelity], atol=1e-8)


def test_a_linear_model_is_recovered_exactly_from_few_masks() -> None:
    case = examples.linear(np.arange(1.0, 13.0), intercept=0.5)
    result = explain.lime(case, budget=60, remove=ZERO)
    assert_allclose(result.values, [np.arange(1.0, 13.0)], atol=1e-9)
    assert_allclose(result.base, [0.5], atol=1e-9)
    assert_allclose(result.extra["fidelity"], 1.0)
    assert_allclose(result.stderr, 0.0, atol=1e-9)


def test_the_residual_is_the_local_models_error_at_the_row() -> None:
    case, _ = examples.random_game(6, seed=1)
    result = explain.lime(case, remove=ZERO)
    assert_allclose(result.residual, result.output - (result.base + result.values.sum(axis=1)))
    assert abs(result.residual[0]) > 1e-6


def test_its_error_is_the_sandwich() -> None:
    from assay.engine.coalitions.local_regression import local_regression

    case, _ = examples.random_game(9, seed=4)
    design = local_regression(0.5, 0.0).design(9, 80, case.seed.child("design", "bernoulli 0.5"))
    z = np.concatenate([np.ones((80, 1)), design.masks], axis=1)
    y = case.value(design.masks.astype(float), np.zeros(80, dtype=int))
    bread = np.linalg.inv(z.T @ np.diag(design.weight) @ z)
    error = y - z @ (bread @ z.T @ (design.weight * y))
    meat = z.T @ np.diag((design.weight * error) ** 2) @ z
    expected = np.sqrt(np.diag(bread @ meat @ bread)[1:] * 80 / 70)
    assert_allclose(explain.lime(case, budget=80, width=0.5, remove=ZERO).stderr[0], expected)


def test_enumerated_there_is_no_error() -> None:
    assert_array_equal(explain.lime(examples.random_game(7)[0], budget=128, remove=ZERO).stderr, 0.0)


def test_a_target_that_no_mask_changes_has_no_fidelity_and_a_note() -> None:
    result = explain.lime(examples.linear((0.0, 0.0, 0.0), intercept=2.0), remove=ZERO)
    assert_allclose(result.values, 0.0, atol=1e-12)
    assert np.isnan(result.extra["fidelity"]).all()
    assert [(note.code, note.rows) for note in result.notes] == [("flat", ("0",))]


def test_fewer_masks_than_unknowns_are_refused() -> None:
    with pytest.raises(InputError, match="at least 32 are needed"):
        explain.lime(examples.random_game(30)[0], budget=31, remove=ZERO)


@pytest.mark.parametrize("options", [{"width": 0.0}, {"ridge": -1.0}])
def test_widths_and_ridges_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="width must be above 0 and ridge at least 0"):
        explain.lime(examples.product(), remove=ZERO, **options)


def test_on_digits_a_wider_kernel_describes_less_of_the_neighbourhood(digits: Callable[..., Case]) -> None:
    fidelity = explain.lime(digits(), budget=300, remove=ZERO).extra["fidelity"]
    assert ((fidelity > 0.3) & (fidelity < 1.0)).all()


def test_on_a_forest_rows_alone_are_fitted_as_among_others(tissue: Callable[..., Case]) -> None:
    case = tissue()
    assert_allclose(
        explain.lime(case.take([3]), budget=200, remove=ZERO).values,
        explain.lime(case, budget=200, remove=ZERO).values[[3]],
        atol=1e-9,
    )


def cliff() -> Case:
    """f = 2x₂² where x₁ > 0, else −x₂²; asked just short of the edge."""

    def slope(x: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros(len(x)), np.where(x[:, 0] > 0, 4.0, -2.0) * x[:, 1]], axis=1)

    return examples.analytic(
        lambda x: np.where(x[:, 0] > 0, 2.0, -1.0) * x[:, 1] ** 2, slope, [[-0.001, 2.0]], "a cliff", names=["x1", "x2"]
    )


def test_beside_a_cliff_a_tangent_misleads_and_this_does_not() -> None:
    """At x = (−.001, 2) a step of .002 takes f from −4 to 8, and the tangent gives x₁ exactly 0.

    With columns from the background (±1, ±1): v(∅) = ½·2 − ½·1 = ½, v(1) = −E b₂² = −1, v(2) = ½·2·4 − ½·4 = 2 and
    v(12) = −4. The mask that keeps nothing weighs exp(−16) ≈ 10⁻⁷ of the row's own, so the fit passes through the other
    three: φ₁ = v(12) − v(2) = −6 (x₁ is on the wrong side of the edge), φ₂ = v(12) − v(1) = −3.
    """
    background = np.array([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    result = explain.lime(cliff(), remove=Marginal(background))
    assert_allclose(result.values, [[-6.0, -3.0]], atol=1e-4)
    assert_allclose(result.extra["fidelity"], 1.0, atol=1e-5)
    assert_allclose(explain.saliency(cliff(), signed=True).values, [[0.0, -4.0]])
    v = {(): 0.5, (0,): -1.0, (1,): 2.0, (0, 1): -4.0}
    slopes, intercept, _ = games.lime(lambda s: v[tuple(sorted(s))], 2, 0.25, 0.0)
    assert_allclose(result.values[0], slopes, atol=1e-9)
    assert_allclose(result.base, [intercept], atol=1e-9)


def ranks_of_halves(case: Case, row: int, budget: int, parts: int) -> float:
    """Fit every other mask and the rest by their normal equations, and compare ranks."""
    from scipy.stats import spearmanr

    from assay.engine.coalitions.local_regression import local_regression

    design = local_regression(0.25, 0.0).design(parts, budget, case.seed.child("design", "bernoulli 0.5"))
    values = case.game(assay.Constant(0.0)).table(design.masks)[row]
    fits = []
    for half in (slice(0, None, 2), slice(1, None, 2)):
        z = np.concatenate([np.ones((len(design.masks[half]), 1)), design.masks[half]], axis=1)
        weighted = z.T * design.weight[half]
        fits.append(np.linalg.solve(weighted @ z, weighted @ values[half])[1:])
    return float(spearmanr(*fits).statistic)


def test_stability_of_tables_is_the_rank_correlation_of_two_fits(tissue: Callable[..., Case]) -> None:
    case = tissue()
    stability = explain.lime(case, budget=200, remove=ZERO).extra["stability"]
    assert_allclose(stability, [ranks_of_halves(case, row, 200, 10) for row in range(4)], atol=1e-6)
    assert (stability < 1).any()


def test_stability_of_images_rises_with_the_masks(digits: Callable[..., Case]) -> None:
    few, many = (
        explain.lime(digits(), budget=budget, width=0.5, remove=ZERO).extra["stability"] for budget in (60, 1500)
    )
    assert ((few > -1) & (many < 1)).all()
    assert many.mean() > few.mean()
    assert many.mean() > 0.8


def test_stability_of_texts_is_over_the_words_a_text_has() -> None:
    texts = ["not a dull film a good film not bad", "bad bad dull film a good good not"]
    model = assay.model.text(reader(), whitespace, embedding="embed", classes=["x", "y", "z"], read="mean")
    case = assay.case(model, texts, label="y")
    together = explain.lime(case, budget=80, remove=ZERO).extra["stability"]
    alone = explain.lime(case.take([1]), budget=80, remove=ZERO).extra["stability"]
    assert ((together > 0.5) & (together < 1)).all()
    assert_allclose(alone, together[1:], atol=1e-6)


def test_listed_masks_are_perfectly_stable() -> None:
    assert_array_equal(explain.lime(examples.random_game(7)[0], budget=128, remove=ZERO).extra["stability"], 1.0)


def test_halves_that_do_not_determine_the_values_leave_stability_open_with_a_note() -> None:
    result = explain.lime(examples.random_game(12)[0], budget=18, remove=ZERO)
    assert np.isnan(result.extra["stability"]).all()
    assert [(note.code, note.rows) for note in result.notes] == [("unsteady", ("0",))]
