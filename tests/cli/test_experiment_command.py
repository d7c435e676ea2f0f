# SPDX-License-Identifier: Apache-2.0
"""The command ``assay experiment``."""

import json

import pytest

pytest.importorskip("torch")

SMALL = "--rows 2 --labelled 20 --budget 64 --search 4 --smoothing 1,1/4 --q 4"
FILES = {"mus.assay", "mus.json", "mus.md", "index.html", "accuracy.svg", "certified-1.svg"}


def test_a_subject_is_run_and_written_with_the_same_bytes_twice(assay, tmp_path):
    words = f"experiment mus --only credit --only tweets {SMALL}"
    done = [assay(f"{words} --out {tmp_path / name}") for name in ("a", "b")]
    assert [one.code for one in done] == [0, 0]
    assert "credit: a perceptron" in done[0].out
    assert "skipped tweets: the tweets do not ship" in done[0].out
    assert {path.name for path in (tmp_path / "a").iterdir()} == FILES
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    page = (tmp_path / "a" / "index.html").read_text(encoding="utf-8")
    assert "assay experiment mus --only credit --only tweets --rows 2" in page
    assert "the inequality is strict" in page


def test_a_model_of_the_user_is_run(assay, tmp_path):
    done = assay(f"experiment mus mine.py:build --data plain.csv --target y {SMALL} --out {tmp_path / 'own'}")
    assert done.code == 0
    found = json.loads((tmp_path / "own" / "mus.json").read_text(encoding="utf-8"))
    assert found["subjects"][0]["rows"] == 2
    assert found["accuracy"][0]["votes"] is not None
    assert {one["name"].rpartition(" ")[2] for one in found["skipped"]} == {"saliency", "integrated_gradients"}


def test_a_dry_run_says_the_cost_and_writes_nothing(assay, tmp_path):
    out = tmp_path / "none"
    done = assay(f"experiment mus --only credit {SMALL} --dry-run --out {out}")
    assert (done.code, out.exists()) == (0, False)
    assert "credit: at most" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("experiment magic", "no experiment 'magic'"),
        ("experiment mus --only cats", "no subject 'cats'"),
        ("experiment mus --smoothing 0.3", "whole number"),
        ("experiment mus --smoothing a", "--smoothing 'a'"),
        ("experiment mus --data test.csv", "needs the model"),
        ("experiment mus mine.py:build", "--data FILE"),
        ("experiment mus --rows -1", "--rows -1"),
    ],
)
def test_impossible_arguments_are_refused(assay, words, message):
    done = assay(words)
    assert done.code == 2
    assert message in done.err


def test_masked_training_is_reached_from_the_command_line(assay):
    words = "repair mine.py:deep masked_training --train plain.csv --data plain.csv --target y"
    done = assay(f"{words} --option epochs=1 --option smoothing=0.5 --option q=2")
    assert done.code == 0
    assert "smoothed accuracy, λ = 1/2:" in done.out
    assert "also occur among the training rows" in done.out
