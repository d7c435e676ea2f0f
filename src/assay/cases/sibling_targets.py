# SPDX-License-Identifier: Apache-2.0
"""Several questions about the same rows of one model, read off the same outputs."""

from __future__ import annotations

from collections.abc import Sequence

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import Target, target_named


def with_sibling_targets(case: Case, targets: Sequence[str | Target]) -> tuple[Case, ...]:
    """The case under each of these targets; a mask that the game of one asks is known to the games of all.

    A game keeps one number a query, so a target that comes later could not be read off what was asked before. Here each
    pass is read under all targets at once, and the others' games learn the answers. Pass counts are those of one target
    where all are asked the same masks. What the game of ``case`` itself knows is known to its own target only. The case
    is not changed. Labels stay; a target of a layer, or one that reads another label, is refused.
    """
    asked = [target_named(target) for target in targets]
    for target in asked:
        if target.layer is not None or target.truth(case.model.gives) != case.target.truth(case.model.gives):
            raise InputError(
                f"target {target.name!r} does not read the outputs and labels that {case.target.name!r} does."
            )
    cases = link_sibling_cases(case, [case.with_target(target) for target in asked])
    for one in cases:
        for game in case._games.values() if one.target is case.target else ():
            one.game(game.remove, pooled=game.pooled).learn(game.answers())
    return cases


def link_sibling_cases(case: Case, others: Sequence[Case]) -> tuple[Case, ...]:
    """New cases of this one's rows and model, under whatever targets and labels, whose games share their passes."""
    for one in others:
        one.__dict__["sibling_targets"] = tuple(other for other in others if other is not one)
        own = one.target is case.target and one.label is case.label and "output" in case.__dict__
        one.__dict__["output"] = case.output if own else to_floats(one._read(one.label)(case.prediction))
    return tuple(others)
