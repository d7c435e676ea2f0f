# SPDX-License-Identifier: Apache-2.0
"""ConceptSHAP."""

from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.concepts.activations import other_case, position_matrix
from assay.engine.concepts.completeness import (
    LinearDecoder,
    completeness_cost,
    completeness_game,
    directions_of,
    shapley_masks,
    shapley_of,
)
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import find_units_layer
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.inputs.concept import Concept
from assay.nouns.inputs.features import elements
from assay.nouns.inputs.number_checks import require_numbers
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


@explainer(
    source="yeh2020",
    needs={"gradient", "net", "numbers", "classes", "shared parts", "concepts"},
    cost=completeness_cost,
)
def concept_shap(
    case: Case,
    *,
    concepts: Any,
    random_rows: Any,
    labels: Any = None,
    directions: Any = None,
    layer: str | None = None,
    decoder: Literal["refit", "fixed"] = "refit",
    ridge: float = 1e-3,
    budget: int = 1024,
) -> Estimate:
    """How much each concept adds to the share of decisions that the scores of the concepts alone reproduce.

    Values (row, concept) are Shapley values of v(C) / (accuracy of the net − accuracy of guessing), v(C) being 1 where
    the row's class is right when the net, from a layer on, reads activations that a linear decoder makes of the scores
    of the concepts in C alone, else 0, and 1 / classes for no concept. Their mean over rows is ConceptSHAP (Yeh et al.
    2020); the values of a row add up to its completeness exactly where all coalitions fit in ``budget``. A class is
    right if it is that of ``labels``; without labels, the class that the net predicts.

    ``extra["completeness"]`` is η of all concepts, the mean of the rows' sums: 1 if the scores decide as the net does,
    0 if no better than guessing, below 0 if worse. ``extra["accuracy"]``: with all concepts, of the net, of guessing.
    NaN, with a note, where the net is no better than guessing.

    ``concepts`` maps names to example rows; their direction at the layer is the difference of mean activations from
    ``random_rows``, over all positions. ``directions`` (concept, unit) replaces them, such as those of
    ``explain.concept_discovery``; ``concepts`` are then their names. The score at a position is (a − mean) · direction.
    The decoder is a ridge regression on the random rows, penalty ``ridge`` × mean eigenvalue. ``"refit"``: fitted again
    for each set of concepts, as in the paper; a concept gets what the others cannot replace. ``"fixed"``: fitted once,
    absent scores at 0: another game, with other values.

    Completeness is of a question: ten concepts may tell dogs from other animals and no breed from another.
    """
    if not ridge > 0:
        raise InputError(f"ridge={ridge}; the penalty is above 0.")
    name, notes = find_units_layer(case, layer)
    random = position_matrix(other_case(case, random_rows, "random_rows").from_layer(name))
    names, used = _directions(case, concepts, directions, random, name)
    truth = None if labels is None else true_labels(case.model, labels, len(case), case.prediction)
    decoded = LinearDecoder.of(random.reshape(-1, random.shape[2]), used, ridge)
    masks = shapley_masks(case, len(names), budget)
    game = completeness_game(case, name, decoded, decoder, masks, truth)
    found = shapley_of(case, game, len(names), budget)
    gain = float(game.whole.mean()) - game.guess
    if gain <= 0:
        text = f"the net is right in {game.whole.mean():.0%} of the rows, guessing in {game.guess:.0%}"
        notes = (*notes, Note("no-better-than-guessing", f"completeness is undefined: {text}"))
    scale = gain if gain > 0 else np.nan
    everything = game.right[:, np.flatnonzero(masks.all(axis=1))[0]]
    complete = (everything.mean() - game.guess) / scale
    return Estimate(
        np.asarray(found.values) / scale,
        None if found.stderr is None else np.asarray(found.stderr) / scale,
        base=np.zeros(len(case)),
        output=(everything - game.guess) / scale,
        notes=notes,
        extra={
            "completeness": np.array([complete]),
            "accuracy": np.array([everything.mean(), game.whole.mean(), game.guess]),
            "directions": used,
        },
        features=elements((len(names),), names),
        x=game.scores,
        description=(
            f"completeness of {len(names)} concepts at layer {name!r}: {complete:.2f} ({decoder} decoder); right "
            f"classes {everything.mean():.0%}, of the net {game.whole.mean():.0%}, guessing {game.guess:.0%}",
        ),
    )


def _directions(case: Case, concepts: Any, given: Any, random: Any, layer: str) -> tuple[tuple[str, ...], Any]:
    """The names and directions (concept, unit) of length 1."""
    if given is None:
        found = Concept.each_of(concepts)
        if not found:
            raise InputError("concepts is empty; give {name: rows}.")
        return tuple(one.name for one in found), directions_of(case, found, random, layer)
    require_numbers("directions", given)
    array = to_floats(given)
    if array.ndim != 2 or array.shape[1] != random.shape[2]:
        raise InputError(f"directions have shape {array.shape}; (concept, {random.shape[2]}) is needed at {layer!r}.")
    names = tuple(map(str, concepts)) if concepts else tuple(f"concept {one + 1}" for one in range(len(array)))
    length = np.linalg.norm(array, axis=1)
    if len(names) != len(array) or not (length > 0).all():
        raise InputError(f"{len(names)} names for {len(array)} directions, each other than 0, are given; one for each.")
    return names, array / length[:, None]
