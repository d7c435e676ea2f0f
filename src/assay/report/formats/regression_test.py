# SPDX-License-Identifier: Apache-2.0
"""A failed or undecided check as a pytest file that makes the check again."""

from __future__ import annotations

import re
import textwrap

from assay.basics.errors import InputError
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding

WIDTH = 110


def regression_test(record: Record, finding: Finding) -> str:
    """The source of a test that repeats the audit for this check alone, and fails where the check fails.

    An audit from the command line is repeated by its command. One from Python needs a fixture ``audit_arguments`` of
    the caller, which returns the arguments of ``assay.audit`` by name. The check is judged alone, without a correction
    for the other checks of the audit, so the test is a little stricter than the audit. ``InputError`` for a finding
    that has no verdict, and for an audit that does not say how it is repeated.
    """
    if finding.verdict not in ("pass", "fail", "undecided", "rejected"):
        raise InputError(f"{finding.code} is {finding.verdict}: only a check that was judged can become a test.")
    if not record.reproduce:
        raise InputError("this audit does not say how it is repeated; make it again with assay audit or assay.audit.")
    by_command = record.reproduce.startswith("assay ")
    body = _by_command(record, finding) if by_command else _by_call(finding)
    return f'"""{_documentation(record, finding)}\n"""\n\n{body}'


def _documentation(record: Record, finding: Finding) -> str:
    question = next((check.question for check in record.checks if check.code == finding.code), "")
    passes = "" if finding.threshold is None else f"Passes: {finding.direction} {finding.threshold:g}."
    lines = [
        f"Regression test of {finding.code}, which was {finding.verdict} in: {record.title}.",
        "",
        *_wrap(finding.claim),
        *_wrap(question),
        *_wrap(passes),
        "",
        *_wrap(f"The audit: {record.reproduce}"),
    ]
    return "\n".join(lines)


def _wrap(text: str) -> list[str]:
    plain = text.replace("\\", "\\\\").replace('"', "'")
    return textwrap.wrap("".join(c if c.isprintable() else " " for c in plain), WIDTH, break_long_words=True)


def _name(finding: Finding) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", f"{finding.code} {finding.subject}".lower()).strip("_")
    return f"test_{words[:60]}".rstrip("_")


def _assertion(finding: Finding) -> str:
    return f'    assert finding.verdict not in ("fail", "rejected", "error"), finding.claim  # was {finding.verdict}\n'


def _by_command(record: Record, finding: Finding) -> str:
    return (
        "from pathlib import Path\n\n"
        "from assay.testing.repeated_checks import repeat_check\n\n"
        f"COMMAND = {record.reproduce!r}\n\n\n"
        f"def {_name(finding)}(tmp_path: Path) -> None:\n"
        f"    finding = repeat_check(COMMAND, {finding.code!r}, {finding.subject!r}, tmp_path)\n" + _assertion(finding)
    )


def _by_call(finding: Finding) -> str:
    return (
        "from typing import Any\n\n"
        "from assay.testing.repeated_checks import find_check\n\n\n"
        "# audit_arguments: a fixture of yours that returns the arguments of assay.audit by name: model, x, y, …\n"
        f"def {_name(finding)}(assay_audit: Any, audit_arguments: dict[str, Any]) -> None:\n"
        f'    run = assay_audit(**{{**audit_arguments, "select": [{finding.code!r}]}})\n'
        f"    finding = find_check(run, {finding.code!r}, {finding.subject!r})\n" + _assertion(finding)
    )
