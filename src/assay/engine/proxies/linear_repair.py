# SPDX-License-Identifier: Apache-2.0
"""A linear classifier without its proxies: β ← β (1 − α), and an intercept that fits the labels again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.engine.proxies.linear_parts import LinearParts, compared_groups
from assay.engine.proxies.linear_proxies import LinearProxy, strongest_proxy

MAX_ROUNDS = 8
"""Most proxies that are removed one after another."""


@dataclass(frozen=True, eq=False)
class RemovedProxy:
    """A proxy that was removed: of which attribute, for which group against the rest."""

    attribute: str
    group: str
    proxy: LinearProxy


def remove_proxies(
    parts: LinearParts, groups: Mapping[str, Sequence[str]], threshold: float, epsilon: float, seed: Seed
) -> tuple[Floats, list[RemovedProxy]]:
    """Factors (element,) in [0, 1] of the parts, after which no proxy of more influence than ``threshold`` is left.

    The influence is relative to the score that is left. Up to ``MAX_ROUNDS`` proxies are removed, the strongest first.
    """
    factors, done = np.ones(len(parts.elements)), list[RemovedProxy]()
    fixed = parts.score - parts.added.sum(axis=1)
    for turn in range(MAX_ROUNDS):
        left = LinearParts(parts.elements, parts.added * factors, fixed + parts.added @ factors)
        found = []
        for name, given in groups.items():
            for group in compared_groups(given):
                z = (np.asarray(given) == group).astype(np.float64)
                proxy = strongest_proxy(left.moments(z), epsilon, seed.child("removal", name, group, turn))
                found.append(RemovedProxy(name, group, proxy))
        strongest = max(found, key=lambda one: one.proxy.influence, default=None)
        if strongest is None or strongest.proxy.influence <= threshold:
            break
        done.append(strongest)
        factors = factors * (1 - strongest.proxy.alpha)
        factors[factors < 1e-6] = 0.0
    return factors, done


def intercept_shift(score: Floats, positive: Masks, threshold: float, *, logistic: bool) -> float:
    """What to add to the score (row,) so that it fits the labels again; ``positive`` (row,) says which are positive.

    ``logistic``: the mean probability is the rate of the labels, as the maximum likelihood has it. Else the share of
    scores above ``threshold`` is.
    """
    rate = float(positive.mean())
    if not 0 < rate < 1:
        return 0.0
    if not logistic:
        return float(threshold - np.quantile(score, 1 - rate))

    def excess(shift: float) -> float:
        return float((1 / (1 + np.exp(-np.clip(score + shift, -700, 700)))).mean() - rate)

    reach = float(np.abs(score).max()) + 50.0
    return float(brentq(excess, -reach, reach))
