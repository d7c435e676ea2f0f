# SPDX-License-Identifier: Apache-2.0
"""Sensitivity of a ranking of methods to the settings of a score: removal, target, steps and sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, cast

import numpy as np

from assay.basics.clustered import number_clusters, resample_means
from assay.basics.errors import InputError
from assay.basics.rank_tests import ranks_in_rows
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.cases.sibling_targets import with_sibling_targets
from assay.engine.arguments import with_default_removal
from assay.engine.comparison.meta_evaluation import recomputes_explanations, score_method
from assay.engine.comparison.method_comparison import find_references
from assay.engine.comparison.normalised_scores import orient
from assay.engine.cost import cost_of
from assay.engine.declare import Declared
from assay.nouns.catalogue import Cost, Method, find
from assay.nouns.comparisons.settings_grid import Scoring, SettingsGrid
from assay.nouns.inputs.target import LOSSES, Target, target_named
from assay.nouns.results.result import Explanation, Note, Score

Sign = Literal["as given", "absolute"]
SIGNS = ("as given", "absolute")

Given = Mapping[str, Explanation] | Sequence[Explanation]


def settings_grid(
    explanations: Given,
    case: Case,
    score: str | Declared[..., Score],
    *,
    removals: Mapping[str, Removal] | Sequence[Removal] = (),
    targets: Sequence[str | Target] = (),
    steps: Sequence[int] = (),
    signs: Sequence[Sign] = ("as given",),
    options: Mapping[str, Any] | None = None,
    reference: Any = None,
    references: Mapping[str, str] | None = None,
    clusters: Any = None,
    draws: int = 2000,
    seed: int | Seed = 0,
) -> SettingsGrid:
    """The ranking of the same explanations by one score under every combination of settings.

    The settings are the filling of removed features (``removals``, by name or in a list), the target that is computed
    from the model's outputs (``targets``: "logit", "probability", "log_odds", "margin" …), the number of removal steps
    (``steps``, for scores with this option), and whether attributions are used as given or by magnitude (``signs``). An
    empty axis has the score's default and the case's target; ``options`` are the other options of the score. The first
    value of each axis is the default setting, with which the others are compared. Explanations are not computed
    again: another target changes only the score. So scores that compare amounts (``infidelity``, ``completeness``)
    compare values in different units there, while scores that compare orders are unaffected.

    All targets are computed from the same forward passes: a grid over targets costs as much as one target if the score
    evaluates the same masks. ``settings_cost`` gives the cost in advance. With ``reference`` rows (of the training
    data) the grid has ``evaluate.familiarity`` of the perturbed inputs of each removal, at additional cost.

    ``references`` maps the role "random" and others to methods, by default to the methods of these names.
    ``InputError`` for a score without a better direction, for scores that compute explanations again, and for "loss"
    together with other targets, since it falls when the evidence grows.

    >>> from assay import Constant, evaluate, examples, explain
    >>> case, zero = examples.linear((1.0, -2.0)), Constant(0.0)
    >>> given, signs = [explain.input_x_gradient(case), explain.saliency(case)], ("as given", "absolute")
    >>> found = settings_grid(given, case, evaluate.deletion, removals=[zero], steps=(0, 1), signs=signs)
    >>> found.best, found.reversal_rates    # magnitudes are equal; with one step all features are removed at once
    ('input_x_gradient', {'steps': 0.25, 'sign': 0.25})
    """
    named = explanations_by_name(explanations)
    grid = _grid(score, case, len(named), removals, targets, steps, signs, options)
    meter = case.model.meter
    before = meter.forwards, meter.backwards
    values = grid.compute_scores(case, named)
    familiarity = grid.compute_familiarity(case, named, reference)
    cost = {"forwards": meter.forwards - before[0], "backwards": meter.backwards - before[1]}
    return _rank(grid, tuple(named), case, values, familiarity, references, clusters, draws, seed, cost)


def settings_cost(
    explanations: Given | int,
    case: Case,
    score: str | Declared[..., Score],
    *,
    removals: Mapping[str, Removal] | Sequence[Removal] = (),
    targets: Sequence[str | Target] = (),
    steps: Sequence[int] = (),
    signs: Sequence[Sign] = ("as given",),
    options: Mapping[str, Any] | None = None,
    reference: Any = None,
) -> Cost:
    """Upper bound on the cost of ``settings_grid`` with these arguments; the model is not evaluated.

    The sum of the score's cost over every combination of method, removal, steps and sign, with all targets counted as
    one, plus one evaluation of the rows. Evaluations that methods and settings share are made once, so the actual cost
    is lower. ``explanations`` may be their number, before any is computed.
    """
    count = explanations if isinstance(explanations, int) else len(explanations_by_name(explanations))
    grid = _grid(score, case, count, removals, targets, steps, signs, options)
    total = Cost(len(case) * case.model.passes_per_row)
    for setting in grid.settings:
        if setting.target is grid.targets[0]:
            total = total + cost_of(grid.method, case, grid.options_of(setting)) * count
    if reference is not None:
        method = find("evaluate", "familiarity")
        for setting in grid.curves.values():
            total = total + cost_of(method, case, grid.familiarity_options(setting, reference)) * count
    return total


def explanations_by_name(explanations: Given) -> dict[str, Explanation]:
    """Explanations by name; without given names, by the name of their method."""
    if isinstance(explanations, Mapping):
        named = {str(name): explanation for name, explanation in explanations.items()}
    else:
        named = {}
        for one in explanations:
            if one.provenance.method in named:
                raise InputError(
                    f"{one.provenance.method} is given twice; name the explanations: {{name: explanation}}."
                )
            named[one.provenance.method] = one
    if len(named) < 2:
        raise InputError(f"a ranking needs at least two explanations; got {', '.join(named) or 'none'}.")
    return named


@dataclass(frozen=True, eq=False)
class _Setting:
    """One setting with its objects; ``None`` for the score's default. ``label`` has the values as text."""

    label: Scoring
    removal: Removal | None
    target: Target
    steps: int | None
    sign: str


@dataclass(frozen=True, eq=False)
class _Grid:
    """A score, the values of each axis, and the score's other options."""

    method: Method
    targets: tuple[Target, ...]
    settings: tuple[_Setting, ...]
    options: Mapping[str, Any]

    def options_of(self, setting: _Setting) -> dict[str, Any]:
        """The score's options under a setting."""
        options = dict(self.options)
        if setting.removal is not None:
            options["remove"] = setting.removal
        return options if setting.steps is None else options | {"steps": setting.steps}

    def compute_scores(self, case: Case, named: Mapping[str, Explanation]) -> Floats:
        """The score (setting, row, method); further targets use the forward passes of the first one."""
        own = self.targets == (case.target,)
        cases = dict(zip(self.targets, (case,) if own else with_sibling_targets(case, self.targets)))
        table, meter = np.empty((len(self.settings), len(case), len(named))), case.model.meter
        for i, setting in enumerate(self.settings):
            cached = meter.cached
            for j, explanation in enumerate(named.values()):
                with np.errstate(invalid="ignore"):  # infinite log odds have no mean: the row's score is undefined
                    score = self.method.call(
                        _apply_sign(explanation, setting.sign), cases[setting.target], **self.options_of(setting)
                    )
                table[i, :, j] = cast(Score, score).values
            if setting.target is not self.targets[0]:
                meter.cached = cached
        return np.where(np.isfinite(table), table, np.nan)

    @property
    def curves(self) -> dict[tuple[str, int | None, str], _Setting]:
        """One setting for each distinct set of perturbed inputs (removal, steps, sign); none without removals."""
        return {_curve(setting): setting for setting in self.settings if setting.removal is not None}

    def familiarity_options(self, setting: _Setting, reference: Any) -> dict[str, Any]:
        """The options of ``evaluate.familiarity`` for a setting."""
        options = {"reference": reference, "remove": setting.removal}
        return options if setting.steps is None else options | {"steps": setting.steps}

    def compute_familiarity(self, case: Case, named: Mapping[str, Explanation], reference: Any) -> Floats:
        """Mean familiarity (setting, method); NaN without reference rows, and for settings without removals."""
        table = np.full((len(self.settings), len(named)), np.nan)
        if reference is None:
            return table
        method = find("evaluate", "familiarity")
        for curve, setting in self.curves.items():
            equal = [i for i, one in enumerate(self.settings) if one.removal is not None and _curve(one) == curve]
            options = self.familiarity_options(setting, reference)
            for j, explanation in enumerate(named.values()):
                score = method.call(_apply_sign(explanation, setting.sign), case, **options)
                table[equal, j] = cast(Score, score).mean
        return table


def _curve(setting: _Setting) -> tuple[str, int | None, str]:
    """The part of a setting that determines its perturbed inputs, for a given explanation."""
    assert setting.removal is not None
    return setting.removal.fingerprint, setting.steps, setting.sign


def _grid(
    score: str | Declared[..., Score],
    case: Case,
    count: int,
    removals: Mapping[str, Removal] | Sequence[Removal],
    targets: Sequence[str | Target],
    steps: Sequence[int],
    signs: Sequence[str],
    options: Mapping[str, Any] | None,
) -> _Grid:
    method, fixed = score_method(score), dict(options or {})
    if method.better == "neither":
        raise InputError(f"evaluate.{method.name} has no better direction, so methods cannot be ranked by it.")
    for axis, option, given in (("removals", "remove", removals), ("steps", "steps", steps)):
        if len(given) and (option not in method.options or option in fixed):
            why = "is already given in options" if option in fixed else "is not an option of the score"
            raise InputError(f"{axis}= varies {option!r}, which {why} (evaluate.{method.name}).")
    unknown = [sign for sign in signs if sign not in SIGNS]
    if unknown or not signs:
        raise InputError(f"signs={tuple(signs)!r}; there are {', '.join(map(repr, SIGNS))}, at least one is needed.")
    targets_ = tuple(target_named(target) for target in targets) or (case.target,)
    if len({target.name in LOSSES for target in (case.target, *targets_)}) > 1:
        raise InputError(
            "a loss falls when the evidence for the label grows; it cannot be compared with other targets in a ranking."
        )
    named_removals = _name_removals(method, case, removals, fixed)
    counts = tuple(steps) or (
        fixed.get("steps", method.options["steps"].default) if "steps" in method.options else None,
    )
    settings = tuple(
        _Setting(Scoring(name, target.name, -1 if size is None else size, sign), removal, target, size, sign)
        for (name, removal), target, size, sign in product(named_removals.items(), targets_, counts, signs)
    )
    if len({setting.label for setting in settings}) < len(settings):
        raise InputError("a setting is given twice; give each removal, target, number of steps and sign once.")
    others = {name: value for name, value in fixed.items() if name not in ("remove", "steps")}
    grid = _Grid(method, targets_, settings, others)
    for setting in settings if recomputes_explanations(method, case, grid.options_of(settings[0])) else ():
        raise InputError(
            f"evaluate.{method.name} computes explanations again: under another setting ({setting.label}) it would "
            f"score other explanations than these {count}. Use a score of the given values."
        )
    return grid


def _name_removals(
    method: Method, case: Case, removals: Mapping[str, Removal] | Sequence[Removal], options: Mapping[str, Any]
) -> dict[str, Removal | None]:
    """The removals by name; those of a list by their representation, numbered where it is not unique."""
    if isinstance(removals, Mapping):
        return dict(removals)
    if not removals:
        if "remove" not in method.options:
            return {"": None}
        named = with_default_removal(method, case, options)
        removals = (named.get("remove", method.options["remove"].default),)
    found: dict[str, Removal | None] = {}
    for removal in removals:
        if isinstance(removal, type) or not isinstance(removal, Removal):
            raise InputError(
                f"removals contain {removal!r}, which is not a removal. Give Constant(0.0), Mean, Blur or Marginal."
            )
        plain = repr(removal) if len(repr(removal)) <= 48 else type(removal).__name__
        same = [name for name in found if name.partition(" #")[0] == plain]
        found[f"{plain} #{len(same) + 1}" if same else plain] = removal
    return found


def _apply_sign(explanation: Explanation, sign: str) -> Explanation:
    """The explanation as given, or with the magnitudes of its values (and of its dense values)."""
    if sign == "as given":
        return explanation
    dense = None if explanation.dense is None else np.abs(explanation.dense)
    return replace(explanation, values=np.abs(explanation.values), dense=dense)


def _rank(
    grid: _Grid,
    methods: tuple[str, ...],
    case: Case,
    values: Floats,
    familiarity: Floats,
    references: Mapping[str, str] | None,
    clusters: Any,
    draws: int,
    seed: int | Seed,
    cost: Mapping[str, int],
) -> SettingsGrid:
    roles = find_references(references, methods)
    ranked = [i for i, method in enumerate(methods) if method not in set(roles.values())]
    if len(ranked) < 2:
        raise InputError(f"a ranking needs two methods that are not references; got {', '.join(methods)}.")
    whole = ~np.isnan(values[:, :, ranked]).any(axis=2)
    usable = np.where(whole[:, :, None], values, np.nan)
    groups = number_clusters(clusters, len(case))
    means = _means(usable)
    better = cast(Literal["higher", "lower"], grid.method.better)
    ranks = np.full(means.shape, np.nan)
    defined = whole.any(axis=1)
    ranks[np.ix_(defined, ranked)] = ranks_in_rows(orient(means[defined][:, ranked], better))
    root = seed if isinstance(seed, Seed) else Seed(seed)
    resampled = orient(
        resample_means(np.moveaxis(usable, 1, 0), groups, draws, root.child("settings", grid.method.name)), better
    )
    best_rate, best_everywhere = _best_rates(resampled, ranked)
    return SettingsGrid(
        score=grid.method.name,
        better=better,
        methods=methods,
        references=roles,
        ids=case.rows.ids,
        settings=tuple(setting.label for setting in grid.settings),
        values=values,
        means=means,
        ranks=ranks,
        rows=whole.sum(axis=1),
        best_rate=best_rate,
        best_everywhere=best_everywhere,
        beaten_by_random=_beaten_by_random(resampled, ranked, methods, roles),
        familiarity=familiarity,
        cost={what: count for what, count in cost.items() if count},
        notes=_notes(grid, whole),
    )


def _means(values: Floats) -> Floats:
    """Means (setting, method) over the defined rows (axis 1); NaN where no row is defined."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _best_rates(resampled: Floats, ranked: list[int]) -> tuple[Floats, Floats]:
    """How often each method is best, by setting and under all settings, from means (draw, setting, method).

    Draws in which a setting has no defined row are left out, as are settings that have none in any draw.
    """
    means = resampled[:, :, ranked]
    known = np.isfinite(means).all(axis=2)
    is_best = np.where(known[:, :, None], means == np.max(means, axis=2, keepdims=True), False)
    shared = is_best / np.maximum(is_best.sum(axis=2, keepdims=True), 1)
    count = known.sum(axis=0)
    best_rate, everywhere = np.full(resampled.shape[1:], np.nan), np.full(resampled.shape[2], np.nan)
    by_setting = np.divide(
        shared.sum(axis=0), count[:, None], out=np.full(means.shape[1:], np.nan), where=count[:, None] > 0
    )
    best_rate[:, ranked] = by_setting
    ever = count > 0
    complete = known[:, ever].all(axis=1)
    if ever.any() and complete.any():
        everywhere[ranked] = is_best[complete][:, ever].all(axis=1).mean(axis=0)
    return best_rate, everywhere


def _beaten_by_random(
    resampled: Floats, ranked: list[int], methods: tuple[str, ...], roles: Mapping[str, str]
) -> Floats:
    found = np.full(resampled.shape[1:], np.nan)
    if "random" not in roles:
        return found
    random = resampled[:, :, [methods.index(roles["random"])]]
    both = np.isfinite(resampled) & np.isfinite(random)
    count = both.sum(axis=0)
    share = np.divide((both & (random >= resampled)).sum(axis=0), count, out=found.copy(), where=count > 0)
    found[:, ranked] = share[:, ranked]
    return found


def _notes(grid: _Grid, whole: Any) -> tuple[Note, ...]:
    missing = [(setting.label, int((~rows).sum())) for setting, rows in zip(grid.settings, whole) if not rows.all()]
    if not missing:
        return ()
    counts = "; ".join(f"{label}: {count}" for label, count in missing[:4])
    more = f" and {len(missing) - 4} more settings" if len(missing) > 4 else ""
    return (Note("left-out", f"rows of {whole.shape[1]} where a method has no score: {counts}{more}"),)
