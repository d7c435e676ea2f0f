# SPDX-License-Identifier: Apache-2.0
"""The evidence of a finding (JSON-like data) as tables and curves. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from assay.nouns.results.finding import EvidencePicture
from assay.report.drawing.formatting import VERDICTS, breakable, format_number, shorten, truncate, verdict_chip
from assay.report.drawing.image_maps import colour_scale
from assay.report.drawing.small_pictures import largest_that_fits, small_map, small_picture
from assay.report.drawing.svg import draw_roc

MAX_LINES = 20
"""Lines of a table and items of a list that are printed; the rest is counted."""

MAX_CELL = 200
"""Characters of a text that are printed in one cell."""

PICTURE_TRIES = ((8, 64), (8, 48), (6, 40), (6, 28), (4, 28), (2, 28))
"""(Pictures of a finding, pixels a side), tried from the largest."""

MAX_CAPTION = 80
"""Characters of a picture's caption that are printed."""

MAPS = "Maps: blue raises the class, orange lowers it; all on one colour scale."

NARROW, GAP = 30, 2.5
"""Letters that fit next to each other into a window of 320 pixels, and those that the space after a column takes."""

LABELS = {
    "word": "verdict",
    "facts": "deciding checks",
    "left out": "scores not used (unreliable)",
    "rows undefined": "rows without a score",
    "mean score": "mean score, not normalised",
    "better": "better direction",
    "inside": "training rows",
    "outside": "unseen rows",
    "copies": "rows that occur in both sets",
    "copies within training rows": "share of training rows that occur more than once",
    "few-valued": "table with few distinct values",
    "auc": "AUC",
    "roc": "ROC curve",
    "upper": "group with the higher rate",
    "lower": "group with the lower rate",
    "low": "lower limit",
    "high": "upper limit",
    "stderr": "standard error",
    "prediction unchanged": "rows with an unchanged prediction",
    "after random moves of the same size": "after a random perturbation of the same size",
}
"""Keys of the evidence whose text on the page differs."""

ENDINGS = {
    " low": ", lower limit",
    " high": ", upper limit",
    " stderr": ", standard error",
    " inside": " on training rows",
    " outside": " on unseen rows",
}
"""Last words of keys, and their text on the page."""


def label(key: object) -> str:
    """The text on the page for a key of the evidence."""
    text = str(key)
    if text in LABELS:
        return LABELS[text]
    for ending, replacement in ENDINGS.items():
        if text.endswith(ending):
            return label(text.removesuffix(ending)) + replacement
    return text


def evidence_tables(data: Mapping[str, Any]) -> Markup:
    """Plain values in one table, then a table or curve for each nested value under its own caption."""
    return Markup("").join(part for _, part in evidence_parts(data))


def evidence_parts(data: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """The tables and curves of ``evidence_tables`` with their captions; that of the plain values has none."""
    plain = {key: value for key, value in data.items() if _is_plain(value)}
    nested = [(label(key), _nested(str(key), value)) for key, value in data.items() if not _is_plain(value)]
    lines = [
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(breakable(label(key)), _cell(value))
        for key, value in plain.items()
    ]
    table = Markup('<table class="facts">{}</table>').format(Markup("").join(lines))
    return [*([("", table)] if lines else []), *nested]


def evidence_pictures(pictures: Sequence[EvidencePicture], budget: int) -> Markup:
    """Pictures of a finding with their captions, as many and as large as fit; maps have one colour scale."""
    known = [one for one in pictures if one.is_map or (np.ndim(one.values) == 3 and len(one.values) in (1, 3))]
    maps = [np.asarray(one.values, dtype=np.float64) for one in known if one.is_map]
    high = colour_scale(*maps) if maps else 0.0

    def draw(size: tuple[int, int]) -> tuple[Markup, ...]:
        return tuple(_picture(one, size[1], high) for one in known[: size[0]])

    drawn = largest_that_fits(PICTURE_TRIES, draw, len, budget)
    scale = Markup('<p class="fine">{}</p>').format(MAPS) if maps else Markup("")
    return Markup('<div class="thumbs">{}</div>{}').format(Markup("").join(drawn), scale) if drawn else Markup("")


def _picture(one: EvidencePicture, side: int, high: float) -> Markup:
    source = small_map(one.values, side, high) if one.is_map else small_picture(one.values, side)
    alt, caption = truncate(one.caption, MAX_CAPTION), shorten(one.caption, MAX_CAPTION)
    return Markup('<div><img src="{}" alt="{}"><span>{}</span></div>').format(source, alt, caption)


def format_value(value: Any) -> str:
    """A plain value as text; a verdict as a chip; a list of plain values joined by commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping) and not value:
        return "none"
    if isinstance(value, str):
        return verdict_chip(value) if value in VERDICTS else breakable(value, MAX_CELL)
    if isinstance(value, Sequence) and all(map(_is_scalar, value)):
        if not value:
            return "none"
        rest = f" … and {len(value) - MAX_LINES:,} more" if len(value) > MAX_LINES else ""
        items = (breakable(item) if isinstance(item, str) else format_value(item) for item in value[:MAX_LINES])
        return Markup(", ").join(items) + rest
    return shorten(value, MAX_CELL)


def _cell(value: Any) -> Markup:
    """A cell; a number is never broken across lines."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Markup('<td class="num">{}</td>' if is_number else "<td>{}</td>").format(format_value(value))


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not value
    return _is_scalar(value) or (isinstance(value, list | tuple) and all(map(_is_scalar, value)))


def _nested(key: str, value: Any) -> Markup:
    points = roc_points(key, value)
    if points is not None:
        curve = draw_roc(points, "false-positive rate", "true-positive rate", f"{label(key)}: {len(points)} points")
        return Markup('<figure class="plot"><figcaption>{}</figcaption>{}</figure>').format(shorten(label(key)), curve)
    if isinstance(value, Mapping) and value and all(isinstance(line, Mapping) for line in value.values()):
        return _table(key, [{"": name, **line} for name, line in value.items()])
    if isinstance(value, Mapping):
        return _table(key, [{"": name, "value": item} for name, item in value.items()])
    lines = list(value) if isinstance(value, Sequence) else [value]
    if lines and all(isinstance(line, Mapping) for line in lines):
        return _table(key, lines)
    if lines and all(isinstance(line, list | tuple) for line in lines):
        return _table(key, [dict(enumerate(line)) for line in lines], has_header=False)
    return _table(key, [{"value": line} for line in lines], has_header=False)


def roc_points(key: str, value: Any) -> list[tuple[float, float]] | None:
    """Points of a receiver operating characteristic: pairs under a key with the word "roc", or two lists of rates."""
    if isinstance(value, Mapping):
        for across, up in (("fpr", "tpr"), ("false positives", "true positives")):
            if isinstance(value.get(across), list | tuple) and isinstance(value.get(up), list | tuple):
                return _rates(list(zip(value[across], value[up])))
    if "roc" in key.lower().split() and isinstance(value, list | tuple):
        return _rates(value)
    return None


def _rates(pairs: Sequence[Any]) -> list[tuple[float, float]] | None:
    good = [
        p
        for p in pairs
        if isinstance(p, list | tuple) and len(p) == 2 and all(isinstance(v, int | float) and 0 <= v <= 1 for v in p)
    ]
    step = max(1, len(good) // 60)
    return [(float(x), float(y)) for x, y in (*good[:-1:step], good[-1])] if len(good) == len(pairs) and good else None


def _table(caption: str, lines: Sequence[Mapping[Any, Any]], *, has_header: bool = True) -> Markup:
    columns = list(dict.fromkeys(column for line in lines for column in line))
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(breakable(label(column))) for column in columns)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cell(line.get(c)) for c in columns)) for line in lines[:MAX_LINES]
    )
    rest = f" ({MAX_LINES} of {len(lines):,} lines)" if len(lines) > MAX_LINES else ""
    top = Markup("<thead><tr>{}</tr></thead>").format(head) if has_header else Markup("")
    name = truncate(label(caption), MAX_CELL)
    table = Markup('<table class="small"><caption>{}{}</caption>{}<tbody>{}</tbody></table>').format(
        name, rest, top, body
    )
    shown = [[label(c), *(format_value(line.get(c)) for line in lines[:MAX_LINES])] for c in columns]
    if sum(_longest_word(column) + GAP for column in shown) <= NARROW:
        return table
    return Markup('<div class="wide" tabindex="0" role="region" aria-label="{}">{}</div>').format(name, table)


def _longest_word(texts: Sequence[str]) -> int:
    """Letters of the longest piece that a line break cannot divide."""
    plain = (text.striptags() if isinstance(text, Markup) else text for text in texts)
    return max((len(word) for text in plain for word in text.replace("_", "_ ").split()), default=0)
