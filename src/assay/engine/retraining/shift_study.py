# SPDX-License-Identifier: Apache-2.0
"""Study of explanation shift: how it depends on weight decay, softplus sharpness and the size of the data shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import student_interval
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.gradients.weight_path import estimate_gradient_lipschitz
from assay.engine.retraining.explanation_shift import available_parts, shift_measures
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.retraining.model_retraining import ACCURACY_TOLERANCE, accuracy_terms, comparable_model
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.model.transformations.softplus_surrogate import softplus_surrogate
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Explanation

Record = dict[str, Any]
"""One row of the data frame, by column."""


@dataclass(frozen=True, eq=False)
class _Study:
    """Options shared by all settings."""

    x: Any
    labels: Any
    method: Callable[[Case], Explanation]
    shift: Callable[[Any, Any, float, Seed], tuple[Any, Any]]
    k: int
    repeats: int
    steps: int
    level: float
    seed: Seed


def shift_study(
    recipes: Recipe | Mapping[str, Recipe],
    x: Any,
    *,
    method: Callable[[Case], Explanation],
    shift: Callable[[Any, Any, float, Seed], tuple[Any, Any]],
    sizes: Sequence[float],
    strengths: Sequence[float] = (0.0,),
    sharpness: Sequence[float] = (float("inf"),),
    labels: Any = (),
    k: int = 5,
    repeats: int = 5,
    steps: int = 8,
    level: float = 0.95,
    seed: int | Seed = 0,
    backend: Any = "pandas",
) -> Any:
    """Explanation shift of rows ``x`` under shifts of the training data: a data frame with one row per setting.

    A setting is a recipe (several are given by name, for example a net with ReLU and with softplus), one of
    ``strengths`` passed to it (weight decay, if it uses it), one of ``sharpness`` and one of ``sizes``. As in Meyer et
    al. (2023), each of ``repeats`` seeds trains a pair of models with the same seed: on the recipe's rows, and on
    ``shift(x, y, size, seed)`` of them. ``sharpness`` replaces ReLU by softplus after training
    (``assay.model.softplus_surrogate``; infinity: no replacement). ``method`` is an explain method or a function of a
    case; the label is the class that the first model of a setting predicts.

    Columns: the setting; ``accuracy before`` and ``accuracy after`` on ``labels`` (R² of a regression; NaN without
    labels); ``unequal``, whether they differ by more than 0.02: exclude such settings from comparisons. Each measure of
    ``assay.explanation_shift`` has its mean over pairs and rows, ``low`` and ``high`` of Student's interval over pairs
    (other seeds, the same rows; NaN with one pair), and ``retraining``, the mean between models of different seeds
    without a shift; these models differ in their initial weights and may differ more than a pair. ``weights`` and
    ``constant`` are those of ``diagnose.explanation_shift`` (SHF103), NaN where there is no path between the weights.
    """
    named = {"": recipes} if isinstance(recipes, Recipe) else dict(recipes)
    _check_options(named, strengths, sharpness, sizes, repeats)
    root = seed if isinstance(seed, Seed) else Seed(seed)
    study = _Study(x, labels, method, shift, k, repeats, steps, level, root)
    records: list[Record] = []
    for name, recipe in named.items():
        for strength in strengths:
            before = [_train(study, recipe, recipe.x, recipe.y, strength, number) for number in range(repeats)]
            for size in sizes:
                after = [_train_shifted(study, recipe, strength, size, number) for number in range(repeats)]
                for soft in sharpness:
                    setting = {"recipe": name, "strength": float(strength), "sharpness": soft, "shift": float(size)}
                    records.append(setting | _measure(study, _soften(before, soft), _soften(after, soft)))
    import narwhals as nw

    columns = {name: [record[name] for record in records] for name in records[0]}
    return nw.from_dict(columns, backend=backend).to_native()


def _check_options(
    recipes: Mapping[str, Any],
    strengths: Sequence[float],
    sharpness: Sequence[float],
    sizes: Sequence[float],
    repeats: int,
) -> None:
    others = [name for name, recipe in recipes.items() if not isinstance(recipe, Recipe)]
    if others or not recipes:
        raise InputError(
            f"not a recipe: {', '.join(others) or 'recipes is empty'}. Give one assay.Recipe(fit, x, y) or several."
        )
    if not (len(strengths) and len(sharpness) and len(sizes)) or repeats < 1:
        raise InputError("a study needs at least one strength, one sharpness, one size, and repeats of at least 1.")
    fixed = [name or "the recipe" for name, recipe in recipes.items() if not recipe.regularises]
    if fixed and any(strengths):
        raise CapabilityError(
            f"{', '.join(fixed)} does not use strength, and strength={max(strengths):g} is given. Let fit use it and "
            f"declare Recipe(…, regularises=True)."
        )


def _train(study: _Study, recipe: Recipe, x: Any, y: Any, strength: float, number: int) -> Model:
    return wrap(recipe.train(x, y, study.seed.child("shift study", number), float(strength)))


def _train_shifted(study: _Study, recipe: Recipe, strength: float, size: float, number: int) -> Model:
    seed = study.seed.child("shift study", number, "shift")
    x, y = study.shift(recipe.x, recipe.y, float(size), seed)
    if len(x) != len(y):
        raise InputError(f"shift gave {len(x)} rows and {len(y)} labels; needed is one label per row.")
    return _train(study, recipe, x, y, strength, number)


def _soften(models: Sequence[Model], sharpness: float) -> list[Model]:
    return [model if sharpness == float("inf") else softplus_surrogate(model, sharpness=sharpness) for model in models]


def _measure(study: _Study, before: list[Model], after: list[Model]) -> Record:
    case = ask(before[0], study.x, seed=study.seed)
    cases = [[with_model(case, comparable_model(case, model)) for model in models] for models in (before, after)]
    explanations = [[study.method(one) for one in side] for side in cases]
    available = available_parts(explanations[0][0])

    def compare(one: Explanation, other: Explanation) -> dict[str, float]:
        measures = shift_measures(one.values, other.values, available, study.k)
        return {measure: _mean(values) for measure, values in measures.items()}

    pairs = [compare(one, other) for one, other in zip(*explanations)]
    retrainings = [compare(one, other) for one, other in combinations(explanations[0], 2)]
    record = _accuracies(study, *cases) | {"pairs": len(pairs)}
    for measure in pairs[0]:
        values = np.array([pair[measure] for pair in pairs])
        interval = student_interval(values, study.level)
        record |= {measure: _mean(values), f"{measure} low": interval.low, f"{measure} high": interval.high}
        record[f"{measure} retraining"] = _mean(np.array([pair[measure] for pair in retrainings]))
    bounds = [_gradient_lipschitz(one, other.model, study.steps) for one, other in zip(*cases)]
    return record | {"weights": _mean(np.array(bounds)[:, 0]), "constant": _mean(np.array(bounds)[:, 1])}


def _accuracies(study: _Study, before: list[Case], after: list[Case]) -> Record:
    if not len(study.labels):
        return {"accuracy before": float("nan"), "accuracy after": float("nan"), "unequal": False}
    first = before[0]
    true = true_labels(first.model, study.labels, len(first), first.prediction)
    means = [float(np.mean([accuracy_terms(one, true) for one in side])) for side in (before, after)]
    unequal = abs(means[1] - means[0]) > ACCURACY_TOLERANCE
    return {"accuracy before": means[0], "accuracy after": means[1], "unequal": unequal}


def _gradient_lipschitz(case: Case, other: Model, steps: int) -> tuple[float, float]:
    try:
        result = estimate_gradient_lipschitz(case, other, steps=steps)
    except CapabilityError:
        return float("nan"), float("nan")
    return result.weight_distance, result.constant


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
