# SPDX-License-Identifier: Apache-2.0
"""Which features matter at the rows that show a fault, by the explanation of the audit that is tested best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from assay.diagnose.explanation_trust import TRUST
from assay.nouns.results.finding import Finding, Verdict
from assay.nouns.results.result import Explanation

NAMED, FEWEST_ROWS = 3, 3
"""Features that are named, and the fewest explained rows that they are named from."""

TRUSTED_FIRST: tuple[Verdict, ...] = ("pass", "informative", "undecided", "rejected", "fail", "not applicable")
"""Verdicts on an explanation (TRU001), the most trusted first; "informative" is "use with care"."""


def name_features(findings: Sequence[Finding], explanations: Mapping[str, Explanation]) -> list[Finding]:
    """The findings that fail or are undecided, with the features that matter most at their rows.

    The features with the largest mean |value| at the explained rows among ``rows``, by the explanation with the best
    verdict (of equals the first of the audit). Findings with fewer than ``FEWEST_ROWS`` such rows name none.
    """
    trust = {f.subject: f.verdict for f in findings if f.code == TRUST.code and f.subject in explanations}
    ranked = sorted(trust, key=lambda name: (TRUSTED_FIRST.index(trust[name]), list(explanations).index(name)))
    if not ranked:
        return list(findings)
    return [_named(finding, explanations[ranked[0]], ranked[0], trust[ranked[0]]) for finding in findings]


def _named(finding: Finding, explanation: Explanation, name: str, verdict: Verdict) -> Finding:
    places = [explanation.ids.index(one) for one in finding.rows if one in explanation.ids]
    if finding.verdict not in ("fail", "undecided") or len(places) < FEWEST_ROWS:
        return finding
    sizes = np.abs(explanation.values[places])
    if np.isnan(sizes).all(axis=0).any():
        return finding
    order = np.argsort(-np.nanmean(sizes, axis=0), kind="stable")[:NAMED]
    features = tuple(str(explanation.features.names[i]) for i in order)
    return replace(finding, features=features, features_by=name, features_verdict=verdict)
