# SPDX-License-Identifier: Apache-2.0
"""Gaps between groups in selection and error rates, and the columns that contribute to the gap."""

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
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.coalitions.estimator import exact_shapley, is_enumerable
from assay.engine.coalitions.leverage import paired_leverage
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import class_position, true_labels
from assay.engine.sensitive_groups import group_names, sensitive_columns
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import Finding

THRESHOLD = 0.1
"""Default threshold: the largest gap that passes."""

_REMEDY = "See FAI110 for the columns that contribute most; refit without them (repair.refit) and audit again."

PARITY = Check("FAI101", "How large is the gap between the groups' selection rates?", _REMEDY, THRESHOLD, "at most")
TRUE_POSITIVES = Check(
    "FAI102", "How large is the gap between the groups' true-positive rates?", _REMEDY, THRESHOLD, "at most"
)
FALSE_POSITIVES = Check(
    "FAI103", "How large is the gap between the groups' false-positive rates?", _REMEDY, THRESHOLD, "at most"
)
DRIVERS = Check("FAI110", "Which columns contribute to the gap of FAI101?", "Informative; it has no threshold.")
CHECKS = (PARITY, TRUE_POSITIVES, FALSE_POSITIVES, DRIVERS)

RATE = {PARITY: "selection rate", TRUE_POSITIVES: "true-positive rate", FALSE_POSITIVES: "false-positive rate"}
"""The rate that a check compares between groups."""

MEANING = {
    PARITY: "Demographic parity difference: largest difference of selection rates between two groups, 0 … 1, 0 is "
    "equal. The selection rate is the share of rows with the favourable decision. If the groups differ in the "
    "criteria of the decision, a fair model has a gap too.",
    TRUE_POSITIVES: "Equal opportunity difference: largest difference of true-positive rates between two groups, "
    "0 … 1, 0 is equal. The true-positive rate is the share of favourable decisions among rows whose true label is "
    "favourable. Biased labels can hide a gap or create one.",
    FALSE_POSITIVES: "Largest difference of false-positive rates between two groups, 0 … 1, 0 is equal. The "
    "false-positive rate is the share of favourable decisions among rows whose true label is not favourable. FAI102 "
    "and FAI103 together test equalised odds.",
    DRIVERS: "Shapley value of the column in the gap: mean quantitative input influence on the decision in one group "
    "minus that in the other. The values of all columns and the baseline difference add up to the gap of the sampled "
    "rows. Filling a column from the background creates rows that may not exist, and correlated columns share their "
    "influence; the values describe what the model uses, not causes.",
}
ADVICE = {
    "pass": "No action needed on this evidence; repeat when the population changes.",
    "fail": "See FAI110 for the columns that contribute most; repair.refit without one measures the cost of removal.",
    "undecided": "More rows of the smaller group would decide; the interval contains the threshold.",
}
DRIVERS_ADVICE = (
    "Check whether the most important columns may be used for such a decision at all. repair.refit without one of them "
    "(it needs an assay.Recipe) measures the change of gap and accuracy; correlated columns can replace it."
)


@dataclass(frozen=True)
class Gap:
    """``low`` and ``high`` bound |rate(upper) − rate(lower)|; ``value`` is the difference observed, never negative."""

    upper: str
    lower: str
    value: float
    low: float
    high: float


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call for each sensitive attribute."""
    favourable = inputs.favourable_class
    case = inputs.ask(label=favourable)
    options = inputs.options_of(method) | {"favourable": favourable, "labels": tuple(inputs.known_labels)}
    return [Call((case, groups), options, subject=name) for name, groups in inputs.groups.items()]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """Decisions and predictions of all rows, and the coalitions of two groups' rows for each attribute."""
    rows, fills = len(inputs.case), inputs.removal.fills
    given = {"rows": 50, "budget": 512} | dict(inputs.options.get("disparity", {}))
    each = rows + 2 * given["rows"] * (2 + given["budget"] * fills)
    return Cost(2 * rows + len(inputs.groups) * each) * inputs.model.passes_per_row


@diagnostic(
    source="datta2016",
    needs={"classes", "groups", "favourable"},
    optional={"labels", "train", "background"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def disparity(
    case: Case,
    groups: Any,
    *,
    favourable: Any,
    remove: Removal,
    labels: Any = (),
    level: float = 0.95,
    threshold: float = THRESHOLD,
    rows: int = 50,
    budget: int = 512,
) -> list[Finding]:
    """How selection and error rates differ between groups of rows, and which input columns drive the difference.

    ``groups`` has one label per row; a frame, or a mapping from name to column, holds several sensitive attributes,
    which are tested one by one. A missing group is refused, and so are numbers or dates of more than 20 distinct values
    (divide them by edges of your choice, as with numpy.digitize) and more than 100 groups. The decision is favourable
    where the predicted class is ``favourable`` (a name, else a position). FAI101: gap in the selection rate; with true
    ``labels`` FAI102: in the true-positive rate, FAI103: in the false-positive rate. Each is the largest |difference|
    over all pairs of groups. Its interval comes from Newcombe's for every pair, at a level corrected for the number of
    pairs (Bonferroni), so that it contains 0 in at least ``level`` of all runs where no groups differ. Groups without a
    row to count are left out and named in the evidence. Each gap may be at most ``threshold``.

    FAI110: Shapley values of the decision game for the pair of FAI101, mean over one group minus mean over the
    other; they add up to the gap of the rows used. ``remove`` defines what replaces a removed column: Marginal
    of a comparison group makes the values quantitative input influence. ``rows`` rows of each group are drawn without
    replacement, with ``budget`` coalitions each; all 2^n when they fit.

    fairlearn's bootstrap interval for a largest difference excludes 0 even where no groups differ; this one does not.
    """
    if rows < 2 or not 0 < level < 1 or budget < 2 or not 0 <= threshold <= 1:
        raise InputError(
            f"rows={rows}, level={level}, budget={budget}, threshold={threshold}; needed are at least 2 rows per "
            f"group, a level between 0 and 1, a budget of at least 2 and a threshold from 0 to 1."
        )
    columns = sensitive_columns(groups)
    named = {name: group_names(values, len(case), name) for name, values in columns.items()}
    if not named:
        raise InputError("there is no column of groups. Give one group a row, or a frame of sensitive columns.")
    decided, positive = _decisions(case, favourable, labels)
    findings: list[Finding] = []
    for name, group in named.items():
        found = _findings(decided, group, positive, case, remove, level, threshold, rows, budget)
        findings += [one.of(name) if name else one for one in found]
    return findings


def _decisions(case: Case, favourable: Any, labels: Any) -> tuple[Case, Masks | None]:
    """The case of favourable decisions, and whether each row's true label is favourable (``None`` if unknown)."""
    chosen = class_position(case, favourable)
    decided = replace(case.with_target("decision"), label=np.full(len(case), chosen))
    if labels is None or (hasattr(labels, "__len__") and len(labels) == 0):
        return decided, None
    return decided, np.asarray(true_labels(case.model, labels, len(case), case.prediction) == chosen)


def _findings(
    decided: Case,
    group: Any,
    positive: Masks | None,
    case: Case,
    remove: Removal,
    level: float,
    threshold: float,
    rows: int,
    budget: int,
) -> list[Finding]:
    """The findings for one sensitive attribute."""
    selected = decided.output > 0.5
    every = np.ones(len(case), dtype=bool)
    rates = [(PARITY, every)]
    if positive is not None:
        rates += [(TRUE_POSITIVES, positive), (FALSE_POSITIVES, ~positive)]
    findings = [_gap(rate, selected, group, counted, level, threshold, case) for rate, counted in rates]
    pair = _largest_gap(selected, group, every, level)[0]
    return [*findings, _drivers(decided, group, pair, remove, level, rows, budget)]


def _largest_gap(selected: Masks, group: Any, counted: Masks, level: float) -> tuple[Gap, Basis, list[Gap]]:
    """The largest gap, the basis of its simultaneous interval, and the gaps of all pairs."""
    counts = {
        str(name): (int((selected & inside).sum()), int(inside.sum()))
        for name, inside in _rows_by_group(group, counted)
    }
    gaps = list(pairwise_gaps(counts, level))
    hits, trials = np.array(list(counts.values())).T
    return max(gaps, key=lambda gap: gap.value), Basis("pairs", {"hits": hits, "trials": trials}), gaps


def _rows_by_group(group: Any, counted: Masks) -> Iterable[tuple[str, Masks]]:
    for name in np.unique(group):
        inside = (group == name) & counted
        if inside.any():
            yield str(name), inside


def pairwise_gaps(counts: Mapping[str, tuple[int, int]], level: float) -> Iterable[Gap]:
    """The gap of every pair of groups, from (hits, trials) of each; ``level`` holds for all pairs together."""
    pairs = list(combinations(counts, 2))
    each = 1 - (1 - level) / len(pairs)
    for one, two in pairs:
        upper, lower = sorted((one, two), key=lambda name: -counts[name][0] / counts[name][1])
        (hits, trials), (others, other_trials) = counts[upper], counts[lower]
        signed = newcombe(hits, trials, others, other_trials, each)
        value = hits / trials - others / other_trials
        yield Gap(upper, lower, value, max(signed.low, 0.0), max(signed.high, -signed.low))


def _gap(
    check: Check, selected: Masks, group: Any, counted: Masks, level: float, threshold: float, case: Case
) -> Finding:
    present = dict(_rows_by_group(group, counted))
    absent = sorted(set(group.tolist()) - set(present))
    if len(present) < 2:
        return _undefined(check, len(present), absent, case)
    largest, basis, gaps = _largest_gap(selected, group, counted, level)
    rates = {name: float(selected[inside].mean()) for name, inside in present.items()}
    return judged_finding(
        check,
        basis,
        level,
        threshold,
        ADVICE,
        claim=(
            f"The {RATE[check]} is {rates[largest.upper]:.1%} in group {largest.upper} and {rates[largest.lower]:.1%} "
            f"in group {largest.lower}, a gap of {largest.value:.3f}."
        ),
        subject=case.model.name,
        estimate=largest.value,
        null=0.0,
        n=int(counted.sum()),
        meaning=MEANING[check],
        evidence={
            "rates": {name: {"rate": rates[name], "n": int(inside.sum())} for name, inside in present.items()},
            "pairs": [vars(gap) for gap in sorted(gaps, key=lambda gap: -gap.value)[:20]],
            "one group against the rest": [vars(gap) for gap in _against_rest(selected, present, counted, level)][:20],
            "groups without rows": absent,
        },
    )


def _undefined(check: Check, present: int, absent: list[str], case: Case) -> Finding:
    return Finding(
        code=check.code,
        verdict="not applicable",
        claim=f"The {RATE[check]} is defined for {present} group(s) only; a gap needs two.",
        subject=case.model.name,
        meaning=MEANING[check],
        advice="Give rows of more groups with such labels.",
        evidence={"groups without rows": absent},
    )


def _against_rest(selected: Masks, present: Mapping[str, Masks], counted: Masks, level: float) -> Iterable[Gap]:
    """Each group against all other counted rows; empty for two groups, where it is the pair itself."""
    if len(present) == 2:
        return
    each = 1 - (1 - level) / len(present)
    for name, inside in present.items():
        others = counted & ~inside
        counts = {
            name: (int((selected & inside).sum()), int(inside.sum())),
            "the rest": (int((selected & others).sum()), int(others.sum())),
        }
        yield from pairwise_gaps(counts, each)


def _no_columns(case: Case) -> Finding:
    return Finding(
        code=DRIVERS.code,
        verdict="not applicable",
        claim="The rows are texts, whose words are not the same parts in every row; a gap has no drivers among them.",
        subject=case.model.name,
        meaning=MEANING[DRIVERS],
        advice="Give a table of properties of the texts to find which of them drive the gap.",
    )


def _drivers(decided: Case, group: Any, pair: Gap, remove: Removal, level: float, rows: int, budget: int) -> Finding:
    if decided.rows.text is not None:
        return _no_columns(decided)
    upper, lower = (_sample_group(decided, group, name, rows) for name in (pair.upper, pair.lower))
    sample = decided.take(np.concatenate([upper, lower]))
    first = np.arange(len(sample)) < len(upper)
    value, stderr, base = _gap_shapley(sample, first, remove, budget)
    gap = float(sample.output[first].mean() - sample.output[~first].mean())
    residual = gap - base - float(value.sum())
    if not abs(residual) < 1e-6:
        raise NumericalError(f"contributions miss the gap by {residual:.2g}; they add up to it in exact arithmetic.")
    names, order = decided.features.names, np.argsort(-np.abs(value), kind="stable")
    top, most = int(order[0]), float(value[order[0]])
    half = float(scipy_stats.norm.ppf(1 - (1 - level) / 2 / len(value)) * stderr[top])
    return Finding(
        code=DRIVERS.code,
        verdict="informative",
        claim=(
            f"{names[top]} contributes {_signed(most, '+')} to the selection-rate gap of {_signed(gap)} between groups "
            f"{pair.upper} and {pair.lower}, the largest of {len(names)} features ({len(upper)} + {len(lower)} sampled "
            f"rows)."
        ),
        subject=decided.model.name,
        estimate=most,
        interval=Interval(most - half, most + half, level, f"normal, {len(value)} features"),
        null=0.0,
        n=len(sample),
        meaning=MEANING[DRIVERS],
        advice=DRIVERS_ADVICE,
        evidence={
            "upper": pair.upper,
            "lower": pair.lower,
            "sampled rows": {pair.upper: len(upper), pair.lower: len(lower)},
            "all rows": {name: int((group == name).sum()) for name in (pair.upper, pair.lower)},
            "gap of sampled rows": gap,
            "gap of all rows": pair.value,
            "baseline difference": base,
            "columns": [_line(names[i], value[i], stderr[i]) for i in order[:20]],
            "other columns": float(value[order[20:]].sum()),
        },
    )


def _signed(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "−")


def _line(name: str, contribution: float, stderr: float) -> dict[str, Any]:
    return {"name": name, "contribution": float(contribution), "stderr": float(stderr)}


def _sample_group(case: Case, group: Any, name: str, rows: int) -> Ints:
    """Positions of at most ``rows`` rows of a group, drawn by id."""
    inside = np.flatnonzero(group == name)
    ordered = inside[np.argsort(np.array(case.rows.ids)[inside], kind="stable")]
    return np.sort(case.seed.child("disparity", "rows", name).generator().permutation(ordered)[:rows])


def _gap_shapley(sample: Case, first: Masks, remove: Removal, budget: int) -> tuple[Floats, Floats, float]:
    """Shapley values (part,) of the gap between two halves of the rows, their standard errors, and the baseline gap.

    The estimator is linear in v, so the values of the gap's own game are the mean values of one half minus those of
    the other. Standard errors combine the sampling of rows (two samples) with the sampling of coalitions.
    """
    features = len(sample.features)
    estimator = exact_shapley if is_enumerable(features, budget) else paired_leverage
    design = estimator.design(features, budget, sample.seed.child("design", estimator.name))
    table = sample.game(remove).table(design.masks)
    each = estimator.estimate(design, table).values
    mean = estimator.estimate(design, (table[first].mean(axis=0) - table[~first].mean(axis=0))[None])
    spread = sum(_squared_error(each[half]) for half in (first, ~first))
    base = float(np.asarray(mean.base)[0])
    return mean.values[0], np.sqrt(spread + np.asarray(mean.stderr)[0] ** 2), base


def _squared_error(each: Floats) -> Floats:
    """Squared standard error of the mean over rows; NaN with one row."""
    return np.asarray(each.var(axis=0, ddof=1) / len(each) if len(each) > 1 else np.full(each.shape[1], np.nan))
