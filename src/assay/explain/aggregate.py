# SPDX-License-Identifier: Apache-2.0
"""Aggregate of several explanations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Masks, PerPart
from assay.cases.case import Case
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import cost_of
from assay.engine.declare import explainer
from assay.engine.recompute import recompute
from assay.nouns.catalogue import Cost, find
from assay.nouns.results.result import Estimate, Explanation, Note


def _cost(case: Case, o: Any, again: Cost) -> Cost:
    """The cost of members given by name or computed on another case; members of this case cost nothing."""
    total = Cost()
    for member in _as_list(o.members):
        if isinstance(member, str):
            total += cost_of(find("explain", member), case, {})
        elif not _is_of_case(member, case):
            total += cost_of(find("explain", member.provenance.method), case, member.provenance.options)
    return total


@explainer(source="bhatt2020", cost=_cost)
def aggregate(
    case: Case,
    *,
    members: Sequence[Any],
    by: Literal["ranks", "values", "precision"] = "ranks",
) -> Estimate:
    """The aggregate of several explanations: the mean of their signed ranks, or of their values.

    ``members`` are explanations of the same case, or names of methods, called with their defaults. ``by="ranks"``: the
    mean over members of sign(φ) · r / n, r the rank of |φ| among the n features of the row (1 the smallest, ties get
    their mean rank), −1 … 1: every member has the same weight, whatever its scale, and an outlier changes the mean by
    its rank only. ``by="values"``: the mean of values, for members in units of the target only (those with a base);
    the result has the mean base and stays complete, and the error is that of independent members. ``by="precision"``:
    values weighted by 1/stderr², for members that estimate the same number by different draws; members that are exact
    (error 0) determine the result. A constant member has no ranking, but is counted.

    A mean is not more accurate than its best member, and an error that all members share remains: score the members,
    too. A member of another case (another model, or by ``recompute``) is recomputed for this case, with a note.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> members = [explain.occlusion(case, remove=Constant(0.0)), explain.integrated_gradients(case)]
    >>> aggregate(case, members=members).values
    array([[1. , 0.5]])
    """
    if case.live:
        raise CapabilityError("explain.aggregate is not differentiable; attack a member instead.")
    if by not in WAYS:
        raise InputError(f"by={by!r}; there are {', '.join(WAYS)}.")
    given = _as_list(members)
    explanations = [_explain_member(member, case) for member in given]
    for one in explanations:
        if one.features.fingerprint != case.features.fingerprint:
            raise InputError(
                f"{one.provenance.method} has {len(one.features)} features that are not those of the case. Remove it "
                f"from members."
            )
    again = [one.provenance.method for one in given if not isinstance(one, str) and not _is_of_case(one, case)]
    notes = (Note("recomputed", f"recomputed for this case: {', '.join(again)}"),) if again else ()
    values, stderr, base = WAYS[by](explanations, present_parts(case))
    description = (f"{by} of {', '.join(one.provenance.method for one in explanations)}",)
    return Estimate(values, stderr, base, notes=notes, description=description)


def _as_list(members: Any) -> list[Any]:
    given = [members] if isinstance(members, str | Explanation) else list(members)
    invalid = [type(one).__name__ for one in given if not isinstance(one, str | Explanation)]
    if invalid or not given:
        raise InputError(
            f"members={invalid[0] if invalid else 'none'}; give explanations of this case or names of methods. The "
            f"members of an aggregate read from disk are not stored: compute them again."
        )
    return given


def _is_of_case(member: Explanation, case: Case) -> bool:
    """Whether model, rows, target, seed and labels of the member are those of the case."""
    origin = member.provenance
    theirs = (origin.model_fingerprint, origin.rows_fingerprint, origin.target, origin.seed)
    ours = (case.model.fingerprint, case.rows.fingerprint, case.target_text, case.seed)
    labels = case.classes if case.model.gives not in ("values", "units") else ()
    return theirs == ours and member.ids == case.rows.ids and member.labels == labels


def _explain_member(member: Explanation | str, case: Case) -> Explanation:
    if isinstance(member, str):
        explained: Explanation = find("explain", member).call(case)
        return explained
    return member if _is_of_case(member, case) else recompute(member, case)


Aggregated = tuple[PerPart, PerPart | None, Any]
"""Values, standard errors and base."""


def _by_ranks(explanations: list[Explanation], present: Masks) -> Aggregated:
    return np.mean([_signed_ranks(one.values, present) for one in explanations], axis=0), None, None


def _signed_ranks(values: PerPart, present: Masks) -> PerPart:
    size = np.where(present, np.abs(values), -1.0)
    absent = (~present).sum(axis=1, keepdims=True)
    ranks = np.asarray(rankdata(size, axis=1)) - absent
    return np.where(present, np.sign(values) * ranks / np.maximum(present.sum(axis=1, keepdims=True), 1), 0.0)


def _by_values(explanations: list[Explanation], present: Masks) -> Aggregated:
    without = [one.provenance.method for one in explanations if np.isnan(one.base).any()]
    if without:
        raise InputError(
            f"{', '.join(without)} has no base, so its values are not in units of the target and the largest scale "
            f"would dominate the mean. Use by='ranks'."
        )
    known = [one.stderr for one in explanations if one.stderr is not None]
    errors = np.sqrt(np.sum(np.square(known), axis=0)) / len(explanations) if known else None
    bases = [one.base for one in explanations]
    return np.mean([one.values for one in explanations], axis=0), errors, np.mean(bases, axis=0)


def _by_precision(explanations: list[Explanation], present: Masks) -> Aggregated:
    without = [one.provenance.method for one in explanations if one.stderr is None]
    if without:
        raise InputError(f"{', '.join(without)} has no standard errors for the weights. Use by='ranks' or by='values'.")
    error = np.stack([one.stderr for one in explanations if one.stderr is not None])
    values = np.stack([one.values for one in explanations])
    exact = (error == 0).any(axis=0)
    weight: Floats = np.where(exact, error == 0, 1 / np.where(error == 0, 1.0, error) ** 2)
    total = weight.sum(axis=0)
    return (weight * values).sum(axis=0) / total, np.where(exact, 0.0, 1 / np.sqrt(total)), None


WAYS: dict[str, Callable[[list[Explanation], Masks], Aggregated]] = {
    "ranks": _by_ranks,
    "values": _by_values,
    "precision": _by_precision,
}
