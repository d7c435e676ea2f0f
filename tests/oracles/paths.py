"""Integrals along paths and pictures' edges, point by point."""

from __future__ import annotations

from typing import Any

import numpy as np


def integrated(case: Any, start: Any, steps: int = 4000) -> Any:
    """(x − s) · ∫∇f along the straight line, by the midpoint rule."""
    x = np.asarray(case.rows.x, dtype=float)
    total = np.zeros_like(x)
    for k in range(steps):
        total += np.asarray(case.gradient(start + (k + 0.5) / steps * (x - start))) / steps
    return (x - start) * total


def sobel(picture: Any) -> Any:
    """Sobel's gradient magnitude (height, width) of one grey picture, borders reflected."""
    padded = np.pad(picture, 1, mode="symmetric")
    out = np.zeros_like(picture)
    for r in range(picture.shape[0]):
        for c in range(picture.shape[1]):
            a = padded[r : r + 3, c : c + 3]
            across = a[0, 2] + 2 * a[1, 2] + a[2, 2] - a[0, 0] - 2 * a[1, 0] - a[2, 0]
            down = a[2, 0] + 2 * a[2, 1] + a[2, 2] - a[0, 0] - 2 * a[0, 1] - a[0, 2]
            out[r, c] = np.sqrt(across**2 + down**2)
    return out
