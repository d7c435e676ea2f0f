# SPDX-License-Identifier: Apache-2.0
"""Comparison of explanation methods by their scores on the same rows; the model is not evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from assay.basics.clustered import mean_interval, mean_with_standard_error, number_clusters
from assay.basics.errors import InputError
from assay.basics.paired_tests import sign_flip, signed_rank
from assay.basics.seed import Seed
from assay.basics.stats import pearson
from assay.basics.types import Floats
from assay.engine.comparison.normalised_scores import equivalence_margin, normalise_scores, orient
from assay.engine.comparison.paired_scores import PairedScores
from assay.engine.comparison.pairwise_tests import compare_pairs, rank_methods
from assay.nouns.comparisons.method_comparison import MethodComparison, Scored
from assay.nouns.comparisons.score_reliability import Reliability
from assay.nouns.records.jsonable import to_jsonable
from assay.nouns.results.result import Note, Score

ROLES = ("random", "constant", "edges", "input_itself", "oracle")
"""Methods of these names are references unless ``references`` names others."""

TESTS: dict[str, Callable[..., Floats]] = {"permutation": sign_flip, "wilcoxon": signed_rank}

Table = Mapping[str, Mapping[str, Score]]


def compare_methods(
    scores: Table | Sequence[Score],
    *,
    references: Mapping[str, str] | None = None,
    unreliable: Sequence[str | Reliability] = (),
    margin: float | Mapping[str, float] | None = None,
    share: float | None = None,
    clusters: Any = None,
    test: Literal["permutation", "wilcoxon"] = "permutation",
    level: float = 0.95,
    draws: int = 2000,
    seed: int | Seed = 0,
) -> MethodComparison:
    """Paired comparison of explanation methods by one or several scores on the same rows.

    ``scores`` is a list (methods and scores then have the names in their provenance), or {method: {score: Score}}. All
    must be of the same rows, model and target, and each score must have the same options for all methods. Means have
    intervals that are valid for skewed scores. Pairs of methods are tested on paired rows: by ``test`` for a difference
    (sign-flip permutation test, or Wilcoxon's signed-rank test) and by two one-sided t-tests for equivalence within the
    margin. All p-values of a score are adjusted by Holm's procedure with Shaffer's limit (at most one of a pair's two
    hypotheses is true). ``margin`` is in units of the score, one for all scores or {score: margin}; alternatively
    ``share`` is the margin as a share of the difference between oracle and random (without an oracle: between the best
    method and random), which is then treated as known. Without either, no pair is called the same.

    ``references`` maps the roles "random", "oracle" and others to methods, by default to the methods of these names;
    references are compared with the methods, but neither ranked nor compared with each other. ``clusters`` (row,) names
    groups of dependent rows: each is resampled, and changes sign, as a whole. Rows with NaN are left out for each pair,
    and counted.

    ``unreliable`` has scores to leave out, by name, or results of ``meta_evaluation``: scores it found unreliable are
    left out, with the reasons in a note and in ``found.unreliable``; undecided scores stay, with a note.

    >>> from assay import Constant, evaluate, examples, explain
    >>> case, zero = examples.additive((3.0, 1.0)), Constant(0.0)
    >>> explanations = [explain.occlusion(case, remove=zero), explain.random(case)]
    >>> found = compare_methods([evaluate.deletion(e, case, remove=zero) for e in explanations])
    >>> found.methods, found.verdict("occlusion", "random")
    (('occlusion', 'random'), 'undecided')
    """
    table, excluded, doubts = _exclude_unreliable(_check_table(_table(scores)), unreliable)
    methods = tuple(table)
    first = next(iter(next(iter(table.values())).values()))
    paired_scores = PairedScores(
        methods=methods,
        references=find_references(references, methods),
        margin=margin,
        share=share,
        clusters=None if clusters is None else number_clusters(clusters, len(first.ids)),
        test=_find_test(test),
        level=level,
        draws=draws,
        seed=seed if isinstance(seed, Seed) else Seed(seed),
    )
    names = list(table[methods[0]])
    found = {name: _compare(name, {method: table[method][name] for method in methods}, paired_scores) for name in names}
    across = [_across_methods(found, paired_scores.ranked), _across_rows(found, paired_scores.ranked)]
    groups = len(first.ids) if paired_scores.clusters is None else int(paired_scores.clusters.max()) + 1
    notes = (*doubts, *(note for scored in found.values() for note in _notes(scored, methods, paired_scores)))
    return MethodComparison(
        methods, first.ids, found, paired_scores.references, groups, level, across[0], across[1], excluded, notes
    )


def _table(scores: Table | Sequence[Score]) -> dict[str, dict[str, Score]]:
    if isinstance(scores, Mapping):
        return {str(method): dict(own) for method, own in scores.items()}
    table: dict[str, dict[str, Score]] = {}
    for score in scores:
        if not isinstance(score, Score):
            raise InputError(f"compare_methods takes scores; got {type(score).__name__}. Make one with assay.evaluate.")
        own = table.setdefault(score.of, {})
        if score.provenance.method in own:
            raise InputError(
                f"{score.provenance.method} of {score.of} is given twice; name the methods: {{name: {{score: Score}}}}."
            )
        own[score.provenance.method] = score
    return table


def _check_table(table: dict[str, dict[str, Score]]) -> dict[str, dict[str, Score]]:
    """The same table; ``InputError`` where a score is missing or scores are not comparable."""
    if len(table) < 2:
        raise InputError(f"a comparison needs at least two methods; got {', '.join(table) or 'none'}.")
    names = list(dict.fromkeys(name for own in table.values() for name in own))
    for method, own in table.items():
        missing = [name for name in names if name not in own]
        if missing or not names:
            raise InputError(f"{method} has no score {', '.join(missing)}; every method needs every score.")
    first = table[next(iter(table))]
    start = first[names[0]]
    for method, own in table.items():
        for name, score in own.items():
            for what, theirs, expected in (
                (
                    "rows",
                    (score.ids, score.provenance.rows_fingerprint),
                    (start.ids, start.provenance.rows_fingerprint),
                ),
                ("model", score.provenance.model_fingerprint, start.provenance.model_fingerprint),
                ("target", score.provenance.target, start.provenance.target),
                ("score", score.provenance.method, first[name].provenance.method),
                ("options", to_jsonable(score.provenance.options), to_jsonable(first[name].provenance.options)),
            ):
                if theirs != expected:
                    raise InputError(
                        f"{name} of {method} has other {what} than that of the first method; scores are compared on "
                        f"the same rows, model, target and options. Score all explanations on one case."
                    )
    return table


def _exclude_unreliable(
    table: dict[str, dict[str, Score]], unreliable: Sequence[str | Reliability]
) -> tuple[dict[str, dict[str, Score]], dict[str, str], tuple[Note, ...]]:
    """The table without unreliable scores, the reasons by score, and notes on excluded and on undecided scores."""
    names = {name: score.provenance.method for name, score in next(iter(table.values())).items()}
    found: dict[str, dict[str, list[str]]] = {"unreliable": {}, "undecided": {}}
    for one in unreliable:
        if isinstance(one, str) and one not in names:
            raise InputError(f"unreliable={one!r} is not a score of this comparison; there are {', '.join(names)}.")
        if not isinstance(one, str | Reliability):
            raise InputError(
                f"unreliable contains {type(one).__name__}; give names of scores, or results of meta_evaluation."
            )
        if isinstance(one, str):
            found["unreliable"].setdefault(one, []).append("named as unreliable")
        elif one.verdict != "reliable":
            for name in [name for name, score in names.items() if score == one.score]:
                found[one.verdict].setdefault(name, []).extend(f"{why} (of {one.of})" for why in one.reasons)
    excluded = {name: "; ".join(why) for name, why in found["unreliable"].items()}
    if len(excluded) == len(names):
        raise InputError(f"no score is left: {', '.join(excluded)} are unreliable. Use other scores.")
    notes = [Note("unreliable", f"{name} is left out: {why}") for name, why in excluded.items()]
    for name, doubts in found["undecided"].items():
        if name not in excluded:
            notes.append(Note("doubtful", f"{name} is not shown to be reliable: {'; '.join(doubts)}"))
    reliable = {
        method: {name: score for name, score in own.items() if name not in excluded} for method, own in table.items()
    }
    return reliable, excluded, tuple(notes)


def find_references(references: Mapping[str, str] | None, methods: tuple[str, ...]) -> dict[str, str]:
    """The method in each reference role: those given, else the methods named as the roles."""
    if references is None:
        return {role: role for role in ROLES if role in methods}
    unknown = [name for name in references.values() if name not in methods]
    if unknown:
        raise InputError(f"reference {unknown[0]!r} is not among the methods {', '.join(methods)}.")
    return dict(references)


def _find_test(test: str) -> Callable[..., Floats]:
    if test not in TESTS:
        raise InputError(f"test={test!r}; there are {', '.join(TESTS)}.")
    return TESTS[test]


def _compare(name: str, scores: Mapping[str, Score], paired_scores: PairedScores) -> Scored:
    better = next(iter(scores.values())).better
    values = np.stack([score.values for score in scores.values()], axis=1)
    values = np.where(np.isfinite(values), values, np.nan)
    known = ~np.isnan(values)
    columns = [(values[mask, i], None if paired_scores.clusters is None else paired_scores.clusters[mask])
               for i, mask in enumerate(known.T)]  # fmt: skip
    spread = [mean_with_standard_error(column, groups) for column, groups in columns]
    mean, error = (np.array([one[i] for one in spread], dtype=np.float64) for i in (0, 1))
    independent, shared = np.array([_monte_carlo(score) for score in scores.values()], dtype=np.float64).T
    sampling = error**2 - independent**2
    normalised = normalise_scores(values, better, paired_scores)
    margin = equivalence_margin(name, values, better, paired_scores)
    return Scored(
        score=name,
        better=better,
        values=values,
        mean=mean,
        intervals=tuple(mean_interval(column, groups, paired_scores.level) for column, groups in columns),
        error=error,
        monte_carlo=independent,
        monte_carlo_upper=shared,
        sampling=np.sqrt(np.where(sampling >= 0, sampling, np.nan)),
        left_out=(~known).sum(axis=0),
        normalised=normalised.score,
        normalised_low=normalised.low,
        normalised_high=normalised.high,
        margin=margin,
        pairs=compare_pairs(name, values, better, margin, paired_scores),
        ranking=rank_methods(values, better, paired_scores),
    )


def _monte_carlo(score: Score) -> tuple[float, float]:
    """Monte Carlo error of the mean if draws are independent between rows, and if all rows share their draws."""
    if score.stderr is None:
        return float("nan"), float("nan")
    known = score.stderr[score.defined & np.isfinite(score.stderr)]
    if not len(known):
        return float("nan"), float("nan")
    return float(np.sqrt(np.mean(known**2) / len(known))), float(known.mean())


def _across_methods(found: Mapping[str, Scored], ranked: list[int]) -> Floats:
    means = [orient(scored.mean[ranked], scored.better) for scored in found.values()]
    return np.array([[_rank_correlation(one, other) for other in means] for one in means], dtype=np.float64)


def _across_rows(found: Mapping[str, Scored], ranked: list[int]) -> Floats:
    tables = [orient(scored.values[:, ranked], scored.better) for scored in found.values()]

    def mean(one: Floats, other: Floats) -> float:
        each = np.array([_rank_correlation(a, b) for a, b in zip(one.T, other.T)])
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

    return np.array([[mean(one, other) for other in tables] for one in tables], dtype=np.float64)


def _rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman correlation over the places where both are defined; NaN below three."""
    both = ~np.isnan(one) & ~np.isnan(other)
    if both.sum() < 3:
        return float("nan")
    return float(pearson(np.asarray(rankdata(one[both])), np.asarray(rankdata(other[both])))[0])


def _notes(scored: Scored, methods: tuple[str, ...], paired_scores: PairedScores) -> list[Note]:
    notes = []
    missing = [f"{method} {int(count)}" for method, count in zip(methods, scored.left_out) if count]
    if missing:
        text = f"{scored.score} is undefined, and left out, on some of {len(scored.values)} rows: {', '.join(missing)}"
        notes.append(Note("left-out", text))
    if paired_scores.share is not None and np.isnan(scored.margin):
        text = f"the best {scored.score} is not better than random, so share= defines no margin"
        notes.append(Note("no-margin", text))
    return notes
