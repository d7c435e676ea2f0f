# SPDX-License-Identifier: Apache-2.0
"""Gradients projected on the directions in which the data vary near a row (Anders et al. 2020)."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats

NEIGHBOURS = 32
"""Nearest rows of the data from which the directions are estimated."""

DIRECTIONS = 16
"""Principal directions of the neighbours that a gradient is projected on; at most half the elements of a row."""


def project_on_data(x: Floats, gradient: Floats, data: Floats, scale: Floats) -> Floats:
    """The part of gradients (row, *shape) that lies in the tangent space of the data, estimated at each row.

    The space is spanned by the first 16 principal directions of the 32 rows of ``data`` (row, *shape) nearest to the
    row, other than the row itself, in elements divided by ``scale`` (*shape); directions in which the neighbours do not
    vary are left out.
    """
    size = np.where(np.ravel(scale) > 0, np.ravel(scale), 1.0)
    rows, near = (one.reshape(len(one), -1) / size for one in (x, data))
    slopes = gradient.reshape(len(gradient), -1) * size
    limit = min(DIRECTIONS, max(rows.shape[1] // 2, 1))
    along = np.zeros_like(slopes)
    for place, row in enumerate(rows):
        distances = ((near - row) ** 2).sum(axis=1)
        distances[distances == 0] = np.inf
        neighbours = near[np.argsort(distances, kind="stable")[:NEIGHBOURS]]
        _, lengths, directions = np.linalg.svd(neighbours - neighbours.mean(axis=0), full_matrices=False)
        directions = directions[:limit][lengths[:limit] > 1e-9 * max(float(lengths[0]), np.finfo(float).tiny)]
        along[place] = directions.T @ (directions @ slopes[place])
    return np.asarray((along / size).reshape(gradient.shape))
