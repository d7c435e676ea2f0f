"""The command ``assay axioms``."""

from __future__ import annotations

import json


def test_the_table_has_one_line_per_method_and_one_column_per_axiom(assay):
    done = assay("axioms")
    assert done.code == 0
    assert all(name in done.out for name in ("integrated_gradients", "shapley", "✗", "✓", "batch_independence"))


def test_methods_are_chosen(assay):
    table = json.loads(assay("axioms --method saliency --method shapley --json").out)
    assert list(table) == ["saliency", "shapley"]
    assert table["saliency"]["sensitivity"]["verdict"] == "violated"


def test_why_shows_formula_size_and_counterexample(assay):
    out = assay("axioms --why saliency sensitivity").out
    assert "saliency: violated, size 1" in out
    assert "max(0, 1 − x" in out


def test_measuring_writes_a_file(assay, tmp_path):
    file = tmp_path / "axioms.json"
    done = assay(f"axioms --measure --method constant --out {file}")
    assert done.code == 0
    table = json.loads(file.read_text(encoding="utf-8"))
    assert table["constant"]["dummy"]["verdict"] == "violated"


def test_an_unknown_method_is_a_usage_error(assay):
    done = assay("axioms --method grad")
    assert done.code == 2
    assert "no method 'grad'" in done.err


def test_the_framework_is_shown_beside_what_is_published(assay, tmp_path):
    out = assay("axioms --framework").out
    assert "published" in out
    assert "deconvolution, marginality: Deconvolution ignores" in out
    found = json.loads(assay("axioms --framework --method lrp --json").out)
    assert found["lrp"]["published"]["marginality"] == "✓*"
    file = tmp_path / "framework.json"
    assert assay(f"axioms --framework --method lrp --out {file}").code == 0
    assert json.loads(file.read_text(encoding="utf-8")) == found
    assert assay("axioms --framework --method nothing").code == 2
