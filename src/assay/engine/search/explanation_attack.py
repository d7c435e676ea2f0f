# SPDX-License-Identifier: Apache-2.0
"""Attacks on explanations: points in a ball with the same predicted class and another explanation.

By gradient the search differentiates the explanation of a softplus surrogate; by random windows it needs nothing but
explanations. Both evaluate every point on the original model, and report the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.samples.correlation import spearman
from assay.basics.stats import skewness_corrected_interval
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.map_objectives import MapObjective, normalised, overlap_of_top, top_features
from assay.engine.cost import Given, cost_of_explaining_again
from assay.engine.recompute import recompute
from assay.engine.search.ascent import ascend
from assay.engine.search.ball import Ball
from assay.engine.search.random_squares import window_proposals
from assay.engine.search.threat import as_array, choose_rows
from assay.model.transformations.softplus_surrogate import softplus_surrogate
from assay.nouns.catalogue import Cost, find, known
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import probabilities
from assay.nouns.results.result import Estimate, Explanation, Note

STAGES = 4
"""How often a window search halves its windows."""


@dataclass(frozen=True, eq=False)
class ExplanationAttack:
    """An explanation under attack: the case it explains, the ball, the objective, and the class at the rows.

    ``k`` is the share of the features that counts as the top in the report. Where ``members`` are given, a search by
    gradient differentiates the mean of their normalised sizes in place of the explanation, which has no derivative.
    """

    explanation: Explanation
    case: Case
    ball: Ball
    objective: MapObjective
    k: float
    members: tuple[Explanation, ...] = ()

    def values(self, x: Array, seed: Any = None) -> Floats:
        """The explanation's values (row, part) at other inputs, with its own seed unless another is given."""
        case = replace(self.case, seed=self.explanation.provenance.seed if seed is None else seed)
        return recompute(self.explanation, case.at(x)).values

    def by_gradient(
        self,
        *,
        steps: int,
        step: float,
        sharpness: float,
        starts: Sequence[Array] = (),
        output_weight: float = 0.0,
    ) -> dict[str, Any]:
        """Steepest ascent on the objective of a softplus surrogate's explanation; the fields of the result."""
        predicted, case = self.case.predicted(self.case.rows.x), self.case
        found = ascend(
            case.rows.x,
            self._gradient(sharpness, output_weight),
            lambda x: self.objective.score(self.values(x)),
            lambda x: np.asarray(case.predicted(x) == predicted),
            self.ball,
            starts=starts,
            steps=steps,
            step=step,
        )
        notes = (
            Note(
                "surrogate",
                f"the search differentiates the net with softplus (β = {sharpness:g}) for ReLU; every point is "
                f"evaluated on {case.model.name} itself",
            ),
            *_zero_gradient_note(case, found.has_zero_gradient),
        )
        searched = f"{case.model.name}, softplus {sharpness:g}"
        return self._fields(found.x, predicted, notes, {"searched": searched, "steps": steps})

    def by_windows(self, *, queries: int, window: float) -> dict[str, Any]:
        """Random windows of the perturbation, kept where the objective rises; one explanation a query."""
        case, ball, start = self.case, self.ball, self.case.rows.x
        ball.check_bounds(start)
        rows, predicted = to_floats(start), self.case.predicted(self.case.rows.x)
        proposals = window_proposals(ball, rows)
        generators = [case.seed.child("explanation search", name).generator() for name in case.rows.ids]
        x, moves, highest = start, np.zeros(rows.shape), self.objective.score(self.explanation.values)
        for number in range(queries):
            size = window * 0.5 ** (number * STAGES // queries)
            draws = [
                proposals.first(place, one) if number == 0 else proposals.next(place, moves[place], size, one)
                for place, one in enumerate(generators)
            ]
            candidate = ball.project(start + as_array(np.stack(draws), start), start)
            score = self.objective.score(self.values(candidate))
            better = (score > highest) & (case.predicted(candidate) == predicted)
            x, highest = choose_rows(better, candidate, x), np.where(better, score, highest)
            moves = to_floats(x) - rows
        return self._fields(x, predicted, (), {"searched": case.model.name, "queries": queries})

    def _gradient(self, sharpness: float, output_weight: float) -> Callable[[Array], Array]:
        """The gradient of the objective for the surrogate, less the change of its outputs times ``output_weight``."""
        torch = need("torch", extra="torch")
        searched = self.members or (self.explanation,)
        bodies = [(find("explain", one.method).body, one.provenance.options) for one in searched]
        case = replace(self.case, seed=self.explanation.provenance.seed)
        batch = max(1, case.model.batch // 8)  # second derivatives need about eight times the memory
        surrogate = replace(softplus_surrogate(case.model, sharpness=sharpness), batch=batch)
        smooth, gives = replace(case, model=surrogate, live=True), case.model.gives
        at_rows = probabilities(self.case.prediction, gives)

        def gradient(x: Array) -> Array:
            with torch.enable_grad():
                x = x.detach().requires_grad_(True)
                maps = [_values_by_feature(smooth, body(smooth.at(x), **options)) for body, options in bodies]
                values = sum(map(normalised, maps)) / len(maps) if self.members else maps[0]
                rising = self.objective.ascent(values).sum()
                if output_weight:
                    now = probabilities(smooth.outputs(x), gives)
                    rising = rising - output_weight * ((now - as_array(at_rows, now)) ** 2).sum()
                if not rising.requires_grad:
                    return torch.zeros_like(x)
                found = torch.autograd.grad(rising, x, allow_unused=True)[0]
            return torch.zeros_like(x) if found is None else found

        return gradient

    def _fields(self, x: Array, predicted: Any, notes: tuple[Note, ...], more: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an ``AttackResult``: the explanation again at the points found, at random points of the ball's
        edge, and at the rows with another seed."""
        case, objective, own = self.case, self.objective, self.explanation
        edge = self.ball.draw(case.rows, case.seed.child("edge", 0), edge=True)
        after, random = self.values(x), self.values(edge)
        again = self.values(case.rows.x, own.provenance.seed.child("another seed"))
        unchanged = np.asarray(case.predicted(x) == predicted)
        reached, baseline = objective.measure(after), objective.measure(random)
        first = top_features(own.values, self.k)
        maps = {"": after, "random_": random, "reseeded_": again}
        extra = {f"{name}top_k_overlap": overlap_of_top(first, values, self.k) for name, values in maps.items()}
        sizes = np.abs(own.values)
        extra |= {f"{name}rank_correlation": spearman(sizes, np.abs(values)) for name, values in maps.items()}
        distance = to_floats(self.ball.length(x - case.rows.x))
        constant = (np.ptp(np.abs(after), axis=1) == 0) | (np.ptp(np.abs(own.values), axis=1) == 0)
        return {
            "x": x,
            "success": (reached < baseline if objective.is_lowered else reached > baseline) & unchanged,
            "prediction_unchanged": unchanged,
            "distance": distance,
            "before": objective.measure(own.values),
            "after": reached,
            "random": baseline,
            "quantity": objective.quantity,
            "notes": notes,
            "extra": extra,
            "validity": {
                **more,
                "evaluated": case.model.name,
                "prediction_unchanged": float(unchanged.mean()),
                "random_prediction_unchanged": float((case.predicted(edge) == predicted).mean()),
                "largest_distance": float(distance.max()),
                "constant_maps": int(constant.sum()),
                **{name: _mean_with_limits(values) for name, values in extra.items()},
            },
        }


def begin_attack(
    explanation: Explanation, case: Case, ball: Ball, objective: Callable[[], MapObjective], k: float
) -> ExplanationAttack:
    """An attack on this explanation; ``InputError`` where it does not explain this case."""
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
    top_features(explanation.values, k)
    return ExplanationAttack(explanation, case, ball, objective(), k)


def require_differentiable(method: str, explanation: Explanation, case: Case) -> None:
    """Raise ``CapabilityError`` where the explanation or the model cannot be differentiated."""
    if "differentiable" not in find("explain", explanation.method).claims:
        differentiable = [one.name for one in known("explain") if "differentiable" in one.claims]
        raise CapabilityError(
            f"attack.{method} differentiates through the explanation, and {explanation.method} cannot be "
            f"differentiated: attack.explanation_search needs no gradient. Explanations that can be attacked this "
            f"way: {', '.join(differentiable)}."
        )
    if not case.model.differentiable:
        raise CapabilityError(
            f"attack.{method} needs second derivatives of a torch net; {case.model.name} gives none. "
            f"attack.explanation_search needs no gradient; evaluate.max_sensitivity tests random perturbations."
        )


def cost_by_gradient(case: Case, o: Given, again: Cost) -> Cost:
    """The explanation at every point and four times more; the class at every point and three times more.

    The gradient of the objective runs the explanation's gradients and, to differentiate them, runs them again.
    """
    rows = Cost(len(case) * case.model.passes_per_row)
    gradient = Cost(again.backwards, again.backwards) * 2
    holding = rows * (o.steps if getattr(o, "output_weight", 0.0) else 0)
    return cost_of_explaining_again(case, again) * (o.steps + 4) + gradient * o.steps + rows * (o.steps + 3) + holding


def cost_by_windows(case: Case, o: Given, again: Cost) -> Cost:
    """The explanation and the class at every point and three times more."""
    rows = Cost(len(case) * case.model.passes_per_row)
    return (cost_of_explaining_again(case, again) + rows) * (o.queries + 3)


def pool_tensor(features: Features, values: Array) -> Array:
    """``Features.pool`` for tensors, differentiable by autograd: values (row, *shape) summed to (row, part)."""
    torch = need("torch", extra="torch")
    rows, bins = len(values), len(features) + 1
    index = features.index.reshape(len(features.index) if features.per_row else 1, -1)
    index = index % bins  # −1 lands in the last bin
    places = torch.as_tensor(index + bins * np.arange(rows)[:, None], device=values.device)
    sums = values.new_zeros(rows * bins).index_add(0, places.reshape(-1), values.reshape(-1))
    return sums.reshape(rows, bins)[:, :-1]


def _values_by_feature(case: Case, answer: Any) -> Array:
    """Values (row, part) of what an explainer's body returned."""
    values = answer.values if isinstance(answer, Estimate) else answer
    is_by_feature = tuple(values.shape) == (len(case), len(case.features)) and not case.features.elementwise
    return values if is_by_feature else pool_tensor(case.features, values)


def _mean_with_limits(values: Floats) -> dict[str, float | int]:
    """The mean over the defined rows, its 95 % limits, and the number of rows without a value."""
    defined = values[~np.isnan(values)]
    limits = skewness_corrected_interval(defined)
    mean = float(defined.mean()) if len(defined) else float("nan")
    return {"mean": mean, "low": limits.low, "high": limits.high, "undefined": int(len(values) - len(defined))}


def _zero_gradient_note(case: Case, has_zero_gradient: Masks) -> tuple[Note, ...]:
    if not has_zero_gradient.any():
        return ()
    rows = tuple(name for name, hit in zip(case.rows.ids, has_zero_gradient) if hit)
    text = f"the gradient of the explanation was zero at every step in {len(rows)} of {len(case)} rows: no search"
    return (Note("zero-gradient", text, rows),)
