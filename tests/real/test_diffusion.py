"""The denoiser of clothing pictures: it denoises, it fills better than black, and it draws what looks like clothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.shared import folder

import assay
from assay import Conditional, Constant, Generative
from assay.basics.seed import Seed
from assay.model.diffusion import add_noise, fashion_denoiser, sample

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def clothing() -> tuple[np.ndarray, np.ndarray]:
    """Training and test pictures (row, 1, 28, 28), pixels 0 … 1."""
    z = np.load(folder("fashion-mnist") / "fashion_mnist.npz")
    return z["x_train"][:, None] / 255.0, z["x_test"][:, None] / 255.0


@pytest.mark.parametrize(("t", "share"), [(0.2, 0.1), (0.5, 0.25), (0.8, 0.6)])
def test_noise_is_taken_away_from_pictures_it_has_not_seen(clothing, t: float, share: float) -> None:
    denoiser, test = fashion_denoiser(), clothing[1][:64]
    x = denoiser.from_rows(test)
    noisy = add_noise(x, denoiser.schedule.signal(t), np.random.default_rng(0).normal(size=x.shape))
    with torch.no_grad():
        found = np.asarray(denoiser.estimate(denoiser.tensor(noisy), t))
    assert ((found - x) ** 2).mean() < share * ((x - x.mean(axis=0)) ** 2).mean()


def test_draws_are_as_near_to_training_pictures_as_test_pictures_are_and_no_copies(clothing) -> None:
    train, test = clothing
    drawn = sample(fashion_denoiser(), 24, Seed(0), steps=25)

    def nearest(x: np.ndarray) -> np.ndarray:
        flat, known = x.reshape(len(x), -1), train.reshape(len(train), -1)
        return np.sqrt(((flat**2).sum(1)[:, None] + (known**2).sum(1) - 2 * flat @ known.T).clip(0).min(axis=1))

    assert 0.5 * np.median(nearest(test[:100])) < np.median(nearest(drawn)) < 1.6 * np.median(nearest(test[:100]))


def test_half_a_picture_is_filled_better_than_by_black_and_about_as_by_donors(clothing) -> None:
    train, test = clothing[0], clothing[1][:8]
    keep = np.zeros((8, 1, 28, 28), dtype=bool)
    keep[:, :, :, :14] = True
    case = assay.case(assay.model.function(lambda x: x.sum(axis=(1, 2, 3)), name="sum", fingerprint="sum"), test)

    def error(removal: assay.Removal) -> float:
        versions = removal.bind(case.rows).fill(np.arange(8), keep)
        return float(np.mean([((one - test)[~keep] ** 2).mean() for one in versions]))

    drawn = error(Generative(fashion_denoiser(), steps=15, repeats=4, draws=1))
    assert drawn < 0.5 * error(Constant(0.0))
    assert drawn < 2 * error(Conditional(train, 1))
