# SPDX-License-Identifier: Apache-2.0
"""``assay compare``."""

from __future__ import annotations

import sys
import zipfile
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.words.errors import InputError

if TYPE_CHECKING:
    from assay.auditing.audit import Prepared
    from assay.auditing.config import Config
    from assay.auditing.run import Run
    from assay.nouns.comparison import Comparison


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
    from assay.cli.options import split
    from assay.cli.writing import run_from

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
        _unused(given)
        found = compared(run_from(Path(before)), run_from(Path(after)), level=level)
    else:
        laid = _prepared(config, given, before, after)
        if isinstance(laid, int):
            return laid
        asked, one, two = laid
        found = compared(_run(asked, one, before, quiet), _run(asked, two, after, quiet), level=level)
    _shown(found, format, out)
    return 1 if found.worse else 0
