# SPDX-License-Identifier: Apache-2.0
"""The rows of a study: balanced by the model's class and by whether it is right, disjoint, and seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.inputs.frames import format_number
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Explanation
from assay.nouns.studies.questionnaire import NONE, RANDOM, Kind, Questionnaire, StudyRow

CONSENT = (
    "Put your own text on consent here: who asks, what is stored, for how long, and that people may stop at any time."
)
TRIES = 200
"""Changes of a row that are tried for a counterfactual question."""


def design_study(
    explanation: Explanation,
    case: Case,
    labels: Any,
    *,
    kind: Kind = "forward",
    teaching: int = 8,
    tests: int = 20,
    title: str = "What will the model say?",
    consent: str = CONSENT,
) -> Questionnaire:
    """A questionnaire with the arms none, the explanation's method, and a random map.

    ``teaching`` rows are shown with the model's class and, by arm, an explanation; ``tests`` other rows, half of them
    before and half after, are guessed without one. Both are drawn in equal numbers from the groups (model's class, is
    it right), as far as the case has such rows. With ``kind="counterfactual"`` a test row is shown with the model's
    class and, after, the explanation, and people guess the class after some cells are changed; the class changes in
    half of the questions.
    """
    if not case.model.kind.is_classifier:
        raise CapabilityError(f"people guess classes; {case.model.name} gives {case.model.gives}.")
    _check_explanation(explanation, case)
    if tests < 4 or tests % 2 or teaching < 2:
        raise InputError(f"teaching={teaching}, tests={tests}: at least 2, and an even number of at least 4.")
    shown = _Shown(explanation, case)
    if kind == "counterfactual" and not shown.is_table:
        raise CapabilityError("kind='counterfactual' changes cells of a table; the rows are none. Use kind='forward'.")
    output = np.asarray(predicted_class(case.prediction, case.model.gives), dtype=np.int64)
    right = output == true_labels(case.model, labels, len(case), case.prediction)
    seed = case.seed.child("study")
    order = _balanced(output, right, seed)
    if len(order) < teaching + tests:
        raise InputError(f"the case has {len(case)} rows; {teaching} to teach and {tests} to test are needed.")
    asked = order[:tests]
    if kind == "counterfactual":
        rows = _changed_rows(case, output, right, order, tests, shown, seed)
        taught = [row for row in order if int(row) not in {place for place, _ in rows}][:teaching]
        tested = [one for _, one in rows]
    else:
        taught = list(order[tests : tests + teaching])
        tested = [shown.row("", int(row), output, right) for row in asked]
    if len(taught) < teaching:
        raise InputError(f"the case has {len(case)} rows; {teaching} to teach and {tests} to test are needed.")
    return Questionnaire(
        title=title,
        consent=consent,
        kind=kind,
        method=explanation.provenance.method,
        classes=case.model.classes or tuple(map(str, range(case.prediction.shape[1]))),
        names=shown.names,
        arms=(NONE, explanation.provenance.method, RANDOM),
        teaching=tuple(shown.row(f"t{n}", int(row), output, right) for n, row in enumerate(taught)),
        blocks=_blocks(tested, seed),
        seed=int(seed.child("pages").generator().integers(0, 2**31)),
    )


def _check_explanation(explanation: Explanation, case: Case) -> None:
    """``InputError`` where the explanation cannot be shown, or would be shown for the wrong rows or classes."""
    if explanation.ids != case.rows.ids or explanation.values.shape[1] != len(case.features):
        raise InputError("the explanation and the case must have the same rows and parts.")
    if not np.isfinite(explanation.values).all():
        raise InputError("some attributions are NaN or infinite and cannot be shown. Leave these rows out.")
    if explanation.labels and explanation.labels != case.classes:
        raise InputError(
            "the explanation is of other classes than the case; the page would name the wrong class. Give the case the "
            "label that was explained."
        )
    if explanation.provenance.method in (NONE, RANDOM):
        raise InputError(
            f"every study has an arm {explanation.provenance.method!r} to compare with. Explain by another method."
        )


def _blocks(tested: Sequence[StudyRow], seed: Seed) -> tuple[tuple[StudyRow, ...], tuple[StudyRow, ...]]:
    """Every second row, each block in a drawn order with keys by place, so that neither order nor key tells answers."""
    rng = seed.child("places").generator()
    halves = [tested[::2], tested[1::2]]
    drawn = [[half[place] for place in rng.permutation(len(half))] for half in halves]
    first, second = (
        tuple(replace(row, key=f"q{n + start}") for n, row in enumerate(half))
        for half, start in zip(drawn, (0, len(drawn[0])))
    )
    return first, second


def _balanced(output: Ints, right: Masks, seed: Seed) -> Ints:
    """The rows in an order whose beginnings hold the groups (class, right) in numbers as equal as can be, in pairs."""
    group = output * 2 + right
    turns, drawn = np.empty(len(group)), seed.child("order").generator().permutation(len(group))
    for one in np.unique(group):
        members = drawn[group[drawn] == one]
        turns[members] = np.arange(len(members)) // 2  # pairs, so that both blocks get one
    return np.lexsort((np.argsort(drawn) % 2, group, turns))


class _Shown:
    """Rows of a case as people see them."""

    def __init__(self, explanation: Explanation, case: Case) -> None:
        self.case, self.cells = case, case.part_texts()
        self.is_table = bool(self.cells) and case.rows.text is None
        shape = case.rows.shape
        self.pixels = None
        if not self.cells:
            if len(shape) != 3 or shape[0] not in (1, 3):
                raise CapabilityError(
                    f"people see tables, texts, or images of 1 or 3 channels; the rows have shape {shape}, or parts "
                    f"that are groups of columns."
                )
            x = to_floats(case.rows.x)
            low, high = x.min(axis=(1, 2, 3), keepdims=True), x.max(axis=(1, 2, 3), keepdims=True)
            self.pixels = np.moveaxis((x - low) / np.where(high > low, high - low, 1.0), 1, -1)
        self.names = case.features.names if self.is_table else ()
        drawn = np.array(explanation.values)
        for row, name in enumerate(case.rows.ids):
            count = len(case.rows.text.words[row]) if case.rows.text is not None else drawn.shape[1]
            order = case.seed.child("study", "random map", name).generator().permutation(count)
            drawn[row, :count] = explanation.values[row, :count][order]
        self.values = {explanation.provenance.method: explanation.values, RANDOM: drawn}

    def row(self, key: str, place: int, output: Ints, right: Masks, **other: Any) -> StudyRow:
        """One row with its attributions by arm."""
        pixels = None if self.pixels is None else np.round(self.pixels[place], 3).tolist()
        cells = tuple(self.cells[place]) if self.cells else ()
        if self.cells and not self.is_table:
            cells = tuple(word for word in cells if word)
        fields: dict[str, Any] = {"answer": int(output[place]), **other}
        values = {arm: self._drawn(one, place, len(cells)) for arm, one in self.values.items()}
        fields |= {"is_right": bool(right[place]), "explained": int(self.case.label[place]), "values": values}
        return StudyRow(key, cells, pixels, int(output[place]), **fields)

    def _drawn(self, values: Floats, place: int, cells: int) -> Any:
        if self.pixels is None:
            return [float(f"{one:.4g}") for one in values[place, :cells]]
        dense = self.case.features.map(values)[place].sum(axis=0)
        return [[float(f"{one:.4g}") for one in line] for line in dense]


def _changed_rows(
    case: Case, output: Ints, right: Masks, order: Ints, tests: int, shown: _Shown, seed: Seed
) -> list[tuple[int, StudyRow]]:
    """Rows with changed cells, whose class changes in half of them, in pairs of a block's two kinds."""
    x, rng = to_floats(case.rows.x), seed.child("changes").generator()
    found: dict[bool, list[tuple[int, StudyRow]]] = {True: [], False: []}
    parts, size = x.shape[1], max(1, x.shape[1] // 4)
    for place in map(int, order):
        others = rng.integers(0, len(x), TRIES // 4)
        moved = np.repeat(x[place][None], len(others), axis=0)
        for line, other in zip(moved, others):
            columns = rng.choice(parts, size, replace=False)
            line[columns] = x[other, columns]
        differs = (moved != x[place]).any(axis=1)
        like = case.rows.x
        rows = moved.astype(like.dtype) if isinstance(like, np.ndarray) else like.new_tensor(moved)
        classes = case.predicted(rows, np.full(len(moved), place))
        wanted = min(found, key=lambda flips: len(found[flips]))
        for flips in (wanted, not wanted):
            hits = np.flatnonzero(differs & ((classes != output[place]) == flips))
            if len(hits) and len(found[flips]) < tests // 2:
                text = _cells(case, moved[hits[0]])
                row = shown.row("", place, output, right, answer=int(classes[hits[0]]), changed=text)
                found[flips].append((place, row))
                break
        if all(len(one) == tests // 2 for one in found.values()):
            break
    if any(len(one) < tests // 2 for one in found.values()):
        raise InputError(
            f"only {len(found[True])} changed rows change the class and {len(found[False])} keep it; {tests // 2} of "
            f"each are needed. Give more rows, or fewer tests."
        )
    return [one for n in range(0, tests // 2, 2) for flips in (True, False) for one in found[flips][n : n + 2]]


def _cells(case: Case, row: Floats) -> tuple[str, ...]:
    """The cells of a changed row as text, one a part."""
    table = case.rows.table
    columns = np.argsort(case.features.index.ravel())
    return tuple(
        table.format_cell(int(j), row[j]) if table is not None else format_number(float(row[j])) for j in columns
    )
