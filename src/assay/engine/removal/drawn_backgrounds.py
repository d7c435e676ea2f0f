# SPDX-License-Identifier: Apache-2.0
"""An explanation computed again with backgrounds drawn from the data, and the columns' shares of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.default_removal import OwnBackground
from assay.cases.removals import Marginal
from assay.engine.recompute import restored_options
from assay.engine.retraining.explainer_queries import are_among
from assay.engine.retraining.labelled_rows import read_like
from assay.nouns.catalogue import find
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Explanation


def explain_with_drawn_backgrounds(
    case: Case, explanation: Explanation, data: Any, backgrounds: int
) -> tuple[Marginal | OwnBackground, int, list[Explanation]]:
    """The explanation's background, how many of its rows are among the data, and explanations with drawn backgrounds.

    Each background has as many rows of ``data`` (by default the rows explained), without repeats where there are
    enough. ``CapabilityError`` for a method without background rows.
    """
    options = restored_options(explanation, case)
    given = options.get("remove")
    if not isinstance(given, Marginal | OwnBackground):
        raise CapabilityError(
            f"backgrounds={backgrounds}: {explanation.method} has no background rows to draw others for. Explain with "
            f"remove=Marginal(rows), or leave backgrounds at 0."
        )
    used = given.x if isinstance(given, OwnBackground) else given.background
    x, count, found = case.rows.x if data is None else read_like(case, data), given.fills, []
    for number in range(backgrounds):
        stream = case.seed.child("background", number).generator()
        chosen = stream.permutation(len(x))[:count] if len(x) >= count else stream.integers(len(x), size=count)
        again = replace(case, seed=explanation.provenance.seed)
        drawn = OwnBackground(x[chosen], len(x))
        found.append(find("explain", explanation.provenance.method).call(again, **{**options, "remove": drawn}))
    known = int(are_among(to_floats(case.rows.convert(used)), to_floats(x)).sum())
    return given, known, found


def energies(explanation: Explanation, scales: Floats) -> Floats:
    """Squared values (row, part) less the sampling variance, of values multiplied by ``scales`` (part,)."""
    error = 0.0 if explanation.stderr is None else explanation.stderr**2
    return np.asarray((explanation.values**2 - error) * scales**2)


def mean_shares(explanation: Explanation, scales: Floats) -> Floats:
    """Share (part,) of each part in the mean squared value over rows with finite values, never below 0."""
    squares = energies(explanation, scales)
    mean = squares[np.isfinite(squares).all(axis=1)].mean(axis=0).clip(min=0)
    return np.asarray(mean / max(float(mean.sum()), float(np.finfo(float).tiny)))
