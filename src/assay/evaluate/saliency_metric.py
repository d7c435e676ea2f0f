# SPDX-License-Identifier: Apache-2.0
"""Saliency metric of Dabkowski and Gal."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import scorer
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import log_probabilities
from assay.nouns.results.result import Estimate, Explanation

SMALLEST = 0.05
"""Lower bound of the crop's area in the paper: a smaller crop does not improve the score."""


@scorer(source="dabkowski2017", better="lower", needs={"image", "classes"}, cost=per_row(lambda o: 1))
def saliency_metric(explanation: Explanation, case: Case, *, threshold: float = 1.0) -> Estimate:
    """Log area of a crop around the salient pixels minus the log probability of the class in that crop.

    log max(a, 0.05) − log p: a is the area, as a share of the image, of the tightest box around the pixels whose
    attribution (summed over channels) is at least ``threshold`` times the mean of the positive ones; p is the
    probability of the case's class for the crop enlarged to the input's size (bilinear, pixel centres). Lower is
    better; the minimum is log 0.05 ≈ −3. extra["area"] and extra["probability"] are a and p; extra["whole"] is the
    score of the uncropped image, for comparison. In nats, whatever the target; one forward pass per row. Undefined
    where no pixel has a positive attribution, or p underflows to 0. A few stray pixels make the box large: try more
    than one ``threshold``.

    In the paper the threshold of every method is chosen on held-out images.
    """
    if not 0 <= threshold < np.inf:
        raise InputError(f"threshold={threshold}; a multiple of the mean positive attribution, 0 or more.")
    boxes, has_salient = _boxes(explanation.map().sum(axis=1), threshold)
    height, width = case.rows.shape[1:]
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / (height * width)
    logs = _log_probability(case, case.outputs(_enlarge(case.rows.x, boxes)))
    whole = -_log_probability(case, case.prediction)
    score = np.where(has_salient & np.isfinite(logs), np.log(np.maximum(area, SMALLEST)) - logs, np.nan)
    extra = {"area": area, "probability": np.exp(logs), "whole": whole}
    return Estimate(score, extra={name: np.where(has_salient, values, np.nan) for name, values in extra.items()})


def _log_probability(case: Case, outputs: Array) -> Floats:
    """Log probability (row,) of each row's class."""
    logs = log_probabilities(to_floats(outputs), case.model.gives)
    return np.asarray(logs[np.arange(len(case)), case.label])


def _boxes(heat: Floats, threshold: float) -> tuple[Ints, Masks]:
    """Top, bottom, left and right (row, 4) of the tightest boxes, and whether a row has salient pixels.

    The box is the whole image where no pixel is salient.
    """
    positive = np.where(heat > 0, heat, 0.0)
    count = (heat > 0).sum(axis=(1, 2))
    known = (count > 0) & ~np.isnan(heat).any(axis=(1, 2))
    mean = positive.sum(axis=(1, 2)) / np.maximum(count, 1)
    salient = positive >= threshold * mean[:, None, None] * (1 - 1e-9)
    salient = (salient & (heat > 0)) | ~known[:, None, None]
    down, across = salient.any(axis=2), salient.any(axis=1)
    known &= salient.any(axis=(1, 2))
    ends = [(axis.argmax(axis=1), axis.shape[1] - axis[:, ::-1].argmax(axis=1)) for axis in (down, across)]
    return np.stack([*ends[0], *ends[1]], axis=1).astype(np.int64), known


def _enlarge(x: Array, boxes: Ints) -> Array:
    """Crops (row, channel, height, width) enlarged to the size of ``x``, in its type."""
    images = to_floats(x)
    down = _interpolation(boxes[:, 0], boxes[:, 1], images.shape[2])
    across = _interpolation(boxes[:, 2], boxes[:, 3], images.shape[3])
    crops = down[:, None] @ images @ across[:, None].swapaxes(2, 3)
    return array_namespace(x).asarray(crops, dtype=x.dtype, **({"device": x.device} if is_torch_array(x) else {}))


def _interpolation(first: Ints, last: Ints, size: int) -> Floats:
    """Weights (row, new pixel, old pixel) of linear interpolation from ``first`` (included) to ``last`` (excluded)."""
    position = first[:, None] + (np.arange(size) + 0.5) * (last - first)[:, None] / size - 0.5
    position = np.clip(position, first[:, None], last[:, None] - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, :, None] - np.arange(size)))
