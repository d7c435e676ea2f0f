# SPDX-License-Identifier: Apache-2.0
"""Feature visualisation: the picture that a class, a unit or a direction responds to most."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import count_units
from assay.engine.pictures.parametrisations import Parametrisation, Transformation, mean_magnitude
from assay.engine.pictures.unit_search import (
    Responses,
    SearchOptions,
    class_responses,
    count_outputs,
    layer_responses,
    noise_responses,
    search_pictures,
)
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.features import units as units_of
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

NOISE = 10
"""Pictures of noise to which each unit's response is measured."""

CAUTION = Note(
    "next-to-rows",
    "a picture made by a search shows what drives the unit up, not what natural pictures drive it; look at it next to "
    "the real row with the highest response, and compare with the response to noise",
)


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Each start's ascent, both ends, the noise; for a layer also the rows."""
    units = _count(case, o)
    passes = 1 + o.starts * 2 * o.steps + 2 + NOISE
    rows = 0 if o.layer is None else len(case)
    return Cost(units * passes + rows, units * o.starts * o.steps) * case.model.passes_per_row


def _count(case: Case, o: Given) -> int:
    if o.direction is not None:
        return 1
    if len(o.units):
        return len(o.units)
    if o.layer is not None:
        return min(o.top, count_units(case, o.layer, maps=False))
    return min(o.top, count_outputs(case))


@explainer(source="olah2017", needs={"gradient", "net", "image"}, cost=_cost)
def feature_visualisation(
    case: Case,
    *,
    layer: str | None = None,
    units: tuple[int, ...] = (),
    direction: Any = None,
    top: int = 6,
    parameters: Literal["pixels", "fourier", "phase"] = "pixels",
    steps: int = 100,
    step: float = 0.02,
    starts: int = 2,
    origin: float | None = None,
    norm: Literal["l2", "linf"] = "l2",
    radius: float | None = None,
    bounds: tuple[float, ...] = (),
    decay: float = 0.0,
    blur: float = 0.0,
    jitter: int = 0,
    zoom: float = 0.0,
    background: Any = None,
) -> Estimate:
    """The response of classes or units to each row, and the picture that each of them responds to most.

    Values (row, unit) are responses h: with ``layer`` the units of a layer (a channel: its mean over positions), with a
    ``direction`` v (unit,) too the one response v · a, else the classes' scores (log odds where the model gives
    probabilities; the value of a regression). The picture is argmax h(x) − ``decay`` · ‖x − x₀‖² by steepest ascent
    (Erhan et al. 2009; Olah et al. 2017) from ``starts`` starts: ``origin`` everywhere (default: the middle of the
    bounds) with a little noise, then noise of full width around it. A step is ``step`` · the diagonal of the box of
    pictures (of a side for ``norm`` "linf"); after each step the point is clipped to ``bounds`` (low, high; default:
    the range of the rows, with a note) and to ``radius`` around x₀ (default: no limit), then blurred by ``blur``
    pixels. With ``jitter`` (pixels) and ``zoom`` (share) the derivative is taken at a picture that is moved and zoomed
    at random. ``parameters``: "pixels"; "fourier", the spectrum divided by its frequency, through a sigmoid; "phase"
    (MACO, Fel et al. 2023), the phase with the mean magnitude of the spectra of ``background`` (default: the rows).
    ``units`` are positions; without them the ``top`` units that vary most over the rows, or classes decided most often.

    ``extra``, in the order of ``extra["units"]`` (unit,): ``pictures`` (unit, *shape), the best of all points on the
    way; ``reached``, the response to it; ``start``, that to x₀; ``noise`` (unit, mean and highest), that to 10 pictures
    of noise as far from ``origin``; ``best_value`` and ``best_row`` (position), the highest among the rows. A picture
    below the best row is no maximum; one below the noise says nothing. Blur and "fourier" are priors: with them the
    pictures of any net look smooth. No evidence of what drives natural inputs.

    Lucid and torch-dreams also decorrelate colours by ImageNet's statistics and use Adam; captum has no visualisation.
    """
    if layer is None and direction is not None:
        raise InputError("a direction is one of a layer's units; say which layer (layer=…).")
    if top < 1:
        raise InputError(f"top={top}; at least 1 is needed.")
    low, high, notes = _bounds(case, bounds)
    if layer is None:
        responses = class_responses(case, units, top)
    else:
        v = None if direction is None else np.asarray(direction, dtype=np.float64)
        responses = layer_responses(case, layer, units, top, v)
    given = case.rows.x if background is None else case.rows.convert(background)
    magnitude = mean_magnitude(to_floats(given)) if parameters == "phase" else None
    if origin is not None and not (parameters == "pixels" and low <= origin <= high):
        raise InputError(f"origin={origin:g}; needed is a number in the bounds {low:g} … {high:g}, with pixels only.")
    space = Parametrisation(parameters, case.rows.shape, low, high, magnitude, origin)
    options = SearchOptions(steps, step, starts, norm, radius, decay, blur, Transformation(jitter, zoom))
    found = search_pictures(responses, space, options)
    noise = noise_responses(responses, found, space, NOISE)
    best = responses.best_rows
    extra = {
        "units": responses.which.astype(np.float64),
        "pictures": found.pictures,
        "reached": found.reached,
        "start": found.begun,
        "noise": np.stack([noise.mean(axis=1), noise.max(axis=1)], axis=1),
        "best_value": responses.at_rows[best, responses.which],
        "best_row": best.astype(np.float64),
    }
    return Estimate(
        responses.at_rows,
        notes=(CAUTION, *notes, *_doubtful(responses, extra, found.flat)),
        extra=extra,
        features=units_of(responses.at_rows.shape[1:]),
        x=responses.at_rows,
        description=_lines(case, responses, extra),
    )


def _bounds(case: Case, bounds: tuple[float, ...]) -> tuple[float, float, tuple[Note, ...]]:
    if len(bounds):
        if len(bounds) != 2 or not bounds[0] < bounds[1]:
            raise InputError(f"bounds={tuple(bounds)}; needed are two numbers, the lower one first.")
        return float(bounds[0]), float(bounds[1]), ()
    values = to_floats(case.rows.x)
    low, high = float(values.min()), float(values.max())
    if not low < high:
        raise InputError(
            f"all elements of the rows are {low:g}, so there is no range to search; give bounds=(low, high)."
        )
    return low, high, (Note("bounds", f"pictures are searched in {low:g} … {high:g}, the range of the rows explained"),)


def _lines(case: Case, responses: Responses, extra: Any) -> tuple[str, ...]:
    """A line for each unit: what was reached, next to the best row and noise."""
    found = zip(responses.names, extra["reached"], extra["best_value"], extra["best_row"], extra["noise"])
    return tuple(
        f"{name}: {reached:.4g} reached; best row {case.rows.ids[int(row)]}: {best:.4g}; noise: {noise[0]:.4g}, "
        f"at most {noise[1]:.4g}"
        for name, reached, best, row, noise in found
    )


def _doubtful(responses: Responses, extra: Any, flat: Any) -> tuple[Note, ...]:
    notes = []
    below = [
        name for name, reached, best in zip(responses.names, extra["reached"], extra["best_value"]) if reached < best
    ]
    if below:
        text = f"the search stays below the best row for {', '.join(below[:8])}; give more steps, or less of a prior"
        notes.append(Note("below-best-row", text))
    still = [name for name, is_flat in zip(responses.names, flat) if is_flat]
    if still:
        text = f"the slope of {', '.join(still[:8])} is zero at every point, so that the search cannot move"
        notes.append(Note("zero-gradient", text))
    return tuple(notes)
