# SPDX-License-Identifier: Apache-2.0
"""Backdoors: whether a small patch sends pictures of every class to one class, and which training rows carry it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.samples.trigger_limits import clearest_trigger, smallness, trigger_contrasts
from assay.basics.stats import Basis, Interval, clopper_pearson
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.poisoning.carriers import CORE, Carriers, find_carriers
from assay.engine.poisoning.triggers import TriggerOptions, Triggers, reconstruct_triggers
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.label_randomisation import with_model
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_FACTOR, NETS, MOST_CLASSES, LEAST_ROWS = 1.5, 10, 20, 20
"""Default threshold, clean models of the null, classes that are searched, and the fewest rows."""

BACKDOOR = Check(
    "DAT401",
    "Does a patch much smaller than elsewhere send pictures of every class to one class?",
    "Look at the training rows that carry the trigger, remove them and train again (repair.refit), and audit again; "
    "a model from elsewhere whose training rows are unknown should not be used.",
    math.log(MAX_FACTOR),
    "at most",
    severe=math.log(2.5),
)

MEANING = (
    "ln of how many times smaller the smallest trigger of one class is than expected: from the other classes of the "
    "model and, with a recipe, from models that the recipe trains. 0 without a backdoor. A trigger is a patch that "
    "sends nine in ten rows to the class wherever they come from; every class has one, and a backdoor makes it small. "
    "A class that a small mark really shows (a dot, a logo) looks the same. Triggers that cover the whole picture, "
    "that depend on the picture, or that act on rows of one class only are not found."
)
ADVICE = {
    "pass": "No action needed on this evidence; a trigger that covers the whole picture would not be found.",
    "fail": BACKDOOR.remedy,
    "undecided": "Give a recipe, whose models say how small a trigger is without a backdoor, or more of them (nets=…); "
    "the interval contains the threshold.",
}


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The search in the model and in each model of the recipe; the training rows of a class twice."""
    given = inputs.options.get("backdoor", {})
    search = TriggerOptions(given.get("steps", 60), given.get("search_rows", 64))
    most = given.get("most_classes", MOST_CLASSES)
    classes, rows = min(len(inputs.model.classes) or most, most), len(inputs.case)
    models = 1 + (0 if inputs.recipe is None else given.get("nets", NETS))
    training = 0 if inputs.train is None else 2 * len(inputs.train[1])
    searched = TriggerOptions(search.steps, min(search.rows, rows // 2))
    total = (searched.cost(classes, rows - searched.rows) + Cost(rows)) * models + Cost(training)
    return total * inputs.model.passes_per_row


@diagnostic(
    source="wang2019",
    needs={"classes", "gradient", "numbers", "image"},
    optional={"recipe", "train"},
    checks=(BACKDOOR,),
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def backdoor(
    case: Case,
    train: Any = None,
    train_labels: Any = None,
    recipe: Recipe | None = None,
    *,
    nets: int = NETS,
    trusted: Any = None,
    steps: int = 60,
    search_rows: int = 64,
    penalty: float = 0.01,
    success: float = 0.9,
    most_classes: int = MOST_CLASSES,
    factor: float = MAX_FACTOR,
    level: float = 0.95,
) -> list[Finding]:
    """How many times smaller the smallest trigger of one class is than that of a class without a backdoor.

    Trigger reconstruction (Neural Cleanse): for each class, mask m and pattern p that minimise the cross-entropy of the
    class at (1 − m) x + m p plus a penalty times Σ m, by ``steps`` steps of Adam on ``search_rows`` rows. The penalty
    begins at ``penalty``; it rises by 1.3 while the trigger sends the share ``success`` of the rows to the class, and
    falls else. The smallest mask that does counts, if it also sends at least half of the rows of other classes that
    were not searched on; the Clopper–Pearson interval of that share is in the evidence. Of more than ``most_classes``
    classes as many are drawn by the seed.

    DAT401: ln of the factor, for the class of the largest lower limit; at most ln ``factor``. Two comparisons, each a
    Student prediction interval corrected for both and for the classes: the mean log size of the other classes; with a
    ``recipe``, how much smaller the class is than the median class in ``nets`` models that the recipe trains with other
    seeds. These see which classes have small triggers anyway. The recipe's rows must be clean for that; where they hold
    the poison, only the first comparison can show it. ``trusted`` (rows, labels) are trained on instead. Without a
    recipe hardly any model passes.

    With ``train`` and ``train_labels``, ``rows`` are the training rows of the class that carry the trigger, the nearest
    to it first: Σ m |x − p| is at most twice the median of the rows that the model gives another class once the
    trigger's pixels are filled from around them. Named where the check fails.

    The evidence has the anomaly index of the paper, (median − size) / (1.4826 · MAD), which calls a class at 2; clean
    models reach 1.8. It trains ``nets`` models.
    """
    options = TriggerOptions(steps, min(search_rows, len(case) // 2), penalty, success)
    _check(options, nets, most_classes, factor, level, search_rows)
    if len(case) < LEAST_ROWS:
        return [_too_few(case)]
    searched, judging = np.split(case.seed.child("backdoor").generator().permutation(len(case)), [options.rows])
    labels = _labels(case, most_classes)
    own = reconstruct_triggers(case, searched, np.sort(judging), labels, options)
    null = [
        reconstruct_triggers(one, searched, np.sort(judging), labels, options).logs
        for one in _clean_cases(case, recipe, nets, trusted)
    ]
    found = _Found(case, own, np.array(null).reshape(len(null), len(labels)), level)
    carriers = None
    if train is not None and train_labels is not None and len(labels) > 1:
        carriers = find_carriers(case, train, train_labels, own.artefact(found.place), found.label)
    return [_finding(found, carriers, math.log(factor))]


def _check(options: TriggerOptions, nets: int, classes: int, factor: float, level: float, rows: int) -> None:
    """``InputError`` for options out of range."""
    if not (0 < level < 1 and 1 <= factor < float("inf") and nets >= 2 and classes >= 2):
        raise InputError(
            f"level={level}, factor={factor}, nets={nets}, most_classes={classes}; needed are level in (0, 1), factor "
            f"≥ 1, nets ≥ 2 and most_classes ≥ 2."
        )
    TriggerOptions(options.steps, rows, options.penalty, options.success).check()


def _labels(case: Case, most: int) -> Ints:
    """The classes that are searched."""
    classes = max(2, case.prediction.shape[1])
    drawn = case.seed.child("backdoor", "classes").generator().permutation(classes)[:most]
    return np.sort(drawn)


def _clean_cases(case: Case, recipe: Recipe | None, nets: int, trusted: Any) -> list[Case]:
    """The rows in models that the recipe trains with other seeds, on its own rows or on trusted ones."""
    if recipe is None:
        if trusted is not None:
            raise InputError("trusted rows are for a recipe to train on; give recipe=assay.Recipe(fit, x, y), too.")
        return []
    if trusted is not None:
        require_pair("trusted", trusted)
    x, y = (recipe.x, recipe.y) if trusted is None else trusted
    seeds = [case.seed.child("backdoor", "clean", number) for number in range(nets)]
    return [with_model(case, comparable_model(case, recipe.train(x, y, seed))) for seed in seeds]


@dataclass(frozen=True, eq=False)
class _Found:
    """The triggers of the model, and the log sizes (model, class) of the clean ones."""

    case: Case
    own: Triggers
    null: Floats
    level: float

    @property
    def chosen(self) -> tuple[int, int]:
        """The comparison and the class of the largest lower limit."""
        return clearest_trigger(self.own.logs, self.null, self.level)

    @property
    def place(self) -> int:
        return self.chosen[1]

    @property
    def label(self) -> int:
        """The class as the model counts it."""
        return int(self.own.labels[self.place])

    @property
    def estimate(self) -> float:
        source, place = self.chosen
        return float(trigger_contrasts(self.own.logs, self.null, self.level)[0][source, place])

    @property
    def rate(self) -> Interval:
        """Limits of the share of rows that the trigger sends to the class."""
        return clopper_pearson(int(self.own.hits[self.place]), int(self.own.trials[self.place]), self.level)

    def name(self, label: int) -> str:
        return self.case.model.classes[label] if self.case.model.classes else str(label)

    def null_interval(self) -> Interval | None:
        """Where the largest factor lies among the clean models, each compared with the others."""
        if len(self.null) < 3:
            return None
        known = smallness(self.null)
        left = [known[place] - np.delete(known, place, axis=0).mean(axis=0) for place in range(len(known))]
        largest = np.stack(left).max(axis=1)
        return Interval(float(largest.min()), float(largest.max()), 1.0, f"range over {len(known)} clean models")


def _finding(found: _Found, carriers: Carriers | None, limit: float) -> Finding:
    case, place = found.case, found.place
    source, hits, trials = found.chosen[0], int(found.own.hits[place]), int(found.own.trials[place])
    name, limits = found.name(found.label), found.rate
    size = float(np.exp(found.own.logs[place]))
    carried = np.empty(0, dtype=np.int64) if carriers is None else carriers.clearest()
    finding = judged_finding(
        BACKDOOR,
        Basis("triggers", {"own": found.own.logs, "null": found.null}),
        found.level,
        limit,
        ADVICE,
        claim=(
            f"The smallest trigger of `{name}` covers {size:.1f} pixels, {np.exp(found.estimate):.2g} times less than "
            f"{'clean models' if source else 'the other classes'} lead one to expect; pasted into {trials} other "
            f"rows it sends {hits} to `{name}` [{limits.low:.0%}, {limits.high:.0%}]."
        ),
        subject=case.model.name,
        estimate=found.estimate,
        null=0.0,
        null_interval=found.null_interval(),
        n=trials,
        meaning=MEANING,
        affected=hits / max(trials, 1),
        evidence=_evidence(found, carriers),
    )
    if finding.verdict != "fail":
        return finding
    return replace(finding, rows=tuple(str(row) for row in carried[:MAX_ROWS]), rows_of="train")


def _evidence(found: _Found, carriers: Carriers | None) -> dict[str, Any]:
    own, place = found.own, found.place
    sizes = np.exp(own.logs)
    spread = 1.4826 * float(np.median(np.abs(sizes - np.median(sizes))))
    mask = own.masks[place]
    pixels = [f"{row}/{column}" for row, column in np.argwhere(mask >= CORE * mask.max())[:64].tolist()]
    trained = {} if carriers is None else {
        "training rows of the class": len(carriers.places),
        "training rows that carry it": int(carriers.carry.sum()),
    }  # fmt: skip
    return {
        "class": found.name(found.label),
        "compared with": "clean models" if found.chosen[0] else "the other classes",
        "success of the trigger": [found.rate.low, found.rate.high],
        "anomaly index": float((np.median(sizes) - sizes[place]) / spread) if spread > 0 else None,
        "trigger pixels": pixels,
        "sizes of the triggers": {found.name(int(label)): float(one) for label, one in zip(own.labels, sizes)},
        "clean models": len(found.null),
        **trained,
    }


def _too_few(case: Case) -> Finding:
    return Finding(
        BACKDOOR.code,
        "not run",
        f"{len(case)} rows are too few to search triggers and to judge them; at least {LEAST_ROWS} are needed.",
        case.model.name,
        n=len(case),
        meaning=MEANING,
        advice=f"Give at least {LEAST_ROWS} rows; a hundred are better.",
    )
