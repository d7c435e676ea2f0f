# SPDX-License-Identifier: Apache-2.0
"""The saliency metric of Dabkowski and Gal."""

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
"""The paper's floor of the crop's area: smaller crops are not worth more."""


@scorer(source="dabkowski2017", better="lower", needs={"image", "classes"}, cost=per_row(lambda o: 1))
def saliency_metric(explanation: Explanation, case: Case, *, threshold: float = 1.0) -> Estimate:
    """How small a crop around the salient pixels may be while the class is still recognised in it.

    log max(a, 0.05) − log p: a is the area, as a share of the image, of the tightest box around the pixels whose
    attribution (summed over channels) is above ``threshold`` times the mean of the positive ones, p the probability of
    the case's class when the crop is blown up to the input's size (bilinear, pixel centres). At best log 0.05 ≈ −3.
    extra["area"] and extra["probability"] are a and p; extra["whole"] is the score of the uncropped image, the bar to
    stay below. In nats, whatever the target; one forward pass a row. Undefined where no pixel has a positive
    attribution, or p underflows to 0. A few stray pixels make the box large: try more than one ``threshold``.

    In the paper the threshold of every method is chosen on held-out images.
    """
    if not 0 <= threshold < np.inf:
        raise InputError(f"threshold={threshold}; a multiple of the mean positive attribution, 0 or more.")
    boxes, known = _boxes(explanation.map().sum(axis=1), threshold)
    height, width = case.rows.shape[1:]
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / (height * width)
    logs = _log_probability(case, case.outputs(_blown_up(case.rows.x, boxes)))
    whole = -_log_probability(case, case.prediction)
    score = np.where(known & np.isfinite(logs), np.log(np.maximum(area, SMALLEST)) - logs, np.nan)
    extra = {"area": area, "probability": np.exp(logs), "whole": whole}
    return Estimate(score, extra={name: np.where(known, values, np.nan) for name, values in extra.items()})


def _log_probability(case: Case, outputs: Array) -> Floats:
    """Of each row's class (row,)."""
    logs = log_probabilities(to_floats(outputs), case.model.gives)
    return np.asarray(logs[np.arange(len(case)), case.label])


def _boxes(heat: Floats, threshold: float) -> tuple[Ints, Masks]:
    """Top, bottom, left and right (row, 4) of the tightest boxes; the whole image where nothing is salient."""
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


def _blown_up(x: Array, boxes: Ints) -> Array:
    """Crops (row, channel, height, width) resized to the whole, in the type of ``x``."""
    pictures = to_floats(x)
    down = _sampling(boxes[:, 0], boxes[:, 1], pictures.shape[2])
    across = _sampling(boxes[:, 2], boxes[:, 3], pictures.shape[3])
    crops = down[:, None] @ pictures @ across[:, None].swapaxes(2, 3)
    return array_namespace(x).asarray(crops, dtype=x.dtype, **({"device": x.device} if is_torch_array(x) else {}))


def _sampling(first: Ints, last: Ints, size: int) -> Floats:
    """Weights (row, new pixel, old pixel) of linear interpolation between first (included) and last (not)."""
    place = first[:, None] + (np.arange(size) + 0.5) * (last - first)[:, None] / size - 0.5
    place = np.clip(place, first[:, None], last[:, None] - 1)
    return np.maximum(0.0, 1.0 - np.abs(place[:, :, None] - np.arange(size)))
