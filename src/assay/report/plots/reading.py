# SPDX-License-Identifier: Apache-2.0
"""What the kinds of plots read from results: rows, features, numbers of cells, colours of values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.nouns.results.global_explanation import mixed_classes
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import Z
from assay.report.drawing.colours import DOWN, UP
from assay.report.drawing.formatting import ROUNDING, format_count, method_name, truncate
from assay.report.plots.panels import GREY

Row = int | str | None
"""A row by its position or its id."""

COLOURS = 32
"""Colours of feature values."""


def row_position(explanation: Explanation, row: Row) -> int:
    """The position of a row; ``InputError`` where it does not exist or is needed and not named."""
    ids = explanation.ids
    if row is None and len(ids) == 1:
        return 0
    if isinstance(row, str) and row in ids:
        return ids.index(row)
    if isinstance(row, int | np.integer) and not isinstance(row, bool) and -len(ids) <= row < len(ids):
        return int(row) % len(ids)
    raise InputError(
        f"row={row!r}; give one of the {len(ids)} rows by its position, 0 … {len(ids) - 1}, or by its id: "
        f"{', '.join(map(repr, ids[:5]))}{' …' if len(ids) > 5 else ''}."
    )


def feature_positions(explanation: Explanation, features: str | Sequence[str]) -> list[int]:
    """Positions of features by name."""
    names = list(explanation.features.names)
    chosen = [features] if isinstance(features, str) else list(features)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise InputError(f"features={features!r}; the explanation has {', '.join(names[:12])}.")
    return [names.index(name) for name in chosen]


def check_most(most: int) -> int:
    """``most`` as given; ``InputError`` below 1."""
    if most < 1:
        raise InputError(f"most={most!r}; it is the number of features drawn, at least 1.")
    return most


def class_of(explanation: Explanation, row: int) -> str:
    """The class explained at a row, as the end of a title; empty where there is none, or where the target names it."""
    label = explanation.labels[row] if row < len(explanation.labels) else ""
    return f" for {truncate(label)}" if label and label not in explanation.provenance.target else ""


def heading(explanation: Explanation, row: int | None = None) -> str:
    """Method, target and row, as the title of a plot."""
    name = f"{method_name(explanation.method)} of {explanation.provenance.target}"
    if row is None:
        shared = class_of(explanation, 0) if len(set(explanation.labels)) == 1 else ""
        return f"{name}{shared}, {format_count(len(explanation.ids), 'row')}"
    return f"{name}{class_of(explanation, row)}, row {truncate(explanation.ids[row])}"


def warnings_of(explanation: Explanation) -> tuple[str, ...]:
    """The caption where rows are explained for different classes."""
    mixed = mixed_classes(explanation.labels)
    return (f"Note: {mixed}.",) if mixed else ()


def name_and_cell(explanation: Explanation, row: int, part: int) -> tuple[str, str]:
    """A feature and its value at the row, empty where unknown; the word itself where each row has its own features."""
    text = explanation.part_texts[row][part] if explanation.part_texts else ""
    return (text, "") if explanation.features.per_row and text else (explanation.features.names[part], text)


def half_widths(explanation: Explanation, row: int) -> Floats:
    """1.96 standard errors (part,) of a row's values; 0 where they were not sampled or differ by rounding only."""
    values = explanation.values[row]
    if explanation.stderr is None:
        return np.zeros(len(values))
    half = Z * explanation.stderr[row]
    size = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    return np.where(half > ROUNDING * max(size, 1.0), half, 0.0)


def present_parts(explanation: Explanation, row: int) -> Ints:
    """Features that the row has: words beyond the end of a text are none."""
    if explanation.features.per_row:
        return np.flatnonzero(explanation.features.sizes[row] > 0)
    return np.arange(len(explanation.features))


def numeric_cells(explanation: Explanation) -> Floats | None:
    """The values (row, part) of features that are single numbers, NaN for text, categories and missing; else ``None``.

    A column is text or a category where a cell's text is not its number.
    """
    x = np.asarray(explanation.x)
    if not explanation.features.elementwise or x.dtype.kind not in "biuf" or not explanation.part_texts:
        return None
    cells = explanation.features.pool(x.astype(np.float64))
    for part in range(cells.shape[1]):
        shown = [explanation.part_texts[row][part] for row in range(len(cells))]
        known = np.isfinite(cells[:, part])
        if any(is_known and not _means(text, value) for is_known, text, value in zip(known, shown, cells[:, part])):
            cells[:, part] = np.nan
    return cells


def _means(text: str, value: float) -> bool:
    """Whether a cell's text is its number, up to rounding."""
    try:
        return bool(np.isclose(float(text.replace(",", "").replace("−", "-")), value, rtol=1e-3, atol=1e-9))
    except ValueError:
        return False


def _value_colours() -> tuple[str, ...]:
    """From blue through violet to orange, equally readable on white and on black."""
    stops = [_channels(colour) for colour in (UP, "#8E6BB0", DOWN)]
    table = np.array(
        [[np.interp(t, (0, 0.5, 1), [s[c] for s in stops]) for c in range(3)] for t in np.linspace(0, 1, COLOURS)]
    )
    return tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in table.round().astype(int).tolist())


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


VALUE_COLOURS = _value_colours()


def colours_by_value(cells: Floats) -> tuple[str, ...]:
    """A colour (row,) for each number from the 5th to the 95th percentile; NaN is grey."""
    known = cells[np.isfinite(cells)]
    if not len(known):
        return (GREY,) * len(cells)
    low, high = np.quantile(known, [0.05, 0.95])
    if high <= low:
        low, high = float(known.min()), float(known.max())
    width = high - low
    return tuple(
        GREY
        if not math.isfinite(v)
        else VALUE_COLOURS[round(float(np.clip((v - low) / width if width > 0 else 0.5, 0, 1)) * (COLOURS - 1))]
        for v in cells.tolist()
    )
