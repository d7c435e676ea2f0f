# SPDX-License-Identifier: Apache-2.0
"""Methods compared by their scores on the same rows; no model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from assay.basics.clustered import mean_error, mean_interval, numbered
from assay.basics.errors import InputError
from assay.basics.paired_tests import sign_flip, signed_rank
from assay.basics.seed import Seed
from assay.basics.stats import pearson
from assay.basics.types import Floats
from assay.engine.comparison.normalised_scores import climbed, margin_of, oriented
from assay.engine.comparison.paired_scores import PairedScores
from assay.engine.comparison.pairwise_tests import pairs_of, ranking_of
from assay.nouns.comparisons.method_comparison import MethodComparison, Scored
from assay.nouns.comparisons.score_reliability import Reliability
from assay.nouns.records.store import to_jsonable
from assay.nouns.results.result import Note, Score

ROLES = ("random", "constant", "edges", "input_itself", "oracle")
"""Methods of these names are references, unless others are named."""

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
    """How explanation methods compare by one or several scores on the same rows, and how firmly.

    ``scores`` is a list (method and score are then the explanation's and the score's own names), or {method: {score:
    Score}}. All must be of the same rows, model and target, and each score made with the same options. Means come with
    intervals that hold for skewed scores, too. Pairs are judged row by row: by ``test`` for a difference (signs changed
    at random, or Wilcoxon's signed ranks) and by two one-sided t-tests for a difference below the margin, all adjusted
    together by Holm's procedure with Shaffer's limit (of a pair's two hypotheses one at most is true). ``margin`` is in
    units of the score, for all or {score: margin}; or ``share`` takes it as a share of the way from random to the
    oracle (to the best method where there is no oracle), which is then treated as known. Without either nothing is
    called same.

    ``references`` names who plays "random", "oracle" and others, by default the methods of those names; they are
    compared with the methods, but neither ranked nor compared with each other. ``clusters`` (row,) names rows that
    belong together: they are drawn, and change sign, as one. Rows with NaN are left out pair by pair, and counted.

    ``unreliable`` holds scores that are not to be read, by name, or what ``meta_evaluation`` said of scores: those it
    found unreliable are left out, with its reasons in a note and in ``found.unreliable``; one it left undecided stays,
    with a note.

    >>> from assay import evaluate, examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> found = compare_methods([evaluate.deletion(m(case), case) for m in (explain.occlusion, explain.random)])
    >>> found.methods, found.verdict("occlusion", "random")
    (('occlusion', 'random'), 'undecided')
    """
    table, gone, doubts = _believed(_checked(_table(scores)), unreliable)
    methods = tuple(table)
    first = next(iter(next(iter(table.values())).values()))
    paired_scores = PairedScores(
        methods=methods,
        references=references_of(references, methods),
        margin=margin,
        share=share,
        clusters=None if clusters is None else numbered(clusters, len(first.ids)),
        test=_chosen(test),
        level=level,
        draws=draws,
        seed=seed if isinstance(seed, Seed) else Seed(seed),
    )
    names = list(table[methods[0]])
    found = {name: _scored(name, {method: table[method][name] for method in methods}, paired_scores) for name in names}
    across = [_across_methods(found, paired_scores.ranked), _across_rows(found, paired_scores.ranked)]
    groups = len(first.ids) if paired_scores.clusters is None else int(paired_scores.clusters.max()) + 1
    notes = (*doubts, *(note for scored in found.values() for note in _notes(scored, methods, paired_scores)))
    return MethodComparison(
        methods, first.ids, found, paired_scores.references, groups, level, across[0], across[1], gone, notes
    )


def _table(scores: Table | Sequence[Score]) -> dict[str, dict[str, Score]]:
    if isinstance(scores, Mapping):
        return {str(method): dict(held) for method, held in scores.items()}
    table: dict[str, dict[str, Score]] = {}
    for score in scores:
        if not isinstance(score, Score):
            raise InputError(f"compare_methods takes scores; got {type(score).__name__}. Make one with assay.evaluate.")
        held = table.setdefault(score.of, {})
        if score.provenance.method in held:
            raise InputError(
                f"{score.provenance.method} of {score.of} is there twice; name the methods: {{name: {{score: Score}}}}."
            )
        held[score.provenance.method] = score
    return table


def _checked(table: dict[str, dict[str, Score]]) -> dict[str, dict[str, Score]]:
    """The same table, or ``InputError`` for a gap or for scores that cannot be compared."""
    if len(table) < 2:
        raise InputError(f"a comparison needs at least two methods; got {', '.join(table) or 'none'}.")
    wanted = list(dict.fromkeys(name for held in table.values() for name in held))
    for method, held in table.items():
        missing = [name for name in wanted if name not in held]
        if missing or not wanted:
            raise InputError(f"{method} has no score {', '.join(missing)}; every method needs every score.")
    first = table[next(iter(table))]
    start = first[wanted[0]]
    for method, held in table.items():
        for name, score in held.items():
            for what, theirs, ours in (
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
                if theirs != ours:
                    raise InputError(
                        f"{name} of {method} is of other {what} than the first method's; scores are compared on the "
                        f"same rows, model, target and options. Score all explanations on one case."
                    )
    return table


def _believed(
    table: dict[str, dict[str, Score]], unreliable: Sequence[str | Reliability]
) -> tuple[dict[str, dict[str, Score]], dict[str, str], tuple[Note, ...]]:
    """The table without scores that are not to be read, why each is gone, and notes on those and on doubtful ones."""
    names = {name: score.provenance.method for name, score in next(iter(table.values())).items()}
    found: dict[str, dict[str, list[str]]] = {"unreliable": {}, "undecided": {}}
    for one in unreliable:
        if isinstance(one, str) and one not in names:
            raise InputError(f"unreliable={one!r} is no score here; there are {', '.join(names)}.")
        if not isinstance(one, str | Reliability):
            raise InputError(
                f"unreliable holds {type(one).__name__}; give scores' names, or what meta_evaluation gave."
            )
        if isinstance(one, str):
            found["unreliable"].setdefault(one, []).append("named as unreliable")
        elif one.verdict != "reliable":
            for name in [name for name, score in names.items() if score == one.score]:
                found[one.verdict].setdefault(name, []).extend(f"{why} (of {one.of})" for why in one.reasons)
    gone = {name: "; ".join(why) for name, why in found["unreliable"].items()}
    if len(gone) == len(names):
        raise InputError(f"no score is left: {', '.join(gone)} cannot be read here. Score the explanations otherwise.")
    notes = [Note("unreliable", f"{name} is left out: {why}") for name, why in gone.items()]
    for name, doubts in found["undecided"].items():
        if name not in gone:
            notes.append(Note("doubtful", f"{name} is not shown to be reliable: {'; '.join(doubts)}"))
    kept = {method: {name: score for name, score in held.items() if name not in gone} for method, held in table.items()}
    return kept, gone, tuple(notes)


def references_of(references: Mapping[str, str] | None, methods: tuple[str, ...]) -> dict[str, str]:
    """Which method plays which reference: those told, else those of the names of references."""
    if references is None:
        return {role: role for role in ROLES if role in methods}
    strange = [name for name in references.values() if name not in methods]
    if strange:
        raise InputError(f"reference {strange[0]!r} is not among the methods {', '.join(methods)}.")
    return dict(references)


def _chosen(test: str) -> Callable[..., Floats]:
    if test not in TESTS:
        raise InputError(f"test={test!r}; there are {', '.join(TESTS)}.")
    return TESTS[test]


def _scored(name: str, held: Mapping[str, Score], paired_scores: PairedScores) -> Scored:
    better = next(iter(held.values())).better
    values = np.stack([score.values for score in held.values()], axis=1)
    values = np.where(np.isfinite(values), values, np.nan)
    known = ~np.isnan(values)
    columns = [(values[mask, i], None if paired_scores.clusters is None else paired_scores.clusters[mask])
               for i, mask in enumerate(known.T)]  # fmt: skip
    spread = [mean_error(column, groups) for column, groups in columns]
    mean, error = (np.array([one[place] for one in spread], dtype=np.float64) for place in (0, 1))
    apart, most = np.array([_monte_carlo(score) for score in held.values()], dtype=np.float64).T
    left = error**2 - apart**2
    normalised = climbed(values, better, paired_scores)
    margin = margin_of(name, values, better, paired_scores)
    return Scored(
        score=name,
        better=better,
        values=values,
        mean=mean,
        intervals=tuple(mean_interval(column, groups, paired_scores.level) for column, groups in columns),
        error=error,
        monte_carlo=apart,
        monte_carlo_most=most,
        sampling=np.sqrt(np.where(left >= 0, left, np.nan)),
        left_out=(~known).sum(axis=0),
        normalised=normalised.share,
        normalised_low=normalised.low,
        normalised_high=normalised.high,
        margin=margin,
        pairs=pairs_of(name, values, better, margin, paired_scores),
        ranking=ranking_of(values, better, paired_scores),
    )


def _monte_carlo(score: Score) -> tuple[float, float]:
    """The draws' error of the mean if rows drew apart, and if they shared all draws."""
    if score.stderr is None:
        return float("nan"), float("nan")
    known = score.stderr[score.defined & np.isfinite(score.stderr)]
    if not len(known):
        return float("nan"), float("nan")
    return float(np.sqrt(np.mean(known**2) / len(known))), float(known.mean())


def _across_methods(found: Mapping[str, Scored], ranked: list[int]) -> Floats:
    means = [oriented(scored.mean[ranked], scored.better) for scored in found.values()]
    return np.array([[_alike(one, other) for other in means] for one in means], dtype=np.float64)


def _across_rows(found: Mapping[str, Scored], ranked: list[int]) -> Floats:
    tables = [oriented(scored.values[:, ranked], scored.better) for scored in found.values()]

    def mean(one: Floats, other: Floats) -> float:
        each = np.array([_alike(a, b) for a, b in zip(one.T, other.T)])
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

    return np.array([[mean(one, other) for other in tables] for one in tables], dtype=np.float64)


def _alike(one: Floats, other: Floats) -> float:
    """Spearman correlation over what both know; NaN below three."""
    both = ~np.isnan(one) & ~np.isnan(other)
    if both.sum() < 3:
        return float("nan")
    return float(pearson(np.asarray(rankdata(one[both])), np.asarray(rankdata(other[both])))[0])


def _notes(scored: Scored, methods: tuple[str, ...], paired_scores: PairedScores) -> list[Note]:
    notes = []
    gone = [f"{method} {int(count)}" for method, count in zip(methods, scored.left_out) if count]
    if gone:
        text = f"{scored.score} is undefined on rows left out of {len(scored.values)}: {', '.join(gone)}"
        notes.append(Note("left-out", text))
    if paired_scores.share is not None and np.isnan(scored.margin):
        notes.append(Note("no-margin", f"{scored.score} does not rise from random, so no share of it is a margin"))
    return notes
