# SPDX-License-Identifier: Apache-2.0
"""``assay audit``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.auditing.audit import PreparedAudit
    from assay.auditing.config import Config
    from assay.model.model import Model


def audit(
    model: str = "",
    /,
    *,
    data: Path | None = None,
    target: str = "",
    train: Path | None = None,
    background: Path | None = None,
    architecture: str = "",
    recipe: str = "",
    output: str = "",
    classes: tuple[str, ...] = (),
    trust: tuple[str, ...] = (),
    unsafe_pickle: bool = False,
    sensitive: tuple[str, ...] = (),
    favourable: str = "",
    suspects: tuple[str, ...] = (),
    ids: str = "",
    text: str = "",
    profile: Literal["", "quick", "standard", "deep"] = "",
    methods: tuple[str, ...] = (),
    scores: tuple[str, ...] = (),
    settings_grid: bool | None = None,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    level: float | None = None,
    seed: int | None = None,
    store: Path | None = None,
    resume: bool = False,
    out: Path | None = None,
    config: Path | None = None,
    format: Literal["text", "json", "html", "md", "junit"] = "text",
    fail_on: Literal["", "fail", "undecided", "never"] = "",
    require: tuple[str, ...] = (),
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
    data
        File of rows the model was not trained on: .csv, .parquet, .feather, .jsonl, .npy or .npz.
    target
        Column of the data (and of --train) that holds the true labels.
    train
        File of rows the model was trained on; enables the checks of membership, shortcuts and the train/test split.
    background
        File of background rows, which replace removed features; by default the training rows.
    architecture
        FILE.py:FUNCTION that returns the untrained net whose weights the model file holds.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe, how the model was trained; enables repairs of failed checks.
    output
        What the model's scores are: logits, margin, probabilities or values.
    classes
        Names of the classes, in the order of the outputs.
    trust
        A further type that a skops file may name.
    unsafe_pickle
        Allow pickles, whose code is run. Only for files you trust.
    sensitive
        Columns whose groups are compared; those that the model does not use are removed from its rows.
    favourable
        The favourable class; by default the last one.
    suspects
        Columns that should not affect decisions.
    ids
        Column of row ids; it is not given to the model.
    text
        Column of texts, for a model that reads text; by default the only such column.
    profile
        quick, standard (the default) or deep.
    methods
        Explainers to use instead of the profile's, such as shapley or tree_shapley.
    scores
        Scores to use instead of the profile's, such as deletion or morf.
    settings_grid
        Also rank the explanations under other removals, targets, steps and signs; by default in profile deep.
    select
        Beginnings of check codes, such as SAN or SAN1: only these checks run.
    ignore
        Beginnings of check codes that are left out.
    level
        Joint confidence level of all verdicts; 0.95 by default.
    seed
        Seed of all random draws; 0 by default.
    store
        Folder that stores finished steps; .assay/store by default.
    resume
        Continue from the store, as by default, and fail where the store is empty.
    out
        Folder for results and page; audit by default.
    config
        The file to read instead of assay.toml.
    format
        What is printed: text, json, html, md or junit.
    fail_on
        The mildest verdict that fails: fail (the default), undecided or never.
    require
        Beginnings of check codes that must have run.
    dry_run
        Print the planned steps and model evaluations, and stop.
    quiet
        Print no progress.
    """
    from assay.auditing.config import load_config
    from assay.cli.options import split

    given: dict[str, dict[str, Any]] = {
        "model": {
            "file": model,
            "architecture": architecture,
            "recipe": recipe,
            "output": output,
            "classes": split(classes),
            "trust": split(trust),
            "unsafe_pickle": unsafe_pickle or None,
        },
        "data": {
            "test": _text(data),
            "train": _text(train),
            "background": _text(background),
            "target": target,
            "ids": ids,
            "text": text,
            "sensitive": split(sensitive),
            "favourable": favourable,
            "suspects": split(suspects),
        },
        "audit": {
            "profile": profile,
            "methods": split(methods),
            "scores": split(scores),
            "settings_grid": settings_grid,
            "select": split(select),
            "ignore": split(ignore),
            "level": level,
            "seed": seed,
            "store": _text(store),
            "out": _text(out),
            "fail_on": fail_on,
            "require": split(require),
        },
    }
    settings = load_config(config, given)
    return run_audit(settings, format=format, resume=resume, dry_run=dry_run, quiet=quiet)


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def run_audit(
    config: Config,
    *,
    format: Literal["text", "json", "html", "md", "junit"],
    resume: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Run the audit of a configuration; returns the gate's exit code."""
    from assay.auditing.gate import evaluate_gate
    from assay.auditing.steps.execution import no_progress
    from assay.cli.output_formats import format_run
    from assay.cli.printing import print_header, print_plan, print_summary
    from assay.cli.progress import ProgressLine

    store = Path(config.audit.store)
    if resume and not any(store.rglob("*.assay")):
        raise InputError(f"there is nothing to resume in {store}. Run the audit without --resume, or give its --store.")
    prepared = prepare_from_config(config)
    if not any(step.verb != "explain" for step in prepared.plan.steps):
        return report_nothing_selected(prepared)
    if dry_run:
        print_plan(prepared.plan)
        return 0
    if not quiet:
        print_header(prepared)
    run = prepared.run(
        level=config.audit.level, waivers=config.waivers, store=store, progress=no_progress if quiet else ProgressLine()
    )
    out = Path(config.audit.out)
    run.save(out)
    gate = evaluate_gate(run, fail_on=config.audit.fail_on, require=config.audit.require, ignore=config.audit.ignore)
    if format == "text":
        print_summary(run, gate, out)
    else:
        sys.stdout.write(format_run(run, format))
    return gate.exit


def prepare_from_config(config: Config) -> PreparedAudit:
    """The planned audit with its cost; reads the files and does not evaluate the model."""
    from assay.auditing.audit import prepare
    from assay.cli.read_rows import DataFiles
    from assay.model.files.user_code import load_recipe

    data, file = config.data, config.model.file
    if not file or not data.test:
        missing = " and ".join(w for w, there in (("a model", file), ("--data FILE", data.test)) if not there)
        raise InputError(
            f"{missing} must be given: assay audit MODEL --data FILE --target COLUMN\n"
            f"or in assay.toml; create one with: assay init DATA --target COLUMN"
        )
    _require_labels(config)
    model = _model(config)
    files = DataFiles.of(model, data.test, data.train, data.background)
    table = files.read(Path(data.test), data.target, data.ids)
    seen = () if model.encode is not None else model.columns
    unused = [name for name in data.sensitive if seen is not None and name not in seen]
    groups: Any = {name: table.column(name) for name in data.sensitive} if unused else data.sensitive
    excluded = [*unused, *([data.ids] if data.ids else [])]
    train = files.read(Path(data.train), data.target).without(excluded) if data.train else None
    other = files.read(Path(data.background)).without([*excluded, data.target]) if data.background else None
    return prepare(
        model,
        table.without(unused).model_rows(model, data.text),
        table.labels,
        train=None if train is None else (train.model_rows(model, data.text), train.labels),
        background=None if other is None else other.model_rows(model, data.text),
        sensitive=groups,
        favourable=data.favourable,
        suspects=data.suspects,
        recipe=load_recipe(config.model.recipe) if config.model.recipe else None,
        ids=table.ids,
        profile=config.audit.profile,
        methods=config.audit.methods,
        scores=config.audit.scores,
        settings_grid=config.audit.settings_grid,
        select=config.audit.select,
        ignore=config.audit.ignore,
        seed=config.audit.seed,
    )


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
