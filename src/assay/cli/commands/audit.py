# SPDX-License-Identifier: Apache-2.0
"""``assay audit``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.auditing.audit import Prepared
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
    are kept in the store: the same command goes on where an earlier one stopped. Lists take commas.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model (the file is run: give code you trust).
    data
        File of rows the model was not trained on: .csv, .parquet, .feather, .jsonl, .npy or .npz.
    target
        Column of the data (and of --train) that holds the true labels.
    train
        File of rows the model was trained on; enables the tests for membership, shortcuts and faults of the split.
    background
        File of rows that stand in for columns taken away; by default the training rows.
    architecture
        FILE.py:FUNCTION that returns the untrained net whose weights the model file holds.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe, how the model was trained; what fails is then mended.
    output
        What the model's scores are: logits, margin, probabilities or values.
    classes
        Names of the classes, in the order of the outputs.
    trust
        A further type that a skops file may name.
    unsafe_pickle
        Let the code in a pickle run. Only for files you trust.
    sensitive
        Columns whose groups are compared; those that the model does not know are taken out of its rows.
    favourable
        The class that is good to get; by default the last one.
    suspects
        Columns that should not sway a decision.
    ids
        Column that names the rows; the model does not see it.
    profile
        quick, standard (the default) or deep.
    methods
        Explanations to make instead of the profile's, such as shapley or tree_shapley.
    scores
        Scores to make instead of the profile's, such as deletion or morf.
    settings_grid
        Rank the explanations under other removals, targets, steps and signs, too; by default in profile deep.
    select
        Beginnings of check codes, such as SAN or SAN1: only these checks are made.
    ignore
        Beginnings of check codes that are left out.
    level
        Confidence that holds for all verdicts together; 0.95 by default.
    seed
        Root of all randomness; 0 by default.
    store
        Folder that keeps finished steps; .assay/store by default.
    resume
        Go on from the store. It does so anyway; this fails where the store is empty.
    out
        Folder for results and page; audit by default.
    config
        The file to read instead of assay.toml.
    format
        What is printed: text, json, html, md or junit.
    fail_on
        The mildest verdict that fails: fail (the default), undecided or never.
    require
        Beginnings of check codes that must have been made.
    dry_run
        Print what would be asked of the model, exactly, and stop.
    quiet
        No progress.
    """
    from assay.auditing.config import configured
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
    asked = configured(config, given)
    return audited(asked, format=format, resume=resume, dry_run=dry_run, quiet=quiet)


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def audited(
    config: Config,
    *,
    format: Literal["text", "json", "html", "md", "junit"],
    resume: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Do what the settings ask for; the exit code of the gate is given back."""
    from assay.auditing.gate import gated
    from assay.auditing.work import silent
    from assay.cli.output_formats import text_of
    from assay.cli.printing import conclusion, opening, plan_of
    from assay.cli.progress import Progress

    store = Path(config.audit.store)
    if resume and not any(store.rglob("*.assay")):
        raise InputError(f"there is nothing to resume in {store}. Run the audit without --resume, or give its --store.")
    laid = prepared_from(config)
    if not any(step.verb != "explain" for step in laid.plan.steps):
        return nothing(laid)
    if dry_run:
        plan_of(laid.plan)
        return 0
    if not quiet:
        opening(laid)
    run = laid.run(level=config.audit.level, waivers=config.waivers, store=store, tell=silent if quiet else Progress())
    out = Path(config.audit.out)
    run.save(out)
    judged = gated(run, fail_on=config.audit.fail_on, require=config.audit.require, ignore=config.audit.ignore)
    if format == "text":
        conclusion(run, judged, out)
    else:
        sys.stdout.write(text_of(run, format))
    return judged.exit


def prepared_from(config: Config) -> Prepared:
    """The audit, planned and priced; the files are read, and the model is not asked anything."""
    from assay.auditing.audit import prepared
    from assay.cli.read_rows import rows_from
    from assay.model.files.user_code import recipe_from

    said, file = config.data, config.model.file
    if not file or not said.test:
        lacking = " and ".join(w for w, there in (("a model", file), ("--data FILE", said.test)) if not there)
        raise InputError(
            f"{lacking} must be given: assay audit MODEL --data FILE --target COLUMN\n"
            f"or in assay.toml; write one with: assay init DATA --target COLUMN"
        )
    if said.train and not said.target:
        raise InputError(f"--train {said.train} needs --target COLUMN: the tests on training rows need their labels.")
    if config.model.recipe and not said.target:
        raise InputError("--recipe needs --target COLUMN: a repair is measured on rows held out with their labels.")
    model = _model(config)
    table = rows_from(Path(said.test), said.target, said.ids)
    strange = [name for name in said.sensitive if model.columns is not None and name not in model.columns]
    groups: Any = {name: table.column(name) for name in said.sensitive} if strange else said.sensitive
    aside = [*strange, *([said.ids] if said.ids else [])]
    train = rows_from(Path(said.train), said.target).without(aside) if said.train else None
    other = rows_from(Path(said.background)).without([*aside, said.target]) if said.background else None
    return prepared(
        model,
        table.without(strange).rows,
        table.labels,
        train=None if train is None else (train.rows, train.labels),
        background=None if other is None else other.rows,
        sensitive=groups,
        favourable=said.favourable,
        suspects=said.suspects,
        recipe=recipe_from(config.model.recipe) if config.model.recipe else None,
        ids=table.ids,
        profile=config.audit.profile,
        methods=config.audit.methods,
        scores=config.audit.scores,
        settings_grid=config.audit.settings_grid,
        select=config.audit.select,
        ignore=config.audit.ignore,
        seed=config.audit.seed,
    )


def _model(config: Config) -> Model:
    from assay.model.files.load import load_model

    known = config.model
    return load_model(
        known.file,
        architecture=known.architecture,
        classes=known.classes or None,
        output=known.output or None,
        trust=known.trust,
        unsafe_pickle=known.unsafe_pickle,
    )


def nothing(laid: Prepared) -> int:
    """Tell that no check is left to be made, and why; exit code 5."""
    from assay.auditing.gate import NOTHING
    from assay.cli.printing import left_out

    lines = ["nothing selected: no check is left to be made. See the codes with: assay list checks"]
    skipped = [item for item in laid.plan.skipped if item.what.startswith(("diagnose.", "attack.", "certify."))]
    lines += [f"  {left_out(item)}" for item in skipped]
    sys.stderr.write("\n".join(lines) + "\n")
    return NOTHING
