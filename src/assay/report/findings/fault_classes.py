# SPDX-License-Identifier: Apache-2.0
"""The fault classes by which the page groups findings."""

from __future__ import annotations

EXPLANATIONS, ROBUSTNESS = "Explanations", "Robustness, attacks and certificates"

FAULT_CLASSES = {
    "PER": "Performance",
    "FAI": "Fairness",
    "PRV": "Privacy",
    "ROB": ROBUSTNESS,
    "ATK": ROBUSTNESS,
    "CRT": ROBUSTNESS,
    "SHC": "Shortcuts",
    "DAT": "Data",
    "CPT": "Concepts",
    "ITP": "Interpretable models",
    "RED": "Red teaming",
    "SHF": "Shift of explanations",
    "TRU": EXPLANATIONS,
    "EXP": EXPLANATIONS,
    "SAN": EXPLANATIONS,
    "STA": EXPLANATIONS,
    "SCO": EXPLANATIONS,
    "RUN": "The audit itself",
}
"""The heading of each family of checks."""

OTHER = "Other checks"
"""The heading of families that this package does not know: checks of the caller's own."""


def fault_class(code: str) -> str:
    """The heading under which the page lists a check."""
    return FAULT_CLASSES.get(code[:3], OTHER)
