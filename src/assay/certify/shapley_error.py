# SPDX-License-Identifier: Apache-2.0
"""How far sampled Shapley values may be from the true ones."""

from typing import Any

import numpy as np

from assay.basics.betting import betting
from assay.basics.errors import InputError, NumericalError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import present
from assay.engine.coalitions.permutations import antithetic, paired_gains
from assay.engine.coalitions.summary import all_masks, enumerated, exact_shapley
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Explanation, Note

UNIT = ("probability", "decision")
"""Targets that lie between 0 and 1."""
SLACK = 1e-9
"""Rounding that a target may add to its range, as a share of it."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    if _range(case, o.bounds) is None and not enumerated(len(case.features), o.budget):
        return Cost()
    masks = np.unique(_asked(case, o.budget), axis=0)
    return Cost(int((~masks.all(axis=1)).sum())) * (len(case) * o.remove.fills * case.model.passes)


@certifier(source="waudbysmith2024", cost=_cost)
def shapley_error(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = Constant(0.0),
    bounds: tuple[float | int, float | int] | None = None,
    alpha: float = 0.05,
    budget: int = 8192,
) -> dict[str, Any]:
    """The most by which any value of the explanation differs from the true Shapley value: an upper bound.

    ``error`` (row,) bounds max_i |values_i − φ_i|, in units of the target; ``extra["lower"]`` and ``extra["upper"]``
    (row, part) hold all φ of a row at once with chance ≥ 1 − ``alpha``, whatever the game, each row for itself. φ is
    the mean gain of a part over orders of joining. Orders are drawn afresh, independent of those that made the
    explanation, as many as ``budget`` coalitions a row pay for, each with its reverse: the mean of the two gains is one
    draw, in [low − high, high − low] where v lies in [low, high]. Its limits are betting's (Waudby-Smith and Ramdas),
    with ``alpha`` shared among the parts; where gains vary little they are narrower by far than Hoeffding's. With all
    2^n coalitions in the budget φ is known, and so is the error, with confidence 1.

    [low, high] is [0, 1] for a probability or a decision; for any other target give ``bounds`` of v, or it abstains.
    A v outside them is refused. NaN where the explanation is.
    """
    if not isinstance(explanation, Explanation):
        raise InputError(f"shapley_error bounds the error of an explanation; got {type(explanation).__name__}.")
    if not 0 < alpha < 1:
        raise InputError(f"alpha={alpha}; the chance to miss lies strictly between 0 and 1.")
    span, parts = _range(case, bounds), len(case.features)
    exact = enumerated(parts, budget)
    if span is None and not exact:
        return _abstained(case)
    masks = _asked(case, budget)
    values = case.game(remove).table(masks)
    _within(case, values, span, bounds is not None)
    if exact:
        truth = exact_shapley.estimate(exact_shapley.design(parts, budget, case.seed), values).values
        lower = upper = truth
        told = "all coalitions were asked"
    else:
        assert span is not None
        lower, upper = _limits(case, masks.reshape(-1, parts + 1, parts), values, span, alpha)
        told = f"pairs of random orders, v in [{span[0]:g}, {span[1]:g}]"
    error = np.maximum(explanation.values - lower, upper - explanation.values).max(axis=1)
    unknown = np.isnan(error)
    return {
        "bounds": {"error": error},
        "abstained": unknown,
        "theorem": "Shapley values by enumeration (Shapley 1953)"
        if exact
        else "hedged betting limits of a bounded mean, shared among the parts (Waudby-Smith and Ramdas 2024)",
        "assumptions": (
            f"parts are taken away by {remove!r}, and the model answers the same input always alike",
            f"{told}; the statement holds for one row at a time",
        ),
        "confidence": 1.0 if exact else 1 - alpha,
        "draws": len(masks) if exact else len(masks) // (2 * (parts + 1)),
        "extra": {"lower": lower, "upper": upper},
        "notes": (*_undefined(case, unknown), *_other(explanation, remove)),
    }


def _range(case: Case, bounds: tuple[float | int, float | int] | None) -> tuple[float, float] | None:
    """Where v lies, for certain; ``None`` where nothing is known."""
    if bounds is None:
        return (0.0, 1.0) if case.target.name in UNIT else None
    low, high = bounds
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"bounds={bounds}; two finite numbers, the lower first, between which v lies.")
    return float(low), float(high)


def _asked(case: Case, budget: int) -> Masks:
    """The coalitions, in the order in which the limits read them."""
    parts = len(case.features)
    if enumerated(parts, budget):
        return all_masks(parts)
    return antithetic(parts, budget, case.seed.child("shapley error")).reshape(-1, parts)


def _within(case: Case, values: Floats, span: tuple[float, float] | None, given: bool) -> None:
    if np.isnan(values).any():
        rows = [case.rows.ids[i] for i in np.unique(np.nonzero(np.isnan(values))[0])]
        raise NumericalError(
            f"v is NaN for rows {rows[:5]}; Shapley values of such a game do not exist. Mend the model."
        )
    if span is None:
        return
    low, high = span
    slack = SLACK * (high - low)
    beyond = np.maximum(low - values, values - high) > slack
    if beyond.any():
        rows = [case.rows.ids[i] for i in np.unique(np.nonzero(beyond)[0])]
        text = f"v reaches from {values.min():g} to {values.max():g} (rows {rows[:5]}), beyond [{low:g}, {high:g}]"
        if given:
            raise InputError(f"{text} as bounds say. Give bounds that hold for every coalition.")
        raise NumericalError(f"{text} of target {case.target.name!r}. The model's probabilities are none; mend it.")


def _limits(
    case: Case, chains: Masks, values: Floats, span: tuple[float, float], alpha: float
) -> tuple[Floats, Floats]:
    """Limits (row, part); a part that a row lacks is known to have 0."""
    draws = paired_gains(chains, values)
    reach = (span[1] - span[0]) * (1 + 2 * SLACK)
    lower, upper = np.zeros((len(values), chains.shape[2])), np.zeros((len(values), chains.shape[2]))
    for row, held in enumerate(present(case)):
        if held.any():
            lower[row, held], upper[row, held] = betting(draws[row][:, held], -reach, reach, alpha / int(held.sum()))
    return lower, upper


def _abstained(case: Case) -> dict[str, Any]:
    nothing = np.full((len(case), len(case.features)), np.nan)
    text = (
        f"abstained: no bounds of target {case.target.name!r} are known. Give bounds=(low, high) between which it lies "
        f"for every coalition, ask for target='probability' or 'decision', or raise budget to 2^{len(case.features)}"
    )
    return {
        "bounds": {"error": np.full(len(case), np.nan)},
        "abstained": np.ones(len(case), dtype=bool),
        "theorem": "none applies without bounds of the target",
        "assumptions": (),
        "confidence": 0.0,
        "draws": 0,
        "extra": {"lower": nothing, "upper": nothing},
        "notes": (Note("unbounded", text, case.rows.ids),),
    }


def _undefined(case: Case, unknown: Masks) -> tuple[Note, ...]:
    rows = tuple(name for name, bad in zip(case.rows.ids, unknown.tolist()) if bad)
    return (Note("undefined", f"the explanation is NaN for {len(rows)} of {len(case)} rows", rows),) if rows else ()


def _other(explanation: Explanation, remove: Removal) -> tuple[Note, ...]:
    """What was explained may be another game than the one sampled here."""
    used = explanation.provenance.options.get("remove")
    if getattr(used, "fingerprint", remove.fingerprint) == remove.fingerprint:
        return ()
    text = f"the explanation takes parts away by {used!r}, the certificate by {remove!r}: two different games"
    return (Note("other-removal", text),)
