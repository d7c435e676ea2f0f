# SPDX-License-Identifier: Apache-2.0
"""Evidence counterfactuals: few features, such as words or segments, whose removal changes the decision."""

from __future__ import annotations

import numpy as np

from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.labels import resolve_label
from assay.cases.removals import Removal
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.recourse.by_removal import ANY, RemovedFeatures, removed_features
from assay.engine.search.threat import Labels
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The most: ``budget`` removals of each row."""
    return Cost(o.budget * o.remove.fills) * (len(case) * case.model.passes_per_row)


@explainer(source="martens2014", needs={"classes"}, cost=_cost, has_exact_cost=False)
def evidence_counterfactual(
    case: Case, *, target_label: Labels | None = None, remove: Removal = DEFAULT, budget: int = 2000, beam: int = 3
) -> Estimate:
    """Which few features have to go so that the model decides otherwise: −1 for each of them, 0 for the others.

    Features are removed one after another, each time the one that brings the decision nearest to ``target_label`` (a
    class; by default any but the predicted one), ``beam`` sets going on; then single features are put back as long as
    the decision stays changed, so that none of the set is needless (Martens and Provost 2014). For a model that adds up
    one term a feature the set has the fewest features possible; in general a smaller one may exist, except where the
    set is a single feature. At most ``budget`` removals of a row are evaluated. The decision is the model's own, with
    its threshold; the target of the case is not used.

    ``extra["size"]`` (row,) is the number of features removed, ``extra["evaluations"]`` (row,) the removals tried.
    Undefined (NaN), with a note, where no set was found: often because the input without any feature is decided in the
    same way.

    What it shows depends on what is put in the place of a removed feature. It is not for tables whose columns cannot be
    absent: explain.counterfactual changes their values.
    """
    label = np.full(len(case), ANY, dtype=np.int64)
    if target_label is not None:
        label = np.asarray(resolve_label(target_label, case.model, len(case), lambda: case.prediction))
    found = removed_features(case, remove, label, budget, beam)
    values = np.where(found.removed, -1.0, 0.0)
    values[~found.found] = np.nan
    return Estimate(
        values,
        extra={
            "size": np.where(found.found, found.removed.sum(axis=1), np.nan),
            "evaluations": found.evaluations.astype(np.float64),
        },
        notes=_notes(case, found),
        description=_lines(case, found),
    )


def _notes(case: Case, found: RemovedFeatures) -> tuple[Note, ...]:
    texts = {
        "not-found": (~found.found, "no removal changes the decision"),
        "budget-spent": (found.spent, "the budget ended before the search did"),
    }
    return tuple(
        Note(code, f"{text} ({which.sum()} of {len(case)} rows)", tuple(np.array(case.rows.ids, dtype=object)[which]))
        for code, (which, text) in texts.items()
        if which.any()
    )


def _lines(case: Case, found: RemovedFeatures) -> tuple[str, ...]:
    """One line a row: what is removed."""
    texts, names = case.part_texts() if case.rows.text is not None else (), case.features.names
    lines = []
    for row, (name, has) in enumerate(zip(case.rows.ids, found.found.tolist())):
        parts = np.flatnonzero(found.removed[row]).tolist()
        words = [str(texts[row][part]) if texts else str(names[part]) for part in parts]
        end = "; no smaller set" if found.alone[row] else ""
        lines.append(f"row {name}: without {', '.join(words)}{end}" if has else f"row {name}: no set was found")
    return tuple(lines)
