# SPDX-License-Identifier: Apache-2.0
"""``assay show``."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.nouns.catalogue import Check, Method
    from assay.nouns.results.finding import Finding


def show(
    what: str,
    /,
    *,
    run: Path | None = None,
    as_test: bool = False,
    format: Literal["text", "json"] = "text",
) -> int:
    """Show the meaning of a check code (with --run: its findings), a method's documentation, or a saved result.

    Parameters
    ----------
    what
        A check code (SAN102), its beginning (SAN), a method (shapley, explain.shapley), or the path of a saved result.
    run
        Folder of an audit whose findings of this code are shown.
    as_test
        Print a pytest file that makes the worst finding of this code again, and fails where it fails; needs --run.
    format
        text or json.
    """
    from assay.auditing.check_catalogue import all_checks

    if as_test:
        return _show_test(what.upper(), run)
    if Path(what).is_file():
        return _show_saved(Path(what), format)
    code = what.upper()
    checks = all_checks(code) if len(what) >= 3 else ()
    if run is None and not checks:
        return _show_methods(what, format)
    from assay.cli.output_formats import load_run

    findings = [f for f in load_run(run).findings if f.code.startswith(code)] if run is not None else []
    if not checks and not findings:
        raise InputError(f"{run} has no finding {what!r}, and there is no such check. See: assay list checks")
    if format == "json":
        _print_json(checks, findings)
    else:
        _print_text(checks, findings, run)
    return 0


def _show_test(code: str, run: Path | None) -> int:
    from assay.cli.output_formats import load_run
    from assay.report.formats.regression_test import regression_test

    if run is None:
        raise InputError(f"--as-test writes a test from a finished audit; name its folder: --run FOLDER ({code}).")
    loaded = load_run(run)
    sys.stdout.write(regression_test(loaded.record, loaded[code]))
    return 0


def _print_json(checks: tuple[Check, ...], findings: list[Finding]) -> None:
    from dataclasses import asdict, replace

    from assay.nouns.records.jsonable import to_jsonable

    plain = [to_jsonable(replace(finding, basis=None)) for finding in findings]
    sys.stdout.write(dumps({"checks": [asdict(check) for check in checks], "findings": plain}, indent=1) + "\n")


def _print_text(checks: tuple[Check, ...], findings: list[Finding], run: Path | None) -> None:
    from assay.cli.printing import describe_repairs, format_finding, terminal
    from assay.cli.terminal.evidence_text import describe_finding

    console = terminal()
    found = {finding.code for finding in findings}
    for check in checks:
        console.print(f"{check.code}  ({check.family})\n  {check.question}", soft_wrap=True)
        if check.code not in found:
            console.print(f"  when it fails: {check.remedy}", soft_wrap=True)
        if check.threshold is not None and check.code not in found:
            console.print(f"  passes: {check.passes}")
        if check.method:
            console.print(f"  method: assay show {check.method}")
        for line in describe_repairs(check):
            console.print(f"  {line}", soft_wrap=True)
        if run is not None and check.code not in found:
            console.print(f"  {run} has no finding of this check.", soft_wrap=True)
    for finding in findings:
        console.print(format_finding(finding), soft_wrap=True)
        for line in describe_finding(finding, min(console.width, 110) - 4 if console.is_terminal else None):
            console.print(line, soft_wrap=True)


def _show_saved(path: Path, format: str) -> int:
    from assay.auditing.run import Run
    from assay.cli.output_formats import format_run
    from assay.cli.printing import print_result
    from assay.cli.terminal.printable import printable_lines
    from assay.nouns.records.record import Record
    from assay.nouns.records.store import load

    saved = load(path)
    if isinstance(saved, Record):
        text = format_run(Run(saved), "json") if format == "json" else f"{printable_lines(repr(Run(saved)))}\n"
        sys.stdout.write(text)
    else:
        print_result(saved, "json" if format == "json" else "text")
    return 0


def _show_methods(what: str, format: str) -> int:
    from assay.cli.catalogue import methods

    every = methods()
    found = [m for m in every if what in (m.name, f"{m.verb}.{m.name}")]
    if not found:
        import difflib

        from assay.auditing.check_catalogue import all_checks

        names = [*(m.name for m in every), *(check.code for check in all_checks())]
        near = difflib.get_close_matches(what.rpartition(".")[2], names, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ". Try: assay list, assay list checks"
        raise InputError(f"{what!r} is neither a check, a method nor a file{hint}")
    if format == "json":
        from assay.cli.options import kind_of

        rows = [
            {"verb": m.verb, "name": m.name, "doc": m.doc, "source": m.source, "needs": sorted(m.needs)}
            | {"options": {n: {"type": kind_of(p.annotation), "default": _default(p)} for n, p in m.options.items()}}
            for m in found
        ]
        sys.stdout.write(dumps(rows, indent=1) + "\n")
        return 0
    for method in found:
        _print_method(method)
    return 0


def _default(parameter: object) -> str:
    default = getattr(parameter, "default", None)
    return "" if default is getattr(parameter, "empty", None) else repr(default)


def _print_method(method: Method) -> None:
    from assay.cli.options import FORMS, flag_of, kind_of
    from assay.cli.printing import terminal

    console = terminal()
    console.print(
        f"{method.verb}.{method.name}  ({method.source}, {method.status})\n", soft_wrap=not console.is_terminal
    )
    console.print(method.doc, soft_wrap=not console.is_terminal)
    console.print("\noptions:" if method.options else "\nno options", soft_wrap=not console.is_terminal)
    for name, option in method.options.items():
        kind, default = kind_of(option.annotation), _default(option)
        form = flag_of(method, name) or ("" if kind in ("int", "float") else FORMS.get(kind, ""))
        hint = f"  ({form})" if form else ""
        console.print(f"  {name}: {kind}{f' = {default}' if default else ''}{hint}", soft_wrap=not console.is_terminal)
    if method.needs:
        console.print(f"needs: {', '.join(sorted(method.needs))}", soft_wrap=not console.is_terminal)
    if method.optional:
        console.print(f"also reads: {', '.join(sorted(method.optional))}", soft_wrap=not console.is_terminal)
    for check in method.checks:
        console.print(f"check {check.code}: {check.question}", soft_wrap=not console.is_terminal)
    if method.answers:
        console.print(f"repairs failures of: {', '.join(sorted(method.answers))}", soft_wrap=not console.is_terminal)
    if method.side_effects:
        console.print(f"side effects: {method.side_effects}", soft_wrap=not console.is_terminal)
    if method.claims:
        console.print(f"claims, tested: {', '.join(sorted(method.claims))}", soft_wrap=not console.is_terminal)
