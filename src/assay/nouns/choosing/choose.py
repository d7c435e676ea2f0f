# SPDX-License-Identifier: Apache-2.0
"""The choice of methods from the table."""

from __future__ import annotations

from collections.abc import Collection

from assay.basics.errors import InputError
from assay.nouns.choosing.choice import DATA, MODELS, PAIRS, Camp, Choice, Goal, Kind
from assay.nouns.choosing.choices import CHOICES, WHY_NONE

MOST = 4
"""Most methods named."""


def choose(goal: Goal, kinds: Collection[Kind] = (), camps: Collection[Camp] = ()) -> tuple[Choice, ...]:
    """The methods for a goal, best first, at most ``MOST``; none where no method is in all of these kinds and camps.

    Raises ``InputError`` for two camps of one pair, and for kinds that exclude each other.
    """
    for pair in (*PAIRS, tuple(DATA), tuple(MODELS)):
        both = [name for name in pair if name in (*kinds, *camps)]
        if len(both) > 1:
            raise InputError(f"{' and '.join(both)} exclude each other; give one of them.")
    if "trees" in kinds and {"image", "text", "language-model"} & set(kinds):
        raise InputError("assay reads the trees of models of tables only; give --kind table,trees, or leave out trees.")
    found: dict[str, Choice] = {}
    for choice in CHOICES:
        if choice.suits(goal, kinds, camps):
            found.setdefault(choice.method, choice)
    return tuple(found.values())[:MOST]


def why_none(goal: Goal, kinds: Collection[Kind] = (), camps: Collection[Camp] = ()) -> str:
    """Why no method is chosen, and which single camp or kind, left out, gives some."""
    wider = [
        f"without {name}: {', '.join(choice.method for choice in found)}"
        for name in (*camps, *kinds)
        if (found := choose(goal, [k for k in kinds if k != name], [c for c in camps if c != name]))
    ]
    sentence = WHY_NONE.get(goal, "")
    return " ".join(filter(None, [f"no method of assay for {', '.join((goal, *kinds, *camps))}.", sentence])) + (
        f" {'; '.join(wider)}." if wider else ""
    )
