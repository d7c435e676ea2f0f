# SPDX-License-Identifier: Apache-2.0
"""The completions of the rows of a case: exact for trees and linear classifiers, by sound bounds for nets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.bounds.net_completions import NetCompletions
from assay.engine.bounds.read_layers import read_layers
from assay.engine.boxes.completions import leaf_table
from assay.engine.boxes.decisions import rivals
from assay.engine.boxes.tree_completions import TreeCompletions
from assay.engine.feature_sets.domains import Domain, Reference, ball_domain
from assay.engine.feature_sets.linear_completions import LinearCompletions, LinearModel
from assay.engine.search.ball import Ball
from assay.engine.trees.tree_case import forest_of
from assay.model.linear_scores import is_linear
from assay.nouns.inputs.rows import to_floats

Kind = Literal["trees", "linear", "net"]

RowCompletions = TreeCompletions | LinearCompletions | NetCompletions
"""The completions of one row."""


@dataclass(frozen=True, eq=False)
class CaseCompletions:
    """For each row of a case its domain, and its completions for a class; ``part`` is that of each element.

    ``listed`` names columns of numbers of which only the values of the reference rows are tried, ``gaps`` those that
    may be missing.
    """

    kind: Kind
    domains: list[Domain]
    around: Callable[[int], RowCompletions]
    part: Callable[[int], Ints]
    listed: tuple[str, ...]
    gaps: tuple[str, ...]


def completions_of(case: Case, predicted: Ints, reference: Any, ball: Ball | None) -> CaseCompletions:
    """The completions of each row inside a ball, or else in the ranges and levels of reference rows."""
    x = np.asarray(to_floats(case.rows.x)).reshape(len(case), -1)
    if ball is not None:
        if ball.norm != "linf":
            raise CapabilityError(f"sufficient_features knows balls in the norm linf; got {ball.norm!r}.")
        ball.check_bounds(case.rows.x)
        domains = [ball_domain(case.rows, row, ball) for row in x]
        other = x
    else:
        other = np.asarray(to_floats(case.rows.convert(reference))).reshape(-1, x.shape[1])
        found = Reference.of(case.rows, other)
        domains = [found.around(row) for row in x]
    features = case.features

    def part(row: int) -> Ints:
        index = features.index[row] if features.per_row else features.index
        return np.asarray(index).ravel()

    names = case.rows.table.names if case.rows.table is not None else tuple(features.names)
    gaps = domains[0].gaps
    told = tuple(name for name, hit in zip(names, gaps) if hit) if len(names) == len(gaps) else ()
    if case.model.forest is not None:
        return _of_trees(case, predicted, x, other, domains, part, told)
    if is_linear(case.model):
        linear = LinearModel.of(case, predicted)
        return CaseCompletions(
            "linear",
            domains,
            lambda row: linear.around(row, int(predicted[row]), domains[row], part(row)),
            part,
            (),
            told,
        )
    if case.model.net is not None:
        return _of_net(case, predicted, x, domains, part)
    raise CapabilityError(
        f"sufficient_features needs trees, a linear classifier or a net whose layers can be bounded; {case.model.name} "
        f"is none. smallest_sufficient finds the fewest features that keep the class under one removal."
    )


def _of_trees(
    case: Case,
    predicted: Ints,
    x: Floats,
    other: Floats,
    domains: list[Domain],
    part: Callable[[int], Ints],
    told: tuple[str, ...],
) -> CaseCompletions:
    forest = forest_of(case)
    known = tuple(np.unique(np.concatenate([a, b])) for a, b in zip(other.T, x.T))
    coded = domains[0].coded
    table = leaf_table(forest, case.rows, coded, known)
    conditions = {label: rivals(case, forest, label) for label in np.unique(predicted).tolist()}

    def around(row: int) -> RowCompletions:
        return TreeCompletions(forest, table, conditions[int(predicted[row])], domains[row], part(row))

    names = case.rows.table.names if case.rows.table is not None else tuple(case.features.names)
    only_seen = ~coded & ~table.cells.movable & np.array([len(one) > 1 for one in known])
    listed = tuple(name for name, hit in zip(names, only_seen) if hit) if len(names) == len(only_seen) else ()
    return CaseCompletions("trees", domains, around, part, listed, told)


def _of_net(
    case: Case, predicted: Ints, x: Floats, domains: list[Domain], part: Callable[[int], Ints]
) -> CaseCompletions:
    if case.rows.table is not None and case.rows.table.coded.any():
        raise CapabilityError("sufficient_features of a net needs numeric inputs.")
    if case.model.kind.threshold is not None or not case.model.kind.exclusive:
        raise CapabilityError("sufficient_features of a net needs classes of which the highest score decides.")
    if any(one.gaps.any() or np.isnan(row).any() for one, row in zip(domains, x)):
        raise InputError("sufficient_features of a net needs rows without missing values.")
    graph = read_layers(case)

    def around(row: int) -> RowCompletions:
        generator = case.seed.child("completions", case.rows.ids[row]).generator()
        like = case.rows.x[row : row + 1]
        return NetCompletions(graph, domains[row], part(row), int(predicted[row]), like, generator)

    return CaseCompletions("net", domains, around, part, (), ())
