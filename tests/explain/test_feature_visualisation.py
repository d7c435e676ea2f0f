"""Feature visualisation: maxima that are known, what is said beside a picture, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import pooled, rectified, visual

import assay
from assay.basics.errors import InputError
from assay.engine.cost import cost_of
from assay.engine.pictures.parametrisations import Parametrisation, Transformation, mean_magnitude
from assay.explain import feature_visualisation
from assay.nouns.catalogue import Cost

SHAPE = (1, 3, 4)
BOUNDS = (-2.0, 2.0)


class Linear(torch.nn.Module):
    """Scores w · x of two classes."""

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.as_tensor(weight))

    def forward(self, x: Any) -> Any:
        return x.flatten(1) @ self.weight.T


class Quadratic(torch.nn.Module):
    """xᵀ A x."""

    def __init__(self, matrix: Any) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.as_tensor(matrix))

    def forward(self, x: Any) -> Any:
        flat = x.flatten(1)
        return ((flat @ self.matrix) * flat).sum(dim=1, keepdim=True)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=shape)


def case_of(net: Any, **options: Any) -> Any:
    return assay.case(assay.model.torch(net, **options), torch.as_tensor(drawn(5, *SHAPE)))


def test_a_linear_score_leads_to_the_corner_of_the_box() -> None:
    weight = drawn(2, 12)
    found = feature_visualisation(
        case_of(Linear(weight), gives="logits"), bounds=BOUNDS, norm="linf", step=0.1, steps=20, units=(0, 1)
    )
    assert_allclose(found.extra["pictures"].reshape(2, -1), 2.0 * np.sign(weight))
    assert_allclose(found.extra["reached"], 2.0 * np.abs(weight).sum(axis=1))


def test_a_linear_score_within_a_radius_leads_along_its_weights() -> None:
    weight = drawn(2, 12)
    found = feature_visualisation(
        case_of(Linear(weight), gives="logits"), bounds=(-9.0, 9.0), radius=1.5, starts=1, units=(1,), step=0.1
    )
    moved = found.extra["pictures"].ravel() - start_of("1")
    assert_allclose(moved, 1.5 * weight[1] / np.linalg.norm(weight[1]), atol=1e-9)


def start_of(name: str) -> np.ndarray:
    """The first start of a unit in bounds −9 … 9."""
    seed = assay.Seed(0).child("feature visualisation", name)
    return np.asarray(Parametrisation("pixels", SHAPE, -9.0, 9.0).start(0, seed)).ravel()


def test_a_quadratic_value_leads_to_the_first_eigenvector() -> None:
    turned = np.linalg.qr(drawn(12, 12))[0]
    matrix = turned @ np.diag([10.0, *np.linspace(2.0, -2.0, 11)]) @ turned.T
    found = feature_visualisation(
        case_of(Quadratic(matrix), gives="values"), bounds=(-0.5, 0.5), radius=0.4, steps=300, step=0.01
    )
    values, vectors = np.linalg.eigh(matrix)
    picture = found.extra["pictures"].ravel()
    assert abs(picture @ vectors[:, -1]) / np.linalg.norm(picture) > 0.99
    assert found.extra["reached"][0] >= 0.98 * 0.16 * values[-1]


def test_beside_each_picture_stand_the_best_row_and_noise_of_equal_norm() -> None:
    case = case_of(Linear(drawn(2, 12)), gives="logits")
    found = feature_visualisation(case, bounds=BOUNDS, units=(0, 1))
    scores = np.asarray(case.outputs(case.rows.x))
    assert_allclose(found.values, scores)
    assert_allclose(found.extra["best_row"], scores.argmax(axis=0))
    assert_allclose(found.extra["best_value"], scores.max(axis=0))
    assert (found.extra["noise"][:, 0] <= found.extra["noise"][:, 1]).all()
    assert (found.extra["noise"][:, 1] < found.extra["reached"]).all()
    assert found.description[0].startswith(f"0: {found.extra['reached'][0]:.4g} reached; best row ")


@pytest.mark.parametrize("subject", [visual, pooled, rectified])
def test_pictures_of_units_beat_the_best_real_row(subject: Any) -> None:
    case = subject()
    layer = next(name for name, _ in case.model.net.named_modules() if name)
    found = feature_visualisation(case, layer=layer, steps=40)
    assert (found.extra["reached"] >= found.extra["best_value"]).all()
    inner = case.model.up_to_layer(layer)
    means = inner.values(case.rows).mean(dim=(2, 3)).numpy()
    assert_allclose(found.values, means, atol=1e-12)


def test_a_direction_along_one_unit_is_that_unit() -> None:
    case, along = visual(), np.array([0.0, 0.0, 2.0, 0.0])
    one = feature_visualisation(case, layer="0", direction=along, steps=30)
    unit = feature_visualisation(case, layer="0", units=(2,), steps=30)
    assert_allclose(one.values[:, 0], 2.0 * unit.values[:, 2])
    assert_allclose(one.extra["best_value"], 2.0 * unit.extra["best_value"])


def test_blur_and_decay_make_pictures_smoother_and_smaller() -> None:
    case = visual()

    def picture(**options: Any) -> np.ndarray:
        return feature_visualisation(case, bounds=(0.0, 1.0), steps=30, **options).extra["pictures"]

    def roughness(x: np.ndarray) -> float:
        return float(np.abs(np.diff(x, axis=3)).sum())

    plain = picture()
    assert roughness(picture(blur=0.7)) < 0.7 * roughness(plain)
    assert np.abs(picture(decay=5.0) - 0.5).sum() < 0.7 * np.abs(plain - 0.5).sum()


@pytest.mark.parametrize(
    "options", [{}, {"parameters": "fourier"}, {"parameters": "phase"}, {"jitter": 1, "zoom": 0.1}]
)
def test_every_way_raises_the_response_and_stays_within_the_bounds(options: Any) -> None:
    found = feature_visualisation(visual(), bounds=(0.1, 0.8), steps=20, starts=1, **options)
    assert (found.extra["reached"] > found.extra["start"]).all()
    assert found.extra["pictures"].min() >= 0.1
    assert found.extra["pictures"].max() <= 0.8


def test_phase_keeps_the_mean_spectrum_of_the_pictures_given() -> None:
    pictures = drawn(4, 1, 6, 6)
    space = Parametrisation("phase", (1, 6, 6), -99.0, 99.0, mean_magnitude(pictures))
    z = torch.as_tensor(np.random.default_rng(0).uniform(-3, 3, (1, 1, 6, 4)))
    z[..., [0, 3]] = 0.0  # columns whose phases an inverse transform of real pictures ties together
    assert_allclose(mean_magnitude(space.decode(z).numpy())[0, :, 1:3], mean_magnitude(pictures)[0, :, 1:3])


def test_shifts_by_whole_pixels_are_exact() -> None:
    x = torch.as_tensor(drawn(1, 1, 8, 8))
    moved = Transformation(jitter=2).apply(x, [np.random.default_rng(3)])
    down, across = np.random.default_rng(3).integers(-2, 3, size=2)[::-1]
    rows, columns = np.clip(np.arange(8) + down, 0, 7), np.clip(np.arange(8) + across, 0, 7)
    assert_allclose(moved[0, 0].numpy(), x[0, 0].numpy()[np.ix_(rows, columns)], atol=1e-12)


def test_a_unit_without_slope_is_named() -> None:
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(12, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)
    ).double()
    with torch.no_grad():
        net[1].weight[0], net[1].weight[1] = 0.0, 0.1
        net[1].bias.copy_(torch.tensor([-1.0, 1.0]))
    found = feature_visualisation(case_of(net.eval(), gives="logits"), layer="2", units=(0, 1), steps=3)
    assert [note.text for note in found.notes if note.code == "zero-gradient"] == [
        "the slope of unit 0 is zero at every point, so that the search cannot move"
    ]


def test_a_search_that_stays_below_the_best_row_says_so() -> None:
    found = feature_visualisation(case_of(Linear(drawn(2, 12)), gives="logits"), bounds=(-9.0, 9.0), radius=0.01)
    assert "below-best-row" in [note.code for note in found.notes]


@pytest.mark.parametrize("options", [{}, {"top": 1}, {"units": (1,)}, {"starts": 3}, {"layer": "0", "top": 2}])
def test_the_cost_is_known_before(options: Any) -> None:
    case = visual()
    _ = case.output, case.prediction
    meter = case.model.meter
    before = meter.forwards, meter.backwards
    feature_visualisation(case, steps=4, **options)
    spent = Cost(meter.forwards - before[0], meter.backwards - before[1])
    assert spent == cost_of(feature_visualisation.method, case, {"steps": 4, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"direction": np.ones(4)},
        {"layer": "0", "direction": np.ones(3)},
        {"layer": "0", "direction": np.zeros(4)},
        {"units": (0, 0)},
        {"units": (7,)},
        {"bounds": (1.0, 0.0)},
        {"origin": 9.0, "bounds": (0.0, 1.0)},
        {"origin": 0.5, "parameters": "phase"},
        {"starts": 0},
        {"zoom": 1.0},
        {"jitter": -1},
        {"top": 0},
    ],
)
def test_options_that_mean_nothing_get_a_typed_error(options: Any) -> None:
    with pytest.raises(InputError):
        feature_visualisation(visual(), steps=1, **options)
