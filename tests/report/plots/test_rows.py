"""Bars, waterfalls, beeswarms and critical differences: the numbers drawn are those of the result."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.report.plots.drawn import (
    SVG,
    all_of,
    assert_on_one_scale,
    compared,
    explained,
    number,
    parsed,
    provenance,
    rows_of,
    scored,
    table,
    texts,
    ticks_of,
    words_of,
)

from assay.basics.errors import InputError
from assay.nouns.results.result import Explanation


def test_bars_of_a_row_have_its_values_largest_first_with_95_percent_whiskers() -> None:
    one = explained([[0.5, -2.0, 1.0, 0.25]], stderr=np.full((1, 4), 0.1))
    rows = rows_of(one.plot("bar"))
    assert list(rows) == ["income", "months", "age", "amount"]
    assert [number(row, "data-value") for row in rows.values()] == [-2.0, 1.0, 0.5, 0.25]
    assert [number(rows["age"], f"data-{end}") for end in ("low", "high")] == pytest.approx([0.304, 0.696], abs=1e-4)


def test_bars_of_many_rows_are_mean_sizes() -> None:
    many = table()
    found = {name: number(row, "data-value") for name, row in rows_of(many.plot("bar")).items()}
    assert found == dict(zip(many.features.names, np.abs(many.values).mean(axis=0)))


def test_a_bar_begins_at_zero_and_ends_at_its_value_on_the_axis_of_the_ticks() -> None:
    plot = explained([[0.5, -2.0, 1.0, 0.25]]).plot("bar")
    ends = []
    for row in rows_of(plot).values():
        (bar,), value = all_of(row, "rect"), number(row, "data-value")
        left, right = number(bar, "x"), number(bar, "x") + number(bar, "width")
        ends += [(left, min(value, 0.0)), (right, max(value, 0.0))]
    marks = [(x, value) for x, value in ticks_of(plot) if 5 < x < 94]
    assert len(marks) > 1
    assert_on_one_scale(*zip(*ends, *marks))


def test_features_beyond_the_most_share_one_bar_with_their_sum() -> None:
    many = explained([np.arange(1.0, 8.0)])
    rows = rows_of(many.plot("bar", most=3))
    assert list(rows) == ["6", "5", "4", "4 other features (sum)"]
    assert number(rows["4 other features (sum)"], "data-value") == 1 + 2 + 3 + 4
    assert len(rows_of(explained([np.arange(1.0, 5.0)]).plot("bar", most=3))) == 4  # one more is drawn instead


def test_an_undefined_attribution_is_listed_without_a_bar() -> None:
    row = rows_of(explained([[np.nan, 1.0]]).plot("bar"))["age"]
    assert all_of(row, "rect") == []
    assert "undefined" in [text.text for text in all_of(row, "text")]


def test_global_bars_have_the_limits_of_the_result() -> None:
    mean = table(stderr=np.full((12, 4), 0.1)).mean(level=0.9)
    for i, name in enumerate(mean.names):
        row = rows_of(mean.plot())[name]
        assert [number(row, f"data-{n}") for n in ("value", "low", "high")] == [
            mean.values[i],
            mean.low[i],
            mean.high[i],
        ]
    assert "90 % intervals" in words_of(mean.plot())


def test_methods_are_sorted_from_the_best_mean() -> None:
    rows = rows_of(compared().plot("bar", score="deletion"))
    assert {name: number(row, "data-value") for name, row in rows.items()} == {
        "shapley": 0.2,
        "lime": 0.3,
        "random": 0.7,
    }
    assert number(rows["lime"], "data-low") == pytest.approx(0.25)


def test_a_waterfall_goes_from_the_base_value_to_the_output_without_a_gap() -> None:
    one = explained([[0.5, -2.0, 1.0, 0.25]])
    rows = rows_of(one.plot())
    assert list(rows) == ["base value", "income", "months", "age", "amount", "output"]
    spans = [(number(r, "data-start"), number(r, "data-end")) for r in list(rows.values())[1:-1]]
    assert [spans[0][0], *(end for _, end in spans)] == pytest.approx([0.5, -1.5, -0.5, 0.0, 0.25])
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert number(rows["output"], "data-value") == pytest.approx(spans[-1][1])


def test_a_residual_is_a_bar_of_its_own_and_the_rest_another() -> None:
    one = replace(explained([np.arange(1.0, 8.0)]), output=np.array([30.0]))
    rows = rows_of(one.plot("waterfall", most=2))
    assert list(rows) == ["base value", "6", "5", "5 other features", "residual: not attributed", "output"]
    assert number(rows["residual: not attributed"], "data-value") == pytest.approx(30 - 0.5 - 28)
    assert number(rows["residual: not attributed"], "data-end") == pytest.approx(30.0)


def test_an_undefined_attribution_moves_nothing_in_a_waterfall() -> None:
    one = replace(explained([[np.nan, 1.0]]), output=np.array([1.5]))
    rows = rows_of(one.plot("waterfall"))
    assert all_of(rows["age"], "rect") == []
    assert number(rows["income"], "data-end") == 1.5


def test_a_beeswarm_has_a_dot_for_each_row_and_feature_at_its_value() -> None:
    many, dots = table(), []
    for name, row in rows_of(many.plot()).items():
        circles = all_of(row, "circle")
        values = [number(c, "data-value") for c in circles]
        assert values == many.values[:, many.features.names.index(name)].tolist()
        dots += [(number(c, "cx"), value) for c, value in zip(circles, values)]
    assert_on_one_scale(*zip(*dots))


def test_dots_are_coloured_by_the_value_of_their_feature_and_grey_without_a_number() -> None:
    many = table(parts=2)
    mixed = replace(many, part_texts=tuple((cell, "cook") for cell, _ in many.part_texts))
    rows = rows_of(mixed.plot())
    colours = {name: [c.attrib["fill"] for c in all_of(row, "circle")] for name, row in rows.items()}
    assert len(set(colours["age"])) > 8
    assert (colours["age"][0], colours["age"][-1]) == ("#0072b2", "#d55e00")
    assert set(colours["income"]) == {"#7f8790"}


def test_rows_that_are_left_out_of_a_beeswarm_are_counted() -> None:
    many = table(1200, 2)
    plot = many.plot()
    assert "240 of 1200 rows are drawn, one in 5" in words_of(plot)
    assert len(all_of(rows_of(plot)["age"], "circle")) == 240


def test_rows_with_a_score_are_dots_and_the_mean_has_its_interval() -> None:
    score = scored([0.5, 0.25, np.nan, 0.75, 0.5])
    rows = rows_of(score.plot())
    assert [number(c, "data-value") for c in all_of(rows["rows"], "circle")] == [0.5, 0.25, 0.75, 0.5]
    assert number(rows["mean"], "data-value") == 0.5
    assert number(rows["mean"], "data-low") == score.interval().low
    assert "Without a score: 1 row." in words_of(score.plot())


def test_ranks_have_bars_of_half_the_critical_difference() -> None:
    plot = compared().plot()
    rows = rows_of(plot)
    assert {name: number(row, "data-value") for name, row in rows.items()} == {
        "shapley": 1.25,
        "lime": 1.75,
        "random": 3.0,
    }
    assert (number(rows["lime"], "data-start"), number(rows["lime"], "data-end")) == (1.5, 2.0)
    positions = [(number(c, "cx"), number(row, "data-value")) for row in rows.values() for c in all_of(row, "circle")]
    assert_on_one_scale(*zip(*positions, *ticks_of(plot)))
    assert "Not distinguished: shapley and lime." in words_of(plot)


def test_a_row_is_named_by_position_or_id_and_must_exist() -> None:
    many = table()
    for row in (3, "r3", -9):
        found = rows_of(many.plot("waterfall", row=row))
        assert number(found["age"], "data-value") == many.values[3, 0]
    for row in (12, "r12", None, True):
        with pytest.raises(InputError, match="give one of the 12 rows"):
            many.plot("waterfall", row=row)


def test_words_are_the_names_of_a_text_s_bars_and_missing_words_are_absent() -> None:
    assert list(rows_of(texts().plot("bar", row=1))) == ["so", "good"]
    with pytest.raises(InputError, match="give one of the 2 rows"):
        texts().plot("bar")


def test_a_long_name_is_cut_before_its_cell_and_whole_in_the_tooltip() -> None:
    named = explained([[1.0]])
    long = "x" * 100
    found = replace(named, features=replace(named.features, names=(long,)), part_texts=(("7,190",),))
    row = rows_of(found.plot("bar"))[long]
    (text,) = [t for t in all_of(row, "text") if t.attrib.get("text-anchor") is None]
    assert "".join(text.itertext()).endswith("… = 7,190")
    assert row.find(SVG + "title").text == f"{long} = 7,190: +1.00"


def test_rows_explained_for_several_classes_are_noted() -> None:
    mixed = replace(table(2), labels=("cat", "dog"))
    assert "different classes (cat, dog)" in words_of(mixed.plot())
    assert isinstance(mixed, Explanation)
    assert provenance().target in parsed(mixed.plot()).find(SVG + "title").text


def test_bars_of_methods_are_by_the_first_score_unless_one_is_named() -> None:
    both = compared()
    both = replace(
        both, scores={"deletion": both.scores["deletion"], "top_k": replace(both.scores["deletion"], score="top_k")}
    )
    assert both.plot("bar").title == "Mean deletion of each method"
    assert both.plot("bar", score="top_k").title == "Mean top-k of each method"
