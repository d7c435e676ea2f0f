# SPDX-License-Identifier: Apache-2.0
"""Multiplicative smoothing (MuS): certified stability of feature attributions under added or removed features."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import entropy

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.fast_path import fast_path
from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import check_masks, random_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.engine.feature_sets.certified_radius import certified_radius
from assay.engine.feature_sets.smoothed_scores import smoothed_scores
from assay.model.transformations.frozen_masks import QuantisedMasks
from assay.nouns.catalogue import Check, Cost
from assay.nouns.results.result import Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """q masks for each of three sets of parts, and the class of each row; these evaluations are not cached."""
    return Cost(3 * o.q * o.remove.fills + 1) * (len(case) * case.model.passes_per_row)


@certifier(
    source="xue2023",
    needs={"classes"},
    cost=_cost,
    checks=(
        Check(
            "CRT102",
            "For how many rows is the smoothed class proved to stay when any feature is added to the top ones?",
            "Use a larger smoothing, and compare with random features of the same number.",
            claim="{estimate:.0%} of the rows have a radius of at least 1 feature",
            reads="certified",
            bounds=(0.0, 1.0),
        ),
    ),
)
def mus(
    case: Case,
    parts: Any,
    *,
    smoothing: float | Fraction = 0.125,
    q: int = 64,
    remove: Removal = DEFAULT,
    votes: bool = True,
    protected: Any = None,
) -> dict[str, Any]:
    """Certified radii: how many features can be added to the explained ones, or removed, without a change of class.

    The certificate holds for the smoothed model g, the mean of the model (of its ``votes``, or of its probabilities)
    over q masks of which exactly k = λq keep each part; λ = ``smoothing``, and λq must be an integer. One part changes
    each score of g by at most λ. So, with A and B the two highest scores, every mask within r parts has the class of A
    if A − B > 2λr; the inequality is strict, since at equality a tie is possible. ``incremental`` is the radius around
    ``parts`` (row, part), ``decremental`` the radius around the full input; both are integers below 1/(2λ). 0 certifies
    nothing; NaN where g has different classes at the two.

    A vote is the class of the mean probabilities over the removal's fillings; of the mean scores where these are no log
    odds, or the threshold is one of the score. ``assay.model.multiplicative_smoothing`` with this case's seed is g as a
    model, for removals with one filling; with several it averages over each removal's fillings separately.

    ``protected`` features, a mask (part,) or (row, part), are in every mask (μ of the authors' code). The bound of λ
    holds for the others. Where ``protected`` are the explained features themselves, g at them is one vote of the model,
    so that every explanation of every row has the radius just below the cap: this is no evidence for the explanation.

    To interpret the radii: ``agreement`` of g with the model is the cost of smoothing; ``histogram`` holds g's classes,
    ``extra["entropy"]`` their entropy (a constant g certifies everything); ``cap`` is 1/(2λ); ``control`` holds the
    radii for random masks of equal size. The authors' code differs: it counts ties at equality as certified.
    """
    chosen = check_masks(case, parts)
    noise = QuantisedMasks.draw(len(case.features), smoothing, q, case.seed)
    kept = _protected(case, protected)
    path = fast_path(case, remove, 3 * q)
    at_parts, at_all, at_other = _scores(case, path.game, noise, chosen, kept, votes)
    smooth = at_all.argmax(axis=1)
    consistent = at_parts.argmax(axis=1) == smooth
    incremental, decremental = (
        np.where(consistent, certified_radius(s, noise, votes), np.nan) for s in (at_parts, at_all)
    )
    random = np.where(at_other.argmax(axis=1) == smooth, certified_radius(at_other, noise, votes), np.nan)
    predicted = case.predicted(case.rows.x)
    histogram = np.bincount(smooth, minlength=at_all.shape[1]) / len(case)
    return {
        "bounds": {"incremental": incremental, "decremental": decremental},
        "abstained": ~consistent,
        "theorem": "adding or removing one feature changes each smoothed score by at most λ (Xue et al. 2023)",
        "assumptions": (
            f"the certificate holds for the model smoothed with {noise.text}, votes={votes}, not for the model itself",
            f"features are removed by {remove!r}, and the model is deterministic",
            "only features outside the explained ones change; a radius is a number of whole features",
        ),
        "confidence": 1.0,
        "draws": q,
        "guarantee": "exact",
        "unit": "features that are added or removed",
        "certified": f"the model smoothed with {noise.text}",
        "agreement": float(np.mean(smooth == predicted)),
        "histogram": histogram,
        "cap": q / (2 * noise.keep_count),
        "control": {"incremental": random},
        "extra": _extra(consistent, smooth, predicted, incremental, random)
        | {"entropy": np.array([entropy(histogram)])},
        "notes": (
            *_abstained(case, consistent),
            *_warnings(noise, histogram, predicted, incremental, random),
            *(*_vacuous(kept), *path.notes),
        ),
    }


def _extra(consistent: Masks, smooth: Ints, predicted: Ints, incremental: Floats, random: Floats) -> dict[str, Floats]:
    """The class (row,) of g, whether it is the model's, and whether the radius is at least 1, also of random features.

    An abstention (NaN) certifies nothing.
    """
    return {
        "consistent": consistent.astype(float),
        "agrees": (smooth == predicted).astype(float),
        "class": smooth.astype(float),
        "certified": (incremental >= 1).astype(float),
        "random_certified": (random >= 1).astype(float),
    }


def _scores(
    case: Case, game: Game, noise: QuantisedMasks, chosen: Masks, kept: Masks | None, votes: bool
) -> Iterator[Floats]:
    """q · g (row, class) at the explained features, at all features, and at random ones."""
    everyone, other = np.arange(len(case)), random_parts(case, chosen.sum(axis=1))
    kept_other = other if kept is not None and bool((kept == chosen).all()) else kept
    for keep, always in ((chosen, kept), (np.ones_like(chosen), kept), (other, kept_other)):
        yield smoothed_scores(game, everyone, keep, noise.masks, votes, always)


def _protected(case: Case, protected: Any) -> Masks | None:
    """Masks (row, part) of the features that are in every mask."""
    if protected is None:
        return None
    masks, shape = np.asarray(protected), (len(case), len(case.features))
    if masks.dtype != bool or masks.shape not in (shape, shape[1:]):
        raise InputError(
            f"protected must be a boolean mask over the {shape[1]} features, or one for each of the {shape[0]} rows; "
            f"got {masks.dtype} {masks.shape}."
        )
    return np.broadcast_to(masks, shape)


def _abstained(case: Case, consistent: Masks) -> tuple[Note, ...]:
    if consistent.all():
        return ()
    rows = tuple(name for name, same in zip(case.rows.ids, consistent) if not same)
    text = (
        f"abstained on {len(rows)} of {len(case)} rows: the smoothed class of the explained features differs from that "
        f"of the full input"
    )
    return (Note("inconsistent", text, rows),)


def _vacuous(protected: Masks | None) -> tuple[Note, ...]:
    if protected is None:
        return ()
    text = (
        f"{int(protected.sum(axis=1).mean())} features a row are in every mask: the radius is that of the others, and "
        f"where the explained features are protected it is no evidence for the explanation"
    )
    return (Note("protected", text),)


def _warnings(
    noise: QuantisedMasks, histogram: Floats, predicted: Ints, incremental: Floats, random: Floats
) -> Iterator[Note]:
    """Reasons why large radii may not be due to the explanation."""
    visible = noise.keep_count * len(noise.offsets) / noise.q
    if visible < 4:
        text = (
            f"the smoothed model gets {visible:.3g} features at a time on average; use a larger smoothing or a finer "
            f"segmentation"
        )
        yield Note("few-parts", text)
    if histogram.max() >= 0.9 and histogram.max() > np.bincount(predicted).max() / len(predicted):
        text = f"{histogram.max():.0%} of the rows have one smoothed class: a constant model has large radii everywhere"
        yield Note("nearly-constant", text)
    explained, by_chance = (int(np.sum(radii >= 1)) for radii in (incremental, random))
    if by_chance and by_chance >= explained:
        text = (
            f"radius of at least 1 on {explained} rows, but on {by_chance} rows with random features: the radius is "
            f"not due to the explanation"
        )
        yield Note("random-as-good", text)
