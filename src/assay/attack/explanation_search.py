# SPDX-License-Identifier: Apache-2.0
"""Black-box attack on any explanation: a random search that needs no gradient."""

from __future__ import annotations

from typing import Any, Literal

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.attributions.map_objectives import centre_objective, target_objective, top_objective
from assay.engine.declare import attacker
from assay.engine.search.ball import Ball
from assay.engine.search.explanation_attack import begin_attack, cost_by_windows
from assay.nouns.results.result import Explanation


@attacker(source="andriushchenko2020", needs={"classes", "numbers", "complete"}, cost=cost_by_windows)
def explanation_search(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    *,
    objective: Literal["top_k", "mass_centre", "target_map"] = "top_k",
    toward: Any = None,
    k: float = 0.1,
    queries: int = 50,
    window: float = 0.5,
) -> dict[str, Any]:
    """What a random search in the ball makes of an explanation at an unchanged prediction: top-k overlap by default.

    For explanations without derivative (removal methods, LIME) and models without gradient. Each query explains a row
    once more, where a random window of the perturbation is changed (of a table: a random subset of columns); it stays
    changed where the objective improves and the predicted class is that of the row. The first window holds the share
    ``window`` of the elements; the share is halved three times. ``objective`` is that of the attack of the same name,
    with the same fields: "top_k" lowers the overlap, "mass_centre" raises the shift of the centre of mass,
    "target_map" lowers the distance from ``toward``. For linf and l2.

    An explainer that samples uses the same seed at every point, so that its draws change nothing; how much they change
    at the row itself is reported as ``reseeded_…`` in ``extra``. Compare the attack with that too.

    A weaker attacker than one with gradients: a failed attack proves nothing.
    """
    if ball.norm not in ("linf", "l2"):
        raise InputError(f"the ball's norm is {ball.norm!r}; this attack is defined for linf, l2.")
    if queries < 1 or not 0 < window <= 1:
        raise InputError(f"queries={queries}, window={window}; needed are queries ≥ 1 and 0 < window ≤ 1.")
    objectives = {
        "top_k": lambda: top_objective(explanation, k),
        "mass_centre": lambda: centre_objective(explanation, case),
        "target_map": lambda: target_objective(explanation, toward),
    }
    attack = begin_attack(explanation, case, ball, objectives[objective], k)
    return attack.by_windows(queries=queries, window=window)
