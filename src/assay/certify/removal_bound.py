# SPDX-License-Identifier: Apache-2.0
"""Bounds on the change of a removal-based explanation when the input changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.default_removal import OwnBackground
from assay.cases.removals import Conditional, Constant, Marginal, Mean, Removal
from assay.engine.bounds.slope_bounds import bound_slopes
from assay.engine.certified_model import describe_model_itself
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.engine.neighbourhoods.gradient_norms import largest_gradient_norms
from assay.engine.recompute import restored_options
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Explanation, Note

ROW_NORMS = {
    "leave_one_out": 2.0,
    "occlusion": 2.0,
    "shapley": 2.0,
    "permutation_shapley": 2.0,
    "banzhaf": 2.0,
    "rise": 1.0,
}
"""The ℓ1 norm of each row of the operator A with φ = A v."""

HALF_OF_ALL_SETS = ("shapley", "banzhaf")
"""Exact values of these average over sets that contain each other feature with probability ½."""

FIXED = (Constant, Mean, Marginal, OwnBackground)
"""Removals that fill absent features with numbers that do not depend on the row."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """A gradient at each random point where no constant is given."""
    draws = 0 if o.lipschitz is not None or o.propagate else o.draws
    return Cost(draws, draws) * (len(case) * case.model.passes_per_row)


@certifier(source="lin2023", needs={"numbers", "complete"}, cost=_cost)
def removal_bound(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    *,
    lipschitz: float | None = None,
    shift: float | None = None,
    magnitude: float | None = None,
    draws: int = 32,
    propagate: bool = False,
) -> dict[str, Any]:
    """Upper bound on the ℓ2 change of the values when the input moves within the ball: ‖Δφ‖ ≤ g · h · ‖δ‖.

    ``change`` (row,), in units of the target. h is √d · the ℓ1 norm of a row of the operator that maps the game to the
    values, d the number of features: 2√d for leave-one-out (``occlusion``) and sampled Shapley values, √d for RISE. For
    exact Shapley and Banzhaf values with a fixed filling h is √2 · √d: a set contains another feature with probability
    ½, so that on average half of ‖δ‖² reaches the game (derived by this package). ‖δ‖ is the largest ℓ2 length in the
    ball. g is ``lipschitz``, the ℓ2 Lipschitz constant L of the target, for removals that fill with fixed values; it
    must hold between all filled rows, not only in the ball. For ``Conditional`` g = L + 2BM: give ``magnitude`` B, with
    |target| ≤ B, and ``shift`` M, with TV(p(· | x_S), p(· | x′_S)) ≤ M ‖x_S − x′_S‖; without them it is refused.

    Without ``lipschitz`` the largest gradient norm at ``draws`` random points of the ball, with random features
    removed, stands for L. It is a lower bound of L, so that the result is "empirical" and proves nothing. With
    ``propagate`` L is proved for nets that are chains of affine layers and rectifiers
    (``certify.bound_propagation``), targets "logit" and "value", and fixed fillings: intervals of the derivatives are
    propagated through the net, over a box that holds the ball and all fillings. It is loose. extra["lipschitz"]
    (row,) is the constant used, extra["relative"] the bound over ‖φ‖. Nearby inputs only: a small bound says that the
    explanation is stable, not that it is right. A random explanation, which ignores the input, changes by 0
    (``control``).

    The theorem is one of exact values. Sampled ones vary by their standard errors on top (a note).
    """
    if draws < 1 or (lipschitz is not None and (lipschitz < 0 or propagate)):
        raise InputError(
            f"draws={draws}, lipschitz={lipschitz}, propagate={propagate}; needed: draws ≥ 1, and lipschitz ≥ 0 or "
            f"propagate=True, not both."
        )
    ball.check_bounds(case.rows.x)
    factor, remove = _operator(explanation, case)
    name, parts = explanation.provenance.method, len(case.features)
    further = _conditional_term(remove, shift, magnitude)
    is_proved = propagate or lipschitz is not None
    constant = bound_slopes(case, ball, remove) if propagate else np.full(len(case), lipschitz or 0.0)
    if not is_proved:
        constant = largest_gradient_norms(case, ball, remove, draws, case.seed.child("removal bound"))
    reach = euclidean_radius(ball, case)
    change = (constant + further) * factor * math.sqrt(parts) * reach
    size = np.linalg.norm(explanation.values, axis=1)
    relative = np.divide(change, size, out=np.full(len(case), np.inf), where=size > 0)
    source = "intervals of the net's derivatives" if propagate else "gradients at random points"
    source = source if propagate or lipschitz is None else f"the given Lipschitz constant {lipschitz:g}"
    return {
        "bounds": {"change": change},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": f"‖Δφ‖ ≤ g · {factor:.4g} · √d · ‖δ‖ for {name} of d = {parts} features (Lin, Covert and Lee 2023)",
        "assumptions": (
            f"features are removed by {remove!r}; g comes from {source}"
            + (f" and 2BM = {further:g}" if further else ""),
            f"the input moves by at most {reach:.4g} in ℓ2, the largest length in the {ball.norm} ball of radius "
            f"{ball.radius:g}",
        ),
        "confidence": 1.0 if is_proved else 0.0,
        "draws": 0 if is_proved else draws,
        "guarantee": "exact" if is_proved else "empirical",
        "unit": f"the l2 norm of the change of the values, in units of target {case.target.name!r}",
        **describe_model_itself(case),
        "control": {"change": np.zeros(len(case))},
        "extra": {"lipschitz": constant, "relative": relative},
        "notes": (*_sampled(explanation), *_empirical(is_proved)),
    }


def _operator(explanation: Explanation, case: Case) -> tuple[float, Removal]:
    """h/√d of the explanation's method and removal, and the removal; ``CapabilityError`` where there is none."""
    if not isinstance(explanation, Explanation):
        raise InputError(f"removal_bound bounds the change of an explanation; got {type(explanation).__name__}.")
    name = explanation.provenance.method
    if name not in ROW_NORMS:
        raise CapabilityError(
            f"removal_bound knows the operators of {', '.join(ROW_NORMS)}; {name} is none of them. Explain by one of "
            f"these, or attack the explanation (attack.top_k)."
        )
    options = restored_options(explanation, case)
    if name == "occlusion" and options.get("together", 1) != 1:
        raise CapabilityError("removal_bound needs occlusion of single features; this one is of windows.")
    remove: Removal = options["remove"]
    all_removable = bool((case.features.index >= 0).all())  # what is in no feature is seen by every set
    is_tighter = name in HALF_OF_ALL_SETS and _is_exact(explanation) and isinstance(remove, FIXED) and all_removable
    return (math.sqrt(2) if is_tighter else ROW_NORMS[name]), remove


def _is_exact(explanation: Explanation) -> bool:
    return explanation.stderr is None or bool((explanation.stderr == 0).all())


def euclidean_radius(ball: Ball, case: Case) -> float:
    """The largest ℓ2 length of a perturbation in the ball, without regard to its bounds."""
    scales = np.broadcast_to(np.array(ball.scale), case.rows.shape) if ball.scale else np.ones(case.rows.shape)
    if ball.norm == "linf":
        return ball.radius * float(np.linalg.norm(scales))
    if ball.norm == "l0":
        moved = min(int(ball.radius), int(np.count_nonzero(scales)))
        return math.sqrt(moved) * (ball.high - ball.low)
    return ball.radius * float(scales.max())


def _conditional_term(remove: Removal, shift: float | None, magnitude: float | None) -> float:
    """2BM of a conditional removal, 0 of one that fills with fixed values; ``CapabilityError`` for others."""
    if isinstance(remove, FIXED):
        return 0.0
    if not isinstance(remove, Conditional):
        raise CapabilityError(
            f"removal_bound has no bound for {remove!r}: what fills an absent feature depends on the row. Use "
            f"Constant, Mean or Marginal."
        )
    if shift is None or magnitude is None or shift < 0 or magnitude < 0:
        raise CapabilityError(
            f"removal_bound of a conditional removal needs shift=M ≥ 0 (how fast the conditional distribution moves, "
            f"in total variation) and magnitude=B ≥ 0 (a bound of |target|); got shift={shift}, magnitude={magnitude}. "
            f"Or use Constant, Mean or Marginal."
        )
    return 2 * magnitude * shift


def _sampled(explanation: Explanation) -> tuple[Note, ...]:
    if _is_exact(explanation):
        return ()
    largest: Floats = np.linalg.norm(np.asarray(explanation.stderr), axis=1)
    text = (
        f"the values are sampled: on top of the bound, which is one of exact values, they vary by about "
        f"{float(np.nanmean(largest)):.3g} (ℓ2 norm of the standard errors)"
    )
    return (Note("sampled", text),)


def _empirical(is_proved: bool) -> tuple[Note, ...]:
    if is_proved:
        return ()
    text = "the constant is the largest gradient found, a lower bound: the result proves nothing; give lipschitz"
    return (Note("empirical", text),)
