# SPDX-License-Identifier: Apache-2.0
"""Gaps between groups in errors: equalised odds, predictive values, calibration, and residuals of a regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.fairness.disparity_texts import MEANING
from assay.engine.fairness.gap_findings import (
    Judged,
    every_attribute,
    gap_finding,
    list_rates,
    not_applicable,
    not_combined,
    undefined,
)
from assay.engine.fairness.null_gaps import null_calibration_gap, null_gap, null_mean_gap
from assay.engine.fairness.rates import MAX_LISTED, GroupRates, rates_of
from assay.engine.performance.labelled_outputs import LabelledOutputs, labelled_outputs
from assay.engine.retraining.labelled_rows import class_position
from assay.nouns.catalogue import Check, Method
from assay.nouns.results.finding import MAX_ROWS, Finding, claim_number

THRESHOLD = 0.1
"""Default threshold: the largest gap that passes; of residuals in standard deviations of the labels."""

BINS = 5
"""Most ranges of the probability in which groups are compared."""

_REMEDY = (
    "Find out what the model does not know about the group with more errors: more rows or better columns for it. See "
    "FAI110 for the columns that contribute to a gap in decisions."
)

ODDS = Check(
    "FAI105",
    "How large is the larger of the gaps in true-positive and false-positive rates (equalised odds)?",
    _REMEDY,
    THRESHOLD,
    "at most",
    severe=0.2,
)
PREDICTIVE = Check(
    "FAI106",
    "How large is the gap between the groups' positive predictive values?",
    _REMEDY,
    THRESHOLD,
    "at most",
    severe=0.2,
)
CALIBRATION = Check(
    "FAI107",
    "Does the same probability mean the same in every group?",
    "Recalibrate the probabilities by group where that is allowed, or give the model columns that explain the "
    "difference.",
    THRESHOLD,
    "at most",
    severe=0.2,
)
RESIDUALS = Check(
    "FAI108",
    "Are a regression's predictions too low or too high for some group?",
    _REMEDY,
    THRESHOLD,
    "at most",
    severe=0.3,
)
CHECKS = (ODDS, PREDICTIVE, CALIBRATION, RESIDUALS)

ADVICE = {
    "pass": "No action needed on this evidence; repeat when the population changes.",
    "fail": _REMEDY,
    "undecided": "More labelled rows of the smaller group would decide; the interval contains the threshold.",
}


@dataclass(frozen=True)
class _Settings:
    """The options of one call."""

    level: float
    threshold: float
    smallest: int
    bins: int


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    options = inputs.options_of(method)
    if inputs.model.kind.is_classifier:
        options["favourable"] = inputs.favourable_class
    return [Call((inputs.ask(), dict(inputs.groups), inputs.labels), options)]


@diagnostic(source="hardt2016", needs={"groups", "labels"}, optional={"favourable"}, checks=CHECKS, calls=_calls)
def error_disparity(
    case: Case,
    groups: Any,
    labels: Any,
    *,
    favourable: Any = None,
    level: float = 0.95,
    threshold: float = THRESHOLD,
    smallest: int = 10,
    bins: int = BINS,
    combine: bool = True,
    ranges: int = 0,
) -> list[Finding]:
    """How the errors of a model differ between groups of rows whose true ``labels`` are known.

    ``groups``, ``combine``, ``ranges`` and ``smallest`` are as in ``diagnose.disparity``. Of a classifier, with the
    class ``favourable`` (by default the last):

    - FAI105, equalised odds: the larger of the largest gap in true-positive rates (the same as that in false-negative
      rates) and the largest gap in false-positive rates, as one check.
    - FAI106, predictive parity: the largest gap in positive predictive values, among rows decided favourably.
    - FAI107, calibration within groups: the largest gap of (share of favourable labels − mean probability) between two
      groups in one of at most ``bins`` ranges of the probability with about the same number of rows.

    Of a regression of one value, FAI108: the largest gap of the mean residual (label − prediction), in standard
    deviations of the labels.

    Each may be at most ``threshold``. Intervals are Newcombe's for every pair of groups (FAI108: Student's corrected
    for skewness, combined in the same way), at a level corrected for the number of pairs in all rates or ranges
    (Bonferroni): they contain the largest gap in at least ``level`` of all runs. ``null_interval`` is where the largest
    gap lies if the group says nothing: groups are exchanged among rows with the same label (FAI105) or decision
    (FAI106), or among all (FAI108); FAI107 draws events around the probabilities.

    fairlearn's ``equalized_odds_difference`` gives the same estimate of FAI105, without an interval.
    """
    if not (0 < level < 1 and 0 <= threshold < np.inf) or smallest < 1 or bins < 1:
        raise InputError(
            f"level={level}, threshold={threshold}, smallest={smallest}, bins={bins}; needed are a level between 0 "
            f"and 1, a threshold of at least 0, and at least 1 row and 1 range."
        )
    if ranges < 0 or ranges == 1:
        raise InputError(f"ranges={ranges}; needed are no ranges (0) or at least 2.")
    every, reason = every_attribute(groups, len(case), ranges, combine)
    found, settings = labelled_outputs(case, labels), _Settings(level, threshold, smallest, bins)
    findings: list[Finding] = []
    for name, group in every.items():
        if found.is_classifier:
            own = _of_classes(case, found, group, favourable, settings)
        else:
            own = [_of_values(case, found, group, settings)]
        findings += [one.of(name) if name else one for one in own]
    first = ODDS if found.is_classifier else RESIDUALS
    return findings + ([not_combined(first, list(every), reason, case.model.name)] if reason else [])


def _of_classes(case: Case, found: LabelledOutputs, group: Any, favourable: Any, settings: _Settings) -> list[Finding]:
    """The findings of a classifier for one sensitive attribute."""
    chosen = found.scores.shape[1] - 1 if favourable is None else class_position(case, favourable)
    selected, positive = found.predicted == chosen, np.asarray(found.labels == chosen)
    ids, judged = case.rows.ids, Judged(settings.level, settings.threshold)
    seed, name = case.seed.child("groups exchanged"), case.model.name

    def about(check: Check, lower: str) -> dict[str, Any]:
        """The share of the group with the lower value, and its rows that were wrongly decided favourably."""
        wrong = np.flatnonzero((group == lower) & selected & ~positive)[:MAX_ROWS]
        return {"affected": float((group == lower).mean()), "rows": tuple(ids[i] for i in wrong)}

    if not case.model.kind.decides:
        why = "The outputs of this model do not show its decisions."
        decided = [not_applicable(one, why, name, "Give an output that shows them.", {}) for one in (ODDS, PREDICTIVE)]
    else:
        rates = [rates_of(selected, group, rows, settings.smallest) for rows in (positive, ~positive)]
        wrong = selected != positive
        predictive = rates_of(positive, group, selected, settings.smallest)
        decided = [
            _odds(case, rates, judged, group, wrong),
            gap_finding(PREDICTIVE, predictive, judged, name, about, seed),
        ]
    return [*decided, _calibration(case, found, chosen, group, settings)]


def _odds(case: Case, rates: list[GroupRates], judged: Judged, group: Any, wrong: Masks) -> Finding:
    """Equalised odds: both rates in one interval."""
    name, few = case.model.name, next((one for one in rates if len(one.counts) < 2), None)
    if few is not None:
        what = "true-positive" if few is rates[0] else "false-positive"
        left = {"groups left out": dict(few.left_out)}
        claim = f"Fewer than two groups have at least {few.smallest} rows to count in the {what} rate."
        return not_applicable(ODDS, claim, name, "Give more labelled rows of these groups, or merge groups.", left)
    hits, trials = (np.array([pair[side] for one in rates for pair in one.counts.values()]) for side in (0, 1))
    part = np.repeat([0, 1], [len(one.counts) for one in rates])
    gaps = {what: one.gaps(judged.level)[0] for what, one in zip(("true-positive", "false-positive"), rates)}
    what = max(gaps, key=lambda name: gaps[name].value)
    gap, seed = gaps[what], case.seed.child("groups exchanged", ODDS.code)
    own = np.flatnonzero(wrong & ((group == gap.lower) | (group == gap.upper)))[:MAX_ROWS]
    remark = rates[0 if what == "true-positive" else 1].remark
    return judged_finding(
        ODDS,
        Basis("pairs", {"hits": hits, "trials": trials, "part": part}),
        judged.level,
        judged.threshold,
        ADVICE,
        claim=(
            f"The larger gap is that of the {what} rates, {gap.value:.3f}, between groups {gap.upper} and "
            f"{gap.lower}.{remark}"
        ),
        subject=name,
        estimate=gap.value,
        null=0.0,
        null_interval=null_gap(hits, trials, judged.level, seed, part),
        n=rates[0].rows + rates[1].rows,
        meaning=MEANING[ODDS.code],
        affected=float((group == gap.lower).mean()),
        rows=tuple(case.rows.ids[i] for i in own),
        evidence={f"{what} rates": list_rates(one) for what, one in zip(gaps, rates)},
    )


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Cells of rows by range of the probability and group: names, rows, events, and the mean probability."""

    part: Ints
    groups: tuple[str, ...]
    rows: tuple[Masks, ...]
    hits: Ints
    trials: Ints
    chances: Floats

    @property
    def residuals(self) -> Floats:
        """Share of events minus mean probability of each cell."""
        return np.asarray(self.hits / self.trials - self.chances)

    @property
    def extremes(self) -> tuple[int, int]:
        """The cells with the largest and the smallest residual of the range with the largest gap."""
        widest = max(np.unique(self.part), key=lambda one: np.ptp(self.residuals[self.part == one]))
        own = np.flatnonzero(self.part == widest)
        return int(own[self.residuals[own].argmax()]), int(own[self.residuals[own].argmin()])

    @property
    def basis(self) -> Basis:
        """The basis of the interval of the largest gap."""
        return Basis("pairs", {"hits": self.hits, "trials": self.trials, "part": self.part, "less": self.chances})

    def null_interval(self, level: float, seed: Seed) -> Interval:
        """Where the largest gap lies if the groups of a range have the same residual."""
        pooled = [np.average(self.residuals[own], weights=self.trials[own]) for own in self.part == self.part[:, None]]
        return null_calibration_gap(self.chances, self.trials, self.part, np.array(pooled), level, seed)

    def lines(self) -> list[dict[str, Any]]:
        """The cells as plain data."""
        cells = zip(self.part, self.groups, self.trials, self.chances, self.hits)
        return [
            {"range": int(place), "group": own, "n": int(n), "probability": float(p), "share": float(h / n)}
            for place, own, n, p, h in cells
        ][: 2 * MAX_LISTED]


def _ranges(chance: Floats, event: Masks, group: Any, settings: _Settings) -> _Ranges | None:
    """The cells with enough rows, in ranges where two groups have enough; ``None`` where there are none."""
    edges = np.unique(np.quantile(chance, np.arange(1, settings.bins) / settings.bins))
    place: Ints = np.searchsorted(edges, chance, side="right")
    cells: list[tuple[int, str, Masks]] = []
    for one in np.unique(place):
        own = [(int(one), str(name), (place == one) & (group == name)) for name in np.unique(group)]
        own = [cell for cell in own if cell[2].sum() >= settings.smallest]
        cells += own if len(own) > 1 else []
    if not cells:
        return None
    return _Ranges(
        np.array([part for part, _, _ in cells]),
        tuple(name for _, name, _ in cells),
        tuple(rows for _, _, rows in cells),
        np.array([int(event[rows].sum()) for _, _, rows in cells]),
        np.array([int(rows.sum()) for _, _, rows in cells]),
        np.array([chance[rows].mean() for _, _, rows in cells]),
    )


def _calibration(case: Case, found: LabelledOutputs, chosen: int, group: Any, settings: _Settings) -> Finding:
    """The largest gap of mean residuals of the probability, within a range of it."""
    name = case.model.name
    if found.probabilities is None:
        why = "The scores of this model are no log odds, so it has no probabilities."
        return not_applicable(CALIBRATION, why, name, "", {})
    event = np.asarray(found.labels == chosen)
    cells = _ranges(found.probabilities[:, chosen], event, group, settings)
    if cells is None:
        claim = f"In no range of the probability have two groups at least {settings.smallest} rows."
        return not_applicable(CALIBRATION, claim, name, "Give more labelled rows, or fewer ranges (bins=…).", {})
    upper, lower = cells.extremes
    gap, rates = float(cells.residuals[upper] - cells.residuals[lower]), cells.hits / cells.trials
    rows = np.flatnonzero(cells.rows[lower] & ~event)[:MAX_ROWS]
    return judged_finding(
        CALIBRATION,
        cells.basis,
        settings.level,
        settings.threshold,
        ADVICE,
        claim=(
            f"At probabilities of about {(cells.chances[upper] + cells.chances[lower]) / 2:.2f}, {rates[upper]:.1%} of "
            f"group {cells.groups[upper]} and {rates[lower]:.1%} of group {cells.groups[lower]} have the favourable "
            f"label, a gap of {gap:.3f} after the probabilities are subtracted."
        ),
        subject=name,
        estimate=gap,
        null=0.0,
        null_interval=cells.null_interval(settings.level, case.seed.child("groups exchanged", CALIBRATION.code)),
        n=int(cells.trials.sum()),
        meaning=MEANING[CALIBRATION.code],
        affected=float((cells.rows[lower] | cells.rows[upper]).mean()),
        rows=tuple(case.rows.ids[i] for i in rows),
        evidence={"ranges": cells.lines()},
    )


def _of_values(case: Case, found: LabelledOutputs, group: Any, settings: _Settings) -> Finding:
    """The gap of the mean residual of a regression."""
    name, spread = case.model.name, float(np.std(found.labels))
    names, sizes = np.unique(group, return_counts=True)
    enough = np.flatnonzero(sizes >= max(settings.smallest, 2))
    if found.outputs.shape[1] != 1:
        why = f"It gives {found.outputs.shape[1]} values a row; audit one: assay.model.one_output(model, name)."
        return not_applicable(RESIDUALS, why, name, "", {})
    if not spread > 0:
        return not_applicable(RESIDUALS, "All labels are equal.", name, "Give rows with other labels.", {})
    if len(enough) < 2:
        sized = {str(one): int(n) for one, n in zip(names, sizes)}
        return undefined(RESIDUALS, GroupRates({}, sized, settings.smallest), name)
    return _residual_gap(case, (found.labels - found.outputs[:, 0]) / spread, spread, names[enough], group, settings)


def _residual_gap(case: Case, residual: Floats, spread: float, names: Any, group: Any, settings: _Settings) -> Finding:
    """The largest gap of mean residuals (row,), in standard deviations of the labels, between the groups ``names``."""
    means = {str(one): float(residual[group == one].mean()) for one in names}
    upper, lower = max(means, key=lambda one: means[one]), min(means, key=lambda one: means[one])
    order = np.flatnonzero(group == upper)
    order = order[np.argsort(-residual[order], kind="stable")][:MAX_ROWS]
    inside = np.isin(group, names)
    values, own = residual[inside], np.searchsorted(names, group[inside])
    return judged_finding(
        RESIDUALS,
        Basis("means", {"values": values, "group": own}),
        settings.level,
        settings.threshold,
        ADVICE,
        claim=(
            f"The mean residual is {claim_number(means[upper] * spread)} in group {upper} and "
            f"{claim_number(means[lower] * spread)} in group {lower}, a gap of {means[upper] - means[lower]:.3f} "
            f"standard deviations of the labels."
        ),
        subject=case.model.name,
        estimate=means[upper] - means[lower],
        null=0.0,
        null_interval=null_mean_gap(values, own, settings.level, case.seed.child("groups exchanged", RESIDUALS.code)),
        n=int(inside.sum()),
        meaning=MEANING[RESIDUALS.code],
        affected=float((group == upper).mean()),
        rows=tuple(case.rows.ids[i] for i in order),
        evidence={
            "mean residuals": {one: value * spread for one, value in list(means.items())[:MAX_LISTED]},
            "rows": {one: int((group == one).sum()) for one in list(means)[:MAX_LISTED]},
        },
    )
