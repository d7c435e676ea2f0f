"""AttnLRP on one head of attention, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np

Weights = dict[str, Any]


def linear(r: np.ndarray, x: np.ndarray, weights: np.ndarray, bias: np.ndarray, epsilon: float) -> np.ndarray:
    """LRP-ε from outputs (out,) to inputs (in,)."""
    found = np.zeros(len(x))
    for j in range(len(bias)):
        z = bias[j] + sum(weights[j, i] * x[i] for i in range(len(x)))
        for i in range(len(x)):
            found[i] += weights[j, i] * x[i] / (z + (epsilon if z >= 0 else -epsilon)) * r[j]
    return found


def relevance(x: np.ndarray, w: Weights, label: int, epsilon: float) -> np.ndarray:
    """Relevance (token, unit) of the score ``label``, read from the first token's mixture of values."""
    tokens, width = x.shape
    q, k, v = (x @ w[name].T + w[f"{name}_bias"] for name in ("query", "key", "value"))
    scores = q @ k.T / np.sqrt(width)
    share = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    mixed = share @ v
    logits = mixed[0] @ w["head"].T + w["head_bias"]
    r_out = np.where(np.arange(len(logits)) == label, logits, 0.0)
    r_mixed = np.zeros_like(mixed)
    r_mixed[0] = linear(r_out, mixed[0], w["head"], w["head_bias"], epsilon)
    r_share, r_v = np.zeros_like(share), np.zeros_like(v)
    for j in range(tokens):  # two factors share by halves
        for i in range(tokens):
            for p in range(width):
                half = share[j, i] * v[i, p] / (2 * mixed[j, p]) * r_mixed[j, p]
                r_share[j, i] += half
                r_v[i, p] += half
    r_scores = np.zeros_like(scores)
    for j in range(tokens):  # softmax passes its linear part
        for i in range(tokens):
            r_scores[j, i] = scores[j, i] * (r_share[j, i] - share[j, i] * r_share[j].sum())
    r_q, r_k = np.zeros_like(q), np.zeros_like(k)
    for j in range(tokens):
        for i in range(tokens):
            for p in range(width):
                half = q[j, p] * k[i, p] / np.sqrt(width) / (2 * scores[j, i]) * r_scores[j, i]
                r_q[j, p] += half
                r_k[i, p] += half
    found = np.zeros_like(x)
    for t in range(tokens):
        for name, r in (("query", r_q), ("key", r_k), ("value", r_v)):
            found[t] += linear(r[t], x[t], w[name], w[f"{name}_bias"], epsilon)
    return found
