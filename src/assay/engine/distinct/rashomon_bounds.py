# SPDX-License-Identifier: Apache-2.0
"""Two bounds by which a large Rashomon set promises that a simple model does well, with every term (Semenova 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Interval, student_interval
from assay.basics.types import Floats

MOST_FACTORS = 1_000_000
"""Factors of a ratio of binomials that are multiplied one by one."""


def chance_of_meeting(size: int, inside: int, drawn: int) -> float:
    """The chance that ``drawn`` models, drawn without replacement out of ``size``, hold one of ``inside``, 0 … 1.

    p = 1 − C(size − inside, drawn) / C(size, drawn), as a product of fractions: the difference of log-gammas has no
    digits left for classes of 10¹⁵ models. Above a million factors all are the middle one. ``InputError`` for
    impossible numbers.
    """
    if not (0 <= inside <= size and 0 <= drawn <= size and size >= 1):
        raise InputError(f"size={size}, inside={inside}, drawn={drawn}; needed: 0 ≤ inside, drawn ≤ size.")
    if not inside or not drawn:
        return 0.0
    if drawn > size - inside:
        return 1.0
    fewer, more = sorted((inside, drawn))  # C(N − K, n) / C(N, n) = C(N − n, K) / C(N, K)
    if fewer <= MOST_FACTORS:
        logarithm = float(np.log1p(-more / (size - np.arange(fewer, dtype=np.float64))).sum())
    else:
        logarithm = fewer * math.log1p(-more / (size - (fewer - 1) / 2))
    return -math.expm1(logarithm)


@dataclass(frozen=True)
class FiniteBound:
    """Theorem 1, for finite classes: |L(f₂*) − L̂(f̂₁)| ≤ ``bound`` with probability at least ``probability``.

    f₂* is the best of the large class on the population, f̂₁ the best of the small class on the rows. ``bound`` =
    ``limit`` + 2b √((log|F₁| + log(2/ε)) / 2n), whose second term is ``deviation``; ``probability`` = (1 − ε) p, and
    ``meeting`` = p, the chance that F₁ meets the Rashomon set. **It assumes that F₁ is drawn at random from F₂**, which
    is not checked, and natural simple classes are not. ``limit`` (θ) is a loss level, not an excess, and must not have
    been chosen on these rows. ``tight`` = ``limit`` − ``least`` + ``deviation`` holds where ``least``, a lower bound of
    L(f₂*), is known; else NaN.
    """

    limit: float
    size: int
    inside: int
    drawn: int
    rows: int
    epsilon: float
    largest_loss: float
    meeting: float
    deviation: float
    bound: float
    probability: float
    tight: float = math.nan


def finite_bound(
    limit: float,
    *,
    size: int,
    inside: int,
    drawn: int,
    rows: int,
    epsilon: float = 0.05,
    largest_loss: float = 1.0,
    least: float | None = None,
) -> FiniteBound:
    """Theorem 1 for a small class of ``drawn`` models out of ``size``, ``inside`` of which are in the Rashomon set."""
    if not 0 < epsilon < 1 or rows < 1 or drawn < 1 or not largest_loss > 0:
        raise InputError(
            f"epsilon={epsilon}, rows={rows}, drawn={drawn}, largest_loss={largest_loss}; needed: 0 < epsilon < 1, at "
            f"least one row and one model, and a largest loss above 0."
        )
    meeting = chance_of_meeting(size, inside, drawn)
    deviation = 2 * largest_loss * math.sqrt((math.log(drawn) + math.log(2 / epsilon)) / (2 * rows))
    tight = math.nan if least is None else limit - least + deviation
    return FiniteBound(
        limit, size, inside, drawn, rows, epsilon, largest_loss, meeting, deviation, limit + deviation,
        (1 - epsilon) * meeting, tight,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LinearRashomonSet:
    """The linear models w whose mean squared error is at most ``limit``: an ellipsoid around least squares ŵ.

    ½ (w − ŵ)ᵀ H (w − ŵ) ≤ θ − L̂(ŵ) with H = 2 XᵀX / n. ``radius`` of the largest ball inside is
    √(2 (θ − L̂(ŵ)) / λ_max(H)); ``log_volume`` is the logarithm of the ellipsoid's volume, +∞ where XᵀX is singular.
    The set is empty, with a NaN radius, where ``limit`` is below ``least`` = L̂(ŵ).
    """

    weights: Floats
    hessian: Floats
    least: float
    limit: float
    radius: float
    log_volume: float

    def contains(self, weights: Floats) -> Floats:
        """Whether models (model, weight) are in the set, (model,)."""
        moved = np.atleast_2d(weights) - self.weights
        inside = 0.5 * np.einsum("mi,ij,mj->m", moved, self.hessian, moved) <= self.limit - self.least
        return np.asarray(inside)


def linear_rashomon_set(x: Floats, y: Floats, limit: float) -> LinearRashomonSet:
    """The Rashomon set of linear models under squared loss on rows ``x`` (row, weight) and labels ``y`` (row,)."""
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    least = float(((x @ weights - y) ** 2).mean())
    hessian = 2 * x.T @ x / len(x)
    values, width = np.linalg.eigvalsh(hessian), x.shape[1]
    room = limit - least
    radius = math.sqrt(2 * room / values[-1]) if room >= 0 and values[-1] > 0 else math.nan
    volume = math.nan
    if room > 0:
        unit = width / 2 * math.log(math.pi) - math.lgamma(width / 2 + 1)
        singular = values[0] <= 1e-12 * values[-1]
        volume = math.inf if singular else unit + width / 2 * math.log(2 * room) - 0.5 * float(np.log(values).sum())
    return LinearRashomonSet(weights, hessian, least, limit, radius, volume)


@dataclass(frozen=True)
class LipschitzBound:
    """Theorem 2: a model of the small class lies in the Rashomon set, and its two losses are ``bound`` apart at most.

    |L(f̄₁) − L̂(f̄₁)| ≤ 2 K R_n(F₁) + b √(log(2/ε) / 2n) with probability at least 1 − ε, where the set holds a ball of
    radius at least δ and F₁ δ-covers it. ``holds`` says whether ``radius`` ≥ ``cover``; without it nothing follows.
    ``lipschitz`` is K, ``largest_loss`` b, ``complexity`` R_n, whose kind ``complexity_by`` names. The rows must not
    have chosen the limit θ of the set.
    """

    radius: float
    cover: float
    holds: bool
    lipschitz: float
    largest_loss: float
    complexity: float
    complexity_by: str
    complexity_term: float
    deviation: float
    bound: float
    rows: int
    epsilon: float


def lipschitz_bound(
    *,
    radius: float,
    cover: float,
    lipschitz: float,
    largest_loss: float,
    complexity: float,
    rows: int,
    epsilon: float = 0.05,
    complexity_by: str = "given",
) -> LipschitzBound:
    """Theorem 2 from its terms; ``InputError`` where one is impossible."""
    if not 0 < epsilon < 1 or rows < 1 or min(cover, lipschitz, largest_loss, complexity) < 0:
        raise InputError(
            f"epsilon={epsilon}, rows={rows}, cover={cover}, lipschitz={lipschitz}, largest_loss={largest_loss}, "
            f"complexity={complexity}; needed: 0 < epsilon < 1, at least one row, and no number below 0."
        )
    term = 2 * lipschitz * complexity
    deviation = largest_loss * math.sqrt(math.log(2 / epsilon) / (2 * rows))
    return LipschitzBound(
        radius, cover, bool(radius >= cover), lipschitz, largest_loss, complexity, complexity_by, term, deviation,
        term + deviation, rows, epsilon,
    )  # fmt: skip


def grid_cover(step: float, width: int) -> float:
    """The radius δ at which a grid of this step covers: half the diagonal of a cell, step √width / 2."""
    return step * math.sqrt(width) / 2


def complexity_of_norm(norm: float, x: Floats) -> float:
    """Upper bound of the Rademacher complexity of linear models of at most this norm: norm · max‖x‖ / √n."""
    return norm * float(np.linalg.norm(x, axis=1).max()) / math.sqrt(len(x))


def complexity_of_finite(outputs: Floats) -> float:
    """Massart's upper bound of the Rademacher complexity of a finite class with ``outputs`` (model, row).

    √(2 log|F|) · max‖f‖ / n, which is √(2 log|F| / n) · max‖f‖ / √n.
    """
    models, rows = outputs.shape
    return math.sqrt(2 * math.log(models)) * float(np.linalg.norm(outputs, axis=1).max()) / rows


def complexity_by_signs(outputs: Floats, seed: Seed, draws: int = 200, level: float = 0.95) -> tuple[float, Interval]:
    """The empirical Rademacher complexity E max_f (1/n) Σ σᵢ f(xᵢ) of a finite class, by drawn signs, unbiased.

    ``outputs`` (model, row); with an interval for the error of drawing.
    """
    signs = seed.child("signs").generator().integers(0, 2, (draws, outputs.shape[1])) * 2.0 - 1.0
    largest = (signs @ outputs.T / outputs.shape[1]).max(axis=1)
    return float(largest.mean()), student_interval(largest, level)


ComplexityBy = Literal["norm", "finite", "signs"]


def linear_bound(
    x: Floats,
    y: Floats,
    limit: float,
    *,
    step: float,
    norm: float,
    epsilon: float = 0.05,
    by: ComplexityBy = "norm",
    seed: Seed | None = None,
) -> tuple[LinearRashomonSet, LipschitzBound]:
    """Theorem 2 for linear models of norm ≤ ``norm`` under squared loss, and a grid of ``step`` as the small class.

    K = 2 (norm · max‖x‖ + max|y|) and b = (norm · max‖x‖ + max|y|)². The grid lists its points for ``by`` finite and
    signs: at most 100,000 (``InputError``).
    """
    found = linear_rashomon_set(x, y, limit)
    reach = norm * float(np.linalg.norm(x, axis=1).max()) + float(np.abs(y).max())
    by_signs = ""
    if by == "norm":
        complexity = complexity_of_norm(norm, x)
    else:
        outputs = grid_points(step, norm, x.shape[1]) @ x.T
        complexity = complexity_of_finite(outputs)
        if by == "signs":
            complexity, interval = complexity_by_signs(outputs, seed or Seed(0))
            by_signs = f", 95 % [{interval.low:.3g}, {interval.high:.3g}]"
    return found, lipschitz_bound(
        radius=found.radius,
        cover=grid_cover(step, x.shape[1]),
        lipschitz=2 * reach,
        largest_loss=reach**2,
        complexity=complexity,
        rows=len(x),
        epsilon=epsilon,
        complexity_by=by + by_signs,
    )


def grid_points(step: float, norm: float, width: int) -> Floats:
    """The points (point, width) of a grid of this step with norm at most ``norm``; ``InputError`` above 100,000."""
    half = math.floor(norm / step)
    if (2 * half + 1) ** width > 100_000:
        raise InputError(f"a grid of step {step:g} in {width} dimensions has more than 100,000 points; take by='norm'.")
    axis = np.arange(-half, half + 1) * step
    points = np.stack(np.meshgrid(*[axis] * width, indexing="ij"), axis=-1).reshape(-1, width)
    return np.asarray(points[np.linalg.norm(points, axis=1) <= norm + 1e-12])
