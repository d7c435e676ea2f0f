# SPDX-License-Identifier: Apache-2.0
"""Clusters of the parts of pictures by mean shift over place and colour; read from the picture alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.nouns.inputs.features import Features, superpixels

MAX_PARTS = 2000
"""Most parts of a picture that are clustered: each step compares all pairs."""

SHIFTS, BISECTIONS = 100, 30
"""Most steps of the mean shift, and trials of its bandwidth."""


def mean_shift_clusters(images: Any, least: int = 6, most: int = 12, *, count: int = 150) -> Features:
    """Clusters of SLIC superpixels by mean shift, ``least`` to ``most`` a picture, as parts; needs scikit-image.

    Each of about ``count`` superpixels is a point of its mean place and colour (L, a, b for three channels). All points
    move to the mean of their neighbours within one bandwidth until they rest; points that rest together are a cluster
    (Comaniciu and Meer 2002), which may be in several pieces. The bandwidth is the smallest found by bisection with at
    most ``most`` clusters; a plain picture can have fewer than ``least``. ``InputError`` for other shapes of rows.

    >>> features = mean_shift_clusters(pictures)  # doctest: +SKIP
    """
    pictures = np.asarray(images, dtype=np.float64)
    cut = superpixels(pictures, count)
    labels = cluster_parts(pictures, cut, least, most)
    index = np.take_along_axis(labels, cut.index.reshape(len(pictures), -1), axis=1).reshape(cut.index.shape)
    return Features(index, tuple(f"cluster {i}" for i in range(int(labels.max()) + 1)), per_row=True)


def cluster_parts(images: Floats, features: Features, least: int, most: int) -> Ints:
    """The cluster (row, part) of each part of pictures (row, channel, height, width), numbered from 0; −1 where absent.

    Clusters are numbered by the place of their first part.
    """
    if images.ndim != 4:
        raise InputError(f"clusters need pictures (row, channel, height, width); got shape {images.shape}.")
    if not 1 <= least <= most:
        raise InputError(f"least={least}, most={most}; needed is 1 ≤ least ≤ most.")
    if len(features) > MAX_PARTS:
        raise InputError(
            f"{len(features)} parts a picture are too many to cluster (at most {MAX_PARTS}). Cut pictures with "
            f"assay.superpixels or assay.grid first."
        )
    rows, parts = len(images), len(features)
    sizes = np.broadcast_to(features.sizes, (rows, parts))
    height, width = images.shape[2:]
    down, across = np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    place = [np.broadcast_to(axis, images.shape) for axis in (down, across)]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [features.pool(np.ascontiguousarray(axis)) / sizes for axis in place]
        for channel in _colours(images).transpose(1, 0, 2, 3):
            means.append(features.pool(np.repeat(channel[:, None], images.shape[1], axis=1)) / sizes)
    labels = np.full((rows, parts), -1)
    for row, points in enumerate(np.stack(means, axis=2)):
        present = sizes[row] > 0
        labels[row, present] = _cluster(points[present], least, most)
    return labels.astype(np.int64)


def _colours(images: Floats) -> Floats:
    """Colours from 0 to 1 of each picture's own range; three channels as L, a, b (CIE, sRGB assumed) over 100."""
    flat = images.reshape(len(images), -1)
    low, span = flat.min(axis=1), np.ptp(flat, axis=1)
    scaled = (images - low[:, None, None, None]) / np.where(span > 0, span, 1.0)[:, None, None, None]
    if images.shape[1] != 3:
        return np.asarray(scaled)
    linear = np.where(scaled > 0.04045, ((scaled + 0.055) / 1.055) ** 2.4, scaled / 12.92)
    to_xyz = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]])
    xyz = np.einsum("dc,nchw->ndhw", to_xyz, linear)  # over the white point
    curve = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = curve.transpose(1, 0, 2, 3)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1) / 100


def _cluster(points: Floats, least: int, most: int) -> Ints:
    """Labels (point,) of the smallest bandwidth found by bisection with at most ``most`` clusters."""
    if len(points) <= least:
        return np.arange(len(points))
    low, high = 0.0, float(cdist(points, points).max()) or 1.0
    best = np.zeros(len(points), dtype=np.int64)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        found = mean_shift(points, middle)
        count = int(found.max()) + 1
        low, high = (low, middle) if count <= most else (middle, high)
        if int(best.max()) + 1 < count <= most:
            best = found
        if count == most or high - low < 1e-3 * high:
            break
    return best


def mean_shift(points: Floats, bandwidth: float) -> Ints:
    """Labels (point,) by mean shift with a flat kernel: every point is a seed, and all move at once.

    Of the places where they rest, the densest is a centre, and so on among those farther than the bandwidth from all
    centres; each point belongs to the centre nearest to where it rests. Labels are numbered by first appearance.
    """
    seeds = points
    for _ in range(SHIFTS):
        near: Masks = cdist(seeds, points) <= bandwidth * (1 + 1e-9)
        moved = (near @ points) / near.sum(axis=1, keepdims=True)
        if np.abs(moved - seeds).max() <= 1e-4 * bandwidth:
            break
        seeds = moved
    density = (cdist(seeds, points) <= bandwidth).sum(axis=1)
    centres: list[int] = []
    for one in np.argsort(-density, kind="stable").tolist():
        if not centres or cdist(seeds[[one]], seeds[centres]).min() > bandwidth:
            centres.append(one)
    nearest = cdist(seeds, seeds[centres]).argmin(axis=1)
    names, first, labels = np.unique(nearest, return_index=True, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(names))
    return rank[labels]
