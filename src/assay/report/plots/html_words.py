# SPDX-License-Identifier: Apache-2.0
"""Coloured texts inside a page: words flow with the width of the page, which SVG cannot do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from assay.report.plots.elements import NARROW, draw_legend, element, exact
from assay.report.plots.panels import Legend, Word, WordsPanel
from assay.report.plots.svg_squares import word_title


def draw_flowing_words(kind: str, title: str, panels: Sequence[WordsPanel], caption: Sequence[str]) -> Markup:
    """The texts as paragraphs, each word on its colour, with the legend as SVG."""
    parts = [element("p", element("b", title))]
    for panel in panels:
        if panel.title != title:
            parts.append(element("p", element("b", panel.title), style="margin:6px 0"))
        words = Markup(" ").join(_word(word) for word in panel.words)
        parts.append(element("p", words, style="line-height:1.9;overflow-wrap:anywhere"))
        parts += [_legend(panel.legend)] if panel.legend is not None else []
    parts += [element("p", element("small", line)) for line in caption]
    return element("div", *parts, data_kind=kind)


def _word(word: Word) -> Markup:
    red, green, blue = (int(word.colour[i : i + 2], 16) for i in (1, 3, 5))
    colour = f"rgba({red},{green},{blue},{word.strength:.2f})"
    return element(
        "span",
        word.text,
        title=word_title(word),
        style=f"background:{colour};border-radius:3px;padding:2px 3px",
        data_name=word.text,
        data_value=exact(word.value),
        data_stderr=exact(word.error) if math.isfinite(word.error) else None,
    )


def _legend(legend: Legend) -> Markup:
    drawn, bottom = draw_legend(legend, 0.0)
    font = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
    size = {"width": NARROW, "height": round(bottom), "style": "max-width:100%"}
    return element("svg", *drawn, xmlns="http://www.w3.org/2000/svg", **size, fill="currentColor", font_family=font)
