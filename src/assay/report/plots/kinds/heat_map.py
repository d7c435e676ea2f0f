# SPDX-License-Identifier: Apache-2.0
"""Heat map: attributions of pixels or patches over the picture."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats
from assay.nouns.results.result import Explanation
from assay.report.drawing.colours import DIVERGING, MAGNITUDE, Bytes, colour_levels
from assay.report.drawing.formatting import format_count, format_number, truncate
from assay.report.drawing.image_maps import attribution_map, colour_scale, lowest_value, stretched_pixels
from assay.report.drawing.png import downsample
from assay.report.plots.panels import Legend, Picture, PicturesPanel
from assay.report.plots.plot import Plot
from assay.report.plots.reading import Row, check_most, class_of, heading, row_position, warnings_of
from assay.report.plots.svg_squares import css_colours

PIXELS = 224
"""Pixels a side of an embedded picture and its map."""


def draw_heat_maps(explanation: Explanation, *, row: Row = None, most: int = 4) -> Plot:
    """Each picture, and its map over a grey copy; all maps on one colour scale, of one row or of the ``most`` first.

    Blue raises the target, orange lowers it; attributions without a sign are drawn from dark to bright. The end of the
    scale is the 99th percentile of |attribution| over the maps drawn; NaN is drawn as 0 and counted. Attributions of
    elements are summed over channels.
    """
    rows = range(min(check_most(most), len(explanation.ids))) if row is None else [row_position(explanation, row)]
    maps = [downsample(attribution_map(explanation, r), PIXELS) for r in rows]
    is_signed = bool(
        (explanation.values < 0).any() or (explanation.dense is not None and (explanation.dense < 0).any())
    )
    high = colour_scale(*maps)
    low, table = (-high, DIVERGING) if is_signed else (lowest_value(*maps), MAGNITUDE)
    pictures = tuple(_picture(explanation, r, m, low, high, table) for r, m in zip(rows, maps))
    undefined = sum(int(np.isnan(m).sum()) for m in maps)
    legend = Legend(
        "attribution (end of the scale: 99th percentile of its size)",
        format_number(low),
        format_number(high),
        tuple(css_colours(table)),
        f"undefined and drawn as 0: {format_count(undefined, 'pixel')}" if undefined else "",
    )
    more = len(explanation.ids) - len(pictures)
    caption = [
        f"Not drawn: {format_count(more, 'more row')}." if more and row is None else "",
        *warnings_of(explanation),
    ]
    data = {"maps": maps, "low": low, "high": high, "rows": [explanation.ids[r] for r in rows]}
    title = heading(explanation) if row is None and len(explanation.ids) > 1 else heading(explanation, rows[0])
    return Plot("heat map", title, (PicturesPanel(pictures, legend),), tuple(filter(None, caption)), data)


def _picture(explanation: Explanation, row: int, found: Floats, low: float, high: float, table: Bytes) -> Picture:
    image, _ = stretched_pixels(np.asarray(explanation.x[row], dtype=np.float64), PIXELS)
    name = f"row {truncate(explanation.ids[row])}{class_of(explanation, row)}"
    return Picture(name, image, colour_levels(found, low, high), table)
