# SPDX-License-Identifier: Apache-2.0
"""How deep an audit goes: which methods with which options, for each kind of input and each depth. It is data.

Adding a method to a profile is one line of ``TABLE`` or ``IMAGE``. Everything that is cut is reported on the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from assay.basics.errors import InputError
from assay.nouns.catalogue import Method, Verb, find, known

DEPTHS = ("quick", "standard", "deep")
"""How deep an audit can go, the cheapest first."""

Options = Mapping[str, Any]


@dataclass(frozen=True)
class ByDepth:
    """A value for each depth: quick, standard, deep."""

    quick: Any
    standard: Any
    deep: Any


def by_depth(quick: Any, standard: Any, deep: Any) -> ByDepth:
    """An option whose value depends on the depth."""
    return ByDepth(quick, standard, deep)


NOT_QUICK, DEEP = ByDepth(False, True, True), ByDepth(False, False, True)

TABLE: dict[str, Any] = {
    "rows": by_depth(60, 100, 400),
    "background": by_depth(20, 50, 200),
    "settings_grid": by_depth(False, False, True),
    "reliability": {"included": NOT_QUICK, "draws": 2, "randoms": 4},
    "explain.shapley": {"budget": by_depth(256, 512, 4096)},
    "explain.tree_shapley": {"budget": by_depth(256, 512, 4096)},
    "explain.permutation_shapley": {"budget": by_depth(256, 512, 4096)},
    "explain.occlusion": {},
    "explain.lime": {"budget": by_depth(256, 512, 4096)},
    "explain.saliency": {"signed": True},
    "explain.input_x_gradient": {},
    "explain.integrated_gradients": {"steps": 32},
    "explain.expected_gradients": {"steps": 4},
    "explain.smooth_grad": {"draws": 16},
    "evaluate.completeness": {},
    "evaluate.deletion": {},
    "evaluate.insertion": {},
    "evaluate.comprehensiveness": {},
    "evaluate.sufficiency": {},
    "evaluate.faithfulness_correlation": {"draws": 64},
    "evaluate.infidelity": {"draws": 64},
    "evaluate.parameter_randomisation": {},
    "evaluate.runner_up_logit": {},
    "evaluate.max_sensitivity": {"draws": 4},
    "evaluate.input_invariance": {"included": NOT_QUICK},
    "evaluate.sparseness": {},
    "evaluate.familiarity": {"included": NOT_QUICK, "steps": 5},
    "attack.top_k": {"steps": 20},
    "attack.pgd": {"included": NOT_QUICK, "steps": 20},
    "attack.auto": {"included": DEEP, "steps": 30, "queries": 300},
    "certify.soft_stability": {"draws": 100, "radius": 2},
    "certify.shapley_error": {"included": DEEP, "budget": 4096},
    "certify.tree_robustness": {"included": DEEP, "max_nodes": 2000},
    "diagnose.disparity": {"rows": by_depth(50, 100, 500), "budget": by_depth(256, 512, 4096)},
    "diagnose.shortcut": {"rows": by_depth(200, 400, 4000)},
    "view.permutation_importance": {"included": NOT_QUICK},
    "view.partial_dependence": {"included": NOT_QUICK},
    "view.ale": {"included": NOT_QUICK},
    "view.ice": {"included": DEEP},
    "view.tree_interactions": {"included": NOT_QUICK},
    "view.interactions": {"included": DEEP, "budget": 1024},
    "view.surrogate_rules": {"included": NOT_QUICK},
    "view.surrogate_tree": {"included": DEEP},
    "view.qii": {"included": DEEP, "budget": 512},
    "view.reason_codes": {"included": NOT_QUICK, "budget": 256},
    "view.local_slopes": {"included": NOT_QUICK, "budget": by_depth(256, 256, 1024)},
    "view.sage": {"included": DEEP, "budget": 512},
    "re-explained": (
        "saliency",
        "input_x_gradient",
        "integrated_gradients",
        "expected_gradients",
        "smooth_grad",
        "tree_shapley",
    ),
    "attacked": ("saliency", "integrated_gradients"),
    "budget": by_depth(256, 512, 4096),
}
"""Tables."""

IMAGE: dict[str, Any] = {
    "rows": by_depth(16, 16, 64),
    "background": 2,
    "settings_grid": by_depth(False, False, True),
    "reliability": {"included": NOT_QUICK, "draws": 2, "randoms": 4},
    "explain.saliency": {},
    "explain.input_x_gradient": {},
    "explain.integrated_gradients": {"steps": by_depth(8, 16, 64)},
    "explain.smooth_grad": {"draws": by_depth(4, 8, 32)},
    "explain.occlusion": {},
    "explain.rise": {"budget": by_depth(128, 256, 2048)},
    "explain.lime": {"budget": by_depth(128, 256, 2048)},
    "explain.shapley": {"budget": by_depth(128, 256, 2048)},
    "evaluate.completeness": {},
    "evaluate.deletion": {"steps": by_depth(10, 14, 49)},
    "evaluate.insertion": {"steps": by_depth(10, 14, 49)},
    "evaluate.faithfulness_correlation": {"draws": by_depth(40, 80, 400)},
    "evaluate.parameter_randomisation": {},
    "evaluate.runner_up_logit": {},
    "evaluate.max_sensitivity": {"draws": 2},
    "evaluate.input_invariance": {"included": NOT_QUICK},
    "evaluate.sparseness": {},
    "attack.top_k": {"steps": by_depth(5, 9, 33)},
    "attack.pgd": {"included": NOT_QUICK, "steps": by_depth(5, 9, 33)},
    "attack.auto": {"included": DEEP, "steps": 30, "queries": 300},
    "view.influential_units": {"included": NOT_QUICK, "top": 5},
    "certify.mus": {"q": 16, "smoothing": 0.25},
    "certify.soft_stability": {"draws": 60, "radius": 4},
    "re-explained": ("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad"),
    "attacked": ("saliency",),
    "budget": by_depth(128, 256, 2048),
}
"""Images."""

TEXT: dict[str, Any] = {
    "rows": by_depth(32, 40, 200),
    "background": 1,
    "settings_grid": by_depth(False, False, True),
    "reliability": {"included": NOT_QUICK, "draws": 2, "randoms": 4},
    "explain.shapley": {"budget": by_depth(128, 256, 2048)},
    "explain.occlusion": {},
    "explain.lime": {"budget": by_depth(128, 256, 2048)},
    "explain.saliency": {},
    "explain.input_x_gradient": {},
    "explain.integrated_gradients": {"steps": by_depth(8, 16, 64)},
    "evaluate.completeness": {},
    "evaluate.deletion": {},
    "evaluate.insertion": {},
    "evaluate.comprehensiveness": {},
    "evaluate.sufficiency": {},
    "evaluate.faithfulness_correlation": {"draws": by_depth(40, 64, 400)},
    "evaluate.parameter_randomisation": {},
    "evaluate.runner_up_logit": {},
    "evaluate.sparseness": {},
    "evaluate.familiarity": {"included": DEEP, "steps": 5},
    "attack.top_k": {"steps": by_depth(5, 9, 33)},
    "certify.soft_stability": {"draws": by_depth(60, 100, 400), "radius": 2},
    "diagnose.disparity": {"rows": by_depth(20, 50, 200), "budget": by_depth(128, 256, 2048)},
    "re-explained": ("saliency", "input_x_gradient", "integrated_gradients"),
    "attacked": ("saliency",),
    "budget": by_depth(128, 256, 2048),
}
"""Texts."""

KINDS: dict[str, dict[str, Any]] = {"table": TABLE, "image": IMAGE, "text": TEXT}
"""The profile of each kind of input."""


@dataclass(frozen=True)
class Profile:
    """What one audit does: how many rows are explained, and the options of every method.

    ``randomised``, ``moved`` and ``attacked`` name the explainers that are cheap enough to be explained again by the
    scores of weight randomisation, by the scores of stability, and by attacks. ``budget`` is that of the Shapley
    values of repaired models. ``diagnoses`` maps a diagnosis to its options. ``reliability`` are the options with
    which the scores themselves are tested; empty where they are not. ``settings_grid`` says whether the explanations
    are also ranked under other settings of the score. ``views`` are explanations that are shown and not judged.
    """

    rows: int
    background: int
    explainers: Mapping[str, Options]
    scores: Mapping[str, Options]
    attacks: Mapping[str, Options] = field(default_factory=dict)
    certificates: Mapping[str, Options] = field(default_factory=dict)
    diagnoses: Mapping[str, Options] = field(default_factory=dict)
    randomised: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    attacked: tuple[str, ...] = ()
    budget: int = 512
    reliability: Options = field(default_factory=dict)
    settings_grid: bool = False
    views: Mapping[str, Options] = field(default_factory=dict)


def profile_of(kind: str, depth: str) -> Profile:
    """The profile of a kind of input (table, image, text) at a depth (quick, standard, deep)."""
    if depth not in DEPTHS:
        raise InputError(f"no profile {depth!r}; there are quick, standard and deep.")
    if kind not in KINDS:
        raise InputError(f"no profile for inputs of kind {kind!r}; there are {', '.join(KINDS)}.")
    data = {name: _at(value, depth) for name, value in KINDS[kind].items()}

    def methods(verb: str) -> dict[str, Options]:
        lines = {name.removeprefix(f"{verb}."): given for name, given in data.items() if name.startswith(f"{verb}.")}
        return {name: given for name, given in lines.items() if given is not None}

    return Profile(
        rows=data["rows"],
        background=data["background"],
        explainers=methods("explain"),
        scores=methods("evaluate"),
        attacks=methods("attack"),
        certificates=methods("certify"),
        diagnoses=methods("diagnose"),
        randomised=data["re-explained"],
        moved=data["re-explained"],
        attacked=data["attacked"],
        budget=data["budget"],
        reliability=data["reliability"] or {},
        settings_grid=data["settings_grid"],
        views=methods("view"),
    )


def _at(value: Any, depth: str) -> Any:
    """The value at a depth; options that are not included there are ``None``."""
    if isinstance(value, ByDepth):
        return getattr(value, depth)
    if isinstance(value, dict):
        options = {name: _at(option, depth) for name, option in value.items()}
        return options if options.pop("included", True) else None
    return value


def all_profiles() -> dict[tuple[str, str], Profile]:
    """Every profile by kind and depth."""
    return {(kind, depth): profile_of(kind, depth) for kind in KINDS for depth in DEPTHS}


def with_declared_checks(profile: Profile) -> Profile:
    """The profile with every attack and certificate that declares a check, those it does not name with their defaults.

    So an attack or a certificate enters all audits by its declaration alone, as a diagnosis does.
    """
    return replace(
        profile,
        attacks={**_declared("attack"), **profile.attacks},
        certificates={**_declared("certify"), **profile.certificates},
    )


def _declared(verb: str) -> dict[str, Options]:
    return {method.name: {} for method in known(verb) if method.checks}


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
    return replace(
        profile,
        rows=rows,
        background=background,
        explainers={name: _at_least(given, "budget", least) for name, given in profile.explainers.items()},
        views={
            name: _at_least(given, "budget", least) if name == "local_slopes" else given
            for name, given in profile.views.items()
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


MethodRequest = Sequence[str] | Mapping[str, Options]
"""Methods by name, or with their options."""


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
