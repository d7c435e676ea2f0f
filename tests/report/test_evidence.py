from __future__ import annotations

import re

import pytest
from tests.report.page import Page

from assay.report.findings.evidence import MAX_LINES, evidence_tables, roc_points


def test_plain_values_become_one_table() -> None:
    text = Page(
        evidence_tables({"auc": 0.56, "above chance": False, "rows": 1200, "names": ["a", "b"], "none": None})
    ).text
    assert text.split() == ["AUC", "0.56", "above", "chance", "no", "rows", "1,200", "names", "a,", "b", "none", "–"]


def test_a_verdict_in_the_evidence_is_shown_as_one() -> None:
    assert 'class="chip fail"' in evidence_tables({"SAN102": "fail"})


def test_mappings_of_mappings_become_a_table_with_their_names_first() -> None:
    page = Page(evidence_tables({"rates": {"men": {"rate": 0.7, "n": 69}, "women": {"rate": 0.5, "n": 31}}}))
    assert page.text.split() == ["rates", "rate", "n", "men", "0.7", "69", "women", "0.5", "31"]


def test_long_tables_are_cut_and_say_so() -> None:
    drawn = evidence_tables({"columns": [{"name": str(i)} for i in range(50)]})
    assert f"({MAX_LINES} of 50 lines)" in drawn
    assert drawn.count("<td>") == MAX_LINES


def test_long_lists_say_how_many_more_there_are() -> None:
    assert "… and 30 more" in evidence_tables({"rows": list(range(50))})


def test_a_receiver_operating_characteristic_is_drawn_point_by_point() -> None:
    drawn = evidence_tables({"roc": [[0.0, 0.0], [0.5, 0.8], [1.0, 1.0]]})
    path = re.search(r'class="line" d="([^"]+)"', drawn)
    assert path
    assert path[1] == "M30 156L105 36L180 6"  # 150 pixels a side from (30, 156), upwards


def test_rates_given_as_two_lists_are_the_same_curve() -> None:
    assert roc_points("x", {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]}) == [(0.0, 0.0), (1.0, 1.0)]


def test_pairs_that_are_not_rates_are_a_table() -> None:
    assert roc_points("roc", [[0.0, 2.0]]) is None
    assert "<table" in evidence_tables({"roc": [[0.0, 2.0]]})


def test_names_with_markup_are_escaped_everywhere() -> None:
    drawn = evidence_tables({"<i>": "<i>", "t": [{"<i>": "<i>"}], "<i> roc": [[0.0, 0.0], [1.0, 1.0]]})
    assert "<i>" not in drawn
    assert drawn.count("&lt;i&gt;") == 6


def test_an_empty_table_is_none() -> None:
    assert '<th scope="row">groups left out</th><td>none</td>' in evidence_tables({"groups left out": {}})


@pytest.mark.parametrize(
    ("line", "scrolls"),
    [
        ({"name": "age", "value": 0.25}, False),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, False),
        ({"group with the higher rate": "x", "value": 1, "lower limit": 0.2, "upper limit": 0.3}, True),
        ({"name": "x" * 40}, True),
        ({"name": "x_" * 20}, False),  # a name is broken after underscores
        ({str(i): 0.123 for i in range(6)}, True),
    ],
)
def test_a_table_scrolls_where_its_longest_words_do_not_fit_side_by_side(
    line: dict[str, object], scrolls: bool
) -> None:
    assert ('class="wide"' in evidence_tables({"t": [line]})) == scrolls


@pytest.mark.parametrize("nothing", [{}, [], ()], ids=["mapping", "list", "tuple"])
def test_no_empty_table_is_drawn_and_no_caption_stands_alone(nothing: object) -> None:
    drawn = evidence_tables({"groups left out": nothing, "t": {"a": {"b": nothing}}})
    assert "<caption>groups left out" not in drawn
    assert Page(drawn).text.split() == ["groups", "left", "out", "none", "t", "b", "a", "none"]


@pytest.mark.parametrize("number", [3, -2, 0.25, 1e-9, 12345.0])
def test_a_number_is_in_a_cell_that_is_not_broken(number: float) -> None:
    drawn = evidence_tables({"a": number, "t": [{"b": number}]})
    assert drawn.count('<td class="num">') == 2


def test_a_name_may_be_broken_after_its_underscores_only() -> None:
    assert "credit_<wbr>amount" in evidence_tables({"column": "credit_amount"})
    assert Page(evidence_tables({"column": "credit_amount"})).text == "column credit_ amount"
