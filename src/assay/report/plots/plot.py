# SPDX-License-Identifier: Apache-2.0
"""A plot of a result: SVG text for notebooks and files, or matplotlib axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.basics.errors import InputError
from assay.report.plots.html_words import draw_flowing_words
from assay.report.plots.panels import Panel, WordsPanel
from assay.report.plots.svg import draw


@dataclass(frozen=True, repr=False, eq=False)
class Plot:
    """A picture of a result. ``kind`` is its kind, ``data`` the numbers that it shows, by name.

    ``svg`` has a background and follows the reader's dark or light setting; in a notebook the plot has the notebook's
    own colours. Lines, bars and dots follow the width of the page, text keeps its size. Each number drawn is also in
    the SVG in full, as ``data-value`` (and ``data-low``, ``data-high``, ``data-x`` …) next to its tooltip.
    """

    kind: str
    title: str
    panels: tuple[Panel, ...]
    caption: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def svg(self) -> str:
        """The plot as a complete SVG file: the same bytes for the same result; no script, nothing is loaded."""
        return str(draw(self.kind, self.title, self.panels, self.caption))

    def save(self, path: str | Path) -> Path:
        """Write the SVG to a file and return its path; ``InputError`` for another ending than .svg."""
        target = Path(path)
        if target.suffix.lower() != ".svg":
            raise InputError(
                f"save writes .svg files; got {target.name!r}. Other formats are written by matplotlib: "
                f"axes() draws the plot there, and the figure of the axes has savefig."
            )
        if not target.parent.is_dir():
            raise InputError(f"the folder {target.parent} does not exist. Create it first.")
        target.write_text(self.svg, encoding="utf-8", newline="\n")
        return target

    def axes(self, ax: Any = None) -> Any:
        """The plot as matplotlib axes; needs the extra ``plot``.

        ``ax`` are the axes to draw on: one, or as many as the plot has panels. Without it a figure is made. Returned
        are the axes, as a tuple where the plot has several.
        """
        from assay.report.plots.axes import draw_axes

        return draw_axes(self.title, self.panels, self.caption, ax)

    def _repr_html_(self) -> str:
        words = [panel for panel in self.panels if isinstance(panel, WordsPanel)]
        if words:
            return str(draw_flowing_words(self.kind, self.title, words, self.caption))
        return str(draw(self.kind, self.title, self.panels, self.caption, inline=True))

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Plot({self.kind}: {self.title})"
