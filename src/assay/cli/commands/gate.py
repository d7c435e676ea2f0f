# SPDX-License-Identifier: Apache-2.0
"""``assay gate``."""

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
    """Judge a finished audit. It fails closed: what is required and not known does not pass.

    What is not given is read from assay.toml; where there is such a file, its waivers hold instead of the run's.

    Parameters
    ----------
    run
        Folder of an audit, or its file run.assay.
    baseline
        An earlier audit: what failed there already is told and does not fail; what it decided must be decided again.
    fail_on
        The mildest verdict that fails: fail (the default), undecided or never.
    require
        Beginnings of check codes that must have been made.
    ignore
        Beginnings of check codes that do not count.
    day
        The day on which waivers are looked at, such as 2027-01-31; today by default.
    config
        The file to read instead of assay.toml.
    format
        text or json.
    """
    from assay.auditing.config import configured, found
    from assay.auditing.gate import gated
    from assay.cli.options import split
    from assay.cli.output_formats import run_from

    place = config if config is not None else found()
    given = {"audit": {"fail_on": fail_on, "require": split(require), "ignore": split(ignore)}}
    asked = configured(place, given)
    judged = run_from(run)
    if place is not None:
        judged = replace(judged, record=replace(judged.record, waivers=asked.waivers))
    answer = gated(
        judged,
        fail_on=asked.audit.fail_on,
        require=asked.audit.require,
        ignore=asked.audit.ignore,
        day=_day(day),
        baseline=None if baseline is None else run_from(baseline),
    )
    _shown(answer, format)
    return answer.exit


def _day(text: str) -> str:
    import datetime

    from assay.basics.errors import InputError

    try:
        return text and datetime.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InputError(f"--day {text!r} is no day like 2027-01-31.") from error


def _shown(answer: Gate, format: str) -> None:
    from assay.cli.printing import printable, terminal

    if format == "json":
        held = {"passed": answer.passed, "exit": answer.exit, "reasons": answer.reasons, "counts": answer.counts}
        sys.stdout.write(dumps(held, indent=1) + "\n")
        return
    console = terminal()
    for reason in answer.reasons:
        console.print(printable(reason), soft_wrap=True)
    told = " · ".join(f"{count} {verdict}" for verdict, count in answer.counts.items()) or "no findings"
    words = {0: "passed", 1: "failed", 3: "incomplete", 5: "nothing selected"}
    console.print(f"gate: {words[answer.exit]} · {told}", soft_wrap=True)
