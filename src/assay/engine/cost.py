# SPDX-License-Identifier: Apache-2.0
"""The cost of a method in model evaluations, known before it runs; the contract suite checks that it is exact.

A cost counts the rows that a method requests from the model once the case has its own output and prediction. A row
that is in the cache counts as requested too, so costs do not depend on what ran before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.arguments import with_default_removal
from assay.engine.coalitions.estimator import Design, Estimator
from assay.engine.coalitions.masks import present_parts
from assay.engine.gradients.distributions import Distribution
from assay.engine.removal.ordered_removal import first_removal_counts, removal_counts
from assay.nouns.catalogue import Cost, Method

Given = SimpleNamespace
"""A method's options by name, defaults filled in."""

CostFunction = Callable[[Case, Given, Cost], Cost]
"""Case, options, and the cost of explaining once more (zero where there is no explanation)."""


def cost_of(method: Method, case: Case, options: Mapping[str, Any], again: Cost | None = None) -> Cost:
    """The cost of ``method`` for this case and these options."""
    if method.cost is None:
        raise InputError(f"{method.verb}.{method.name} has no cost; declare it with cost=… to use it in a plan.")
    named = with_default_removal(method, case, options)
    given = {name: named.get(name, parameter.default) for name, parameter in method.options.items()}
    cost: Cost = method.cost(case, Given(**given), again or Cost())
    return cost


def free(case: Case, o: Given, again: Cost) -> Cost:
    """No model evaluation."""
    return Cost()


def per_row(forwards: Callable[[Given], int], backwards: Callable[[Given], int] = lambda o: 0) -> CostFunction:
    """The same number of passes for every row."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        return Cost(forwards(o), backwards(o)) * (len(case) * case.model.passes_per_row)

    return cost_function


def of_influence(chosen: Callable[[Given], Distribution] = lambda o: o.over, *, along: bool = True) -> CostFunction:
    """One pass for each node of a distribution; at a layer one more, which reads the activations."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        over = chosen(o)
        looked = 1 if getattr(o, "layer", None) is not None else 0
        return Cost(over.count + looked + (over.base_passes if along else 0), over.count) * (
            len(case) * case.model.passes_per_row
        )

    return cost_function


def coalitions(chosen: Callable[[Case, Given], Design]) -> CostFunction:
    """One design for all rows, each coalition once; the full set is known."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        masks = np.unique(np.packbits(chosen(case, o).masks, axis=1), axis=0)
        masks = np.unpackbits(masks, axis=1, count=len(case.features)).astype(bool)
        return Cost(int((~masks.all(axis=1)).sum())) * (len(case) * o.remove.fills * case.model.passes_per_row)

    return cost_function


def summarised(chosen: Callable[[Case, Given], Estimator]) -> CostFunction:
    """The design of a summary, as ``engine.coalitions.estimator.estimate_by_removal`` asks it."""

    def design(case: Case, o: Given) -> Design:
        summary = chosen(case, o)
        return summary.design(len(case.features), o.budget, case.seed.child("design", summary.name))

    return coalitions(design)


def against(cost_function: CostFunction) -> CostFunction:
    """The same for a method whose removal is an option ``background``."""
    return lambda case, o, again: cost_function(case, Given(**vars(o), remove=Marginal(o.background)), again)


def curve(*, insert: bool = False) -> CostFunction:
    """The points of an ordered curve, with each row's own number of features; the intact row is known."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        held = present_parts(case).sum(axis=1)
        curves = [removal_counts(int(parts), o.steps) for parts in held]
        points = max(map(len, curves))
        gone = np.stack([np.pad(one, (0, points - len(one)), mode="edge") for one in curves])
        return _moved(case, o, gone, held, insert)

    return cost_function


def both_curves(case: Case, o: Given, again: Cost) -> Cost:
    """The deletion curve and the insertion curve."""
    return curve()(case, o, again) + curve(insert=True)(case, o, again)


def beginning(limit: Callable[[Given], int]) -> CostFunction:
    """The first points of an ordered curve, one feature a step."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        return _moved(case, o, first_removal_counts(case, limit(o)), present_parts(case).sum(axis=1), insert=False)

    return cost_function


def shares(*, insert: bool = False) -> CostFunction:
    """The points of an ordered curve at ``shares`` of the features."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        held = present_parts(case).sum(axis=1)
        gone = np.ceil(np.asarray(o.shares) * held[:, None] - 1e-9).astype(np.int64)
        return _moved(case, o, gone, held, insert)

    return cost_function


def explained_again(times: Callable[[Case, Given], int]) -> CostFunction:
    """The explanation computed so many times on another case, whose own output is evaluated too."""

    def cost_function(case: Case, o: Given, again: Cost) -> Cost:
        return cost_of_explaining_again(case, again) * times(case, o)

    return cost_function


def cost_of_explaining_again(case: Case, again: Cost) -> Cost:
    """The cost of explaining once on another case with as many rows."""
    return again + Cost(len(case) * case.model.passes_per_row)


def _moved(case: Case, o: Given, gone: np.ndarray, held: np.ndarray, insert: bool) -> Cost:
    points = sum(len(set(row) - {int(parts) if insert else 0}) for row, parts in zip(gone.tolist(), held))
    return Cost(points * o.remove.fills * case.model.passes_per_row)
