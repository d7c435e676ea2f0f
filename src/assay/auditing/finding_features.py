# SPDX-License-Identifier: Apache-2.0
"""Which features matter at the rows that show a fault, by the explanation of the audit that is tested best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.diagnose.explanation_trust import TRUST
from assay.nouns.results.finding import Finding, Verdict
from assay.nouns.results.result import Explanation

NAMED, FEWEST_ROWS = 3, 3
"""Features that are named, and the fewest explained rows that they are named from."""

TRUSTED_FIRST: tuple[Verdict, ...] = ("pass", "informative", "undecided", "rejected", "fail", "not applicable")
"""Verdicts on an explanation (TRU001), the most trusted first; "informative" is "use with care"."""


def most_trusted(findings: Sequence[Finding], names: Sequence[str]) -> str:
    """The explanation among ``names`` with the best verdict, of equals the first; empty where none was judged."""
    trust = {f.subject: f.verdict for f in findings if f.code == TRUST.code and f.subject in names}
    return min(trust, key=lambda name: (TRUSTED_FIRST.index(trust[name]), names.index(name)), default="")


def name_features(findings: Sequence[Finding], name: str, explanations: Sequence[Explanation]) -> list[Finding]:
    """The findings that fail or are undecided, with the features that matter most at their rows.

    The features with the largest mean |value| at those of their rows that one of ``explanations`` explains, all by the
    method ``name``, whose verdict is named too. Findings with fewer than ``FEWEST_ROWS`` such rows, or about training
    rows, name none.
    """
    verdict = next((f.verdict for f in findings if (f.code, f.subject) == (TRUST.code, name)), None)
    if verdict is None:
        return list(findings)
    values = {one: e.values[row] for e in explanations for row, one in enumerate(e.ids)}
    names = tuple(map(str, explanations[0].features.names))
    return [_named(finding, values, names, name, verdict) for finding in findings]


def _named(
    finding: Finding, values: Mapping[Any, Floats], names: Sequence[str], method: str, verdict: Verdict
) -> Finding:
    sizes = [np.abs(values[one]) for one in finding.rows if one in values and finding.rows_of == "data"]
    sizes = [one for one in sizes if len(one) == len(names)]
    if finding.verdict not in ("fail", "undecided") or len(sizes) < FEWEST_ROWS:
        return finding
    if np.isnan(sizes).all(axis=0).any():
        return finding
    order = np.argsort(-np.nanmean(sizes, axis=0), kind="stable")[:NAMED]
    features = tuple(names[i] for i in order)
    return replace(finding, features=features, features_by=method, features_verdict=verdict)
