"""Arguments of a call that works, for each method that is neither an explanation nor a score."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.contract.nets import filled, net
from tests.contract.subjects import SUBJECTS
from tests.engine.influence_paths.path_nets import Causal, letters

import assay
from assay import explain
from assay.engine.changes.column_rules import column_names

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int)
OTHER = np.random.default_rng(1).normal(size=(60, 4))
OTHER_Y = (OTHER[:, 0] > 0).astype(int)


def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
    return LogisticRegression(C=1 / (1 + strength)).fit(x, y)


def trees() -> Any:
    return RandomForestClassifier(3, max_depth=2, random_state=0).fit(X, Y)


def likelihoods() -> Any:
    """A language model that every continuation is equally likely for."""
    return assay.model.language_model(lambda pairs: [[-1.0] * len(after) for _, after in pairs], fingerprint="even")


def causal_texts() -> Case:
    """Two texts of one length, read by a causal net with heads of attention."""
    model = assay.model.text(filled(Causal().double(), 4), letters, embedding="embed", classes=["0", "1", "2"])
    return assay.case(model, ["b d c a", "b e b c"], label="1")


@cache
def situations() -> Mapping[str, Mapping[str, Any]]:
    """Arguments of a call that works, for each method that is neither an explanation nor a score."""
    model, remove, ball = assay.wrap(fit(X, Y, 0, 0.0)), assay.Constant(0.0), assay.Ball("linf", 0.1)
    case = assay.case(model, X)
    explained = explain.shapley(case, remove=remove)
    smooth = assay.case(assay.wrap(net()), torch.as_tensor(X[:5]))
    gradient, image = explain.saliency(smooth), SUBJECTS["visual"]()
    layers = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).double()
    rectified = assay.case(assay.wrap(filled(layers, 2)), torch.as_tensor(X[:3]))
    recipe, wooded = assay.Recipe(fit, X, Y, regularises=True), assay.case(assay.wrap(trees()), X[:4])
    pictures = assay.case(image.model, torch.as_tensor(OTHER[:24, :1, None, None] + image.rows.x[:1].numpy()))
    few = explain.leave_one_out(case.take(range(4)), remove=remove)
    taught = (torch.as_tensor(OTHER[:4]), OTHER_Y[:4])
    training = {"train": taught, "held_out": taught, "epochs": 1, "steps": 1, "rows": 2}
    wide_forest = assay.case(assay.wrap(trees()), X)
    parts, both = np.tile([True, False, False, True], (5, 1)), np.concatenate([X, OTHER])
    return {
        **{name: {"case": smooth, "ball": ball, "steps": 2} for name in ("pgd", "bim", "apgd", "fmn", "deepfool")},
        "fgsm": {"case": smooth, "ball": ball},
        "carlini_wagner": {"case": smooth, "ball": assay.Ball("l2", 0.1), "steps": 2, "searches": 2},
        "square": {"case": smooth, "ball": ball, "queries": 2},
        "auto": {"case": smooth, "ball": ball, "steps": 2, "queries": 2},
        "saliency_map": {"case": smooth, "ball": assay.Ball("l0", 2, -9.0, 9.0), "steps": 2},
        "hop_skip_jump": {"case": smooth, "ball": ball, "queries": 50},
        "token_substitution": {"case": SUBJECTS["textual"](), "queries": 4},
        "model_inversion": {"case": smooth, "steps": 2},
        "training_point": {"case": case.take(range(2)), "ball": ball, "train": (X, Y), "steps": 1, "candidates": 1},
        "column_changes": {"case": wooded, "queries": 4, "max_nodes": 9},
        "top_k": {"explanation": gradient, "case": smooth, "ball": ball, "steps": 2},
        "mass_centre": {"explanation": explain.saliency(image), "case": image, "ball": ball, "steps": 2},
        "target_map": {"explanation": gradient, "case": smooth, "ball": ball, "steps": 2},
        "explanation_search": {"explanation": gradient, "case": smooth, "ball": ball, "queries": 2},
        "mus": {"case": smooth, "parts": parts},
        "bound_propagation": {"case": rectified, "ball": ball},
        "randomised_smoothing": {"case": smooth, "sigma": 0.2, "draws": 20, "selection_draws": 5},
        "removal_bound": {"explanation": explain.occlusion(smooth, remove=remove), "case": smooth, "ball": ball},
        "removal_effect": {"explanation": explained, "case": case, "remove": remove, "draws": 5},
        "smoothed_top_k": {"case": smooth, "sigma": 0.2, "radius": 0.1, "k": 2, "draws": 9},
        "shapley_error": {"explanation": explained, "case": case, "remove": remove, "budget": 64},
        "soft_stability": {"case": smooth, "parts": parts, "radius": 1, "draws": 50},
        "tree_robustness": {"case": wooded, "ball": ball, "max_nodes": 9},
        "sufficient_features": {"case": wooded, "explanation": explain.random(wooded), "reference": X, "max_nodes": 9},
        "lipschitz_margin": {"case": rectified, "draws": 2},
        "data": {"case": case, "labels": Y, "train": OTHER, "train_labels": OTHER_Y},
        "drift": {"case": case, "train": OTHER},
        "exploration": {"case": case, "labels": Y, "train": OTHER, "train_labels": OTHER_Y},
        "label_errors": {"case": case, "train": OTHER, "train_labels": OTHER_Y, "folds": 2},
        "performance": {"case": case, "labels": Y},
        "weak_segments": {"case": assay.case(model, both), "labels": [*Y, *OTHER_Y], "most": 2},
        "disparity": {"case": case, "groups": ["a", "b"] * 30, "favourable": 1, "remove": remove, "rows": 5},
        "error_disparity": {"case": case, "groups": ["a", "b"] * 30, "labels": Y, "favourable": 1},
        "bias_amplification": {"case": case, "labels": Y, "groups": ["a", "b"] * 30},
        "rashomon": {"case": wide_forest, "train": OTHER, "train_labels": OTHER_Y, "depth": 1},
        "simpler_model": {
            "case": wide_forest,
            "train": OTHER,
            "train_labels": OTHER_Y,
            "held_out": (X, Y),
            "families": ("tree",),
        },
        "recourse_gap": {
            "case": assay.case(assay.wrap(trees()), X),
            "groups": ["a", "b"] * 30,
            "favourable": 1,
            "rows": 10,
        },
        "concept_use": {"case": smooth, "concepts": {"c": X[:9]}, "random_rows": OTHER, "random_concepts": 2},
        "proxy_use": {"case": assay.case(assay.wrap(trees()), X), "groups": ["a", "b"] * 30},
        "swapped_words": {"case": SUBJECTS["textual"](), "pairs": ("good/bad",)},
        "membership": {"case": case, "labels": Y, "outside": OTHER, "outside_labels": OTHER_Y},
        "privacy_bound": {"case": case, "labels": Y, "outside": OTHER, "outside_labels": OTHER_Y, "epsilon": 1.0},
        "exposure": {"case": assay.case(likelihoods(), [("pin ", "12"), ("pin ", "34")]), "labels": [1, 0]},
        "feature_use": {
            "case": assay.case(assay.wrap(net()), torch.as_tensor(X)),
            "labels": Y,
            "recipe": assay.Recipe(lambda x, y, seed, strength: assay.wrap(net()), torch.as_tensor(X[:20] + 1), Y[:20]),
            "proxies": 1,
        },
        "explanation_membership": {
            "case": assay.case(assay.wrap(net()), torch.as_tensor(X)),
            "labels": Y,
            "train": torch.as_tensor(OTHER),
            "train_labels": OTHER_Y,
        },
        "shadow_membership": {"case": case, "labels": Y, "recipe": recipe, "shadows": 4},
        "shortcut_clusters": {"case": pictures},
        "background": {"case": case, "background": OTHER, "column": column_names(case)[0], "steps": 2, "splits": 99},
        "labels": {"case": case, "train": (X, Y), "labels": Y, "draws": 1},
        "backdoor": {
            "case": pictures,
            "recipe": assay.Recipe(lambda x, y, seed, strength: image.model, pictures.rows.x, [0, 1] * 12),
            "target_label": 1,
            "share": 0.1,
            "nets": 2,
            "steps": 2,
            "search_rows": 4,
        },
        "pasted_artefact": {"case": pictures, "artefact": lambda x: x + 1.0, "labels": [0, 1] * 12},
        "class_artefact_compensation": {
            "case": smooth,
            "train": taught,
            "held_out": taught,
            "artefact": lambda x: x + 1.0,
            "epochs": 1,
        },
        "right_reasons": {
            "case": smooth,
            "train": taught,
            "held_out": taught,
            "irrelevant": np.array([True, False, False, False]),
            "epochs": 1,
        },
        "shortcut": {"case": case, "labels": Y, "remove": remove, "suspects": ("0",)},
        "robustness": {"case": rectified, "ball": ball, "labels": Y[:3], "steps": 2, "noise": 1},
        "cluster_sensitivity": {"case": rectified, "ball": ball, "remove": assay.Constant(0.0), "rows": 1, "steps": 1},
        "robust_features": {
            "case": assay.case(assay.wrap(filled(layers, 2)), torch.as_tensor(X[:24])),
            "labels": Y[:24],
            "ball": ball,
            "units": 1,
            "rows": 20,
            "steps": 1,
        },
        "explanation_families": {"case": case, "explanation": explained, "remove": remove},
        "scaffolding": {"case": case, "explanation": explained, "draws": 1, "suspects": ("0",)},
        "explanation_shift": {"case": case, "explanation": explained, "other": model, "recipe": recipe, "refits": 2},
        "score_reliability": {
            "case": case,
            "explanation": explained,
            "scores": {"deletion": {}},
            "draws": 4,
            "randoms": 4,
        },
        "second_removal": {"case": case, "explanation": explained, "second": assay.Constant(0.0), "draws": 2},
        "explanation_trust": {"case": case, "explanations": {"shapley": explained}, "scores": {}},
        "refit": {"case": case, "recipe": recipe, "held_out": (OTHER, OTHER_Y), "strength": 1.0},
        "cleaning": {
            "case": case,
            "recipe": assay.Recipe(fit, X, np.where(np.arange(60) % 10 == 0, 1 - Y, Y)),
            "held_out": (OTHER, OTHER_Y),
            "filter": "confident_learning",
            "folds": 2,
            "by": "default",
        },
        "threshold_shift": {"case": case, "train": (OTHER, OTHER_Y), "held_out": (X, Y)},
        "prune_experts": {"case": case, "train": (OTHER, OTHER_Y), "held_out": (X, Y)},
        "masked_training": {
            "case": smooth,
            "train": (X[:20], Y[:20]),
            "held_out": (OTHER[:20], OTHER_Y[:20]),
            "smoothing": (0.5,),
            "q": 2,
            "epochs": 1,
        },
        "replace": {"case": wide_forest, "recipe": recipe, "held_out": (OTHER, OTHER_Y), "family": "tree"},
        "replace_proxy": {
            "case": assay.case(assay.wrap(trees()), X),
            "held_out": (X, Y),
            "groups": ["a" if one else "b" for one in Y],
        },
        "compress_along_paths": {
            "case": causal_texts(),
            "held_out": (["b d c a", "a c d e"], ["0", "1"]),
            "sources": (1,),
            "contrast": ("f d c a", "f e b c"),
            "steps": 24,
        },
        "smoothing": {"case": smooth, "sigma": 0.1, "draws": 4},
        **{
            name: {"case": rectified, "ball": ball, **training}
            for name in ("adversarial_training", "curvature_penalty", "gloro")
        },
        "aggregation": {"case": smooth, "members": ("saliency", "input_x_gradient"), "steps": 2, "queries": 2},
        "removal": {"case": case.take(range(4)), "data": OTHER[:8], "explanation": few, "draws": 1},
        "private_training": {
            "case": rectified,
            "train": (torch.as_tensor(X), Y),
            "held_out": (torch.as_tensor(OTHER), OTHER_Y),
            "epochs": 1,
            "batch": 60,
        },
        "rounding": {"case": smooth, "held_out": taught, "steps": 1, "draws": 1},
        "softplus": {"case": smooth, "sharpness": 2.0, "ball": ball, "steps": 2},
    }
