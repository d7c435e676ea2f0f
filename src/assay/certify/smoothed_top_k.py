# SPDX-License-Identifier: Apache-2.0
"""Certified top features of smoothed gradient maps (Sparsified SmoothGrad)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import norm

from assay.basics.errors import InputError
from assay.basics.types import Floats, PerPart, PerRow
from assay.cases.case import Case
from assay.engine.certified_model import describe_model_itself
from assay.engine.cost import per_row
from assay.engine.declare import certifier
from assay.engine.neighbourhoods.noisy_points import noisy_points
from assay.nouns.catalogue import Check
from assay.nouns.inputs.rows import to_floats


@certifier(
    source="levine2019",
    needs={"gradient", "numbers", "complete"},
    cost=per_row(lambda o: o.draws, lambda o: o.draws),
    checks=(
        Check(
            "CRT106",
            "Which share of the most important features of the smoothed gradient map is certified to stay?",
            "Use more noise or more draws.",
            claim="{estimate:.0%} of the most important features are certified to stay",
            reads="overlap",
            bounds=(0.0, 1.0),
        ),
    ),
)
def smoothed_top_k(
    case: Case,
    *,
    sigma: float,
    radius: float,
    k: int = 5,
    share: float = 0.25,
    draws: int = 256,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Certified overlap of the k most important features after any change of the input of ℓ2 norm at most ``radius``.

    The map is Sparsified SmoothGrad: at each noisy point x + N(0, σ²I) the ⌈``share`` · n⌉ features with the largest
    summed absolute gradients get 1, the others 0; h is the mean. Then Φ⁻¹(h_i) moves by at most radius/σ for every
    feature, so that of the k features with the largest h at least i stay among the k largest, for the largest i with
    Φ(Φ⁻¹(h_[i]) − 2 radius/σ) > h_[2k−i+1] (h sorted downwards, from 1): what is ranked there or lower overtakes none
    of the first i, so that either all of these stay, or at most k − i others come in. ``overlap`` (row,) is i/k, in
    0 … 1. From ``draws`` points, h is known to ± √(ln(2n/α)/(2 draws)) for all n features of a row at once
    (Hoeffding); the limits are used.

    ``sigma`` and ``radius`` have the units of the rows. extra["map"] (row, part) is the estimated h, extra["top"] its k
    largest. The certificate is one of this map, not of any other explanation. It says that the explanation is stable,
    not that it is right: ``control``, an explanation that ignores the input, has overlap 1. Forms of the theorem with
    h_[2k−i] in place of h_[2k−i+1] hold too, but certify no overlap of 1; and here a tie is not certified.
    """
    parts = len(case.features)
    if not (np.isfinite(sigma) and sigma > 0 and np.isfinite(radius) and radius >= 0):
        raise InputError(f"sigma={sigma}, radius={radius}; needed: sigma > 0 and radius ≥ 0, in the units of the rows.")
    if not 1 <= k <= parts or draws < 1 or not 0 < share <= 1 or not 0 < alpha < 1:
        raise InputError(
            f"k={k}, share={share}, draws={draws}, alpha={alpha}; needed: 1 ≤ k ≤ {parts}, 0 < share ≤ 1, draws ≥ 1, "
            f"0 < alpha < 1."
        )
    seed = case.seed.child("smoothed top k")
    found = np.stack([_smoothed_map(case, row, sigma, share, draws, seed) for row in range(len(case))])
    error = math.sqrt(math.log(2 * parts / alpha) / (2 * draws))
    order = np.argsort(-found, axis=1, kind="stable")
    top = np.zeros(found.shape)
    np.put_along_axis(top, order[:, :k], 1.0, axis=1)
    overlap = certified_overlap(np.maximum(found - error, 0.0), np.minimum(found + error, 1.0), k, radius / sigma)
    return {
        "bounds": {"overlap": overlap},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": "the inverse normal distribution function of a Gaussian mean in [0, 1] is 1/σ-Lipschitz (Levine, "
        "Singla and Feizi 2019)",
        "assumptions": (
            f"the map averages {math.ceil(share * parts - 1e-9)} of {parts} features set to 1 under noise of standard "
            f"deviation {sigma:g}",
            f"means of {draws:,} draws are within {error:.3g} of the map, for all features of a row at once",
            "the confidence holds for each row separately",
        ),
        "confidence": 1 - alpha,
        "draws": draws,
        "guarantee": "probabilistic",
        "unit": f"share of the {k} most important features",
        **describe_model_itself(case),
        "certified": f"the sparsified gradient map smoothed with noise of standard deviation {sigma:g}",
        "cap": 1.0,
        "control": {"overlap": np.ones(len(case))},
        "extra": {"map": found, "top": top},
    }


def certified_overlap(low: PerPart, high: PerPart, k: int, steps: float) -> PerRow:
    """i/k (row,) for the largest i ≤ k whose ith largest ``low``, moved down, exceeds the (2k−i+1)th largest ``high``.

    ``steps`` is the radius in standard deviations. Where there are at most 2k − i features at least i must stay.
    """
    down, parts = [-np.sort(-limits, axis=1) for limits in (low, high)], low.shape[1]
    overlap = np.zeros(len(low))
    for i in range(1, k + 1):
        rival = 2 * k - i + 1
        reached: Floats = norm.cdf(norm.ppf(down[0][:, i - 1]) - 2 * steps)
        holds = np.ones(len(low), dtype=bool) if rival > parts else reached > down[1][:, rival - 1]
        overlap[holds] = i / k
    return overlap


def _smoothed_map(case: Case, row: int, sigma: float, share: float, draws: int, seed: Any) -> Floats:
    """The share (part,) of the noisy points at which a feature is among the largest."""
    parts = len(case.features)
    count, total = math.ceil(share * parts - 1e-9), np.zeros(parts)
    for x in noisy_points(case, row, sigma, draws, seed):
        sizes = np.abs(to_floats(case.gradient(x, np.full(len(x), row))))
        pooled = case.features.at(np.full(len(x), row)).pool(sizes)
        largest = np.argsort(-pooled, axis=1, kind="stable")[:, :count]
        total += np.bincount(largest.ravel(), minlength=parts)
    return total / draws
