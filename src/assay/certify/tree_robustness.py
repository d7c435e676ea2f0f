# SPDX-License-Identifier: Apache-2.0
"""Exact robustness of tree ensembles: the smallest change of the numeric columns that changes the predicted class."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.boxes.nearest_change import NearestChange, nearest_changes
from assay.engine.certified_model import describe_model_itself
from assay.engine.cost import per_row
from assay.engine.declare import certifier
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note


@certifier(
    source="kantchelian2016",
    needs={"classes", "trees", "table"},
    cost=per_row(lambda o: 1),
    checks=(
        Check(
            "CRT107",
            "For how many rows is it proved that no change within the ball changes the decision of the trees?",
            "Certify a smaller ball, or train on attacked rows.",
            claim="the class of {estimate:.0%} of the rows is proved to stay within the ball",
            reads="certified",
            bounds=(0.0, 1.0),
        ),
    ),
)
def tree_robustness(case: Case, ball: Ball, *, max_nodes: int = 20_000) -> dict[str, Any]:
    """The distance to the nearest input of another predicted class, with a proof that no nearer one exists.

    ``radius`` (row,) is a proved lower bound, in the ball's norm and scale: no change of the numeric columns that is
    smaller changes the class. Where the search ended it is the exact distance of the input in ``extra["nearest"]``
    (row, column), which the model itself predicts otherwise; ``extra["distance"]`` (row,) is that input's distance,
    infinite where none was found. Changes of at most the ball's radius are searched for, within its bounds; beyond,
    ``radius`` is the ball's. Columns of text, categories and booleans, missing cells and columns of scale 0 stay as
    they are.

    Best-first search over boxes on which every tree is constant, with the bound of Kantchelian et al. (2016) that each
    tree chooses its leaf by itself; boxes in which the choices contradict each other are divided (as in Chen et al.
    2019, without their merging of trees). After ``max_nodes`` boxes a row's search stops with a lower bound, and a note
    names it. Sums are compared to within 1e-9 of their size: a change that wins by less counts as none, except a tie
    that the model decides for the other class.

    It is exact for the trees as parsed: a found input that the model does not predict otherwise is named in a note.
    """
    if max_nodes < 1:
        raise InputError(f"max_nodes={max_nodes}; at least 1 is needed.")
    predicted = predicted_class(case.prediction, case.model.gives)
    found = nearest_changes(case, predicted, ball, max_nodes)
    nearest = np.array(to_floats(case.rows.x))
    for row, one in enumerate(found):
        if one.x is not None:
            nearest[row] = one.x
    after = case.predicted(nearest.astype(np.asarray(case.rows.x).dtype))
    radius = np.array([min(one.low, ball.radius) for one in found])
    distance = np.array([one.distance for one in found])
    return {
        "bounds": {"radius": radius},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": "every tree is constant on a box, so the sum of its best leaves there bounds the score "
        "(Kantchelian, Tygar and Joseph 2016)",
        "assumptions": (
            f"only numeric columns change, each by at most {ball.radius:g}"
            + (" of its scale" if ball.scale else "")
            + (f", within {ball.low:g} … {ball.high:g}" if np.isfinite([ball.low, ball.high]).any() else ""),
            "the trees are those that assay read from the model",
        ),
        "confidence": 1.0,
        "draws": 0,
        "guarantee": "exact",
        "unit": f"the {ball.norm} norm of the change" + (" in scales of the columns" if ball.scale else ""),
        **describe_model_itself(case),
        "cap": ball.radius,
        "extra": {
            "certified": (radius >= ball.radius).astype(float),
            "distance": distance,
            "nearest": nearest,
            "boxes": np.array([float(one.nodes) for one in found]),
        },
        "notes": (*_open(case, found, radius), *_unconfirmed(case, found, after == predicted)),
    }


def _open(case: Case, found: list[NearestChange], radius: Floats) -> tuple[Note, ...]:
    rows = tuple(case.rows.ids[i] for i, one in enumerate(found) if radius[i] < one.distance and not one.ended)
    text = (
        f"the search of {len(rows)} of {len(case)} rows stopped at max_nodes: radius is a lower bound; raise max_nodes"
    )
    return (Note("stopped", text, rows),) if rows else ()


def _unconfirmed(case: Case, found: list[NearestChange], same: np.ndarray) -> tuple[Note, ...]:
    rows = tuple(case.rows.ids[i] for i, one in enumerate(found) if one.x is not None and same[i])
    text = (
        f"in {len(rows)} of {len(case)} rows the model predicts the same class at the nearest input found, where its "
        f"score ties up to rounding: radius is right, distance is not confirmed"
    )
    return (Note("unconfirmed", text, rows),) if rows else ()
