"""Shortcuts on the command line: a suspected artefact from a PNG file, and repairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

CODE = """
import assay
from assay.basics.seed import Seed
from assay.planted.networks import initialise, perceptron

def pictures():
    return assay.wrap(initialise(perceptron(64, 8, 3), Seed(0)).eval(), output="logits")
"""


@pytest.fixture
def files(project):
    Path("shown.py").write_text(CODE, encoding="utf-8")
    pixels = np.zeros((8, 8, 2), dtype=np.uint8)
    pixels[:2, :2] = 255
    Image.fromarray(pixels).save("tag.png")
    np.save("rows.npy", np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32))


@pytest.mark.usefixtures("files")
def test_an_artefact_is_read_from_a_file(assay):
    asked = "diagnose shown.py:pictures pasted_artefact --data rows.npy --format json"
    done = assay(f"{asked} --option artefact=tag.png --option white=1.0 --option toward=1")
    print("ERR", done.err, done.out[:500])
    (found,) = json.loads(done.out)
    assert (found["code"], found["n"]) == ("SHC302", 40)
    assert "cannot be read as an image" in assay(f"{asked} --option artefact=none.png").err
    absent = assay(asked)
    assert absent.code == 2
    assert "--option artefact=FILE.png" in absent.err


@pytest.mark.usefixtures("files")
def test_clusters_of_explanations_are_diagnosed(assay):
    (found,) = json.loads(assay("diagnose shown.py:pictures shortcut_clusters --data rows.npy --format json").out)
    assert found["code"] == "SHC301"


@pytest.mark.usefixtures("files")
def test_a_column_that_should_not_matter_is_named(assay):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(60, 2)), columns=["a", "b"])
    frame.assign(y=(frame["a"] > 0).astype(int)).to_csv("few.csv", index=False)
    asked = "repair mine.py:deep right_reasons --train few.csv --data few.csv --target y --format json"
    done = assay(f"{asked} --option irrelevant=b --option epochs=1")
    print("ERR", done.err, done.out[:500])
    found = json.loads(done.out)
    assert "1 of 2 elements" in found["change"]
