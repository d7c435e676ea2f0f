from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from tests.report.record import credit, reason_tables

from assay import examples, explain
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import PARTS, leftover, local, overall, reasoned


def sampled() -> Explanation:
    explanation = explain.shapley(examples.linear(tuple(range(1, 13))))
    return replace(explanation, stderr=np.full((1, 12), 2.0), shown=(tuple("abcdefghijkl"),))


def test_parts_are_sorted_by_size_and_the_rest_is_added_up() -> None:
    chart = local(sampled(), 0)
    assert [line.value for line in chart.lines] == [f"+{v:.2f}" for v in (12, 11, 10, 9, 8, 7, 6, 5, 1 + 2 + 3 + 4)]
    assert (len(chart.lines), chart.lines[-1].name) == (PARTS + 1, "rest of 4 parts")


def test_a_part_is_named_with_its_shown_value() -> None:
    assert (local(sampled(), 0).lines[0].name, local(sampled(), 0).lines[0].shown) == ("11", "l")


def test_whiskers_are_two_standard_errors_to_either_side() -> None:
    first = local(sampled(), 0).lines[0]
    assert first.bounds == "8.08 … 15.92"
    assert 'class="whisker"' in first.figure


def test_the_base_output_and_residual_are_printed() -> None:
    explanation = explain.integrated_gradients(examples.saturated(), steps=3)
    assert local(explanation, 0).foot == "base 1 → output 0 · left unexplained −0.444"  # 1 − 5/9: a kink


def test_a_method_without_a_base_says_so() -> None:
    assert "no base" in local(explain.saliency(examples.linear()), 0).foot


def test_rounding_is_not_called_a_residual() -> None:
    assert (leftover(1e-16, 0.0, 1.0), leftover(1e-3, 0.0, 1.0)) == ("0 (to rounding)", "0.001")


def test_over_rows_the_mean_size_is_drawn_with_its_spread() -> None:
    explanation = explain.shapley(examples.linear((2.0, -1.0), x=[[1.0, 1.0], [3.0, 3.0], [-2.0, -2.0]]))
    first = overall(explanation).lines[0]
    half = 1.959964 * np.std([2, 6, 4], ddof=1) / np.sqrt(3)
    assert (first.value, first.bounds) == ("4.00", f"{4 - half:.2f} … {4 + half:.2f}")


def test_an_undefined_value_is_told_and_stands_last() -> None:
    explanation = explain.shapley(examples.linear((2.0, -1.0)))
    broken = replace(explanation, values=np.array([[np.nan, -1.0]]))
    assert [line.value for line in local(broken, 0).lines] == ["−1.00", "undefined"]
    assert [line.value for line in overall(broken).lines] == ["1.00", "undefined"]


def test_zero_stands_where_the_bars_begin() -> None:
    chart = local(credit().explanations["shapley"], 0)
    starts = [re.search(r'class="up[^"]*" x="([\d.]+)%"', line.figure) for line in chart.lines]
    assert {match[1] for match in starts if match} == {chart.zero.rstrip("%")}


def test_a_reason_table_keeps_the_order_and_the_intervals_it_was_given() -> None:
    table = reason_tables()[0]
    chart = reasoned(table)
    assert [line.name for line in chart.lines[:3]] == [line.part for line in table.lines[:3]]
    assert chart.lines[0].bounds == "−0.34 … −0.26"
    assert chart.foot.endswith("→ this row 0.81")
