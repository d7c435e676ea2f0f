"""The benchmark suite: the oracle is best, random explanations are at chance, incompetent models are not judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.planted.test_generators import SMALL, small

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.nouns.catalogue import find
from assay.nouns.comparisons.benchmark_table import LEGEND
from assay.nouns.records.store import load
from assay.planted import BENCHMARKS, BenchmarkTable, agreement, benchmark
from assay.planted.suite import compare_with_references, describe_model, evaluate_methods, make_case

pytest.importorskip("torch")


def lines(name: str, *methods: str, **changes):
    """The suite's lines for some methods on a small benchmark whose model counts as competent."""
    planted = small(name)
    planted = replace(planted, competence=replace(planted.competence, required=0.0), **changes)
    found = evaluate_methods(name, planted, [find("explain", method) for method in methods])
    return {line.method: line for line in found}


@pytest.mark.parametrize("name", SMALL)
def test_the_oracle_is_above_random_and_random_is_at_chance(name: str) -> None:
    found = lines(name)
    assert found["oracle"].mean == 1.0
    assert found["random"].mean < 0.6
    assert found["random"].mean == pytest.approx(small(name).chance, abs=0.15)
    assert found["oracle"].verdict == "oracle"
    assert found["constant"].verdict == "reference"


@pytest.mark.parametrize("name", ["grid", "words", "table", "creatures"])
def test_a_random_method_is_at_chance_and_the_truth_beats_the_references(name: str) -> None:
    planted = small(name)
    mask = None if planted.mask is None else np.tile(planted.mask, (10, 1))
    planted = replace(planted, truth=np.tile(planted.truth, (10, 1)), mask=mask)
    generator = np.random.default_rng(0)
    noise = [agreement(generator.standard_normal(planted.truth.shape), planted) for _ in range(21)]
    found = [compare_with_references(one, noise[:1], planted) for one in noise[1:]]
    assert found.count("no better than chance") >= 16
    assert found.count("beats the references") <= 2
    assert compare_with_references(agreement(planted.truth, planted), noise[:1], planted) == "beats the references"
    assert compare_with_references(np.full(60, planted.chance - 0.2), noise[:1], planted) == "worse than chance"
    assert compare_with_references(np.full(60, np.nan), noise[:1], planted) == "no better than chance"


def test_occlusion_beats_the_references_with_the_benchmark_s_removal() -> None:
    found = lines("creatures", "occlusion")["occlusion"]
    assert found.verdict == "beats the references"
    assert found.low <= found.mean <= found.high
    assert found.rows == 6


def test_a_method_without_what_it_needs_is_not_applicable() -> None:
    found = lines("trees", "saliency", "tree_shapley", "aggregate", "conductance")
    assert found["saliency"].verdict == "not applicable"
    assert "gradients" in found["saliency"].why
    assert found["tree_shapley"].verdict == "beats the references"
    assert "needs other explanations" in found["aggregate"].why
    assert found["edges"].verdict == "not applicable"


def test_values_of_a_layer_are_not_applicable() -> None:
    found = lines("words", "influential_units")
    assert "units of a layer" in found["influential_units"].why


def test_the_target_is_a_loss_for_methods_that_explain_a_loss() -> None:
    found = lines("words", "permutation_importance")["permutation_importance"]
    assert found.mean > 0.8
    assert "explains a loss" in lines("table", "permutation_importance")["permutation_importance"].why


def test_no_method_is_judged_where_the_model_does_not_use_the_cue() -> None:
    planted = small("words")
    planted = replace(planted, competence=replace(planted.competence, required=2.0))
    found = {line.method: line for line in evaluate_methods("words", planted, [find("explain", "saliency")])}
    assert found["saliency"].verdict == "not judged"
    assert found["saliency"].mean is None
    assert "needed 2" in found["saliency"].why
    assert found["random"].mean is not None
    assert not describe_model("words", planted).is_sufficient


@pytest.fixture(scope="module")
def table() -> BenchmarkTable:
    return benchmark(only=["table-trees"], methods=["tree_shapley", "occlusion"], quick=True)


def test_the_same_seed_gives_the_same_bytes(table: BenchmarkTable) -> None:
    again = benchmark(only=["table-trees"], methods=["tree_shapley", "occlusion"], quick=True)
    assert again.to_json() == table.to_json()


def test_a_table_is_read_and_written(table: BenchmarkTable, tmp_path: Path) -> None:
    assert load(table.save(tmp_path / "table.assay")) == table
    assert table.methods[0] == "oracle"
    assert set(table.methods) >= {"random", "constant", "tree_shapley", "occlusion"}
    data = json.loads(table.to_json())
    assert data["models"][0]["is_sufficient"] is True
    assert {line["method"] for line in data["lines"]} == set(table.methods)
    assert len(table.to_frame()) == len(table.lines)
    page = table.to_markdown()
    assert LEGEND in page
    assert "| tree_shapley | ✓" in page
    assert "1 benchmarks, 1 of them judged" in repr(table)
    with pytest.raises(InputError, match="no 'lime'"):
        table.line("table-trees", "lime")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="no benchmark 'digits'"):
        benchmark(only=["digits"])


def test_the_quick_suite_has_every_family() -> None:
    families = {name.split("-")[0] for name in BENCHMARKS}
    assert {name.split("-")[0] for name, one in BENCHMARKS.items() if one.quick} == families
    assert len(make_case(BENCHMARKS["table-trees"], Seed(0), quick=True).case) == 10
