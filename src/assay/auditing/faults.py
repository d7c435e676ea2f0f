# SPDX-License-Identifier: Apache-2.0
"""Faults of the model itself and of its data, and what can be mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import narwhals as nw
import numpy as np

from assay import diagnose, repair
from assay.auditing.plan import Step
from assay.auditing.result_store import ResultStore
from assay.auditing.setting import Setting
from assay.basics.errors import AssayError, InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.cases.case import Case, case
from assay.cases.removals import content_fingerprint
from assay.engine.retraining.labelled_rows import truth
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import is_frame
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.records.record import NotRun, RepairRecord
from assay.nouns.results.result import Finding, Refusal, Repair


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, rows it has not seen, and what else is known: training rows, groups, the class that is good to get."""

    model: Model
    x: Any
    y: Any
    train: tuple[Any, Any] | None
    sensitive: Sequence[str] | Mapping[str, Any]
    favourable: str
    suspects: Sequence[str]
    setting: Setting
    seed: Seed

    @cached_property
    def held_out(self) -> Case:
        """All rows given, and no class asked about yet."""
        return case(self.model, self.x, label=None, seed=self.seed)

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The group of each row, by the name of the grouping."""
        return groups_of(self.x, self.sensitive)

    @cached_property
    def leant_on(self) -> Ints:
        """The rows that the shortcut test looks at: all, or the profile's number drawn by the seed."""
        rows, most = len(self.held_out), self.setting.profile.fault_rows
        drawn = self.seed.child("shortcut", "rows").generator().permutation(rows)[:most]
        return np.sort(drawn)


@dataclass(frozen=True)
class Diagnosis:
    """A test for faults: what it needs and lacks, what it asks for, and how it is made."""

    name: str
    lacks: Callable[[Subject], tuple[str, str]]
    cost: Callable[[Subject], Cost]
    made: Callable[[Subject], list[Finding]]
    exact: Callable[[Subject], bool] = lambda subject: True


def _needs_labels(subject: Subject) -> tuple[str, str]:
    return ("no true labels were given", "y=labels") if subject.y is None else ("", "")


def _needs_train(subject: Subject) -> tuple[str, str]:
    if subject.train is None or subject.y is None:
        return "no training rows with labels were given", "train=(rows, labels), y=labels"
    return "", ""


def _lacks_for_data(subject: Subject) -> tuple[str, str]:
    if len(subject.held_out.rows.shape) != 1:
        return "the rows are no table", "a table"
    return _needs_train(subject)


def _lacks_for_shortcut(subject: Subject) -> tuple[str, str]:
    if len(subject.held_out.rows.shape) != 1:
        return "the rows are no table", "a table"
    if subject.model.gives in ("values", "units"):
        return "the model is no classifier", "a classifier"
    if subject.train is None:
        return "without training rows nothing is known of what the model could have learnt", "train=(rows, labels)"
    return _needs_labels(subject)


def _lacks_for_disparity(subject: Subject) -> tuple[str, str]:
    if not subject.groups:
        return "no sensitive column was named", "sensitive=('sex',)"
    if subject.model.gives in ("values", "units"):
        return "the model is no classifier", "a classifier"
    if not (subject.favourable or subject.model.classes):
        return "the favourable class was not named", "favourable='…'"
    return "", ""


def _membership(subject: Subject) -> list[Finding]:
    assert subject.train is not None
    rows, labels = subject.train
    inside = case(subject.model, rows, target="loss", label=labels, seed=subject.seed)
    return diagnose.membership(inside, labels, subject.x, subject.y)


def _membership_cost(subject: Subject) -> Cost:
    assert subject.train is not None
    return Cost(len(subject.train[1]) + len(subject.held_out)) * subject.model.passes


def _data(subject: Subject) -> list[Finding]:
    assert subject.train is not None
    return diagnose.data(case(subject.model, subject.x, label=None, seed=subject.seed), subject.y, *subject.train)


def _data_cost(subject: Subject) -> Cost:
    return Cost(len(subject.held_out)) * subject.model.passes


def _shortcut(subject: Subject) -> list[Finding]:
    chosen = subject.leant_on
    asked = case(subject.model, subject.x, label=None, seed=subject.seed).take(chosen)
    asked = replace(asked, features=subject.setting.case.features)
    truth = np.asarray(subject.y)[chosen].tolist()
    return diagnose.shortcut(asked, truth, remove=subject.setting.remove, suspects=tuple(subject.suspects))


def _shortcut_cost(subject: Subject) -> Cost:
    parts, fills = len(subject.setting.case.features), subject.setting.remove.fills
    return Cost(1 + parts * fills + len(set(subject.suspects))) * (len(subject.leant_on) * subject.model.passes)


def _disparity(subject: Subject) -> list[Finding]:
    wanted = subject.favourable or subject.model.classes[-1]
    asked = case(subject.model, subject.x, label=wanted, seed=subject.seed)
    known = () if subject.y is None else tuple(np.asarray(subject.y).tolist())
    findings: list[Finding] = []
    for name, labels in subject.groups.items():
        found = diagnose.disparity(
            asked,
            labels,
            favourable=wanted,
            labels=known,
            remove=subject.setting.remove,
            rows=subject.setting.profile.group_rows,
            budget=_budget(subject),
        )
        findings += [replace(f, subject=name, claim=f"{name}: {f.claim}") for f in found]
    return findings


def _disparity_cost(subject: Subject) -> Cost:
    """Decisions and predictions of all rows, and the coalitions of two groups' rows for each grouping."""
    rows, fills = len(subject.held_out), subject.setting.remove.fills
    drawn = 2 * subject.setting.profile.group_rows
    each = rows + drawn * (2 + _budget(subject) * fills)
    return Cost(2 * rows + len(subject.groups) * each) * subject.model.passes


def _budget(subject: Subject) -> int:
    return subject.setting.profile.budget


DIAGNOSES = (
    Diagnosis("data", _lacks_for_data, _data_cost, _data),
    Diagnosis("shortcut", _lacks_for_shortcut, _shortcut_cost, _shortcut),
    Diagnosis("membership", _needs_train, _membership_cost, _membership),
    Diagnosis("disparity", _lacks_for_disparity, _disparity_cost, _disparity, lambda subject: False),
)


def refuse_early(subject: Subject) -> None:
    """Raise ``InputError`` for what would only be found after much work: labels, groups and names that do not fit."""
    model, rows = subject.model, len(subject.held_out)
    if subject.y is not None and len(subject.y) != rows:
        raise InputError(f"{len(subject.y)} labels for {rows} rows. Give one label a row.")
    if model.classes or model.gives == "values":
        for labels in (subject.y, *(subject.train[1:] if subject.train is not None else ())):
            if labels is not None:
                truth(model, labels, len(labels), np.empty((0, 0)))
    if subject.favourable and model.classes and subject.favourable not in model.classes:
        raise InputError(f"favourable={subject.favourable!r} is no class; there are {', '.join(model.classes[:8])}.")
    for name, labels in subject.groups.items():
        if len(labels) != rows:
            raise InputError(f"{len(labels)} groups of {name!r} for {rows} rows. Give one group a row.")
    columns = subject.setting.case.features.names
    strange = [name for name in subject.suspects if name not in columns]
    if strange:
        raise InputError(f"suspects names {strange[:5]}, which are not among the columns {list(columns[:8])}.")


def fault_steps(subject: Subject, recipe: Recipe | None) -> tuple[list[Step], list[NotRun]]:
    """The tests for faults that can be made, with their price, and those that cannot, with the reason."""
    steps, skipped = [], []
    for diagnosis in DIAGNOSES:
        missing, enable = diagnosis.lacks(subject)
        if missing:
            skipped.append(NotRun(f"diagnose.{diagnosis.name}", missing, enable))
        else:
            cost, exact = diagnosis.cost(subject), diagnosis.exact(subject)
            steps.append(Step("diagnose", diagnosis.name, "", {}, cost, exact))
    if recipe is not None and subject.y is not None:
        steps.append(Step("repair", "refit", "", {}, _repair_cost(subject, steps), exact=False))
    return steps, skipped


def _repair_cost(subject: Subject, steps: Sequence[Step]) -> Cost:
    """Two repairs at most, each with the accuracy of two models, the same tests, and one explanation judged twice."""
    rows, fills, budget = subject.setting.profile.rows, subject.setting.remove.fills, _budget(subject)
    again = sum((step.cost for step in steps), Cost(2 * len(subject.held_out)))
    return again * 2 + Cost(3 * rows * (4 + (2 * budget + 64) * fills))


def found_faults(
    subject: Subject, steps: Sequence[Step], result_store: ResultStore, tell: Callable[[int], None]
) -> tuple[list[Finding], list[Refusal]]:
    """Every planned test for faults, each kept in the ledger when it is done."""
    findings: list[Finding] = []
    refusals: list[Refusal] = []
    for place, step in enumerate(steps):
        if step.verb != "diagnose" or step.subject:
            continue
        tell(place)
        diagnosis = next(d for d in DIAGNOSES if d.name == step.method)
        outcome = result_store.once(step.key, _depends(subject, diagnosis), _attempt(diagnosis, subject, step))
        if isinstance(outcome, Refusal):
            refusals.append(outcome)
        else:
            findings += outcome
    return findings, refusals


def _attempt(diagnosis: Diagnosis, subject: Subject, step: Step) -> Callable[[], Any]:
    def make() -> Any:
        try:
            return diagnosis.made(subject)
        except AssayError as error:
            return Refusal(step.key, step.verb, str(error), type(error).__name__)

    return make


def _depends(subject: Subject, diagnosis: Diagnosis) -> dict[str, Any]:
    train = (
        () if subject.train is None else (content_fingerprint(subject.train[0]), _labels_fingerprint(subject.train[1]))
    )
    return {
        "model": subject.model.fingerprint,
        "rows": subject.held_out.rows.fingerprint,
        "labels": "" if subject.y is None else _labels_fingerprint(subject.y),
        "train": train,
        "groups": digest(subject.groups),
        "favourable": subject.favourable,
        "suspects": list(subject.suspects),
        "remove": subject.setting.remove.fingerprint,
        "parts": subject.setting.case.features.fingerprint,
        "rows drawn": [subject.setting.profile.group_rows, subject.setting.profile.fault_rows, _budget(subject)],
        "seed": [subject.seed.root, *subject.seed.path],
    }


def _labels_fingerprint(labels: Any) -> str:
    return digest([str(label) for label in np.asarray(labels).tolist()])


@dataclass(frozen=True, eq=False)
class Mended:
    """A mending and the repaired model."""

    repair_record: RepairRecord
    model: Model


Trust = Callable[[Model], list[Finding]]
"""Explains a model and judges the explanation."""


def mended(
    subject: Subject,
    recipe: Recipe,
    before: Sequence[Finding],
    steps: Sequence[Step],
    trust: Trust,
    judged: Callable[[Sequence[Finding]], list[Finding]],
    result_store: ResultStore,
) -> tuple[list[Mended], list[Refusal]]:
    """One repair for each kind of fault found, each followed by the same diagnoses on the repaired model.

    ``trust`` is asked about the model before and after, and ``judged`` holds all findings of one model together. Models
    are not stored: an audit that goes on trains again, and finds what followed in the ledger.
    """
    wanted = list(_wanted(subject, recipe, before))
    first = trust(subject.model) if wanted else []
    found: list[Mended] = []
    refused: list[Refusal] = []
    for options in wanted:
        named = f" {options}"
        refit = partial(repair.refit, subject.setting.case, recipe=recipe, held_out=(subject.x, subject.y), **options)
        try:
            made: Repair = result_store.anew(f"repair.refit{named}", refit)
        except AssayError as error:
            refused.append(Refusal(f"repair.refit{named}", "repair", str(error), type(error).__name__))
            continue
        after, _ = found_faults(replace(subject, model=made.model), steps, result_store, lambda place: None)
        repair_record = RepairRecord(
            method=made.method,
            change=made.change,
            meaning=made.meaning,
            measured_before=dict(made.before),
            measured_after=dict(made.after),
            before=tuple(judged([*before, *first])),
            after=tuple(judged([*after, *trust(made.model)])),
        )
        found.append(Mended(repair_record, made.model))
    return found, refused


def _wanted(subject: Subject, recipe: Recipe, before: Sequence[Finding]) -> list[dict[str, Any]]:
    failed = {finding.code for finding in before if finding.verdict == "fail"}
    wanted: list[dict[str, Any]] = []
    if failed & {"PRV101", "PRV102"} and recipe.regularises:
        wanted.append({"strength": 1.0})
    named: list[str] = []
    if is_frame(subject.x):
        known = nw.from_native(subject.x, eager_only=True).columns
        guilty = {f.subject for f in before if f.verdict == "fail" and f.code.startswith("FAI10")}
        named += [name for name in subject.sensitive if name in known and name in guilty]
    leaning = [f for f in before if f.verdict == "fail" and f.code in ("SHC201", "SHC202")]
    named += [str(f.evidence["column"]) for f in leaning if "column" in f.evidence]
    if named:
        wanted.append({"without": tuple(dict.fromkeys(named))})
    return wanted


def groups_of(x: Any, sensitive: Sequence[str] | Mapping[str, Any]) -> dict[str, list[str]]:
    """The group of each row as text, by the name of a column of ``x`` or of a mapping."""
    if isinstance(sensitive, Mapping):
        return {name: [str(v) for v in np.asarray(values).tolist()] for name, values in sensitive.items()}
    if not sensitive:
        return {}
    if not is_frame(x):
        raise InputError(
            "sensitive names columns of a data frame; for arrays give a mapping from name to one group a row."
        )
    frame = nw.from_native(x, eager_only=True)
    missing = [name for name in sensitive if name not in frame.columns]
    if missing:
        raise InputError(f"sensitive names {missing}, which are not among the columns {frame.columns[:8]}.")
    return {name: [str(value) for value in frame[name].to_list()] for name in sensitive}
