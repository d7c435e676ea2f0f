# SPDX-License-Identifier: Apache-2.0
"""What a region of pictures does to the probability of a class: pasted into other rows, or filled from around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.shortcuts.artefacts import inpaint_region, paste_region
from assay.engine.shortcuts.cluster_candidates import Candidate, random_candidates
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import probabilities

BLOCK = 64
"""Rows that are changed at a time."""

SCREENED, COMPARED, RANDOMS, FEW_RANDOMS = 30, 8, 30, 5
"""Clusters that are pasted; of these, those compared with random groups; random groups for the one judged, for each."""

STRONGEST = 3
"""Random groups that are pasted into the judging rows, those that raise the class most on the choosing rows."""

SCREENING_ROWS, JUDGING_ROWS, OWN_ROWS = 50, 300, 50
"""Most rows of other classes that choose a cluster, that judge it, and most rows of the class that are filled."""

FLOOR = 1e-6
"""Probabilities nearer to 0 or 1 count as this near in log-odds: what stays impossible does not count as a change."""

Change = Callable[[Floats, Ints], Floats]
"""Changed rows (row, *shape) of these rows, and of their places among the rows given."""


def class_chances(case: Case, which: Ints, label: int, change: Change | None = None) -> Floats:
    """Probability (row,) of a class at the rows ``which``, changed."""
    if change is None:
        return np.asarray(probabilities(case.prediction[which], case.model.gives)[:, label])
    return changed_chances(case, which, change)[:, label]


def changed_chances(case: Case, which: Ints, change: Change) -> Floats:
    """Probabilities (row, class) at the rows ``which``, changed."""
    found = []
    for at in np.array_split(np.arange(len(which)), max(1, -(-len(which) // BLOCK))):
        x = case.rows.convert(change(_numbers(case, which[at]), at))
        found.append(probabilities(to_floats(case.outputs(x, which[at])), case.model.gives))
    return np.concatenate(found)


def log_odds(chances: Floats) -> Floats:
    """ln(p / (1 − p)) of probabilities, which are kept ``FLOOR`` from 0 and 1."""
    kept = np.clip(chances, FLOOR, 1 - FLOOR)
    return np.asarray(np.log(kept / (1 - kept)))


def contents(case: Case, donors: Ints, region: Masks) -> Change:
    """The region of each row comes from its donor, a position in the case."""
    return lambda x, at: np.where(region, _numbers(case, donors[at]), x)


def occluded(region: Masks) -> Change:
    """The region of each row gets the row's own mean there, for each channel."""
    return lambda x, at: paste_region(x[0], region).occlude(x)


def _numbers(case: Case, which: Ints) -> Floats:
    return to_floats(case.rows.x[which])


@dataclass(frozen=True, eq=False)
class PasteTest:
    """The chosen cluster, and what its content does to rows of other classes that chose nothing.

    ``chances`` (row, 3 + ``STRONGEST``): probability of the class as the rows are, with the cluster's content, with the
    occluder, and with the contents of the random groups that raised it most on the choosing rows. ``lost`` are log-odds
    that its own rows lose when the region is filled, ``lost_outside`` those of the others of the class. ``random``
    (group,) are mean changes of probability by each random group on the choosing rows.
    """

    candidate: Candidate
    chances: Floats
    lost: float
    lost_outside: float
    random: Floats


@dataclass(frozen=True, eq=False)
class _Split:
    """Rows of the case that choose a cluster, and the others, which judge it."""

    case: Case
    predicted: Ints
    choosing: Masks
    seed: Seed

    def others(self, label: int, choosing: bool) -> Ints:
        """Rows of other predicted classes on one side."""
        found = np.flatnonzero((self.predicted != label) & (self.choosing == choosing))
        return found[: SCREENING_ROWS if choosing else JUDGING_ROWS]

    def pasted(self, one: Candidate, which: Ints) -> Floats:
        """Probability (row,) of the class where each row gets the region of another member of the cluster."""
        order = self.seed.child("members", one.medoid).generator().permutation(len(which))
        donors = np.resize(one.rows, len(which))[order]
        return class_chances(self.case, which, one.label, contents(self.case, donors, self.region(one)))

    def from_medoid(self, one: Candidate, which: Ints) -> Floats:
        """The same with the region of the medoid in all rows."""
        donors = np.full(len(which), one.medoid)
        return class_chances(self.case, which, one.label, contents(self.case, donors, self.region(one)))

    def region(self, one: Candidate) -> Masks:
        return one.region(self.case.rows.shape)


def judge_clusters(
    case: Case, maps: Floats, candidates: list[Candidate], predicted: Ints, seed: Seed
) -> PasteTest | None:
    """Choose the cluster whose content raises its class's probability most on half of the rows; test it on the others.

    A cluster counts only where its own rows lose log-odds of the class as the region is filled from around it, and more
    than other rows of the class do (one-sided Welch test at 5 %). Of clusters of a class with the same region the most
    separable is taken. ``None`` where none counts.
    """
    choosing = seed.child("choosing").generator().permutation(len(case)) < min(len(case) // 2, 2 * SCREENING_ROWS)
    split = _Split(case, predicted, choosing, seed)
    able = [one for one in candidates if min(len(split.others(one.label, side)) for side in (True, False)) > 1]
    scored = [(one, _raise(split, one)) for one in able[:SCREENED]]
    best = sorted(scored, key=lambda each: -each[1])[:COMPARED]
    confirmed = [(one, *_filled(split, one)) for one, gain in best if gain > 0]
    confirmed = [each for each in confirmed if each[3]]
    if not confirmed:
        return None
    margins = [_raise(split, each[0]) - _randoms(split, maps, each[0], FEW_RANDOMS)[1].max() for each in confirmed]
    first = confirmed[int(np.argmax(margins))][0]
    same = [one for one in confirmed if one[0].label == first.label and (one[0].cells == first.cells).all()]
    chosen, lost, lost_outside, _ = max(same, key=lambda one: one[0].separability)
    groups, gains = _randoms(split, maps, chosen, RANDOMS)
    which, label = split.others(chosen.label, False), chosen.label
    columns = (
        class_chances(case, which, label),
        split.pasted(chosen, which),
        class_chances(case, which, label, occluded(split.region(chosen))),
        *(split.from_medoid(groups[place], which) for place in np.argsort(-gains, kind="stable")[:STRONGEST]),
    )
    return PasteTest(chosen, np.stack(columns, axis=1), lost, lost_outside, gains)


def _raise(split: _Split, one: Candidate) -> float:
    which = split.others(one.label, True)
    return float((split.pasted(one, which) - class_chances(split.case, which, one.label)).mean())


def _randoms(split: _Split, maps: Floats, one: Candidate, count: int) -> tuple[list[Candidate], Floats]:
    """Random groups of rows outside a cluster, and the mean change (group,) of probability by each medoid's content."""
    which = split.others(one.label, True)
    before = class_chances(split.case, which, one.label)
    groups = random_candidates(one, maps, count, split.seed)
    return groups, np.array([(split.from_medoid(group, which) - before).mean() for group in groups])


def _filled(split: _Split, one: Candidate) -> tuple[float, float, bool]:
    """Log-odds that rows of the cluster and other rows of the class lose, and whether the first lose more."""
    case, region = split.case, split.region(one)
    lost = []
    for rows in (one.rows[:OWN_ROWS], one.others[:OWN_ROWS]):
        after = class_chances(case, rows, one.label, lambda x, at: inpaint_region(x, region))
        lost.append(log_odds(class_chances(case, rows, one.label)) - log_odds(after))
    gap = lost[0].mean() - lost[1].mean()
    error = np.sqrt(sum(values.var(ddof=1) / len(values) for values in lost))
    limit = gap - float(scipy_stats.norm.ppf(0.95)) * error
    return float(lost[0].mean()), float(lost[1].mean()), bool(limit > 0)


def most_passes() -> int:
    """The most evaluations of ``judge_clusters``."""
    screening = (SCREENED + COMPARED * (1 + 2 * FEW_RANDOMS) + 2 * RANDOMS) * SCREENING_ROWS
    return screening + COMPARED * 2 * OWN_ROWS + (2 + STRONGEST) * JUDGING_ROWS
