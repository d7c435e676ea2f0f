# SPDX-License-Identifier: Apache-2.0
"""Max-sensitivity."""

from dataclasses import replace

import numpy as np

from assay.cases.case import Case
from assay.engine.ball import Ball
from assay.engine.declare import remake, scorer
from assay.engine.price import explained_again
from assay.nouns.result import Estimate, Explanation
from assay.words.errors import InputError


@scorer(source="yeh2019", better="lower", needs={"numbers"}, price=explained_again(lambda case, o: o.draws))
def max_sensitivity(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> Estimate:
    """The largest relative change of the explanation among random small moves of the input.

    max_δ ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖, Euclidean over parts, with ``draws`` points δ uniform in ``ball`` around each row,
    the same for all methods of a case; 0 is best, 1 means it moves by its own size. extra["mean"] is the average over
    the draws and extra["mean stderr"] its standard error. The label asked about stays; explainers that sample reuse
    their draws, so their noise is not counted. Undefined where φ(x) = 0. ``ball`` is in the units of the rows.

    The maximum grows with ``draws`` and is a lower bound of the worst case (attacks search for that): compare equal
    ``draws`` only. An explanation that ignores the model can score 0. captum.sensitivity_max moves by up to 0.02
    in every element whatever the units.
    """
    if not isinstance(ball, Ball):
        raise InputError(
            f"ball={ball!r}; give how far rows may be moved, in their own units: assay.Ball('linf', 0.02)."
        )
    if draws < 1:
        raise InputError(f"draws={draws}; at least 1 is needed.")
    size = np.linalg.norm(explanation.values, axis=1)
    changes = []
    for draw in range(draws):
        moved = case.at(ball.draw(case.rows, case.seed.child("neighbourhood", draw)))
        other = remake(explanation, replace(moved, seed=explanation.made.seed))
        change = np.linalg.norm(other.values - explanation.values, axis=1)
        changes.append(np.divide(change, size, out=np.full(size.shape, np.nan), where=size > 0))
    change = np.stack(changes, axis=1)
    stderr = change.std(axis=1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(len(case), np.nan)
    return Estimate(change.max(axis=1), extra={"mean": change.mean(axis=1), "mean stderr": stderr})
