# SPDX-License-Identifier: Apache-2.0
"""One check of an earlier audit, made again: what generated regression tests call."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.auditing.run import Run
    from assay.nouns.results.finding import Finding


def repeat_check(command: str, code: str, subject: str, folder: Path) -> Finding:
    """Run the audit of ``command`` for the checks ``code`` alone, into ``folder``, and return the finding.

    ``command`` is that of the audit (``assay audit …``), with paths as they were given. Raises ``InputError`` where
    the command could not run, or made no such check about ``subject``.
    """
    import subprocess
    import sys

    from assay.auditing.run import Run

    words = shlex.split(command)
    if words[:2] != ["assay", "audit"]:
        raise InputError(f"{command!r} is no audit; a command that begins with “assay audit” is needed.")
    out, store = folder / "audit", folder / "store"
    own = ["--select", code, "--out", str(out), "--store", str(store), "--fail-on", "never", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "assay", *_without_selection(words[1:]), *own],
        capture_output=True,
        text=True,
        check=False,
    )
    if not (out / "run.assay").is_file():
        raise InputError(f"the audit ended with exit code {done.returncode} and no result: {command}\n{done.stderr}")
    return find_check(Run.load(out), code, subject)


def _without_selection(words: list[str]) -> list[str]:
    """The words without the flags that ``repeat_check`` sets itself."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in ("--select", "--fail-on", "--require"):
            skip = not skip
        else:
            kept.append(word)
    return kept


def find_check(run: Run, code: str, subject: str) -> Finding:
    """The worst finding of this code about ``subject``; raises ``InputError`` where the run has none."""
    found = run.all(code)
    about = [finding for finding in found if finding.subject == subject] or (list(found) if len(found) == 1 else [])
    if not about:
        have = ", ".join(sorted({finding.subject for finding in found})) or "none"
        raise InputError(f"the audit made no check {code} about {subject!r}; it is made about: {have}.")
    return about[0]
