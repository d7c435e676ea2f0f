# SPDX-License-Identifier: Apache-2.0
"""What each input adds to the score of a linear classifier, and the strongest proxy among them for each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import CapabilityError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.proxies.association import ERROR
from assay.engine.proxies.linear_proxies import LinearProxy, Moments, strongest_proxy, upper_bound
from assay.model.linear_scores import read_linear

SMALLEST_GROUP = 10
"""Groups of fewer rows are not compared with the rest."""

MAX_GROUPS = 6
"""Most groups that are compared with the rest, the largest first."""

NO_PROXY = 1e-6
"""Influence up to which a solution counts as none."""


@dataclass(frozen=True, eq=False)
class LinearParts:
    """What the ``elements`` of the input add to the score: ``added`` (row, element), with the ``score`` (row,)."""

    elements: Ints
    added: Floats
    score: Floats

    @staticmethod
    def of(case: Case) -> LinearParts:
        """Reads a linear classifier of two classes; all columns that come from one input element are one part.

        ``CapabilityError`` where it has several scores, or a step before it mixes columns.
        """
        found = read_linear(case.model)
        if len(found.coef) != 1:
            raise CapabilityError(
                f"{case.model.name} has {len(found.coef)} scores; proxies of linear models are found in one score, of "
                f"two classes."
            )
        terms = found.matrix(case.rows) * found.coef[0]
        elements = np.unique(found.origin[np.flatnonzero(found.coef[0])])
        added = [terms[:, found.origin == element].sum(axis=1) for element in elements]
        table = np.stack(added, axis=1) if added else np.zeros((len(case), 0))
        return LinearParts(elements, table, found.intercept[0] + terms.sum(axis=1))

    def without(self, names: Sequence[str], allowed: Sequence[str]) -> LinearParts:
        """The parts that may be proxies: those of columns whose use is not justified."""
        kept = [place for place, element in enumerate(self.elements) if names[element] not in allowed]
        return LinearParts(self.elements[kept], self.added[:, kept], self.score)

    def take(self, rows: Ints) -> LinearParts:
        """The parts at some of the rows."""
        return LinearParts(self.elements, self.added[rows], self.score[rows])

    def moments(self, group: Floats) -> Moments:
        """The moments of the problem for one group against the rest."""
        return Moments.of(self.added, group, self.score)


@dataclass(frozen=True, eq=False)
class LinearWitness:
    """The strongest proxy of the first half of the rows, measured on the second half.

    ``proxy`` is the solution on the first half, for ``group`` against the rest, and ``covariance`` (element,) that of
    what each input adds with the group there. ``part`` and ``score`` (row,) are P and
    Ŷ at the rows of the second half, ``association`` their squared correlation with the group there, and ``p`` the
    probability of such a correlation, in the same direction, where there is none.
    """

    group: str
    proxy: LinearProxy
    covariance: Floats
    part: Floats
    score: Floats
    association: float
    p: float

    @property
    def is_shown(self) -> bool:
        """Whether the part is associated with the group in rows that did not choose it."""
        return self.p <= ERROR

    @property
    def influence(self) -> float:
        """Var P / Var Ŷ in the second half."""
        return float(self.part.var() / self.score.var()) if self.score.var() > 0 else 0.0


def compared_groups(groups: Sequence[str]) -> list[str]:
    """The groups that are compared with the rest, the largest first; of two groups one stands for both."""
    names, counts = np.unique(np.asarray(groups), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    found = [str(names[i]) for i in order if counts[i] >= SMALLEST_GROUP][:MAX_GROUPS]
    return found[-1:] if len(names) == 2 else found


def halves(rows: int, seed: Seed) -> tuple[Ints, Ints]:
    """Two random halves of the rows, each in order."""
    drawn = seed.child("halves").generator().permutation(rows)
    return np.sort(drawn[: rows // 2]), np.sort(drawn[rows // 2 :])


def linear_witness(parts: LinearParts, groups: Sequence[str], epsilon: float, seed: Seed) -> LinearWitness | None:
    """The strongest proxy over all groups that the second half of the rows confirms; else the strongest, or ``None``.

    ``None`` where the first half has no part of this association with any group.
    """
    names, found = np.asarray(groups), []
    first, second = halves(len(names), seed)
    compared = compared_groups(groups)
    for group in compared:
        z = (names == group).astype(np.float64)
        if not 0 < z[first].mean() < 1 or not 0 < z[second].mean() < 1:
            continue
        moments = parts.take(first).moments(z[first])
        proxy = strongest_proxy(moments, epsilon, seed.child("proxy", group))
        if proxy.influence <= NO_PROXY:
            continue
        part = parts.added @ proxy.alpha
        r, p = _correlation(part, z, first, second)
        found.append(
            LinearWitness(
                group, proxy, moments.with_group, part[second], parts.score[second], r**2, min(1.0, p * len(compared))
            )
        )
    return max(found, key=lambda one: (one.is_shown, one.influence), default=None)


def _correlation(part: Floats, z: Floats, first: Ints, second: Ints) -> tuple[float, float]:
    """The correlation in the second half, and how likely one so large is, in the direction of the first half."""
    if not part[second].std() > 0 or len(second) < 4:
        return 0.0, 1.0
    sign = np.sign(np.corrcoef(part[first], z[first])[0, 1])
    r = float(np.corrcoef(part[second], z[second])[0, 1])
    freedom = len(second) - 2
    t = sign * r * np.sqrt(freedom / max(1 - r**2, 1e-12))
    return r, float(scipy_stats.t.sf(t, freedom))


def largest_possible(parts: LinearParts, groups: Sequence[str], epsilon: float) -> float:
    """An upper bound on the influence of every part whose association may be ``epsilon`` in the population.

    Parts may have less association in the rows than in the population: the bound is for √ε less 2.33 standard errors of
    a correlation, 1 / √rows.
    """
    names, rows = np.asarray(groups), len(groups)
    least = max(0.0, np.sqrt(epsilon) - float(scipy_stats.norm.ppf(1 - ERROR)) / np.sqrt(rows)) ** 2
    bounds = [0.0]
    for group in compared_groups(groups):
        moments = parts.moments((names == group).astype(np.float64))
        bounds += [upper_bound(moments, least, sign) for sign in (1.0, -1.0)]
    return max(bounds)
