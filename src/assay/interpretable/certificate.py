# SPDX-License-Identifier: Apache-2.0
"""What a search proved about the model that it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class OptimalityCertificate:
    """How far a fitted model is from the best of its class, proved by a search over the whole class.

    ``objective`` is what was minimised (``formula``), at the model found; ``lower_bound`` is a number that no model of
    ``model_class`` on these ``conditions`` goes below on these training rows. ``penalty`` is λ or C₀, the price of one
    rule, leaf or item. ``status`` is ``"optimal"`` where the search ended with a gap within its tolerance, else
    ``"feasible"``: stopped at its limit of ``nodes``. The statement is about training rows and this binarisation; it
    says nothing about other rows or other thresholds.
    """

    objective: float
    lower_bound: float
    formula: str
    penalty: float
    model_class: str
    conditions: tuple[str, ...]
    nodes: int
    status: Literal["optimal", "feasible"]

    @property
    def gap(self) -> float:
        """(objective − lower bound) / objective, from 0; 0 for an objective of 0."""
        if self.objective <= 0:
            return 0.0
        return max(0.0, (self.objective - self.lower_bound) / self.objective)

    @property
    def text(self) -> str:
        """The certificate in one sentence."""
        proved = "optimal" if self.status == "optimal" else "not proved optimal"
        return (
            f"{proved} among {self.model_class} on {len(self.conditions)} conditions: {self.formula} = "
            f"{self.objective:.6g}, lower bound {self.lower_bound:.6g}, gap {self.gap:.2g}, penalty "
            f"{self.penalty:g}, {self.nodes} nodes"
        )
