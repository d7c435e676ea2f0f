"""Rules of relevance propagation and backward rules, number by number, for stacks of dense layers with ReLUs between.

A layer is (weights (out, in), bias (out,), connected (out, in)), a convolution written out as a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Layer = tuple[np.ndarray, np.ndarray, np.ndarray]
Share = Callable[[float, float, bool], float]


def dense(weights: Any, bias: Any) -> Layer:
    """Every input is connected to every output."""
    return np.asarray(weights), np.asarray(bias), np.ones(np.shape(weights), dtype=bool)


def activations(layers: Sequence[Layer], x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What goes into each layer, and what comes out before the ReLU."""
    into, out = [np.asarray(x).ravel()], []
    for place, (weights, bias, _) in enumerate(layers):
        z = np.array(
            [bias[j] + sum(weights[j, i] * into[-1][i] for i in range(len(into[-1]))) for j in range(len(bias))]
        )
        out.append(z)
        if place < len(layers) - 1:
            into.append(np.array([max(one, 0.0) for one in z]))
    return into, out


def relevance(layers: Sequence[Layer], x: np.ndarray, label: int, rules: Sequence[str], **options: float) -> np.ndarray:
    """Relevance of the inputs; one rule's name a layer."""
    into, out = activations(layers, x)
    r = np.array([z if j == label else 0.0 for j, z in enumerate(out[-1])])
    for layer, a, rule in reversed(list(zip(layers, into, rules))):
        r = one_layer(layer, a, r, rule, **options)
    return r


def one_layer(
    layer: Layer,
    a: np.ndarray,
    r: np.ndarray,
    rule: str,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    alpha: float = 2.0,
    low: float = 0.0,
    high: float = 1.0,
) -> np.ndarray:
    """Relevance of a layer's inputs from that of its outputs."""
    weights, bias, connected = layer
    found = np.zeros(len(a))
    for j in range(len(bias)):
        if r[j] == 0:
            continue
        w, b = weights[j], bias[j]
        z = b + sum(a[i] * w[i] for i in range(len(a)))
        positive = sum(max(a[i] * w[i], 0.0) for i in range(len(a)))
        negative = sum(min(a[i] * w[i], 0.0) for i in range(len(a)))
        span = sum(a[i] * w[i] - low * max(w[i], 0.0) - high * min(w[i], 0.0) for i in range(len(a)))
        for i in range(len(a)):
            aw = a[i] * w[i]
            up, down = max(aw, 0.0), min(aw, 0.0)
            if rule == "zero":
                share = aw / z
            elif rule == "epsilon":
                share = aw / (z + sign(z) * epsilon)
            elif rule == "gamma":
                favoured = up if z >= 0 else down
                whole = z + gamma * ((positive + max(b, 0.0)) if z >= 0 else (negative + min(b, 0.0)))
                share = (aw + gamma * favoured) / (whole + sign(whole) * epsilon)
            elif rule in ("alpha_beta", "z_plus"):
                one = 1.0 if rule == "z_plus" else alpha
                share = one * up / (positive + max(b, 0.0) + epsilon)
                share -= (one - 1.0) * down / (negative + min(b, 0.0) - epsilon)
            elif rule == "flat":
                share = float(connected[j, i]) / connected[j].sum()
            elif rule == "w_square":
                share = w[i] ** 2 / sum(w**2)
            elif rule == "box":
                share = (aw - low * max(w[i], 0.0) - high * min(w[i], 0.0)) / (span + sign(span) * epsilon)
            elif rule == "excitation":
                share = up / positive if positive > 0 else 0.0
            else:
                raise KeyError(rule)
            found[i] += share * r[j]
    return found


def sign(z: float) -> float:
    """1 at 0."""
    return -1.0 if z < 0 else 1.0


def excitation(layers: Sequence[Layer], x: np.ndarray, label: int) -> np.ndarray:
    """Probability that a walk from the label ends at each input."""
    into, out = activations(layers, x)
    r = np.array([1.0 if j == label else 0.0 for j in range(len(out[-1]))])
    for layer, a in reversed(list(zip(layers, into))):
        r = one_layer(layer, a, r, "excitation")
    return r


def rectified(layers: Sequence[Layer], x: np.ndarray, label: int, *, guided: bool) -> np.ndarray:
    """Guided backprop or deconvolution."""
    _, out = activations(layers, x)
    g = np.array(layers[-1][0][label], dtype=float)
    for (weights, _, _), z in reversed(list(zip(layers[:-1], out))):
        passed = np.array([max(g[j], 0.0) * (z[j] > 0 or not guided) for j in range(len(z))])
        g = np.array([sum(weights[j, i] * passed[j] for j in range(len(z))) for i in range(weights.shape[1])])
    return g


def rescale(layers: Sequence[Layer], x: np.ndarray, start: np.ndarray, label: int) -> np.ndarray:
    """DeepLIFT by the Rescale rule: (x − s) times multipliers, chained layer by layer."""
    _, out = activations(layers, x)
    _, beside = activations(layers, start)
    m = np.array(layers[-1][0][label], dtype=float)
    for (weights, _, _), z, s in reversed(list(zip(layers[:-1], out, beside))):
        slope = np.array([(max(one, 0.0) - max(two, 0.0)) / (one - two) for one, two in zip(z, s)])
        m = np.array([sum(m[j] * slope[j] * weights[j, i] for j in range(len(z))) for i in range(weights.shape[1])])
    return (np.ravel(x) - np.ravel(start)) * m
