"""LIME on points around a row, and its slopes at several widths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.contract.subjects import SUBJECTS, textual, visual
from tests.explain.test_lime import cliff

import assay
from assay import Ball, Constant, examples, explain
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case

EDGE, SECOND = 0.001, 2.0
"""The cliff: f = 2x₂² where x₁ > 0, else −x₂², at x = (−.001, 2)."""


def expected_slopes(radius: float) -> tuple[float, float]:
    """Least squares over the cube of this half-width around (−.001, 2), by integration.

    The moves are independent and uniform, so a slope is cov(f, δ) / var(δ), var(δ) = r²/3. With p = P(x₁ > 0), f is
    (3·1[x₁ > 0] − 1) · x₂²: for x₂ the factor is 3p − 1 and E[x₂²δ] = 2 x₂ r²/3; for x₁ it is
    3 E[1[δ > .001] δ] = 3 (r² − .001²) / 4r, and the mean of x₂² is 4 + r²/3.
    """
    p = max(0.0, (radius - EDGE) / (2 * radius))
    first = 3 * (radius**2 - EDGE**2) / (4 * radius) / (radius**2 / 3) * (SECOND**2 + radius**2 / 3) if p else 0.0
    return first, (3 * p - 1) * 2 * SECOND


@pytest.mark.parametrize("radius", [0.0005, 0.01, 1.0])
def test_beside_a_cliff_the_slopes_are_those_of_the_mean_over_both_sides(radius: float) -> None:
    """The gradient by x₂ is −2x₂ = −4; a fit that crosses the edge has about the mean of 4x₂ and −2x₂, which is +2."""
    fit = explain.lime(cliff(), neighbourhood=Ball("linf", radius), budget=20_000, width=1e6)
    first, second = expected_slopes(radius)
    assert fit.stderr is not None
    assert_allclose(fit.values, [[first, second]], atol=5 * fit.stderr.max() + 1e-9)
    assert fit.values[0, 1] < -3.9 if radius < EDGE else fit.values[0, 1] > 1.0
    assert_allclose(explain.saliency(cliff(), signed=True).values, [[0.0, -4.0]])


def test_the_fit_tells_where_the_tangent_misleads() -> None:
    """Within the edge the model is nearly linear; across it R² falls to that of a step, ¾ for a balanced one."""
    inside, across = (
        explain.lime(cliff(), neighbourhood=Ball("linf", radius), budget=4000, width=1e6).extra["fidelity"][0]
        for radius in (0.0005, 0.01)
    )
    assert inside > 0.999
    assert_allclose(across, 0.75, atol=0.02)


@pytest.mark.parametrize(("width", "ridge"), [(0.3, 0.0), (1.0, 2.0)])
def test_it_solves_the_normal_equations_on_its_own_points(width: float, ridge: float) -> None:
    case = SUBJECTS["smooth"]()
    ball = Ball("l2", 1.0, scale=(1.0, 0.5, 2.0, 1.0))
    found = explain.lime(case, neighbourhood=ball, budget=40, width=width, ridge=ridge)
    moves = ball.sample_moves((4,), 40, case.seed.child("local slopes"))
    for row, x in enumerate(case.rows.x):
        gram, moment = np.diag([0.0] + [ridge] * 4), np.zeros(5)
        for move in moves:
            u = move / np.array(ball.scale)
            weight = np.exp(-np.mean(u**2) / width**2)
            z = np.append(1.0, u)
            gram += weight * np.outer(z, z)
            moment += weight * z * case.value((x + move)[None], np.array([row]))[0]
        solution = np.linalg.solve(gram, moment)
        assert_allclose(found.values[row], solution[1:], atol=1e-9)
        assert_allclose(found.extra["intercept"][row], solution[0], atol=1e-9)


def test_of_a_linear_model_it_is_the_weight_times_the_scale_at_every_width() -> None:
    case = examples.linear((2.0, -1.0, 0.0), intercept=0.5)
    fit = explain.lime(case, neighbourhood=Ball("linf", 0.1, scale=(1.0, 3.0, 2.0)), budget=30)
    assert_allclose(fit.values, [[2.0, -3.0, 0.0]], atol=1e-9)
    assert_allclose(fit.extra["fidelity"], 1.0)
    assert_array_equal(fit.extra["nonzero"], 2.0)
    assert np.isnan(fit.base).all()
    assert_allclose(fit.extra["intercept"], fit.output)
    slopes = explain.local_slopes(case, ball=Ball("linf", 0.1, scale=(1.0, 3.0, 2.0)))
    assert_allclose(slopes.extra["change"], 0.0, atol=1e-9)
    assert slopes.description[0] == "A tangent describes the model up to moves of about 1 sd."


def test_complexity_is_counted_on_masks_too() -> None:
    found = explain.lime(examples.linear((2.0, 0.0, 0.5, 0.0)), remove=Constant(0.0))
    assert_array_equal(found.extra["nonzero"], 2.0)


def test_columns_that_do_not_move_are_undefined() -> None:
    fit = explain.lime(examples.linear((2.0, -1.0)), neighbourhood=Ball("linf", 0.1, scale=(1.0, 0.0)), budget=30)
    assert_array_equal(np.isnan(fit.values), [[False, True]])
    assert any(note.code == "undefined" for note in fit.notes)


def test_points_stay_within_the_bounds_and_rows_do_not_depend_on_each_other() -> None:
    seen: list[np.ndarray] = []

    def watched(x: np.ndarray) -> np.ndarray:
        seen.append(np.array(x))
        return np.asarray(x[:, 0] ** 2 + x[:, 1])

    model = assay.model.function(watched, name="watched", fingerprint="watched")
    case = assay.case(model, np.array([[0.05, 0.5], [0.9, 0.2], [0.4, 0.4]]))
    ball = Ball("linf", 0.2, 0.0, 1.0)
    whole = explain.lime(case, neighbourhood=ball, budget=50)
    assert min(one.min() for one in seen) >= 0
    assert max(one.max() for one in seen) <= 1
    assert_array_equal(explain.lime(case.take([2, 0]), neighbourhood=ball, budget=50).values, whole.values[[2, 0]])


@pytest.mark.parametrize("make", [SUBJECTS["mixed"], textual, visual], ids=["coded", "texts", "images"])
def test_coded_columns_texts_and_images_are_refused(make: Any) -> None:
    with pytest.raises(CapabilityError, match=r"a neighbourhood of points needs (numeric inputs|a table)"):
        explain.lime(make(), neighbourhood=Ball("linf", 0.1))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"remove": Constant(0.0)}, "exclude each other"),
        ({"budget": 4}, "at least 6 are needed"),
        ({"width": 1e-4}, "do not determine 4 slopes"),
        ({"width": 0.0}, "width must be above 0"),
        ({"neighbourhood": Ball("linf", 0.1, scale=(1.0, 1.0))}, "scale has 2 numbers for 4 columns"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        explain.lime(SUBJECTS["smooth"](), **{"neighbourhood": Ball("linf", 0.1), **options})


def test_the_cost_is_the_points_of_all_rows() -> None:
    case = SUBJECTS["neural"]()
    before = case.model.meter.forwards, case.model.meter.backwards
    _ = case.output
    own = case.model.meter.forwards - before[0]
    explain.lime(case, neighbourhood=Ball("linf", 0.1), budget=20)
    assert case.model.meter.forwards - before[0] - own == 3 * 20


def step_case(edge: float) -> Case:
    """A net of one column whose slope is 1 up to ``edge`` and 5 from there on, asked at 0."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).double()
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([[1.0], [1.0]])
        net[0].bias[:] = torch.tensor([100.0, -edge])
        net[2].weight[:] = torch.tensor([[1.0, 4.0]])
        net[2].bias[:] = 0.0
    return assay.case(assay.wrap(net, output="values"), torch.zeros((2, 1), dtype=torch.float64))


@pytest.mark.parametrize(
    ("edge", "sentence"),
    [
        (2.0, "A tangent describes the model up to moves of about 1 units."),
        (0.12, "A tangent describes the model up to moves of about 0.1 units; farther out the slopes are others."),
        (0.01, "A tangent does not describe the model even within 0.1 units: the slopes differ by more than half."),
    ],
)
def test_a_tangent_describes_a_net_as_far_as_its_next_kink(edge: float, sentence: str) -> None:
    found = explain.local_slopes(step_case(edge), budget=2000)
    assert_array_equal(found.extra["change"][0] < 1e-9, edge > 0.1)
    assert found.description[0] == sentence
    assert len(found.description) == 6


def test_changes_are_relative_to_the_gradient_and_without_one_to_the_narrowest_fit() -> None:
    case = SUBJECTS["neural"]()
    found = explain.local_slopes(case, ball=Ball("linf", 0.1, scale=(1.0, 2.0, 0.5, 1.0)))
    tangent = explain.saliency(case, signed=True).values * [1.0, 2.0, 0.5, 1.0]
    gap = np.linalg.norm(found.extra["slopes"] - tangent, axis=2) / np.linalg.norm(tangent, axis=1)
    assert_allclose(found.extra["change"], gap)
    assert (np.diff(found.extra["change"], axis=0) > 0).any()
    wooded = explain.local_slopes(SUBJECTS["wooded"]())
    assert_allclose(wooded.extra["change"][0][np.isfinite(wooded.extra["change"][0])], 0.0)
    assert "from the slopes within 0.1 units" in wooded.description[-1]


def test_widths_use_the_same_moves_so_that_a_quadratic_differs_by_what_it_bends() -> None:
    """Of x₁² + x₂ at (1, 0) the cube's slope is 2x₁ at every radius, up to the sample."""
    model = assay.model.function(lambda x: x[:, 0] ** 2 + x[:, 1], name="bent", fingerprint="bent")
    case = assay.case(model, np.array([[1.0, 0.0], [1.0, 0.0]]))
    found = explain.local_slopes(case, budget=4000)
    assert_allclose(found.extra["slopes"], np.broadcast_to([2.0, 1.0], (3, 2, 2)), atol=0.05)
    assert_array_equal(found.extra["same top"], 1.0)


@pytest.mark.parametrize("widths", [(), (0.0, 1.0), (3.0, 1.0), (1.0, 1.0)])
def test_widths_must_rise(widths: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="rising multiples"):
        explain.local_slopes(SUBJECTS["smooth"](), widths=widths)


def test_rows_with_missing_values_are_refused() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    x = np.random.default_rng(0).normal(size=(40, 2))
    x[3, 0] = np.nan
    case = assay.case(assay.wrap(HistGradientBoostingRegressor(max_iter=3).fit(x, x[:, 1])), x[:5])
    for method, options in ((explain.local_slopes, {}), (explain.lime, {"neighbourhood": Ball("linf", 0.1)})):
        with pytest.raises(CapabilityError, match="without missing values"):
            method(case, **options)
    assert len(explain.local_slopes(case.take([0, 1])).values) == 2


def test_a_target_that_is_flat_has_no_tangent() -> None:
    flat = examples.linear((0.0, 0.0), intercept=1.0)
    assert explain.local_slopes(flat).description[0].startswith("The target does not change")
    assert replace(flat).output[0] == 1.0
