# SPDX-License-Identifier: Apache-2.0
"""Faults of the model itself, and what can be mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from assay import diagnose, repair
from assay.auditing.profile import Profile
from assay.cases.case import Case, case
from assay.cases.removals import Removal
from assay.model.model import Model
from assay.nouns.frames import is_frame
from assay.nouns.recipe import Recipe
from assay.nouns.record import Mending, NotRun
from assay.nouns.result import Finding
from assay.words.errors import InputError
from assay.words.seed import Seed


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, rows it has not seen, and what else is known: training rows, groups, the class that is good to get."""

    model: Model
    x: Any
    y: Any
    train: tuple[Any, Any] | None
    sensitive: Sequence[str] | Mapping[str, Any]
    favourable: str
    depth: Profile
    remove: Removal
    seed: Seed


def faults(subject: Subject) -> tuple[list[Finding], list[NotRun]]:
    """Membership and disparity findings, and what could not be tested."""
    leaks, leaks_skipped = _membership(subject)
    gaps, gaps_skipped = _disparity(subject)
    return [*leaks, *gaps], [*leaks_skipped, *gaps_skipped]


def _membership(subject: Subject) -> tuple[list[Finding], list[NotRun]]:
    if subject.train is None or subject.y is None:
        why, enable = "no training rows with labels were given", "train=(rows, labels), y=labels"
        return [], [NotRun("diagnose.membership", why, enable)]
    rows, labels = subject.train
    inside = case(subject.model, rows, target="loss", label=labels, seed=subject.seed)
    return diagnose.membership(inside, labels, subject.x, subject.y), []


def _disparity(subject: Subject) -> tuple[list[Finding], list[NotRun]]:
    model, groups = subject.model, _groups(subject.x, subject.sensitive)
    missing = ""
    if not groups:
        missing, enable = "no sensitive column was named", "sensitive=('sex',)"
    elif model.gives in ("values", "units"):
        missing, enable = "the model is no classifier", "a classifier"
    elif not (subject.favourable or model.classes):
        missing, enable = "the favourable class was not named", "favourable='…'"
    if missing:
        return [], [NotRun("diagnose.disparity", missing, enable)]
    wanted = subject.favourable or model.classes[-1]
    asked = case(model, subject.x, label=wanted, seed=subject.seed)
    known = () if subject.y is None else tuple(np.asarray(subject.y).tolist())
    findings: list[Finding] = []
    for name, labels in groups.items():
        found = diagnose.disparity(
            asked,
            labels,
            favourable=wanted,
            labels=known,
            remove=subject.remove,
            rows=subject.depth.group_rows,
            budget=subject.depth.explainers["shapley"]["budget"],
        )
        findings += [replace(f, subject=name, claim=f"{name}: {f.claim}") for f in found]
    return findings, []


def mended(
    subject: Subject, asked: Case, recipe: Recipe, before: list[Finding], trust: Callable[[Model], list[Finding]]
) -> list[Mending]:
    """One repair for each kind of fault found, each followed by the same diagnoses on the repaired model.

    ``trust`` explains a model and judges the explanation; it is asked about the model before and after.
    """
    failed = {finding.code for finding in before if finding.verdict == "fail"}
    wanted: list[dict[str, Any]] = []
    if failed & {"PRV101", "PRV102"} and recipe.regularises:
        wanted.append({"strength": 1.0})
    if any(code.startswith("FAI10") for code in failed) and is_frame(subject.x):
        known = nw.from_native(subject.x, eager_only=True).columns
        guilty = {f.subject for f in before if f.verdict == "fail" and f.code.startswith("FAI10")}
        columns = tuple(name for name in subject.sensitive if name in known and name in guilty)
        if columns:
            wanted.append({"without": columns})
    made = []
    judged = trust(subject.model) if wanted else []
    for options in wanted:
        mending = repair.refit(asked, recipe=recipe, held_out=(subject.x, subject.y), **options)
        after, _ = faults(replace(subject, model=mending.model))
        made.append(Mending(mending, (*before, *judged), (*after, *trust(mending.model))))
    return made


def _groups(x: Any, sensitive: Sequence[str] | Mapping[str, Any]) -> dict[str, list[str]]:
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
