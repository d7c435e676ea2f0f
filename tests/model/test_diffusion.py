"""Diffusion against closed forms: the forward process, denoisers, the reverse process, and in-fill of mixtures."""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file
from tests.model.diffusion_mixtures import drawn, errors, mixture, questions

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.model.diffusion.denoiser import Denoiser, clean_from, diffusers_denoiser, net_denoiser
from assay.model.diffusion.denoiser_files import load_denoiser, save_denoiser
from assay.model.diffusion.denoising_net import make_net, train_denoiser
from assay.model.diffusion.gaussian_mixture import GaussianMixture
from assay.model.diffusion.infill import denoiser_calls, infill
from assay.model.diffusion.reverse import denoise, sample
from assay.model.diffusion.schedule import LEAST, Schedule, add_noise

TABLE = tuple(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)).tolist())
SCHEDULES = [Schedule("cosine"), Schedule("linear"), Schedule("table", TABLE)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one.kind)
def test_the_share_of_the_signal_falls_from_one_to_nearly_zero(schedule: Schedule) -> None:
    levels = [schedule.signal(t) for t in np.linspace(0, 1, 101)]
    assert levels[0] == 1.0
    assert (np.diff(levels) < 0).all()
    assert LEAST / 3 <= levels[-1] <= 2 * LEAST


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one.kind)
@pytest.mark.parametrize("t", [0.1, 0.4, 0.8])
def test_noised_data_have_the_moments_of_the_closed_form(schedule: Schedule, t: float) -> None:
    mixed, a = mixture(), schedule.signal(t)
    x = mixed.draw(60_000, Seed(1))
    noisy = add_noise(x, a, np.random.default_rng(2).normal(size=x.shape))
    assert noisy.shape == x.shape
    assert_allclose(noisy.mean(axis=0), math.sqrt(a) * mixed.mean, atol=0.03)
    assert_allclose(np.cov(noisy.T), a * mixed.covariance + (1 - a) * np.eye(8), atol=0.08)
    variance = np.diag(mixed.covariance)
    expected = np.sqrt(a * variance / (a * variance + 1 - a))
    assert_allclose([np.corrcoef(x[:, i], noisy[:, i])[0, 1] for i in range(8)], expected, atol=0.02)


def test_times_fall_evenly_and_those_of_a_table_lie_at_its_entries() -> None:
    assert_allclose(Schedule().times(4, 0.8), [0.8, 0.6, 0.4, 0.2, 0.0])
    schedule = Schedule("table", (0.9, 0.5, 0.1))
    assert_allclose(schedule.times(3), [1, 2 / 3, 1 / 3, 0])
    assert [schedule.signal(t) for t in schedule.times(3)] == [0.1, 0.5, 0.9, 1.0]
    with pytest.raises(InputError, match="more than the 3 entries"):
        schedule.times(4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schedule("sine"), "cosine, linear and table"),  # type: ignore[arg-type]  # the fault tested
        (lambda: Schedule("table"), "needs a table"),
        (lambda: Schedule("cosine", (0.5,)), "needs a table"),
        (lambda: Schedule("table", (0.5, 0.9)), "falling"),
        (lambda: Schedule("table", (1.5, 0.9)), "at most 1"),
        (lambda: Schedule().signal(1.5), "between 0"),
        (lambda: Schedule().times(0), "steps"),
    ],
)
def test_a_wrong_schedule_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_the_denoiser_of_a_mixture_is_the_mean_of_the_posterior_by_integration() -> None:
    mixed = GaussianMixture(np.array([0.3, 0.7]), np.array([[-1.0], [2.0]]), np.array([[[0.2]], [[0.5]]]))
    grid = np.linspace(-6, 8, 20001)
    density = sum(
        w * np.exp(-((grid - m[0]) ** 2) / (2 * s[0, 0])) / np.sqrt(s[0, 0])
        for w, m, s in zip(mixed.weights, mixed.means, mixed.covariances)
    )
    denoiser = mixed.denoiser()
    for t, point in [(0.2, 0.5), (0.5, 1.0), (0.9, -0.3)]:
        a = denoiser.schedule.signal(t)
        posterior = density * np.exp(-((point - math.sqrt(a) * grid) ** 2) / (2 * (1 - a)))
        expected = (grid * posterior).sum() / posterior.sum()
        found = denoiser.estimate(denoiser.tensor([[point]]), t)
        assert float(found[0, 0]) == pytest.approx(expected, abs=1e-8)


def test_the_conditional_of_a_mixture_has_the_moments_of_the_draws_near_the_known_value() -> None:
    mixed = GaussianMixture(
        np.array([0.4, 0.6]), np.array([[0.0, 1.0], [1.0, -1.0]]), np.array([[[1.0, 0.5], [0.5, 1.0]], np.eye(2)])
    )
    draws = mixed.draw(400_000, Seed(3))
    near = draws[np.abs(draws[:, 0] - 0.3) < 0.02, 1]
    truth = mixed.conditional(np.array([0.3, np.nan]), np.array([True, False]))
    assert truth.mean[0] == pytest.approx(near.mean(), abs=5 * near.std() / math.sqrt(len(near)))
    assert truth.covariance[0, 0] == pytest.approx(near.var(), rel=0.06)


def test_the_reverse_process_of_a_gaussian_is_its_root_applied_to_the_noise() -> None:
    root = np.array([[0.8, 0.1], [0.1, 0.3]])
    gaussian = GaussianMixture(np.ones(1), np.array([[1.0, -2.0]]), (root @ root)[None])
    denoiser, z = gaussian.denoiser(), np.random.default_rng(0).normal(size=(20, 2))
    errors_by_steps = []
    for steps in (50, 200, 800):
        found = np.asarray(denoise(denoiser, denoiser.tensor(z), denoiser.schedule.times(steps)))
        errors_by_steps.append(np.abs(found - (np.array([1.0, -2.0]) + z @ root)).max())
    assert errors_by_steps[2] < 0.03
    assert errors_by_steps[0] > 2 * errors_by_steps[1] > 3 * errors_by_steps[2]


def test_samples_have_the_moments_of_the_mixture_and_the_same_bytes_for_the_same_seed() -> None:
    mixed = mixture()
    found = sample(mixed.denoiser(), 4000, Seed(0), steps=60)
    assert_allclose(found.mean(axis=0), mixed.mean, atol=0.12)
    assert_allclose(np.diag(np.cov(found.T)), np.diag(mixed.covariance), rtol=0.12)
    assert sample(mixed.denoiser(), 5, Seed(4), steps=5).tobytes() == sample(mixed.denoiser(), 5, Seed(4), 5).tobytes()
    assert (sample(mixed.denoiser(), 5, Seed(4), 5) != sample(mixed.denoiser(), 5, Seed(5), 5)).all()


@pytest.mark.parametrize(("method", "steps", "repeats"), [("repaint", 15, 20), ("guided", 60, 1)])
def test_infill_of_a_mixture_draws_from_its_conditional(method: str, steps: int, repeats: int) -> None:
    fill = partial(drawn, method=method, steps=steps, repeats=repeats)
    gap, discrepancy = errors(mixture(), fill, 250)
    assert np.median(gap) <= 0.25
    assert np.median(discrepancy) <= 0.02


@pytest.mark.parametrize("steps", [10, 60])
def test_replacement_of_a_mixture_misses_its_conditional_at_any_number_of_steps(steps: int) -> None:
    gap, discrepancy = errors(mixture(), partial(drawn, method="replacement", steps=steps), 300)
    assert np.median(gap) > 0.25
    assert np.median(discrepancy) > 0.02


@pytest.mark.judge
@pytest.mark.parametrize(("method", "steps", "repeats"), [("repaint", 50, 20), ("guided", 100, 1)])
def test_infill_of_five_mixtures_draws_from_their_conditionals(method: str, steps: int, repeats: int) -> None:
    fill = partial(drawn, method=method, steps=steps, repeats=repeats)
    gap, discrepancy = np.concatenate([errors(mixture(seed), fill, 300) for seed in range(5)], axis=1)
    assert np.median(gap) <= 0.25
    assert np.median(discrepancy) <= 0.02


@pytest.mark.parametrize(("method", "repeats"), [("repaint", 3), ("guided", 3), ("replacement", 3)])
def test_the_calls_of_the_denoiser_are_as_declared_and_present_elements_stay(method, repeats: int) -> None:
    mixed = mixture()
    denoiser, calls = mixed.denoiser(), []
    counted = Denoiser(lambda x, t: (calls.append(t), denoiser.clean(x, t))[1], (8,), "counted", dtype="float64")
    x, keep = next(questions(mixed))
    filled = infill(
        counted, counted.tensor(x), counted.tensor(keep) > 0, lambda: counted.tensor(np.ones((2, 8))), method=method,
        steps=5, repeats=repeats,
    )  # fmt: skip
    assert len(calls) == denoiser_calls(method, 5, repeats)
    assert_array_equal(np.asarray(filled)[:, keep], np.tile(x[keep], (2, 1)))


@pytest.mark.parametrize("method", ["repaint", "replacement"])
def test_present_elements_carry_the_noise_of_their_step(method) -> None:
    mixed, seen = mixture(), []
    denoiser, stream = mixed.denoiser(), np.random.default_rng(3)
    watched = Denoiser(lambda x, t: (seen.append((x, t)), denoiser.clean(x, t))[1], (8,), "watched", dtype="float64")
    x, keep = next(questions(mixed))
    infill(
        watched, watched.tensor(x), watched.tensor(keep) > 0, lambda: watched.tensor(stream.normal(size=(4000, 8))),
        method=method, steps=4, repeats=2,
    )  # fmt: skip
    for point, t in seen[2:]:
        a = denoiser.schedule.signal(t)
        present = np.asarray(point)[:, keep]
        assert_allclose(present.mean(axis=0), math.sqrt(a) * x[keep], atol=0.08)
        assert_allclose(present.var(axis=0), 1 - a, rtol=0.12)


@pytest.mark.parametrize("predicts", ["clean", "noise", "velocity"])
def test_every_prediction_gives_the_clean_input_back(predicts) -> None:
    stream = np.random.default_rng(0)
    clean, noise = stream.normal(size=(2, 3, 4))
    a = 0.3
    v = math.sqrt(a) * noise - math.sqrt(1 - a) * clean
    predicted = {"clean": clean, "noise": noise, "velocity": v}[predicts]
    assert_allclose(clean_from(predicted, add_noise(clean, a, noise), a, predicts), clean, atol=1e-12)


class NoiseNet(torch.nn.Module):
    """A net that is called as those of diffusers are, and knows that the data are all zero."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(TABLE, dtype=torch.float64))

    def forward(self, x: torch.Tensor, step: torch.Tensor) -> SimpleNamespace:
        assert step.dtype == torch.long
        return SimpleNamespace(sample=x / (1 - self.table[step]).sqrt()[:, None])


class Plain(torch.nn.Module):
    def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return x


def test_a_model_called_as_those_of_diffusers_are_is_a_denoiser() -> None:
    denoiser = diffusers_denoiser(NoiseNet(), TABLE, (2,))
    assert_allclose(sample(denoiser, 3, Seed(0), steps=10), 0, atol=1e-9)
    assert denoiser.schedule.times(10)[0] == 1.0
    with pytest.raises(InputError, match=r"without \.sample"):
        diffusers_denoiser(Plain(), TABLE, (2,)).estimate(torch.zeros(1, 2), 0.5)


def test_a_net_of_another_shape_is_refused() -> None:
    class Short(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return x[:, :1]

    with pytest.raises(InputError, match=r"gives shape \(2, 1\)"):
        net_denoiser(Short(), (3,)).estimate(torch.zeros(2, 3), 0.5)
    with pytest.raises(InputError, match="clean, noise or velocity"):
        net_denoiser(Short(), (3,), predicts="score")  # type: ignore[arg-type]  # the fault tested


def bars(count: int, seed: int) -> np.ndarray:
    """Pictures 8 × 8 of one bright column of two pixels, in 0 … 255."""
    stream = np.random.default_rng(seed)
    x = np.zeros((count, 1, 8, 8))
    for row, place in enumerate(stream.integers(0, 4, count)):
        x[row, 0, :, 2 * place : 2 * place + 2] = 255.0
    return x


def test_a_trained_denoiser_beats_the_mean_picture() -> None:
    denoiser = train_denoiser(bars(256, 0), steps=60, batch=16, width=8, seed=Seed(1), rate=5e-3)
    x = denoiser.from_rows(bars(64, 1))
    noise = np.random.default_rng(2).normal(size=x.shape)
    noisy = denoiser.tensor(add_noise(x, denoiser.schedule.signal(0.4), noise))
    with torch.no_grad():
        found = np.asarray(denoiser.estimate(noisy, 0.4))
    assert ((found - x) ** 2).mean() < 0.35 * ((x.mean(axis=0) - x) ** 2).mean()
    assert np.abs(sample(denoiser, 4, Seed(0), steps=4) - 127.5).max() <= 127.5 + 1e-3


def test_a_saved_denoiser_is_the_same_after_reading(tmp_path) -> None:
    denoiser = train_denoiser(bars(8, 0), steps=1, batch=4, width=8).in_units(10.0, 2.0)
    save_denoiser(denoiser, tmp_path / "d.safetensors")
    again = load_denoiser(tmp_path / "d.safetensors")
    assert (again.shape, again.center, again.scale, again.bounds) == (
        (1, 8, 8), denoiser.center, denoiser.scale, (-1.0, 1.0),
    )  # fmt: skip
    x = denoiser.tensor(np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    with torch.no_grad():
        assert_allclose(again.clean(x, 0.5), denoiser.clean(x, 0.5), atol=2e-3)
    save_denoiser(again, tmp_path / "e.safetensors")
    assert (tmp_path / "d.safetensors").read_bytes() == (tmp_path / "e.safetensors").read_bytes()


def test_a_file_that_holds_no_denoiser_is_refused(tmp_path) -> None:
    (tmp_path / "text").write_text("no weights")
    save_file({"w": np.zeros(2)}, tmp_path / "other.safetensors")
    for name, message in [("text", "no safetensors"), ("other.safetensors", "no denoiser"), ("none", "no file")]:
        with pytest.raises(InputError, match=message):
            load_denoiser(tmp_path / name)
    with pytest.raises(InputError, match="no net of train_denoiser"):
        save_denoiser(mixture().denoiser(), tmp_path / "m")


def test_training_gives_the_same_weights_for_the_same_seed_alone() -> None:
    marks = [train_denoiser(bars(8, 0), steps=2, batch=4, width=8, seed=Seed(s)).fingerprint for s in (0, 0, 1)]
    assert marks[0] == marks[1] != marks[2]


def test_pictures_that_the_net_cannot_take_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 4"):
        make_net((1, 10, 8), 8, Seed(0))
    with pytest.raises(InputError, match="no multiple of 8"):
        make_net((1, 8, 8), 12, Seed(0))
    with pytest.raises(InputError, match="pictures that differ"):
        train_denoiser(np.zeros((4, 1, 8, 8)), steps=1)
