# SPDX-License-Identifier: Apache-2.0
"""Panels of coloured cells as SVG: matrices, pictures under their maps, and the words of a text."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from assay.report.drawing.colours import colour_levels
from assay.report.drawing.formatting import format_number, format_signed
from assay.report.drawing.png import data_uri, encode_png, palette
from assay.report.plots.elements import (
    LEFT,
    NARROW,
    RIGHT,
    clean,
    columns,
    draw_legend,
    element,
    exact,
    fit,
    label,
    percent,
    wrapped_lines,
)
from assay.report.plots.panels import MatrixPanel, PicturesPanel, Word, WordsPanel

NAMES = 40.0
"""Left end of a matrix in percent, behind the names."""

CELL = 24.0
"""Height of a cell in pixels."""

NUMBERS = 4
"""Most features whose numbers are written into the cells."""

SIDE = 190.0
"""Height of a picture in pixels."""

COLOURS = 48
"""Colours of an embedded picture."""

LETTER, LINE = 7.8, 26.0
"""Width of a column of a text and height of its line, in pixels."""


def css_colours(table: np.ndarray) -> list[str]:
    """The colours of a map as CSS."""
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.asarray(table).tolist()]


def draw_matrix(panel: MatrixPanel, top: float) -> tuple[list[Markup], float]:
    """Numbered rows with their names, the numbers as columns, a cell for each pair."""
    count = len(panel.names)
    width, y, size = (RIGHT - NAMES) / count, top + 20, 11 if count < 10 else 10
    levels = colour_levels(panel.values, panel.low, panel.high)
    out = [label(f"{n + 1}", NAMES + (n + 0.5) * width, top + 14, anchor="middle", size=size) for n in range(count)]
    for i, name in enumerate(panel.names):
        out.append(label(fit(f"{i + 1} {name}", 17), LEFT, y + CELL * (i + 0.5) + 4, whole=name))
        for j in range(count):
            out += _cell(panel, i, j, panel.table[int(levels[i, j])].tolist(), width, y + CELL * i)
    legend, bottom = draw_legend(panel.legend, y + CELL * count + 4)
    return out + legend, bottom


def _cell(panel: MatrixPanel, i: int, j: int, rgb: list[int], width: float, y: float) -> list[Markup]:
    """One coloured cell, with its number where there are few; a frame with a dash where it is undefined."""
    row, column, value = panel.names[i], panel.names[j], float(panel.values[i, j])
    known, count = math.isfinite(value), len(panel.names)
    error = math.nan if panel.errors is None else float(panel.errors[i, j])
    rectangle = element(
        "rect",
        element("title", f"{row if i == j else f'{row} × {column}'}: {with_error(value, error)}"),
        x=percent(NAMES + j * width),
        y=y,
        width=percent(width - 0.2),
        height=CELL - 1,
        fill="#" + "".join(f"{channel:02x}" for channel in rgb) if known else "none",
        stroke=None if known else "currentColor",
        stroke_opacity=None if known else 0.3,
        data_row=row,
        data_column=column,
        data_value=exact(value),
        data_stderr=exact(error) if math.isfinite(error) else None,
    )
    if known and count > NUMBERS:
        return [rectangle]
    as_text = format_signed if panel.is_signed else format_number
    shown = "–" if not known else as_text(value, 2) if abs(value) >= 0.005 else format_number(value)
    red, green, blue = rgb
    dark = 0.3 * red + 0.6 * green + 0.1 * blue < 130
    text = element(
        "text",
        fit(shown, 9),
        x=percent(NAMES + (j + 0.5) * width),
        y=y + CELL / 2 + 4,
        font_size=11 if count < NUMBERS else 10,
        text_anchor="middle",
        fill="currentColor" if not known else "#fff" if dark else "#1b1f24",
        pointer_events="none",
    )
    return [rectangle, text]


def draw_pictures(panel: PicturesPanel, top: float) -> tuple[list[Markup], float]:
    """Each picture alone on the left, and its grey version under the map on the right."""
    out, y = [], top
    for picture in panel.pictures:
        if len(panel.pictures) > 1:
            out.append(label(fit(picture.name, 42), LEFT, y + 14, whole=picture.name, bold=True))
        y += 20 if len(panel.pictures) > 1 else 6
        grey = np.repeat(picture.image.mean(axis=2, keepdims=True), 3, axis=2).round().astype(np.uint8)
        sides = ((LEFT, "xMaxYMid", picture.image, None), (50.5, "xMinYMid", grey, picture))
        for x, align, image, shown in sides:
            box = {"x": percent(x), "y": y, "width": "47.5%", "height": SIDE, "preserveAspectRatio": align}
            box["style"] = "image-rendering:pixelated"
            file = data_uri(encode_png(*palette(image, COLOURS)))
            out.append(element("image", **box, href=file))
            if shown is not None:
                file = data_uri(encode_png(shown.levels, shown.table))
                out.append(element("image", **box, href=file, opacity=0.65, data_name=shown.name))
        y += SIDE + 8
    legend, bottom = draw_legend(panel.legend, y)
    return out + legend, bottom


def draw_words(panel: WordsPanel, top: float) -> tuple[list[Markup], float]:
    """The words in lines of 320 pixels, each on its colour."""
    out = [label(line, LEFT, top + 14 + 15 * n, bold=True) for n, line in enumerate(wrapped_lines(panel.title, 42))]
    x, y = 0.0, top + 15 * len(out) + 8
    for word in panel.words:
        shown = clean(word.text)
        width = LETTER * _letters(shown) + 6
        if x and x + width > NARROW - 16:
            x, y = 0.0, y + LINE
        while width > NARROW - 16:  # a word longer than a line continues on the next
            kept = max(1, int((NARROW - 22) / LETTER / max(1.0, _letters(shown) / len(shown))))
            out.append(_word(word, shown[:kept], 8 + x, y, LETTER * _letters(shown[:kept]) + 6))
            shown, x, y = shown[kept:], 0.0, y + LINE
            width = LETTER * _letters(shown) + 6
        out.append(_word(word, shown, 8 + x, y, width))
        x += width + 4
    if panel.legend is None:
        return out, y + LINE + 4
    legend, bottom = draw_legend(panel.legend, y + LINE + 4)
    return out + legend, bottom


def _letters(text: str) -> float:
    """Columns of a text in a font of fixed width."""
    return sum(2.0 if columns(c) == 2.0 else 1.0 for c in text)


def _word(word: Word, shown: str, x: float, y: float, width: float) -> Markup:
    return element(
        "g",
        element("title", word_title(word)),
        element("rect", x=x, y=y, width=width, height=LINE - 5, rx=3.0, fill=word.colour, fill_opacity=word.strength),
        element(
            "text",
            shown,
            x=x + 3,
            y=y + 15,
            font_family="ui-monospace, Menlo, Consolas, monospace",
            font_size=13,
            textLength=width - 6,
            lengthAdjust="spacingAndGlyphs",
        ),
        data_name=word.text,
        data_value=exact(word.value),
        data_stderr=exact(word.error) if math.isfinite(word.error) else None,
    )


def word_title(word: Word) -> str:
    """A word with its value and standard error."""
    return f"{word.text}: {with_error(word.value, word.error)}"


def with_error(value: float, error: float) -> str:
    """A number with its standard error, where it has one."""
    known = math.isfinite(error) and error > 0
    return format_number(value) + (f" ± {format_number(error)} (standard error)" if known else "")
