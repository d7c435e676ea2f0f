# SPDX-License-Identifier: Apache-2.0
"""How deep an audit goes: what is explained, with what budgets. Everything cut is told in the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assay.words.errors import InputError


@dataclass(frozen=True)
class Profile:
    """Rows explained, size of the background, and options for the methods of one kind of data.

    ``group_rows`` are drawn of each group to see what drives a gap, ``fault_rows`` to see what the model leans on.
    ``randomised``, ``moved`` and ``attacked`` name the explainers cheap enough for the tests that explain again.
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


_TABLE_SCORES: dict[str, dict[str, Any]] = {
    "completeness": {},
    "deletion": {},
    "insertion": {},
    "comprehensiveness": {},
    "sufficiency": {},
    "faithfulness_correlation": {"draws": 64},
    "infidelity": {"draws": 64},
    "parameter_randomisation": {},
    "max_sensitivity": {"draws": 4},
    "sparseness": {},
}
_GRADIENTS = ("saliency", "input_x_gradient", "integrated_gradients", "expected_gradients", "smooth_grad")


def _table(rows: int, background: int, budget: int, group_rows: int, fault_rows: int) -> Profile:
    return Profile(
        rows=rows,
        background=background,
        group_rows=group_rows,
        fault_rows=fault_rows,
        explainers={
            "shapley": {"budget": budget},
            "permutation_shapley": {"budget": budget},
            "occlusion": {},
            "lime": {"budget": budget},
            "saliency": {"signed": True},
            "input_x_gradient": {},
            "integrated_gradients": {"steps": 32},
            "expected_gradients": {"steps": 4},
            "smooth_grad": {"draws": 16},
        },
        scores=_TABLE_SCORES,
        attacks={"top_k": {"steps": 20}},
        certificates={"soft_stability": {"draws": 100, "radius": 2}},
        randomised=_GRADIENTS,
        moved=_GRADIENTS,
        attacked=("saliency", "integrated_gradients"),
    )


def _image(steps: int, budget: int, curve: int, draws: int) -> Profile:
    return Profile(
        rows=16,
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
            "max_sensitivity": {"draws": 2},
            "sparseness": {},
        },
        attacks={"top_k": {"steps": (steps + 2) // 2}},
        certificates={"mus": {"q": 16, "smoothing": 0.25}, "soft_stability": {"draws": 60, "radius": 4}},
        randomised=("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad"),
        moved=("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad"),
        attacked=("saliency",),
    )


PROFILES: dict[tuple[str, str], Profile] = {
    ("table", "quick"): _table(rows=60, background=20, budget=256, group_rows=50, fault_rows=200),
    ("table", "standard"): _table(rows=100, background=50, budget=512, group_rows=100, fault_rows=400),
    ("table", "deep"): _table(rows=400, background=200, budget=4096, group_rows=500, fault_rows=4000),
    ("image", "quick"): _image(steps=8, budget=128, curve=10, draws=40),
    ("image", "standard"): _image(steps=16, budget=256, curve=14, draws=80),
    ("image", "deep"): _image(steps=64, budget=2048, curve=49, draws=400),
}


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


def profile_named(kind: str, name: str) -> Profile:
    """The profile of this name for tables or images."""
    if (kind, name) not in PROFILES:
        raise InputError(f"no profile {name!r}; there are quick, standard and deep.")
    return PROFILES[kind, name]
