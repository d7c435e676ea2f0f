# SPDX-License-Identifier: Apache-2.0
"""Which decisions an attack changes within a ball, and which are proved to stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.cost import cost_of
from assay.engine.retraining.smoothness_penalties import default_distance
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost, find
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import AttackResult, Certificate

SLACK = 2e-6
"""Share of the radius by which proofs cover more than the ball: attacks may step over it by a millionth."""

How = Literal["crown", "crown-ibp", "ibp"]


@dataclass(frozen=True)
class Effort:
    """How hard is tried: the attack and its options, and the options of the proofs.

    ``attack`` is "pgd" or "auto"; a model without gradient, and a ball in l0, get "auto". Nets are not proved without
    ``proofs``, trees with ``max_nodes`` = 0.
    """

    attack: Literal["pgd", "auto"] = "pgd"
    steps: int = 40
    restarts: int = 1
    queries: int = 300
    proofs: bool = True
    how: How = "crown"
    max_nodes: int = 2000

    def call(self, case: Case, ball: Ball) -> tuple[str, dict[str, Any]]:
        """The name of the attack for this case, and its options."""
        if self.attack == "pgd" and case.model.has_gradient and ball.norm != "l0":
            return "pgd", {"steps": self.steps, "restarts": self.restarts}
        return "auto", {"steps": self.steps, "queries": self.queries}

    def cost(self, case: Case, ball: Ball) -> Cost:
        """The most model evaluations of ``both_sides``."""
        name, options = self.call(case, ball)
        known = Cost(4 * len(case)) * case.model.passes_per_row
        return cost_of(find("attack", name), case, options) + known


@dataclass(frozen=True, eq=False)
class BothSides:
    """What is known of the decisions of rows on a ball around each.

    ``changed`` (row,): an input of another class was found within the ball, ``margin`` (row,) is the least margin that
    was found. ``certified`` (row,): it is proved that there is none. ``by`` names the proofs, ``refused`` says why
    others do not apply. Where both hold, rounding decides; the row counts as changed, and in ``contradicted``.
    """

    changed: Masks
    certified: Masks
    margin: Floats
    attack: str
    by: tuple[str, ...]
    refused: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    contradicted: int = 0


def both_sides(case: Case, ball: Ball, effort: Effort = Effort()) -> BothSides:
    """Attack the predicted class of every row, and prove it where a certificate for the model is known."""
    name, options = effort.call(case, ball)
    attacked: AttackResult = find("attack", name).call(case, ball, **options)
    margin = np.asarray(attacked.after, dtype=np.float64)
    proved = _Proofs(np.zeros(len(case), dtype=bool), np.zeros(len(case), dtype=bool))
    for prove in _proofs(case, ball, effort):
        try:
            prove(proved)
        except CapabilityError as error:
            proved.refused.append(str(error))
    changed = np.asarray(attacked.success, dtype=bool) | proved.found
    return BothSides(
        changed=changed,
        certified=proved.certified & ~changed,
        margin=margin,
        attack=name,
        by=tuple(proved.by),
        refused=tuple(dict.fromkeys(proved.refused)),
        warnings=tuple(note.text for note in attacked.notes if note not in case.notes),
        contradicted=int((proved.certified & changed).sum()),
    )


@dataclass(eq=False)
class _Proofs:
    """The rows proved so far, and rows for which an exact search found an input of another class."""

    certified: Masks
    found: Masks
    by: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def take_over(self, name: str, certified: Any) -> None:
        """Add the rows that a certificate proves."""
        self.certified |= np.asarray(certified, dtype=bool)
        self.by.append(name)


def _proofs(case: Case, ball: Ball, effort: Effort) -> Iterator[Callable[[_Proofs], None]]:
    """The certificates that may apply to the model, each as a function that adds what it proves."""
    wide = ball if ball.norm == "l0" else replace(ball, radius=ball.radius * (1 + SLACK))

    def of_trees(proofs: _Proofs) -> None:
        found: Certificate = find("certify", "tree_robustness").call(case, wide, max_nodes=effort.max_nodes)
        proofs.take_over("tree_robustness", found.extra["certified"])
        reached = np.asarray(found.extra["distance"]) <= ball.radius * (1 + SLACK / 2)
        nearest = np.asarray(found.extra["nearest"]).astype(np.asarray(case.rows.x).dtype)
        proofs.found |= reached & (case.predicted(nearest) != _own(case))

    def of_layers(proofs: _Proofs) -> None:
        found: Certificate = find("certify", "bound_propagation").call(case, wide, how=effort.how)
        proofs.take_over("bound_propagation", found.extra["certified"])

    def of_slopes(proofs: _Proofs) -> None:
        if ball.norm == "l0":
            raise CapabilityError("lipschitz_margin has no radius for an l0 ball, whose elements move without limit.")
        found: Certificate = find("certify", "lipschitz_margin").call(case, draws=0)
        proofs.take_over("lipschitz_margin", to_floats(found.radius) > default_distance(case, None, wide))

    if case.model.forest is not None and effort.max_nodes:
        yield of_trees
    elif case.model.net is not None and effort.proofs:
        yield of_layers
        yield of_slopes


def _own(case: Case) -> Ints:
    return predicted_class(case.prediction, case.model.gives)
