# SPDX-License-Identifier: Apache-2.0
"""Paired tests of all pairs of methods, and their ranking, by one score."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.clustered import clustered_student_interval, mean_interval, number_clusters, sum_clusters
from assay.basics.paired_tests import (
    cliffs_delta,
    equivalence_p_value,
    rows_to_decide,
    shaffer_holm,
    standardised_mean_difference,
)
from assay.basics.rank_tests import (
    critical_difference,
    friedman,
    indistinguishable_groups,
    kendalls_w,
    rank_probabilities,
    ranks_in_rows,
)
from assay.basics.reliability import krippendorff_alpha
from assay.basics.types import Floats
from assay.engine.comparison.normalised_scores import orient
from assay.engine.comparison.paired_scores import PairedScores
from assay.nouns.comparisons.method_comparison import Pair, PairVerdict, Ranking


def compare_pairs(
    name: str, values: Floats, better: str, margin: float, paired_scores: PairedScores
) -> tuple[Pair, ...]:
    """Tests of every pair of methods by ``values`` (row, method), adjusted for multiplicity together."""
    compared = paired_scores.compared
    if not compared:
        return ()
    differences = np.stack([values[:, i] - values[:, j] for i, j in compared], axis=1)
    p = paired_scores.test(differences, clusters=paired_scores.clusters, seed=paired_scores.seed.child("compare", name))
    known = ~np.isnan(differences)
    same = np.full(len(compared), np.nan)
    for k in range(len(compared) if margin > 0 else 0):
        groups = None if paired_scores.clusters is None else paired_scores.clusters[known[:, k]]
        same[k] = equivalence_p_value(differences[known[:, k], k], margin, groups)
    p_adjusted = shaffer_holm(np.concatenate([p, same]), len(compared))
    tests = list(zip(compared, differences.T, known.T, p, same, p_adjusted[: len(p)], p_adjusted[len(p) :]))
    return tuple(
        _pair(name, values, better, margin, paired_scores, (i, j), difference[rows], rows, tuple(map(float, ps)))
        for (i, j), difference, rows, *ps in tests
    )


def _pair(
    name: str,
    values: Floats,
    better: str,
    margin: float,
    paired_scores: PairedScores,
    indices: tuple[int, int],
    differences: Floats,
    rows: Any,
    ps: tuple[float, ...],
) -> Pair:
    p, same, p_adjusted, p_same_adjusted = ps
    groups = None if paired_scores.clusters is None else paired_scores.clusters[rows]
    mean = float(differences.mean()) if len(differences) else float("nan")
    one, other = values[rows, indices[0]], values[rows, indices[1]]
    verdict = _verdict(mean, p_adjusted, p_same_adjusted, better, 1 - paired_scores.level)
    alpha = (1 - paired_scores.level) / len(paired_scores.compared)
    more = _rows_to_decide(differences, groups, margin, alpha) if verdict == "undecided" else None
    return Pair(
        score=name,
        one=paired_scores.methods[indices[0]],
        other=paired_scores.methods[indices[1]],
        rows=len(differences),
        left_out=len(values) - len(differences),
        difference=mean,
        interval=mean_interval(differences, groups, paired_scores.level),
        p=p,
        p_adjusted=p_adjusted,
        margin=margin,
        p_same=same,
        p_same_adjusted=p_same_adjusted,
        cliffs_delta=cliffs_delta(one, other),
        standardised_difference=standardised_mean_difference(differences),
        verdict=verdict,
        more=more,
    )


def _verdict(difference: float, p_adjusted: float, same: float, better: str, alpha: float) -> PairVerdict:
    if same <= alpha:
        return "same within margin"
    if not p_adjusted <= alpha or difference == 0:
        return "undecided"
    if better == "neither":
        return "higher" if difference > 0 else "lower"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _rows_to_decide(differences: Floats, groups: Any, margin: float, alpha: float) -> int | None:
    """Further rows that would show a difference from 0, or equivalence within the margin: the smaller number."""
    rows = len(differences)
    if rows < 2:
        return None
    mean = float(differences.mean())
    found = [rows_to_decide(mean, clustered_student_interval(differences, groups, 1 - alpha), 0.0, rows)]
    if abs(mean) < margin:
        edge = margin if mean >= 0 else -margin
        found.append(rows_to_decide(mean, clustered_student_interval(differences, groups, 1 - 2 * alpha), edge, rows))
    known = [count for count in found if count is not None]
    return min(known) if known else None


def rank_methods(values: Floats, better: str, paired_scores: PairedScores) -> Ranking | None:
    """The methods that are not references, ranked on each row.

    ``None`` for a score without a better direction, or with fewer than two methods or rows. A cluster counts once, by
    the means of its rows.
    """
    chosen = orient(values[:, paired_scores.ranked], better)
    whole = ~np.isnan(chosen).any(axis=1)
    if better == "neither" or chosen.shape[1] < 2 or whole.sum() < 2:
        return None
    complete = chosen[whole]
    groups = number_clusters(None if paired_scores.clusters is None else paired_scores.clusters[whole], len(complete))
    sums, counts = sum_clusters(complete, groups)
    ranks = ranks_in_rows(sums / counts)
    names = [paired_scores.methods[i] for i in paired_scores.ranked]
    average = ranks.mean(axis=0)
    gap = critical_difference(len(names), len(ranks), paired_scores.level)
    chi2, p = friedman(ranks)
    chances = rank_probabilities(complete, groups, paired_scores.draws, paired_scores.seed.child("ranks"))
    return Ranking(
        methods=tuple(names),
        average=average,
        chi2=chi2,
        p=p,
        critical_difference=gap,
        groups=tuple(tuple(names[i] for i in group) for group in indistinguishable_groups(average, gap)),
        concordance=kendalls_w(ranks),
        alpha=krippendorff_alpha(ranks),
        chances=chances,
        flip_rate=float(1 - chances[int(np.argmax(complete.mean(axis=0))), 0]),
        rows=int(whole.sum()),
        left_out=int((~whole).sum()),
    )
