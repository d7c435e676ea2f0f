# SPDX-License-Identifier: Apache-2.0
"""Retraining without some columns or with stronger regularisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.fairness.groups import names_in
from assay.engine.performance.held_out import compare_performance, overlap_notes
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.inputs.frames import is_frame, open_frame
from assay.nouns.inputs.native_columns import missing_kind
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import Rows, to_numpy
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note

LEAKS, GAPS, SHORTCUTS = ("PRV101", "PRV102", "PRV104"), ("FAI101", "FAI102", "FAI103", "FAI104"), ("SHC201", "SHC202")
"""Checks that a refit may fix: membership leaks, gaps between groups, shortcuts."""


@dataclass(frozen=True)
class ConstantColumns:
    """Columns of a training table, and the constant that replaces each of them."""

    columns: tuple[str, ...]
    values: Mapping[str, Any]
    rows: Mapping[str, int]

    @staticmethod
    def of(x: Any, names: Sequence[str], without: Sequence[str]) -> ConstantColumns:
        """Constants of the columns: the median (numbers) or the most frequent level of the training rows."""
        rows, values = {}, {}
        for name in without:
            column, numeric = _column(x, names, name)
            rows[name] = _typical_row(column, numeric, name)
            values[name] = column[rows[name]]
        return ConstantColumns(tuple(names), values, rows)

    def training(self, x: Any) -> Any:
        """A copy of the training table with these columns constant and of the same types."""
        if is_frame(x):
            frame = open_frame(x)
            constant = [frame[name][[row] * len(frame)] for name, row in self.rows.items()]
            return frame.with_columns(*constant).to_native()
        other = x.clone() if is_torch_array(x) else np.array(x)
        for name, row in self.rows.items():
            column = self.columns.index(name)
            other[:, column] = other[row, column]
        return other

    def forward(self, rows: Rows) -> Rows:
        """Rows to predict, with these columns constant."""
        names = self.columns
        if rows.table is not None and set(self.values) <= set(rows.table.names):
            names = rows.table.names
        if rows.shape != (len(names),):
            raise InputError(f"rows of shape {rows.shape} for a model trained on {len(names)} columns.")
        fixed, constant = np.zeros(len(names), dtype=bool), np.zeros(len(names))
        for name, value in self.values.items():
            column = names.index(name)
            fixed[column] = True
            constant[column] = rows.table.encode_value(column, value) if rows.table is not None else float(value)
        return replace(rows, x=_where(fixed, constant, rows.x))

    def model(self, model: Model) -> Model:
        """The model that sets these columns to their constants before any other step."""
        inner, gradient = model.forward, model.closed_form_gradient

        def gradient_with_zeros(x: Array) -> Array:
            assert gradient is not None
            rows = self.forward(Rows(x, tuple(map(str, range(len(x))))))
            fixed = np.isin(self.columns, list(self.values))
            return np.where(fixed, 0.0, gradient(rows.x))

        return replace(
            model,
            forward=lambda rows: inner(self.forward(rows)),
            closed_form_gradient=None if gradient is None else gradient_with_zeros,
            fingerprint=digest(model.fingerprint, "without", {name: str(value) for name, value in self.values.items()}),
            rebuild=None,
            cut=None,
            net=None,
        )


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """Stronger regularisation where membership leaks; removal of the columns of failed fairness or shortcut checks."""
    assert inputs.recipe is not None
    proposals: list[Mapping[str, Any]] = []
    if {finding.code for finding in failed} & set(LEAKS) and inputs.recipe.regularises:
        proposals.append({"strength": 1.0})
    columns: list[str] = []
    if is_frame(inputs.x):
        known = open_frame(inputs.x).columns
        unequal = {name for finding in failed if finding.code in GAPS for name in names_in(finding.subject)}
        columns += [name for name in inputs.groups if name in known and name in unequal]
    harmful = [finding for finding in failed if finding.code in SHORTCUTS]
    columns += [str(finding.evidence["column"]) for finding in harmful if "column" in finding.evidence]
    if columns:
        proposals.append({"without": tuple(dict.fromkeys(columns))})
    return proposals


@repairer(
    source="assay2026",
    needs={"recipe", "labels"},
    answers=(*LEAKS, *GAPS, *SHORTCUTS),
    side_effects="Other columns can take over the part of one that is removed; stronger regularisation costs accuracy, "
    "most of all in small groups.",
    proposals=_proposals,
)
def refit(
    case: Case,
    *,
    recipe: Recipe,
    held_out: tuple[Any, Any],
    without: tuple[str, ...] = (),
    strength: float = 0.0,
) -> Mapping[str, Any]:
    """A model retrained without named columns or with stronger regularisation, and the cost on held-out rows.

    ``without``: each named column is replaced by a constant (the median, the lower of two; the most frequent level of
    text and categories, the first of equals) in the training rows *and* in every row predicted later. So pipelines
    stay unchanged, and the column has no influence at all; correlated columns may replace it. Columns of a frame have
    their names; those of an array have the case's names of its elements, by default "0", "1", …. ``strength`` above 0
    is passed to the recipe, which must use it.

    ``held_out`` are rows and labels not used in training; ``before`` and ``after`` give the accuracy there with
    Clopper–Pearson limits at 95 % (a regression: mean squared error with Student's limits), and a note the paired
    difference. The new model's classes must be the old one's in their order: ``CapabilityError`` otherwise.
    """
    names = _check_options(recipe, case, without, strength)
    constants = ConstantColumns.of(recipe.x, names, without) if without else None
    x = recipe.x if constants is None else constants.training(recipe.x)
    fitted = wrap(recipe.train(x, recipe.y, case.seed.child("refit"), float(strength)))
    notes = _check_classes(case.model, fitted)
    changes = [f"without {', '.join(without)}"] * bool(without) + [f"with strength {strength:g}"] * bool(strength)
    model = replace(
        fitted if constants is None else constants.model(fitted),
        name=f"{case.model.name}, refit {' and '.join(changes)}",
        classes=case.model.classes or fitted.classes,
        meter=case.model.meter,
    )
    before, after, difference = compare_performance(case, model, held_out)
    return {
        "model": model,
        "change": f"retrained on {len(recipe.x)} rows, {' and '.join(changes)}{_constants_text(constants)}",
        "before": before,
        "after": after,
        "notes": (*notes, *overlap_notes(recipe.x, held_out[0]), difference),
    }


def _check_options(recipe: Any, case: Case, without: Any, strength: float) -> tuple[str, ...]:
    """The names of the training columns; raises ``InputError`` or ``CapabilityError`` for impossible options."""
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe is a {type(recipe).__name__}; give assay.Recipe(fit, x, y).")
    if isinstance(without, str):
        raise InputError(f"without={without!r} is text; give a tuple of column names, ({without!r},).")
    if not (np.isfinite(strength) and strength >= 0):
        raise InputError(f"strength={strength}; a finite number of at least 0 is needed.")
    if not without and not strength:
        raise InputError("nothing to change: name columns in without, or give a strength above 0.")
    if strength and not recipe.regularises:
        raise CapabilityError(
            f"strength={strength:g} needs a recipe that uses it. Let fit use its strength and give Recipe(…, "
            f"regularises=True)."
        )
    if not without:
        return ()
    names = _names(recipe.x, case)
    unknown = [name for name in without if name not in names]
    if unknown:
        raise InputError(f"without: {unknown[:5]} are no columns of the recipe; these are {list(names)[:12]}.")
    if set(without) == set(names):
        raise InputError(f"without: all {len(names)} columns are named; leave at least one to train on.")
    return names


def _names(x: Any, case: Case) -> tuple[str, ...]:
    if is_frame(x):
        return tuple(open_frame(x).columns)
    shape = tuple(to_numpy(x).shape)
    if len(shape) != 2:
        raise InputError(f"without needs a table to train on; the recipe's rows have shape {shape[1:]}.")
    if case.rows.table is not None and len(case.rows.table.names) == shape[1]:
        return case.rows.table.names
    if case.features.elementwise and case.features.shape == shape[1:]:
        return tuple(case.features.names[part] for part in case.features.index)
    return tuple(map(str, range(shape[1])))


def _column(x: Any, names: Sequence[str], name: str) -> tuple[Any, bool]:
    """A column as plain values, and whether it is numeric."""
    if is_frame(x):
        series = open_frame(x)[name]
        return series.to_list(), series.dtype.is_numeric()
    return to_numpy(x)[:, names.index(name)].tolist(), True


def _typical_row(column: Any, numeric: bool, name: str) -> int:
    """Position of a row with the column's lower median or most frequent level, missing values left out."""
    present = [row for row, value in enumerate(column) if not missing_kind(value)]
    if not present:
        raise InputError(f"column {name!r} of the recipe has no value.")
    if numeric:
        order = np.argsort(np.array([column[row] for row in present], dtype=np.float64), kind="stable")
        return present[int(order[(len(present) - 1) // 2])]
    counts: dict[Any, int] = {}
    for row in present:
        counts[column[row]] = counts.get(column[row], 0) + 1
    most = max(counts, key=lambda level: counts[level])
    return next(row for row in present if column[row] == most)


def _where(fixed: Any, constant: Floats, x: Array) -> Array:
    if not is_torch_array(x):
        return np.where(fixed, constant, x)
    xp = array_namespace(x)
    values = xp.asarray(constant, dtype=x.dtype, device=x.device)
    return xp.where(xp.asarray(fixed, device=x.device), values, x)


def _constants_text(constants: ConstantColumns | None) -> str:
    if constants is None:
        return ""
    values = ", ".join(f"{name} = {value!r}" for name, value in constants.values.items())
    return f" (fixed at {values} in training and prediction)"


def _check_classes(old: Model, new: Model) -> tuple[Note, ...]:
    """A note where classes are matched by position; ``CapabilityError`` where they cannot correspond."""
    if old.gives == "units" or (old.gives == "values") != (new.gives == "values"):
        raise CapabilityError(
            f"the recipe's model gives {new.gives}, the model {old.gives}; it must train the same kind of model."
        )
    if not old.classes or not new.classes or old.classes == new.classes:
        return ()
    if len(old.classes) != len(new.classes) or set(old.classes) & set(new.classes):
        raise CapabilityError(
            f"the recipe's model has classes {list(new.classes)[:8]}, the old one {list(old.classes)[:8]}; order and "
            "number must be the same. Wrap the new model inside fit, with classes=…."
        )
    text = f"classes {list(new.classes)[:8]} of the new model correspond, in this order, to {list(old.classes)[:8]}"
    return (Note("classes by position", text),)
