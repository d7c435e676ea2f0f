# SPDX-License-Identifier: Apache-2.0
"""What a method asks of the model, said before it runs: prices are exact, and the contract suite holds them to it.

A price counts the rows a method asks to be put through the model once the case knows its own output and prediction.
Where a game remembers an answer the row is asked for and not paid; so prices do not depend on what ran before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.masks import present
from assay.engine.coalitions.summary import Design, Summary
from assay.engine.gradients.distributions import Distribution
from assay.engine.removal.ordered_removal import beginnings, cuts
from assay.nouns.catalogue import Cost, Method

Given = SimpleNamespace
"""A method's options by name, defaults filled in."""

CostFunction = Callable[[Case, Given, Cost], Cost]
"""Case, options, and the price of explaining once more (nothing, where there is no explanation)."""


def cost_of(method: Method, case: Case, options: Mapping[str, Any], again: Cost | None = None) -> Cost:
    """What ``method`` asks of the model for this case and these options."""
    if method.cost is None:
        raise InputError(f"{method.verb}.{method.name} has no price; declare it with price=… to use it in a plan.")
    given = {name: options.get(name, parameter.default) for name, parameter in method.options.items()}
    cost: Cost = method.cost(case, Given(**given), again or Cost())
    return cost


def free(case: Case, o: Given, again: Cost) -> Cost:
    """Nothing is asked of the model."""
    return Cost()


def per_row(forwards: Callable[[Given], int], backwards: Callable[[Given], int] = lambda o: 0) -> CostFunction:
    """So many passes a row."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        return Cost(forwards(o), backwards(o)) * (len(case) * case.model.passes)

    return priced


def of_influence(chosen: Callable[[Given], Distribution] = lambda o: o.over, *, along: bool = True) -> CostFunction:
    """The nodes of a distribution; at a layer one more pass, which reads the activations."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        over = chosen(o)
        looked = 1 if getattr(o, "layer", None) is not None else 0
        return Cost(over.count + looked + (over.starts if along else 0), over.count) * (len(case) * case.model.passes)

    return priced


def coalitions(chosen: Callable[[Case, Given], Design]) -> CostFunction:
    """One design for all rows, each coalition once; the full set costs nothing."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        masks = np.unique(np.packbits(chosen(case, o).masks, axis=1), axis=0)
        masks = np.unpackbits(masks, axis=1, count=len(case.features)).astype(bool)
        return Cost(int((~masks.all(axis=1)).sum())) * (len(case) * o.remove.fills * case.model.passes)

    return priced


def summarised(chosen: Callable[[Case, Given], Summary]) -> CostFunction:
    """The design of a summary, as ``engine.summary.removal`` asks it."""

    def design(case: Case, o: Given) -> Design:
        summary = chosen(case, o)
        return summary.design(len(case.features), o.budget, case.seed.child("design", summary.name))

    return coalitions(design)


def against(priced: CostFunction) -> CostFunction:
    """The same for a method that takes what it removes from an option ``background``."""
    return lambda case, o, again: priced(case, Given(**vars(o), remove=Marginal(o.background)), again)


def curve(*, insert: bool = False) -> CostFunction:
    """The points of an ordered curve, each row's own number of parts; the intact row costs nothing."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        held = present(case).sum(axis=1)
        curves = [cuts(int(parts), o.steps) for parts in held]
        points = max(map(len, curves))
        gone = np.stack([np.pad(one, (0, points - len(one)), mode="edge") for one in curves])
        return _moved(case, o, gone, held, insert)

    return priced


def both_curves(case: Case, o: Given, again: Cost) -> Cost:
    """The curve of removing and that of putting back."""
    return curve()(case, o, again) + curve(insert=True)(case, o, again)


def beginning(limit: Callable[[Given], int]) -> CostFunction:
    """The first points of an ordered curve, one part a step."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        return _moved(case, o, beginnings(case, limit(o)), present(case).sum(axis=1), insert=False)

    return priced


def shares(*, insert: bool = False) -> CostFunction:
    """The points of an ordered curve at ``shares`` of the parts."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        held = present(case).sum(axis=1)
        gone = np.ceil(np.asarray(o.shares) * held[:, None] - 1e-9).astype(np.int64)
        return _moved(case, o, gone, held, insert)

    return priced


def explained_again(times: Callable[[Case, Given], int]) -> CostFunction:
    """The explanation made so often on another case, whose own output is asked for, too."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        return anew(case, again) * times(case, o)

    return priced


def anew(case: Case, again: Cost) -> Cost:
    """Explaining once on another case of as many rows."""
    return again + Cost(len(case) * case.model.passes)


def _moved(case: Case, o: Given, gone: np.ndarray, held: np.ndarray, insert: bool) -> Cost:
    points = sum(len(set(row) - {int(parts) if insert else 0}) for row, parts in zip(gone.tolist(), held))
    return Cost(points * o.remove.fills * case.model.passes)
