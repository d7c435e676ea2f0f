# SPDX-License-Identifier: Apache-2.0
"""Sibling targets: several targets of the same rows and model, computed from the same forward passes."""

from __future__ import annotations

from collections.abc import Sequence

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import Target, target_named


def with_sibling_targets(case: Case, targets: Sequence[str | Target]) -> tuple[Case, ...]:
    """The case under each of these targets; a mask evaluated by the game of one is cached in the games of all.

    A game caches one number per query, so a later target cannot be computed from its cache. Here each pass is read
    under all targets at once, and the values go to the caches of all games. If all targets use the same masks, the
    number of passes is that of one target. The values that the game of ``case`` has cached go to its own target only.
    The case is not changed. Labels stay; a target of a layer, or one that reads another label, is refused.
    """
    resolved = [target_named(target) for target in targets]
    gives = case.model.gives
    for target in resolved:
        if target.layer is not None or target.label_is_truth(gives) != case.target.label_is_truth(gives):
            raise InputError(
                f"target {target.name!r} does not read the same outputs and labels as {case.target.name!r}."
            )
    cases = link_sibling_cases(case, [case.with_target(target) for target in resolved])
    for one in cases:
        for game in case._games.values() if one.target is case.target else ():
            one.game(game.remove, pooled=game.pooled).cache.import_entries(game.cache.export_entries())
    return cases


def link_sibling_cases(case: Case, others: Sequence[Case]) -> tuple[Case, ...]:
    """Link cases of this case's rows and model, under any targets and labels, so that their games share passes."""
    for one in others:
        one.__dict__["sibling_targets"] = tuple(other for other in others if other is not one)
        own = one.target is case.target and one.label is case.label and "output" in case.__dict__
        one.__dict__["output"] = case.output if own else to_floats(one._read(one.label)(case.prediction))
    return tuple(others)
