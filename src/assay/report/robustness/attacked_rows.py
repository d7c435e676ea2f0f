# SPDX-License-Identifier: Apache-2.0
"""Attacked rows next to the rows themselves: pictures with the magnified difference, or the columns that changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.result import AttackResult, Explanation
from assay.report.drawing.colours import Bytes
from assay.report.drawing.formatting import decimals_for, format_number, format_signed, truncate
from assay.report.drawing.image_maps import COLOURS, has_images
from assay.report.drawing.png import data_uri, downsample, encode_png, palette
from assay.report.drawing.words import has_words

MAX_ROWS, MAX_COLUMNS = 2, 5
"""Rows of one attack that are shown, and columns of each."""

MAX_WORDS = 300
"""Characters of what an attack on words changed."""

BUDGET = 26_000
"""Characters of the pictures of all attacks together; they shrink, then rows are left out, until they fit."""

SIZES = (112, 80, 64, 48, 32)
"""Pixels a side that are tried."""

FACTORS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""How often a difference can be magnified."""


@dataclass(frozen=True)
class Change:
    """One column before and after the attack, as text."""

    column: str
    before: str
    after: str
    difference: str


@dataclass(frozen=True)
class AttackedRow:
    """One attacked row: its class and the attacked quantity before and after, and what changed.

    ``clean``, ``attacked`` and ``difference`` are pictures; the difference is multiplied by ``factor``, grey is none.
    ``changes`` are the columns that changed most, ``others`` the number of further ones; ``words`` says what an attack
    on words or levels changed. ``distance`` is in the norm of the ball.
    """

    row: str
    label_before: str
    label_after: str
    before: str
    after: str
    distance: str
    clean: str = ""
    attacked: str = ""
    difference: str = ""
    factor: int = 1
    changes: tuple[Change, ...] = ()
    others: int = 0
    words: str = ""

    @property
    def size(self) -> int:
        """Characters of its pictures."""
        return len(self.clean) + len(self.attacked) + len(self.difference)


def attacked_rows(record: Record) -> dict[str, tuple[AttackedRow, ...]]:
    """The rows of each attack that are shown, by the attack's name in the record."""
    told = {name: _told(record, one) for name, one in record.attack_results.items() if one.changes}
    explanation = next((e for e in record.explanations.values() if not has_words(e)), None)
    if explanation is None:
        return told
    others = {name: one for name, one in record.attack_results.items() if name not in told}
    results = {name: one for name, one in others.items() if _is_about(one, explanation)}
    if not has_images(explanation):
        return told | {name: _rows(record, one, explanation, MAX_ROWS, 0) for name, one in results.items()}
    tries = [(MAX_ROWS, side) for side in SIZES] + [(1, SIZES[-1])]
    found: Mapping[str, tuple[AttackedRow, ...]] = {}
    for count, side in tries:
        found = {name: _rows(record, one, explanation, count, side) for name, one in results.items()}
        if sum(row.size for rows in found.values() for row in rows) <= BUDGET:
            return dict(found)
    return dict.fromkeys(results, ())


def _told(record: Record, result: AttackResult) -> tuple[AttackedRow, ...]:
    """The rows with the largest change among those that an attack changed successfully, with what it changed."""
    rows = [row for row, made in enumerate(result.changes) if made and result.success[row]]
    rows.sort(key=lambda row: -abs(float(result.after[row] - result.before[row])))
    found = []
    for row in rows[:MAX_ROWS]:
        made = result.changes[row]
        more = f"; {len(made) - MAX_COLUMNS} more" if len(made) > MAX_COLUMNS else ""
        label = record.predictions[row] if row < len(record.predictions) else ""
        words = truncate("; ".join(made[:MAX_COLUMNS]), MAX_WORDS) + more
        found.append(replace(_numbers(record, result, row, label), words=words))
    return tuple(found)


def _is_about(result: AttackResult, explanation: Explanation) -> bool:
    return result.ids == explanation.ids and np.shape(result.x) == np.shape(explanation.x)


def _rows(
    record: Record, result: AttackResult, explanation: Explanation, count: int, side: int
) -> tuple[AttackedRow, ...]:
    """The successfully attacked rows with the largest change of the attacked quantity."""
    moved = result.success & (np.asarray(result.x) != np.asarray(explanation.x)).reshape(len(result.ids), -1).any(
        axis=1
    )
    change = np.where(moved, np.abs(result.after - result.before), -1.0)
    order = np.argsort(-np.nan_to_num(change, nan=-1.0), kind="stable")[:count]
    return tuple(_row(record, result, explanation, int(row), side) for row in order if moved[row])


def _row(record: Record, result: AttackResult, explanation: Explanation, row: int, side: int) -> AttackedRow:
    labels = record.predictions or explanation.labels
    shown = _numbers(record, result, row, labels[row] if row < len(labels) else "")
    clean, attacked = (np.asarray(x[row], dtype=np.float64) for x in (explanation.x, result.x))
    return _with_pictures(shown, clean, attacked, side) if side else _with_columns(shown, clean, attacked, explanation)


def _numbers(record: Record, result: AttackResult, row: int, label: str) -> AttackedRow:
    """The classes, the attacked quantity and the distance of a row."""
    before, after = float(result.before[row]), float(result.after[row])
    decimals = decimals_for(before, after)
    return AttackedRow(
        row=result.ids[row],
        label_before=label,
        label_after=_label_after(record, result, row, label),
        before=format_number(before, decimals),
        after=format_number(after, decimals),
        distance=format_number(float(result.distance[row])),
    )


def _label_after(record: Record, result: AttackResult, row: int, label: str) -> str:
    """The class predicted at the attacked row; empty where it is unknown."""
    if result.prediction_unchanged[row]:
        return label
    found = result.extra.get("class", np.full(len(result.ids), np.nan))[row]
    return record.classes[int(found)] if record.classes and math.isfinite(found) else ""


def _with_columns(shown: AttackedRow, clean: Floats, attacked: Floats, explanation: Explanation) -> AttackedRow:
    """The columns whose value changed, those first that changed most in standard deviations of the rows explained."""
    difference = (attacked - clean).ravel()
    spread = np.asarray(explanation.x, dtype=np.float64).reshape(len(explanation.ids), -1).std(axis=0)
    size = np.abs(difference) / np.where(spread > 0, spread, 1.0)
    moved = np.flatnonzero(difference != 0)
    order = moved[np.argsort(-size[moved], kind="stable")]
    features = explanation.features
    is_named = features.elementwise and len(features.shape) == 1
    changes = []
    for column in order[:MAX_COLUMNS].tolist():
        values = float(clean.ravel()[column]), float(attacked.ravel()[column])
        decimals = _decimals(*values)
        name = features.names[int(features.index[column])] if is_named else f"column {column + 1}"
        one, other = (format_number(value, decimals) for value in values)
        changes.append(Change(name, one, other, format_signed(float(difference[column]), decimals)))
    return replace(shown, changes=tuple(changes), others=len(order) - len(changes))


def _decimals(before: float, after: float) -> int | None:
    """Decimals with which the difference has two significant digits."""
    gap, largest = abs(after - before), max(abs(before), abs(after))
    if gap == 0 or largest >= 1e6 or gap < 1e-6:
        return decimals_for(before, after)
    return max(0, 1 - math.floor(math.log10(gap)))


def _with_pictures(shown: AttackedRow, clean: Floats, attacked: Floats, side: int) -> AttackedRow:
    """Both pictures on one scale, and their difference, magnified as far as it fits around the middle grey."""
    low, high = _scale(clean, attacked)
    width = high - low
    difference = attacked - clean
    largest = float(np.abs(difference).max())
    factor = max((one for one in FACTORS if one * largest <= width / 2), default=1)
    pictures = [(one - low) / width * 255 for one in (clean, attacked)]
    pictures.append(127.5 + factor * difference / width * 255)
    one, other, third = (_encode(picture, side) for picture in pictures)
    return replace(shown, clean=one, attacked=other, difference=third, factor=factor)


def _scale(clean: Floats, attacked: Floats) -> tuple[float, float]:
    """The values that are drawn black and white: those of valid pixels, else the smallest and largest of both."""
    low, high = float(min(clean.min(), attacked.min())), float(max(clean.max(), attacked.max()))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return (low, high) if high > low else (low, low + 1.0)


def _encode(pixels: Floats, side: int) -> str:
    """A picture (channel, height, width) of values 0 … 255 as a data URI."""
    small = downsample(np.moveaxis(pixels, 0, -1), side)
    levels: Bytes = np.round(small).clip(0, 255).astype(np.uint8)
    colours = np.repeat(levels, 3, axis=-1) if levels.shape[-1] == 1 else levels
    return data_uri(encode_png(*palette(colours, COLOURS)))
