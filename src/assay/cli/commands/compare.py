# SPDX-License-Identifier: Apache-2.0
"""The command ``assay compare``."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.archives import open_archive
from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.auditing.audit import PreparedAudit
    from assay.auditing.config import Config
    from assay.auditing.run import Run
    from assay.nouns.comparisons.audit_comparison import Comparison
    from assay.nouns.results.finding import Finding


def compare(
    before: str,
    after: str,
    /,
    *,
    data: Path | None = None,
    target: str = "",
    train: Path | None = None,
    background: Path | None = None,
    ids: str = "",
    text: str = "",
    sensitive: tuple[str, ...] = (),
    architecture: str = "",
    output: str = "",
    unsafe_pickle: bool = False,
    profile: Literal["", "quick", "standard", "deep"] = "",
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    seed: int | None = None,
    store: Path | None = None,
    config: Path | None = None,
    level: float = 0.95,
    format: Literal["text", "json", "html", "md"] = "text",
    out: Path | None = None,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Compare two audits, or two models: which checks changed, and whether the explanations of the same rows changed.

    Two models are first audited on the same rows with the same seed, as by assay audit; options that are not given are
    read from assay.toml. The exit code is 1 if a check newly fails, is significantly worse, or is missing.

    Parameters
    ----------
    before
        Folder of an audit or its file run.assay; or a model file or FILE.py:FUNCTION.
    after
        The second audit or model, of the same kind.
    data
        For two models: file of rows that neither model was trained on.
    target
        Column of the data (and of --train) that holds the true labels.
    train
        File of rows that both models were trained on.
    background
        File of background rows, whose values replace removed columns; by default the training rows.
    ids
        Column of row ids; the models do not get it.
    text
        Column of texts, for models that read text; by default the only such column.
    sensitive
        Sensitive columns, whose groups are compared.
    architecture
        FILE.py:FUNCTION that returns the untrained network whose weights the model files hold.
    output
        Type of the models' outputs: logits, margin, probabilities or values.
    unsafe_pickle
        Allow code in a pickle to run. Only for files you trust.
    profile
        quick, standard (the default) or deep.
    select
        Prefixes of check codes: only these checks run.
    ignore
        Prefixes of check codes to leave out.
    seed
        Root of all randomness; 0 by default.
    store
        Folder of the result store; .assay/store by default.
    config
        The file to read instead of assay.toml.
    level
        Simultaneous confidence level of all intervals of change.
    format
        text, json, html or md (Markdown).
    out
        File to write; without it the text is printed.
    quiet
        No progress.
    """
    from assay.auditing.compare import compare as compare_runs
    from assay.auditing.config import load_config
    from assay.cli.audit_flags import path_text
    from assay.cli.commands.audit import report_nothing_selected
    from assay.cli.options import split

    options: dict[str, dict[str, Any]] = {
        "model": {"architecture": architecture, "output": output, "unsafe_pickle": unsafe_pickle or None},
        "data": {
            "test": path_text(data),
            "train": path_text(train),
            "background": path_text(background),
            "target": target,
            "ids": ids,
            "text": text,
            "sensitive": split(sensitive),
        },
        "audit": {
            "profile": profile,
            "select": split(select),
            "ignore": split(ignore),
            "seed": seed,
            "store": path_text(store),
        },
    }
    if not _both_models(before, after):
        _refuse_model_options(options)
        runs, notes = _load_runs(before, after), tuple[str, ...]()
    else:
        settings = load_config(config, options)
        audits = [_prepare_audit(settings, source, (before, after)) for source in (before, after)]
        empty = [one for one in audits if not any(step.verb != "explain" for step in one.plan.steps)]
        if empty:
            return report_nothing_selected(empty[0])
        whole = [_run(settings, one, source, quiet) for one, source in zip(audits, (before, after))]
        runs, notes = restrict_to_common(whole, audits, (before, after))
    found = compare_runs(*runs, level=level)
    comparison = replace(found, notes=(*notes, *found.notes))
    _write(format_comparison(comparison, format), format, out)
    return 1 if comparison.worse else 0


def _both_models(before: str, after: str) -> bool:
    """Whether both are models and not audits; one of each is refused."""
    audits = [source for source in (before, after) if _is_audit(source)]
    if len(audits) == 1:
        model = after if audits[0] == before else before
        raise InputError(
            f"{audits[0]} is an audit and {model} a model; compare two audits, or two models on the same rows.\n"
            f"Audit the model first: assay audit {model} --data FILE --target COLUMN --out FOLDER"
        )
    return not audits


def _load_runs(*sources: str) -> list[Run]:
    from assay.cli.output_formats import load_run

    return [load_run(Path(source)) for source in sources]


def _is_audit(source: str) -> bool:
    """Whether a path is an audit: a folder, a file with a record, or a path without suffix that does not exist."""
    from assay.model.files.user_code import is_code

    path = Path(source)
    if is_code(source):
        return False
    if path.is_file() and path.suffix != ".assay" and zipfile.is_zipfile(path):
        with open_archive(path) as pack:
            return "result.json" in pack.namelist()
    return path.is_dir() or path.suffix == ".assay" or (not path.suffix and not path.exists())


def _refuse_model_options(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse options that apply only to two models."""
    option_names = {"test": "data"}
    given = [
        f"--{option_names.get(name, name).replace('_', '-')}"
        for section in options.values()
        for name, value in section.items()
        if value not in (None, "", ())
    ]
    if given:
        raise InputError(f"{', '.join(given)}: two finished audits are compared as they are; leave it out.")


def _prepare_audit(settings: Config, source: str, both: tuple[str, str]) -> PreparedAudit:
    """Prepare the audit of one of the models; without repairs, which are not compared."""
    from assay.cli.commands.audit import prepare_from_config

    if not settings.data.test:
        raise InputError(
            f"two models are compared on the same rows: assay compare {' '.join(both)} --data FILE --target COLUMN"
        )
    model = settings.model.model_copy(update={"file": source, "recipe": ""})
    return prepare_from_config(settings.model_copy(update={"model": model}))


def _run(settings: Config, audit: PreparedAudit, title: str, quiet: bool) -> Run:
    """Run the audit, with the name of the model as its title."""
    from assay.cli.commands.audit import AuditTexts, run_prepared

    texts = AuditTexts(title, dict.fromkeys(settings.thresholds, "assay.toml"))
    return run_prepared(audit, settings, quiet=quiet, texts=texts)


def restrict_to_common(
    runs: Sequence[Run], audits: Sequence[PreparedAudit], names: tuple[str, str]
) -> tuple[list[Run], tuple[str, ...]]:
    """The runs of two models on the same rows with the checks that were planned for both, and what is left out.

    Models of different kinds can have different explanations and attacks: what only one of them can have is neither
    gone nor new. Rows of the same file are the same rows, in whatever form each model takes them.
    """
    planned = [{(code, step.subject) for step in one.plan.steps for code in step.codes} for one in audits]
    explained = [{step.method for step in one.plan.steps if step.verb == "explain"} for one in audits]
    own = explained[0] ^ explained[1]
    one_sided = planned[0] ^ planned[1]
    subjects = explained[0] | explained[1]
    same = {name: text for name, text in runs[0].record.about.items() if name in ("data", "data fingerprint")}

    def is_common(finding: Finding) -> bool:
        subject = finding.subject if finding.subject in subjects else ""
        return subject not in own and (finding.code, subject) not in one_sided

    kept = [
        replace(run, record=replace(run.record, findings=tuple(filter(is_common, run.record.findings)), about=about))
        for run, about in ((run, {**run.record.about, **same}) for run in runs)
    ]
    notes = []
    for name, mine, codes in zip(names, explained, planned):
        methods = sorted(mine & own)
        only = sorted({code for code, subject in codes & one_sided if subject not in own})
        left_out = [*(["explanations " + ", ".join(methods)] if methods else [])]
        left_out += ["checks " + ", ".join(only)] if only else []
        if left_out:
            notes.append(f"Left out, since only {name} has them: {'; '.join(left_out)}.")
    return kept, tuple(notes)


def format_comparison(comparison: Comparison, format: str) -> str:
    """Format the comparison; the text ends with a newline."""
    from assay.cli.printing import printable
    from assay.nouns.records.jsonable import to_jsonable

    if format == "json":
        return dumps(_without_basis(to_jsonable(comparison)), indent=1, allow_nan=False) + "\n"
    if format == "html":
        from assay.report.comparison.page import render_comparison

        return render_comparison(comparison).rstrip("\n") + "\n"
    if format == "md":
        from assay.report.formats.markdown import comparison_markdown

        return comparison_markdown(comparison)
    lines = [*repr(comparison).splitlines(), *(f"note: {note}" for note in comparison.notes)]
    return "\n".join(map(printable, lines)) + "\n"


def _write(text: str, format: str, out: Path | None) -> None:
    from assay.cli.output_formats import print_format

    if out is None:
        print_format(text, format)
        return
    from assay.auditing.run import write_atomically

    sys.stdout.write(f"{format}: {write_atomically(out, text)}\n")


def _without_basis(data: object) -> object:
    """The data without the key "basis", which only serves to recompute an interval."""
    if isinstance(data, dict):
        return {name: _without_basis(value) for name, value in data.items() if name != "basis"}
    return [_without_basis(value) for value in data] if isinstance(data, list) else data
