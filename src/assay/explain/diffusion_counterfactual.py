# SPDX-License-Identifier: Apache-2.0
"""Counterfactual pictures through a denoiser, scored by other models, with the plain gradient for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.labels import resolve_label
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.pictures.denoised_change import (
    DenoisedPictures,
    FoundChange,
    as_double,
    judges_of,
    move_to_class,
    share_of_judges,
)
from assay.engine.search.threat import Labels
from assay.model.diffusion.denoiser import Denoiser
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.number_checks import require_count, require_number
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

BETTER = 2.0
"""How many times the plain gradient's agreement is needed."""

CLEAR = 0.75
"""Agreement that is enough by itself, also where the plain gradient has as much."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Two searches of ``steps`` gradients, each with a pass at every picture on the way and at the last one."""
    return Cost(2 * (2 * o.steps + 1), 2 * o.steps) * (len(case) * case.model.passes_per_row)


@explainer(source="jeanneret2023", needs={"gradient", "classes", "image"}, cost=_cost)
def diffusion_counterfactual(
    case: Case,
    *,
    denoiser: Denoiser,
    target_label: Labels = "runner_up",
    judges: Sequence[Any] = (),
    depth: float = 0.7,
    denoising_steps: int = 5,
    steps: int = 50,
    rate: float = 0.05,
    pull: float = 0.0,
    probability: float = 0.9,
) -> Estimate:
    """How far each feature moves in a picture that looks like data and that the model decides as ``target_label``.

    x′ − x summed over the elements of a feature, in units of the rows. x′ = x + D(z) − D(x): D adds noise of time
    ``depth`` and takes it away in ``denoising_steps`` deterministic steps of the denoiser; z is found by ``steps`` of
    Adam from x on −log odds of the class + ``pull`` · mean |x′ − x| / width, and x′ is the first picture with the
    probability ``probability``. (The search through the denoiser is that of ACE, Jeanneret et al. 2023, who give D(z)
    and restore x outside a mask.) A step is ``rate`` · the width of the denoiser's bounds, or of the rows where it has
    none. The noise depends on the seed and the row's id. The target of the case is not used. The denoiser should have
    learnt from data like the model's.

    A picture that convinces one net may be adversarial noise. ``judges`` are other models of the same classes, best of
    another architecture or other training (nets that differ in the seed alone share the noise):
    ``extra["agreement"]`` (row,) is the share of judges that decide for ``target_label`` at x′, 0 … 1, higher is
    better; ``extra["plain_agreement"]`` the same for a picture by the plain ℓ2 gradient with the same ``steps``, and
    ``extra["agreement_before"]`` for x itself. Larger changes convince more nets: ``extra["stretched_agreement"]`` is
    that of the plain gradient's change, stretched to the mean |x′ − x| of the picture. The note "adversarial-noise" is
    given unless the mean agreement exceeds that before and is at least twice the plain gradient's, or ``CLEAR`` = .75
    in itself; "unjudged" without judges.

    ``extra["x"]`` (row, *shape) is x′ and ``extra["plain"]`` that of the plain gradient; ``extra["probability"]`` and
    ``extra["plain_probability"]`` (row,) what the model gives the class there; ``extra["label"]`` (row,) its place, and
    ``extra["distance"]`` and ``extra["plain_distance"]`` the means of |x′ − x|. Undefined (NaN), with a note, where
    ``probability`` is not reached; such rows count for no agreement. A step takes ``denoising_steps`` calls of the
    denoiser and as many derivatives, which are no evaluations of the model.
    """
    _check(case, denoiser, steps, denoising_steps, depth, rate, pull, probability)
    label = np.asarray(resolve_label(target_label, case.model, len(case), lambda: case.prediction))
    limits, names = _limits(case, denoiser), case.rows.ids
    noise = np.stack([case.seed.child("denoised", name).generator().normal(size=case.rows.shape) for name in names])
    through = DenoisedPictures(denoiser, depth, denoising_steps, noise, as_double(case.rows.x))
    options: Any = {"limits": limits, "steps": steps, "rate": rate, "pull": pull, "probability": probability}
    ours = move_to_class(case, label, through=through, **options)
    plain = move_to_class(case, label, through=None, **options)
    x = to_floats(case.rows.x)
    decide = judges_of(judges, case)
    before = share_of_judges(decide, x, label)
    agreement, plain_agreement = (_where(one.found, share_of_judges(decide, one.x, label)) for one in (ours, plain))
    far = _where(ours.found & plain.found, share_of_judges(decide, _stretched(ours, plain, x, limits), label))
    change = ours.x - x
    change[~ours.found] = np.nan
    return Estimate(
        change,
        extra={
            "x": ours.x,
            "plain": plain.x,
            "probability": ours.probability,
            "plain_probability": plain.probability,
            "label": label.astype(np.float64),
            "distance": _distance(ours, x),
            "plain_distance": _distance(plain, x),
            "agreement": agreement,
            "plain_agreement": plain_agreement,
            "stretched_agreement": far,
            "agreement_before": before,
        },
        notes=(
            *_unfound(case, ours, plain, probability),
            _verdict(agreement, plain_agreement, before, far, len(decide)),
        ),
        description=_lines(case, label, ours, agreement, plain_agreement),
    )


def _check(case: Case, denoiser: Denoiser, steps: int, denoising: int, *numbers: float) -> None:
    depth, rate, pull, probability = numbers
    if denoiser.shape != case.rows.shape:
        raise InputError(f"{denoiser.name} takes shape {denoiser.shape}; the rows have shape {case.rows.shape}.")
    require_count("steps", steps, meaning="the steps of the search")
    require_count("denoising_steps", denoising, meaning="the steps of the denoiser from the noise to the picture")
    require_number("rate", rate, above=0, meaning="the step of the search as a share of the range of pixels")
    require_number("pull", pull, least=0, meaning="the weight of the distance from the row")
    if not 0 < depth <= 1 or not 0 < probability < 1:
        raise InputError(f"depth={depth} lies above 0 and at most at 1, and probability={probability} between 0 and 1.")


def _limits(case: Case, denoiser: Denoiser) -> tuple[float, float]:
    """The lowest and the highest value of an element, in the units of the rows."""
    x = to_floats(case.rows.x)
    if denoiser.bounds is None:
        low, high = float(x.min()), float(x.max())
    else:
        low, high = (float(denoiser.to_rows(end)) for end in denoiser.bounds)
    edge = 0.5 * (high - low)
    if not low < high or x.min() < low - edge or x.max() > high + edge:
        raise InputError(
            f"the rows lie in {x.min():g} … {x.max():g}, and {denoiser.name} draws {low:g} … {high:g}. Say how the "
            f"units differ: denoiser.in_units(center, scale)."
        )
    return low, high


def _where(found: Masks, share: Floats) -> Floats:
    return np.where(found, share, np.nan)


def _distance(one: FoundChange, x: Floats) -> Floats:
    return _where(one.found, np.abs(one.x - x).mean(axis=tuple(range(1, x.ndim))))


def _stretched(ours: FoundChange, plain: FoundChange, x: Floats, limits: tuple[float, float]) -> Floats:
    """The change by the plain gradient, as long in the mean of |x′ − x| as ours before it is clipped."""
    axes = tuple(range(1, x.ndim))
    lengths = [np.abs(one.x - x).mean(axis=axes, keepdims=True) for one in (ours, plain)]
    ratio = np.divide(lengths[0], lengths[1], out=np.ones_like(lengths[0]), where=lengths[1] > 0)
    return np.asarray(np.clip(x + ratio * (plain.x - x), *limits))


def _unfound(case: Case, ours: FoundChange, plain: FoundChange, probability: float) -> tuple[Note, ...]:
    notes = []
    for code, one, what in (("not-found", ours, "through the denoiser"), ("plain-not-found", plain, "by the gradient")):
        rows = tuple(name for name, found in zip(case.rows.ids, one.found) if not found)
        if rows:
            text = f"no picture {what} reaches the probability {probability:g} ({len(rows)} of {len(case)} rows)"
            notes.append(Note(code, f"{text}; give more steps", rows))
    return tuple(notes)


def _verdict(ours: Floats, plain: Floats, before: Floats, far: Floats, judges: int) -> Note:
    """What the agreement of other models says of the pictures."""
    if not judges:
        text = "without other models as judges nothing shows that the pictures are more than adversarial noise"
        return Note("unjudged", f"{text}; give judges of another architecture")
    rows = int(np.isfinite(ours).sum())
    mean, other, stretched = (float(np.nanmean(one)) if np.isfinite(one).any() else 0.0 for one in (ours, plain, far))
    error = float(np.nanstd(ours, ddof=1) / np.sqrt(rows)) if rows > 1 else float("nan")
    text = (
        f"{mean:.2f} of {judges} other models follow, with a standard error of {error:.2f} over {rows} rows; "
        f"{other:.2f} follow the plain gradient, {stretched:.2f} its change stretched to the same distance, and "
        f"{float(before.mean()):.2f} the rows themselves"
    )
    is_clear = mean > float(before.mean()) and (mean >= BETTER * other or mean >= CLEAR)
    if is_clear and mean > 0:
        return Note("agreement", text)
    return Note("adversarial-noise", f"the pictures may be adversarial noise: {text}")


def _lines(case: Case, label: Ints, ours: FoundChange, agreement: Floats, plain: Floats) -> tuple[str, ...]:
    """One line a row: the class reached, and who agrees."""
    classes, lines = case.model.classes, []
    for row, name in enumerate(case.rows.ids):
        aim = classes[label[row]] if classes else int(label[row])
        if not ours.found[row]:
            lines.append(f"row {name}: no picture of {aim} was found")
            continue
        said = f"; {agreement[row]:.0%} of the judges agree (plain gradient: {plain[row]:.0%})"
        lines.append(f"row {name}: {aim} at {ours.probability[row]:.2f}{said if np.isfinite(agreement[row]) else ''}")
    return tuple(lines)
