# SPDX-License-Identifier: Apache-2.0
"""``assay audit``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError
from assay.cli.audit_flags import (
    NO_DATA_FLAGS,
    NO_DEPTH_FLAGS,
    NO_MODEL_FLAGS,
    DataFlags,
    DepthFlags,
    ModelFlags,
    command_text,
)

if TYPE_CHECKING:
    from assay.auditing.audit import PreparedAudit
    from assay.auditing.config import Config
    from assay.auditing.run import Run
    from assay.model.model import Model


def audit(
    model: str = "",
    /,
    *,
    files: ModelFlags = NO_MODEL_FLAGS,
    rows: DataFlags = NO_DATA_FLAGS,
    depth: DepthFlags = NO_DEPTH_FLAGS,
    resume: bool = False,
    config: Path | None = None,
    title: str = "",
    format: Literal["text", "json", "html", "md", "junit"] = "text",
    dry_run: bool = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Audit a model on data, and write results and a page.

    What is not given here is read from assay.toml (or [tool.assay] of pyproject.toml) in this folder. Finished steps
    are saved in the store: the same command continues where an earlier one stopped. Lists are separated by commas.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model (the file is run: give code you trust).
    resume
        Continue from the store, as by default, and fail where the store is empty.
    config
        The file to read instead of assay.toml.
    title
        Title of the page; by default the name of the model.
    format
        What is printed: text, json, html, md or junit.
    dry_run
        Print the planned steps and model evaluations, and stop.
    quiet
        Print no progress.
    """
    from assay.auditing.config import find_config_file, load_config

    given = {"model": {"file": model, **files.settings()}, "data": rows.settings(), **depth.settings()}
    settings = load_config(config, given)
    origins = dict.fromkeys(settings.thresholds, "assay.toml") | dict.fromkeys(given["thresholds"], "--threshold")
    repeated = command_text(model, (files, rows, depth), title, config or find_config_file())
    texts = AuditTexts(title, origins, repeated)
    return run_audit(settings, format=format, resume=resume, dry_run=dry_run, quiet=quiet, texts=texts)


@dataclass(frozen=True)
class AuditTexts:
    """The title of the page, the origins of the thresholds by code, and the command that repeats the audit."""

    title: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    reproduce: str = ""


def run_audit(
    config: Config,
    *,
    format: Literal["text", "json", "html", "md", "junit"],
    resume: bool,
    dry_run: bool,
    quiet: bool,
    texts: AuditTexts,
) -> int:
    """Run the audit of a configuration; returns the gate's exit code."""
    from assay.auditing.gate import evaluate_gate
    from assay.cli.output_formats import format_run, print_format
    from assay.cli.printing import print_plan, print_summary

    store = Path(config.audit.store)
    if resume and not any(store.rglob("*.assay")):
        raise InputError(f"there is nothing to resume in {store}. Run the audit without --resume, or give its --store.")
    prepared = prepare_from_config(config)
    if not any(step.verb != "explain" for step in prepared.plan.steps):
        return report_nothing_selected(prepared)
    if dry_run:
        print_plan(prepared.plan)
        return 0
    run = run_prepared(prepared, config, quiet=quiet, texts=texts)
    out = Path(config.audit.out)
    run.save(out)
    gate = evaluate_gate(run, fail_on=config.audit.fail_on, require=config.audit.require, ignore=config.audit.ignore)
    if format == "text":
        print_summary(run, gate, out)
    else:
        print_format(format_run(run, format), format)
    return gate.exit


def run_prepared(
    prepared: PreparedAudit,
    config: Config,
    *,
    quiet: bool,
    texts: AuditTexts,
) -> Run:
    """Run a prepared audit with the settings of a configuration, and report its progress."""
    from assay.auditing.steps.execution import no_progress
    from assay.cli.printing import print_header
    from assay.cli.terminal.progress import meter_progress

    if not quiet:
        print_header(prepared)
    with meter_progress(prepared.inputs.model.meter, "", quiet=quiet) as progress:
        return prepared.run(
            level=config.audit.level,
            thresholds=config.thresholds,
            threshold_origins=texts.origins,
            reproduce=texts.reproduce,
            waivers=config.waivers,
            title=texts.title,
            store=Path(config.audit.store),
            progress=no_progress if quiet else progress,
        )


def prepare_from_config(config: Config) -> PreparedAudit:
    """The planned audit with its cost; reads the files and does not evaluate the model."""
    from assay.auditing.audit import prepare
    from assay.cli.read_rows import DataFiles

    data, file = config.data, config.model.file
    if not file or not data.test:
        missing = " and ".join(w for w, there in (("a model", file), ("--data FILE", data.test)) if not there)
        raise InputError(
            f"{missing} must be given: assay audit MODEL --data FILE --target COLUMN\n"
            f"or in assay.toml; create one with: assay init DATA --target COLUMN"
        )
    _require_labels(config)
    model = _model(config)
    files = DataFiles.of(model, data.test, data.train, data.background, *data.concepts.values())
    table = files.read(Path(data.test), data.target, data.ids)
    seen = () if model.encode is not None else model.columns
    unused = [name for name in data.sensitive if seen is not None and name not in seen]
    groups: Any = {name: table.column(name) for name in data.sensitive} if unused else data.sensitive
    excluded = [*unused, *([data.ids] if data.ids else [])]
    train = files.read(Path(data.train), data.target).without(excluded) if data.train else None
    other = files.read(Path(data.background)).without([*excluded, data.target]) if data.background else None
    background = None if other is None else other.model_rows(model, data.text)
    shown = {
        name: files.read(Path(path)).without([*excluded, data.target]).model_rows(model, data.text)
        for name, path in data.concepts.items()
    }
    return prepare(
        model,
        table.without(unused).model_rows(model, data.text),
        table.labels,
        train=None if train is None else (train.model_rows(model, data.text), train.labels),
        background=background,
        sensitive=groups,
        concepts=shown,
        ids=table.ids,
        **_audit_arguments(config, background),
    )


def _audit_arguments(config: Config, background: Any) -> dict[str, Any]:
    """The arguments of an audit that are no rows."""
    from assay.cli.audit_flags import method_options, profile_options
    from assay.cli.options import ball as ball_of
    from assay.model.files.user_code import load_recipe

    data, audit = config.data, config.audit
    return {
        "favourable": data.favourable,
        "suspects": data.suspects,
        "recipe": load_recipe(config.model.recipe) if config.model.recipe else None,
        "ball": ball_of(audit.ball) if audit.ball else None,
        "target": audit.ask or None,
        "label": audit.label or None,
        "profile": audit.profile,
        "methods": method_options("explain", audit.methods, config.methods, background),
        "scores": method_options("evaluate", audit.scores, config.scores, background),
        "options": profile_options(config, background),
        "settings_grid": audit.settings_grid,
        "select": audit.select,
        "ignore": audit.ignore,
        "seed": audit.seed,
    }


def _require_labels(config: Config) -> None:
    data = config.data
    if data.train and not data.target:
        raise InputError(f"--train {data.train} needs --target COLUMN: the tests on training rows need their labels.")
    if config.model.recipe and not data.target:
        raise InputError("--recipe needs --target COLUMN: a repair is evaluated on held-out rows with their labels.")


def _model(config: Config) -> Model:
    from assay.model.files.load import load_model

    section = config.model
    return load_model(
        section.file,
        architecture=section.architecture,
        classes=section.classes or None,
        output=section.output or None,
        trust=section.trust,
        unsafe_pickle=section.unsafe_pickle,
    )


def report_nothing_selected(prepared: PreparedAudit) -> int:
    """Report that no check is selected, and why; exit code 5."""
    from assay.auditing.gate import NOTHING
    from assay.cli.printing import describe_not_run

    lines = ["nothing selected: no check is left to run. See the codes with: assay list checks"]
    skipped = [item for item in prepared.plan.skipped if item.what.startswith(("diagnose.", "attack.", "certify."))]
    lines += [f"  {describe_not_run(item)}" for item in skipped]
    sys.stderr.write("\n".join(lines) + "\n")
    return NOTHING
