# SPDX-License-Identifier: Apache-2.0
"""``assay compare``."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.auditing.audit import Prepared
    from assay.auditing.config import Config
    from assay.auditing.run import Run
    from assay.nouns.comparisons.audit_comparison import Comparison


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
    """Compare two audits, or two models: which checks changed, and whether explanations of the same rows drifted.

    Two models are first audited on the same rows with the same seed, as assay audit would; what is not given is read
    from assay.toml. The exit code is 1 where a check is newly failing, shown to be worse, or gone.

    Parameters
    ----------
    before
        Folder of an audit, or its file run.assay; or a model file, or FILE.py:FUNCTION.
    after
        The other one, of the same kind.
    data
        For two models: file of rows that neither was trained on.
    target
        Column of the data (and of --train) that holds the true labels.
    train
        File of rows that both models were trained on.
    background
        File of rows that stand in for columns taken away; by default the training rows.
    ids
        Column that names the rows; the models do not see it.
    sensitive
        Columns whose groups are compared.
    architecture
        FILE.py:FUNCTION that returns the untrained net whose weights the model files hold.
    output
        What the models' scores are: logits, margin, probabilities or values.
    unsafe_pickle
        Let the code in a pickle run. Only for files you trust.
    profile
        quick, standard (the default) or deep.
    select
        Beginnings of check codes: only these checks are made.
    ignore
        Beginnings of check codes that are left out.
    seed
        Root of all randomness; 0 by default.
    store
        Folder that keeps finished steps; .assay/store by default.
    config
        The file to read instead of assay.toml.
    level
        Confidence that holds for all intervals of change together.
    format
        text, json, html or md (Markdown).
    out
        File to write; without it the text is printed.
    quiet
        No progress.
    """
    from assay.auditing.compare import compare as compared
    from assay.auditing.config import configured
    from assay.cli.commands.audit import nothing
    from assay.cli.options import split
    from assay.cli.output_formats import run_from

    given: dict[str, dict[str, Any]] = {
        "model": {"architecture": architecture, "output": output, "unsafe_pickle": unsafe_pickle or None},
        "data": {
            "test": _text(data),
            "train": _text(train),
            "background": _text(background),
            "target": target,
            "ids": ids,
            "sensitive": split(sensitive),
        },
        "audit": {
            "profile": profile,
            "select": split(select),
            "ignore": split(ignore),
            "seed": seed,
            "store": _text(store),
        },
    }
    if not _both_models(before, after):
        _unneeded(given)
        runs = [run_from(Path(place)) for place in (before, after)]
    else:
        asked = configured(config, given)
        laid = [_laid(asked, place, (before, after)) for place in (before, after)]
        empty = [one for one in laid if not any(step.verb != "explain" for step in one.plan.steps)]
        if empty:
            return nothing(empty[0])
        runs = [_run(asked, one, place, quiet) for one, place in zip(laid, (before, after))]
    found = compared(*runs, level=level)
    _told(text_of(found, format), format, out)
    return 1 if found.worse else 0


def _both_models(before: str, after: str) -> bool:
    """Whether two models are to be compared, and not two audits; one of each is refused."""
    audits = [place for place in (before, after) if _is_audit(place)]
    if len(audits) == 1:
        model = after if audits[0] == before else before
        raise InputError(
            f"{audits[0]} is an audit and {model} a model; compare two audits, or two models on the same rows.\n"
            f"Audit the model first: assay audit {model} --data FILE --target COLUMN --out FOLDER"
        )
    return not audits


def _is_audit(place: str) -> bool:
    """A folder, a file that holds a record, or the name of a folder that is not there."""
    from assay.model.files.user_code import is_code

    path = Path(place)
    if is_code(place):
        return False
    if path.is_file() and path.suffix != ".assay" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as pack:
            return "result.json" in pack.namelist()
    return path.is_dir() or path.suffix == ".assay" or (not path.suffix and not path.exists())


def _unneeded(given: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse options that only two models need, rather than pass them by."""
    words = {"test": "data"}
    found = [
        f"--{words.get(name, name).replace('_', '-')}"
        for section in given.values()
        for name, value in section.items()
        if value not in (None, "", ())
    ]
    if found:
        raise InputError(f"{', '.join(found)}: two finished audits are compared as they are; leave it out.")


def _laid(asked: Config, place: str, both: tuple[str, str]) -> Prepared:
    """The audit of one of the models, planned; nothing is mended, since repairs are not compared."""
    from assay.cli.commands.audit import prepared_from

    if not asked.data.test:
        raise InputError(
            f"two models are compared on the same rows: assay compare {' '.join(both)} --data FILE --target COLUMN"
        )
    model = asked.model.model_copy(update={"file": place, "recipe": ""})
    return prepared_from(asked.model_copy(update={"model": model}))


def _run(asked: Config, laid: Prepared, place: str, quiet: bool) -> Run:
    """The audit, named as the model was named."""
    from assay.auditing.work import silent
    from assay.cli.printing import opening
    from assay.cli.progress import Progress

    if not quiet:
        opening(laid)
    tell = silent if quiet else Progress()
    return laid.run(level=asked.audit.level, title=place, store=Path(asked.audit.store), tell=tell)


def text_of(found: Comparison, format: str) -> str:
    """The comparison in this format, ending in a line's end."""
    from assay.cli.printing import printable
    from assay.nouns.records.store import to_jsonable

    if format == "json":
        return dumps(_plain(to_jsonable(found)), indent=1, allow_nan=False) + "\n"
    if format == "html":
        from assay.report.comparison.page import compared

        return compared(found).rstrip("\n") + "\n"
    if format == "md":
        from assay.report.formats.markdown import compared_markdown

        return compared_markdown(found)
    lines = [*repr(found).splitlines(), *(f"note: {note}" for note in found.notes)]
    return "\n".join(map(printable, lines)) + "\n"


def _told(text: str, format: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    from assay.auditing.run import written

    sys.stdout.write(f"{format}: {written(out, text)}\n")


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def _plain(told: object) -> object:
    """The same without what only redraws an interval (a finding's basis)."""
    if isinstance(told, dict):
        return {name: _plain(value) for name, value in told.items() if name != "basis"}
    return [_plain(value) for value in told] if isinstance(told, list) else told
