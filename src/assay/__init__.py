# SPDX-License-Identifier: Apache-2.0
"""Explain a trained model, evaluate the explanations, find the model's faults, repair them, and verify the fix.

Names are imported at first use: ``import assay`` imports neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from assay.nouns.records.plottable import Plottable
from assay.nouns.renamed import FORMER_NAMES, present_name

if TYPE_CHECKING:
    from assay import attack, certify, diagnose, evaluate, examples, explain, interpretable, model, repair
    from assay.auditing.audit import audit
    from assay.auditing.compare import compare
    from assay.auditing.redteam.red_team import redteam
    from assay.auditing.run import Run
    from assay.basics.seed import Seed
    from assay.cases.case import Case
    from assay.cases.game import Game
    from assay.cases.generative.removal import Generative
    from assay.cases.new_case import case
    from assay.cases.removals import Blur, Conditional, Constant, Marginal, Mean, NoisyLinear, Removal
    from assay.engine.attributions.agreement import agreement
    from assay.engine.comparison.meta_evaluation import meta_evaluation
    from assay.engine.comparison.method_comparison import compare_methods
    from assay.engine.comparison.settings_grid import settings_cost, settings_grid
    from assay.engine.comparison.wrong_classes import wrong_classes
    from assay.engine.feature_sets.sufficient_parts import smallest_sufficient
    from assay.engine.gradients.distributions import BlurPath, Gaussian, Line, Lines, Path, Point, Uniform
    from assay.engine.privacy.shadow_training import ShadowTrainer
    from assay.engine.recompute import recompute
    from assay.engine.redteam.endpoint import Endpoint
    from assay.engine.retraining.explanation_shift import explanation_shift
    from assay.engine.retraining.shift_study import shift_study
    from assay.engine.search.ball import Ball
    from assay.model.adapters.wrap import wrap
    from assay.model.model import Model
    from assay.nouns.inputs.concept import Concept
    from assay.nouns.inputs.features import Features, columns, elements, grid, groups, integer_map, superpixels
    from assay.nouns.inputs.mean_shift import mean_shift_clusters
    from assay.nouns.inputs.recipe import Recipe
    from assay.nouns.inputs.target import Target, contrast, unit
    from assay.nouns.records.record import Waiver
    from assay.nouns.records.store import load
    from assay.report.plots.choose import plot

_PACKAGES = ("attack", "certify", "diagnose", "evaluate", "examples", "explain", "interpretable", "model", "repair")
_PLACES = {
    "Ball": "engine.search.ball",
    "Blur": "cases.removals",
    "BlurPath": "engine.gradients.distributions",
    "Case": "cases.case",
    "Concept": "nouns.inputs.concept",
    "Conditional": "cases.removals",
    "Constant": "cases.removals",
    "Endpoint": "engine.redteam.endpoint",
    "Features": "nouns.inputs.features",
    "Game": "cases.game",
    "Gaussian": "engine.gradients.distributions",
    "Generative": "cases.generative.removal",
    "Line": "engine.gradients.distributions",
    "Lines": "engine.gradients.distributions",
    "Marginal": "cases.removals",
    "Mean": "cases.removals",
    "Model": "model.model",
    "NoisyLinear": "cases.removals",
    "Path": "engine.gradients.distributions",
    "Point": "engine.gradients.distributions",
    "Recipe": "nouns.inputs.recipe",
    "Removal": "cases.removals",
    "Run": "auditing.run",
    "Seed": "basics.seed",
    "ShadowTrainer": "engine.privacy.shadow_training",
    "Target": "nouns.inputs.target",
    "Uniform": "engine.gradients.distributions",
    "Waiver": "nouns.records.record",
    "agreement": "engine.attributions.agreement",
    "audit": "auditing.audit",
    "case": "cases.new_case",
    "columns": "nouns.inputs.features",
    "compare": "auditing.compare",
    "compare_methods": "engine.comparison.method_comparison",
    "contrast": "nouns.inputs.target",
    "elements": "nouns.inputs.features",
    "grid": "nouns.inputs.features",
    "groups": "nouns.inputs.features",
    "integer_map": "nouns.inputs.features",
    "load": "nouns.records.store",
    "mean_shift_clusters": "nouns.inputs.mean_shift",
    "meta_evaluation": "engine.comparison.meta_evaluation",
    "plot": "report.plots.choose",
    "explanation_shift": "engine.retraining.explanation_shift",
    "recompute": "engine.recompute",
    "redteam": "auditing.redteam.red_team",
    "settings_grid": "engine.comparison.settings_grid",
    "settings_cost": "engine.comparison.settings_grid",
    "smallest_sufficient": "engine.feature_sets.sufficient_parts",
    "shift_study": "engine.retraining.shift_study",
    "superpixels": "nouns.inputs.features",
    "unit": "nouns.inputs.target",
    "wrap": "model.adapters.wrap",
    "wrong_classes": "engine.comparison.wrong_classes",
}

__version__ = "0.1.0"
__all__ = [*sorted([*_PACKAGES, *_PLACES])]  # all are text


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"assay.{name}")
    if name in _PLACES:
        value = getattr(import_module(f"assay.{_PLACES[name]}"), name)
        globals()[name] = value
        return value
    if name in FORMER_NAMES["assay"]:
        return __getattr__(present_name("assay", name, FORMER_NAMES["assay"][name]))
    raise AttributeError(f"module 'assay' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def _plot(thing: Any, kind: str = "", **options: Any) -> Any:
    return import_module("assay.report.plots.choose").plot(thing, kind, **options)


Plottable._draw = staticmethod(_plot)  # nouns have plot, and plots are of a layer above them
