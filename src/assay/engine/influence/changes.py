# SPDX-License-Identifier: Apache-2.0
"""What the target changes by without each training row, or group of rows, by each of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.influence.linear_fit import LinearFit
from assay.engine.influence.read_fit import is_linear_fit, read_estimator, read_last_layer
from assay.engine.influence.refits import refit_changes
from assay.engine.influence.training_rows import TrainingParts, require_finite_losses, training_case
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Note

InfluenceMethod = Literal["auto", "newton", "gauss_newton", "ek_fac", "tracin", "gradient", "refit"]

DAMPING = {"gauss_newton": 1.0, "ek_fac": 0.1}
"""Damping of a net's Gauss–Newton matrix, as a share of its mean eigenvalue: of all layers together, or of each."""

MEMORY = 640 << 20
"""Bytes that matrices and gradients take at a time: enough for 5,000 weights."""


@dataclass(frozen=True, eq=False)
class InfluenceOptions:
    """How influence is computed; see ``explain.training_influence``."""

    method: InfluenceMethod = "auto"
    recipe: Recipe | None = None
    groups: Sequence[str] = ()
    ids: Sequence[str] = ()
    damping: float | None = None
    weight_decay: float = 0.0
    checkpoints: Sequence[Any] = ()
    rates: Sequence[float] = ()
    steps: int = 3
    refits: int = 100
    seeds: int = 1
    memory: int = MEMORY


@dataclass(frozen=True, eq=False)
class TrainingChanges:
    """Changes of the target (test, part), their standard errors, and of each training row's own loss (row,) or None."""

    values: Floats
    parts: TrainingParts
    train: Case
    method: str
    own: Floats | None = None
    stderr: Floats | None = None
    notes: tuple[Note, ...] = ()


def training_changes(case: Case, train: Any, options: InfluenceOptions) -> TrainingChanges:
    """The changes by the method of the options; ``train`` is a pair of rows and labels."""
    name = chosen_method(case, options)
    rows = training_case(case, train, options.ids)
    parts = TrainingParts.of(rows.rows.ids, options.groups)
    if options.memory < 1 or options.steps < 1:
        raise InputError(f"memory={options.memory}, steps={options.steps}; both are at least 1.")
    if name == "refit":
        if options.recipe is None:
            raise InputError("method='refit' needs to know how to train: recipe=assay.Recipe(fit, x, y).")
        values, stderr = refit_changes(case, options.recipe, parts, refits=options.refits, seeds=options.seeds)
        return TrainingChanges(values, parts, rows, name, stderr=stderr)
    require_finite_losses(rows)
    if is_linear_fit(case.model) and name != "tracin":
        found = _of_fit(case, rows, parts, name, options, *read_estimator(case, rows, options.damping or 0.0))
    elif name == "newton":
        fit, notes = read_last_layer(case, rows, options.damping or 0.0, options.weight_decay)
        found = _of_fit(case, rows, parts, name, options, fit, notes)
    else:
        found = _of_net(case, rows, parts, name, options)
    return found


def chosen_method(case: Case, options: InfluenceOptions) -> str:
    """The method asked for, or the one that suits the model; ``CapabilityError`` where none does."""
    linear, has_net = is_linear_fit(case.model), case.model.net is not None
    if options.method == "auto" and options.recipe is not None and not linear and not has_net:
        return "refit"
    if options.method != "refit" and not linear and not has_net:
        raise CapabilityError(
            f"explain.training_influence needs a torch net, or a LogisticRegression, LinearRegression or Ridge of "
            f"scikit-learn, also behind a pipeline; {case.model.name} is none. Give method='refit' and a recipe."
        )
    if options.method != "auto":
        if linear and options.method in ("ek_fac", "tracin"):
            raise CapabilityError(
                f"method={options.method!r} needs a torch net; of {case.model.name} the exact method='newton' is known."
            )
        return options.method
    if linear:
        return "newton"
    return "gauss_newton" if _is_small(case) else "ek_fac"


def _is_small(case: Case) -> bool:
    from assay.engine.influence.curvature import EXACT_WEIGHTS
    from assay.engine.influence.weight_gradients import weight_count, weight_layers

    return weight_count(weight_layers(case.model)[0]) <= EXACT_WEIGHTS


def _of_fit(
    case: Case,
    train: Case,
    parts: TrainingParts,
    name: str,
    options: InfluenceOptions,
    fit: LinearFit,
    notes: tuple[Note, ...],
) -> TrainingChanges:
    def read(outputs: Floats, which: Ints) -> Floats:
        return np.asarray(case.target.read(outputs, case.label[which], case.model.gives))

    newton = name == "newton"
    if not newton and not case.target.smooth:
        raise CapabilityError(f"target {case.target.name!r} is a step function: its gradient is zero. Use logit.")
    if name == "gradient":
        changes = fit.row_gradients.reshape(len(train), *fit.weights.shape)
        changes = parts.sums(np.moveaxis(changes, 0, -1))
        changes = np.moveaxis(changes, -1, 0)
    elif parts.grouped:
        changes = fit.group_changes(parts, newton=newton)
    else:
        changes = fit.newton_changes(options.steps, options.memory) if newton else fit.plain_changes()
    values = fit.target_changes(changes, read, options.memory) if newton else fit.linear_target_changes(changes, read)
    own = fit.own_loss_changes(changes, linear=not newton) if not parts.grouped else None
    return TrainingChanges(values, parts, train, name, own, notes=notes)


def _of_net(case: Case, train: Case, parts: TrainingParts, name: str, options: InfluenceOptions) -> TrainingChanges:
    from assay.engine.influence.checkpoints import tracin
    from assay.engine.influence.curvature import gauss_newton, training_products
    from assay.engine.influence.ek_fac import ek_fac
    from assay.engine.influence.weight_gradients import target_gradients, weight_layers
    from assay.engine.retraining.fine_tuning import one_thread

    with one_thread():
        layers, notes = weight_layers(case.model)
        if name == "tracin":
            values, own = tracin(case, train, options.checkpoints, options.rates, options.memory)
            return TrainingChanges(parts.sums(values), parts, train, name, _own(own, parts), notes=notes)
        tests = target_gradients(case, layers, options.memory)
        if name == "gradient":
            values, own = training_products(train, layers, tests, options.memory, lambda gradients: gradients)
            return TrainingChanges(parts.sums(values), parts, train, name, _own(own, parts), notes=notes)
        damping = DAMPING[name] if options.damping is None else options.damping
        make = gauss_newton if name == "gauss_newton" else ek_fac
        curvature = make(train, layers, damping=damping, weight_decay=options.weight_decay, memory=options.memory)
        solved, more = curvature.solve(tests)
        own_solve = (lambda gradients: curvature.solve(gradients)[0]) if curvature.cheap else None
        values, own = training_products(train, layers, solved, options.memory, own_solve)
    matrix = "Gauss–Newton matrix" if name == "gauss_newton" else "EK-FAC matrix"
    text = (
        f"the {matrix} plus λ = {curvature.damping:.3g} stands for the Hessian, which has negative eigenvalues before "
        f"training has converged. Values rank rows; their size depends on λ"
    )
    notes = (*notes, *more, Note("gauss-newton", text))
    per_row = None if own is None else own / len(train)
    return TrainingChanges(parts.sums(values / len(train)), parts, train, name, _own(per_row, parts), notes=notes)


def _own(own: Floats | None, parts: TrainingParts) -> Floats | None:
    return None if parts.grouped else own


def influence_cost(case: Case, o: Given, again: Cost) -> Cost:
    """The passes of the training rows and of the rows explained that the method needs; trainings do not count."""
    options = InfluenceOptions(o.method, o.recipe, checkpoints=o.checkpoints)
    name, rows, tests = chosen_method(case, options), len(o.train[1]), len(case)
    both, parts = Cost(tests + rows, tests + rows), len(set(o.groups)) or rows
    if name == "refit":
        passes = Cost(o.seeds * (parts + 1) * tests)
    elif is_linear_fit(case.model):
        passes = Cost()
    elif name == "newton":
        passes = Cost(rows + tests)
    elif name == "tracin":
        passes = both * len(o.checkpoints)
    else:
        times = {"gradient": 0, "gauss_newton": 1, "ek_fac": 2}[name]
        passes = both + Cost(rows, rows * _label_passes(case)) * times
    return (passes + Cost(rows)) * case.model.passes_per_row


def _label_passes(case: Case) -> int:
    from assay.engine.influence.curvature import ALL_CLASSES

    if case.model.gives == "values":
        return 1
    classes = max(2, len(case.model.classes) or case.prediction.shape[1])
    return classes if classes <= ALL_CLASSES else 1


def with_labels(changes: TrainingChanges) -> tuple[str, ...]:
    """The name of each part, with its label where it is one row of a class."""
    if changes.parts.grouped or changes.train.model.gives == "values":
        return changes.parts.names
    other = replace(changes.train)
    return tuple(f"{name} ({label})" for name, label in zip(changes.parts.names, other.classes))
