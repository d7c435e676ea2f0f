# SPDX-License-Identifier: Apache-2.0
"""One score made in many ways: how much of the ranking of methods is the setting's doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, cast

import numpy as np

from assay.basics.clustered import numbered, resampled_means
from assay.basics.errors import InputError
from assay.basics.rank_tests import ranks_of
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.cases.sibling_targets import with_sibling_targets
from assay.engine.comparison.meta_evaluation import explains_again, score_of
from assay.engine.comparison.method_comparison import references_of
from assay.engine.comparison.normalised_scores import oriented
from assay.engine.cost import cost_of
from assay.engine.declare import Declared
from assay.nouns.catalogue import Cost, Method, find
from assay.nouns.comparisons.settings_grid import Scoring, SettingsGrid
from assay.nouns.inputs.target import Target, target_named
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
    """The same explanations judged by one score under every combination of settings, and how the ranking moves.

    The settings are how absent parts are filled (``removals``, by name or in a list), what is read off the model's
    outputs (``targets``: "logit", "probability", "log_odds", "margin" …), how many removals a curve has (``steps``, for
    scores that have this option), and whether attributions are taken as given or by magnitude (``signs``). An axis left
    empty stays at the score's own default and the case's target; ``options`` are the score's others. The first of each
    axis makes the usual setting, which the others are compared with. Explanations are not made again: under another
    target it is the scoring that changes, so a score that compares amounts (``infidelity``, ``completeness``) rightly
    finds values in the wrong unit; one that compares orders does not mind.

    All targets are read off the same passes: a grid over targets costs what one target costs, where the score asks the
    same masks. ``settings_cost`` says beforehand what is asked for. With ``reference`` rows (of the data the model was
    trained on) ``evaluate.familiarity`` of what each removal makes is told beside, at its own price.

    ``references`` names who plays "random" and others, by default the methods of those names. Refused: a score without
    a better side; scores that explain again; "loss" beside other targets, for it falls when the evidence grows.

    >>> from assay import evaluate, examples, explain
    >>> case = examples.linear((1.0, -2.0))
    >>> held = [explain.input_x_gradient(case), explain.saliency(case)]
    >>> found = settings_grid(held, case, evaluate.deletion, steps=(0, 1), signs=("as given", "absolute"))
    >>> found.best, found.axes                  # magnitudes tie the two; in one step everything goes at once
    ('input_x_gradient', {'steps': 0.25, 'sign': 0.25})
    """
    named = explanations_by_name(explanations)
    grid = _grid(score, case, len(named), removals, targets, steps, signs, options)
    meter = case.model.meter
    before = meter.forwards, meter.backwards
    values = grid.scored(case, named)
    familiar = grid.familiar(case, named, reference)
    cost = {"forwards": meter.forwards - before[0], "backwards": meter.backwards - before[1]}
    return _ranked(grid, tuple(named), case, values, familiar, references, clusters, draws, seed, cost)


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
    """The most that ``settings_grid`` asks of the model with these arguments; nothing is asked to say so.

    Every combination of method, removal, steps and sign at the score's price, all targets as one (and the rows
    themselves once). What methods and settings have in common is asked once, so less is paid. ``explanations`` may be
    how many there will be, before any is made.
    """
    count = explanations if isinstance(explanations, int) else len(explanations_by_name(explanations))
    grid = _grid(score, case, count, removals, targets, steps, signs, options)
    total = Cost(len(case) * case.model.passes)
    for place in grid.places:
        if place.target is grid.targets[0]:
            total = total + cost_of(grid.method, case, grid.options_of(place)) * count
    if reference is not None:
        method = find("evaluate", "familiarity")
        for place in grid.curves.values():
            total = total + cost_of(method, case, grid.familiar_options(place, reference)) * count
    return total


def explanations_by_name(explanations: Given) -> dict[str, Explanation]:
    """Explanations by the name of what they stand for: their methods', where no names are given."""
    if isinstance(explanations, Mapping):
        named = {str(name): explanation for name, explanation in explanations.items()}
    else:
        named = {}
        for one in explanations:
            if one.provenance.method in named:
                raise InputError(
                    f"{one.provenance.method} is there twice; name the explanations: {{name: explanation}}."
                )
            named[one.provenance.method] = one
    if len(named) < 2:
        raise InputError(f"a ranking needs at least two explanations; got {', '.join(named) or 'none'}.")
    return named


@dataclass(frozen=True, eq=False)
class _Place:
    """One setting, with what it is made of; ``None`` where the score's default stands."""

    told: Scoring
    removal: Removal | None
    target: Target
    steps: int | None
    sign: str


@dataclass(frozen=True, eq=False)
class _Grid:
    """A score, the values of each axis, and the score's other options."""

    method: Method
    targets: tuple[Target, ...]
    places: tuple[_Place, ...]
    options: Mapping[str, Any]

    def options_of(self, place: _Place) -> dict[str, Any]:
        """The score's options under a setting."""
        held = dict(self.options)
        if place.removal is not None:
            held["remove"] = place.removal
        return held if place.steps is None else held | {"steps": place.steps}

    def scored(self, case: Case, named: Mapping[str, Explanation]) -> Floats:
        """The score (setting, row, method); what a further target reads off the same passes is not asked for again."""
        own = self.targets == (case.target,)
        cases = dict(zip(self.targets, (case,) if own else with_sibling_targets(case, self.targets)))
        table, meter = np.empty((len(self.places), len(case), len(named))), case.model.meter
        for i, place in enumerate(self.places):
            remembered = meter.remembered
            for j, explanation in enumerate(named.values()):
                with np.errstate(invalid="ignore"):  # infinite log odds have no mean: the row's score is undefined
                    told = self.method.call(
                        _signed(explanation, place.sign), cases[place.target], **self.options_of(place)
                    )
                table[i, :, j] = cast(Score, told).values
            if place.target is not self.targets[0]:
                meter.remembered = remembered
        return np.where(np.isfinite(table), table, np.nan)

    @property
    def curves(self) -> dict[tuple[str, int | None, str], _Place]:
        """One setting of each curve that parts are removed along, whatever is read off it; none without removals."""
        return {_curve(place): place for place in self.places if place.removal is not None}

    def familiar_options(self, place: _Place, reference: Any) -> dict[str, Any]:
        """The options of the familiarity beside a setting."""
        held = {"reference": reference, "remove": place.removal}
        return held if place.steps is None else held | {"steps": place.steps}

    def familiar(self, case: Case, named: Mapping[str, Explanation], reference: Any) -> Floats:
        """Mean familiarity (setting, method); NaN where there is no reference, or nothing is removed."""
        table = np.full((len(self.places), len(named)), np.nan)
        if reference is None:
            return table
        method = find("evaluate", "familiarity")
        for curve, place in self.curves.items():
            alike = [i for i, one in enumerate(self.places) if one.removal is not None and _curve(one) == curve]
            options = self.familiar_options(place, reference)
            for j, explanation in enumerate(named.values()):
                told = method.call(_signed(explanation, place.sign), case, **options)
                table[alike, j] = cast(Score, told).mean
        return table


def _curve(place: _Place) -> tuple[str, int | None, str]:
    """What the inputs that a setting makes depend on, beside the explanation."""
    assert place.removal is not None
    return place.removal.fingerprint, place.steps, place.sign


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
    method, held = score_of(score), dict(options or {})
    if method.better == "neither":
        raise InputError(f"evaluate.{method.name} has no better side, so methods cannot be ranked by it.")
    for axis, option, given in (("removals", "remove", removals), ("steps", "steps", steps)):
        if len(given) and (option not in method.options or option in held):
            why = "is among the options already" if option in held else "is no option of the score"
            raise InputError(f"{axis}= varies {option!r}, which {why} (evaluate.{method.name}).")
    wrong = [sign for sign in signs if sign not in SIGNS]
    if wrong or not signs:
        raise InputError(f"signs={tuple(signs)!r}; there are {', '.join(map(repr, SIGNS))}, at least one.")
    asked = tuple(target_named(target) for target in targets) or (case.target,)
    if len({target.name == "loss" for target in asked}) > 1 or (case.target.name == "loss") != (
        asked[0].name == "loss"
    ):
        raise InputError("loss falls when the evidence for the label grows; it makes no ranking beside other targets.")
    filled = _removals(method, removals, held)
    counts = tuple(steps) or (
        held.get("steps", method.options["steps"].default) if "steps" in method.options else None,
    )
    places = tuple(
        _Place(Scoring(name, target.name, -1 if size is None else size, sign), removal, target, size, sign)
        for (name, removal), target, size, sign in product(filled.items(), asked, counts, signs)
    )
    if len({place.told for place in places}) < len(places):
        raise InputError("a setting is there twice; name each removal, target, step and sign once.")
    grid = _Grid(
        method, asked, places, {name: value for name, value in held.items() if name not in ("remove", "steps")}
    )
    for place in places if explains_again(method, case, grid.options_of(places[0])) else ():
        raise InputError(
            f"evaluate.{method.name} explains again: under another setting ({place.told}) it would judge other "
            f"explanations than these {count}. Choose a score of the values at hand."
        )
    return grid


def _removals(
    method: Method, removals: Mapping[str, Removal] | Sequence[Removal], held: Mapping[str, Any]
) -> dict[str, Removal | None]:
    """The removals by name: a list's by their kind, with a number where several are alike."""
    if isinstance(removals, Mapping):
        return dict(removals)
    if not removals:
        if "remove" not in method.options:
            return {"": None}
        removals = (held.get("remove", method.options["remove"].default),)
    found: dict[str, Removal | None] = {}
    for removal in removals:
        if isinstance(removal, type) or not isinstance(removal, Removal):
            raise InputError(
                f"removals hold {removal!r}, which is no removal. Give Constant(0.0), Mean, Blur, Marginal."
            )
        plain = repr(removal) if len(repr(removal)) <= 40 else type(removal).__name__
        same = [name for name in found if name.partition(" #")[0] == plain]
        found[f"{plain} #{len(same) + 1}" if same else plain] = removal
    return found


def _signed(explanation: Explanation, sign: str) -> Explanation:
    """The explanation as given, or with magnitudes in place of values (and none finer than the parts but their own)."""
    if sign == "as given":
        return explanation
    dense = None if explanation.dense is None else np.abs(explanation.dense)
    return replace(explanation, values=np.abs(explanation.values), dense=dense)


def _ranked(
    grid: _Grid,
    methods: tuple[str, ...],
    case: Case,
    values: Floats,
    familiar: Floats,
    references: Mapping[str, str] | None,
    clusters: Any,
    draws: int,
    seed: int | Seed,
    cost: Mapping[str, int],
) -> SettingsGrid:
    played = references_of(references, methods)
    ranked = [i for i, method in enumerate(methods) if method not in set(played.values())]
    if len(ranked) < 2:
        raise InputError(f"a ranking needs two methods that are no references; got {', '.join(methods)}.")
    whole = ~np.isnan(values[:, :, ranked]).any(axis=2)
    usable = np.where(whole[:, :, None], values, np.nan)
    groups = numbered(clusters, len(case))
    means = _means(usable)
    better = cast(Literal["higher", "lower"], grid.method.better)
    ranks = np.full(means.shape, np.nan)
    defined = whole.any(axis=1)
    ranks[np.ix_(defined, ranked)] = ranks_of(oriented(means[defined][:, ranked], better))
    root = seed if isinstance(seed, Seed) else Seed(seed)
    drawn = oriented(
        resampled_means(np.moveaxis(usable, 1, 0), groups, draws, root.child("settings", grid.method.name)), better
    )
    first, all_along = _first(drawn, ranked)
    return SettingsGrid(
        score=grid.method.name,
        better=better,
        methods=methods,
        references=played,
        ids=case.rows.ids,
        settings=tuple(place.told for place in grid.places),
        values=values,
        means=means,
        ranks=ranks,
        rows=whole.sum(axis=1),
        first=first,
        all_along=all_along,
        beaten=_beaten(drawn, ranked, methods, played),
        familiarity=familiar,
        cost={what: count for what, count in cost.items() if count},
        notes=_notes(grid, whole),
    )


def _means(values: Floats) -> Floats:
    """Means (setting, method) over the rows (axis 1) that are known; NaN where none is."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _first(drawn: Floats, ranked: list[int]) -> tuple[Floats, Floats]:
    """How often each method is best, by setting and under all of them, from means (draw, setting, method).

    Draws in which a setting has no row that counts are left out; settings that never have one do not count.
    """
    held = drawn[:, :, ranked]
    known = np.isfinite(held).all(axis=2)
    leads = np.where(known[:, :, None], held == np.max(held, axis=2, keepdims=True), False)
    shared = leads / np.maximum(leads.sum(axis=2, keepdims=True), 1)
    count = known.sum(axis=0)
    first, along = np.full(drawn.shape[1:], np.nan), np.full(drawn.shape[2], np.nan)
    by_setting = np.divide(
        shared.sum(axis=0), count[:, None], out=np.full(held.shape[1:], np.nan), where=count[:, None] > 0
    )
    first[:, ranked] = by_setting
    ever = count > 0
    complete = known[:, ever].all(axis=1)
    if ever.any() and complete.any():
        along[ranked] = leads[complete][:, ever].all(axis=1).mean(axis=0)
    return first, along


def _beaten(drawn: Floats, ranked: list[int], methods: tuple[str, ...], played: Mapping[str, str]) -> Floats:
    found = np.full(drawn.shape[1:], np.nan)
    if "random" not in played:
        return found
    floor = drawn[:, :, [methods.index(played["random"])]]
    both = np.isfinite(drawn) & np.isfinite(floor)
    count = both.sum(axis=0)
    share = np.divide((both & (floor >= drawn)).sum(axis=0), count, out=found.copy(), where=count > 0)
    found[:, ranked] = share[:, ranked]
    return found


def _notes(grid: _Grid, whole: Any) -> tuple[Note, ...]:
    notes = []
    gone = [(place.told, int((~rows).sum())) for place, rows in zip(grid.places, whole) if not rows.all()]
    if gone:
        told = "; ".join(f"{setting}: {count}" for setting, count in gone[:4])
        more = f" and {len(gone) - 4} more settings" if len(gone) > 4 else ""
        notes.append(Note("left-out", f"rows of {whole.shape[1]} where a method has no score: {told}{more}"))
    return tuple(notes)
