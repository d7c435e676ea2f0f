# SPDX-License-Identifier: Apache-2.0
"""How deep an audit goes: what is explained, with what budgets. Everything cut is told in the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from assay.basics.errors import InputError
from assay.nouns.catalogue import Verb, find


@dataclass(frozen=True)
class Profile:
    """Rows explained, size of the background, and options for the methods of one kind of data.

    ``group_rows`` are drawn of each group to see what drives a gap, ``fault_rows`` to see what the model leans on.
    ``randomised``, ``moved`` and ``attacked`` name the explainers cheap enough for the tests that explain again.
    ``budget`` is that of Shapley values of groups and of repaired models. ``reliability`` are the options with which
    the scores themselves are tested; none, where they are not. ``settings_grid`` says whether the explanations are
    ranked under other settings of the score, too.
    """

    rows: int
    background: int
    group_rows: int
    fault_rows: int
    explainers: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, Mapping[str, Any]]
    attacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    certificates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    randomised: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    attacked: tuple[str, ...] = ()
    budget: int = 512
    reliability: Mapping[str, Any] = field(default_factory=dict)
    settings_grid: bool = False


_TABLE_SCORES: dict[str, dict[str, Any]] = {
    "completeness": {},
    "deletion": {},
    "insertion": {},
    "comprehensiveness": {},
    "sufficiency": {},
    "faithfulness_correlation": {"draws": 64},
    "infidelity": {"draws": 64},
    "parameter_randomisation": {},
    "runner_up_logit": {},
    "max_sensitivity": {"draws": 4},
    "sparseness": {},
}
_GRADIENTS = ("saliency", "input_x_gradient", "integrated_gradients", "expected_gradients", "smooth_grad")


RELIABILITY = {"draws": 2, "randoms": 4}


def _table(rows: int, background: int, budget: int, group_rows: int, fault_rows: int, tested: bool = True) -> Profile:
    return Profile(
        rows=rows,
        background=background,
        group_rows=group_rows,
        fault_rows=fault_rows,
        explainers={
            "shapley": {"budget": budget},
            "tree_shapley": {"budget": budget},
            "permutation_shapley": {"budget": budget},
            "occlusion": {},
            "lime": {"budget": budget},
            "saliency": {"signed": True},
            "input_x_gradient": {},
            "integrated_gradients": {"steps": 32},
            "expected_gradients": {"steps": 4},
            "smooth_grad": {"draws": 16},
        },
        scores=_TABLE_SCORES | ({"familiarity": {"steps": 5}} if tested else {}),
        attacks={"top_k": {"steps": 20}},
        certificates={"soft_stability": {"draws": 100, "radius": 2}},
        randomised=_GRADIENTS,
        moved=_GRADIENTS,
        attacked=("saliency", "integrated_gradients"),
        budget=budget,
        reliability=RELIABILITY if tested else {},
    )


def _image(steps: int, budget: int, curve: int, draws: int, rows: int = 16, tested: bool = True) -> Profile:
    return Profile(
        rows=rows,
        background=2,
        group_rows=0,
        fault_rows=0,
        explainers={
            "saliency": {},
            "input_x_gradient": {},
            "integrated_gradients": {"steps": steps},
            "smooth_grad": {"draws": steps // 2},
            "occlusion": {},
            "rise": {"budget": budget},
            "lime": {"budget": budget},
            "shapley": {"budget": budget},
        },
        scores={
            "completeness": {},
            "deletion": {"steps": curve},
            "insertion": {"steps": curve},
            "faithfulness_correlation": {"draws": draws},
            "parameter_randomisation": {},
            "runner_up_logit": {},
            "max_sensitivity": {"draws": 2},
            "sparseness": {},
        },
        attacks={"top_k": {"steps": (steps + 2) // 2}},
        certificates={"mus": {"q": 16, "smoothing": 0.25}, "soft_stability": {"draws": 60, "radius": 4}},
        randomised=("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad"),
        moved=("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad"),
        attacked=("saliency",),
        budget=budget,
        reliability=RELIABILITY if tested else {},
    )


PROFILES: dict[tuple[str, str], Profile] = {
    ("table", "quick"): _table(rows=60, background=20, budget=256, group_rows=50, fault_rows=200, tested=False),
    ("table", "standard"): _table(rows=100, background=50, budget=512, group_rows=100, fault_rows=400),
    ("table", "deep"): replace(
        _table(rows=400, background=200, budget=4096, group_rows=500, fault_rows=4000), settings_grid=True
    ),
    ("image", "quick"): _image(steps=8, budget=128, curve=10, draws=40, tested=False),
    ("image", "standard"): _image(steps=16, budget=256, curve=14, draws=80),
    ("image", "deep"): replace(_image(steps=64, budget=2048, curve=49, draws=400, rows=64), settings_grid=True),
}


SMALL, TIMES = 3 * 64 * 64, 8
"""Numbers of a picture up to which so many times as many rows are explained: a pass costs little, and verdicts need
about a hundred rows to tell a shuffled explanation from one that is worth a fifth of the best."""


def enlarged(profile: Profile, shape: tuple[int, ...]) -> Profile:
    """The profile for pictures of this shape."""
    return replace(profile, rows=profile.rows * TIMES) if math.prod(shape) <= SMALL else profile


WIDE = 50
"""Columns up to which a table is explained with the profile as it is."""


def widened(profile: Profile, parts: int) -> tuple[Profile, tuple[str, ...]]:
    """The profile for a table of so many columns, and what was changed.

    Coalition methods need at least four evaluations a column; curves get at most ``WIDE`` steps. So that a wide table
    costs no more than the square of its width would, fewer rows are explained, against a smaller background.
    """
    if parts <= WIDE:
        return profile, ()
    least = 4 * parts + 2
    rows, background = max(12, profile.rows * WIDE // parts), max(4, profile.background * WIDE // parts)
    explainers = {
        name: {**given, "budget": max(given["budget"], least)} if "budget" in given else given
        for name, given in profile.explainers.items()
    }
    scores = {
        name: {**given, "steps": WIDE} if name in ("deletion", "insertion") else given
        for name, given in profile.scores.items()
    }
    told = (
        f"{parts:,} columns: {rows} rows are explained against {background} background rows, with at least {least:,} "
        f"coalitions a row, and curves take {WIDE} steps."
    )
    wide = replace(
        profile,
        rows=rows,
        background=background,
        group_rows=max(4, profile.group_rows * WIDE // parts),
        fault_rows=max(60, profile.fault_rows * WIDE // parts),
        explainers=explainers,
        scores=scores,
    )
    return wide, (told,)


Asked = Sequence[str] | Mapping[str, Mapping[str, Any]]
"""Methods by name, or with their options."""


def chosen(profile: Profile, methods: Asked, scores: Asked, settings_grid: bool | None = None) -> Profile:
    """The profile with other explanations or scores than its own, where any are named, and with or without the grid.

    A name without options keeps those of the profile. Scores that are named are made of every explanation, also where
    that means explaining again by removal; the plan tells what it costs.
    """
    explainers = _named("explain", methods, profile.explainers) if methods else profile.explainers
    asked = _named("evaluate", scores, profile.scores) if scores else profile.scores
    cheap = tuple(name for name in explainers if "gradient" in find("explain", name).needs)
    again = tuple(explainers) if scores else cheap
    return replace(
        profile,
        explainers=explainers,
        scores=asked,
        randomised=again if methods or scores else profile.randomised,
        moved=again if methods or scores else profile.moved,
        attacked=tuple(name for name in profile.attacked if name in explainers),
        settings_grid=profile.settings_grid if settings_grid is None else settings_grid,
    )


def _named(verb: Verb, asked: Asked, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    given = asked if isinstance(asked, Mapping) else {name: {} for name in asked}
    for name, options in given.items():
        strange = set(options) - set(find(verb, name).options)
        if strange:
            raise InputError(
                f"{verb}.{name} has no option {sorted(strange)[0]!r}; there are "
                f"{', '.join(find(verb, name).options) or 'none'}."
            )
    return {name: {**known.get(name, {}), **options} for name, options in given.items()}


def profile_named(kind: str, name: str) -> Profile:
    """The profile of this name for tables or images."""
    if (kind, name) not in PROFILES:
        raise InputError(f"no profile {name!r}; there are quick, standard and deep.")
    return PROFILES[kind, name]
