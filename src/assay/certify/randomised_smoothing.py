# SPDX-License-Identifier: Apache-2.0
"""Randomised smoothing: certified ℓ2 robustness of the class that a model predicts under Gaussian noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from assay.basics.errors import InputError
from assay.basics.samples.binomial_limits import lower_rate_limits
from assay.basics.types import Masks
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import certifier
from assay.engine.neighbourhoods.noisy_points import count_noisy_classes
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Note


@certifier(
    source="cohen2019",
    needs={"classes", "numbers", "complete"},
    cost=per_row(lambda o: o.draws + o.selection_draws + 1),
    checks=(
        Check(
            "CRT105",
            "For how many rows is the class of the model under Gaussian noise certified?",
            "Train with noise, or use more draws.",
            claim="{estimate:.0%} of the rows have a certified radius under Gaussian noise",
        ),
    ),
)
def randomised_smoothing(
    case: Case, *, sigma: float, draws: int = 1000, selection_draws: int = 100, alpha: float = 0.001
) -> dict[str, Any]:
    """Certified radius of the smoothed model's class: no change of smaller ℓ2 norm changes it, with stated confidence.

    g(x) is the class that the model predicts most often under noise N(0, σ²I) on x. If it has probability p_A > ½
    there, g is constant within σ Φ⁻¹(p_A) of x. The class A is chosen from ``selection_draws`` noisy points; p_A is the
    one-sided Clopper–Pearson limit at ``alpha`` from ``draws`` fresh ones. A row is abstained from (NaN) where
    p_A ≤ ½. Each row has its own guarantee: its radius is too large with probability at most ``alpha``.

    ``sigma`` and the radius have the units of the rows (the same for every column of a table: scale it first). Even
    unanimous draws certify no more than σ Φ⁻¹(α^(1/n)), the ``cap``. The certificate is one of g, not of the model:
    ``agreement`` is the share of the rows in which A is the model's class, and ``histogram`` holds g's classes.
    extra["p_low"] (row,) is the limit of p_A, extra["class"] (row,) the position of A.

    Cohen's own code calls scipy's ``binom_test``, which no longer exists, and uses ``draws`` = 100,000.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(f"sigma={sigma}; a standard deviation above 0, in the units of the rows, is needed.")
    if draws < 1 or selection_draws < 1 or not 0 < alpha < 1:
        raise InputError(
            f"draws={draws}, selection_draws={selection_draws}, alpha={alpha}; needed: draws ≥ 1, selection_draws ≥ 1, "
            f"0 < alpha < 1."
        )
    stream = case.seed.child("randomised smoothing")
    chosen = count_noisy_classes(case, sigma, selection_draws, stream.child("selection")).argmax(axis=1)
    counts = count_noisy_classes(case, sigma, draws, stream.child("estimation"))
    hits = counts[np.arange(len(case)), chosen]
    low = lower_rate_limits(hits, draws, alpha)
    abstained = low <= 0.5
    radius = np.where(abstained, np.nan, sigma * norm.ppf(np.where(abstained, 0.5, low)))
    agrees = chosen == case.predicted(case.rows.x)
    return {
        "bounds": {"radius": radius},
        "abstained": abstained,
        "theorem": "a class of probability p > ½ under N(0, σ²I) stays the most probable within σ Φ⁻¹(p) (Cohen, "
        "Rosenfeld and Kolter 2019)",
        "assumptions": (
            f"the certificate holds for the model smoothed with noise of standard deviation {sigma:g}, not for the "
            f"model itself",
            "the model is deterministic; noise and perturbations may leave the valid range of inputs",
            f"p is a one-sided Clopper–Pearson limit from {draws:,} draws, independent of those that chose the class",
        ),
        "confidence": 1 - alpha,
        "draws": draws,
        "guarantee": "probabilistic",
        "unit": "the l2 norm of the change",
        "certified": f"the majority class under noise of standard deviation {sigma:g}",
        "agreement": float(np.mean(agrees)),
        "histogram": np.bincount(chosen, minlength=counts.shape[1]) / len(case),
        "cap": max(0.0, float(sigma * norm.ppf(alpha ** (1 / draws)))),
        "extra": {"p_low": low, "class": chosen.astype(float), "agrees": agrees.astype(float)},
        "notes": (*_abstained(case, abstained, draws, alpha),),
    }


def _abstained(case: Case, abstained: Masks, draws: int, alpha: float) -> tuple[Note, ...]:
    rows = tuple(name for name, hit in zip(case.rows.ids, abstained) if hit)
    if not rows:
        return ()
    few = " (with so few draws even unanimous ones do not exceed ½)" if alpha ** (1 / draws) <= 0.5 else ""
    text = f"abstained on {len(rows)} of {len(case)} rows: no class is shown to have a probability above ½{few}"
    return (Note("abstained", text, rows),)
