# SPDX-License-Identifier: Apache-2.0
"""Explain any trained model, test the explanation, attack and certify it, find the model's faults, mend them.

Names are loaded when first used: ``import assay`` brings in neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay import attack, certify, diagnose, evaluate, examples, explain, model, repair
    from assay.auditing.audit import audit
    from assay.auditing.compare import compare
    from assay.auditing.run import Run
    from assay.cases.case import Case, case
    from assay.cases.game import Game
    from assay.cases.removals import Blur, Conditional, Constant, Marginal, Mean, NoisyLinear, Removal
    from assay.engine.agreement import agreement
    from assay.engine.ball import Ball
    from assay.engine.comparing import compare_methods
    from assay.engine.declare import remake
    from assay.engine.distributions import BlurPath, Gaussian, Line, Lines, Path, Point, Uniform
    from assay.engine.meta_evaluation import meta_evaluation
    from assay.engine.settings_grid import settings_grid, settings_price
    from assay.engine.shift_study import shift_study
    from assay.engine.shifted import movement
    from assay.engine.wrong_classes import wrong_classes
    from assay.model.model import Model
    from assay.model.wrap import wrap
    from assay.nouns.features import Features, columns, elements, grid, groups, integer_map, superpixels
    from assay.nouns.recipe import Recipe
    from assay.nouns.record import Waiver
    from assay.nouns.store import load
    from assay.nouns.target import Target, contrast, unit
    from assay.words.seed import Seed

_PACKAGES = ("attack", "certify", "diagnose", "evaluate", "examples", "explain", "model", "repair")
_PLACES = {
    "Ball": "engine.ball",
    "Blur": "cases.removals",
    "BlurPath": "engine.distributions",
    "Case": "cases.case",
    "Conditional": "cases.removals",
    "Constant": "cases.removals",
    "Features": "nouns.features",
    "Game": "cases.game",
    "Gaussian": "engine.distributions",
    "Line": "engine.distributions",
    "Lines": "engine.distributions",
    "Marginal": "cases.removals",
    "Mean": "cases.removals",
    "Model": "model.model",
    "NoisyLinear": "cases.removals",
    "Path": "engine.distributions",
    "Point": "engine.distributions",
    "Recipe": "nouns.recipe",
    "Removal": "cases.removals",
    "Run": "auditing.run",
    "Seed": "words.seed",
    "Target": "nouns.target",
    "Uniform": "engine.distributions",
    "Waiver": "nouns.record",
    "agreement": "engine.agreement",
    "audit": "auditing.audit",
    "case": "cases.case",
    "columns": "nouns.features",
    "compare": "auditing.compare",
    "compare_methods": "engine.comparing",
    "contrast": "nouns.target",
    "elements": "nouns.features",
    "grid": "nouns.features",
    "groups": "nouns.features",
    "integer_map": "nouns.features",
    "load": "nouns.store",
    "meta_evaluation": "engine.meta_evaluation",
    "movement": "engine.shifted",
    "remake": "engine.declare",
    "settings_grid": "engine.settings_grid",
    "settings_price": "engine.settings_grid",
    "shift_study": "engine.shift_study",
    "superpixels": "nouns.features",
    "unit": "nouns.target",
    "wrap": "model.wrap",
    "wrong_classes": "engine.wrong_classes",
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
    raise AttributeError(f"module 'assay' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
