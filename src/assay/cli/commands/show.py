# SPDX-License-Identifier: Apache-2.0
"""``assay show``."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.cli.checks import Check
    from assay.nouns.catalogue import Method
    from assay.nouns.results.result import Finding


def show(what: str, /, *, run: Path | None = None, format: Literal["text", "json"] = "text") -> int:
    """Show what a check code means (with --run: its findings), a method's page, or a saved result.

    Parameters
    ----------
    what
        A check code (SAN102), its beginning (SAN), a method (shapley, explain.shapley), or the path of a saved result.
    run
        Folder of an audit whose findings of this code are shown.
    format
        text or json.
    """
    from assay.cli.checks import checks

    if Path(what).is_file():
        return _saved(Path(what), format)
    code = what.upper()
    known = checks(code) if len(what) >= 3 else ()
    if run is None and not known:
        return _pages(what, format)
    from assay.cli.output_formats import run_from

    findings = [f for f in run_from(run).findings if f.code.startswith(code)] if run is not None else []
    if not known and not findings:
        raise InputError(f"{run} has no finding {what!r}, and no check is called so. See: assay list checks")
    if format == "json":
        _json(known, findings)
    else:
        _text(known, findings, run)
    return 0


def _json(known: tuple[Check, ...], findings: list[Finding]) -> None:
    from dataclasses import asdict, replace

    from assay.nouns.records.store import to_jsonable

    plain = [to_jsonable(replace(finding, basis=None)) for finding in findings]
    sys.stdout.write(dumps({"checks": [asdict(check) for check in known], "findings": plain}, indent=1) + "\n")


def _text(known: tuple[Check, ...], findings: list[Finding], run: Path | None) -> None:
    from assay.cli.printing import line_of, printable, terminal

    console = terminal()
    for check in known:
        console.print(f"{check.code}  ({check.family})\n  {check.asks}\n  when it fails: {check.mend}", soft_wrap=True)
        if check.method:
            console.print(f"  how it is measured: assay show {check.method}")
    if run is not None and not findings:
        console.print(f"{run} has no finding of this code.", soft_wrap=True)
    for finding in findings:
        console.print(line_of(finding), soft_wrap=True)
        for name, value in (("meaning", finding.meaning), ("advice", finding.advice)):
            if value:
                console.print(printable(f"  {name}: {value}"), soft_wrap=True)
        for name, value in finding.evidence.items():
            console.print(printable(f"  {name}: {str(value)[:200]}"), soft_wrap=True)


def _saved(path: Path, format: str) -> int:
    from assay.auditing.run import Run
    from assay.cli.output_formats import text_of
    from assay.cli.printing import result_shown
    from assay.nouns.records.record import Record
    from assay.nouns.records.store import load

    held = load(path)
    if isinstance(held, Record):
        sys.stdout.write(text_of(Run(held), "json") if format == "json" else f"{Run(held)!r}\n")
    else:
        result_shown(held, "json" if format == "json" else "text")
    return 0


def _pages(what: str, format: str) -> int:
    from assay.cli.catalogue import methods

    every = methods()
    found = [m for m in every if what in (m.name, f"{m.verb}.{m.name}")]
    if not found:
        import difflib

        from assay.cli.checks import CHECKS

        names = [*(m.name for m in every), *(check.code for check in CHECKS)]
        near = difflib.get_close_matches(what.rpartition(".")[2], names, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ". Try: assay list, assay list checks"
        raise InputError(f"{what!r} is no check, no method and no file{hint}")
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
        _page(method)
    return 0


def _default(parameter: object) -> str:
    default = getattr(parameter, "default", None)
    return "" if default is getattr(parameter, "empty", None) else repr(default)


def _page(method: Method) -> None:
    from assay.cli.options import FLAGS, FORMS, kind_of
    from assay.cli.printing import terminal

    console = terminal()
    console.print(f"{method.verb}.{method.name}  ({method.source}, {method.status})\n")
    console.print(method.doc)
    console.print("\noptions:" if method.options else "\nno options")
    for name, option in method.options.items():
        kind, default = kind_of(option.annotation), _default(option)
        form = FLAGS.get((method.verb, name)) or ("" if kind in ("int", "float") else FORMS.get(kind, ""))
        written = f"  ({form})" if form else ""
        console.print(f"  {name}: {kind}{f' = {default}' if default else ''}{written}")
    if method.needs:
        console.print(f"needs: {', '.join(sorted(method.needs))}")
    if method.claims:
        console.print(f"claims, tested: {', '.join(sorted(method.claims))}")
