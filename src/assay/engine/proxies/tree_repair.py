# SPDX-License-Identifier: Apache-2.0
"""Trees without witnesses of proxy use: each becomes the constant that loses least accuracy (Datta et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Ints
from assay.engine.proxies.options import ProxyLimits
from assay.engine.proxies.tree_parts import RoutedForest, TreePart, decisions_with
from assay.engine.proxies.tree_witnesses import Witness, search_trees
from assay.engine.trees.tree_case import model_outputs
from assay.model.forests.constant_parts import without_parts
from assay.model.forests.forest import Forest
from assay.model.model import Model
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows

MAX_ROUNDS = 40
"""Most witnesses that are replaced."""

MAX_CONSTANTS = 200
"""Most observed outputs of a part that are tried as its constant, besides the mean of sub-trees."""

MAX_ROUTED = 1 << 27
"""Truth values, nodes × rows, that a pass of the repaired model holds."""


@dataclass(frozen=True, eq=False)
class ReplacedPart:
    """One replacement: the witness, for which attribute, and the accuracy on the rows that chose the constant."""

    attribute: str
    witness: Witness
    before: float
    after: float


def replace_witnesses(
    forest: Forest,
    kind: OutputKind,
    matrix: Floats,
    labels: Ints,
    groups: Mapping[str, Ints],
    names: Sequence[str],
    limits: ProxyLimits,
    seed: Seed,
) -> tuple[Forest, list[ReplacedPart]]:
    """The forest in which no witness of more influence than allowed is shown on these rows.

    The least influential of them is replaced first, and all are searched for again after each replacement.
    """
    done: list[ReplacedPart] = []
    for turn in range(MAX_ROUNDS):
        routed = RoutedForest.of(forest, kind, matrix)
        failing = [
            (one, name)
            for name, codes in groups.items()
            for one in search_trees(routed, codes, names, limits, seed.child(name, turn)).shown
            if one.influence > limits.threshold
        ]
        if not failing:
            break
        one, name = min(failing, key=lambda pair: pair[0].influence)
        forest, after = best_constant(forest, routed, one.part, labels)
        done.append(ReplacedPart(name, one, float((routed.decision == labels).mean()), after))
    return forest, done


def best_constant(forest: Forest, routed: RoutedForest, part: TreePart, labels: Ints) -> tuple[Forest, float]:
    """The forest with the part at the output of the highest accuracy, and that accuracy.

    Every output that a row gives is tried, the most frequent first, and for sub-trees their mean before all; the first
    of the best wins. A split of a constant outcome gives way to the side that it chooses.
    """
    counts = np.bincount(part.level, minlength=part.level.max() + 1)
    order = np.argsort(-counts, kind="stable")[:MAX_CONSTANTS]
    decided = list(decisions_with(routed, part))
    accuracy = [float((decided[level] == labels).mean()) for level in order]
    best = int(np.argmax(accuracy))
    if part.turns is not None:
        turns = {node: bool(left) for node, left in zip(part.nodes, part.turns[:, order[best]])}
        return without_parts(forest, turns=turns), accuracy[best]
    values = routed.forest.value[part.leaves]
    chosen, reached = values[:, order[best]], accuracy[best]
    mean, reach = np.einsum("l,mlo->mo", counts / counts.sum(), values), part.reach.astype(np.float64)
    rest = routed.sums - np.einsum("mr,mro->ro", reach, values[:, part.level])
    of_mean = float((routed.decide(rest + np.einsum("mr,mo->ro", reach, mean)) == labels).mean())
    if of_mean >= reached:
        chosen, reached = mean, of_mean
    return without_parts(forest, constants=dict(zip(part.nodes, chosen))), reached


def model_of_forest(model: Model, forest: Forest, name: str) -> Model:
    """A model that predicts by these trees, in the form of ``model`` and with its classes.

    Sums are computed in float64, which a library may do in float32.
    """
    kind, summed = model.kind, OutputKind.of(forest.gives)

    def forward(rows: Rows) -> Array:
        sums = forest.outputs(forest.matrix(rows))
        outputs = model_outputs(kind, summed, sums)
        assert outputs is not None
        return outputs

    state: dict[str, Any] = {
        field: getattr(forest, field) for field in ("roots", "left", "right", "column", "threshold", "value")
    }
    return replace(
        model,
        forward=forward,
        name=name,
        fingerprint=digest(model.fingerprint, "trees", *state.values()),
        forest=lambda: forest,
        closed_form_gradient=None,
        batch=max(1, min(model.batch, MAX_ROUTED // max(1, len(forest.column)))),
    )
