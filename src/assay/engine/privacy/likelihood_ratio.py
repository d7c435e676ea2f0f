# SPDX-License-Identifier: Apache-2.0
"""Membership scores from shadow models: Gaussian and Student likelihood ratios of the scaled confidence.

Arrays of shadow models are (model, row); ``members`` says which rows each was trained on. A score is higher where a row
looks more like a training row of the model under attack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy import stats as scipy_stats
from scipy.optimize import brentq

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.model.model import Model
from assay.nouns.inputs.target import log_probabilities

LEAST_VARIANCE = 1e-12
"""Variances are at least this: rows on which all models agree exactly have no spread."""


def scaled_confidence(outputs: Floats, labels: Ints, model: Model) -> Floats:
    """φ = log p_y − log Σ_{j≠y} p_j of the label (row,) in float64, from outputs (row, out); ±∞ where p is 0 or 1.

    From logits by log-sum-exp, so that it stays finite where p rounds to 1.
    """
    if not model.kind.is_classifier or not model.kind.exclusive:
        raise CapabilityError(
            f"membership inference with shadow models needs classes that exclude each other; {model.name} gives "
            f"{model.gives}. diagnose.membership takes any model with a loss."
        )
    logs = log_probabilities(np.asarray(outputs, dtype=np.float64), model.gives)
    rows = np.arange(len(logs))
    own = logs[rows, labels]
    others = logs.copy()
    others[rows, labels] = -np.inf
    with np.errstate(divide="ignore"):
        return np.asarray(own - special.logsumexp(others, axis=1))


def finite_confidence(*arrays: Floats) -> tuple[Floats, ...]:
    """The same with ±∞ replaced by the largest finite |φ| of all arrays plus log 2: half the smallest odds seen.

    Probabilities of exactly 0 and 1 (of trees) have infinite φ, which no mean allows for.
    """
    finite = [np.abs(array[np.isfinite(array)]) for array in arrays]
    limit = max((float(one.max()) for one in finite if len(one)), default=0.0) + np.log(2)
    return tuple(np.clip(array, -limit, limit) for array in arrays)


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and variance (row,) of the φ of some shadow models at each row; NaN variance below two."""

    count: Floats
    mean: Floats
    variance: Floats

    @staticmethod
    def of(phi: Floats, chosen: Masks) -> Moments:
        """Of the models that are ``chosen`` (model, row); rows without one have mean NaN."""
        count = chosen.sum(axis=0).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(chosen, phi, 0.0).sum(axis=0) / count
            squares = np.where(chosen, (phi - mean) ** 2, 0.0).sum(axis=0)
            return Moments(count, mean, np.where(count > 1, squares / (count - 1), np.nan))

    @property
    def pooled_variance(self) -> float:
        """Σ (n − 1) variance / Σ (n − 1) over rows."""
        known = self.count > 1
        freedom = (self.count[known] - 1).sum()
        return float(((self.count[known] - 1) * self.variance[known]).sum() / freedom) if freedom else float("nan")


def gaussian_ratio(phi: Floats, shadows: Floats, members: Masks, *, pooled: bool) -> Floats:
    """LiRA, online (Carlini et al. 2022): log N(φ; μ_in, σ²_in) − log N(φ; μ_out, σ²_out), (row,).

    Means are each row's; variances too, or with ``pooled`` the mean variance within rows. The authors' code pools the
    variance of all φ, which counts the differences between rows too.
    """
    inside, outside = Moments.of(shadows, members), Moments.of(shadows, ~members)
    return _log_normal(phi, inside, pooled) - _log_normal(phi, outside, pooled)


def gaussian_tail(phi: Floats, shadows: Floats, members: Masks, *, pooled: bool) -> Floats:
    """LiRA, offline: (φ − μ_out) / σ_out (row,), from models that were not trained on the row.

    The one-sided tail probability is its Φ; the number itself has no ties where Φ rounds to 1. TensorFlow Privacy
    instead scores the two-sided density, so that an unusually low confidence counts as membership.
    """
    outside = Moments.of(shadows, ~members)
    return np.asarray((phi - outside.mean) / np.sqrt(_variance(outside, pooled)))


def _variance(moments: Moments, pooled: bool) -> Floats:
    each = np.full(len(moments.mean), moments.pooled_variance) if pooled else moments.variance
    return np.maximum(np.where(np.isnan(each), moments.pooled_variance, each), LEAST_VARIANCE)


def _log_normal(phi: Floats, moments: Moments, pooled: bool) -> Floats:
    variance = _variance(moments, pooled)
    return np.asarray(-0.5 * (np.log(2 * np.pi * variance) + (phi - moments.mean) ** 2 / variance))


@dataclass(frozen=True)
class VariancePrior:
    """σ² ~ scaled inverse χ² with ``freedom`` degrees and ``scale``: a normal–inverse-gamma prior with a flat mean.

    In the inverse-gamma form its shape is freedom / 2 and its rate freedom · scale / 2. An infinite freedom is a
    variance that all rows share.
    """

    freedom: float
    scale: float

    @staticmethod
    def fitted(moments: Moments) -> VariancePrior:
        """By the mean and variance of the rows' log s² (Smyth 2004), which are those of a scaled F distribution."""
        known = (moments.count > 1) & (moments.variance > LEAST_VARIANCE)
        if known.sum() < 2:
            return VariancePrior(np.inf, max(moments.pooled_variance, LEAST_VARIANCE))
        half = (moments.count[known] - 1) / 2
        logs = np.log(moments.variance[known]) - special.digamma(half) + np.log(half)
        excess = float(np.var(logs, ddof=1) - special.polygamma(1, half).mean())
        if excess <= 1e-6:
            return VariancePrior(np.inf, max(float(np.exp(logs.mean())), LEAST_VARIANCE))
        prior = float(brentq(lambda value: float(special.polygamma(1, value)) - excess, 1e-4, 1e7))
        return VariancePrior(2 * prior, float(np.exp(logs.mean() + special.digamma(prior) - np.log(prior))))

    def predictive(self, moments: Moments) -> tuple[Floats, Floats, Floats]:
        """Degrees of freedom, mean and scale (row,) of the Student predictive of one more φ."""
        freedom = np.maximum(moments.count - 1, 0)
        squares = freedom * np.where(np.isnan(moments.variance), 0.0, moments.variance)
        if np.isinf(self.freedom):
            variance = np.full(len(freedom), self.scale)
        else:
            variance = (self.freedom * self.scale + squares) / (self.freedom + freedom)
        spread = np.sqrt(np.maximum(variance, LEAST_VARIANCE) * (1 + 1 / moments.count))
        return np.minimum(self.freedom + freedom, 1e9), moments.mean, spread


def student_ratio(phi: Floats, shadows: Floats, members: Masks) -> Floats:
    """log t_in(φ) − log t_out(φ), (row,): the likelihood ratio with the variances' uncertainty taken into account.

    Variances have a scaled inverse χ² prior, fitted to all rows, and the means a flat one; the predictive densities of
    one more φ are Student's t. With many models it becomes LiRA, with few it neither trusts a row's own variance nor
    gives all rows the same.
    """
    sides = [Moments.of(shadows, chosen) for chosen in (members, ~members)]
    inside, outside = (
        scipy_stats.t.logpdf(phi, *VariancePrior.fitted(moments).predictive(moments)) for moments in sides
    )
    return np.asarray(inside - outside)


def student_tail(phi: Floats, shadows: Floats, members: Masks) -> Floats:
    """Offline: −log of the upper tail probability of φ under the Student predictive of models without the row."""
    outside = Moments.of(shadows, ~members)
    return np.asarray(-scipy_stats.t.logsf(phi, *VariancePrior.fitted(outside).predictive(outside)))


def true_probability(phi: Floats) -> Floats:
    """p_y of φ = log p_y − log(1 − p_y)."""
    return np.asarray(special.expit(phi))
