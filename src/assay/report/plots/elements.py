# SPDX-License-Identifier: Apache-2.0
"""SVG elements with escaped text, and text that fits into a number of columns."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from markupsafe import Markup, escape

from assay.report.drawing.svg import Axis
from assay.report.plots.panels import Legend

WIDTH = 640
"""Width of a plot in pixels where the page does not choose it."""

NARROW = 320
"""Width down to which all text fits."""

LEFT, RIGHT = 2.0, 98.0
"""Ends of the drawing area in percent of the width."""

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
"""Characters that XML forbids, that a terminal executes, or that reorder the text around them."""


def clean(text: object) -> str:
    """The text on one line, with a replacement character for each character that must not be in a file."""
    return re.sub(r"\s+", " ", FORBIDDEN.sub("\ufffd", str(text)))


def element(tag: str, *children: Markup | str, **attributes: object) -> Markup:
    """An element; an attribute's underscores become hyphens, ``None`` leaves it out, all text is escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), clean(_text(value)))
        for name, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(child if isinstance(child, Markup) else escape(clean(child)) for child in children)
    if not inside:
        return Markup("<{}{}/>").format(tag, written)
    return Markup("<{}{}>{}</{}>").format(tag, written, inside, tag)


def _text(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def exact(value: float) -> str:
    """The number in full, as it is read back by ``float``."""
    return repr(float(value))


def percent(share: float) -> str:
    """A position across."""
    return f"{share:.2f}%"


def place(axis: Axis, value: float, left: float = LEFT, right: float = RIGHT) -> float:
    """The position of a value in percent of the width; values outside the axis are at its end."""
    return left + (right - left) * axis.share(value)


def label(
    words: str,
    x: float,
    y: float,
    *,
    anchor: str = "start",
    size: int = 12,
    faint: bool = False,
    bold: bool = False,
    whole: str = "",
    **data: object,
) -> Markup:
    """Text at ``x`` percent; ``whole`` is the tooltip where the text is shortened."""
    tooltip = (element("title", whole),) if whole and whole != words else ()
    return element(
        "text",
        *tooltip,
        words,
        x=percent(x),
        y=y,
        font_size=size,
        text_anchor=None if anchor == "start" else anchor,
        font_weight=600 if bold else None,
        fill_opacity=0.75 if faint else None,
        **data,
    )


def rule(x: float, top: float, bottom: float, *, faint: bool = True) -> Markup:
    """A vertical line at ``x`` percent."""
    return element(
        "line",
        x1=percent(x),
        x2=percent(x),
        y1=top,
        y2=bottom,
        stroke="currentColor",
        stroke_opacity=0.25 if faint else 0.6,
    )


def columns(text: str) -> float:
    """The width of a text in columns, each as wide as a small letter."""
    return sum(
        2.0 if unicodedata.east_asian_width(c) in "WF" else 1.35 if c.isupper() or c in "mwMW%@—…" else 1.0
        for c in text
    )


def fit(text: object, most: float) -> str:
    """The text, or its beginning and an ellipsis, in at most ``most`` columns."""
    whole = clean(text).strip()
    if columns(whole) <= most:
        return whole
    kept = ""
    for character in whole:
        if columns(kept + character) > most - 1.35:
            break
        kept += character
    return kept.rstrip() + "…"


def wrapped_lines(text: str, most: float, lines: int = 4) -> list[str]:
    """The text in lines of at most ``most`` columns; what does not fit into ``lines`` lines is cut with an ellipsis."""
    out, rest = [""], clean(text).split(" ")
    for word in rest:
        for piece in _pieces(word, most):
            joined = f"{out[-1]} {piece}".strip()
            if columns(joined) <= most:
                out[-1] = joined
            else:
                out.append(piece)
    out = [line for line in out if line]
    return out if len(out) <= lines else [*out[: lines - 1], fit(" ".join(out[lines - 1 :]), most)]


def _pieces(word: str, most: float) -> list[str]:
    """A word in pieces that fit a line each."""
    pieces = [""]
    for character in word:
        if columns(pieces[-1] + character) > most:
            pieces.append("")
        pieces[-1] += character
    return pieces


def draw_legend(legend: Legend, top: float) -> tuple[list[Markup], float]:
    """The colour map with its ends, and what it means."""
    count = len(legend.colours)
    out = [
        label(line, LEFT, top + 12 + 14 * n, size=11, faint=True)
        for n, line in enumerate(wrapped_lines(legend.text, 50))
    ]
    y = top + 14 * len(out) + 6
    low, high = 27.0, 73.0
    step = (high - low) / count
    opacities = legend.opacities or (None,) * count
    for n, (colour, faded) in enumerate(zip(legend.colours, opacities)):
        out.append(
            element(
                "rect",
                x=percent(low + n * step),
                width=percent(step + 0.05),
                y=y,
                height=8.0,
                fill=colour,
                fill_opacity=faded,
            )
        )
    out.append(label(fit(legend.low, 12), low - 1, y + 8, anchor="end", size=11, data_legend="low"))
    out.append(label(fit(legend.high, 12), high + 1, y + 8, size=11, data_legend="high"))
    bottom = y + 14
    if legend.missing:
        out.append(label(fit(legend.missing, 50), LEFT, bottom + 10, size=11, faint=True))
        bottom += 16
    return out, bottom


def stacked(
    texts: Sequence[str], top: float, *, size: int, most: float, faint: bool = False, bold: bool = False
) -> tuple[list[Markup], float]:
    """Lines of text below each other."""
    out, y = [], top
    for text in texts:
        for line in wrapped_lines(text, most):
            y += size + 3
            out.append(label(line, LEFT, y, size=size, faint=faint, bold=bold))
    return out, y


def is_number(*values: float) -> bool:
    """Whether all are finite."""
    return all(map(math.isfinite, values))
