# SPDX-License-Identifier: Apache-2.0
"""Confidence bounds on the error of sampled Shapley values."""

from typing import Any

import numpy as np

from assay.basics.betting import betting_interval
from assay.basics.errors import InputError, NumericalError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.certified_model import describe_model_itself
from assay.engine.coalitions.estimator import all_masks, exact_shapley, is_enumerable
from assay.engine.coalitions.masks import present_parts
from assay.engine.coalitions.permutations import draw_antithetic_orders, paired_contributions
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Explanation, Note

UNIT = ("probability", "decision")
"""Targets that lie between 0 and 1."""
SLACK = 1e-9
"""Tolerance for rounding errors beyond a target's range, as a share of the range."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    if _range(case, o.bounds) is None and not is_enumerable(len(case.features), o.budget):
        return Cost()
    masks = np.unique(_coalitions(case, o.budget), axis=0)
    return Cost(int((~masks.all(axis=1)).sum())) * (len(case) * o.remove.fills * case.model.passes_per_row)


@certifier(source="waudbysmith2024", cost=_cost)
def shapley_error(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = DEFAULT,
    bounds: tuple[float | int, float | int] | None = None,
    alpha: float = 0.05,
    budget: int = 8192,
) -> dict[str, Any]:
    """Upper bound on the largest difference between the explanation's values and the true Shapley values.

    ``error`` (row,) bounds max_i |values_i − φ_i|, in units of the target; ``control`` is the bound for the values of
    the explanation in random order. ``extra["lower"]`` and ``extra["upper"]`` (row, part) contain all φ of a row
    simultaneously with probability ≥ 1 − ``alpha``, for any game; each row has its own guarantee. φ is the mean
    marginal contribution of a part over random orders. The orders are independent of those of the explanation;
    ``budget`` is the number of coalitions a row. Each order is followed by its reverse, and the mean of the two
    contributions is one draw, in [low − high, high − low] where v lies in [low, high]. The limits are hedged betting
    confidence limits (Waudby-Smith and Ramdas 2024) with ``alpha`` divided among the parts; where contributions vary
    little, they are much narrower than Hoeffding's. If all 2^n coalitions fit in the budget, φ is computed exactly,
    and the confidence is 1.

    [low, high] is [0, 1] for a probability or a decision. For any other target give ``bounds`` of v; without them the
    certificate abstains. ``InputError`` where v lies outside ``bounds``; NaN where the explanation is NaN.
    """
    if not isinstance(explanation, Explanation):
        raise InputError(f"shapley_error bounds the error of an explanation; got {type(explanation).__name__}.")
    if not 0 < alpha < 1:
        raise InputError(f"alpha={alpha}; the error probability must be strictly between 0 and 1.")
    span, parts = _range(case, bounds), len(case.features)
    exact = is_enumerable(parts, budget)
    if span is None and not exact:
        return _abstained(case)
    masks = _coalitions(case, budget)
    values = case.game(remove).table(masks)
    _check_range(case, values, span, bounds is not None)
    if exact:
        truth = exact_shapley.estimate(exact_shapley.design(parts, budget, case.seed), values).values
        lower = upper = truth
        basis = "all coalitions were evaluated"
    else:
        assert span is not None
        lower, upper = _limits(case, masks.reshape(-1, parts + 1, parts), values, span, alpha)
        basis = f"pairs of random orders, v in [{span[0]:g}, {span[1]:g}]"
    error, control = (_largest(values, lower, upper) for values in (explanation.values, _shuffled(case, explanation)))
    undefined = np.isnan(error)
    return {
        "bounds": {"error": error},
        "abstained": undefined,
        "theorem": "Shapley values by enumeration (Shapley 1953)"
        if exact
        else "hedged betting limits of a bounded mean, Bonferroni over features (Waudby-Smith and Ramdas 2024)",
        "assumptions": (
            f"features are removed by {remove!r}, and the model is deterministic",
            f"{basis}; the guarantee holds for each row separately",
        ),
        "confidence": 1.0 if exact else 1 - alpha,
        "draws": len(masks) if exact else len(masks) // (2 * (parts + 1)),
        "guarantee": "exact" if exact else "probabilistic",
        "unit": f"units of target {case.target.name!r}",
        **describe_model_itself(case),
        "control": {"error": control},
        "extra": {"lower": lower, "upper": upper},
        "notes": (*_undefined(case, undefined), *_different_removal(explanation, remove)),
    }


def _largest(values: Floats, lower: Floats, upper: Floats) -> Floats:
    """The largest distance (row,) of the values from a point of the limits."""
    return np.asarray(np.maximum(values - lower, upper - values).max(axis=1))


def _shuffled(case: Case, explanation: Explanation) -> Floats:
    """The values of each row in random order of its parts: a random explanation of equal size."""
    values = np.array(explanation.values)
    for row, (name, exists) in enumerate(zip(case.rows.ids, present_parts(case))):
        own = np.flatnonzero(exists)
        values[row, own] = values[row, case.seed.child("random parts", name).generator().permutation(own)]
    return values


def _range(case: Case, bounds: tuple[float | int, float | int] | None) -> tuple[float, float] | None:
    """The known range of v; ``None`` where it is unknown."""
    if bounds is None:
        return (0.0, 1.0) if case.target.name in UNIT else None
    low, high = bounds
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"bounds={bounds}; they must be two finite numbers, the lower first, that contain every v.")
    return float(low), float(high)


def _coalitions(case: Case, budget: int) -> Masks:
    """The coalitions to evaluate: all, or chains of random orders."""
    parts = len(case.features)
    if is_enumerable(parts, budget):
        return all_masks(parts)
    return draw_antithetic_orders(parts, budget, case.seed.child("shapley error")).reshape(-1, parts)


def _check_range(case: Case, values: Floats, span: tuple[float, float] | None, given: bool) -> None:
    if np.isnan(values).any():
        rows = [case.rows.ids[i] for i in np.unique(np.nonzero(np.isnan(values))[0])]
        raise NumericalError(
            f"v is NaN for rows {rows[:5]}; Shapley values of such a game are undefined. Fix the model."
        )
    if span is None:
        return
    low, high = span
    slack = SLACK * (high - low)
    beyond = np.maximum(low - values, values - high) > slack
    if beyond.any():
        rows = [case.rows.ids[i] for i in np.unique(np.nonzero(beyond)[0])]
        text = f"v is between {values.min():g} and {values.max():g} (rows {rows[:5]}), beyond [{low:g}, {high:g}]"
        if given:
            raise InputError(f"{text} given as bounds. Give bounds that hold for every coalition.")
        raise NumericalError(
            f"{text}, the range of target {case.target.name!r}. The model's outputs are not probabilities; fix the "
            f"model."
        )


def _limits(
    case: Case, chains: Masks, values: Floats, span: tuple[float, float], alpha: float
) -> tuple[Floats, Floats]:
    """Limits (row, part); exactly 0 for a part that a row does not have."""
    draws = paired_contributions(chains, values)
    reach = (span[1] - span[0]) * (1 + 2 * SLACK)
    lower, upper = np.zeros((len(values), chains.shape[2])), np.zeros((len(values), chains.shape[2]))
    for row, own in enumerate(present_parts(case)):
        if own.any():
            lower[row, own], upper[row, own] = betting_interval(
                draws[row][:, own], -reach, reach, alpha / int(own.sum())
            )
    return lower, upper


def _abstained(case: Case) -> dict[str, Any]:
    nothing = np.full((len(case), len(case.features)), np.nan)
    text = (
        f"abstained: the range of target {case.target.name!r} is unknown. Give bounds=(low, high) that contain the "
        f"target for every coalition, use target='probability' or 'decision', or raise budget to "
        f"2^{len(case.features)}"
    )
    return {
        "bounds": {"error": np.full(len(case), np.nan)},
        "abstained": np.ones(len(case), dtype=bool),
        "theorem": "none: the bounds of the target are unknown",
        "assumptions": (),
        "confidence": 0.0,
        "draws": 0,
        "guarantee": "empirical",
        "unit": f"units of target {case.target.name!r}",
        **describe_model_itself(case),
        "extra": {"lower": nothing, "upper": nothing},
        "notes": (Note("unbounded", text, case.rows.ids),),
    }


def _undefined(case: Case, undefined: Masks) -> tuple[Note, ...]:
    rows = tuple(name for name, is_nan in zip(case.rows.ids, undefined.tolist()) if is_nan)
    return (Note("undefined", f"the explanation is NaN for {len(rows)} of {len(case)} rows", rows),) if rows else ()


def _different_removal(explanation: Explanation, remove: Removal) -> tuple[Note, ...]:
    """A note where the explanation is of another game than the one sampled here."""
    used = explanation.provenance.options.get("remove")
    if getattr(used, "fingerprint", remove.fingerprint) == remove.fingerprint:
        return ()
    text = f"the explanation removes features by {used!r}, the certificate by {remove!r}: these are different games"
    return (Note("other-removal", text),)
