# SPDX-License-Identifier: Apache-2.0
"""Gaps between groups in the decisions they get, and the columns that drive the gap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError, NumericalError
from assay.basics.stats import Basis, Interval, newcombe
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.leverage import paired_leverage
from assay.engine.coalitions.summary import enumerated, exact_shapley
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import class_named, truth
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_numpy
from assay.nouns.results.result import Finding, judge


@dataclass(frozen=True)
class Gap:
    """``low`` and ``high`` bound |rate(upper) − rate(lower)|; ``value`` is the difference seen, never negative."""

    upper: str
    lower: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class _Rate:
    """One way to compare groups: the code, what is compared, and what it means."""

    code: str
    what: str
    meaning: str


PARITY = _Rate(
    "FAI101",
    "rate of favourable decisions",
    "Demographic parity: largest difference between two groups in how often they get the favourable decision, 0 … 1, "
    "0 is equal. Groups that differ in what the decision should rest on differ here without any unfairness of the "
    "model.",
)
TRUE_POSITIVES = _Rate(
    "FAI102",
    "true-positive rate",
    "Equal opportunity: largest difference between two groups in how often those whose true label is favourable get "
    "the favourable decision, 0 … 1, 0 is equal. Labels that are themselves biased hide a gap or make one.",
)
FALSE_POSITIVES = _Rate(
    "FAI103",
    "false-positive rate",
    "Largest difference between two groups in how often those whose true label is not favourable get the favourable "
    "decision, 0 … 1, 0 is equal. With FAI102 it makes up equalised odds.",
)
DRIVERS = (
    "Shapley value of the column in the gap: the group means of quantitative input influence on the decision, one "
    "minus the other. Columns add up to the gap of the rows used. Filling a column from the background makes rows "
    "that may not exist, and columns that go together share their influence; this is about what the model uses, not "
    "about causes."
)
ADVICE = {
    "pass": "Nothing to do on this evidence; repeat when the population changes.",
    "fail": "See FAI110 for the columns that drive the gap; repair.refit without one shows what it costs to do so.",
    "undecided": "More rows of the smaller group would decide; the interval straddles the threshold.",
}
DRIVING = (
    "Ask whether the leading columns may decide such a case at all. repair.refit without one of them (through a "
    "Recipe) shows what happens to gap and accuracy; columns that go with it can take its place."
)


@diagnostic(source="datta2016", needs={"classes"})
def disparity(
    case: Case,
    groups: Any,
    *,
    favourable: Any,
    remove: Removal,
    labels: Any = (),
    level: float = 0.95,
    threshold: float = 0.1,
    rows: int = 50,
    budget: int = 512,
) -> list[Finding]:
    """How differently groups of rows are decided on, and which columns of the input drive the difference.

    ``groups`` has one label a row. The decision is favourable where the predicted class is ``favourable`` (a name,
    else a position). FAI101: gap in the rate of favourable decisions; with true ``labels`` FAI102: in the
    true-positive rate, FAI103: in the false-positive rate. Each is the largest |difference| over all pairs of groups;
    its interval comes from Newcombe's for every pair, at a level corrected for the number of pairs (Bonferroni), so
    that it contains 0 in at least ``level`` of all runs where no groups differ. Groups without a row to count are
    left out and named in the evidence. Judged against ``threshold``.

    FAI110: Shapley values of the decision game for the pair of FAI101, mean over the one group minus mean over the
    other; they add up to the gap of the rows used. ``remove`` says what stands in for a column taken away: Marginal
    of a comparison group makes it quantitative input influence. ``rows`` rows of each group are drawn, without
    replacement, and ``budget`` coalitions asked of each; all 2^n when they fit.

    fairlearn's bootstrap interval for a largest difference excludes 0 even where no groups differ; this one does not.
    """
    group = _grouped(groups, len(case))
    chosen = class_named(case, favourable)
    if rows < 2 or not 0 < level < 1:
        raise InputError(f"rows={rows}, level={level}; at least 2 rows a group and a level between 0 and 1 are needed.")
    decided = replace(case.with_target("decision"), label=np.full(len(case), chosen))
    favoured = decided.output > 0.5
    every = np.ones(len(case), dtype=bool)
    asked = [(PARITY, every)]
    if len(labels):
        positive = truth(case.model, labels, len(case), case.prediction) == chosen
        asked += [(TRUE_POSITIVES, positive), (FALSE_POSITIVES, ~positive)]
    findings = [_gap(rate, favoured, group, counted, level, threshold, case) for rate, counted in asked]
    return [*findings, _drivers(decided, group, _widest(favoured, group, every, level)[0], remove, level, rows, budget)]


def _grouped(groups: Any, rows: int) -> Any:
    """The group of each row as text; raises ``InputError`` where one is missing or there is only one group."""
    given = list(groups if isinstance(groups, list | tuple) else to_numpy(groups))
    if len(given) != rows:
        raise InputError(f"{len(given)} group labels for {rows} rows. Give one label a row.")
    # a missing value is the only one that differs from itself (NaN, NaT), or is None
    missing = [row for row, value in enumerate(given) if value is None or bool(value != value)]
    if missing:
        raise InputError(f"the group is missing in row(s) {some(missing)}. Leave these rows out, or name their group.")
    names = np.array([str(value) for value in given])
    if len(set(names)) < 2:
        raise InputError(f"all {rows} rows are in group {names[0]!r}; a gap needs at least two groups.")
    return names


def _widest(favoured: Masks, group: Any, counted: Masks, level: float) -> tuple[Gap, Basis, list[Gap]]:
    """The largest gap, what its simultaneous interval is made from, and the gaps of all pairs."""
    tallies = {
        str(name): (int((favoured & inside).sum()), int(inside.sum())) for name, inside in _members(group, counted)
    }
    gaps = list(pairwise(tallies, level))
    hits, trials = np.array(list(tallies.values())).T
    return max(gaps, key=lambda gap: gap.value), Basis("pairs", {"hits": hits, "trials": trials}), gaps


def _members(group: Any, counted: Masks) -> Iterable[tuple[str, Masks]]:
    for name in np.unique(group):
        inside = (group == name) & counted
        if inside.any():
            yield str(name), inside


def pairwise(tallies: Mapping[str, tuple[int, int]], level: float) -> Iterable[Gap]:
    """The gap of every pair of groups, from (hits, trials) of each; ``level`` holds for all pairs together."""
    pairs = list(combinations(tallies, 2))
    each = 1 - (1 - level) / len(pairs)
    for one, two in pairs:
        upper, lower = sorted((one, two), key=lambda name: -tallies[name][0] / tallies[name][1])
        (hits, trials), (others, other_trials) = tallies[upper], tallies[lower]
        signed = newcombe(hits, trials, others, other_trials, each)
        value = hits / trials - others / other_trials
        yield Gap(upper, lower, value, max(signed.low, 0.0), max(signed.high, -signed.low))


def _gap(
    rate: _Rate, favoured: Masks, group: Any, counted: Masks, level: float, threshold: float, case: Case
) -> Finding:
    present = dict(_members(group, counted))
    absent = sorted(set(group.tolist()) - set(present))
    if len(present) < 2:
        return _undefined(rate, len(present), absent, case)
    widest, basis, gaps = _widest(favoured, group, counted, level)
    interval = basis.at(level)
    shares = {name: float(favoured[inside].mean()) for name, inside in present.items()}
    verdict = judge(interval, threshold, "at most")
    return Finding(
        code=rate.code,
        verdict=verdict,
        claim=(
            f"The {rate.what} is {shares[widest.upper]:.1%} in group {widest.upper} and {shares[widest.lower]:.1%} in "
            f"group {widest.lower}: a gap of {widest.value:.3f}."
        ),
        subject=case.model.name,
        estimate=widest.value,
        interval=interval,
        threshold=threshold,
        direction="at most",
        null=0.0,
        n=int(counted.sum()),
        meaning=rate.meaning,
        advice=ADVICE[verdict],
        evidence={
            "rates": {name: {"rate": shares[name], "n": int(inside.sum())} for name, inside in present.items()},
            "pairs": [vars(gap) for gap in sorted(gaps, key=lambda gap: -gap.value)[:20]],
            "against the rest": [vars(gap) for gap in _against_rest(favoured, present, counted, level)][:20],
            "groups without rows": absent,
        },
        basis=basis,
    )


def _undefined(rate: _Rate, present: int, absent: list[str], case: Case) -> Finding:
    return Finding(
        code=rate.code,
        verdict="not applicable",
        claim=f"The {rate.what} is defined for {present} group(s) only; a gap needs two.",
        subject=case.model.name,
        meaning=rate.meaning,
        advice="Give rows of more groups with such labels.",
        evidence={"groups without rows": absent},
    )


def _against_rest(favoured: Masks, present: Mapping[str, Masks], counted: Masks, level: float) -> Iterable[Gap]:
    """Each group with all other rows counted; with two groups that is the pair itself, so nothing is said."""
    if len(present) == 2:
        return
    each = 1 - (1 - level) / len(present)
    for name, inside in present.items():
        others = counted & ~inside
        tallies = {
            name: (int((favoured & inside).sum()), int(inside.sum())),
            "the rest": (int((favoured & others).sum()), int(others.sum())),
        }
        yield from pairwise(tallies, each)


def _drivers(decided: Case, group: Any, pair: Gap, remove: Removal, level: float, rows: int, budget: int) -> Finding:
    upper, lower = (_drawn(decided, group, name, rows) for name in (pair.upper, pair.lower))
    part = decided.take(np.concatenate([upper, lower]))
    first = np.arange(len(part)) < len(upper)
    value, stderr, base = _shares(part, first, remove, budget)
    gap = float(part.output[first].mean() - part.output[~first].mean())
    left = gap - base - float(value.sum())
    if not abs(left) < 1e-6:
        raise NumericalError(f"contributions miss the gap by {left:.2g}; they add up to it in exact arithmetic.")
    names, order = decided.features.names, np.argsort(-np.abs(value), kind="stable")
    top, most = int(order[0]), float(value[order[0]])
    half = float(scipy_stats.norm.ppf(1 - (1 - level) / 2 / len(value)) * stderr[top])
    return Finding(
        code="FAI110",
        verdict="informative",
        claim=(
            f"{names[top]} contributes {most:+.3f} to the gap of {gap:.3f} between groups {pair.upper} and "
            f"{pair.lower}, "
            f"the most of {len(names)} parts ({len(upper)} + {len(lower)} rows drawn)."
        ),
        subject=decided.model.name,
        estimate=most,
        interval=Interval(most - half, most + half, level, f"normal, {len(value)} parts"),
        null=0.0,
        n=len(part),
        meaning=DRIVERS,
        advice=DRIVING,
        evidence={
            "upper": pair.upper,
            "lower": pair.lower,
            "rows drawn": {pair.upper: len(upper), pair.lower: len(lower)},
            "rows in all": {name: int((group == name).sum()) for name in (pair.upper, pair.lower)},
            "gap of rows drawn": gap,
            "gap of all rows": pair.value,
            "base difference": base,
            "columns": [_line(names[i], value[i], stderr[i]) for i in order[:20]],
            "other columns": float(value[order[20:]].sum()),
        },
    )


def _line(name: str, contribution: float, stderr: float) -> dict[str, Any]:
    return {"name": name, "contribution": float(contribution), "stderr": float(stderr)}


def _drawn(case: Case, group: Any, name: str, rows: int) -> Ints:
    """Places of at most ``rows`` rows of a group, drawn by id."""
    inside = np.flatnonzero(group == name)
    ordered = inside[np.argsort(np.array(case.rows.ids)[inside], kind="stable")]
    return np.sort(case.seed.child("disparity", "rows", name).generator().permutation(ordered)[:rows])


def _shares(part: Case, first: Masks, remove: Removal, budget: int) -> tuple[Floats, Floats, float]:
    """Shapley values (part,) of the gap between two halves of the rows, their standard errors, and the bases' gap.

    The summary is linear in v, so the values of the gap's own game are the mean values of one half minus those of the
    other. Standard errors join the draw of rows (two samples) with the draw of coalitions.
    """
    parts = len(part.features)
    summary = exact_shapley if enumerated(parts, budget) else paired_leverage
    design = summary.design(parts, budget, part.seed.child("design", summary.name))
    table = part.game(remove).table(design.masks)
    each = summary.estimate(design, table).values
    mean = summary.estimate(design, (table[first].mean(axis=0) - table[~first].mean(axis=0))[None])
    spread = sum(_squared_error(each[half]) for half in (first, ~first))
    base = float(np.asarray(mean.base)[0])
    return mean.values[0], np.sqrt(spread + np.asarray(mean.stderr)[0] ** 2), base


def _squared_error(each: Floats) -> Floats:
    """Squared standard error of the mean over rows; unknown (NaN) with one row."""
    return np.asarray(each.var(axis=0, ddof=1) / len(each) if len(each) > 1 else np.full(each.shape[1], np.nan))
