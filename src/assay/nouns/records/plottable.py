# SPDX-License-Identifier: Apache-2.0
"""The base class of everything that can be plotted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from assay.report.plots.plot import Plot


class Plottable:
    """A result with ``plot``. Plots belong to a higher layer, which ``assay`` enters here when it is imported."""

    _draw: ClassVar[Callable[..., Any]]

    def plot(self, kind: str = "", **options: Any) -> Plot:
        """A picture of the result: shown in a notebook, written by ``save``, drawn with matplotlib by ``axes``.

        ``kind`` is by default the usual one for the result; ``options`` are those of the kind. ``InputError`` for an
        unknown kind, and for one that this result cannot give, with the kinds that it can.
        """
        return Plottable._draw(self, kind, **options)
