"""Missing pixels from their neighbours."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles.ordered_removal import imputed

import assay
from assay import NoisyLinear
from assay.basics.errors import InputError
from assay.cases.inpainting import inpaint
from assay.model.adapters.function import function


@pytest.mark.parametrize("shape", [(28, 28), (27, 31), (1, 9), (9, 1), (2, 2), (5, 3), (33, 8)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.97])
def test_it_equals_the_sparse_solve(shape: tuple[int, int], share: float) -> None:
    generator = np.random.default_rng(0)
    pictures = generator.normal(size=(4, *shape))
    missing = generator.uniform(size=(4, *shape)) < share
    missing[:, 0, 0] = False
    expected = [imputed(p, m) if m.any() else p for p, m in zip(pictures, missing)]
    assert np.abs(inpaint(pictures, missing) - expected).max() <= 1e-6 * np.abs(pictures).max()


def test_large_holes_are_solved_as_well() -> None:
    picture = np.random.default_rng(1).uniform(size=(3, 40, 40))
    missing = np.ones((3, 40, 40), dtype=bool)
    missing[0, 0] = missing[1, :, [0, 39]] = missing[2, 20, 20] = False
    expected = [imputed(p, m) for p, m in zip(picture, missing)]
    assert_allclose(inpaint(picture, missing), expected, atol=1e-6)
    assert_allclose(inpaint(picture, missing)[2], picture[2, 20, 20], atol=1e-6)


def test_a_picture_gets_what_it_gets_alone_and_the_callers_arrays_stay() -> None:
    generator = np.random.default_rng(2)
    pictures, missing = generator.uniform(size=(200, 9, 9)), generator.uniform(size=(200, 9, 9)) < 0.6
    before = pictures.copy(), missing.copy()
    together = inpaint(pictures, missing)
    assert_allclose(inpaint(pictures[7:8], missing[7:8]), together[7:8], atol=1e-6)
    assert_array_equal(pictures, before[0])
    assert_array_equal(missing, before[1])


def test_with_nothing_left_a_picture_is_its_mean_and_with_all_left_itself() -> None:
    picture = np.random.default_rng(3).uniform(size=(2, 4, 4))
    missing = np.stack([np.ones((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)])
    out = inpaint(picture, missing)
    assert_allclose(out[0], picture[0].mean())
    assert_array_equal(out[1], picture[1])


def seen(remove: NoisyLinear, keep: np.ndarray, x: np.ndarray, ids: list[str]) -> np.ndarray:
    """The rows as a model meets them."""
    met: list[np.ndarray] = []
    model = function(lambda rows: met.append(np.array(rows)) or np.zeros(len(rows)), name="eye", fingerprint="eye")
    question = assay.case(model, x, ids=ids, features=assay.grid(x.shape[1:], 2))
    question.game(remove)(np.arange(len(x)), keep)
    return met[-1]


def test_the_noise_follows_the_row_and_leaves_present_pixels_unchanged() -> None:
    x = np.random.default_rng(4).uniform(size=(2, 3, 4, 4))
    keep = np.array([[True, False, True, True]] * 2)
    plain, noisy = (seen(NoisyLinear(noise), keep, x, ["a", "b"]) for noise in (0.0, 0.1))
    swapped = seen(NoisyLinear(0.1), keep, x[::-1], ["b", "a"])
    assert_allclose(swapped[::-1], noisy, atol=1e-6)
    changed = noisy != x
    assert changed[:, :, :2, 2:].all()
    assert changed.sum() == 2 * 3 * 4
    assert 0.04 < (noisy - plain)[changed].std() < 0.2
    assert_array_equal(seen(NoisyLinear(0.1), keep, x, ["a", "b"]), noisy)
    assert (seen(NoisyLinear(0.1, seed=1), keep, x, ["a", "b"]) != noisy).any()


def test_tensors_stay_tensors_of_their_kind() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)).eval()
    question = assay.case(assay.wrap(net), torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)))
    keep = np.arange(16)[None] % 2 == 0
    assert np.isfinite(question.game(NoisyLinear())(np.zeros(1, dtype=np.int64), keep)).all()


@pytest.mark.parametrize(
    ("x", "noise", "message"), [(np.ones((1, 4)), 0.1, "needs images"), (np.ones((1, 1, 2, 2)), -1.0, "noise=-1")]
)
def test_what_is_no_image_and_what_is_no_noise_is_refused(x: np.ndarray, noise: float, message: str) -> None:
    question = assay.case(function(lambda rows: np.zeros(len(rows)), name="none", fingerprint="none"), x)
    with pytest.raises(InputError, match=message):
        question.game(NoisyLinear(noise))
