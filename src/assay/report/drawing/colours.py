# SPDX-License-Identifier: Apache-2.0
"""Colours that readers with a colour vision deficiency can distinguish, and the two colour maps of image maps."""

import numpy as np
import numpy.typing as npt

from assay.basics.types import Floats

Bytes = npt.NDArray[np.uint8]

UP = "#0072B2"
DOWN = "#D55E00"
FAIL = "#B3261E"
UNDECIDED = "#E69F00"
PASS = "#0072B2"
LEVELS = 31
"""Levels of a colour map: few, so that a map compresses well; odd, so that 0 has its own level."""

_GREY = (247, 247, 247)
_CIVIDIS = (
    (0, 32, 77), (0, 51, 111), (57, 72, 107), (87, 92, 109), (112, 113, 115),
    (138, 135, 121), (166, 157, 117), (196, 181, 108), (228, 207, 91), (255, 234, 70),
)  # fmt: skip


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _interpolate(stops: tuple[tuple[int, int, int], ...]) -> Bytes:
    table, positions = np.array(stops, dtype=np.float64), np.linspace(0, len(stops) - 1, LEVELS)
    channels = [np.interp(positions, np.arange(len(stops)), table[:, channel]) for channel in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


DIVERGING = _interpolate((_rgb(DOWN), _GREY, _rgb(UP)))
"""Orange below 0, light grey at 0, blue above 0: (level, 3)."""

MAGNITUDE = _interpolate(_CIVIDIS)
"""Cividis (Nuñez, Anderton and Renslow 2018) from dark (lowest) to bright (highest): (level, 3)."""


def colour_levels(values: Floats, low: float, high: float) -> Bytes:
    """The colour level of each value from ``low`` to ``high``; values outside are clipped, NaN counts as 0."""
    known = np.nan_to_num(values, nan=max(low, 0.0))
    share = (
        np.clip((known - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5 if low < 0 else 0.0)
    )
    return np.round(share * (LEVELS - 1)).astype(np.uint8)


def css_gradient(table: Bytes) -> str:
    """The colour map as a CSS background."""
    stops = ",".join(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in table[:: (LEVELS - 1) // 6].tolist())
    return f"linear-gradient(90deg,{stops})"
