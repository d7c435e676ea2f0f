# SPDX-License-Identifier: Apache-2.0
"""Pointing game."""

from dataclasses import replace
from typing import Any

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import MaskedAttribution, Order, align_with_mask, ranking_values, score_rows
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="zhang2018", better="higher", cost=free)
def pointing_game(
    explanation: Explanation, case: Case, *, inside: Any, tolerance: float = 0.0, sign: Order = "signed"
) -> Estimate:
    """Whether the position of highest attribution lies inside the mask: 1 a hit, 0 a miss.

    If several positions share the maximum, the share of them that is inside: a constant explanation has the score of
    chance. ``inside`` is a mask over features (row, part), pixels (row, height, width) or elements (row, *shape);
    channels of a pixel are summed first. ``tolerance`` is the distance from the mask, in pixels, that still counts as
    inside (TorchRay: 15 on images about 224 wide). ``sign`` "absolute" takes the largest magnitude. extra["area"] is
    the share of positions inside the mask and its tolerance, which is the score of chance. extra["centre"] is the score
    of the middle of the image, which beats many methods where photographs are centred. Undefined where the mask is
    empty or covers everything. The model may use evidence outside the mask: a miss alone is no defect of an
    explanation.

    quantus.PointingGame counts an empty mask as a hit, and one of several maxima inside as a hit.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> pointing_game(explain.saliency(case), case, inside=[[True, False]]).values
    array([1.])
    """
    return score_rows(_dilate(align_with_mask(explanation, inside), tolerance), _hit, ranking_values(sign))


def _hit(heat: Floats, inside: Masks) -> float:
    return float(inside[heat == heat.max()].mean())


def _dilate(masked: MaskedAttribution, tolerance: float) -> MaskedAttribution:
    """The mask extended to all positions within ``tolerance`` pixels of it."""
    if tolerance < 0:
        raise InputError(f"tolerance={tolerance}; needed is 0 pixels or more.")
    if tolerance == 0:
        return masked
    if len(masked.grid) != 2:
        raise InputError(f"tolerance={tolerance} is in pixels and needs a mask over pixels (row, height, width).")
    from scipy.ndimage import distance_transform_edt

    dilated = masked.inside.reshape(-1, *masked.grid).copy()
    for row, mask in enumerate(dilated):
        if mask.any():
            dilated[row] = distance_transform_edt(~mask) <= tolerance
    return replace(masked, inside=dilated.reshape(masked.inside.shape) & masked.available)
