# SPDX-License-Identifier: Apache-2.0
"""What to know when reading the experiments on multiplicative smoothing: warnings, and differences from the paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from assay.experiments.mus_subject import MusSettings
from assay.nouns.comparisons.mus_experiment import AccuracyLine, StabilityLine, random_is_best

VISIBLE = 4
"""Features that a smoothed model sees on average, below which a note says so."""


def warnings_of(
    lines: Sequence[StabilityLine], rates: Sequence[AccuracyLine], settings: MusSettings, features: float
) -> Iterator[str]:
    """What makes certificates large for another reason than the explanation, and where ties alone reach a radius."""
    for smoothing in settings.smoothing:
        shown = f"λ = {Fraction(smoothing).limit_denominator(1000)}"
        some = [line for line in lines if line.smoothing == smoothing]
        if smoothing < 1 and smoothing * features < VISIBLE:
            yield f"{shown}: the smoothed model sees {smoothing * features:.3g} features at a time on average"
        if random_is_best(some):
            yield f"{shown}: random features are certified at radius 1 on as many rows as those of every explanation"
        ties = max((line.certified(1, ties=True) for line in some if line.certified(1) == 0), default=0)
        if ties:
            yield (
                f"{shown}: radius 1 is reached on up to {ties} of {some[0].rows} rows, but only where the inequality "
                f"holds with equality, so that a tie is possible; strictly on none"
            )
    for rate in rates:
        if rate.smoothing < 1 and rate.largest >= 0.9:
            shown = f"λ = {Fraction(rate.smoothing).limit_denominator(1000)}"
            yield f"{shown}: {rate.largest:.0%} of the rows have one class; a constant model is certified everywhere"


def differences_of(settings: MusSettings, rows: int) -> tuple[str, ...]:
    """Where every run of this experiment differs from the published one."""
    return (
        f"{rows} rows are explained (2,000 published, 250 for the search), {settings.q} masks (64; 16 for the search)",
        f"Shapley values and LIME over {settings.budget} coalitions of this package's estimators; published are shap's "
        f"GradientExplainer over the mask and LIME, with 48 samples each",
        "a radius is certified where the inequality is strict; the published code counts equality, where a tie is "
        "possible",
        "radii are whole features, not shares of them",
        f"the search evaluates up to {settings.search} sets a row, random and greedy; published are random ones"
        if settings.search
        else "no search was made",
    )
