# SPDX-License-Identifier: Apache-2.0
"""Guided Grad-CAM."""

from collections.abc import Sequence
from dataclasses import replace

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import gradient_weighed, of_maps, shown, sloped
from assay.engine.gradients.backward_pass import rectified
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


@explainer(
    source="selvaraju2017", needs={"gradient", "net", "image"}, cost=of_maps(lambda case, o: 2, lambda case, o: 2)
)
def guided_grad_cam(
    case: Case, *, layer: str | None = None, signed: bool = False, allow: Sequence[str] = ()
) -> Estimate:
    """Fine detail where the class is: guided backprop, element by element, times Grad-CAM enlarged to the input.

    Signed by guided backprop; in target units squared per input unit, so only places and signs mean anything. ``layer``
    and ``signed`` are Grad-CAM's, ``allow`` is guided backprop's: steps other than rectifiers that may keep their own
    derivative. What guided backprop draws hardly depends on the class; the map is what selects.

    captum.GuidedGradCam enlarges by nearest neighbour unless told otherwise, and knows modules only.
    """
    maps = sloped(case, layer)
    where = shown(case, maps, gradient_weighed(maps), signed)
    fine = to_floats(rectified(case, "explain.guided_grad_cam", guided=True, allow=allow).values)
    return replace(where, values=fine * where.values * case.rows.shape[0])
