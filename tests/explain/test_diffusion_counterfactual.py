"""Counterfactual pictures through a denoiser: where they change, who agrees, what is noted, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.model.diffusion import Denoiser, Schedule

SHAPE = (1, 8, 8)


def smooth_denoiser(shape: tuple[int, ...] = SHAPE, bounds: tuple[float, float] | None = (0.0, 1.0)) -> Denoiser:
    """The exact denoiser of pictures of one brightness: x = .5 + a standard normal number, the same everywhere."""
    size, schedule = int(np.prod(shape)), Schedule()

    def clean(x: torch.Tensor, t: float) -> torch.Tensor:
        a = schedule.signal(t)
        mean = x.flatten(1).mean(1)
        share = a / (a + (1 - a) / size)
        level = 0.5 + share * (mean - a**0.5 * 0.5) / a**0.5
        return level.reshape(-1, *(1,) * len(shape)).expand(x.shape)

    return Denoiser(clean, shape, "one brightness", schedule, bounds=bounds, dtype="float64")


def pixel_denoiser() -> Denoiser:
    """The exact denoiser of pixels that do not depend on each other."""
    schedule = Schedule()

    def clean(x: torch.Tensor, t: float) -> torch.Tensor:
        a = schedule.signal(t)
        return 0.5 + a**0.5 * (x - a**0.5 * 0.5)

    return Denoiser(clean, SHAPE, "pixels", schedule, bounds=(0.0, 1.0), dtype="float64")


def net_of(weight: np.ndarray, bias: float = 0.0) -> torch.nn.Module:
    """Two classes; the log odds of the second are weight · (x − .5) + bias."""
    linear = torch.nn.Linear(weight.size, 2).double()
    flat = torch.as_tensor(weight.reshape(-1))
    linear.weight.data = torch.stack([-flat / 2, flat / 2])
    linear.bias.data = torch.tensor([1.0, -1.0], dtype=torch.float64) * (float(weight.sum()) / 4 - bias / 2)
    return torch.nn.Sequential(torch.nn.Flatten(), linear).eval()


def noise(seed: int) -> np.ndarray:
    """Weights of either sign that sum to 0."""
    return np.random.default_rng(seed).permutation(np.repeat([-1.5, 1.5], 32)).reshape(SHAPE)


BRIGHT = np.full(SHAPE, 0.3)
NOISY = BRIGHT + noise(3)
ROWS = np.clip(0.35 + 0.02 * np.random.default_rng(0).normal(size=(4, *SHAPE)), 0, 1)


def question(weight: np.ndarray = NOISY, rows: np.ndarray = ROWS, **other) -> assay.Case:
    model = assay.wrap(net_of(weight, **other), classes=["dark", "bright"])
    return assay.case(model, torch.as_tensor(rows), label="predicted")


def judges() -> list[torch.nn.Module]:
    """Models that read the brightness without the noise of the one that is explained."""
    return [net_of(BRIGHT + noise(s)) for s in (10, 11, 12)]


def test_other_models_follow_the_denoiser_and_not_the_plain_gradient() -> None:
    found = explain.diffusion_counterfactual(question(bias=-1), denoiser=smooth_denoiser(), judges=judges(), depth=0.5)
    assert (found.extra["probability"] >= 0.9).all()
    assert (found.extra["plain_probability"] >= 0.9).all()
    assert (found.extra["agreement_before"] == 0).all()
    assert found.extra["agreement"].mean() >= 2 * found.extra["plain_agreement"].mean()
    assert [note.code for note in found.notes if note.code != "train-mode"] == ["agreement"]
    assert "of 3 other models follow" in found.notes[-1].text


def test_pictures_that_no_other_model_follows_are_called_adversarial_noise() -> None:
    others = [net_of(-BRIGHT), net_of(-BRIGHT)]
    found = explain.diffusion_counterfactual(question(bias=-1), denoiser=smooth_denoiser(), judges=others, depth=0.5)
    (note,) = found.notes
    assert note.code == "adversarial-noise"
    assert "may be adversarial noise" in note.text


def test_agreement_that_the_plain_gradient_has_too_is_no_evidence_unless_it_is_high() -> None:
    from assay.explain.diffusion_counterfactual import _verdict

    rows = np.ones(4)
    assert _verdict(0.6 * rows, 0.4 * rows, 0 * rows, rows, 5).code == "adversarial-noise"
    assert _verdict(0.6 * rows, 0.3 * rows, 0 * rows, rows, 5).code == "agreement"
    assert _verdict(0.8 * rows, 0.8 * rows, 0 * rows, rows, 5).code == "agreement"
    assert _verdict(0.8 * rows, 0.1 * rows, 0.8 * rows, rows, 5).code == "adversarial-noise"
    assert _verdict(0 * rows, 0 * rows, 0 * rows, rows, 5).code == "adversarial-noise"
    assert _verdict(np.nan * rows, np.nan * rows, 0 * rows, rows, 5).code == "adversarial-noise"


def test_the_plain_change_is_also_judged_at_the_distance_of_the_picture() -> None:
    given = {"denoiser": smooth_denoiser(), "depth": 0.5}
    found = explain.diffusion_counterfactual(question(bias=-1), judges=judges(), **given)
    ratio = (found.extra["distance"] / found.extra["plain_distance"])[:, None, None, None]
    moved = np.clip(ROWS + ratio * (found.extra["plain"] - ROWS), 0, 1)
    label = found.extra["label"].astype(int)
    with torch.no_grad():
        same = [judge(torch.as_tensor(moved)).argmax(1).numpy() == label for judge in judges()]
    assert_allclose(found.extra["stretched_agreement"], np.mean(same, axis=0))
    assert f"{np.mean(same):.2f} its change stretched" in found.notes[-1].text


def test_without_judges_the_result_says_that_nothing_is_shown() -> None:
    found = explain.diffusion_counterfactual(question(), denoiser=smooth_denoiser())
    assert [note.code for note in found.notes] == ["unjudged"]
    assert np.isnan(found.extra["agreement"]).all()


def test_a_model_that_reads_the_top_half_changes_there_only() -> None:
    weight = BRIGHT.copy()
    weight[:, 4:] = 0.0
    found = explain.diffusion_counterfactual(question(weight * 3, bias=-1), denoiser=pixel_denoiser(), depth=0.3)
    change = found.extra["x"] - ROWS
    assert (found.extra["probability"] >= 0.9).all()
    assert np.abs(change[:, :, 4:]).max() <= 1e-12
    assert np.abs(change[:, :, :4]).mean() > 0.05
    assert_allclose(found.values, change.reshape(4, -1), atol=1e-12)


def test_no_step_changes_nothing() -> None:
    found = explain.diffusion_counterfactual(question(), denoiser=smooth_denoiser(), probability=1e-9, steps=1)
    assert_allclose(found.values, 0, atol=1e-12)
    assert_array_equal(found.extra["label"], 1 - question().prediction.argmax(axis=1))


def test_a_row_ends_at_the_first_picture_that_reaches_the_probability() -> None:
    given = {"denoiser": smooth_denoiser(), "probability": 0.8}
    few, many = (explain.diffusion_counterfactual(question(), steps=n, **given) for n in (50, 80))
    assert (few.extra["probability"] >= 0.8).all()
    assert few.values.tobytes() == many.values.tobytes()


def test_rows_without_a_picture_are_undefined_and_named() -> None:
    found = explain.diffusion_counterfactual(question(), denoiser=smooth_denoiser(), steps=1, judges=judges())
    assert np.isnan(found.values).all()
    assert {note.code for note in found.notes} >= {"not-found", "plain-not-found", "undefined", "adversarial-noise"}
    assert found.description[0] == "row 0: no picture of bright was found"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"denoiser": smooth_denoiser((1, 4, 4))}, r"takes shape \(1, 4, 4\); the rows have shape \(1, 8, 8\)"),
        ({"denoiser": smooth_denoiser().in_units(0.0, 255.0)}, "draws 0 … 255"),
        ({"depth": 0.0}, "depth=0.0 lies above 0"),
        ({"probability": 1.0}, "probability=1.0 between 0 and 1"),
        ({"steps": 0}, "steps"),
        ({"rate": 0.0}, "rate"),
        ({"judges": [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3).double())]}, "other classes"),
    ],
)
def test_what_cannot_be_searched_is_refused(options, message: str) -> None:
    if "255" in message:
        with pytest.raises(InputError, match=message):
            explain.diffusion_counterfactual(question(rows=ROWS * 3e4), **options)
        return
    with pytest.raises(InputError, match=message):
        explain.diffusion_counterfactual(question(), **({"denoiser": smooth_denoiser()} | options))
