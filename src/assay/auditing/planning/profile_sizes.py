# SPDX-License-Identifier: Apache-2.0
"""How a profile changes with the size of what is audited: small images, wide tables and long texts, many classes."""

from __future__ import annotations

import math
from dataclasses import replace

from assay.auditing.planning.profiles import Options, Profile

SMALL, TIMES = 3 * 64 * 64, 8
"""Images of at most so many numbers are explained on so many times as many rows: a pass is cheap, and about a hundred
rows are needed to distinguish a shuffled explanation from one with a normalised score of 0.2."""


def enlarge_for_small_images(profile: Profile, shape: tuple[int, ...]) -> Profile:
    """The profile for images of this shape."""
    return replace(profile, rows=profile.rows * TIMES) if math.prod(shape) <= SMALL else profile


WIDE = 50
"""A table of at most so many columns, or texts of so many words, are explained with the profile as it is."""


def reduce_for_wide_table(profile: Profile, features: int, kind: str = "table") -> tuple[Profile, tuple[str, ...]]:
    """The profile for a table of so many features, or texts of up to so many words, and what was changed.

    Coalition methods need at least four evaluations a feature; curves get at most ``WIDE`` steps. So that the cost of a
    wide table grows with the width and not with its square, fewer rows are explained, against a smaller background.
    """
    if features <= WIDE:
        return profile, ()
    least = 4 * features + 2
    rows, background = max(12, profile.rows * WIDE // features), max(4, profile.background * WIDE // features)
    what, against = f"{features:,} columns", f" against {background} background rows"
    if kind == "text":
        what, against = f"Texts of up to {features:,} words", ""
    text = (
        f"{what}: {rows} rows are explained{against}, with at least {least:,} coalitions a row, and curves have {WIDE} "
        f"steps."
    )
    if "interactions" in profile.views:
        text += " Interactions of pairs, whose number grows with the square, are left out."
    return replace(
        profile,
        rows=rows,
        background=background,
        explainers={name: _at_least(given, "budget", least) for name, given in profile.explainers.items()},
        views={
            name: _at_least(given, "budget", least) if name == "local_slopes" else given
            for name, given in profile.views.items()
            if name != "interactions"
        },
        scores={
            name: {**given, "steps": WIDE} if name in ("deletion", "insertion") else given
            for name, given in profile.scores.items()
        },
        diagnoses={
            name: {**given, "rows": max(4 if name == "disparity" else 60, given["rows"] * WIDE // features)}
            if "rows" in given
            else given
            for name, given in profile.diagnoses.items()
        },
    ), (text,)


MANY_CLASSES = 500
"""Models of tables with at most so many classes are audited with the profile as it is."""


def reduce_for_many_classes(profile: Profile, classes: int) -> tuple[Profile, tuple[str, ...]]:
    """The profile for a model of tables with so many classes, and what was changed.

    Every evaluation computes all classes, so that its cost grows with their number. Rows explained and background
    shrink by the root of ``MANY_CLASSES`` / classes each, so that their product times the classes stays the same.
    """
    if classes <= MANY_CLASSES:
        return profile, ()
    share = math.sqrt(MANY_CLASSES / classes)
    rows, background = max(12, round(profile.rows * share)), max(4, round(profile.background * share))
    text = f"{classes:,} classes: {rows} rows are explained against {background} background rows."
    return replace(
        profile,
        rows=rows,
        background=background,
        diagnoses={
            name: {**given, "rows": max(12, round(given["rows"] * share))} if "rows" in given else given
            for name, given in profile.diagnoses.items()
        },
    ), (text,)


def _at_least(options: Options, name: str, least: int) -> Options:
    return {**options, name: max(options[name], least)} if name in options else options
