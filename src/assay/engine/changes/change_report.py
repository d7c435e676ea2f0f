# SPDX-License-Identifier: Apache-2.0
"""The result of an attack by few changes of words or columns: evaluated again, with its validity report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.search.threat import Goal
from assay.engine.search.validity import (
    BOUNDARY,
    REPORT_PASSES,
    accuracy_fields,
    classes_found,
    everywhere,
    model_fields,
    outputs_in_halves,
    prediction_changed,
    trap_notes,
)
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

CHANGE_PASSES = REPORT_PASSES + 1
"""Passes of all rows for the report: the rows again, the changed rows in two batch sizes, and the random changes."""


def change_report(
    goal: Goal,
    attacked: Case,
    random: Case,
    *,
    inputs: Any,
    changes: Sequence[Sequence[str]],
    distance: Floats,
    queries: Floats,
    notes: Sequence[Note] = (),
    more: Mapping[str, Any] | None = None,
    extra: Mapping[str, Floats] | None = None,
    proved: Masks | None = None,
) -> dict[str, Any]:
    """The fields of an ``AttackResult`` from the rows found: success is computed again, in two batch sizes.

    ``random`` are the rows after as many random changes; ``changes`` say what was changed in each row, ``inputs`` are
    the rows in the caller's form, ``queries`` (row,) the evaluations of the search.
    """
    case = goal.case
    again = to_floats(case.outputs(case.rows.x))
    outputs = to_floats(attacked.outputs(attacked.rows.x))
    sizes, halves = outputs_in_halves(attacked, attacked.rows.x)
    confirmed, other = goal.successes(outputs), goal.successes(halves)
    success, after = confirmed & other, goal.margins(outputs)
    chance = goal.margins(to_floats(random.outputs(random.rows.x)))
    clear = success & ~goal.successes(case.prediction)
    counts = np.array([len(one) for one in changes], dtype=np.float64)
    validity = {
        **accuracy_fields(goal, success),
        **model_fields(case, again),
        **{"batch_sizes": sizes, "batches_agree": bool((confirmed == other).all())},
        **_search_fields(after[clear], chance, counts[clear], queries),
        **(more or {}),
    }
    traps = {
        "not-deterministic": everywhere(case, not validity["deterministic"]),
        "probabilities-as-logits": everywhere(case, validity["rows_sum_to_one"] and case.model.kind == "logits"),
        "boundary-success": clear & (after > -BOUNDARY),
        "batch-dependent": confirmed != other,
        "not-finite": ~np.isfinite(outputs).all(axis=1),
        "random-better": (chance < after) & ~success & (True if proved is None else ~proved),
    }
    return {
        "x": attacked.rows.x,
        "success": success,
        "prediction_unchanged": ~prediction_changed(goal, outputs),
        "distance": distance,
        "before": goal.margins(case.prediction),
        "after": after,
        "random": chance,
        "quantity": "margin",
        "notes": (*notes, *trap_notes(case, traps)),
        "validity": validity,
        "extra": {"class": classes_found(goal, outputs), "changed": counts, "queries": queries, **(extra or {})},
        "changes": tuple(map(tuple, changes)),
        "inputs": inputs,
    }


def _search_fields(margins: Floats, chance: Floats, counts: Floats, queries: Floats) -> dict[str, Any]:
    """Of the successes their weakest margin and the number of changes; the random changes; the evaluations."""
    return {
        "smallest_margin_of_success": float(-margins.max()) if len(margins) else None,
        "random_robust_accuracy": float((chance >= 0).mean()),
        "changes_median": float(np.median(counts)) if len(counts) else None,
        "largest_queries": int(queries.max(initial=0)),
    }


def note_of(case: Case, code: str, text: str, rows: Any) -> tuple[Note, ...]:
    """A note on the rows where ``rows`` (row,) holds; none where it holds nowhere."""
    chosen = np.asarray(rows, dtype=bool)
    if not chosen.any():
        return ()
    named = tuple(name for name, hit in zip(case.rows.ids, chosen) if hit)
    return (Note(code, f"{text} ({int(chosen.sum())} of {len(case)} rows)", named),)
