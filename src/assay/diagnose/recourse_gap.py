# SPDX-License-Identifier: Apache-2.0
"""Gaps between groups in the cost of recourse: how far denied rows are from a favourable decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.samples.group_gaps import areas_of_groups
from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.changes.column_rules import column_names, column_rules
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.fairness.disparity_texts import MEANING
from assay.engine.fairness.gap_findings import every_attribute, not_applicable, not_combined
from assay.engine.recourse.causes import Causes
from assay.engine.recourse.question import Question
from assay.engine.recourse.searched import most_evaluations
from assay.engine.recourse.solvers import kind_of, solve
from assay.engine.retraining.labelled_rows import class_position
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import MAX_ROWS, Finding

PERMUTATIONS = 199
"""Exchanges of the groups from which ``null_interval`` is read."""

_REMEDY = (
    "Look at the columns that the denied rows of this group have to change (explain.counterfactual), and whether the "
    "group can change them; more or better columns for the group can shorten the way."
)
GAP = Check(
    "FAI501",
    "Is the way to a favourable decision longer for the denied rows of one group than for those of others?",
    _REMEDY,
    0.64,
    "at most",
    origin="a medium effect by Vargha and Delaney (2000)",
    severe=0.71,
)
ADVICE = {
    "pass": "No action needed on this evidence; name the columns that people can change, and repeat.",
    "fail": _REMEDY,
    "undecided": "More denied rows of the smaller group would decide; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    options = {"favourable": inputs.favourable_class, **inputs.options_of(method)}
    if inputs.train is not None:
        options.setdefault("background", inputs.train[0])
    return [Call((inputs.case, dict(inputs.groups)), options)]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The decisions of all rows, and again of the denied ones for each attribute; searched models at most so often."""
    given = {"max_nodes": 2000} | dict(inputs.options.get("recourse_gap", {}))
    denied = (len(inputs.groups) + 1) * len(inputs.case)
    each = 1
    if kind_of(inputs.case) == "searched":
        each += most_evaluations(len(inputs.case.features), given["max_nodes"])
    return Cost(len(inputs.case) + denied * each) * inputs.model.passes_per_row


@dataclass(frozen=True, eq=False)
class _Ways:
    """The denied rows with a known way: their places, its cost (∞: there is none) and columns; and how many without."""

    places: Ints
    cost: Floats
    changed: tuple[tuple[str, ...], ...]
    undecided: int


@diagnostic(
    source="ustun2019",
    needs={"classes", "table", "groups", "favourable"},
    optional={"train"},
    checks=(GAP,),
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def recourse_gap(
    case: Case,
    groups: Any,
    *,
    favourable: Any,
    columns: tuple[str, ...] = (),
    up: tuple[str, ...] = (),
    down: tuple[str, ...] = (),
    values: Mapping[str, Sequence[Any]] | None = None,
    bounds: Mapping[str, Sequence[Any]] | None = None,
    background: Any = None,
    rows: int = 100,
    smallest: int = 10,
    level: float = 0.95,
    threshold: float = 0.64,
    combine: bool = True,
    ranges: int = 0,
    max_nodes: int = 2000,
) -> list[Finding]:
    """How much more the way to a ``favourable`` decision costs the denied rows of one group than those of the others.

    ``groups``, ``combine``, ``ranges`` are as in ``diagnose.disparity``. Of the rows that the model does not decide to
    be ``favourable``, ``rows`` of each group are drawn; for each the cheapest allowed change after which it is decided
    so is found as in ``explain.counterfactual``, with costs in shares of each column's range in the ``background``
    (default: the rows). ``columns`` may change, by default all but the sensitive ones; ``up``, ``down``, ``values`` and
    ``bounds`` are its options.

    FAI501: the largest probability, over groups, that the way of a denied row of the group costs more than that of one
    of the other groups (ties half): the area under the ROC curve of the cost. Rows without any way count as those of
    the highest cost; rows for which ``max_nodes`` boxes did not suffice are left out, and counted. At most
    ``threshold``. The interval is Newcombe's for an area, at a level corrected for the number of groups (Bonferroni);
    ``null_interval`` exchanges the groups. Groups with fewer than ``smallest`` denied rows are left out. Exact ways
    exist for trees and linear classifiers; for others they are the cheapest that a search found.
    """
    if not (0 < level < 1 and 0.5 <= threshold <= 1) or smallest < 2 or rows < smallest or max_nodes < 1:
        raise InputError(
            f"level={level}, threshold={threshold}, smallest={smallest}, rows={rows}, max_nodes={max_nodes}; needed "
            f"are a level between 0 and 1, a threshold from 0.5 to 1, at least 2 rows of a group, and 1 box."
        )
    every, reason = every_attribute(groups, len(case), ranges, combine)
    wanted = class_position(case, favourable)
    denied = np.asarray(predicted_class(case.prediction, case.model.gives)) != wanted
    names = column_names(case)
    free = columns or tuple(name for name in names if name not in every)
    findings = []
    for name, group in every.items():
        chosen = _chosen(case.seed.child("denied rows", name), group, denied, rows)
        own = case.take(chosen) if len(chosen) else case.take([0])
        rules = column_rules(
            own, columns=free, up=up, down=down, values=values, bounds=bounds, unit="range", level=1.0,
            background=case.rows.in_callers_form(case.rows.x) if background is None else background,
        )  # fmt: skip
        question = Question(
            own, rules, Causes.none(len(names)), np.full(len(own), wanted), 0.0, 1, 1, max_nodes, None, None,
            to_floats(case.rows.x if background is None else case.rows.convert(background)),
        )  # fmt: skip
        ways = _ways(question, chosen) if len(chosen) else _Ways(chosen, np.empty(0), (), 0)
        found = _finding(case, group, ways, smallest, level, threshold)
        findings.append(found.of(name) if name else found)
    return findings + ([not_combined(GAP, list(every), reason, case.model.name)] if reason else [])


def _chosen(seed: Seed, group: Any, denied: Masks, rows: int) -> Ints:
    """Places of denied rows, at most ``rows`` of each group, drawn by the seed."""
    found = []
    for name in dict.fromkeys(group.tolist()):
        places = np.flatnonzero((group == name) & denied)
        drawn = seed.child(str(name)).generator().permutation(len(places))[:rows]
        found.append(places[np.sort(drawn)])
    return np.sort(np.concatenate(found)).astype(np.int64)


def _ways(question: Question, places: Ints) -> _Ways:
    answers = solve(question, np.arange(len(places)))
    names = column_names(question.case)
    known = [row for row in range(len(places)) if answers[row].points or answers[row].status == "infeasible"]
    cost = np.array([answers[row].points[0].cost if answers[row].points else np.inf for row in known])
    changed = tuple(
        tuple(names[place] for place in answers[row].points[0].intervened) if answers[row].points else ()
        for row in known
    )
    return _Ways(places[known], cost, changed, len(places) - len(known))


@dataclass(frozen=True, eq=False)
class _Compared:
    """Denied rows of groups that are large enough: their ways, group (row,), and each group against the others."""

    ways: _Ways
    group: Any
    names: tuple[str, ...]
    left_out: dict[str, int]

    @classmethod
    def of(cls, group: Any, ways: _Ways, smallest: int) -> _Compared:
        """Without the groups of fewer than ``smallest`` rows."""
        own = group[ways.places]
        counts = {name: int((own == name).sum()) for name in sorted(set(own.tolist()))}
        names = tuple(name for name, count in counts.items() if count >= smallest)
        which = np.flatnonzero(np.isin(own, names))
        changed = tuple(ways.changed[i] for i in which.tolist())
        rest = replace(ways, places=ways.places[which], cost=ways.cost[which], changed=changed)
        return cls(rest, own[which], names, {name: count for name, count in counts.items() if name not in names})

    @cached_property
    def areas(self) -> tuple[Floats, Ints, Ints]:
        """The area of each group against the others, and both counts."""
        return areas_of_groups(self.ways.cost, self.group, self.names)

    @property
    def worst(self) -> str:
        """The group of the largest area."""
        return self.names[int(np.argmax(self.areas[0]))]

    def claim(self) -> str:
        """The probability, the median costs, and the shares without a way."""
        inside, cost = self.group == self.worst, self.ways.cost
        median = [_cost_text(float(np.median(cost[part]))) for part in (inside, ~inside)]
        none = [float(np.isinf(cost[part]).mean()) for part in (inside, ~inside)]
        undecided = f" Of {self.ways.undecided} further rows no way is known." if self.ways.undecided else ""
        return (
            f"A denied row of group {self.worst} has a more expensive way to a favourable decision than one of another "
            f"group with probability {self.areas[0].max():.2f}: the median cost is {median[0]} against {median[1]}, "
            f"and {none[0]:.0%} against {none[1]:.0%} have no way.{undecided}"
        )

    def evidence(self, kind: str) -> dict[str, Any]:
        """The costs of each group, and what the rows of the worst have to change."""
        cost = self.ways.cost
        changed = [self.ways.changed[i] for i in np.flatnonzero(self.group == self.worst).tolist()]
        groups = {
            name: {
                "denied rows": int((self.group == name).sum()),
                "median cost": _finite(np.median(cost[self.group == name])),
                "without a way": float(np.isinf(cost[self.group == name]).mean()),
                "probability of a more expensive way": float(area),
            }
            for name, area in zip(self.names, self.areas[0])
        }
        return {
            "groups": groups,
            "columns changed in the group": _most_changed(changed),
            "groups left out": self.left_out,
            "rows left out": self.ways.undecided,
            "ways": "searched" if kind == "searched" else "cheapest, proved",
        }


def _finding(case: Case, group: Any, ways: _Ways, smallest: int, level: float, threshold: float) -> Finding:
    compared = _Compared.of(group, ways, smallest)
    if len(compared.names) < 2:
        sizes = compared.left_out | {name: int((compared.group == name).sum()) for name in compared.names}
        listed = ", ".join(f"{name}: {count}" for name, count in sizes.items()) or "none"
        return not_applicable(
            GAP,
            f"Fewer than two groups have at least {smallest} denied rows ({listed}); nothing can be compared.",
            case.model.name,
            "Give more denied rows of these groups, or merge groups.",
            {"groups left out": compared.left_out},
        )
    areas, counts, others = compared.areas
    cost, worst = compared.ways.cost, compared.group == compared.worst
    order = [i for i in np.argsort(-cost, kind="stable").tolist() if worst[i]]
    seed = case.seed.child("groups exchanged", GAP.code)
    return judged_finding(
        GAP,
        Basis("areas", {"areas": areas, "counts": counts, "others": others}),
        level,
        threshold,
        ADVICE,
        claim=compared.claim(),
        subject=case.model.name,
        estimate=float(areas.max()),
        null=0.5,
        null_interval=_exchanged(cost, compared.group, compared.names, level, seed),
        n=len(cost),
        meaning=MEANING[GAP.code],
        threshold_origin=GAP.origin if threshold == GAP.threshold else "",
        affected=float((group == compared.worst).mean()),
        rows=tuple(case.rows.ids[compared.ways.places[i]] for i in order[:MAX_ROWS]),
        evidence=compared.evidence(kind_of(case)),
    )


def _most_changed(changed: Sequence[tuple[str, ...]]) -> dict[str, float]:
    """The share of rows whose cheapest way changes each column, the most frequent first."""
    names = [name for one in changed for name in one]
    counts = sorted(((names.count(name), name) for name in dict.fromkeys(names)), key=lambda one: -one[0])
    return {name: count / len(changed) for count, name in counts[:8]}


def _exchanged(cost: Floats, own: Any, kept: Sequence[str], level: float, seed: Seed) -> Interval:
    generator = seed.generator()
    found = [areas_of_groups(cost, generator.permutation(own), kept)[0].max() for _ in range(PERMUTATIONS)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, "permutation")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _cost_text(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "infinite"
