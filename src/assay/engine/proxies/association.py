# SPDX-License-Identifier: Apache-2.0
"""How closely the output of a part of a model is associated with a group, against permuted groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints

PERMUTATIONS = 199
"""Permutations of the groups that make the null distribution."""

ERROR = 0.01
"""Probability that any part of a model counts as associated where no part is."""


@dataclass(frozen=True, eq=False)
class Associations:
    """Associations of several parts with one attribute, (part,) each.

    ``value`` is the mutual information divided by the joint entropy, 0 … 1: 1 − [H(U|Z) + H(Z|U)] / H(U, Z) of Datta et
    al. (2017). It is positive in a finite sample also where there is none: ``chance`` is its mean over permuted groups,
    and ``p`` the probability that the largest of all parts' deviations from chance, in standard deviations, is as large
    as this part's where no part is associated. ``high`` is an upper limit of the value less chance at 99 %. ``cramer``
    is Cramér's V, |φ| of two by two.
    """

    value: Floats
    chance: Floats
    p: Floats
    high: Floats
    cramer: Floats

    @property
    def excess(self) -> Floats:
        """The association less what chance alone gives."""
        return self.value - self.chance


def associations(parts: Sequence[Ints], groups: Ints, seed: Seed, permutations: int = PERMUTATIONS) -> Associations:
    """Associations of each part's output, given as codes (row,), with ``groups``, codes (row,)."""
    generator = seed.child("permuted groups").generator()
    draws = [groups, *(generator.permutation(groups) for _ in range(permutations))]
    count = int(groups.max()) + 1
    columns = np.stack([draw == group for draw in draws for group in range(count)], axis=1).astype(np.float32)
    found, spread, cramer, joint_entropy = [], [], [], []
    for codes in parts:
        levels = int(codes.max()) + 1
        joint = (np.arange(levels)[:, None] == codes).astype(np.float32) @ columns
        joint = joint.reshape(levels, permutations + 1, count).transpose(1, 0, 2).astype(np.float64)
        information, entropy = _information(joint)
        found.append(np.divide(information, entropy, out=np.zeros_like(entropy), where=entropy > 0))
        spread.append(_information_error(joint[0]))
        joint_entropy.append(entropy[0])
        cramer.append(cramers_v(joint[0]))
    table = np.array(found)
    null, chance = table[:, 1:], table[:, 1:].mean(axis=1)
    scale = np.maximum(null.std(axis=1), 1e-12)
    largest = ((null - chance[:, None]) / scale[:, None]).max(axis=0)
    standard = (table[:, 0] - chance) / scale
    p = (1 + (largest >= standard[:, None]).sum(axis=1)) / (permutations + 1)
    by_chance = np.quantile(null, 1 - ERROR, axis=1) - chance
    error = float(scipy_stats.norm.ppf(1 - ERROR)) * np.array(spread) / np.maximum(joint_entropy, 1e-12)
    return Associations(table[:, 0], chance, p, table[:, 0] - chance + by_chance + error, np.array(cramer))


def _information(joint: Floats) -> tuple[Floats, Floats]:
    """Mutual information and joint entropy, (draw,) in nats, of counts (draw, level, group)."""
    shares = joint / joint.sum(axis=(1, 2), keepdims=True)
    both = _entropy(shares.reshape(len(shares), -1))
    return np.maximum(_entropy(shares.sum(axis=2)) + _entropy(shares.sum(axis=1)) - both, 0.0), both


def _entropy(shares: Floats) -> Floats:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=1))


def _information_error(joint: Floats) -> float:
    """Standard error of the mutual information: that of the mean of log p(u, z) / (p(u) p(z)) over rows."""
    rows = joint.sum()
    shares = joint / rows
    expected = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    logs = np.log(np.divide(shares, expected, out=np.ones_like(shares), where=shares > 0))
    return float(np.sqrt(max((shares * logs**2).sum() - (shares * logs).sum() ** 2, 0.0) / rows))


def cramers_v(joint: Floats) -> float:
    """Cramér's V of counts (level, group), 0 … 1; 0 where there is one level or one group."""
    joint = joint[joint.sum(axis=1) > 0][:, joint.sum(axis=0) > 0]
    smaller = min(joint.shape) - 1
    if smaller < 1:
        return 0.0
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True) / joint.sum()
    return float(np.sqrt(((joint - expected) ** 2 / expected).sum() / (joint.sum() * smaller)))
