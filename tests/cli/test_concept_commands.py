"""Concepts from files: explain, diagnose and audit, with assay.toml, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import assay as package
from assay import explain

CODE = """
import torch

def net():
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 8))
    return torch.nn.Sequential(*layers, torch.nn.Tanh(), torch.nn.Linear(8, 2)).eval()
"""


def pictures(count: int, seed: int, bright: bool = False) -> np.ndarray:
    found = np.random.default_rng(seed).uniform(0, 1, (count, 1, 4, 4)).astype(np.float32)
    found[:, :, :2] += 2.0 * bright
    return found


@pytest.fixture
def files(project: Path) -> Path:
    """Rows with labels, rows of two concepts, random rows and masks."""
    (project / "nets.py").write_text(CODE)
    rows = pictures(40, 1)
    np.savez(project / "test.npz", x=rows, y=np.arange(40) % 2)
    np.save(project / "bright.npy", pictures(12, 2, bright=True))
    np.savez(project / "same.npz", x=pictures(12, 3))
    np.save(project / "random.npy", pictures(60, 4))
    np.save(project / "mask.npy", rows[:, 0] > 0.5)
    return project


def net() -> torch.nn.Module:
    place: dict[str, object] = {}
    exec(CODE, place)  # the file of the command
    return place["net"]()  # type: ignore[operator,no-any-return]  # a function of the code above


ASKED = "--output logits --classes dark,light --data test.npz --target y"
LAYERS = "--option layers=1 --option random_concepts=9"


def test_tcav_of_files_is_that_of_python(assay, files):
    done = assay(
        f"explain nets.py:net tcav {ASKED} --label light {LAYERS} --option separability=1 --rows 8 "
        "--concept bright=bright.npy --control same=same.npz --random-rows random.npy --save tcav.assay"
    )
    assert done.code == 0, done.err
    assert "bright" in done.out
    case = package.case(package.model.torch(net(), gives="logits"), pictures(40, 1)[:8], label=1)
    mine = explain.tcav(
        case, concepts={"bright": pictures(12, 2, bright=True)}, controls={"same": pictures(12, 3)},
        random_rows=pictures(60, 4), layers=("1",), random_concepts=9, separability=1.0,
    )  # fmt: skip
    kept = package.load("tcav.assay")
    np.testing.assert_array_equal(kept.values, mine.values)
    np.testing.assert_array_equal(kept.extra["p"], mine.extra["p"])
    assert kept.features.names == ("bright", "same")


def test_concepts_are_found_in_the_rows_of_the_background(assay, files):
    done = assay(
        f"explain nets.py:net concept_discovery {ASKED} --background random.npy --option layer=1 --option concepts=2 "
        "--format json"
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["features"]["names"] == ["concept 1", "concept 2"]


def test_concept_shap_reads_the_labels_and_two_concepts(assay, files):
    done = assay(
        f"explain nets.py:net concept_shap {ASKED} --concept bright=bright.npy --concept same=same.npz "
        "--random-rows random.npy --option layer=1 --save shap.assay"
    )
    assert done.code == 0, done.err
    x = pictures(40, 1)
    case = package.case(package.model.torch(net(), gives="logits"), x)
    mine = explain.concept_shap(
        case, concepts={"bright": pictures(12, 2, bright=True), "same": pictures(12, 3)}, labels=np.arange(40) % 2,
        random_rows=pictures(60, 4), layer="1",
    )  # fmt: skip
    kept = package.load("shap.assay")
    np.testing.assert_array_equal(kept.values, mine.values)
    np.testing.assert_array_equal(kept.extra["accuracy"], mine.extra["accuracy"])


def test_units_are_compared_with_masks_of_the_rows_explained(assay, files):
    done = assay(
        f"explain nets.py:net unit_concepts {ASKED} --rows 10 --masks high=mask.npy --background random.npy "
        "--option layer=1 --option share=0.2 --save units.assay"
    )
    assert done.code == 0, done.err
    kept = package.load("units.assay")
    assert kept.extra["iou"].shape == (4, 1)
    assert len(kept.ids) == 10
    assert "high, IoU" in done.out


def test_a_diagnosis_reads_concepts_controls_and_random_rows(assay, files):
    done = assay(
        f"diagnose nets.py:net concept_use {ASKED} --concept bright=bright.npy --control same=same.npz --random-rows "
        "random.npy --option layers=1 --option random_concepts=9 --format json"
    )
    assert done.code == 0, done.err
    assert [(one["code"], one["subject"].split(":")[0]) for one in json.loads(done.out)] == [("CPT101", "bright")]


TOML = """
[model]
file = "nets.py:net"
output = "logits"
classes = ["dark", "light"]

[data]
test = "test.npz"
target = "y"

[data.concepts]
bright = "bright.npy"

[audit]
select = ["CPT"]
profile = "quick"
"""


def test_an_audit_reads_concepts_from_flags_and_from_the_file(assay, files):
    flags = f"audit nets.py:net {ASKED} --profile quick --select CPT --concept bright=bright.npy --format json"
    one = assay(f"{flags} --out one --store store")
    assert one.code == 0, one.err
    assert "--concept bright=bright.npy" in package.load("one/run.assay").reproduce
    (files / "assay.toml").write_text(TOML)
    two = assay("audit --out two --store store --format json")
    assert two.code == 0, two.err
    found = [[f for f in json.loads(done.out)["findings"] if f["code"] == "CPT101"] for done in (one, two)]
    assert [f["subject"].split(":")[0] for f in found[0]] == ["bright"]
    assert [f["estimate"] for f in found[0]] == [f["estimate"] for f in found[1]]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("tcav --random-rows random.npy", "explain tcav needs concepts: --concept NAME=FILE."),
        ("tcav --concept a=bright.npy", "explain tcav needs random_rows: --random-rows FILE."),
        ("unit_concepts --background random.npy", "needs masks: --masks NAME=FILE.npy."),
        ("occlusion --concept a=bright.npy", "explain occlusion does not read --concept"),
        ("concept_shap --control a=bright.npy", "does not read --control"),
        ("tcav --concept bright.npy", "--concept bright.npy: write NAME=FILE"),
        ("tcav --concept a=bright.npy --concept a=same.npz", "the name 'a' is given twice"),
        ("tcav --concept a=none.npy", "there is no file none.npy"),
        ("unit_concepts --masks a=mask.csv --background random.npy", "in a .npy or .npz file"),
        ("tcav --option concepts=3", "concepts is given by --concept NAME=FILE"),
    ],
)
def test_what_is_missing_or_not_read_is_named_with_its_flag(assay, files, words, match):
    done = assay(f"explain nets.py:net {words} {ASKED}")
    assert done.code == 2
    assert match in " ".join(done.err.split())


def test_show_names_the_flags_of_concepts(assay):
    shown = assay("show explain.tcav").out
    for flag in ("--concept NAME=FILE", "--control NAME=FILE", "--random-rows FILE"):
        assert flag in shown
    assert "--masks NAME=FILE.npy" in assay("show explain.unit_concepts").out
