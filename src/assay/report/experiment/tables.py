# SPDX-License-Identifier: Apache-2.0
"""The two tables of the experiments on multiplicative smoothing, as text cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from assay.basics.stats import Interval
from assay.nouns.comparisons.mus_experiment import MusExperiment, StabilityLine
from assay.report.drawing.formatting import method_name
from assay.report.formats.markdown import escape_markdown

STABILITY_HEADS = (
    "λ", "explanation", "consistent", "and inc. r ≥ 1", "and inc. r ≥ 2", "and dec. r ≥ 1", "inc. r ≥ 1, ties counted",
    "unchanged at r = 1 by the search", "features that the search added",
)  # fmt: skip
"""Columns of ``stability_rows``: shares of the rows, and the mean number of features added where the class changed."""

ACCURACY_HEADS = ("λ", "accuracy by votes", "accuracy by probabilities", "agreement", "entropy", "largest class")
"""Columns of ``accuracy_rows``; the entropy of the classes of the votes is in nats."""


def stability_rows(experiment: MusExperiment, subject: str) -> list[tuple[str, ...]]:
    """One line for each λ and explanation of a subject."""
    return [_stability_cells(line) for line in experiment.stability_of(subject)]


def certified_matrix(
    experiment: MusExperiment, subject: str, radius: int = 1
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The headings and lines of a table of λ against explanations: the share certified to stay at this radius."""
    lines = experiment.stability_of(subject)
    names = tuple(dict.fromkeys(line.explanation for line in lines))
    shares = {(line.smoothing, line.explanation): f"{line.share(radius):.2f}" for line in lines}
    rows = [
        (format_smoothing(smoothing), *(shares.get((smoothing, name), "–") for name in names))
        for smoothing in dict.fromkeys(line.smoothing for line in lines)
    ]
    return ("λ", *map(explanation_name, names)), rows


def accuracy_rows(experiment: MusExperiment, subject: str) -> list[tuple[str, ...]]:
    """One line for each λ of a subject."""
    return [
        (
            format_smoothing(line.smoothing),
            _rate(line.accuracy("votes"), line.interval("votes")),
            _rate(line.accuracy("probabilities"), line.interval("probabilities")),
            f"{line.agreement:.2f}",
            f"{line.entropy:.2f}",
            f"{line.largest:.2f}",
        )
        for line in experiment.accuracy_of(subject)
    ]


def format_smoothing(smoothing: float) -> str:
    """λ as a fraction."""
    return str(Fraction(smoothing).limit_denominator(1000))


def explanation_name(name: str) -> str:
    """The name of an explanation; random features are no method."""
    return "random" if name == "random" else method_name(name)


def _stability_cells(line: StabilityLine) -> tuple[str, ...]:
    unchanged, added = line.unchanged(1), line.mean_attacked
    return (
        format_smoothing(line.smoothing),
        explanation_name(line.explanation),
        f"{line.share(0):.2f}",
        _rate(line.share(1), line.interval(1)),
        f"{line.share(2):.2f}",
        f"{line.share(1, 'decremental'):.2f}",
        f"{line.share(1, ties=True):.2f}",
        _number(unchanged, 2),
        _number(added, 1),
    )


def _rate(share: float, limits: Interval) -> str:
    return "–" if math.isnan(share) else f"{share:.2f} [{limits.low:.2f}, {limits.high:.2f}]"


def _number(value: float, decimals: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def to_markdown(experiment: MusExperiment) -> str:
    """Every subject with both tables, its notes and its differences from the published experiment; what was skipped."""
    blocks = ["# Certified stability of explanations by multiplicative smoothing"]
    for one in experiment.subjects:
        blocks += [f"## {_plain(one.name)}", f"{_plain(one.text)}. {one.rows} rows explained, {one.q} masks."]
        blocks.append(markdown_table(ACCURACY_HEADS, accuracy_rows(experiment, one.name)))
        blocks.append(markdown_table(STABILITY_HEADS, stability_rows(experiment, one.name)))
        blocks += [_items(one.notes)] if one.notes else []
        blocks += ["Differences from the published experiment:", _items(one.differences)]
    if experiment.skipped:
        blocks += ["## Skipped", _items([f"{one.name}: {one.reason}" for one in experiment.skipped])]
    return "\n\n".join(blocks) + "\n"


def _items(texts: Sequence[str]) -> str:
    return "\n".join(f"- {_plain(text)}" for text in texts)


def _plain(text: str) -> str:
    return escape_markdown(text, 1000)
