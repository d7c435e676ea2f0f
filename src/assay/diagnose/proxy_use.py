# SPDX-License-Identifier: Apache-2.0
"""Parts of trees and of linear models that stand in for a sensitive attribute and influence decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.proxies.linear_parts import LinearParts, LinearWitness, largest_possible, linear_witness
from assay.engine.proxies.options import LINEAR_INFLUENCE, TREE_INFLUENCE, ProxyLimits, column_names
from assay.engine.proxies.tree_parts import RoutedForest, affordable_rows
from assay.engine.proxies.tree_witnesses import TreeSearch, Witness, search_trees
from assay.engine.sensitive_groups import group_names, sensitive_columns
from assay.engine.trees.tree_case import forest_of
from assay.model.linear_scores import is_linear
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import MAX_ROWS, Finding, judge

MAX_LISTED = 8
"""Most witnesses, or columns of a linear proxy, that are listed as evidence."""

_REMEDY = (
    "Decide whether these columns may be used for such a decision, and name them in allowed= if so; "
    "repair.replace_proxy removes the part and measures what that costs."
)
TREES = Check(
    "FAI201",
    "How often does a part of the trees that stands in for a sensitive attribute change a decision?",
    _REMEDY,
    TREE_INFLUENCE,
    "at most",
    severe=0.1,
    origin="half the gap that FAI101 allows: the influence of a perfect proxy of two equal groups is half of its gap",
)
LINEAR = Check(
    "FAI202",
    "How much of a linear score's variance comes from a part that stands in for a sensitive attribute?",
    _REMEDY,
    LINEAR_INFLUENCE,
    "at most",
    severe=0.6,
    origin="the gap that FAI101 allows: a proxy of squared correlation 0.1 shifts two equal groups by as much",
)
CHECKS = (TREES, LINEAR)

MEANING = {
    TREES: "Influence of the strongest witness: the share of pairs of rows for which the decision about one changes "
    "when the part of the trees gets the other row instead, 0 … 1; 0 is no proxy use. A witness is a part whose output "
    "is associated with the groups more than chance explains. A justified column that differs between groups makes one "
    "too: name it in allowed=. Groups that several parts only reveal together are not found.",
    LINEAR: "Variance of the strongest proxy over that of the score; 0 is no proxy use, and above 1 is possible "
    "where other parts cancel it. The proxy is a part Σ αᵢ cᵢ of the score with weights 0 … 1. A justified column that "
    "differs between groups makes one too: name it in allowed=.",
}
ADVICE = {
    "pass": "No action needed on this evidence; repeat when the population changes.",
    "fail": _REMEDY,
    "undecided": "More rows would decide: that a part is associated with the groups is neither shown nor excluded.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call for all sensitive attributes."""
    return [Call((inputs.case, dict(inputs.groups)), inputs.options_of(method))]


@diagnostic(
    source="datta2017",
    needs={"classes", "groups", "parts"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=lambda inputs: Cost(),
)
def proxy_use(
    case: Case,
    groups: Any,
    *,
    allowed: tuple[str, ...] = (),
    justifies: Callable[[dict[str, Any]], bool] | None = None,
    association: float | None = None,
    level: float = 0.95,
    threshold: float | None = None,
    ranges: int = 0,
    rows: int = 1000,
    linear: bool = True,
) -> list[Finding]:
    """How much decisions depend on a part of the model that stands in for a sensitive attribute (proxy use).

    ``groups`` are those of ``diagnose.disparity``: one label a row, or several columns, each tested by itself.
    ``allowed`` names columns whose use is justified (business necessity): parts that read no others are left out.
    ``justifies`` is a function that gets each witness of trees as a dict with its columns, influence and association,
    and says whether its use is justified.

    **Trees and sums of trees** (FAI201; Datta et al. 2017). Parts p₁ of the program p(x) = p₂(x, p₁(x)) are all splits
    on one column together, every sub-tree, and for several trees the sum of all largest sub-trees that read one column
    alone. Sub-trees that read more than half of the columns that the trees read are the model, not a part: their
    association is the gap of FAI101. Association of a part's output U with the group Z:
    1 − [H(U|Z) + H(Z|U)] / H(U, Z), 0 … 1; U is the decision of a single tree's sub-tree, else the value or the turns,
    cut at deciles. A part is a witness where this exceeds by ``association`` (default 0.02) what permuted groups
    give, and in the test of all parts together at 1 % (199 permutations). Influence: Pr[p(X) ≠ p₂(X, p₁(X′))] over all
    pairs of at most ``rows`` rows (drawn by the seed; fewer for large forests), X′ routed through the part also
    where it would not reach it; exact but for columns with more than 40 outcomes, which 40 of about equal frequency
    represent. The estimate is the largest influence of a witness; the interval is simultaneous for all parts, from 0
    where no witness is shown. Witnesses that overlap a more influential one are not listed. At most 150 sub-trees and
    sums, those of the largest effect, are examined.

    **Linear classifiers of two classes** (FAI202; Yeom, Datta and Fredrikson 2018), also behind a Pipeline, all codes
    of a column with one weight. The strongest part of squared correlation ``association`` (default 0.1) at least with
    a group against the rest is found on one half of the rows, and measured on the other, where its correlation must
    be shown at 1 %. The evidence has an upper bound on the influence of every such part: equal to the proxy's it proves
    that none is stronger. Needs the extra ``proxies`` (cvxpy, clarabel); ``linear=False`` leaves linear models out.

    Passing means that no such part is left to be shown: undecided where the rows are too few to exclude one.
    """
    if not 0 < level < 1 or rows < 4:
        raise InputError(f"level={level}, rows={rows}; needed are a level between 0 and 1 and at least 4 rows.")
    columns = sensitive_columns(groups)
    named = {name: group_names(values, len(case), name, ranges) for name, values in columns.items()}
    if not named:
        raise InputError("there is no column of groups. Give one group a row, or a frame of sensitive columns.")
    is_score = is_linear(case.model) and not case.model.rows_exact
    limits = ProxyLimits.of(case, allowed, justifies, association, threshold, linear=is_score)
    if is_score and not linear:
        return [_left_out(case)]
    rows = rows if is_score else min(rows, affordable_rows(forest_of(case)))
    if not is_score and len(case) > rows:
        drawn = np.sort(case.seed.child("rows").generator().choice(len(case), rows, replace=False))
        case, named = case.take(drawn), {name: found[drawn] for name, found in named.items()}
    about = _linear_findings(case, named, limits, level) if is_score else _tree_findings(case, named, limits, level)
    return [found.of(name) if name else found for name, found in about.items()]


def _left_out(case: Case) -> Finding:
    return Finding(
        code=LINEAR.code,
        verdict="not applicable",
        claim="Proxies of linear models were left out (linear=False); an audit looks for them in profile deep.",
        subject=case.model.name,
        meaning=MEANING[LINEAR],
        advice="Use the profile deep, or call diagnose.proxy_use.",
    )


def _codes(groups: Any) -> tuple[list[str], Ints]:
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    return [str(name) for name in names], np.asarray(codes.ravel(), dtype=np.int64)


def _tree_findings(case: Case, named: Mapping[str, Any], limits: ProxyLimits, level: float) -> dict[str, Finding]:
    forest, names = forest_of(case), column_names(case)
    routed = RoutedForest.of(forest, case.model.kind, forest.matrix(case.rows))
    found = {}
    for name, groups in named.items():
        group, codes = _codes(groups)
        seed = case.seed.child("proxies", name)
        search = search_trees(routed, codes, names, limits, seed)
        found[name] = _tree_finding(case, routed, search, group, codes, limits, level)
    return found


def _tree_finding(
    case: Case,
    routed: RoutedForest,
    search: TreeSearch,
    group: list[str],
    codes: Ints,
    limits: ProxyLimits,
    level: float,
) -> Finding:
    names, possible = column_names(case), search.possible
    maximal = search.maximal(routed.forest)
    values = np.stack([one.spread for one in possible], axis=1) if possible else np.zeros((len(case), 0))
    shown = np.array([one.is_shown for one in possible], dtype=bool)
    strongest = maximal[0] if maximal else None
    return judged_finding(
        TREES,
        Basis("parts", {"values": values, "shown": shown, "parts": np.array(len(search.found))}),
        level,
        limits.threshold,
        ADVICE,
        claim=_tree_claim(strongest, names, group, codes, search),
        subject=case.model.name,
        estimate=strongest.influence if strongest else 0.0,
        null=0.0,
        n=len(case),
        meaning=MEANING[TREES],
        affected=float((strongest.concerned > 0).mean()) if strongest else 0.0,
        rows=_rows_of(case, strongest),
        evidence={
            "witnesses": [one.described(names) for one in maximal[:MAX_LISTED]],
            "output by group": _by_group(strongest, routed, group, codes) if strongest else [],
            "parts that are associated with the groups": len(search.shown),
            "parts tested": search.tested,
            "parts not examined": search.left_out,
            "parts allowed": search.allowed,
            "strongest part not excluded": possible[0].described(names) if possible else {},
        },
    )


def _tree_claim(one: Witness | None, names: Sequence[str], group: list[str], codes: Ints, search: TreeSearch) -> str:
    if one is None:
        what = "that changes decisions " if search.tested else ""
        return (
            f"None of {search.tested} parts of the trees {what}is shown to be associated with the groups "
            f"{' and '.join(group[:4])}{' …' if len(group) > 4 else ''}."
        )
    read = _listed([names[element] for element in one.part.elements])
    part = f"{one.part.name[:1].upper()}{one.part.name[1:]}"
    several = " splits " in part
    what = (
        part.replace("one column", read) if several else f"{part} {'on' if one.part.turns is not None else 'of'} {read}"
    )
    return (
        f"{what} {'are' if several else 'is'} associated with the groups ({one.association:.3f}, {one.chance:.3f} by "
        f"chance, Cramér's V {one.cramer:.2f}); with another row in {'their' if several else 'its'} place "
        f"{one.influence:.1%} of decisions change."
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:4])} and {len(names) - 4} more" if len(names) > 4 else " and ".join(names)


def _rows_of(case: Case, one: Witness | None) -> tuple[Any, ...]:
    if one is None:
        return ()
    order = np.argsort(-one.concerned, kind="stable")[:MAX_ROWS]
    return tuple(case.rows.ids[i] for i in order if one.concerned[i] > 0)


def _by_group(one: Witness, routed: RoutedForest, group: list[str], codes: Ints) -> list[dict[str, Any]]:
    """How the output of the witness is distributed in each group."""
    levels = range(int(one.part.code.max()) + 1)
    return [
        {"group": name, "rows": int((codes == place).sum())}
        | {f"output {level + 1}": float((one.part.code[codes == place] == level).mean()) for level in levels}
        for place, name in enumerate(group[:MAX_LISTED])
    ]


def _linear_findings(case: Case, named: Mapping[str, Any], limits: ProxyLimits, level: float) -> dict[str, Finding]:
    names = column_names(case)
    parts = LinearParts.of(case).without(names, limits.allowed)
    found = {}
    for name, groups in named.items():
        witness = linear_witness(parts, groups.tolist(), limits.association, case.seed.child("proxies", name))
        if witness is not None and witness.is_shown:
            found[name] = _linear_finding(case, parts, witness, names, limits, level)
        else:
            bound = largest_possible(parts, groups.tolist(), limits.association) if len(parts.elements) else 0.0
            found[name] = _no_linear_proxy(case, bound, limits, level)
    return found


def _linear_finding(
    case: Case, parts: LinearParts, one: LinearWitness, names: Sequence[str], limits: ProxyLimits, level: float
) -> Finding:
    part, score = ((values - values.mean()) ** 2 for values in (one.part, one.score))
    used = _used_columns(parts, one, names)
    proof = "no part is stronger" if one.proxy.is_certified else f"a stronger one may reach {one.proxy.bound:.3f}"
    return judged_finding(
        LINEAR,
        Basis("ratio", {"part": part, "whole": score}),
        level,
        limits.threshold,
        ADVICE,
        claim=(
            f"A part of the score made of {_listed([line['column'] for line in used])} has {one.influence:.3f} of its "
            f"variance and a squared correlation of {one.association:.3f} with group {one.group}; {proof}."
        ),
        subject=case.model.name,
        estimate=one.influence,
        null=0.0,
        n=len(one.part),
        meaning=MEANING[LINEAR],
        evidence={
            "group": one.group,
            "columns": used[:MAX_LISTED],
            "p": one.p,
            "in the rows that chose it": {
                "influence": one.proxy.influence,
                "association": one.proxy.association,
                "upper bound": one.proxy.bound,
                "gap to the bound": one.proxy.gap,
                "convex approximation": one.proxy.approximation,
            },
        },
    )


def _used_columns(parts: LinearParts, one: LinearWitness, names: Sequence[str]) -> list[dict[str, Any]]:
    """The columns of the proxy, those first that add most to its covariance with the group."""
    shares = one.proxy.alpha * one.covariance
    return [
        {
            "column": names[parts.elements[i]],
            "α": float(one.proxy.alpha[i]),
            "share of the covariance": float(shares[i] / shares.sum()),
            "standard deviation": float(one.proxy.alpha[i] * parts.added[:, i].std()),
        }
        for i in np.argsort(-shares / shares.sum(), kind="stable")
        if one.proxy.alpha[i] > 0
    ]


def _no_linear_proxy(case: Case, bound: float, limits: ProxyLimits, level: float) -> Finding:
    """No proxy is shown: a pass where the rows exclude one of more influence than allowed."""
    interval = Interval(0.0, bound, level, "semidefinite bound")
    verdict = judge(interval, limits.threshold, "at most")
    text = "" if verdict == "pass" else f" The rows do not exclude one of influence {bound:.3f}."
    return Finding(
        code=LINEAR.code,
        verdict=verdict,
        claim=f"No part of the score is shown to be associated with the groups (r² {limits.association:g}).{text}",
        subject=case.model.name,
        estimate=0.0,
        interval=interval,
        threshold=limits.threshold,
        direction="at most",
        null=0.0,
        n=len(case),
        meaning=MEANING[LINEAR],
        advice=ADVICE[verdict],
        affected=0.0,
        evidence={"upper bound": bound},
    )
