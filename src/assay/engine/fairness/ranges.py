# SPDX-License-Identifier: Apache-2.0
"""Numbers and dates cut into a few named ranges of about equal size."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from assay.basics.types import Floats

BALANCE = 0.75
"""Edges are rounded as long as the smallest range keeps this share of the rows that it has with exact edges."""


def cut_into_ranges(values: Sequence[Any], count: int) -> list[str]:
    """The range of each value by name: at most ``count`` ranges between quantiles, rounded to sensible edges.

    An edge belongs to the range above it. Whole numbers and days are named by their first and last value ("18–29"),
    other numbers by their edges ("0.5 to 2"). Edges are the coarsest multiples of 1, 2 or 5 times a power of ten (of
    dates the first of a year or month) that keep the ranges about equal. A value that most rows have is a range of its
    own. Empty where the values are neither all real numbers nor all dates, or all are the same.
    """
    if all(isinstance(value, datetime.date) for value in values):
        days = np.array([value.toordinal() for value in values], dtype=np.float64)
        return _named(days, count, _date_edges, _name_dates)
    if all(isinstance(value, datetime.timedelta) for value in values):
        spans = np.array([value / datetime.timedelta(days=1) for value in values])
        return [f"{name} days" for name in _named(spans, count, _number_edges, _name_numbers)]
    if all(isinstance(value, Real) for value in values):
        numbers = np.array([float(value) for value in values])
        return _named(numbers, count, _number_edges, _name_numbers) if np.isfinite(numbers).all() else []
    return []


def _named(
    values: Floats,
    count: int,
    rounded: Callable[[Floats, Floats], Iterator[Floats]],
    name: Callable[[Floats, Floats], list[str]],
) -> list[str]:
    exact = _exact_edges(values, count)
    if not len(exact):
        return []
    least = BALANCE * _smallest_range(values, exact)
    edges = next((edges for edges in rounded(values, exact) if _smallest_range(values, edges) >= least), exact)
    names = name(values, edges)
    return [names[place] for place in np.searchsorted(edges, values, side="right")]


def _exact_edges(values: Floats, count: int) -> Floats:
    edges = np.unique(np.quantile(values, np.arange(1, count) / count, method="higher"))
    edges = edges[edges > values.min()]
    above = values[values > values.min()]
    return edges if len(edges) or not len(above) else above.min(keepdims=True)


def _smallest_range(values: Floats, edges: Floats) -> int:
    """The number of values in the smallest range; 0 where edges coincide."""
    return int(np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).min())


def _number_edges(values: Floats, exact: Floats) -> Iterator[Floats]:
    """The edges rounded to coarser and finer steps, the coarsest first."""
    whole = bool((values == np.trunc(values)).all())
    top = math.floor(math.log10(np.ptp(values)))
    for power in range(top, top - 12, -1):
        for factor in (5, 2, 1):
            if whole and power < 0:
                return
            yield np.array([float(f"{factor * round(edge / (factor * 10.0**power))}e{power}") for edge in exact])


def _date_edges(values: Floats, exact: Floats) -> Iterator[Floats]:
    days = [datetime.date.fromordinal(int(edge)) for edge in exact]
    following = [day.replace(day=1) + datetime.timedelta(days=32) for day in days]
    nearest_month = [(day if day.day < 16 else later).replace(day=1) for day, later in zip(days, following)]
    nearest_year = [datetime.date(min(day.year + (day.month > 6), 9999), 1, 1) for day in days]
    for rounded in (nearest_year, nearest_month):
        yield np.array([day.toordinal() for day in rounded], dtype=np.float64)


def _name_numbers(values: Floats, edges: Floats) -> list[str]:
    if not (values == np.trunc(values)).all():
        texts = _shortest([f"{edge:.{digits}g}" for edge in edges] for digits in (3, 6, 9, 17))
        inner = [f"{low} to {high}" for low, high in pairwise(texts)]
        return [f"below {texts[0]}", *inner, f"{texts[-1]} or more"]
    between = " to " if values.min() < 0 else "–"
    return _name_steps(values, edges, _whole, between)


def _shortest(texts: Iterable[list[str]]) -> list[str]:
    """The first texts that all differ."""
    return next(found for found in texts if len(set(found)) == len(found))


def _whole(value: float) -> str:
    return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))


def _name_dates(values: Floats, edges: Floats) -> list[str]:
    return _name_steps(values, edges, lambda day: datetime.date.fromordinal(int(day)).isoformat(), " to ")


def _name_steps(values: Floats, edges: Floats, text: Callable[[float], str], between: str) -> list[str]:
    """First and last value of each range, for values that are whole numbers."""
    firsts, lasts = [float(values.min()), *edges], [*(edges - 1), float(values.max())]
    return [
        text(first) if first == last else f"{text(first)}{between}{text(last)}" for first, last in zip(firsts, lasts)
    ]
