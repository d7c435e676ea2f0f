# SPDX-License-Identifier: Apache-2.0
"""Findings about the rates of groups: the largest gap, the smallest ratio, and why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.check_findings import judged_finding
from assay.engine.fairness.disparity_texts import ADVICE, MEANING, RATE
from assay.engine.fairness.groups import combine_columns, combined_name
from assay.engine.fairness.null_gaps import null_gap, null_ratio
from assay.engine.fairness.rates import MAX_LISTED, GroupRates, gaps_against_rest, list_sizes
from assay.engine.sensitive_groups import group_names, sensitive_columns
from assay.nouns.catalogue import Check
from assay.nouns.results.finding import Finding

About = Callable[[Check, str], Mapping[str, Any]]
"""The fields of a finding about the group with the lower rate, by check and group."""


@dataclass(frozen=True)
class Judged:
    """The level of the interval, and the threshold."""

    level: float
    threshold: float


def every_attribute(groups: Any, rows: int, ranges: int, combine: bool) -> tuple[dict[str, Any], str]:
    """The group of each row (row,) by sensitive attribute, their combination too, and why there is no combination."""
    columns = sensitive_columns(groups)
    named = {name: group_names(values, rows, name, ranges) for name, values in columns.items()}
    if not named:
        raise InputError("there is no column of groups. Give one group a row, or a frame of sensitive columns.")
    combined, reason = combine_columns(named) if combine else (None, "")
    return (named if combined is None else named | {combined_name(list(named)): combined}), reason


def gap_finding(check: Check, found: GroupRates, judged: Judged, subject: str, about: About, seed: Seed) -> Finding:
    """The finding about the largest gap of a rate between two groups."""
    if len(found.counts) < 2:
        return undefined(check, found, subject)
    rates, gaps = found.rates, found.gaps(judged.level)
    largest, basis = gaps[0], found.basis("pairs")
    return judged_finding(
        check,
        basis,
        judged.level,
        judged.threshold,
        ADVICE,
        claim=(
            f"The {RATE[check.code]} is {rates[largest.upper]:.1%} in group {largest.upper} and "
            f"{rates[largest.lower]:.1%} in group {largest.lower}, a gap of {largest.value:.3f}.{found.remark}"
        ),
        subject=subject,
        estimate=largest.value,
        null=0.0,
        null_interval=null_gap(**basis.data, level=judged.level, seed=seed.child(check.code)),
        n=found.rows,
        meaning=MEANING[check.code],
        evidence=list_rates(found)
        | {
            "pairs": list_contrasts(gaps),
            "one group against the rest": list_contrasts(gaps_against_rest(found.counts, judged.level)),
            "ratios": list_contrasts(found.ratios(judged.level)),
        },
        **about(check, largest.lower),
    )


def ratio_finding(check: Check, found: GroupRates, judged: Judged, subject: str, about: About, seed: Seed) -> Finding:
    """The finding about the smallest ratio of a rate of two groups."""
    if len(found.counts) < 2:
        return undefined(check, found, subject)
    rates, ratios = found.rates, found.ratios(judged.level)
    if not ratios:
        return not_applicable(
            check,
            f"No row of any group has the favourable decision; the ratio of their rates is undefined.{found.remark}",
            subject,
            "Check that this is the favourable class, and give rows that the model decides favourably.",
            list_rates(found),
        )
    least, basis = ratios[0], found.basis("ratios")
    return judged_finding(
        check,
        basis,
        judged.level,
        judged.threshold,
        ADVICE,
        claim=(
            f"The selection rate is {rates[least.lower]:.1%} in group {least.lower} and {rates[least.upper]:.1%} in "
            f"group {least.upper}, a ratio of {least.value:.2f}.{found.remark}"
        ),
        subject=subject,
        estimate=least.value,
        null=1.0,
        null_interval=null_ratio(**basis.data, level=judged.level, seed=seed.child(check.code)),
        n=found.rows,
        meaning=MEANING[check.code],
        threshold_origin=check.origin if judged.threshold == check.threshold else "",
        evidence=list_rates(found) | {"ratios": list_contrasts(ratios)},
        **about(check, least.lower),
    )


def list_rates(found: GroupRates) -> dict[str, Any]:
    """The rate and the rows of each group, and the groups left out."""
    rates = {name: {"rate": found.rates[name], "n": trials} for name, (_, trials) in found.counts.items()}
    return {"rates": rates, "groups left out": dict(found.left_out)}


def list_contrasts(contrasts: Sequence[Any]) -> list[dict[str, Any]]:
    """The first gaps or ratios as plain data."""
    return [vars(contrast) for contrast in contrasts[:MAX_LISTED]]


def undefined(check: Check, found: GroupRates, subject: str) -> Finding:
    """The finding where fewer than two groups have enough rows."""
    sizes = {name: trials for name, (_, trials) in found.counts.items()} | dict(found.left_out)
    claim = (
        f"Fewer than two groups have at least {found.smallest} rows to count in the {RATE[check.code]} "
        f"({list_sizes(sizes)}); nothing can be compared."
    )
    advice = "Give more rows of these groups, merge groups, or count smaller ones with smallest=…"
    return not_applicable(check, claim, subject, advice, {"groups left out": dict(found.left_out)})


def not_combined(check: Check, names: Sequence[str], reason: str, subject: str) -> Finding:
    """The finding that the combinations of several attributes are not tested."""
    claim = f"The combinations of these columns are not tested: {reason}."
    advice = "Merge rare groups, or name two or three columns whose combinations matter."
    return not_applicable(check, claim, subject, advice, {}).of(combined_name(names))


def not_applicable(check: Check, claim: str, subject: str, advice: str, evidence: Mapping[str, Any]) -> Finding:
    """The finding of a check that has nothing to judge."""
    return Finding(
        code=check.code,
        verdict="not applicable",
        claim=claim,
        subject=subject,
        meaning=MEANING[check.code],
        advice=advice,
        evidence=evidence,
    )
