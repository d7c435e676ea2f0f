"""The table that ships is the table that is measured, and it has every method."""

from __future__ import annotations

import json

import pytest
from tests.contract.subjects import methods

from assay.axioms import AXIOMS, Table, measured, stored
from assay.axioms.table import SOURCES as FROM
from assay.axioms.table import said, table_of
from assay.basics.bibliography import SOURCES
from assay.basics.errors import InputError

FAST = ["saliency", "integrated_gradients", "attention_rollout", "cam", "guided_backprop", "random"]
CORE = ("completeness", "sensitivity", "dummy", "linearity", "implementation_invariance")


def test_every_explanation_method_is_in_the_file() -> None:
    told = "measure anew: assay axioms --measure --out src/assay/data/axioms.json"
    assert stored().methods == tuple(method.name for method in methods("explain")), told


def test_every_method_is_held_to_every_axiom() -> None:
    table = stored()
    assert [(c.method, c.axiom) for c in table.cells] == [(m, a) for m in table.methods for a in AXIOMS]


@pytest.mark.parametrize("name", FAST)
def test_what_is_measured_anew_is_what_ships(name: str) -> None:
    fresh, old = measured([name]), stored().only([name])
    assert [(c.axiom, c.verdict, c.answered, c.asked) for c in fresh.cells] == [
        (c.axiom, c.verdict, c.answered, c.asked) for c in old.cells
    ]
    for new, known in zip(fresh.cells, old.cells):
        assert (new.size is None) == (known.size is None)
        assert (new.size or 0.0) == pytest.approx(known.size or 0.0, rel=0.02, abs=1e-6)


def test_measuring_twice_gives_the_same_bytes() -> None:
    one, two = (measured(["smooth_grad", "rise"], ["completeness", "symmetry"]).to_json() for _ in range(2))
    assert one == two


def test_all_axioms_of_the_path_and_the_game() -> None:
    table = stored()
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
def test_violations_that_the_literature_tells_are_found(method: str, axiom: str) -> None:
    cell = stored().cell(method, axiom)
    assert cell.verdict == "violated"
    assert cell.counterexample


def test_deep_lift_adds_up_and_depends_on_how_the_net_is_written() -> None:
    """Figure 7 of Sundararajan and others 2017: one function written twice."""
    table = stored()
    assert table.cell("deep_lift", "completeness").verdict == "kept"
    assert "1 taken off before or after a ReLU" in table.cell("deep_lift", "implementation_invariance").counterexample


def test_no_method_depends_on_the_rest_of_its_batch() -> None:
    assert {cell.verdict for cell in stored().cells if cell.axiom == "batch_independence"} <= {"kept", "not applicable"}


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
    verdicts = {name: stored().cell(name, axiom).verdict for name in claiming}
    # no axiom is put to trees, nor to what learns from many rows: the contract suite holds these to their claims
    beyond = {"tree_shapley", "tree_interactions", "ale"}
    assert {name: verdict for name, verdict in verdicts.items() if name not in beyond} == dict.fromkeys(
        set(claiming) - beyond, "kept"
    )


def test_the_table_survives_json_and_becomes_a_frame() -> None:
    table = stored()
    assert table_of(json.loads(table.to_json())) == table
    frame = table.to_frame()
    assert len(frame) == len(table.cells)
    assert list(frame.columns)[:3] == ["method", "axiom", "verdict"]


def test_signs_say_what_was_found() -> None:
    table = stored()
    assert table.cell("shapley", "dummy").sign == "✓"
    assert table.cell("saliency", "sensitivity").sign == "✗ 1"
    assert table.cell("guided_backprop", "linear_agreement").sign == "–"
    assert table.cell("smooth_grad", "symmetry").sign.startswith("? ")


def test_strangers_are_named() -> None:
    with pytest.raises(InputError, match="no method 'grad'"):
        stored().only(["grad"])
    with pytest.raises(InputError, match="no axiom 'beauty'; there are completeness"):
        stored().cell("saliency", "beauty")
    with pytest.raises(InputError, match="no axiom 'beauty'"):
        measured(["saliency"], ["beauty"])
    assert Table(()).methods == ()


@pytest.mark.parametrize("axiom", AXIOMS)
def test_every_axiom_says_its_formula_its_size_and_its_source(axiom: str) -> None:
    assert "ize: " in said(axiom)
    assert all(key in SOURCES for key in FROM[axiom])
