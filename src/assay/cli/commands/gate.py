# SPDX-License-Identifier: Apache-2.0
"""The command ``assay gate``."""

from __future__ import annotations

import sys
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from assay.auditing.gate import Gate


def gate(
    run: Path,
    /,
    *,
    baseline: Path | None = None,
    fail_on: Literal["", "fail", "undecided", "never"] = "",
    require: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    day: str = "",
    config: Path | None = None,
    format: Literal["text", "json"] = "text",
) -> int:
    """Pass or fail a finished audit. The gate fails closed: a required check without a result does not pass.

    Options that are not given are read from assay.toml; if that file exists, its waivers replace those of the run.

    Parameters
    ----------
    run
        Folder of an audit, or its file run.assay.
    baseline
        An earlier audit. Checks that failed there are reported and do not fail; checks decided there must be decided
        again.
    fail_on
        The least severe verdict that fails: fail (the default), undecided or never.
    require
        Prefixes of check codes that must have a result.
    ignore
        Prefixes of check codes to ignore.
    day
        Date at which waivers are evaluated, such as 2027-01-31; today by default.
    config
        The file to read instead of assay.toml.
    format
        text or json.
    """
    from assay.auditing.config import find_config_file, load_config
    from assay.auditing.gate import evaluate_gate
    from assay.cli.options import split
    from assay.cli.output_formats import load_run

    file = config if config is not None else find_config_file()
    options = {"audit": {"fail_on": fail_on, "require": split(require), "ignore": split(ignore)}}
    settings = load_config(file, options)
    loaded = load_run(run)
    if file is not None:
        loaded = replace(loaded, record=replace(loaded.record, waivers=settings.waivers))
    result = evaluate_gate(
        loaded,
        fail_on=settings.audit.fail_on,
        require=settings.audit.require,
        ignore=settings.audit.ignore,
        day=_parse_date(day),
        baseline=None if baseline is None else load_run(baseline),
    )
    _print_gate(result, format)
    return result.exit


def _parse_date(text: str) -> str:
    import datetime

    from assay.basics.errors import InputError

    try:
        return text and datetime.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InputError(f"--day {text!r} is not a date such as 2027-01-31.") from error


def _print_gate(result: Gate, format: str) -> None:
    from assay.cli.printing import printable, terminal

    if format == "json":
        data = {"passed": result.passed, "exit": result.exit, "reasons": result.reasons, "counts": result.counts}
        sys.stdout.write(dumps(data, indent=1) + "\n")
        return
    console = terminal()
    for reason in result.reasons:
        console.print(printable(reason), soft_wrap=True)
    counts = " · ".join(f"{count} {verdict}" for verdict, count in result.counts.items()) or "no findings"
    outcomes = {0: "passed", 1: "failed", 3: "incomplete", 5: "nothing selected"}
    console.print(f"gate: {outcomes[result.exit]} · {counts}", soft_wrap=True)
