from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from tests.report.record import credit, reason_tables

from assay import Constant, examples, explain
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import MAX_BARS, format_residual, local_chart, mean_chart, reason_chart


def sampled() -> Explanation:
    explanation = explain.shapley(examples.linear(tuple(range(1, 13))), remove=Constant(0.0))
    return replace(explanation, stderr=np.full((1, 12), 2.0), part_texts=(tuple("abcdefghijkl"),))


def test_features_are_sorted_by_size_and_the_rest_is_added_up() -> None:
    chart = local_chart(sampled(), 0)
    assert [line.value for line in chart.lines] == [f"+{v:.2f}" for v in (12, 11, 10, 9, 8, 7, 6, 5, 1 + 2 + 3 + 4)]
    assert (len(chart.lines), chart.lines[-1].name) == (MAX_BARS + 1, "4 other features")


def test_a_feature_is_named_with_its_value() -> None:
    assert (local_chart(sampled(), 0).lines[0].name, local_chart(sampled(), 0).lines[0].cell) == ("11", "l")


def test_whiskers_are_1_96_standard_errors_on_each_side() -> None:
    first = local_chart(sampled(), 0).lines[0]
    assert first.bounds == "8.08 … 15.92"
    assert 'class="whisker"' in first.figure


def test_the_base_output_and_residual_are_printed() -> None:
    explanation = explain.integrated_gradients(examples.saturated(), steps=3)
    assert local_chart(explanation, 0).caption == "base value 1 → output 0, residual −0.444"  # 1 − 5/9: a kink


def test_a_method_without_a_base_value_has_the_output_only() -> None:
    caption = local_chart(explain.saliency(examples.linear()), 0).caption
    assert re.fullmatch(r"output −?[\d.]+", caption)


def test_a_rounding_error_is_zero_with_a_tooltip() -> None:
    assert (format_residual(1e-16, 0.0, 1.0), format_residual(1e-3, 0.0, 1.0)) == (
        '<span title="rounding error">0</span>',
        "0.001",
    )


def test_the_mean_absolute_value_over_rows_has_its_interval() -> None:
    explanation = explain.shapley(
        examples.linear((2.0, -1.0), x=[[1.0, 1.0], [3.0, 3.0], [-2.0, -2.0]]), remove=Constant(0.0)
    )
    first = mean_chart(explanation).lines[0]
    half = 1.959964 * np.std([2, 6, 4], ddof=1) / np.sqrt(3)
    assert (first.value, first.bounds) == ("4.00", f"{4 - half:.2f} … {4 + half:.2f}")


def test_an_undefined_value_is_last() -> None:
    explanation = explain.shapley(examples.linear((2.0, -1.0)), remove=Constant(0.0))
    broken = replace(explanation, values=np.array([[np.nan, -1.0]]))
    assert [line.value for line in local_chart(broken, 0).lines] == ["−1.00", "undefined"]
    assert [line.value for line in mean_chart(broken).lines] == ["1.00", "undefined"]


def test_zero_is_where_the_bars_begin() -> None:
    chart = local_chart(credit().explanations["shapley"], 0)
    starts = [re.search(r'class="up[^"]*" x="([\d.]+)%"', line.figure) for line in chart.lines]
    assert {match[1] for match in starts if match} == {chart.zero.rstrip("%")}


def test_a_reason_table_keeps_its_order_and_intervals() -> None:
    table = reason_tables()[0]
    chart = reason_chart(table)
    assert [line.name for line in chart.lines[:3]] == [line.part for line in table.lines[:3]]
    assert chart.lines[0].bounds == "−0.34 … −0.26"
    assert chart.caption.endswith("→ this row 0.81")
