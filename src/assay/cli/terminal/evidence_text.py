# SPDX-License-Identifier: Apache-2.0
"""A finding as plain text: claim, numbers, threshold, meaning, advice, and its evidence as tables."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.cli.terminal.printable import printable

if TYPE_CHECKING:
    from assay.nouns.results.finding import Finding

MAX_ROWS, MAX_COLUMNS, MAX_ITEMS, CELL = 20, 8, 12, 48
"""Most rows and columns of a table, items of a list, and characters of a cell."""


def describe_finding(finding: Finding, width: int | None = None) -> list[str]:
    """The finding without its verdict and claim: one entry a line, texts wrapped at ``width``, if given."""
    lines = [f"  {name}: {text}" for name, text in _numbers(finding)]
    texts = {"meaning": finding.meaning, "advice": finding.advice}
    for name, text in texts.items():
        if text:
            lines += _wrapped(f"{name}: {text}", width)
    for name, value in finding.evidence.items():
        lines += evidence_lines(str(name), value)
    return lines


def _wrapped(text: str, width: int | None) -> list[str]:
    given = printable(text)
    if width is None:
        return [f"  {given}"]
    return textwrap.wrap(given, max(width, 20), initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _numbers(finding: Finding) -> Iterator[tuple[str, str]]:
    """The estimate with its interval, the threshold with its origin, and the number of rows, where there are any."""
    interval = finding.interval
    if not math.isnan(finding.estimate):
        limits = (
            ""
            if interval is None
            else f", {100 * interval.level:.4g} % interval [{interval.low:.4g}, {interval.high:.4g}]"
        )
        yield "estimate", f"{finding.estimate:.4g}{limits}"
    if finding.threshold is not None:
        origin = printable(finding.threshold_origin or "default")
        yield "passes", f"{finding.direction} {finding.threshold:g} (threshold: {origin})"
    if finding.null is not None:
        yield "without any effect", f"{finding.null:.4g}"
    if finding.null_interval is not None:
        none = finding.null_interval
        yield "estimates without any effect", f"{none.low:.4g} … {none.high:.4g} ({100 * none.level:.4g} %)"
    if finding.severity:
        yield "severity", finding.severity
    if finding.n:
        yield "rows", f"{finding.n:,}"
    if finding.detectable is not None:
        yield "smallest failure that so many rows show", f"{finding.detectable:.4g}"
    if finding.rows:
        yield "rows that show it", printable(", ".join(map(str, finding.rows[:MAX_ITEMS])))
    if finding.features:
        named = printable(", ".join(finding.features))
        yield "features there", f"{named} (by {finding.features_by}, {finding.features_verdict})"
    if finding.verdict == "undecided" and finding.more:
        yield "rows to decide", f"about {finding.more:,} more"


def evidence_lines(name: str, value: Any) -> list[str]:
    """One piece of evidence: a line for a plain value, a table for a mapping or for a list of mappings or lists."""
    label = printable(name)
    headings, rows = _as_table(value)
    if not rows:
        is_empty = isinstance(value, Mapping | Sequence) and not value
        return [f"  {label}: {'none' if is_empty else _cell(value, CELL * 4)}"]
    more = [f"    … {len(rows) - MAX_ROWS} more rows"] if len(rows) > MAX_ROWS else []
    left = len(headings) - MAX_COLUMNS
    more += [f"    … {left} more columns"] if left > 0 else []
    more += ["    all of it: --format json"] if more else []
    return [f"  {label}:", *_aligned(headings[:MAX_COLUMNS], [row[:MAX_COLUMNS] for row in rows[:MAX_ROWS]]), *more]


def _as_table(value: Any) -> tuple[list[str], list[list[str]]]:
    """Headings (empty where there are none) and cells of a nested value; no rows for a plain one."""
    if isinstance(value, Mapping) and value:
        if any(isinstance(inner, Mapping) for inner in value.values()):
            headings, rows = _records(
                [inner if isinstance(inner, Mapping) else {"": inner} for inner in value.values()]
            )
            return ["", *headings], [[_cell(key), *row] for key, row in zip(value, rows)]
        return [], [[_cell(key), _cell(inner)] for key, inner in value.items()]
    if _is_list(value) and value:
        if all(isinstance(inner, Mapping) for inner in value):
            return _records(value)
        if all(_is_list(inner) for inner in value):
            most = max(map(len, value))
            return [], [[*map(_cell, inner), *[""] * (most - len(inner))] for inner in value]
    return [], []


def _records(records: Sequence[Mapping[Any, Any]]) -> tuple[list[str], list[list[str]]]:
    keys = list(dict.fromkeys(key for record in records for key in record))
    return [_cell(key) for key in keys], [[_cell(one[key]) if key in one else "" for key in keys] for one in records]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _cell(value: Any, most: int = CELL) -> str:
    """A value on one line of at most ``most`` characters."""
    if isinstance(value, bool) or value is None:
        text = {True: "yes", False: "no", None: "–"}[value]
    elif isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{_cell(key)} {_cell(inner)}" for key, inner in list(value.items())[:MAX_ITEMS])
    elif _is_list(value):
        more = f" … {len(value) - MAX_ITEMS} more" if len(value) > MAX_ITEMS else ""
        text = ", ".join(_cell(inner) for inner in value[:MAX_ITEMS]) + more
    else:
        text = printable(str(value)[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, numbers to the right."""
    table = [headings, *rows] if headings else list(rows)
    columns = list(zip(*table))
    widths = [max(map(len, column)) for column in columns]
    to_right = [all(_is_number(cell) for cell in column[bool(headings) :]) for column in columns]
    return [
        "    " + "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, to_right)).rstrip()
        for row in table
    ]


def _is_number(cell: str) -> bool:
    return not cell.strip() or cell.lstrip("-")[:1].isdigit() or cell in ("nan", "inf", "-inf", "–")
