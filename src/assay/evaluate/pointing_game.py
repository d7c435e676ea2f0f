# SPDX-License-Identifier: Apache-2.0
"""The pointing game."""

from dataclasses import replace
from typing import Any

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.localisation import Located, Order, judged, located, ranked
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="zhang2018", better="higher", cost=free)
def pointing_game(
    explanation: Explanation, case: Case, *, inside: Any, tolerance: float = 0.0, sign: Order = "signed"
) -> Estimate:
    """Whether the place of highest attribution lies inside the mask: 1 a hit, 0 a miss.

    Where several places share the maximum, the share of them that is inside: a constant explanation gets what chance
    gets. ``inside`` is a mask over parts (row, part), pixels (row, height, width) or elements (row, *shape); channels
    of a pixel are added up first. ``tolerance`` is how many pixels beside the mask still count as inside (TorchRay: 15
    on images about 224 wide). ``sign`` "absolute" looks for the largest size. Always beside the score: extra["area"],
    the mask's share with its tolerance, which is what chance gets, and extra["centre"], the score of the picture's
    middle, which beats many methods where photographers centre what they show. Undefined where the mask is empty or
    everything. A model may rightly look elsewhere: no verdict on an explanation by itself.

    quantus.PointingGame counts an empty mask as a hit, and of several maxima one inside is enough.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> pointing_game(explain.saliency(case), case, inside=[[True, False]]).values
    array([1.])
    """
    return judged(_widened(located(explanation, inside), tolerance), _hit, ranked(sign))


def _hit(heat: Floats, inside: Masks) -> float:
    return float(inside[heat == heat.max()].mean())


def _widened(found: Located, tolerance: float) -> Located:
    """The mask with all places within ``tolerance`` pixels of it."""
    if tolerance < 0:
        raise InputError(f"tolerance={tolerance}; 0 pixels or more.")
    if tolerance == 0:
        return found
    if len(found.grid) != 2:
        raise InputError(f"tolerance={tolerance} is in pixels and needs a mask over pixels (row, height, width).")
    from scipy.ndimage import distance_transform_edt

    wide = found.inside.reshape(-1, *found.grid).copy()
    for row, mask in enumerate(wide):
        if mask.any():
            wide[row] = distance_transform_edt(~mask) <= tolerance
    return replace(found, inside=wide.reshape(found.inside.shape) & found.real)
