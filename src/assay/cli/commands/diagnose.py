# SPDX-License-Identifier: Apache-2.0
"""``assay diagnose``: every diagnosis of the catalogue, called with what the flags say about the model."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import AssayError, InputError
from assay.cli.concept_files import NO_CONCEPT_FLAGS, ConceptFlags
from assay.cli.request import Request

if TYPE_CHECKING:
    from assay.cli.read_rows import DataTable
    from assay.engine.audit_inputs import AuditInputs
    from assay.model.model import Model
    from assay.nouns.catalogue import Cost, Method


def diagnose(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    concepts: ConceptFlags = NO_CONCEPT_FLAGS,
    train: Path | None = None,
    sensitive: tuple[str, ...] = (),
    favourable: str = "",
    suspects: tuple[str, ...] = (),
    other: tuple[str, ...] = (),
    recipe: str = "",
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    clusters: str = "",
    ball: str = "",
) -> int:
    """Run one diagnosis of the model. What a diagnosis needs: assay show METHOD.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The diagnosis. See: assay list diagnose.
    train
        File of rows the model was trained on, with their labels.
    sensitive
        Columns whose groups are compared.
    favourable
        The class that is good to get; by default the last one.
    suspects
        Columns that should not change a decision.
    other
        The model trained on shifted data, read as the model is; may be repeated.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe: how the model was trained.
    explanation
        A saved explanation of the same rows.
    of
        The method that computes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    clusters
        Column that names the rows that belong together; the models do not see it.
    ball
        How far inputs may be moved: linf:0.03 or l2:1, with bounds linf:0.03:0:1.
    """
    from assay.cli.options import split
    from assay.cli.printing import print_findings
    from assay.cli.request import method_of
    from assay.cli.terminal.progress import meter_progress
    from assay.engine.audit_inputs import INPUTS, call_on_inputs
    from assay.nouns.records.jsonable import to_jsonable

    chosen = method_of("diagnose", method)
    if {"explanations", "scores"} & {*chosen.parameters}:
        raise InputError(f"diagnose {method} tests the explanations of an audit; run assay audit.")
    flags = _Flags(train, split(sensitive), favourable, split(suspects), other, recipe, explanation, of, of_option)
    flags = replace(flags, clusters=clusters, ball=ball, concepts=concepts)
    _refuse_unread(chosen, flags.given())
    loaded, request = request.open(model, flags.train, *concepts.paths)
    request = replace(request, hidden=_hidden(loaded, request.ids, flags.sensitive, clusters))
    inputs = _inputs(chosen, request, loaded, flags)
    absent = _missing(chosen, inputs, flags)
    if absent:
        raise InputError(f"diagnose {method} needs {INPUTS[absent].description}: {INPUTS[absent].flag}.")
    if "explanation" in chosen.needs:
        inputs = _explained(inputs, request, flags)
    with meter_progress(loaded.meter, f"diagnose.{chosen.name}", _planned_cost(chosen, inputs), request.quiet):
        findings = call_on_inputs(chosen, inputs)
    if request.format == "json":
        plain = [to_jsonable(replace(finding, basis=None)) for finding in findings]
        sys.stdout.write(dumps(plain, indent=1, allow_nan=False) + "\n")
    else:
        print_findings(findings)
    return 1 if any(finding.verdict == "fail" for finding in findings) else 0


@dataclass(frozen=True, eq=False)
class _Flags:
    """What the command line says about the model under audit."""

    train: Path | None
    sensitive: tuple[str, ...]
    favourable: str
    suspects: tuple[str, ...]
    other: tuple[str, ...]
    recipe: str
    explanation: Path | None
    of: str
    of_option: tuple[str, ...]
    clusters: str = ""
    ball: str = ""
    concepts: ConceptFlags = NO_CONCEPT_FLAGS

    def given(self) -> dict[str, str]:
        """The input that each flag given is for, by flag."""
        inputs = {
            "--train": ("train", self.train),
            "--favourable": ("favourable", self.favourable),
            "--suspects": ("suspects", self.suspects),
            "--other": ("other_models", self.other),
            "--recipe": ("recipe", self.recipe),
            "--explanation": ("explanation", self.explanation),
            "--of": ("explanation", self.of),
            "--of-option": ("explanation", self.of_option),
            "--clusters": ("clusters", self.clusters),
            "--ball": ("ball", self.ball),
        }
        return {flag: name for flag, (name, value) in inputs.items() if value not in (None, "", ())}


def _refuse_unread(method: Method, given: Mapping[str, str]) -> None:
    """Refuse a flag that the diagnosis does not read."""
    unread = [flag for flag, name in given.items() if name not in method.needs | method.optional]
    if unread:
        raise InputError(f"diagnose {method.name} does not read {', '.join(unread)}; leave it out.")


def _inputs(method: Method, request: Request, model: Model, flags: _Flags) -> AuditInputs:
    from assay.basics.seed import Seed
    from assay.cli.options import ball as ball_of
    from assay.cli.request import recipe_of
    from assay.engine.audit_inputs import AuditInputs

    whole = request.table()
    table = whole.without(request.hidden)
    shown = flags.concepts.options(method, request)
    train = None if flags.train is None else request.files.read(flags.train, request.target).without(request.hidden)
    return AuditInputs(
        model=model,
        x=request.model_rows(table),
        labels=table.labels,
        train=None if train is None else (request.model_rows(train), train.labels),
        background=request.other_rows(request.background),
        groups={name: whole.column(name) for name in flags.sensitive},
        favourable=flags.favourable,
        suspects=flags.suspects,
        recipe=recipe_of(method, flags.recipe) if flags.recipe else None,
        other_models=tuple(request.model(place) for place in flags.other),
        clusters=_clusters(whole, flags.clusters) if flags.clusters else None,
        ball=ball_of(flags.ball) if flags.ball else None,
        concepts=shown.pop("concepts", {}),
        options={method.name: request.options(method) | shown},
        ids=table.ids,
        target=request.ask or None,
        seed=Seed(request.seed),
    )


def _missing(method: Method, inputs: AuditInputs, flags: _Flags) -> str:
    """The first input that the diagnosis needs and no flag gives; empty where all are given."""
    from assay.engine.audit_inputs import INPUTS

    for name in (name for name in INPUTS if name in method.needs):
        is_given = bool(flags.explanation or flags.of) if name == "explanation" else INPUTS[name].is_given(inputs)
        if not is_given:
            return name
    return ""


def _planned_cost(method: Method, inputs: AuditInputs) -> Cost | None:
    """The most that the diagnosis can cost; ``None`` where it is unknown, or the diagnosis is refused."""
    try:
        return None if method.audit_cost is None else method.audit_cost(inputs)
    except AssayError:  # the diagnosis itself raises it
        return None


def _explained(inputs: AuditInputs, request: Request, flags: _Flags) -> AuditInputs:
    """The inputs with the case of the request and the explanation that the flags name."""
    from assay.cli.request import explanation_of

    case = inputs.ask(label=request.label)
    explanation = explanation_of(request, case, flags.explanation, flags.of, flags.of_option)
    return replace(inputs, explained=case, explanation=explanation)


def _hidden(model: Model, ids: str, sensitive: Sequence[str], clusters: str) -> tuple[str, ...]:
    """Columns that the model does not see: sensitive ones that it does not take, names of rows and of clusters."""
    seen = () if model.encode is not None else model.columns
    unknown = [name for name in sensitive if seen is not None and name not in seen]
    return (*unknown, *filter(None, (ids, clusters)))


def _clusters(table: DataTable, name: str) -> list[str]:
    """The cluster of each row; a row without one is refused, since all such rows would form a cluster."""
    given = table.column(name)
    missing = [place for place, value in enumerate(given) if _is_missing(value)]
    if missing:
        rows = ", ".join(map(str, missing[:5]))
        raise InputError(
            f"{table.path}: column {name!r} is empty in {len(missing)} row(s), such as {rows}; name them all."
        )
    return list(map(str, given))


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)
