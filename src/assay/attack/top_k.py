# SPDX-License-Identifier: Apache-2.0
"""Attack that changes an explanation's top features at an unchanged prediction."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.cost import Given, cost_of_explaining_again
from assay.engine.declare import attacker
from assay.engine.recompute import recompute
from assay.engine.search.ascent import ascend
from assay.engine.search.ball import Ball
from assay.model.transformations.softplus_surrogate import softplus_surrogate
from assay.nouns.catalogue import Check, Cost, find, known
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The objective once and at every step, three overlaps; the class at the rows, twice at the end, at every step.

    The gradient of the objective runs the explanation's gradients and, to differentiate them, runs them again.
    """
    classes = Cost(len(case) * case.model.passes_per_row) * (o.steps + 3)
    gradient = Cost(again.backwards, again.backwards) * 2
    return cost_of_explaining_again(case, again) * (o.steps + 4) + gradient * o.steps + classes


@attacker(
    source="ghorbani2019",
    needs={"gradient", "classes", "numbers"},
    cost=_cost,
    checks=(
        Check(
            "ATK401",
            "Can a small perturbation of the input replace the top features at an unchanged prediction?",
            "Do not use it where an adversary chooses the input; smoothing (repair.smoothing) makes it more robust.",
            0.5,
            "at least",
            claim="{estimate:.0%} of the top features remain after the attack, at an unchanged prediction",
            reads="after",
            bounds=(0.0, 1.0),
        ),
    ),
)
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
    """Top-k overlap: share of an explanation's top features that stay on top after a small adversarial perturbation.

    1: the same k features are on top; 0: none of them. The top features are the ⌈k · n⌉ with the largest |value|. The
    search lowers their share of Σ|value|, following second derivatives of the net with softplus (``sharpness`` is
    its β) for ReLU; iterates are evaluated on the original net, and only those with the same predicted class count.
    Where none is better the row stays. ``step`` is a share of the radius. ``random`` is the overlap after one
    random perturbation at the ball's edge; success means less overlap than that.

    An upper bound on the overlap that an attacker can reach: a failed attack proves nothing.

    Ghorbani's code differs: it sums saliency over colour channels; here the case's features decide.
    """
    _require_attackable(explanation, case)
    original = replace(case, seed=explanation.provenance.seed)
    first = top_features(explanation.values, k)
    predicted = case.predicted(case.rows.x)
    edge = ball.draw(case.rows, case.seed.child("edge", 0), edge=True)

    def overlap(x: Array) -> Floats:
        return _overlap(first, recompute(explanation, original.at(x)).values, k)

    def objective(x: Array) -> Floats:
        values = np.abs(recompute(explanation, original.at(x)).values)
        mass = np.maximum(values.sum(axis=1), np.finfo(float).tiny)
        share = (values * first).sum(axis=1) / mass
        return -_overlap(first, values, k) - share / (2 * first.sum(axis=1))  # the share breaks ties

    def is_unchanged(x: Array) -> Masks:
        return np.asarray(case.predicted(x) == predicted)

    batch = max(1, case.model.batch // 8)  # second derivatives need about eight times the memory
    smooth = replace(
        original, model=replace(softplus_surrogate(case.model, sharpness=sharpness), batch=batch), live=True
    )
    gradient = _objective_gradient(explanation, smooth, first)
    found = ascend(case.rows.x, gradient, objective, is_unchanged, ball, steps=steps, step=step)
    after, random = overlap(found.x), overlap(edge)
    return {
        "x": found.x,
        "success": (after < random) & is_unchanged(found.x),
        "prediction_unchanged": is_unchanged(found.x),
        "distance": to_floats(ball.length(found.x - case.rows.x)),
        "before": overlap(case.rows.x),
        "after": after,
        "random": random,
        "quantity": "top-k overlap",
        "notes": _zero_gradient_note(case, found.has_zero_gradient),
    }


def top_features(values: Floats, share: float) -> Masks:
    """Masks (row, part) of the ⌈share · n⌉ features with the largest |value|; ties are broken by feature order."""
    if not 0 < share <= 1:
        raise InputError(f"k={share} is a share of the features, above 0 and at most 1; 0.1 takes a tenth of them.")
    count = int(np.ceil(share * values.shape[1] - 1e-9))
    masks = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(masks, np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count], True, axis=1)
    return masks


def pool_tensor(features: Features, values: Array) -> Array:
    """``Features.pool`` for tensors, differentiable by autograd: values (row, *shape) summed to (row, part)."""
    torch = need("torch", extra="torch")
    rows, bins = len(values), len(features) + 1
    index = features.index.reshape(len(features.index) if features.per_row else 1, -1)
    index = index % bins  # −1 lands in the last bin
    places = torch.as_tensor(index + bins * np.arange(rows)[:, None], device=values.device)
    sums = values.new_zeros(rows * bins).index_add(0, places.reshape(-1), values.reshape(-1))
    return sums.reshape(rows, bins)[:, :-1]


def _objective_gradient(explanation: Explanation, smooth: Case, first: Masks) -> Callable[[Array], Array]:
    """Minus the gradient of the top features' share of Σ|value|, for the softplus surrogate."""
    torch = need("torch", extra="torch")
    body, options = find("explain", explanation.method).body, explanation.provenance.options

    def gradient(x: Array) -> Array:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            values = _values_by_feature(smooth, body(smooth.at(x), **options)).abs()
            total = values.sum(dim=1).clamp_min(torch.finfo(values.dtype).tiny)
            share = (values * torch.as_tensor(first, device=values.device)).sum(dim=1) / total
            if not share.requires_grad:
                return torch.zeros_like(x)
            found = torch.autograd.grad(-share.sum(), x, allow_unused=True)[0]
        return torch.zeros_like(x) if found is None else found

    return gradient


def _values_by_feature(case: Case, answer: Any) -> Array:
    """Values (row, part) of what an explainer's body returned."""
    values = answer.values if isinstance(answer, Estimate) else answer
    is_by_feature = tuple(values.shape) == (len(case), len(case.features)) and not case.features.elementwise
    return values if is_by_feature else pool_tensor(case.features, values)


def _overlap(first: Masks, values: Floats, share: float) -> Floats:
    return np.asarray((first & top_features(values, share)).sum(axis=1) / first.sum(axis=1))


def _require_attackable(explanation: Explanation, case: Case) -> None:
    if "differentiable" not in find("explain", explanation.method).claims:
        differentiable = [method.name for method in known("explain") if "differentiable" in method.claims]
        raise CapabilityError(
            f"attack.top_k differentiates through the explanation, and {explanation.method} cannot be differentiated. "
            f"Explanations that can be attacked this way: {', '.join(differentiable)}."
        )
    if not case.model.differentiable:
        raise CapabilityError(
            f"attack.top_k needs second derivatives of a torch net; {case.model.name} gives none. "
            f"evaluate.max_sensitivity tests random perturbations instead."
        )
    own = explanation.provenance
    if (own.model_fingerprint, own.rows_fingerprint, own.features_fingerprint, own.target) != (
        case.model.fingerprint,
        case.rows.fingerprint,
        case.features.fingerprint,
        case.target_text,
    ):
        raise InputError(
            f"the explanation (of {own.target}) has another model, other rows, other features or another "
            f"target than this case (of {case.target_text}). Explain this case first, then attack that explanation."
        )


def _zero_gradient_note(case: Case, has_zero_gradient: Masks) -> tuple[Note, ...]:
    if not has_zero_gradient.any():
        return ()
    rows = tuple(name for name, hit in zip(case.rows.ids, has_zero_gradient) if hit)
    text = f"the gradient of the explanation was zero at every step in {len(rows)} of {len(case)} rows: no search"
    return (Note("zero-gradient", text, rows),)
