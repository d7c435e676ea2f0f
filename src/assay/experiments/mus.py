# SPDX-License-Identifier: Apache-2.0
"""Experiments on multiplicative smoothing (Xue, Alur and Wong 2023): certified explanations, and accuracy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from assay.basics.errors import AssayError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fast_path import fast_path
from assay.cases.game import Game
from assay.engine.coalitions.masks import present_parts, random_parts
from assay.engine.cost import cost_of
from assay.engine.feature_sets.certified_radius import certified_radius
from assay.engine.feature_sets.masked_decisions import MaskedDecisions
from assay.engine.feature_sets.smallest_addition import smallest_addition
from assay.engine.feature_sets.smoothed_scores import smoothed_scores, smoothed_votes_and_probabilities
from assay.engine.provenance import versions
from assay.engine.removal.ordered_removal import removal_ranks
from assay.experiments.mus_notes import differences_of, warnings_of
from assay.experiments.mus_subject import RANDOM, Subject
from assay.model.transformations.frozen_masks import QuantisedMasks
from assay.nouns.catalogue import find
from assay.nouns.comparisons.mus_experiment import (
    AccuracyLine,
    MusExperiment,
    MusSubject,
    SkippedSubject,
    StabilityLine,
)


def planned_evaluations(subject: Subject) -> int:
    """The most passes of the model, forwards and backwards, that both experiments take. Evaluates nothing."""
    settings, case = subject.settings, subject.case
    names = subject.possible[0]
    costs = [cost_of(find("explain", name), case, subject.options(name)) for name in names]
    explained = sum(cost.forwards + cost.backwards for cost in costs)
    searched = [one for one in (*names, RANDOM) if one in (settings.searched or (*names, RANDOM))]
    sets = 1 + (len(names) + 1) + settings.search * len(searched)
    rows = len(case) * sets + len(subject.labelled or case)
    return explained + rows * settings.masks * subject.remove.fills * case.model.passes_per_row


def run_mus(
    subjects: Sequence[Subject | SkippedSubject], *, seed: int = 0, progress: Callable[[str], None] | None = None
) -> MusExperiment:
    """Both experiments on every subject; those that are skipped are listed with their reason.

    ``progress`` is called with a text before each part. A subject that fails with a typed error is skipped.
    """
    done: list[MusSubject] = []
    stability: list[StabilityLine] = []
    accuracy: list[AccuracyLine] = []
    skipped: list[SkippedSubject] = []
    for one in subjects:
        if isinstance(one, SkippedSubject):
            skipped.append(one)
            continue
        report = functools.partial(_report, progress, one.name)
        before = _passes(one)
        try:
            one.settings.check()
            lines, left_out = certified_explanations(one, report)
            rates = smoothed_accuracy(one, report)
        except AssayError as error:
            skipped.append(SkippedSubject(one.name, str(error)))
            continue
        stability += lines
        accuracy += rates
        skipped += left_out
        done.append(_described(one, lines, rates, _passes(one) - before))
    return MusExperiment(tuple(done), tuple(stability), tuple(accuracy), tuple(skipped), seed, versions())


def certified_explanations(
    subject: Subject, report: Callable[[str], None] = lambda text: None
) -> tuple[list[StabilityLine], list[SkippedSubject]]:
    """The radii certified for the top features of each explanation, and of random ones, at each λ.

    Explanations are those of the model itself (λ = 1), as published; votes are smoothed. The radii are in whole
    features. The search is made at rows where the smoothed class of the explained features is that of the full input.
    """
    settings, case = subject.settings, subject.case
    names, skipped = subject.possible
    chosen: dict[str, Masks] = {}
    for name in names:
        report(name)
        try:
            explanation = find("explain", name).call(case, **subject.options(name))
        except AssayError as error:
            skipped = (*skipped, SkippedSubject(f"{subject.name}: {name}", str(error)))
            continue
        exists = present_parts(case)
        chosen[name] = exists & (removal_ranks(explanation, case) < _counts(case, settings.share)[:, None])
    chosen[RANDOM] = random_parts(case, _counts(case, settings.share))
    game = fast_path(case, subject.remove, settings.masks * (len(chosen) + 1)).game
    lines = []
    for smoothing in settings.smoothing:
        report(f"λ = {Fraction(smoothing).limit_denominator(1000)}")
        noise = settings.noise(len(case.features), smoothing, case.seed)
        full = smoothed_scores(game, np.arange(len(case)), np.ones_like(chosen[RANDOM]), noise.masks, votes=True)
        for name, masks in chosen.items():
            lines.append(_line(subject, game, noise, name, masks, full, smoothing))
    return lines, list(skipped)


def smoothed_accuracy(subject: Subject, report: Callable[[str], None] = lambda text: None) -> list[AccuracyLine]:
    """Accuracy of the smoothed model at each λ, by votes and by mean probabilities, on the labelled rows.

    Without labels on the rows explained, of which only the agreement and the classes are known.
    """
    case, settings = subject.labelled or subject.case, subject.settings
    predicted = case.predicted(case.rows.x)
    game = fast_path(case, subject.remove, settings.masks).game
    rows, whole = np.arange(len(case)), np.ones((len(case), len(case.features)), dtype=bool)
    lines = []
    for smoothing in settings.smoothing:
        report(f"accuracy at λ = {Fraction(smoothing).limit_denominator(1000)}")
        noise = settings.noise(len(case.features), smoothing, case.seed)
        votes, summed = smoothed_votes_and_probabilities(game, rows, whole, noise.masks)
        classes = votes.argmax(axis=1)
        shares = np.bincount(classes) / len(case)
        lines.append(
            AccuracyLine(
                subject.name,
                float(smoothing),
                len(case),
                _hits(votes, subject.labels),
                None if summed is None else _hits(summed, subject.labels),
                float(np.mean(classes == predicted)),
                tuple(shares[shares > 0].tolist()),
            )
        )
    return lines


def _line(
    subject: Subject, game: Game, noise: QuantisedMasks, name: str, masks: Masks, full: Floats, smoothing: float
) -> StabilityLine:
    """The certified radii of one explanation at one λ, and what the search found."""
    settings, case = subject.settings, subject.case
    at_parts = smoothed_scores(game, np.arange(len(case)), masks, noise.masks, votes=True)
    consistent = at_parts.argmax(axis=1) == full.argmax(axis=1)
    radii = {
        f"{side}{'_ties' if ties else ''}": tuple(certified_radius(scores, noise, True, ties=ties).tolist())
        for side, scores in (("incremental", at_parts), ("decremental", full))
        for ties in (False, True)
    }
    attacked: tuple[float, ...] = ()
    exhaustive: tuple[bool, ...] = ()
    if settings.search and name in (settings.searched or (name,)):
        rows = np.flatnonzero(consistent)
        number, exact = np.full(len(case), np.nan), np.zeros(len(case), dtype=bool)
        if len(rows):
            found = smallest_addition(
                MaskedDecisions(game, None if noise.q == 1 else noise.masks),
                rows,
                masks[rows],
                (present_parts(case) & ~masks)[rows],
                at_parts.argmax(axis=1)[rows],
                budget=settings.search,
                seed=case.seed,
                ids=[case.rows.ids[row] for row in rows],
            )
            number[rows], exact[rows] = found.number, found.exact
        attacked, exhaustive = tuple(number.tolist()), tuple(exact.tolist())
    return StabilityLine(
        subject.name,
        name,
        float(smoothing),
        noise.q / (2 * noise.keep_count),
        float(masks.sum(axis=1).mean()),
        tuple(consistent.tolist()),
        **radii,
        attacked=attacked,
        exhaustive=exhaustive,
    )


def _counts(case: Case, share: float) -> Ints:
    """Number of explained features (row,): ⌈share · those that the row has⌉."""
    return np.ceil(share * present_parts(case).sum(axis=1) - 1e-9).astype(np.int64)


def _hits(scores: Floats, labels: Ints | None) -> int | None:
    return None if labels is None else int((scores.argmax(axis=1) == labels).sum())


def _passes(subject: Subject) -> int:
    meter = subject.case.model.meter
    return meter.forwards + meter.backwards


def _report(progress: Callable[[str], None] | None, name: str, text: str) -> None:
    if progress is not None:
        progress(f"{name}: {text}")


def _described(
    subject: Subject, lines: Sequence[StabilityLine], rates: Sequence[AccuracyLine], evaluations: int
) -> MusSubject:
    case, settings = subject.case, subject.settings
    features = float(present_parts(case).sum(axis=1).mean())
    return MusSubject(
        subject.name,
        subject.text,
        len(case),
        0 if subject.labels is None else len(subject.labels),
        features,
        repr(subject.remove),
        settings.q,
        evaluations,
        (*differences_of(settings, len(case)), *subject.differences),
        tuple(warnings_of(lines, rates, settings, features)),
    )
