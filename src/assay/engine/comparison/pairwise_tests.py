# SPDX-License-Identifier: Apache-2.0
"""Pairs of methods judged, and all of them ranked, by one score."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.clustered import mean_interval, numbered, student_of_clusters, summed
from assay.basics.paired_tests import cliffs_delta, equivalence, holm_among, rows_to_decide, standardised
from assay.basics.rank_tests import concordance, critical_difference, friedman, rank_chances, ranks_of, together
from assay.basics.reliability import krippendorff
from assay.basics.types import Floats
from assay.engine.comparison.normalised_scores import oriented
from assay.engine.comparison.paired_scores import PairedScores
from assay.nouns.comparisons.method_comparison import Pair, Ranking, Standing


def pairs_of(name: str, values: Floats, better: str, margin: float, paired_scores: PairedScores) -> tuple[Pair, ...]:
    """Every pair of methods by ``values`` (row, method), their tests adjusted together."""
    compared = paired_scores.compared
    if not compared:
        return ()
    differences = np.stack([values[:, i] - values[:, j] for i, j in compared], axis=1)
    p = paired_scores.test(differences, clusters=paired_scores.clusters, seed=paired_scores.seed.child("compare", name))
    known = ~np.isnan(differences)
    same = np.full(len(compared), np.nan)
    for k in range(len(compared) if margin > 0 else 0):
        groups = None if paired_scores.clusters is None else paired_scores.clusters[known[:, k]]
        same[k] = equivalence(differences[known[:, k], k], margin, groups)
    adjusted = holm_among(np.concatenate([p, same]), len(compared))
    held = list(zip(compared, differences.T, known.T, p, same, adjusted[: len(p)], adjusted[len(p) :]))
    return tuple(
        _pair(name, values, better, margin, paired_scores, (i, j), difference[rows], rows, tuple(map(float, ps)))
        for (i, j), difference, rows, *ps in held
    )


def _pair(
    name: str,
    values: Floats,
    better: str,
    margin: float,
    paired_scores: PairedScores,
    places: tuple[int, int],
    differences: Floats,
    rows: Any,
    ps: tuple[float, ...],
) -> Pair:
    p, same, adjusted, same_adjusted = ps
    groups = None if paired_scores.clusters is None else paired_scores.clusters[rows]
    mean = float(differences.mean()) if len(differences) else float("nan")
    one, other = values[rows, places[0]], values[rows, places[1]]
    verdict = _verdict(mean, adjusted, same_adjusted, better, 1 - paired_scores.level)
    share = (1 - paired_scores.level) / len(paired_scores.compared)
    more = _more(differences, groups, margin, share) if verdict == "undecided" else None
    return Pair(
        score=name,
        one=paired_scores.methods[places[0]],
        other=paired_scores.methods[places[1]],
        rows=len(differences),
        left_out=len(values) - len(differences),
        difference=mean,
        interval=mean_interval(differences, groups, paired_scores.level),
        p=p,
        adjusted=adjusted,
        margin=margin,
        p_same=same,
        same_adjusted=same_adjusted,
        delta=cliffs_delta(one, other),
        effect=standardised(differences),
        verdict=verdict,
        more=more,
    )


def _verdict(difference: float, adjusted: float, same: float, better: str, chance: float) -> Standing:
    if same <= chance:
        return "same within margin"
    if not adjusted <= chance or difference == 0:
        return "undecided"
    if better == "neither":
        return "higher" if difference > 0 else "lower"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _more(differences: Floats, groups: Any, margin: float, chance: float) -> int | None:
    """Rows to part the difference from 0, or to bring it inside the margin: the fewer of the two."""
    rows = len(differences)
    if rows < 2:
        return None
    mean = float(differences.mean())
    found = [rows_to_decide(mean, student_of_clusters(differences, groups, 1 - chance), 0.0, rows)]
    if abs(mean) < margin:
        edge = margin if mean >= 0 else -margin
        found.append(rows_to_decide(mean, student_of_clusters(differences, groups, 1 - 2 * chance), edge, rows))
    known = [count for count in found if count is not None]
    return min(known) if known else None


def ranking_of(values: Floats, better: str, paired_scores: PairedScores) -> Ranking | None:
    """The methods that are no references, ranked row by row; none without a better side, or below two methods or rows.

    With clusters a cluster counts once, by the means of its rows.
    """
    chosen = oriented(values[:, paired_scores.ranked], better)
    whole = ~np.isnan(chosen).any(axis=1)
    if better == "neither" or chosen.shape[1] < 2 or whole.sum() < 2:
        return None
    kept = chosen[whole]
    groups = numbered(None if paired_scores.clusters is None else paired_scores.clusters[whole], len(kept))
    sums, counts = summed(kept, groups)
    ranks = ranks_of(sums / counts)
    names = [paired_scores.methods[i] for i in paired_scores.ranked]
    average = ranks.mean(axis=0)
    gap = critical_difference(len(names), len(ranks), paired_scores.level)
    chi2, p = friedman(ranks)
    chances = rank_chances(kept, groups, paired_scores.draws, paired_scores.seed.child("ranks"))
    return Ranking(
        methods=tuple(names),
        average=average,
        chi2=chi2,
        p=p,
        critical_difference=gap,
        groups=tuple(tuple(names[i] for i in group) for group in together(average, gap)),
        concordance=concordance(ranks),
        alpha=krippendorff(ranks),
        chances=chances,
        flip_rate=float(1 - chances[int(np.argmax(kept.mean(axis=0))), 0]),
        rows=int(whole.sum()),
        left_out=int((~whole).sum()),
    )
