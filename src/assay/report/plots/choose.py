# SPDX-License-Identifier: Apache-2.0
"""The table of kinds of plots: what each needs, and which one a result gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.nouns.comparisons.mus_experiment import MusExperiment
from assay.nouns.comparisons.shift_experiment import ShiftExperiment
from assay.nouns.records.record import Record
from assay.nouns.results.global_explanation import GlobalExplanation
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Score
from assay.report.drawing.formatting import join_names
from assay.report.drawing.image_maps import has_images
from assay.report.drawing.words import has_words
from assay.report.plots.kinds.attacked import draw_attacked_rows
from assay.report.plots.kinds.bar import draw_bars, draw_global_bars, draw_method_bars
from assay.report.plots.kinds.beeswarm import draw_beeswarm, draw_score_rows
from assay.report.plots.kinds.calibration import audited_curves, draw_calibration, is_reliability_curve
from assay.report.plots.kinds.coloured_text import draw_coloured_text
from assay.report.plots.kinds.critical_difference import draw_critical_difference, ranked_scores
from assay.report.plots.kinds.dependence import draw_dependence, has_curves
from assay.report.plots.kinds.heat_map import draw_heat_maps
from assay.report.plots.kinds.interaction_matrix import draw_matrix_of_pairs, pair_matrix
from assay.report.plots.kinds.radius_curve import draw_radius_curve
from assay.report.plots.kinds.removal_curve import draw_removal_curves, has_removal_curve
from assay.report.plots.kinds.shift_settings import draw_shift_settings
from assay.report.plots.kinds.smoothing_curves import draw_accuracy_curves, draw_certified_shares
from assay.report.plots.kinds.waterfall import draw_waterfall
from assay.report.plots.plot import Plot
from assay.report.plots.reading import numeric_cells


@dataclass(frozen=True)
class Kind:
    """A kind of plot of one type of result: what it ``needs`` as text, and whether a result has that."""

    name: str
    of: type
    needs: str
    possible: Callable[[Any], bool]
    draw: Callable[..., Plot]


def _always(thing: Any) -> bool:
    return True


def _is_table(explanation: Explanation) -> bool:
    return len(explanation.ids) > 1 and not explanation.features.per_row and not has_images(explanation)


def _has_base(explanation: Explanation) -> bool:
    return bool(np.isfinite(explanation.base).all())


def _has_numbers(explanation: Explanation) -> bool:
    cells = numeric_cells(explanation)
    return has_curves(explanation) or (
        cells is not None and bool(np.isfinite(cells).any()) and len(explanation.ids) > 1
    )


def _has_subjects(experiment: MusExperiment) -> bool:
    return bool(experiment.subjects)


KINDS = (
    Kind("dependence", Explanation, "curves, or numeric columns and rows", _has_numbers, draw_dependence),
    Kind(
        "interaction matrix",
        Explanation,
        "interactions of pairs",
        lambda e: pair_matrix(e) is not None,
        draw_matrix_of_pairs,
    ),
    Kind("heat map", Explanation, "images (channel, height, width)", has_images, draw_heat_maps),
    Kind("coloured text", Explanation, "texts", has_words, draw_coloured_text),
    Kind("waterfall", Explanation, "a base value", _has_base, draw_waterfall),
    Kind("beeswarm", Explanation, "several rows with the same features", _is_table, draw_beeswarm),
    Kind("bar", Explanation, "attributions", _always, draw_bars),
    Kind("bar", GlobalExplanation, "means of attributions", _always, draw_global_bars),
    Kind("removal curve", Score, "the curve of the score", has_removal_curve, draw_removal_curves),
    Kind("beeswarm", Score, "scores of rows", _always, draw_score_rows),
    Kind(
        "critical difference",
        MethodComparison,
        "a score that ranks",
        lambda c: bool(ranked_scores(c)),
        draw_critical_difference,
    ),
    Kind("bar", MethodComparison, "scores of methods", _always, draw_method_bars),
    Kind("shift settings", ShiftExperiment, "settings of a study", _always, draw_shift_settings),
    Kind("attacked rows", AttackResult, "an attack", _always, draw_attacked_rows),
    Kind("radius curve", Certificate, "certified bounds", _always, draw_radius_curve),
    Kind("radius curve", MusExperiment, "a subject", _has_subjects, draw_certified_shares),
    Kind("accuracy curve", MusExperiment, "a subject", _has_subjects, draw_accuracy_curves),
)
"""All kinds but calibration, which takes arrays. For each type the usual kind comes first, except for explanations."""

NAMES = tuple(dict.fromkeys([*(kind.name for kind in KINDS), "calibration"]))
"""Names of all kinds."""


def plot(thing: Any, kind: str = "", **options: Any) -> Plot:
    """A picture of a result: as SVG in a notebook, by ``save`` in a file, by ``axes`` with matplotlib.

    ``thing`` is an explanation, a global explanation, a score, a comparison of methods, a certificate, the record of an
    audit, or a mapping with the arrays of a reliability curve. ``kind`` is by default the usual one for the result.
    ``options`` are those of the kind. ``InputError`` for a kind that is unknown, or that this result cannot give, with
    the kinds that it can.
    """
    if is_reliability_curve(thing):
        _check_name(kind, ["calibration"], "a reliability curve")
        return _call(draw_calibration, "calibration", thing, options)
    if isinstance(thing, Record):
        return _plot_record(thing, kind, **options)
    found = [k for k in KINDS if isinstance(thing, k.of)]
    if not found:
        kinds = join_names(sorted({k.of.__name__ for k in KINDS}), "or")
        raise InputError(
            f"plot takes {kinds}, a Record, or the arrays of a reliability curve; got {type(thing).__name__}."
        )
    possible = [k for k in found if k.possible(thing)]
    _check_name(kind, [k.name for k in possible], f"this {type(thing).__name__}", found)
    name = _plain(kind) or _usual(thing, possible)
    return _call(next(k for k in possible if k.name == name).draw, name, thing, options)


def _plain(kind: str) -> str:
    return kind.replace("_", " ").replace("-", " ").strip().lower()


def _check_name(kind: str, possible: Sequence[str], what: str, known: Sequence[Kind] = ()) -> None:
    """``InputError`` for a kind that is unknown or impossible."""
    name = _plain(kind)
    if not name or name in possible:
        return
    can = f"{what} can be plotted as {join_names(list(possible), 'or')}"
    if name not in NAMES:
        raise InputError(f"kind={kind!r} is unknown; kinds are {join_names(NAMES)}; {can}.")
    needs = next((k.needs for k in known if k.name == name), "another type of result")
    raise InputError(f"kind={kind!r} needs {needs}; {can}.")


def _usual(thing: Any, possible: Sequence[Kind]) -> str:
    """The kind that a result gets without asking; of a table of one row the waterfall, of several the beeswarm."""
    names = [k.name for k in possible]
    if not isinstance(thing, Explanation):
        return names[0]
    fitting = {
        "dependence": has_curves(thing),
        "waterfall": len(thing.ids) == 1,
    }
    return next(name for name in names if fitting.get(name, True))


def _call(draw: Callable[..., Plot], name: str, thing: Any, options: dict[str, Any]) -> Plot:
    known = [p for p in inspect.signature(draw).parameters.values() if p.kind is p.KEYWORD_ONLY]
    unknown = sorted(set(options) - {p.name for p in known})
    if unknown:
        have = f"has the options {join_names([p.name for p in known])}" if known else "has no options"
        raise InputError(f"{join_names(unknown)}: a plot of kind {name!r} {have}.")
    return draw(thing, **options)


def _plot_record(record: Record, kind: str = "", *, explanation: str = "", score: str = "", **options: Any) -> Plot:
    """A picture of an audit: of its comparison, curves and certificates, or of one explanation by name."""
    by_score = {s for _, s in record.scores} | set(record.comparison.scores if record.comparison is not None else ())
    for name, asked, names in (("explanation", explanation, record.explanations), ("score", score, by_score)):
        if asked and asked not in names:
            raise InputError(f"{name}={asked!r}; the audit has {join_names(sorted(names)) or 'none'}.")
    views = list(_views(record, explanation, score))
    possible = [
        (k.name, thing, k.draw) for thing in views for k in KINDS if isinstance(thing, k.of) and k.possible(thing)
    ]
    chosen = _curve_score(record, score)
    curves = {n: s for (n, method), s in record.scores.items() if method == chosen and explanation in ("", n)}
    possible += [("removal curve", curves, draw_removal_curves)] if curves else []
    possible += [("calibration", curve, draw_calibration) for curve in audited_curves(record)]
    if not possible:
        raise InputError("this audit has no explanations, scores or certificates to plot.")
    _check_name(kind, list(dict.fromkeys(name for name, _, _ in possible)), "this audit", KINDS)
    usual = possible[0][0]
    if views:
        usual = _usual(views[0], [k for k in KINDS if isinstance(views[0], k.of) and k.possible(views[0])])
    name, thing, draw = next(item for item in possible if item[0] == (_plain(kind) or usual))
    if isinstance(thing, MethodComparison) and score:
        options["score"] = score
    return _call(draw, name, thing, options)


def _views(record: Record, explanation: str, score: str) -> Iterator[Any]:
    """What can be plotted, the usual first: the explanation asked for, else the comparison, else an explanation."""
    chosen = explanation or _best_explanation(record)
    if explanation:
        yield record.explanations[explanation]
    if record.comparison is not None and (not score or score in record.comparison.scores):
        yield record.comparison
    if chosen and not explanation:
        yield record.explanations[chosen]
    yield from record.certificates.values()


def _best_explanation(record: Record) -> str:
    """The first explanation that may be used by its verdict, else the first that is no reference."""
    names = [name for name in record.explanations if name not in record.references]
    passed = {f.subject for f in record.findings if f.code.startswith("TRU") and f.verdict == "pass"}
    return next((name for name in names if name in passed), next(iter(names), ""))


def _curve_score(record: Record, score: str) -> str:
    """The score whose curves are drawn: the one asked for, else deletion, else the first with curves."""
    curved = [name for (_, name), s in record.scores.items() if has_removal_curve(s)]
    return next((name for name in ([score] if score else ["deletion", *curved]) if name in curved), "")
