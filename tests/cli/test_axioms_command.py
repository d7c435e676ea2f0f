"""``assay axioms``."""

from __future__ import annotations

import json


def test_the_table_has_a_line_a_method_and_a_column_an_axiom(assay):
    done = assay("axioms")
    assert done.code == 0
    assert all(name in done.out for name in ("integrated_gradients", "shapley", "✗", "✓", "batch_independence"))


def test_methods_are_chosen(assay):
    told = json.loads(assay("axioms --method saliency --method shapley --json").out)
    assert list(told) == ["saliency", "shapley"]
    assert told["saliency"]["sensitivity"]["verdict"] == "violated"


def test_why_tells_formula_size_and_counterexample(assay):
    out = assay("axioms --why saliency sensitivity").out
    assert "saliency: violated, size 1" in out
    assert "max(0, 1 − x" in out


def test_measuring_anew_writes_a_file(assay, tmp_path):
    place = tmp_path / "axioms.json"
    done = assay(f"axioms --measure --method constant --out {place}")
    assert done.code == 0
    told = json.loads(place.read_text(encoding="utf-8"))
    assert told["constant"]["dummy"]["verdict"] == "violated"


def test_a_stranger_is_an_error_of_usage(assay):
    done = assay("axioms --method grad")
    assert done.code == 2
    assert "no method 'grad'" in done.err
