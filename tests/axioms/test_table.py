"""The shipped table equals the measured table, and it has every method."""

from __future__ import annotations

import json

import pytest
from tests.contract.subjects import methods

from assay.axioms import AXIOMS, AxiomTable, load_table, measure_table
from assay.axioms.table import SOURCES as AXIOM_SOURCES
from assay.axioms.table import axiom_docstring, table_from_json
from assay.basics.bibliography import SOURCES
from assay.basics.errors import InputError

FAST = ["saliency", "integrated_gradients", "attention_rollout", "cam", "guided_backprop", "random"]
CORE = ("completeness", "sensitivity", "dummy", "linearity", "implementation_invariance")


def test_every_explanation_method_is_in_the_file() -> None:
    remedy = "measure again: assay axioms --measure --out src/assay/data/axioms.json"
    assert load_table().methods == tuple(method.name for method in methods("explain")), remedy


def test_every_method_is_tested_on_every_axiom() -> None:
    table = load_table()
    assert [(c.method, c.axiom) for c in table.cells] == [(m, a) for m in table.methods for a in AXIOMS]


@pytest.mark.parametrize("name", FAST)
def test_a_new_measurement_equals_the_shipped_table(name: str) -> None:
    new, shipped = measure_table([name]), load_table().select([name])
    assert [(c.axiom, c.verdict, c.subjects_answered, c.subjects_tested) for c in new.cells] == [
        (c.axiom, c.verdict, c.subjects_answered, c.subjects_tested) for c in shipped.cells
    ]
    for one, known in zip(new.cells, shipped.cells):
        assert (one.size is None) == (known.size is None)
        assert (one.size or 0.0) == pytest.approx(known.size or 0.0, rel=0.02, abs=1e-6)


def test_measuring_twice_gives_the_same_bytes() -> None:
    one, two = (measure_table(["smooth_grad", "rise"], ["completeness", "symmetry"]).to_json() for _ in range(2))
    assert one == two


def test_all_axioms_of_the_path_and_the_game() -> None:
    table = load_table()
    for axiom in CORE:
        assert table.cell("integrated_gradients", axiom).verdict == "kept"
    for axiom in ("completeness", "dummy", "symmetry", "linearity"):
        assert table.cell("shapley", axiom).verdict == "kept"


@pytest.mark.parametrize(
    ("method", "axiom"),
    [
        ("saliency", "sensitivity"),
        ("saliency", "completeness"),
        ("input_x_gradient", "sensitivity"),
        ("input_x_gradient", "constant_shift_invariance"),
        ("guided_backprop", "implementation_invariance"),
        ("deep_lift", "implementation_invariance"),
        ("lrp", "implementation_invariance"),
        ("integrated_gradients", "demand_monotonicity"),
        ("deconvolution", "distributional_marginality"),
        ("occlusion", "completeness"),
        ("banzhaf", "completeness"),
        ("rise", "dummy"),
        ("grad_cam", "dummy"),
        ("raw_attention", "implementation_invariance"),
        ("constant", "dummy"),
        ("random", "completeness"),
    ],
)
def test_violations_known_from_the_literature_are_found(method: str, axiom: str) -> None:
    cell = load_table().cell(method, axiom)
    assert cell.verdict == "violated"
    assert cell.counterexample


def test_deep_lift_is_complete_and_depends_on_the_implementation() -> None:
    """Figure 7 of Sundararajan et al. 2017: two networks that compute one function."""
    table = load_table()
    assert table.cell("deep_lift", "completeness").verdict == "kept"
    assert "1 subtracted before or after a ReLU" in table.cell("deep_lift", "implementation_invariance").counterexample


def test_no_method_depends_on_the_rest_of_its_batch() -> None:
    assert {cell.verdict for cell in load_table().cells if cell.axiom == "batch_independence"} <= {
        "kept",
        "not applicable",
    }


@pytest.mark.parametrize(
    ("claim", "axiom"),
    [
        ("complete", "completeness"),
        ("dummy", "dummy"),
        ("symmetric", "symmetry"),
        ("linear", "linearity"),
    ],
)
def test_no_claim_is_contradicted(claim: str, axiom: str) -> None:
    claiming = [method.name for method in methods("explain") if claim in method.claims]
    assert claiming
    verdicts = {name: load_table().cell(name, axiom).verdict for name in claiming}
    # the axioms test neither trees, additive models nor methods that need many rows: the contract suite does
    untested = {"tree_shapley", "tree_interactions", "ale", "additive_terms"}
    assert {name: verdict for name, verdict in verdicts.items() if name not in untested} == dict.fromkeys(
        set(claiming) - untested, "kept"
    )


def test_the_table_survives_json_and_becomes_a_frame() -> None:
    table = load_table()
    assert table_from_json(json.loads(table.to_json())) == table
    frame = table.to_frame()
    assert len(frame) == len(table.cells)
    assert list(frame.columns)[:3] == ["method", "axiom", "verdict"]


def test_symbols_of_verdicts() -> None:
    table = load_table()
    assert table.cell("shapley", "dummy").symbol == "✓"
    assert table.cell("saliency", "sensitivity").symbol == "✗ 1"
    assert table.cell("guided_backprop", "linear_agreement").symbol == "–"
    assert table.cell("smooth_grad", "symmetry").symbol.startswith("? ")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="no method 'grad'"):
        load_table().select(["grad"])
    with pytest.raises(InputError, match="no axiom 'beauty'; there are completeness"):
        load_table().cell("saliency", "beauty")
    with pytest.raises(InputError, match="no axiom 'beauty'"):
        measure_table(["saliency"], ["beauty"])
    assert AxiomTable(()).methods == ()


@pytest.mark.parametrize("axiom", AXIOMS)
def test_every_axiom_documents_its_size_and_its_sources(axiom: str) -> None:
    assert "ize: " in axiom_docstring(axiom)
    assert all(key in SOURCES for key in AXIOM_SOURCES[axiom])
