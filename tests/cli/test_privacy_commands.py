"""Privacy methods on the command line: a claimed ε, canaries, inversion, training with privacy, rounding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

CODE = """
import torch
import assay

def net():
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    return assay.model.torch(layers, gives="logits", classes=("0", "1"))

def likelihoods(pairs):
    return [[-0.1 if after == "4711" else -1 - 0.001 * int(after[0])] * len(after) for _, after in pairs]

def language():
    return assay.model.language_model(likelihoods)
"""


@pytest.fixture
def files(project):
    Path("privacy.py").write_text(CODE, encoding="utf-8")
    generator = np.random.default_rng(0)
    for name in ("inside", "beyond"):
        frame = pd.DataFrame(generator.normal(size=(80, 2)), columns=["a", "b"])
        frame.assign(y=(frame["a"] > 0).astype(int)).to_csv(f"{name}.csv", index=False)
    canaries = pd.DataFrame({"prefix": ["pin "] * 3, "secret": ["4711", "0815", "1234"], "times": [9, 9, 0]})
    canaries.to_csv("canaries.csv", index=False)


@pytest.mark.usefixtures("files")
def test_a_claimed_epsilon_is_tested_and_its_absence_named(assay):
    asked = "diagnose privacy.py:net privacy_bound --data beyond.csv --train inside.csv --target y --format json"
    (found,) = json.loads(assay(f"{asked} --option epsilon=0.5 --option relation=replace-one").out)
    assert (found["code"], found["threshold"]) == ("PRV201", 0.5)
    absent = assay(asked)
    assert absent.code == 2
    assert "--option epsilon=" in absent.err


@pytest.mark.usefixtures("files")
def test_canaries_are_rows_of_a_file_and_their_digits_stay_text(assay):
    asked = (
        "diagnose privacy.py:language exposure --data canaries.csv --text prefix,secret --target times --format json"
    )
    control, inserted = json.loads(assay(asked).out)
    assert control["evidence"]["candidates"] == 10_000
    assert inserted["evidence"]["extracted"] == ["0"]


@pytest.mark.usefixtures("files")
def test_classes_are_reconstructed(assay):
    asked = "attack privacy.py:net model_inversion --data beyond.csv --target y --rows 2"
    done = assay(f"{asked} --option steps=30 --option bounds=-1,1 --option gradient=nes")
    assert done.code == 0, done.err
    assert "probability of the class" in done.out


@pytest.mark.usefixtures("files")
def test_a_net_is_trained_with_privacy_and_its_probabilities_are_rounded(assay):
    rows = "--data beyond.csv --target y --format json"
    done = assay(f"repair privacy.py:net private_training --train inside.csv {rows} --option epochs=2")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert set(found["after"]) == set(found["before"])
    assert "differential privacy" in found["change"]
    rounded = json.loads(assay(f"repair privacy.py:net rounding {rows} --option unit=0.1 --option steps=5").out)
    assert rounded["change"] == "probabilities rounded to multiples of 0.1"
