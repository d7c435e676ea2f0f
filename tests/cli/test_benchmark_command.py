"""The command ``assay benchmark``."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")


def test_one_benchmark_and_one_method_quickly(assay):
    done = assay("benchmark --quick --only table-logistic --method occlusion")
    assert done.code == 0
    assert "table-logistic: R² of the model" in done.out
    assert all(name in done.out for name in ("oracle", "random", "occlusion", "✓"))
    assert "saliency" not in done.out


def test_the_table_is_written(assay, tmp_path):
    words = "benchmark --quick --only table-trees --method tree_shapley"
    file = tmp_path / "planted.json"
    done = assay(f"{words} --out {file}")
    assert (done.code, done.out) == (0, "")
    table = json.loads(file.read_text(encoding="utf-8"))
    assert table["models"][0]["benchmark"] == "table-trees"
    page = tmp_path / "planted.md"
    assert assay(f"{words} --out {page}").code == 0
    assert page.read_text(encoding="utf-8").startswith("# Planted truth")
    assert json.loads(assay(f"{words} --json").out) == table


def test_the_page_is_written(assay, tmp_path):
    file = tmp_path / "planted.html"
    done = assay(f"benchmark --quick --only table-trees --method tree_shapley --out {file}")
    assert (done.code, done.out) == (0, "")
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "--only table-trees" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--only digits", "no benchmark 'digits'"),
        ("--only words --method grad", "no method explain.grad"),
        ("--out planted.pdf", "a page (.html), JSON (.json) or Markdown (.md)"),
        ("--out planted.HTML", "a page (.html), JSON (.json) or Markdown (.md)"),
        ("--out nowhere/planted.md", "does not exist"),
    ],
)
def test_usage_errors_are_reported_before_anything_runs(assay, words, message):
    done = assay(f"benchmark {words}")
    assert done.code == 2
    assert message in done.err
