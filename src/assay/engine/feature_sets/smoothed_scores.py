# SPDX-License-Identifier: Apache-2.0
"""Scores of a model smoothed over frozen masks, at sets of features of the rows of a game."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import CapabilityError, NumericalError
from assay.basics.types import Floats, Masks, MaskSet, Queries, Which
from assay.cases.game import Game
from assay.nouns.inputs.target import class_scores, predicted_class

MAX_MASKS = 2**18
"""Masks that are held at a time."""


def smoothed_scores(
    game: Game, which: Which, keep: Queries, masks: MaskSet, votes: bool, protected: Masks | None = None
) -> Floats:
    """The number of masks · g (query, class) of each row ``which`` with features ``keep`` present.

    Numbers of votes, or summed probabilities. The features present under a mask are those of ``keep`` and of the mask,
    and those ``protected`` (query, part).
    """
    together = max(1, MAX_MASKS // len(masks))
    found = []
    for start in range(0, len(which), together):
        block = slice(start, start + together)
        present = keep[block][:, None, :] & masks
        if protected is not None:
            present = present | protected[block][:, None, :]
        rows = np.asarray(which)[block]
        answers = _answers(game, np.repeat(rows, len(masks)), present.reshape(-1, keep.shape[1]), votes)
        found.append(answers.reshape(len(rows), len(masks), -1).sum(axis=1))
    return np.concatenate(found)


def smoothed_votes_and_probabilities(
    game: Game, which: Which, keep: Queries, masks: MaskSet
) -> tuple[Floats, Floats | None]:
    """The votes and the summed probabilities (query, class) of ``smoothed_scores``, from the same passes.

    Probabilities are ``None`` where the scores are no log odds, or the threshold is one of the score.
    """
    together, found = max(1, MAX_MASKS // len(masks)), []
    for start in range(0, len(which), together):
        rows = np.asarray(which)[start : start + together]
        present = keep[start : start + together][:, None, :] & masks
        outputs, kind = game.decision_outputs(np.repeat(rows, len(masks)), present.reshape(-1, keep.shape[1]))
        scores = class_scores(outputs, kind)
        votes = np.eye(scores.shape[1])[predicted_class(outputs, kind)]
        found.append([one.reshape(len(rows), len(masks), -1).sum(axis=1) for one in (votes, outputs)])
    votes, summed = (np.concatenate(parts) for parts in zip(*found))
    return votes, summed if kind == "probabilities" and summed.shape == votes.shape else None


def _answers(game: Game, which: Which, keep: Queries, votes: bool) -> Floats:
    """One vote, or the probabilities (query, class)."""
    model = game.case.model
    if not votes and model.kind.link == "none":
        raise CapabilityError(
            f"votes=False averages probabilities; the scores of {model.name} are no log odds, so it has none. Use "
            f"votes=True."
        )
    outputs, kind = game.decision_outputs(which, keep) if votes else (game.outputs(which, keep), model.kind)
    classes = class_scores(outputs, kind).shape[1] if votes else outputs.shape[1]
    if classes < 2:
        raise CapabilityError(f"smoothing by masks needs scores of at least two classes; {model.name} gives one.")
    if votes:
        return np.asarray(np.eye(classes)[predicted_class(outputs, kind)])
    if outputs.min() < 0 or outputs.max() > 1 + 1e-6:
        raise NumericalError(
            f"scores are between {outputs.min():g} and {outputs.max():g}; the theorem needs [0, 1]. Use votes=True."
        )
    return np.asarray(outputs)
