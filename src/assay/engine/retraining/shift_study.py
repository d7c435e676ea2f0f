# SPDX-License-Identifier: Apache-2.0
"""What makes explanations hold under a shift: weight decay, softer kinks, the size of the shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import student
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.case import case as ask
from assay.engine.gradients.weight_path import segment
from assay.engine.retraining.explanation_shift import moved, parts_held
from assay.engine.retraining.label_randomisation import asked_of
from assay.engine.retraining.labelled_rows import truth
from assay.engine.retraining.retrained import UNEQUAL, beside, skill
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.model.transformations.softplus_surrogate import softplus_surrogate
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Explanation

Line = dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Study:
    """What is the same for every setting."""

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
    """How far explanations of rows ``x`` move under shifts of training data: a frame, one line a setting.

    For each recipe (several by name: the same net with ReLU and with softplus, say), each of ``strengths`` handed to
    it (weight decay, where it heeds it), each of ``sizes`` and ``repeats`` seeds, a pair is trained with one seed, as
    Meyer et al. (2023) do: on the recipe's rows, and on ``shift(x, y, size, seed)`` of them. Each of ``sharpness``
    replaces kinks by softplus (``assay.model.softplus_surrogate``; infinity: none) without training. ``method`` is an
    explain method or a function of a case; the label is what the first model of a setting predicts.

    Columns: the setting; ``accuracy before`` and ``accuracy after`` on ``labels`` (R² of a regression; NaN without) and
    ``unequal`` where they differ by more than 0.02: leave such lines out before settings are compared. Each measure of
    ``assay.explanation_shift`` has its mean over pairs and rows, Student's ``low`` and ``high`` over pairs (other seeds,
    the same rows; undefined with one), and ``retraining``, the mean between models of different seeds without a shift, who
    do not share their start and may lie further apart than a pair does. ``weights`` and ``constant`` are those of
    ``diagnose.explanation_shift`` (SHF103), NaN where no way leads between the weights.
    """
    named = {"": recipes} if isinstance(recipes, Recipe) else dict(recipes)
    _asked(named, strengths, sharpness, sizes, repeats)
    root = seed if isinstance(seed, Seed) else Seed(seed)
    study = _Study(x, labels, method, shift, k, repeats, steps, level, root)
    lines: list[Line] = []
    for name, recipe in named.items():
        for strength in strengths:
            first = [_fitted(study, recipe, recipe.x, recipe.y, strength, number) for number in range(repeats)]
            for size in sizes:
                second = [_after(study, recipe, strength, size, number) for number in range(repeats)]
                for soft in sharpness:
                    setting = {"recipe": name, "strength": float(strength), "sharpness": soft, "shift": float(size)}
                    lines.append(setting | _line(study, _soft(first, soft), _soft(second, soft)))
    import narwhals as nw

    return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()


def _asked(
    recipes: Mapping[str, Any],
    strengths: Sequence[float],
    sharpness: Sequence[float],
    sizes: Sequence[float],
    repeats: int,
) -> None:
    strange = [name for name, recipe in recipes.items() if not isinstance(recipe, Recipe)]
    if strange or not recipes:
        raise InputError(f"recipes hold {', '.join(strange) or 'nothing'}; give assay.Recipe(fit, x, y), or some.")
    if not (len(strengths) and len(sharpness) and len(sizes)) or repeats < 1:
        raise InputError("a study needs at least one strength, sharpness and size, and repeats of at least 1.")
    deaf = [name or "the recipe" for name, recipe in recipes.items() if not recipe.regularises]
    if deaf and any(strengths):
        raise CapabilityError(
            f"{', '.join(deaf)} heeds no strength, and {max(strengths):g} is asked. Let fit use it and say "
            f"Recipe(…, regularises=True)."
        )


def _fitted(study: _Study, recipe: Recipe, x: Any, y: Any, strength: float, number: int) -> Model:
    return wrap(recipe.train(x, y, study.seed.child("shift study", number), float(strength)))


def _after(study: _Study, recipe: Recipe, strength: float, size: float, number: int) -> Model:
    drawn = study.seed.child("shift study", number, "shift")
    x, y = study.shift(recipe.x, recipe.y, float(size), drawn)
    if len(x) != len(y):
        raise InputError(f"shift gave {len(x)} rows and {len(y)} labels; one a row is needed.")
    return _fitted(study, recipe, x, y, strength, number)


def _soft(models: Sequence[Model], sharpness: float) -> list[Model]:
    return [model if sharpness == float("inf") else softplus_surrogate(model, sharpness=sharpness) for model in models]


def _line(study: _Study, before: list[Model], after: list[Model]) -> Line:
    case = ask(before[0], study.x, seed=study.seed)
    cases = [[asked_of(case, beside(case, model)) for model in models] for models in (before, after)]
    told = [[study.method(one) for one in side] for side in cases]
    held = parts_held(told[0][0])

    def measured(one: Explanation, other: Explanation) -> dict[str, float]:
        found = moved(one.values, other.values, held, study.k)
        return {measure: _mean(values) for measure, values in found.items()}

    pairs = [measured(one, other) for one, other in zip(*told)]
    retold = [measured(one, other) for one, other in combinations(told[0], 2)]
    line = _known(study, *cases) | {"pairs": len(pairs)}
    for measure in pairs[0]:
        values = np.array([pair[measure] for pair in pairs])
        interval = student(values, study.level)
        line |= {measure: _mean(values), f"{measure} low": interval.low, f"{measure} high": interval.high}
        line[f"{measure} retraining"] = _mean(np.array([pair[measure] for pair in retold]))
    ways = [_way(one, other.model, study.steps) for one, other in zip(*cases)]
    return line | {"weights": _mean(np.array(ways)[:, 0]), "constant": _mean(np.array(ways)[:, 1])}


def _known(study: _Study, before: list[Case], after: list[Case]) -> Line:
    if not len(study.labels):
        return {"accuracy before": float("nan"), "accuracy after": float("nan"), "unequal": False}
    first = before[0]
    true = truth(first.model, study.labels, len(first), first.prediction)
    means = [float(np.mean([skill(one, true) for one in side])) for side in (before, after)]
    unequal = abs(means[1] - means[0]) > UNEQUAL
    return {"accuracy before": means[0], "accuracy after": means[1], "unequal": unequal}


def _way(case: Case, other: Model, steps: int) -> tuple[float, float]:
    try:
        way = segment(case, other, steps=steps)
    except CapabilityError:
        return float("nan"), float("nan")
    return way.weights, way.constant


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
