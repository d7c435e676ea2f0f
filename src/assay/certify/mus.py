# SPDX-License-Identifier: Apache-2.0
"""Multiplicative smoothing (MuS): certified stability of feature attributions under added or removed features."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import entropy

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import check_masks, random_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.target import class_scores, predicted_class
from assay.nouns.results.result import Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """q masks for each of three sets of parts, and the class of each row; these evaluations are not cached."""
    return Cost(3 * o.q * o.remove.fills + 1) * (len(case) * case.model.passes_per_row)


@certifier(source="xue2023", needs={"classes"}, cost=_cost)
def mus(
    case: Case,
    parts: Any,
    *,
    smoothing: float | Fraction = 0.125,
    q: int = 64,
    remove: Removal = DEFAULT,
    votes: bool = True,
) -> dict[str, Any]:
    """Certified radii: how many features can be added to the explained ones, or removed, without a change of class.

    The certificate holds for the smoothed model g, the mean of the model (of its ``votes``, or of its probabilities)
    over q masks of which exactly k = λq keep each part; λ = ``smoothing``, and λq must be an integer. One part changes
    each score of g by at most λ. So, with A and B the two highest scores, every mask within r parts has the class of A
    if A − B > 2λr; the inequality is strict, since at equality a tie is possible. ``incremental`` is the radius around
    ``parts`` (row, part), ``decremental`` the radius around the full input; both are integers below 1/(2λ). 0 certifies
    nothing; NaN where g has different classes at the two.

    A vote is the class of the mean probabilities over the removal's fillings; of the mean scores where these are no log
    odds, or the threshold is one of the score.

    ``extra`` holds what is needed to interpret the radii: ``agreement`` of g with the model (the cost of smoothing),
    ``histogram`` and ``entropy`` of g's classes (a constant g certifies everything), the ``cap`` 1/(2λ), and
    ``random_incremental``, the radius for random masks of equal size. The authors' code differs: it counts ties at
    equality as certified.
    """
    chosen = check_masks(case, parts)
    noise = Noise.draw(case, smoothing, q)
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
        "theorem": f"adding or removing one feature changes each score of the model smoothed with {noise.text} by at "
        f"most λ (Xue et al. 2023)",
        "assumptions": (
            f"the certificate holds for the model smoothed with {noise.text}, votes={votes}, not for the model itself",
            f"features are removed by {remove!r}, and the model is deterministic",
            "only features outside the explained ones change; a radius is a number of whole features",
        ),
        "confidence": 1.0,
        "draws": q,
        "extra": {
            "consistent": consistent.astype(float),
            "agreement": (smooth == predicted).astype(float),
            "histogram": histogram,
            "entropy": np.array([entropy(histogram)]),
            "cap": np.array([q / (2 * noise.keep_count)]),
            "random_incremental": random,
        },
        "notes": (*_abstained(case, consistent), *_warnings(noise, histogram, predicted, incremental, random)),
    }


@dataclass(frozen=True)
class Noise:
    """q masks over parts: mask j keeps part i where (v_i + j) mod q < keep_count.

    The offsets v define the smoothed model: they are drawn once and used for all rows and masks.
    """

    offsets: Ints
    q: int
    keep_count: int

    @classmethod
    def draw(cls, case: Case, smoothing: float | Fraction, q: int) -> "Noise":
        """Noise with offsets from the case's seed; ``InputError`` where λq is not an integer from 1 to q."""
        count = Fraction(smoothing).limit_denominator(10**6) * q if 0 < smoothing <= 1 else Fraction(0)
        if q < 2 or count.denominator != 1 or not 1 <= count <= q:
            raise InputError(
                f"smoothing · q = {float(smoothing):g} · {q} is not a whole number from 1 to q; give q ≥ 2 and "
                f"smoothing = k/q with a whole number k, for example {min(max(1, round(count)), q)}/{q}."
            )
        return cls(case.seed.child("mus").generator().integers(q, size=len(case.features)), q, int(count))

    @property
    def masks(self) -> Masks:
        """All q masks, (mask, part)."""
        return (self.offsets[None, :] + np.arange(self.q)[:, None]) % self.q < self.keep_count

    @property
    def text(self) -> str:
        """λ and q as text."""
        return f"λ = {Fraction(self.keep_count, self.q)}, q = {self.q}"

    def scores(self, game: Game, chosen: Masks, votes: bool) -> Floats:
        """q · g (row, class) for the parts ``chosen`` (row, part): numbers of votes, or summed probabilities."""
        rows, parts = chosen.shape
        keep = (chosen[:, None, :] & self.masks).reshape(-1, parts)
        which, model = np.repeat(np.arange(rows), self.q), game.case.model
        if not votes and model.kind.link == "none":
            raise CapabilityError(
                f"certify.mus with votes=False averages probabilities; the scores of {model.name} are no log odds, so "
                f"it has none. Use votes=True."
            )
        outputs, kind = game.decision_outputs(which, keep) if votes else (game.outputs(which, keep), model.kind)
        classes = class_scores(outputs, kind).shape[1] if votes else outputs.shape[1]
        if classes < 2:
            raise CapabilityError(f"certify.mus needs scores of at least two classes; {model.name} gives one.")
        if votes:
            outputs = np.eye(classes)[predicted_class(outputs, kind)]
        elif outputs.min() < 0 or outputs.max() > 1 + 1e-6:
            raise NumericalError(
                f"scores are between {outputs.min():g} and {outputs.max():g}; the theorem needs [0, 1]. Use votes=True."
            )
        return np.asarray(outputs.reshape(rows, self.q, -1).sum(axis=1))

    def radius(self, scores: Floats, votes: bool) -> Floats:
        """The largest integer r ≥ 0 (row,) with first − second − slack for rounding > 2 · keep_count · r."""
        second, first = np.sort(scores, axis=1)[:, -2:].T
        slack = 0.0 if votes else 1e-9 * self.q
        return np.maximum(0.0, np.ceil((first - second - slack) / (2 * self.keep_count)) - 1.0)


def _abstained(case: Case, consistent: Masks) -> tuple[Note, ...]:
    if consistent.all():
        return ()
    rows = tuple(name for name, same in zip(case.rows.ids, consistent) if not same)
    text = (
        f"abstained on {len(rows)} of {len(case)} rows: the smoothed class of the explained features differs from that "
        f"of the full input"
    )
    return (Note("inconsistent", text, rows),)


def _warnings(noise: Noise, histogram: Floats, predicted: Ints, incremental: Floats, random: Floats) -> Iterator[Note]:
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
