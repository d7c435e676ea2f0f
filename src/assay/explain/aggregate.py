# SPDX-License-Identifier: Apache-2.0
"""Several explanations made one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Masks, PerPart
from assay.cases.case import Case
from assay.engine.coalitions.masks import present
from assay.engine.cost import cost_of
from assay.engine.declare import explainer, recompute
from assay.nouns.catalogue import Cost, find
from assay.nouns.results.result import Estimate, Explanation, Note


def _priced(case: Case, o: Any, again: Cost) -> Cost:
    """Members by name, and those of another case, are explained; members of this case are there."""
    total = Cost()
    for member in _listed(o.members):
        if isinstance(member, str):
            total += cost_of(find("explain", member), case, {})
        elif not _fits(member, case):
            total += cost_of(find("explain", member.provenance.method), case, member.provenance.options)
    return total


@explainer(source="bhatt2020", cost=_priced)
def aggregate(
    case: Case,
    *,
    members: Sequence[Any],
    by: Literal["ranks", "values", "precision"] = "ranks",
) -> Estimate:
    """What several explanations say together: the mean of their signed ranks, or of their values.

    ``members`` are explanations of the same case, or names of methods, called with their defaults. ``by="ranks"``: the
    mean over members of sign(φ) · r / n, with r the rank of |φ| among the n parts of the row (1 the smallest, ties
    their mean rank), −1 … 1: every member has one vote, whatever its scale, and no outlier counts for more than a
    place. ``by="values"``: the mean of values, for members in units of the target only (those with a base); then base
    and completeness are kept, and the error is that of independent members. ``by="precision"``: values weighted by
    1/stderr², part by part, for members that estimate the same number by different draws; exact members
    (error 0) outweigh all others. A constant cannot be ranked, but counts.

    A mean is not truer than its best member: members that share a fault keep it. Score it beside them. A member of
    another case (on a changed model, or by ``recompute``) is made again for this one, which a note tells.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> aggregate(case, members=[explain.occlusion(case), explain.integrated_gradients(case)]).values
    array([[1. , 0.5]])
    """
    if case.live:
        raise CapabilityError("explain.aggregate gives no gradient of itself; attack a member instead.")
    if by not in WAYS:
        raise InputError(f"by={by!r}; there are {', '.join(WAYS)}.")
    given = _listed(members)
    made = [_made(member, case) for member in given]
    for one in made:
        if one.features.fingerprint != case.features.fingerprint:
            raise InputError(
                f"{one.provenance.method} is of {len(one.features)} other parts than the case's. Leave it out."
            )
    again = [one.provenance.method for one in given if not isinstance(one, str) and not _fits(one, case)]
    notes = (Note("made-again", f"made again for this case: {', '.join(again)}"),) if again else ()
    values, stderr, base = WAYS[by](made, present(case))
    told = (f"{by} of {', '.join(one.provenance.method for one in made)}",)
    return Estimate(values, stderr, base, notes=notes, told=told)


def _listed(members: Any) -> list[Any]:
    given = [members] if isinstance(members, str | Explanation) else list(members)
    strange = [type(one).__name__ for one in given if not isinstance(one, str | Explanation)]
    if strange or not given:
        raise InputError(
            f"members={strange[0] if strange else 'none'}; give explanations of this case or names of methods. Members "
            f"of an aggregate read from disk are not stored: explain again."
        )
    return given


def _fits(member: Explanation, case: Case) -> bool:
    """Whether the member answers this very question."""
    made = member.provenance
    marks = (made.model_fingerprint, made.rows_fingerprint, made.target, made.seed)
    here = (case.model.fingerprint, case.rows.fingerprint, case.asked, case.seed)
    labels = case.classes if case.model.gives not in ("values", "units") else ()
    return marks == here and member.ids == case.rows.ids and member.labels == labels


def _made(member: Explanation | str, case: Case) -> Explanation:
    if isinstance(member, str):
        explained: Explanation = find("explain", member).call(case)
        return explained
    return member if _fits(member, case) else recompute(member, case)


Joined = tuple[PerPart, PerPart | None, Any]


def _by_ranks(made: list[Explanation], held: Masks) -> Joined:
    return np.mean([_signed_ranks(one.values, held) for one in made], axis=0), None, None


def _signed_ranks(values: PerPart, held: Masks) -> PerPart:
    size = np.where(held, np.abs(values), -1.0)
    absent = (~held).sum(axis=1, keepdims=True)
    ranks = np.asarray(rankdata(size, axis=1)) - absent
    return np.where(held, np.sign(values) * ranks / np.maximum(held.sum(axis=1, keepdims=True), 1), 0.0)


def _by_values(made: list[Explanation], held: Masks) -> Joined:
    bare = [one.provenance.method for one in made if np.isnan(one.base).any()]
    if bare:
        raise InputError(
            f"{', '.join(bare)} has no base: its values are in no units of the target, and their mean would be led by "
            f"the largest scale. Take by='ranks'."
        )
    known = [one.stderr for one in made if one.stderr is not None]
    errors = np.sqrt(np.sum(np.square(known), axis=0)) / len(made) if known else None
    return np.mean([one.values for one in made], axis=0), errors, np.mean([one.base for one in made], axis=0)


def _by_precision(made: list[Explanation], held: Masks) -> Joined:
    bare = [one.provenance.method for one in made if one.stderr is None]
    if bare:
        raise InputError(f"{', '.join(bare)} has no standard errors to weigh by. Take by='ranks' or by='values'.")
    error = np.stack([one.stderr for one in made if one.stderr is not None])
    values = np.stack([one.values for one in made])
    exact = (error == 0).any(axis=0)
    weight: Floats = np.where(exact, error == 0, 1 / np.where(error == 0, 1.0, error) ** 2)
    total = weight.sum(axis=0)
    return (weight * values).sum(axis=0) / total, np.where(exact, 0.0, 1 / np.sqrt(total)), None


WAYS: dict[str, Callable[[list[Explanation], Masks], Joined]] = {
    "ranks": _by_ranks,
    "values": _by_values,
    "precision": _by_precision,
}
