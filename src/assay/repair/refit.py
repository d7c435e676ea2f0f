# SPDX-License-Identifier: Apache-2.0
"""Training again, without some columns or with stronger regularisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array
from scipy import stats as scipy_stats

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.stats import Interval, clopper_pearson, student
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.cases.case import case as ask
from assay.engine.declare import repairer
from assay.engine.retraining.labelled_rows import losses, truth
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.inputs.frames import is_frame, opened
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import Rows, to_floats, to_numpy
from assay.nouns.inputs.target import class_scores
from assay.nouns.results.result import Note


@dataclass(frozen=True)
class Blank:
    """Columns of a training table, and the one value each of them is replaced by."""

    columns: tuple[str, ...]
    values: Mapping[str, Any]
    rows: Mapping[str, int]

    @staticmethod
    def of(x: Any, names: Sequence[str], without: Sequence[str]) -> Blank:
        """Find a training row that holds the median (numbers) or the most frequent level of each column."""
        rows, values = {}, {}
        for name in without:
            column, numeric = _column(x, names, name)
            rows[name] = _typical(column, numeric, name)
            values[name] = column[rows[name]]
        return Blank(tuple(names), values, rows)

    def training(self, x: Any) -> Any:
        """A training table with these columns constant and of the same types; the caller's own is not touched."""
        if is_frame(x):
            frame = opened(x)
            constant = [frame[name][[row] * len(frame)] for name, row in self.rows.items()]
            return frame.with_columns(*constant).to_native()
        other = x.clone() if is_torch_array(x) else np.array(x)
        for name, row in self.rows.items():
            place = self.columns.index(name)
            other[:, place] = other[row, place]
        return other

    def forward(self, rows: Rows) -> Rows:
        """Rows to be predicted with these columns constant."""
        names = self.columns
        if rows.table is not None and set(self.values) <= set(rows.table.names):
            names = rows.table.names
        if rows.shape != (len(names),):
            raise InputError(f"rows of shape {rows.shape} for a model refitted on {len(names)} columns.")
        fixed, constant = np.zeros(len(names), dtype=bool), np.zeros(len(names))
        for name, value in self.values.items():
            place = names.index(name)
            fixed[place] = True
            constant[place] = rows.table.code(place, value) if rows.table is not None else float(value)
        return replace(rows, x=_where(fixed, constant, rows.x))

    def model(self, model: Model) -> Model:
        """The model with these columns constant before anything else happens to a row."""
        inner, slope = model.forward, model.slope

        def blanked(x: Array) -> Array:
            assert slope is not None
            rows = self.forward(Rows(x, tuple(map(str, range(len(x))))))
            fixed = np.isin(self.columns, list(self.values))
            return np.where(fixed, 0.0, slope(rows.x))

        return replace(
            model,
            forward=lambda rows: inner(self.forward(rows)),
            slope=None if slope is None else blanked,
            fingerprint=digest(model.fingerprint, "without", {name: str(value) for name, value in self.values.items()}),
            recomputed=None,
            cut=None,
            net=None,
        )


@repairer(source="assay2026")
def refit(
    case: Case,
    *,
    recipe: Recipe,
    held_out: tuple[Any, Any],
    without: tuple[str, ...] = (),
    strength: float = 0.0,
) -> Mapping[str, Any]:
    """A model trained again, without named columns or more strongly regularised, and what that costs on rows held out.

    ``without``: each named column is replaced by one value (the median, the lower of two; the most frequent level of
    text and categories, the first of equals) in the training rows *and* in every row predicted later. So pipelines
    stay as they are, and the column has no influence at all; columns that go with it may take its place. Columns of a
    frame go by their names; those of an array by the case's own names of its elements, which are "0", "1", … by
    default. ``strength`` above 0 is handed to the recipe, which must heed it.

    ``held_out`` are rows and labels never trained on; ``before`` and ``after`` give the accuracy there with
    Clopper–Pearson limits at 95 % (a regression: mean squared error with Student's limits), and a note the paired
    difference. The new model's classes must be the old one's in their order: ``CapabilityError`` otherwise.
    """
    names = _asked(recipe, case, without, strength)
    blank = Blank.of(recipe.x, names, without) if without else None
    x = recipe.x if blank is None else blank.training(recipe.x)
    fitted = wrap(recipe.train(x, recipe.y, case.seed.child("refit"), float(strength)))
    notes = _same_classes(case.model, fitted)
    parts = [f"without {', '.join(without)}"] * bool(without) + [f"with strength {strength:g}"] * bool(strength)
    model = replace(
        fitted if blank is None else blank.model(fitted),
        name=f"{case.model.name}, refit {' and '.join(parts)}",
        classes=case.model.classes or fitted.classes,
        meter=case.model.meter,
    )
    before, after, measured = _compared(case, model, held_out)
    return {
        "model": model,
        "change": f"trained again on {len(recipe.x)} rows, {' and '.join(parts)}{_constants(blank)}",
        "before": before,
        "after": after,
        "notes": (*notes, *_overlap(recipe.x, held_out[0]), measured),
    }


def _asked(recipe: Any, case: Case, without: Any, strength: float) -> tuple[str, ...]:
    """The names of the training columns; raises where what is asked for cannot be done."""
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
            f"strength={strength:g} needs a recipe that heeds it. Let fit use its strength and say Recipe(…, "
            f"regularises=True)."
        )
    if not without:
        return ()
    names = _names(recipe.x, case)
    strange = [name for name in without if name not in names]
    if strange:
        raise InputError(f"without names {strange[:5]}, no columns of the recipe; those are {list(names)[:12]}.")
    if set(without) == set(names):
        raise InputError(f"without names all {len(names)} columns; leave at least one to learn from.")
    return names


def _names(x: Any, case: Case) -> tuple[str, ...]:
    if is_frame(x):
        return tuple(opened(x).columns)
    shape = tuple(to_numpy(x).shape)
    if len(shape) != 2:
        raise InputError(f"without needs a table to train on; the recipe's rows have shape {shape[1:]}.")
    if case.rows.table is not None and len(case.rows.table.names) == shape[1]:
        return case.rows.table.names
    if case.features.elementwise and case.features.shape == shape[1:]:
        return tuple(case.features.names[part] for part in case.features.index)
    return tuple(map(str, range(shape[1])))


def _column(x: Any, names: Sequence[str], name: str) -> tuple[Any, bool]:
    """A column as plain values, and whether it holds numbers."""
    if is_frame(x):
        series = opened(x)[name]
        return series.to_list(), series.dtype.is_numeric()
    return to_numpy(x)[:, names.index(name)].tolist(), True


def _typical(column: Any, numeric: bool, name: str) -> int:
    """The row that holds the column's lower median, or its most frequent level; missing values do not count."""
    known = [row for row, value in enumerate(column) if value is not None and value == value]
    if not known:
        raise InputError(f"column {name!r} of the recipe holds no value at all.")
    if numeric:
        order = np.argsort(np.array([column[row] for row in known], dtype=np.float64), kind="stable")
        return known[int(order[(len(known) - 1) // 2])]
    counts: dict[Any, int] = {}
    for row in known:
        counts[column[row]] = counts.get(column[row], 0) + 1
    return int(column.index(max(counts, key=lambda level: counts[level])))


def _where(fixed: Any, constant: Floats, x: Array) -> Array:
    if not is_torch_array(x):
        return np.where(fixed, constant, x)
    xp = array_namespace(x)
    values = xp.asarray(constant, dtype=x.dtype, device=x.device)
    return xp.where(xp.asarray(fixed, device=x.device), values, x)


def _constants(blank: Blank | None) -> str:
    if blank is None:
        return ""
    return (
        f" ({', '.join(f'{name} = {value!r}' for name, value in blank.values.items())} in training and in prediction)"
    )


def _same_classes(old: Model, new: Model) -> tuple[Note, ...]:
    """Nothing, or a note that classes are matched by position; raises where they cannot be the same."""
    if old.gives == "units" or (old.gives == "values") != (new.gives == "values"):
        raise CapabilityError(
            f"the recipe gives {new.gives}, the model {old.gives}; it must train the same kind of model."
        )
    if not old.classes or not new.classes or old.classes == new.classes:
        return ()
    if len(old.classes) != len(new.classes) or set(old.classes) & set(new.classes):
        raise CapabilityError(
            f"the recipe's model has classes {list(new.classes)[:8]}, the old one {list(old.classes)[:8]}; order and "
            "number must be the same. Wrap the new model inside fit, with classes=…."
        )
    told = f"classes {list(new.classes)[:8]} of the new model are taken, in this order, for {list(old.classes)[:8]}"
    return (Note("classes by position", told),)


def _compared(case: Case, model: Model, held_out: Any) -> tuple[dict[str, float], dict[str, float], Note]:
    """Figures of the old and the new model on the rows held out, and a note on their paired difference."""
    if not (isinstance(held_out, tuple | list) and len(held_out) == 2):
        raise InputError("held_out is a pair: rows and their labels, not used in training.")
    x, labels = held_out
    shape = tuple((opened(x) if is_frame(x) else to_numpy(x)).shape)[1:]
    if shape != case.rows.shape:
        raise InputError(f"rows held out have shape {shape}; the model's rows have shape {case.rows.shape}.")
    predictions = [ask(each, x, seed=case.seed).prediction for each in (case.model, model)]
    measure: Callable[..., tuple[str, Floats, Interval]] = _accuracy if case.model.gives != "values" else _squared_error
    found = []
    for each, outputs in zip((case.model, model), predictions):
        found.append(measure(each, outputs, truth(case.model, labels, len(outputs), predictions[0])))
    (what, was, limits), (_, now, other_limits) = found
    low, high = _paired(was, now) if what == "accuracy" else (student(now - was).low, student(now - was).high)
    text = (
        f"{what} on {len(was)} rows held out: {was.mean():.4g} before, {now.mean():.4g} after; paired difference "
        f"{now.mean() - was.mean():+.4g} [{low:+.4g}, {high:+.4g}] at 95 %"
    )
    return _figures(what, was, limits), _figures(what, now, other_limits), Note("held-out", text)


def _figures(what: str, values: Floats, limits: Interval) -> dict[str, float]:
    return {what: float(values.mean()), f"{what}, low": limits.low, f"{what}, high": limits.high}


def _accuracy(model: Model, outputs: Floats, labels: Any) -> tuple[str, Floats, Interval]:
    right = to_floats(class_scores(outputs, model.gives).argmax(axis=1) == labels)
    return "accuracy", right, clopper_pearson(int(right.sum()), len(right))


def _squared_error(model: Model, outputs: Floats, labels: Any) -> tuple[str, Floats, Interval]:
    error = losses(outputs, labels, model)
    return "mean squared error", error, student(error)


def _paired(was: Floats, now: Floats, level: float = 0.95) -> tuple[float, float]:
    """Interval for a difference of paired rates: half a pair added to either kind of change (Agresti and Min 2005).

    Never of zero width, not even where no row changes.
    """
    gained, lost, rows = float((now > was).sum()) + 0.5, float((now < was).sum()) + 0.5, len(was) + 2
    difference = (gained - lost) / rows
    spread = np.sqrt(gained + lost - (gained - lost) ** 2 / rows) / rows
    half = float(scipy_stats.norm.ppf((1 + level) / 2) * spread)
    return difference - half, difference + half


def _overlap(x: Any, held_out: Any) -> tuple[Note, ...]:
    """A note where rows held out also occur in training."""
    trained, tested = _contents(x), _contents(held_out)
    if trained.keys() != tested.keys():
        return ()
    known = set(zip(*trained.values()))
    copies = [row for row, content in enumerate(zip(*tested.values())) if content in known]
    if not copies:
        return ()
    told = f"{len(copies)} of the rows held out also occur among the training rows; the figures flatter both models"
    return (Note("held-out overlaps", told, tuple(map(str, copies[:50]))),)


def _contents(x: Any) -> dict[str, list[Any]]:
    """Columns by name in the order of their names; an array's rows as one column of bytes."""
    if is_frame(x):
        return {name: opened(x)[name].to_list() for name in sorted(opened(x).columns)}
    return {"": [row.tobytes() for row in np.ascontiguousarray(to_floats(x))]}
