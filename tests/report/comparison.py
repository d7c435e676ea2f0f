"""Comparisons to render: one with every kind of change, one with a given text everywhere."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tests.report.record import LEAK, PROXY

from assay.basics.stats import Interval
from assay.nouns.comparisons.audit_comparison import Change, ChangeStatus, Comparison, Drift
from assay.nouns.results.finding import Finding


def span(low: float, high: float, level: float = 0.95) -> Interval:
    return Interval(low, high, level, "student")


def changed(status: ChangeStatus, before: Finding | None, after: Finding | None, **more: Any) -> Change:
    """A change of +0.1 [0.05, 0.15], not paired; without numbers where one side is missing."""
    some = before or after
    assert some is not None
    both = before is not None and after is not None
    given: dict[str, Any] = {
        "change": 0.1 if both else math.nan,
        "interval": span(0.05, 0.15, 0.99) if both else None,
        "paired": False,
        "rows": 0,
    }
    return Change(some.code, some.subject, status, before, after, **(given | more))


SOUND = replace(PROXY, verdict="pass", estimate=0.04, interval=span(-0.05, 0.07))
QUIET = replace(LEAK, code="PRV102")
ODD = replace(LEAK, code="DAT104", verdict="informative", estimate=math.nan, interval=None, threshold=None, null=None)


def comparison() -> Comparison:
    """One check for every kind of change, and two methods of which one drifted."""
    return Comparison(
        before="Scorecard of May, 0123456789abcdef",
        after="Scorecard of June, with gender, fedcba9876543210",
        changes=(
            changed("newly failing", SOUND, PROXY, change=0.143, interval=span(0.08, 0.21)),
            changed("worse", replace(LEAK, code="EXP201"), replace(LEAK, code="EXP201"), paired=True, rows=60),
            changed("gone", LEAK, None),
            changed("gone", replace(SOUND, code="FAI102"), None),
            changed("new", None, QUIET),
            changed("no change shown", ODD, ODD, change=math.nan, interval=None),
            changed("better", replace(LEAK, code="EXP203"), replace(LEAK, code="EXP203"), paired=True, rows=1),
            changed("fixed", replace(PROXY, code="FAI103"), replace(SOUND, code="FAI103")),
        ),
        drifts=(
            Drift("lime", "cosine", 0.97, span(0.95, 0.98), (0.9, 0.96), False, 44, 0),
            Drift("permutation_shapley", "rank correlation", 0.4, span(0.3, 0.5), (0.8, 0.9), True, 44, 16),
            Drift("permutation_shapley", "cosine", 1.0, span(1.0, 1.0), (1.0, 1.0), False, 44, 16),
        ),
        class_change_rate=span(0.16, 0.4),
        class_changes=16,
        rows=60,
        level=0.95,
        notes=("The seed differs: 0 against 1.",),
    )


def same() -> Comparison:
    """An audit compared with itself, without explanations."""
    change = changed("no change shown", PROXY, PROXY, change=0.0)
    unchanged = replace(comparison(), class_change_rate=None, class_changes=0)
    return replace(unchanged, changes=(change,), drifts=(), rows=0, notes=())


def evil(text: str) -> Comparison:
    """Every text is ``text``."""
    found = [replace(f, code=text, subject=text, claim=text) for f in (SOUND, PROXY)]
    whole = comparison()
    return replace(
        whole,
        before=f"{text}, {text}",
        after=text,
        changes=(changed("newly failing", *found), changed("gone", found[1], None), changed("new", None, found[0])),
        drifts=tuple(replace(d, method=text, measure=text) for d in whole.drifts),
        notes=(text,),
    )
