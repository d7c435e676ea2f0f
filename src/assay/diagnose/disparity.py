# SPDX-License-Identifier: Apache-2.0
"""Gaps and ratios between groups in selection and error rates, and the columns that contribute to the gap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.basics.types import Masks
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.declare import diagnostic
from assay.engine.fairness.disparity_texts import DRIVERS_ADVICE, MEANING
from assay.engine.fairness.drivers import Decomposition, decompose_gap
from assay.engine.fairness.gap_findings import (
    Judged,
    every_attribute,
    gap_finding,
    not_applicable,
    not_combined,
    ratio_finding,
    undefined,
)
from assay.engine.fairness.groups import combine_columns
from assay.engine.fairness.rates import MAX_LISTED, Gap, GroupRates, rates_of
from assay.engine.retraining.labelled_rows import class_position, true_labels
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import MAX_ROWS, Finding

THRESHOLD = 0.1
"""Default threshold: the largest gap that passes."""

FOUR_FIFTHS = 0.8
"""Default threshold: the smallest ratio of selection rates that passes."""

SMALLEST = 10
"""Default of the fewest rows that are counted in a rate of a group."""

_REMEDY = "See FAI110 for the columns that contribute most; refit without them (repair.refit) and audit again."

PARITY = Check(
    "FAI101", "How large is the gap between the groups' selection rates?", _REMEDY, THRESHOLD, "at most", severe=0.2
)
TRUE_POSITIVES = Check(
    "FAI102",
    "How large is the gap between the groups' true-positive rates?",
    _REMEDY,
    THRESHOLD,
    "at most",
    severe=0.2,
)
FALSE_POSITIVES = Check(
    "FAI103",
    "How large is the gap between the groups' false-positive rates?",
    _REMEDY,
    THRESHOLD,
    "at most",
    severe=0.2,
)
RATIO = Check(
    "FAI104",
    "Is the selection rate of a group below four fifths of the highest?",
    _REMEDY,
    FOUR_FIFTHS,
    "at least",
    origin="four-fifths rule (EEOC 1978)",
    severe=0.5,
)
DRIVERS = Check("FAI110", "Which columns contribute to the gap of FAI101?", "Informative; it has no threshold.")
CHECKS = (PARITY, TRUE_POSITIVES, FALSE_POSITIVES, RATIO, DRIVERS)


@dataclass(frozen=True)
class _Settings:
    """The options of one call."""

    level: float
    threshold: float
    ratio: float
    smallest: int
    rows: int
    budget: int


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call for all sensitive attributes."""
    favourable = inputs.favourable_class
    case = inputs.ask(label=favourable)
    options = inputs.options_of(method) | {"favourable": favourable, "labels": tuple(inputs.known_labels)}
    return [Call((case, dict(inputs.groups)), options)]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """Decisions and predictions of all rows, and the coalitions of two groups' rows for each attribute."""
    rows, fills = len(inputs.case), inputs.removal.fills
    given = {"rows": 50, "budget": 512, "combine": True} | dict(inputs.options.get("disparity", {}))
    each = 2 * given["rows"] * (2 + given["budget"] * fills)
    combined = bool(given["combine"]) and combine_columns(inputs.groups)[0] is not None
    return Cost(3 * rows + (len(inputs.groups) + combined) * each) * inputs.model.passes_per_row


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
    ratio: float = FOUR_FIFTHS,
    smallest: int = SMALLEST,
    combine: bool = True,
    ranges: int = 0,
    rows: int = 50,
    budget: int = 512,
) -> list[Finding]:
    """How selection and error rates differ between groups of rows, and which input columns drive the difference.

    ``groups`` has one label per row; a frame, or a mapping from name to column, holds several sensitive attributes,
    which are tested one by one. With ``combine`` the combination of two or three attributes ("sex × age") is tested as
    one more, where at most 20 combinations occur. A missing group is refused, and so are more than 100 groups. Numbers
    or dates of more than 20 distinct values are cut into at most ``ranges`` ranges of about equal size (``ranges=4``),
    and refused with ``ranges=0``; an audit uses 4, and makes missing groups a group of their own. Groups with fewer
    than ``smallest`` rows to count in a rate are left out of its contrasts, and are named.

    The decision is favourable where the predicted class is ``favourable`` (a name, else a position). FAI101: gap in the
    selection rate; with true ``labels`` FAI102: in the true-positive rate, FAI103: in the false-positive rate. Each is
    the largest |difference| over all pairs of groups. Its interval comes from Newcombe's for every pair, at a level
    corrected for the number of pairs (Bonferroni), so that it contains 0 in at least ``level`` of all runs where no
    groups differ. Each gap may be at most ``threshold``. FAI104: smallest ratio of two groups' selection rates, at
    least ``ratio`` (four fifths by the Uniform Guidelines, EEOC 1978); its interval comes from Miettinen and Nurminen's
    score interval for every pair, corrected in the same way, and is valid at low rates too. The evidence of FAI102 and
    FAI103 has ratios as well.

    FAI110: Shapley values of the decision game for the pair of FAI101, mean over one group minus mean over the
    other; they add up to the gap. It is not applicable where the interval of that pair's gap contains 0. ``remove``
    defines what replaces a removed column: Marginal of a comparison group makes the values quantitative input
    influence. ``rows`` rows of each group are drawn without replacement, in proportion to the decisions of the group
    and weighted so that they have its rate, with ``budget`` coalitions each; all 2^n when they fit.

    fairlearn's bootstrap interval for a largest difference excludes 0 even where no groups differ; this one does not.
    """
    if rows < 2 or not 0 < level < 1 or budget < 2 or not 0 <= threshold <= 1:
        raise InputError(
            f"rows={rows}, level={level}, budget={budget}, threshold={threshold}; needed are at least 2 rows per "
            f"group, a level between 0 and 1, a budget of at least 2 and a threshold from 0 to 1."
        )
    if not 0 <= ratio <= 1 or smallest < 1 or ranges < 0 or ranges == 1:
        raise InputError(
            f"ratio={ratio}, smallest={smallest}, ranges={ranges}; needed are a ratio from 0 to 1, at least 1 row, and "
            f"no ranges (0) or at least 2."
        )
    every, reason = every_attribute(groups, len(case), ranges, combine)
    decided, positive = _decisions(case, favourable, labels)
    settings = _Settings(level, threshold, ratio, smallest, rows, budget)
    findings: list[Finding] = []
    for name, group in every.items():
        found = _findings(decided, group, positive, remove, settings)
        findings += [one.of(name) if name else one for one in found]
    return findings + ([not_combined(PARITY, list(every), reason, case.model.name)] if reason else [])


def _decisions(case: Case, favourable: Any, labels: Any) -> tuple[Case, Masks | None]:
    """The case of favourable decisions, and whether each row's true label is favourable (``None`` if unknown)."""
    chosen = class_position(case, favourable)
    decided = replace(case.with_target("decision"), label=np.full(len(case), chosen))
    if labels is None or (hasattr(labels, "__len__") and len(labels) == 0):
        return decided, None
    return decided, np.asarray(true_labels(case.model, labels, len(case), case.prediction) == chosen)


def _findings(decided: Case, group: Any, positive: Masks | None, remove: Removal, settings: _Settings) -> list[Finding]:
    """The findings for one sensitive attribute."""
    selected, every = decided.output > 0.5, np.ones(len(decided), dtype=bool)
    counted = [(PARITY, every)]
    if positive is not None:
        counted += [(TRUE_POSITIVES, positive), (FALSE_POSITIVES, ~positive)]
    rates = {check: rates_of(selected, group, rows, settings.smallest) for check, rows in counted}
    selection, name = rates[PARITY], decided.model.name
    judged = {check: Judged(settings.level, settings.threshold) for check in rates}
    judged[RATIO] = Judged(settings.level, settings.ratio)

    def about(check: Check, lower: str) -> dict[str, Any]:
        """The share of rows of the group with the lower rate, and its rows that were decided unfavourably."""
        rows = every if check is RATIO else dict(counted)[check]
        denied = np.flatnonzero((group == lower) & rows & ~selected)[:MAX_ROWS]
        return {"affected": float((group == lower).mean()), "rows": tuple(decided.rows.ids[i] for i in denied)}

    seed = decided.seed.child("groups exchanged")
    return [
        *(gap_finding(check, found, judged[check], name, about, seed) for check, found in rates.items()),
        ratio_finding(RATIO, selection, judged[RATIO], name, about, seed),
        _drivers(decided, group, selection, remove, settings),
    ]


def _drivers(decided: Case, group: Any, found: GroupRates, remove: Removal, settings: _Settings) -> Finding:
    name = decided.model.name
    if decided.rows.text is not None:
        claim = "The rows are texts, whose words are not the same parts in every row; a gap has no drivers among them."
        advice = "Give a table of properties of the texts to find which of them drive the gap."
        return not_applicable(DRIVERS, claim, name, advice, {})
    if len(found.counts) < 2:
        return undefined(DRIVERS, found, name)
    pair = found.gaps(settings.level)[0]
    if pair.low <= 0:
        return _no_gap(pair, settings.level, name)
    masks = tuple(np.asarray(group == one) for one in (pair.upper, pair.lower))
    parts = decompose_gap(decided, (masks[0], masks[1]), remove, settings.rows, settings.budget)
    return _contributions(decided, pair, parts, found, settings.level)


def _no_gap(pair: Gap, level: float, subject: str) -> Finding:
    claim = (
        f"There is no gap to explain: the selection rates of groups {pair.upper} and {pair.lower} differ by "
        f"{pair.value:.3f} [0, {pair.high:.3f}], which is not shown to differ from 0 at {level:.0%}."
    )
    evidence = {"upper": pair.upper, "lower": pair.lower, "gap of all rows": pair.value}
    return not_applicable(DRIVERS, claim, subject, "Nothing to do; more rows may show a gap.", evidence)


def _contributions(decided: Case, pair: Gap, parts: Decomposition, found: GroupRates, level: float) -> Finding:
    names, order = decided.features.names, np.argsort(-np.abs(parts.values), kind="stable")
    top, most = int(order[0]), float(parts.values[order[0]])
    half = float(scipy_stats.norm.ppf(1 - (1 - level) / 2 / len(names)) * parts.stderr[top])
    upper, lower = parts.rows
    return Finding(
        code=DRIVERS.code,
        verdict="informative",
        claim=(
            f"{names[top]} contributes {_signed(most, '+')} to the selection-rate gap of {_signed(parts.gap)} between "
            f"groups {pair.upper} and {pair.lower}, the largest of {len(names)} features ({upper} + {lower} sampled "
            f"rows)."
        ),
        subject=decided.model.name,
        estimate=most,
        interval=Interval(most - half, most + half, level, f"normal, {len(names)} features"),
        null=0.0,
        n=upper + lower,
        meaning=MEANING[DRIVERS.code],
        advice=DRIVERS_ADVICE,
        evidence={
            "upper": pair.upper,
            "lower": pair.lower,
            "sampled rows": {pair.upper: upper, pair.lower: lower},
            "all rows": {name: found.counts[name][1] for name in (pair.upper, pair.lower)},
            "gap of sampled rows": parts.gap,
            "gap of all rows": pair.value,
            "baseline difference": parts.base,
            "columns": [_line(names[i], parts.values[i], parts.stderr[i]) for i in order[:MAX_LISTED]],
            "other columns": float(parts.values[order[MAX_LISTED:]].sum()),
        },
    )


def _signed(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "−")


def _line(name: str, contribution: float, stderr: float) -> dict[str, Any]:
    return {"name": name, "contribution": float(contribution), "stderr": float(stderr)}
