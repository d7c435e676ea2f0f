# SPDX-License-Identifier: Apache-2.0
"""Sufficient features: a set that fixes the class of a row whatever the other features are, and no member too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.certified_model import describe_model_itself
from assay.engine.coalitions.masks import check_masks, present_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.engine.feature_sets.completion_search import SufficientSet, minimal_set, smallest_set
from assay.engine.feature_sets.sufficient_search import CaseCompletions, completions_of
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.rows import count_rows, to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Explanation, Note

MAX_NUMBERS = 4_000_000
"""Numbers of counterexamples that are kept."""


HOW = {
    "trees": "every tree is constant on a box, so the sum of its best leaves there bounds the score: exact",
    "linear": "a sum is largest where every term is: exact, in closed form",
    "net": "linear bounds of activations, back to the input (Zhang et al. 2018): sound, not minimal",
}
"""What the proof rests on, by the kind of model."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Each member's counterexample is put to the model, and the row itself for the other features."""
    return Cost(len(case.features)) * (len(case) * case.model.passes_per_row)


@certifier(
    source="ignatiev2019",
    needs={"classes", "completions"},
    cost=_cost,
    checks=(
        Check(
            "CRT110",
            "How large a share of the features fixes the class, whatever the other features are?",
            "Show the sufficient features together with an explanation: the others may be anything.",
            claim="{estimate:.0%} of the features fix the class of a row on average",
            reads="share",
            bounds=(0.0, 1.0),
        ),
    ),
)
def sufficient_features(
    case: Case,
    explanation: Explanation | None = None,
    *,
    reference: Any = None,
    ball: Ball | None = None,
    start: Any = None,
    smallest: bool = False,
    max_nodes: int = 60_000,
) -> dict[str, Any]:
    """The number of features that fix the predicted class of a row, whatever the other features are: a proved set.

    ``size`` (row,) counts ``extra["members"]`` (row, part), a set A with: every completion x′ that agrees with the row
    on A, its other features anywhere in their domain, has the class of the row. ``extra["necessary"]`` (row, part) is 1
    for members without which that is wrong: extra["counterexample"] (row, part, *shape) then has a completion of
    another class, which the model itself confirms; it is the row for all others. A row whose members are all necessary
    is minimal, ``extra["minimal"]`` (row,) 1: an abductive explanation (Ignatiev, Narodytska and Marques-Silva 2019).
    There may be others; features of A need not be important, nor the others unimportant.

    The domain of a number is the range of the ``reference`` rows and the row (whole numbers where all of them are), of
    a level those that occur in them; a column with missing values there may be missing. Without reference rows those
    explained serve. With a ``ball`` (linf) numbers stay within it, and levels and missing cells stay as they are.

    Features are left out one by one where the class still stays: those of the least |value| of ``explanation`` first;
    without one, those first that alone can change the decision least. ``start``, masks (row, part) such as
    ``explanation.top(0.5)``, is the set to begin with where it is sufficient: extra["start"] (row,) is 1 if it is, 0 if
    a completion refutes it, NaN if open. ``smallest`` looks for the set of the fewest features: extra["size_low"]
    (row,) is then a proved lower bound, which equals ``size`` where it is the smallest.

    Trees: exact, by branch and bound over boxes on which every tree is constant. ``max_nodes`` boxes are divided for
    each question; one that is open then leaves its feature in the set. Linear classifiers: exact in closed form. Nets:
    CROWN bounds; a set is proved, but a member without a counterexample may be superfluous. extra["undecided"] (row,)
    is 1 where a member is not shown to be necessary. Sums of trees are compared to within 1e-9 of their size: a change
    that wins by less counts as none, except a tie that the model decides for the other class. Rows that themselves tie
    so are abstained from.

    ``control`` has the size for a random order of leaving out.
    """
    if max_nodes < 1:
        raise InputError(f"max_nodes={max_nodes}; at least 1 is needed.")
    if reference is not None and ball is not None:
        raise InputError("give reference= (ranges and levels of rows) or ball= (around each row), not both.")
    if reference is None and ball is None and len(case) < 2:
        raise InputError("one row alone has no ranges: give reference= (rows whose ranges are the domain) or ball=.")
    if case.features.per_row and not present_parts(case).all():
        raise CapabilityError("sufficient_features needs the same number of features in every row.")
    begin = None if start is None else check_masks(case, start)
    predicted = predicted_class(case.prediction, case.model.gives)
    known = completions_of(
        case, predicted, case.rows.in_callers_form(case.rows.x) if reference is None else reference, ball
    )
    found = [_row(case, row, known, explanation, begin, smallest, max_nodes) for row in range(len(case))]
    return _result(case, found, known, predicted, reference, ball, smallest, begin is not None)


@dataclass(frozen=True, eq=False)
class _Row:
    found: SufficientSet
    tied: bool
    start: float
    random_size: float
    size_low: float


def _row(
    case: Case,
    row: int,
    known: CaseCompletions,
    explanation: Explanation | None,
    begin: Masks | None,
    smallest: bool,
    max_nodes: int,
) -> _Row:
    completions = known.around(row)
    everything = np.ones(len(case.features), dtype=bool)
    if completions.is_tied:
        return _Row(SufficientSet(everything), True, np.nan, np.nan, np.nan)
    initial, start = everything, np.nan
    if begin is not None:
        verdict = completions.decide(~begin[row], max_nodes).verdict
        start = {"stays": 1.0, "changes": 0.0, "open": np.nan}[verdict]
        initial = begin[row].copy() if verdict == "stays" else everything
    by_gain = explanation is None or (smallest and completions.adds_up)
    keys = completions.importance() if by_gain or explanation is None else np.abs(explanation.values[row])
    order = np.argsort(keys, kind="stable")
    found = minimal_set(completions, initial, order, max_nodes)
    low = np.nan
    if smallest and completions.adds_up and begin is None:
        low = float(found.members.sum())
    elif smallest:
        found, least = smallest_set(completions, found, known.domains[row].x, known.part(row), max_nodes)
        low = float(least)
    generator = case.seed.child("random order", case.rows.ids[row]).generator()
    other = minimal_set(completions, everything, generator.permutation(len(everything)), max_nodes)
    return _Row(found, False, start, float(other.members.sum()), low)


def _result(
    case: Case,
    rows: list[_Row],
    known: CaseCompletions,
    predicted: Ints,
    reference: Any,
    ball: Ball | None,
    smallest: bool,
    with_start: bool,
) -> dict[str, Any]:
    parts = len(case.features)
    members = np.array([one.found.members for one in rows])
    tied = np.array([one.tied for one in rows])
    counterexamples, necessary = _confirmed(case, rows, predicted)
    size = np.where(tied, np.nan, members.sum(axis=1))
    minimal = (necessary == members).all(axis=1) & ~tied
    undecided = ~minimal & ~tied
    extra: dict[str, Floats] = {
        "members": members.astype(float),
        "necessary": necessary.astype(float),
        "share": size / parts,
        "minimal": minimal.astype(float),
        "undecided": undecided.astype(float),
        "boxes": np.array([float(one.found.boxes) for one in rows]),
    }
    if counterexamples.size <= MAX_NUMBERS:
        extra["counterexample"] = counterexamples
    if with_start:
        extra["start"] = np.array([one.start for one in rows])
    if smallest:
        extra["size_low"] = np.array([one.size_low for one in rows])
    return {
        "bounds": {"size": size},
        "abstained": tied,
        "theorem": "no completion of the other features has another class, and each necessary member has one without "
        f"it (Ignatiev, Narodytska and Marques-Silva 2019); {HOW[known.kind]}",
        "assumptions": _assumptions(case, known, reference, ball),
        "confidence": 1.0,
        "draws": 0,
        "guarantee": "exact",
        "unit": "features",
        **describe_model_itself(case),
        "cap": float(parts),
        "control": {"size": np.array([one.random_size for one in rows])},
        "extra": extra,
        "notes": (*_notes(case, rows, undecided, tied), *_default_domain(reference, ball)),
    }


def _confirmed(case: Case, rows: list[_Row], predicted: Ints) -> tuple[Floats, Masks]:
    """The counterexample of each member, else the row (row, part, *shape), and whether the model confirms it."""
    x, parts = case.rows.x, len(case.features)
    own = np.array(to_floats(x))
    found = np.repeat(own[:, None], parts, axis=1)
    for row, one in enumerate(rows):
        for part, changed in one.found.witness.items():
            if one.found.members[part]:
                found[row, part] = changed.reshape(own.shape[1:])
    confirmed = np.zeros((len(rows), parts), dtype=bool)
    for part in range(parts):
        points = found[:, part]
        asked = (
            array_namespace(x).asarray(points, dtype=x.dtype, device=x.device)
            if is_torch_array(x)
            else points.astype(np.asarray(x).dtype)
        )
        confirmed[:, part] = case.predicted(asked) != predicted
    return found, confirmed


def _assumptions(case: Case, known: CaseCompletions, reference: Any, ball: Ball | None) -> tuple[str, ...]:
    if ball is not None:
        return (
            f"numbers move by at most {ball.radius:g}"
            + (" of their scale" if ball.scale else "")
            + (f", within {ball.low:g} … {ball.high:g}" if np.isfinite([ball.low, ball.high]).any() else ""),
            "levels, missing cells and columns of scale 0 stay as they are",
        )
    count = len(case) if reference is None else count_rows(reference)
    found = [
        f"numbers lie in the range of {count} reference rows and the row, whole where all of theirs are; levels are "
        f"those that occur in them",
        f"missing values are allowed in {', '.join(known.gaps)}" if known.gaps else "no value goes missing",
        "features vary independently of each other: completions need not be plausible",
    ]
    if known.listed:
        found.append(f"of {', '.join(known.listed)} only values of the reference rows are tried")
    return tuple(found)


def _notes(case: Case, rows: list[_Row], undecided: Masks, tied: Masks) -> tuple[Note, ...]:
    notes = []
    for hits, code, text in (
        (
            undecided,
            "undecided",
            "the set is proved to be sufficient, but not every member to be necessary: raise max_nodes where trees "
            "reached it; bounds of nets may be too loose",
        ),
        (tied, "tied", "abstained: the row's own scores tie up to rounding"),
    ):
        names = tuple(name for name, hit in zip(case.rows.ids, hits) if hit)
        if names:
            notes.append(Note(code, f"{len(names)} of {len(rows)} rows: {text}", names))
    return tuple(notes)


def _default_domain(reference: Any, ball: Ball | None) -> tuple[Note, ...]:
    if reference is not None or ball is not None:
        return ()
    return (Note("domain", "the domain is that of the rows explained; give reference= rows for a wider one"),)
