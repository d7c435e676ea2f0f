# SPDX-License-Identifier: Apache-2.0
"""Moving an explanation's leading parts without moving the prediction."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.cost import Given, anew
from assay.engine.declare import attacker, recompute
from assay.engine.search.ascent import ascend
from assay.engine.search.ball import Ball
from assay.model.transformations.softplus_surrogate import softplus_surrogate
from assay.nouns.catalogue import Cost, find, known
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Judged once, then at every step; three overlaps; the class at the rows, twice at the end, and at every step.

    A slope runs the explanation's gradients and, to differentiate them, runs them again.
    """
    classes = Cost(len(case) * case.model.passes) * (o.steps + 3)
    slope = Cost(again.backwards, again.backwards) * 2
    return anew(case, again) * (o.steps + 4) + slope * o.steps + classes


@attacker(source="ghorbani2019", needs={"gradient", "classes", "numbers"}, cost=_cost)
def top_k(
    explanation: Explanation,
    case: Case,
    ball: Ball,
    *,
    k: float = 0.1,
    steps: int = 50,
    step: float = 0.1,
    sharpness: float = 20.0,
) -> dict[str, Any]:
    """Share of the explanation's leading parts that still lead after a small move that keeps the prediction.

    1: the same k parts lead; 0: all are others. The leading parts are the ⌈k · n⌉ with the largest |value|. The
    search lowers their share of Σ|value|, following second derivatives of the net with softplus (``sharpness`` is
    its β) for ReLU; iterates are judged on the net as it is, and only those with the same predicted class count.
    Where none is better the row stays. ``step`` is a share of the radius. ``random`` is the overlap after one
    random move to the ball's edge; success means less overlap than that.

    An upper bound on the overlap an attacker can reach: a failed attack proves nothing.

    Ghorbani's code differs: it sums saliency over colour channels; here the case's parts decide.
    """
    _attackable(explanation, case)
    real = replace(case, seed=explanation.provenance.seed)
    first = leading(explanation.values, k)
    predicted = case.predicted(case.rows.x)
    edge = ball.draw(case.rows, case.seed.child("edge", 0), edge=True)

    def overlap(x: Array) -> Floats:
        return _overlap(first, recompute(explanation, real.at(x)).values, k)

    def judged(x: Array) -> Floats:
        values = np.abs(recompute(explanation, real.at(x)).values)
        mass = np.maximum(values.sum(axis=1), np.finfo(float).tiny)
        share = (values * first).sum(axis=1) / mass
        return -_overlap(first, values, k) - share / (2 * first.sum(axis=1))  # the share breaks ties

    def kept(x: Array) -> Masks:
        return np.asarray(case.predicted(x) == predicted)

    few = max(1, case.model.batch // 8)  # differentiating twice keeps about eight times as much
    soft = replace(real, model=replace(softplus_surrogate(case.model, sharpness=sharpness), batch=few), live=True)
    climb = ascend(case.rows.x, _falling(explanation, soft, first), judged, kept, ball, steps=steps, step=step)
    after, random = overlap(climb.x), overlap(edge)
    return {
        "x": climb.x,
        "success": (after < random) & kept(climb.x),
        "kept": kept(climb.x),
        "moved": to_floats(ball.length(climb.x - case.rows.x)),
        "before": overlap(case.rows.x),
        "after": after,
        "random": random,
        "quantity": "top-k overlap",
        "notes": _flat(case, climb.flat),
    }


def leading(values: Floats, share: float) -> Masks:
    """Masks (row, part) of the ⌈share · n⌉ parts with the largest |value|; ties fall in part order."""
    if not 0 < share <= 1:
        raise InputError(f"k={share} is a share of the parts, above 0 and at most 1; 0.1 takes a tenth of them.")
    count = int(np.ceil(share * values.shape[1] - 1e-9))
    masks = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(masks, np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count], True, axis=1)
    return masks


def pooled(features: Features, values: Array) -> Array:
    """``Features.pool`` for tensors, so that autograd follows: values (row, *shape) summed to (row, part)."""
    torch = need("torch", extra="torch")
    rows, bins = len(values), len(features) + 1
    index = features.index.reshape(len(features.index) if features.per_row else 1, -1)
    index = index % bins  # −1 lands in the last bin
    places = torch.as_tensor(index + bins * np.arange(rows)[:, None], device=values.device)
    sums = values.new_zeros(rows * bins).index_add(0, places.reshape(-1), values.reshape(-1))
    return sums.reshape(rows, bins)[:, :-1]


def _falling(explanation: Explanation, soft: Case, first: Masks) -> Callable[[Array], Array]:
    """Minus the gradient of the first leaders' share of Σ|value|, for the softened net."""
    torch = need("torch", extra="torch")
    body, options = find("explain", explanation.method).body, explanation.provenance.options

    def slope(x: Array) -> Array:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            values = _parts(soft, body(soft.at(x), **options)).abs()
            total = values.sum(dim=1).clamp_min(torch.finfo(values.dtype).tiny)
            share = (values * torch.as_tensor(first, device=values.device)).sum(dim=1) / total
            if not share.requires_grad:
                return torch.zeros_like(x)
            found = torch.autograd.grad(-share.sum(), x, allow_unused=True)[0]
        return torch.zeros_like(x) if found is None else found

    return slope


def _parts(case: Case, answer: Any) -> Array:
    """Values (row, part) of what an explanation's body returned."""
    values = answer.values if isinstance(answer, Estimate) else answer
    by_part = tuple(values.shape) == (len(case), len(case.features)) and not case.features.elementwise
    return values if by_part else pooled(case.features, values)


def _overlap(first: Masks, values: Floats, share: float) -> Floats:
    return np.asarray((first & leading(values, share)).sum(axis=1) / first.sum(axis=1))


def _attackable(explanation: Explanation, case: Case) -> None:
    if "differentiable" not in find("explain", explanation.method).claims:
        able = [method.name for method in known("explain") if "differentiable" in method.claims]
        raise CapabilityError(
            f"attack.top_k differentiates through the explanation, and {explanation.method} cannot be differentiated. "
            f"Explanations that can be attacked this way: {', '.join(able)}."
        )
    if not case.model.differentiable:
        raise CapabilityError(
            f"attack.top_k needs second derivatives of a torch net; {case.model.name} gives none. "
            f"evaluate.max_sensitivity tries random moves instead."
        )
    made = explanation.provenance
    if (made.model_fingerprint, made.rows_fingerprint, made.features_fingerprint, made.target) != (
        case.model.fingerprint,
        case.rows.fingerprint,
        case.features.fingerprint,
        case.asked,
    ):
        raise InputError(
            f"the explanation (of {made.target}) was made of another model, other rows, another cut or another "
            f"target than this case (of {case.asked}). Explain this case first, then attack that explanation."
        )


def _flat(case: Case, flat: Masks) -> tuple[Note, ...]:
    if not flat.any():
        return ()
    rows = tuple(name for name, hit in zip(case.rows.ids, flat) if hit)
    text = f"the explanation's slope was zero at every step in {len(rows)} of {len(case)} rows: nothing was searched"
    return (Note("zero-gradient", text, rows),)
