"""Do comparisons of methods err as rarely as they say? Simulations behind tests/judge/test_comparisons.py."""

from __future__ import annotations

from functools import cache

import numpy as np

import assay
from assay.basics.clustered import clustered_student_interval, mean_interval
from assay.basics.paired_tests import equivalence_p_value, sign_flip, signed_rank
from assay.basics.rank_tests import critical_difference, friedman, ranks_in_rows
from assay.basics.reliability import intraclass_correlation
from assay.basics.seed import Seed
from assay.nouns.comparisons.method_comparison import Pair
from assay.nouns.results.result import Provenance, Score

LEVEL = 0.95
LAWS = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "exponential": lambda generator, shape: generator.exponential(size=shape) - 1,
    "t3": lambda generator, shape: generator.standard_t(3, size=shape),
}


def clustered(law: str, runs: int, groups: int, size: int, how: str) -> float:
    """How often the interval of a mean of clustered rows holds the truth, 0."""
    generator = np.random.Generator(np.random.PCG64(1))
    names = np.repeat(np.arange(groups), size)
    held = 0
    for _ in range(runs):
        values = LAWS[law](generator, groups).repeat(size) + LAWS[law](generator, groups * size)
        if how == "mean":
            held += 0.0 in mean_interval(values, names, LEVEL)
        else:
            held += 0.0 in clustered_student_interval(values, names, LEVEL)
    return held / runs


def false_alarms(law: str, runs: int, rows: int, test: str) -> float:
    """How often methods of one law are called different at the 5 % level: differences of two draws of it."""
    generator = np.random.Generator(np.random.PCG64(2))
    chosen = {"permutation": sign_flip, "wilcoxon": signed_rank}[test]
    wrong = 0
    for start in range(0, runs, 500):  # all tests of a block share their patterns of signs, each has its own rows
        count = min(500, runs - start)
        differences = LAWS[law](generator, (rows, count)) - LAWS[law](generator, (rows, count))
        wrong += int((chosen(differences, draws=1999, seed=Seed(start)) <= 1 - LEVEL).sum())
    return wrong / runs


def false_sameness(law: str, runs: int, rows: int) -> float:
    """How often a mean difference that is just the margin is called within it."""
    generator = np.random.Generator(np.random.PCG64(3))
    wrong = sum(equivalence_p_value(0.5 + LAWS[law](generator, rows), 0.5) <= 1 - LEVEL for _ in range(runs))
    return wrong / runs


def ranked(runs: int, rows: int, methods: int) -> tuple[float, float]:
    """How often exchangeable methods are told apart: by Friedman's test, by Nemenyi's critical difference."""
    generator = np.random.Generator(np.random.PCG64(4))
    reach = critical_difference(methods, rows, LEVEL)
    friedmans = nemenyis = 0
    for _ in range(runs):
        ranks = ranks_in_rows(generator.normal(size=(rows, methods)))
        friedmans += friedman(ranks)[1] <= 1 - LEVEL
        nemenyis += np.ptp(ranks.mean(axis=0)) > reach
    return friedmans / runs, nemenyis / runs


def correlated(runs: int, rows: int, times: int) -> float:
    """How often the interval of an intraclass correlation holds the truth, one half."""
    generator = np.random.Generator(np.random.PCG64(5))
    held = 0
    for _ in range(runs):
        held += (
            0.5
            in intraclass_correlation(generator.normal(size=(rows, 1)) + generator.normal(size=(rows, times)), LEVEL)[1]
        )
    return held / runs


def scored(values: np.ndarray, of: str) -> Score:
    """A score with these values."""
    made = Provenance("quality", "evaluate", {}, Seed(), "value", "m", "r", "f", {}, "cpu", {})
    return Score(made, (), values, tuple(map(str, range(len(values)))), "higher", of)


@cache
def verdicts(runs: int, rows: int, shifts: tuple[float, ...], margin: float | None) -> tuple[float, float]:
    """How often a comparison of methods has any wrong verdict; and the share of pairs decided.

    Methods score normal noise around a row's own ease plus their shift. A verdict is wrong if it calls better what is
    not, or same what differs by the margin or more.
    """
    generator = np.random.Generator(np.random.PCG64(6))
    wrong = decided = 0
    for run in range(runs):
        ease = generator.normal(size=rows)
        held = [scored(ease + shift + generator.normal(size=rows), f"m{i}") for i, shift in enumerate(shifts)]
        pairs = assay.compare_methods(held, margin=margin, draws=50, seed=run).of().pairs
        wrong += any(_wrong(pair, shifts, margin) for pair in pairs)
        decided += sum(pair.verdict != "undecided" for pair in pairs)
    return wrong / runs, decided / (runs * len(pairs))


def _wrong(pair: Pair, shifts: tuple[float, ...], margin: float | None) -> bool:
    gap = shifts[int(pair.one[1:])] - shifts[int(pair.other[1:])]
    if pair.verdict == "same within margin":
        return margin is None or abs(gap) >= margin - 1e-12
    return (pair.verdict == "better" and gap <= 0) or (pair.verdict == "worse" and gap >= 0)
