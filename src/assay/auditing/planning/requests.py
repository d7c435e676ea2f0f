# SPDX-License-Identifier: Apache-2.0
"""Explanations and scores that an audit was asked for by name, and options that a method refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.auditing.planning.profiles import Options as Options
from assay.auditing.planning.profiles import Profile, profile_of, with_declared_checks
from assay.basics.errors import InputError
from assay.nouns.catalogue import Method, Verb, find

MethodRequest = Sequence[str] | Mapping[str, Options]
"""Methods by name, or with their options."""


def requested_profile(
    kind: str, depth: str, methods: MethodRequest, scores: MethodRequest, settings_grid: bool | None = None
) -> Profile:
    """The profile of a kind of input at a depth, with all declared checks, and with what was asked for by name."""
    return with_requests(with_declared_checks(profile_of(kind, depth)), methods, scores, settings_grid)


def with_requests(
    profile: Profile, methods: MethodRequest, scores: MethodRequest, settings_grid: bool | None = None
) -> Profile:
    """The profile with other explanations or scores than its own, where any are named, and with or without the grid.

    A name without options keeps those of the profile. Scores that are named are computed for every explanation, also
    where that means explaining again by removal; the plan states the cost.
    """
    explainers = _requested("explain", methods, profile.explainers) if methods else profile.explainers
    requested = _requested("evaluate", scores, profile.scores) if scores else profile.scores
    cheap = tuple(name for name in explainers if "gradient" in find("explain", name).needs)
    again = tuple(explainers) if scores else cheap
    return replace(
        profile,
        explainers=explainers,
        scores=requested,
        randomised=again if methods or scores else profile.randomised,
        moved=again if methods or scores else profile.moved,
        attacked=tuple(name for name in profile.attacked if name in explainers),
        settings_grid=profile.settings_grid if settings_grid is None else settings_grid,
    )


def _requested(verb: Verb, request: MethodRequest, options: Mapping[str, Options]) -> dict[str, Options]:
    given = request if isinstance(request, Mapping) else {name: {} for name in request}
    for name, chosen in given.items():
        refuse_options(find(verb, name), chosen)
    return {name: {**options.get(name, {}), **chosen} for name, chosen in given.items()}


def refuse_options(method: Method, given: Options) -> None:
    """Raise ``InputError`` for options that the method does not have, and for a removal of its own."""
    label = f"{method.verb}.{method.name}"
    unknown = sorted(set(given) - set(method.options))
    if unknown:
        raise InputError(f"{label} has no option {unknown[0]!r}; there are {', '.join(method.options) or 'none'}.")
    if "remove" in given:
        raise InputError(
            f"{label}: remove={_short(given['remove'])} is refused: an audit compares all explanations under one "
            f"removal, so all methods get the same. Give the rows that fill absent features to the audit "
            f"(background=), or call {label} by itself."
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{type(value).__name__}(…)"
