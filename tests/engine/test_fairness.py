"""Ranges of numbers and dates, and combinations of attributes."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import numpy as np
import pytest

from assay.engine.fairness.groups import combine_columns
from assay.engine.fairness.ranges import cut_into_ranges
from assay.engine.fairness.rates import gaps_against_rest, pairwise_ratios, rates_of

GENERATOR = np.random.default_rng(0)
DAY = datetime.date(1950, 1, 1)

VALUES: dict[str, list[Any]] = {
    "ages": GENERATOR.integers(18, 90, 1000).tolist(),
    "fractions": GENERATOR.normal(size=1000).tolist(),
    "skewed": GENERATOR.lognormal(10, 1, 500).round().tolist(),
    "negative whole numbers": GENERATOR.normal(0, 30, 500).round().tolist(),
    "near a large number": GENERATOR.normal(1e6, 1, 50).tolist(),
    "small": (GENERATOR.random(300) * 1e-5).tolist(),
    "days": [DAY + datetime.timedelta(int(i)) for i in GENERATOR.integers(0, 20_000, 500)],
    "times": [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=i) for i in range(960)],
    "durations": [datetime.timedelta(hours=i) for i in range(50)],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_ranges_are_ordered_and_about_equal(values: list[Any]) -> None:
    names = cut_into_ranges(values, 4)
    order = np.argsort(np.array(values, dtype=object if not isinstance(values[0], float) else float), kind="stable")
    in_order = [names[i] for i in order]
    starts = [name for place, name in enumerate(in_order) if place == 0 or in_order[place - 1] != name]
    assert len(starts) == len(set(names)) == 4
    assert min(Counter(names).values()) >= 0.75 * len(values) / 4 - 1


def test_ages_get_the_names_people_use() -> None:
    assert set(cut_into_ranges(VALUES["ages"], 4)) == {"18–34", "35–54", "55–74", "75–89"}


def test_whole_numbers_below_zero_are_not_joined_by_a_dash() -> None:
    assert all("–" not in name for name in cut_into_ranges(VALUES["negative whole numbers"], 4))


def test_days_are_cut_at_the_first_of_a_year() -> None:
    names = sorted(set(cut_into_ranges(VALUES["days"], 4)))
    assert all(name.split(" to ")[0].endswith("-01-01") for name in names[1:])


def test_a_value_that_most_rows_have_is_a_range_of_its_own() -> None:
    assert set(cut_into_ranges([0] * 90 + list(range(1, 11)), 4)) == {"0", "1–10"}


@pytest.mark.parametrize("values", [[1] * 30, ["a"], [1 + 2j, 2.0], [1.0, np.inf], [1, datetime.date(2020, 1, 1)]])
def test_what_has_no_order_or_one_value_is_not_cut(values: list[Any]) -> None:
    assert cut_into_ranges(values, 4) == []


def test_combinations_that_occur_are_groups() -> None:
    groups, reason = combine_columns({"sex": ["f", "f", "m"], "age": ["old", "young", "old"]})
    assert groups is not None
    assert groups.tolist() == ["f × old", "f × young", "m × old"]
    assert reason == ""


def test_one_column_has_no_combination_and_four_have_a_reason() -> None:
    assert combine_columns({"sex": ["f", "m"]}) == (None, "")
    groups, reason = combine_columns({name: ["a", "b"] for name in "abcd"})
    assert groups is None
    assert "there are 4" in reason


def test_the_rest_is_every_other_group_that_is_compared() -> None:
    group = np.array(["a"] * 20 + ["b"] * 20 + ["c"] * 40 + ["d"] * 3)
    found = rates_of(np.arange(83) % 4 == 0, group, np.ones(83, dtype=bool), 10)
    assert found.left_out == {"d": 3}
    assert [gap.lower == "the rest" or gap.upper == "the rest" for gap in gaps_against_rest(found.counts, 0.95)] == (
        [True] * 3
    )
    assert found.rows == 80


def test_pairs_without_any_hit_have_no_ratio() -> None:
    pairs = list(pairwise_ratios({"a": (0, 20), "b": (0, 20), "c": (5, 20)}, 0.95))
    assert [(pair.lower, pair.upper, pair.value) for pair in pairs] == [("a", "c", 0.0), ("b", "c", 0.0)]
    assert all(pair.low == 0 and 0 < pair.high <= 1 for pair in pairs)
