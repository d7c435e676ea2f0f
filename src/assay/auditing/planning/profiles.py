# SPDX-License-Identifier: Apache-2.0
"""How deep an audit goes: which methods with which options, for each kind of input and each depth. It is data.

Adding a method to a profile is one line of ``TABLE`` or ``IMAGE``. Everything that is cut is reported on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assay.basics.errors import InputError
from assay.nouns.catalogue import Method, known

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

OF_TRAINING_ROWS: dict[str, Any] = {
    "diagnose.label_errors": {"included": NOT_QUICK, "by": by_depth("default", "default", "auto")},
    "diagnose.exploration": {"included": NOT_QUICK},
    "repair.cleaning": {"included": NOT_QUICK, "by": by_depth("default", "default", "auto")},
    "diagnose.shadow_membership": {"included": DEEP},
    "diagnose.explanation_membership": {"included": DEEP},
    "diagnose.privacy_bound": {"included": DEEP},
    "diagnose.feature_use": {"included": DEEP},
    "view.training_influence": {
        "included": NOT_QUICK,
        "method": by_depth("newton", "newton", "auto"),
        "refits": by_depth(0, 0, 200),
    },
}
"""What every kind of input is asked about its training rows: wrong labels, copies, and what the model remembers."""

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
    "attack.column_changes": {
        "included": NOT_QUICK,
        "queries": by_depth(100, 200, 400),
        "max_nodes": by_depth(0, 0, 500),
    },
    "certify.soft_stability": {"draws": 100, "radius": 2, "curve": True},
    "certify.mus": {"included": DEEP, "q": 16, "smoothing": 0.25},
    "certify.removal_effect": {"included": NOT_QUICK, "ball": None},
    "certify.removal_bound": {"included": DEEP, "draws": 16},
    "certify.bound_propagation": {"included": NOT_QUICK},
    "certify.randomised_smoothing": {"included": DEEP, "draws": 200, "selection_draws": 20},
    "certify.smoothed_top_k": {"included": DEEP, "draws": 64},
    "certify.shapley_error": {"included": DEEP, "budget": 4096},
    "certify.tree_robustness": {"included": DEEP, "max_nodes": 2000},
    "certify.sufficient_features": {"included": DEEP, "ball": None, "max_nodes": 2000},
    "certify.lipschitz_margin": {"included": DEEP},
    "diagnose.disparity": {"rows": by_depth(50, 100, 500), "budget": by_depth(256, 512, 4096)},
    "diagnose.error_disparity": {"included": DEEP},
    "diagnose.shortcut": {"rows": by_depth(200, 400, 4000)},
    "diagnose.robustness": {
        "included": NOT_QUICK,
        "rows": by_depth(50, 100, 400),
        "attack": by_depth("pgd", "pgd", "auto"),
        "steps": by_depth(10, 20, 30),
        "queries": 200,
        "max_nodes": by_depth(0, 0, 2000),
    },
    "diagnose.proxy_use": {"included": NOT_QUICK, "rows": by_depth(1000, 1000, 4000), "linear": DEEP},
    "diagnose.robust_features": {"included": DEEP},
    "diagnose.cluster_sensitivity": {"included": DEEP},
    "diagnose.recourse_gap": {"included": DEEP, "rows": 50},
    "diagnose.simpler_model": {"included": DEEP},
    "diagnose.rashomon": {"included": DEEP},
    "diagnose.background": {"included": DEEP},
    **OF_TRAINING_ROWS,
    "repair.replace": {"included": DEEP},
    "repair.adversarial_training": {"included": DEEP},
    "repair.gloro": {"included": DEEP},
    "repair.curvature_penalty": {"included": DEEP},
    "repair.aggregation": {"included": DEEP},
    "repair.right_reasons": {"included": DEEP},
    "repair.private_training": {"included": DEEP},
    "view.additive_terms": {"included": NOT_QUICK},
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
    "view.counterfactual": {"included": DEEP, "max_nodes": 2000},
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
    "explain.cluster_variational": {"included": DEEP, "clusters": 11, "budget": 2048},
    "explain.extremal_perturbation": {"included": DEEP, "areas": (0.05, 0.1, 0.2), "steps": 60},
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
    "repair.adversarial_training": {"included": DEEP},
    "repair.gloro": {"included": DEEP},
    "repair.curvature_penalty": {"included": DEEP},
    "repair.aggregation": {"included": DEEP},
    "repair.right_reasons": {"included": DEEP},
    "repair.private_training": {"included": DEEP},
    "diagnose.disparity": {},
    "diagnose.error_disparity": {"included": DEEP},
    "diagnose.shortcut": {},
    "diagnose.shortcut_clusters": {"included": DEEP},
    "diagnose.backdoor": {"included": DEEP, "nets": 5},
    "diagnose.robustness": {
        "included": NOT_QUICK,
        "rows": by_depth(16, 32, 100),
        "attack": by_depth("pgd", "pgd", "auto"),
        "steps": by_depth(5, 9, 30),
        "queries": by_depth(60, 60, 300),
        "proofs": DEEP,
        "how": "crown-ibp",
        "noise": by_depth(2, 3, 10),
    },
    "diagnose.robust_features": {"included": DEEP},
    "diagnose.cluster_sensitivity": {"included": DEEP},
    **OF_TRAINING_ROWS,
    "view.influential_units": {"included": NOT_QUICK, "top": 5},
    "view.feature_visualisation": {"included": DEEP, "top": 6, "steps": 60, "starts": 1},
    "view.prototypes": {"included": DEEP, "regions": 2},
    "certify.mus": {"q": 16, "smoothing": 0.25},
    "certify.soft_stability": {"draws": 60, "radius": 4, "curve": DEEP},
    "certify.removal_effect": {"included": NOT_QUICK, "ball": None},
    "certify.bound_propagation": {"included": DEEP, "how": "crown-ibp"},
    "certify.randomised_smoothing": {"included": DEEP, "draws": 200, "selection_draws": 20},
    "certify.smoothed_top_k": {"included": DEEP, "draws": 64},
    "certify.lipschitz_margin": {"included": DEEP},
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
    "attack.token_substitution": {"included": NOT_QUICK, "delete": True, "queries": by_depth(60, 60, 300)},
    "certify.soft_stability": {"draws": by_depth(60, 100, 400), "radius": 2, "curve": True},
    "certify.mus": {"included": NOT_QUICK, "q": 16, "smoothing": 0.25},
    "certify.removal_effect": {"included": NOT_QUICK, "ball": None},
    "diagnose.disparity": {"rows": by_depth(20, 50, 200), "budget": by_depth(128, 256, 2048)},
    "diagnose.error_disparity": {"included": DEEP},
    "diagnose.swapped_words": {"included": NOT_QUICK, "rows": by_depth(200, 200, 2000), "draws": by_depth(1, 2, 4)},
    "diagnose.shortcut": {},
    **OF_TRAINING_ROWS,
    "diagnose.exposure": {"included": DEEP},
    "view.influence_paths": {"included": DEEP, "steps": 16},
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
    ``repairs`` are those that only some depths try, with their options.
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
    repairs: Mapping[str, Options] = field(default_factory=dict)


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
        repairs=methods("repair"),
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


def is_included(method: Method, included: Mapping[str, Options]) -> bool:
    """Whether a method is among those that a depth includes, or no line of this file says where it belongs."""
    return method.name in included or not any(f"{method.verb}.{method.name}" in lines for lines in KINDS.values())


def with_declared_checks(profile: Profile) -> Profile:
    """The profile with every attack and certificate that declares a check and that no profile names, with its defaults.

    So an attack or a certificate enters all audits by its declaration alone, as a diagnosis does. One that a line of
    this file names enters where, and as deep as, the line says.
    """
    return replace(
        profile,
        attacks={**_declared("attack"), **profile.attacks},
        certificates={**_declared("certify"), **profile.certificates},
    )


def _declared(verb: str) -> dict[str, Options]:
    named = {name for lines in KINDS.values() for name in lines}
    return {m.name: {} for m in known(verb) if m.checks and f"{verb}.{m.name}" not in named}
