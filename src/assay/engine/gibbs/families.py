# SPDX-License-Identifier: Apache-2.0
"""Families of distributions fitted to a Gibbs posterior whose whole table is known, and how far they stay below it.

log Z = max over q of β E_q[v] − KL(q ‖ prior), the evidence lower bound; for q in a family the shortfall is
KL(q ‖ posterior), which is computed here, not estimated.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp

from assay.basics.types import Floats, Masks
from assay.engine.gibbs.posterior import Posterior

SWEEPS = 200
"""Most rounds of coordinate ascent."""

COMPONENTS = 3
"""Products in a mixture."""

EDGE = 30.0
"""Largest |logit| of a rate in a mixture."""


def mean_field(posterior: Posterior) -> Floats:
    """Rates (row, part) of the product of Bernoullis with a locally largest lower bound, by coordinate ascent.

    Begins at the exact marginals, which are the product nearest in KL(posterior ‖ q). Each step sets
    logit μ_i = logit π + β (E_q[v | m_i = 1] − E_q[v | m_i = 0]) and cannot lower the bound. NaN where v is infinite.
    """
    prior = posterior.prior
    rates = np.clip(posterior.marginals, 1e-12, 1 - 1e-12)
    start = np.log(prior) - np.log1p(-prior)
    table = np.where(np.isfinite(posterior.table).all(axis=1, keepdims=True), posterior.table, np.nan)
    for _ in range(SWEEPS):
        before = rates.copy()
        for part in range(rates.shape[1]):
            rates[:, part] = expit(start + posterior.beta * _slope(table, rates, part))
        if not (np.abs(rates - before) > 1e-7).any():
            break
    return rates


def _slope(table: Floats, rates: Floats, part: int) -> Floats:
    """E_q[v | m_part = 1] − E_q[v | m_part = 0], (row,), of a table in binary counting order."""
    rows, parts = rates.shape
    halves = table.reshape(rows, -1, 2, 2**part)
    found = (halves[:, :, 1] - halves[:, :, 0]).reshape(rows, -1)
    for other in (one for one in range(parts) if one != part):  # the lowest bit that is left is the last axis
        pairs = found.reshape(rows, -1, 2)
        found = pairs[:, :, 0] + rates[:, other, None] * (pairs[:, :, 1] - pairs[:, :, 0])
    return found[:, 0]


def product_log(rates: Floats, masks: Masks) -> Floats:
    """Log probability (row, mask) of a product of Bernoullis with these rates (row, part)."""
    safe = np.clip(rates, 1e-300, 1 - 1e-16)
    return np.log(safe) @ masks.T + np.log1p(-safe) @ ~masks.T


def gap(posterior: Posterior, log_q: Floats) -> Floats:
    """KL(q ‖ posterior) in nats, (row,): what the lower bound of q lacks of log Z."""
    q = np.exp(log_q)
    log_p = posterior.log_weight - posterior.log_evidence[:, None]
    with np.errstate(invalid="ignore"):
        found = np.where(q > 1e-300, q * (log_q - log_p), 0.0).sum(axis=1)
    return np.where(np.isfinite(found), np.maximum(found, 0.0), np.nan)


def fit_mixture(posterior: Posterior) -> tuple[Floats, Floats]:
    """A mixture of three products with a locally largest lower bound: its marginals (row, part) and log q (row, mask).

    L-BFGS with exact gradients over the whole table, begun near the exact marginals and two of the likeliest masks.
    """
    masks = posterior.design.masks
    log_p = posterior.log_weight - posterior.log_evidence[:, None]
    found = [_fit_row(one, masks, marginals) for one, marginals in zip(log_p, posterior.marginals)]
    log_q = np.stack(found)
    return np.exp(log_q) @ masks, log_q


def _fit_row(log_p: Floats, masks: Masks, marginals: Floats) -> Floats:
    """Log q (mask,) of the mixture fitted to one row."""
    if not np.isfinite(log_p).all():
        return np.full(len(log_p), np.nan)
    signs, parts = masks.astype(np.float64), masks.shape[1]
    likeliest = masks[np.argsort(-log_p, kind="stable")[: COMPONENTS - 1]]
    rates = np.clip(np.concatenate([marginals[None], 0.1 + 0.8 * likeliest]), 0.02, 0.98)
    start = np.concatenate([np.zeros(COMPONENTS), np.log(rates / (1 - rates)).ravel()])

    def parts_of(point: Floats) -> tuple[Floats, Floats]:
        logits = point[COMPONENTS:].reshape(COMPONENTS, parts)
        inside, outside = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
        return log_softmax(point[:COMPONENTS]), inside @ signs.T + outside @ (1 - signs).T

    def shortfall(point: Floats) -> tuple[float, Floats]:
        log_share, each = parts_of(point)
        log_q = logsumexp(log_share[:, None] + each, axis=0)
        excess = log_q - log_p
        joint = np.exp(log_share[:, None] + each)  # (component, mask)
        value = float((np.exp(log_q) * excess).sum())
        by_share = (joint * excess).sum(axis=1) - np.exp(log_share) * value
        rate = expit(point[COMPONENTS:].reshape(COMPONENTS, parts))
        by_logit = (joint * excess) @ signs - (joint * excess).sum(axis=1)[:, None] * rate
        return value, np.concatenate([by_share, by_logit.ravel()])

    bounds = [(-EDGE, EDGE)] * len(start)
    best = minimize(shortfall, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    log_share, each = parts_of(best.x)
    return np.asarray(logsumexp(log_share[:, None] + each, axis=0))
