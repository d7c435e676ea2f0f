"""The properties of the explanation framework: as declared, as methods behave, and as published."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from tests.contract.subjects import SUBJECTS, explain_case, methods, required_options, supports
from tests.test_docs import ROOT, generator

from assay import Point, explain
from assay.axioms.attribution import sensitivity
from assay.axioms.framework import (
    COLUMNS,
    FOUND_SYMBOLS,
    PUBLISHED,
    PUBLISHED_SYMBOLS,
    differences,
    framework_data,
    framework_line,
    framework_table,
    internal_of,
    quantity_of,
)
from assay.axioms.functions import distributional_marginality
from assay.basics.errors import InputError
from assay.nouns.catalogue import Method

ON_NETS = [
    m
    for m in methods("explain")
    if (supports(m, "neural") or supports(m, "visual")) and "held_out" not in m.options  # surrogates need many rows
]


@pytest.mark.parametrize("line", PUBLISHED, ids=lambda line: line.name)
def test_each_difference_has_a_reason_and_no_reason_stands_where_there_is_none(line) -> None:
    assert set(line.reasons) == set(differences(line))
    assert all(reason.endswith(".") and len(reason) > 40 for reason in line.reasons.values())


def test_the_published_marks_are_those_of_the_tutorial() -> None:
    rows = {
        "internal_influence": "✓ ✓ ✓ ✓ ✓*",
        "conductance": "– ✓- ✓ ✓ ✓",
        "integrated_gradients": "– ✓- – ✓ ✓",
        "smooth_grad": "– ✓- – ✓ ✓",
        "input_x_gradient": "– ✓- – ✓ –",
        "deconvolution": "– – – ✓† –",
        "guided_backprop": "– – – ✓† ✓",
        "lrp": "– ✓- ✓† ✓* ✓*",
    }
    assert {line.method: " ".join(line.symbols) for line in PUBLISHED} == rows


def subject_of(method: Method) -> str:
    return "neural" if supports(method, "neural") else "visual"


@pytest.mark.parametrize("method", ON_NETS, ids=lambda m: m.name)
def test_values_follow_the_quantity_exactly_where_the_method_takes_one(method: Method) -> None:
    case = SUBJECTS[subject_of(method)]()
    one, two = (explain_case(method, case.with_target("logit", label=label)) for label in (0, 1))
    assert (not np.array_equal(one.values, two.values, equal_nan=True)) == (quantity_of(method) != "–")


@pytest.mark.parametrize("method", [m for m in ON_NETS if internal_of(m) != "–"], ids=lambda m: m.name)
def test_units_of_a_layer_are_explained_where_the_method_is_said_to(method: Method) -> None:
    case = SUBJECTS[subject_of(method)]()
    layer = "0" if subject_of(method) == "visual" else next(n for n, _ in case.model.net.named_children())
    inside = case.from_layer(layer)
    if internal_of(method) == "✓":
        found = method.call(case, **{**required_options(method, case), "layer": layer})
        assert found.features.names == inside.features.names
    elif "layer" not in method.options:
        found = explain_case(method, inside)
        assert found.values.shape[1:] == (len(inside.features),)


def test_the_reasons_hold_on_the_nets_of_the_axioms() -> None:
    """A point as distribution, and noise wide enough to cross the kink: what two reasons say of sensitivity."""
    assert sensitivity(lambda s: explain.internal_influence(s.case, over=Point())).verdict == "violated"
    assert sensitivity(lambda s: explain.smooth_grad(s.case, noise=2.0, draws=64)).verdict == "kept"
    assert distributional_marginality(lambda s: explain.guided_backprop(s.case)).verdict == "kept"


def test_every_method_has_a_line_and_every_mark_is_explained() -> None:
    lines = framework_table()
    assert [line.method for line in lines] == [method.name for method in methods("explain")]
    assert {mark for line in lines for name, mark in asdict(line).items() if name != "method"} <= set(FOUND_SYMBOLS)
    assert {mark for line in PUBLISHED for mark in line.symbols} <= set(PUBLISHED_SYMBOLS)
    assert asdict(framework_line("conductance")) == {
        "method": "conductance",
        **framework_data()["conductance"]["found"],
    }
    with pytest.raises(InputError, match="nothing"):
        framework_table(["nothing"])


def test_the_page_shows_both_tables_and_each_reason() -> None:
    page = generator().framework()
    for line in PUBLISHED:
        assert f"| {line.name} | published | {' | '.join(line.symbols)} |" in page
        assert all(f"| {line.name} | {column} | {reason} |" in page for column, reason in line.reasons.items())
    assert "reference/framework\n" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert all(name in page for name in COLUMNS)
