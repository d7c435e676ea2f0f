# SPDX-License-Identifier: Apache-2.0
"""Multiplicative smoothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import entropy

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.game import Game
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import chosen_parts, random_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """q masks around three sets of parts, and the class at the rows; these answers are not remembered."""
    return Cost(3 * o.q * o.remove.fills + 1) * (len(case) * case.model.passes)


@certifier(source="xue2023", needs={"classes"}, cost=_cost)
def mus(
    case: Case,
    parts: Any,
    *,
    smoothing: float | Fraction = 0.125,
    q: int = 64,
    remove: Removal = Constant(0.0),
    votes: bool = True,
) -> dict[str, Any]:
    """How many whole parts may join the explained ones, or leave the full input, with the smoothed class kept.

    The smoothed model g averages the model (its ``votes``, or its probabilities) over q masks that keep each part
    in exactly k = λq of them; λ = ``smoothing``, and λq must be whole. A part moves each score of g by at most λ, so
    with A and B the two highest scores every mask within r parts has the class of A where A − B > 2λr, strictly: at
    equality a tie can be reached. ``incremental`` reads the gap at ``parts`` (row, part), ``decremental`` at the
    full input; whole numbers of parts below 1/(2λ), 0 claiming nothing, NaN where g answers differently at the two.

    The certificate speaks of g. Read beside it, in ``extra``: ``agreement`` of g with the model (the price of
    smoothing), ``histogram`` and ``entropy`` of g's classes (a constant g certifies anything), the ``cap`` 1/(2λ),
    and ``random_incremental``, the same radius for random masks of equal size. The authors' code differs: it counts
    ties at equality as certified.
    """
    chosen = chosen_parts(case, parts)
    noise = Noise.drawn(case, smoothing, q)
    game = case.game(remove)
    at_parts, at_all, at_other = (
        noise.scores(game, masks, votes)
        for masks in (chosen, np.ones_like(chosen), random_parts(case, chosen.sum(axis=1)))
    )
    smooth = at_all.argmax(axis=1)
    consistent = at_parts.argmax(axis=1) == smooth
    incremental, decremental = (np.where(consistent, noise.radius(s, votes), np.nan) for s in (at_parts, at_all))
    random = np.where(at_other.argmax(axis=1) == smooth, noise.radius(at_other, votes), np.nan)
    predicted = case.predicted(case.rows.x)
    histogram = np.bincount(smooth, minlength=at_all.shape[1]) / len(case)
    return {
        "bounds": {"incremental": incremental, "decremental": decremental},
        "abstained": ~consistent,
        "theorem": f"each score of the model smoothed with {noise.said} moves by at most λ a part (Xue et al. 2023)",
        "assumptions": (
            f"it speaks of the model smoothed with {noise.said}, votes={votes}, and not of the model itself",
            f"parts are taken away by {remove!r}, and the model answers the same input always alike",
            "only parts outside the explained ones change; radii count whole parts",
        ),
        "confidence": 1.0,
        "draws": q,
        "extra": {
            "consistent": consistent.astype(float),
            "agreement": (smooth == predicted).astype(float),
            "histogram": histogram,
            "entropy": np.array([entropy(histogram)]),
            "cap": np.array([q / (2 * noise.kept)]),
            "random_incremental": random,
        },
        "notes": (*_abstained(case, consistent), *_doubts(noise, histogram, predicted, incremental, random)),
    }


@dataclass(frozen=True)
class Noise:
    """q masks over parts: mask j keeps part i where (v_i + j) mod q < kept.

    Other offsets v make another smoothed model: they are drawn once, and serve all rows and masks.
    """

    offsets: Ints
    q: int
    kept: int

    @classmethod
    def drawn(cls, case: Case, smoothing: float | Fraction, q: int) -> "Noise":
        """The noise of this case's seed; refuses λq that is not a whole number from 1 to q."""
        kept = Fraction(smoothing).limit_denominator(10**6) * q if 0 < smoothing <= 1 else Fraction(0)
        if q < 2 or kept.denominator != 1 or not 1 <= kept <= q:
            raise InputError(
                f"smoothing · q = {float(smoothing):g} · {q} is no whole number from 1 to q; give q ≥ 2 and "
                f"smoothing = k/q with a whole k, {min(max(1, round(kept)), q)}/{q} say."
            )
        return cls(case.seed.child("mus").generator().integers(q, size=len(case.features)), q, int(kept))

    @property
    def masks(self) -> Masks:
        """All q masks, (mask, part)."""
        return (self.offsets[None, :] + np.arange(self.q)[:, None]) % self.q < self.kept

    @property
    def said(self) -> str:
        """λ in words."""
        return f"λ = {Fraction(self.kept, self.q)}, q = {self.q}"

    def scores(self, game: Game, chosen: Masks, votes: bool) -> Floats:
        """q · g (row, class) with parts ``chosen`` (row, part): votes, or summed probabilities."""
        rows, parts = chosen.shape
        keep = (chosen[:, None, :] & self.masks).reshape(-1, parts)
        outputs = game.outputs(np.repeat(np.arange(rows), self.q), keep)
        if outputs.shape[1] < 2:
            raise CapabilityError(f"certify.mus needs scores of two classes or more; {game.case.model.name} gives one.")
        if votes:
            outputs = np.eye(outputs.shape[1])[outputs.argmax(axis=1)]
        elif outputs.min() < 0 or outputs.max() > 1 + 1e-6:
            raise NumericalError(
                f"probabilities from {outputs.min():g} to {outputs.max():g}; the theorem needs 0 … 1. Use votes=True."
            )
        return np.asarray(outputs.reshape(rows, self.q, -1).sum(axis=1))

    def radius(self, scores: Floats, votes: bool) -> Floats:
        """The largest whole r ≥ 0 (row,) with first − second > 2 · kept · r; rounding errors count against r."""
        second, first = np.sort(scores, axis=1)[:, -2:].T
        slack = 0.0 if votes else 1e-9 * self.q
        return np.maximum(0.0, np.ceil((first - second - slack) / (2 * self.kept)) - 1.0)


def _abstained(case: Case, consistent: Masks) -> tuple[Note, ...]:
    if consistent.all():
        return ()
    rows = tuple(name for name, good in zip(case.rows.ids, consistent) if not good)
    text = f"abstained on {len(rows)} of {len(case)} rows: the parts get another smoothed class than the whole input"
    return (Note("inconsistent", text, rows),)


def _doubts(noise: Noise, histogram: Floats, predicted: Ints, incremental: Floats, random: Floats) -> Iterator[Note]:
    """What speaks against reading the radii as merits of the explanation."""
    seen = noise.kept * len(noise.offsets) / noise.q
    if seen < 4:
        yield Note(
            "few-parts", f"the smoothed model sees {seen:.3g} parts at a time on average; smooth less or cut finer"
        )
    if histogram.max() >= 0.9 and histogram.max() > np.bincount(predicted).max() / len(predicted):
        text = f"{histogram.max():.0%} of the rows get one smoothed class: a nearly constant model certifies anything"
        yield Note("nearly-constant", text)
    ours, theirs = (int(np.sum(radii >= 1)) for radii in (incremental, random))
    if theirs and theirs >= ours:
        text = f"a radius of 1 or more on {ours} rows, with random parts on {theirs}: no merit of the explanation"
        yield Note("random-as-good", text)
