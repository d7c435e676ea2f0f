"""Removal by drawing and counterfactual pictures from the command line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from assay.basics.errors import InputError
from assay.cli.options import denoiser, removal
from assay.model.diffusion import save_denoiser, train_denoiser

NETS = """
def small():
    import torch
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).eval()
"""


@pytest.fixture
def pictures(project) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1, (6, 1, 8, 8)), np.arange(6) % 2
    (project / "pictures.py").write_text(NETS)
    np.savez(project / "x.npz", x=x.astype(np.float32), y=y)
    save_denoiser(train_denoiser(x, steps=2, batch=4, width=8), project / "denoiser.safetensors")


WORDS = "pictures.py:small {} --data x.npz --target y --rows 2 --output logits --format json"


def test_a_removal_that_draws_is_named_by_its_file(assay, pictures):
    done = assay(f"explain {WORDS.format('leave_one_out')} --option remove=guided:denoiser.safetensors")
    assert done.code == 0, done.err
    assert "drawn-fill" in done.out
    none = assay(f"explain {WORDS.format('leave_one_out')} --option remove=repaint:gone.safetensors")
    assert none.code != 0
    assert "there is no file 'gone.safetensors'" in none.err


def test_a_counterfactual_picture_is_searched_through_the_denoiser_of_a_file(assay, pictures):
    given = "--option denoiser=denoiser.safetensors --option steps=2 --option probability=0.1"
    done = assay(f"explain {WORDS.format('diffusion_counterfactual')} {given}")
    assert done.code == 0, done.err
    assert "unjudged" in json.dumps(json.loads(done.out))


def test_removals_and_denoisers_are_read_from_words() -> None:
    frame = pd.DataFrame({"a": np.arange(20.0)})
    assert removal("conditional:5", frame).fills == 5
    assert removal("conditional", frame).fills == 10
    assert removal("repaint:fashion", None).method == "repaint"
    assert removal("guided:fashion", None).denoiser.shape == (1, 28, 28)
    assert denoiser("fashion").bounds == (-1.0, 1.0)
    with pytest.raises(InputError, match="--background"):
        removal("conditional:5", None)
    with pytest.raises(InputError, match="which denoiser"):
        removal("repaint", None)
