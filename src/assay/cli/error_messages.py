# SPDX-License-Identifier: Apache-2.0
"""Error messages of the command: short texts, with a traceback only if requested."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from assay.basics.errors import MissingArgument
from assay.cli.exit_codes import INTERNAL, UNREADABLE
from assay.cli.terminal.printable import printable

STORE = ".assay/store"
"""Default folder of the result store, which caches finished steps."""

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package."""


def report_error(code: str, message: str, exit_code: int, verbose: bool, hint: str = "") -> int:
    """Write ``error[E021]: …`` to standard error, with further lines indented; return the exit code."""
    if verbose:
        traceback.print_exc()
    first, *more = [printable(line) for line in message.splitlines()] or [""]
    lines = [f"error[{code}]: {first}", *(line if line.startswith("  ") else f"  {line}" for line in more)]
    if hint:
        lines.append(f"  see: {hint}")
    sys.stderr.write("\n".join(lines) + "\n")
    return exit_code


def describe_missing(error: MissingArgument) -> str:
    """Describe arguments that a method needs by the flags that give them."""
    from assay.cli.catalogue import methods
    from assay.cli.options import flag_of, form_of
    from assay.nouns.catalogue import find

    methods()
    method = find(error.verb, error.method)
    flags = [flag_of(method, name) or form_of(method, name) for name in error.arguments]
    return f"{error.verb} {error.method} needs {', '.join(error.arguments)}: {'; '.join(flags)}."


def describe_os_error(error: OSError) -> str:
    """Describe an error of the operating system on a file or folder."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}. Check the path and its permissions."


def report_interruption(words: Sequence[str]) -> None:
    """Report that finished steps are cached, and the command that continues."""
    lines = ["interrupted"]
    if words and words[0] in ("audit", "demo"):
        more = ["--resume"] if words[0] == "audit" and "--resume" not in words else []
        command = printable(shlex.join([*words, *more]))
        lines.append(f"  finished steps are cached; continue with:  assay {command}")
    sys.stderr.write("\n".join(lines) + "\n")


def report_unexpected_error(error: Exception, words: Sequence[str], verbose: bool) -> int:
    """Report an unexpected error: of the model, with exit code 4; or internal, with 70 and a diagnostic file."""
    frames = traceback.extract_tb(error.__traceback__)
    if _is_from_model(frames):
        last = frames[-1]
        text = f"{type(error).__name__}: {error}".strip()
        return report_error(
            "E043",
            f"the model, or the code that makes it, raised {text[:600]}\n"
            f"where: {last.filename}, line {last.lineno}\nsee the traceback with: -v",
            UNREADABLE,
            verbose,
        )
    file = _write_diagnostics(error.__traceback__, type(error).__name__, words)
    where = f"versions and traceback, without your data, are in {file}" if file else "the store folder is not writable"
    message = f"internal error: {type(error).__name__}\n{where}\nsee the traceback with: -v"
    return report_error("E070", message, INTERNAL, verbose)


def _is_from_model(frames: Sequence[traceback.FrameSummary]) -> bool:
    """Whether the error was raised outside assay, in code that a model adapter or a recipe called."""
    ours = [number for number, frame in enumerate(frames) if PACKAGE in Path(frame.filename).resolve().parents]
    if not ours or ours[-1] == len(frames) - 1:
        return False
    last = Path(frames[ours[-1]].filename).resolve()
    return PACKAGE / "model" in last.parents or last == PACKAGE / "nouns" / "inputs" / "recipe.py"


def _write_diagnostics(trace: TracebackType | None, kind: str, words: Sequence[str]) -> Path | None:
    """Write versions and the lines of the traceback, without values and messages; ``None`` if it cannot be written."""
    folder = Path(_option("--store", words) or STORE)
    frames = [
        {"file": Path(frame.filename).name, "line": frame.lineno, "function": frame.name}
        for frame in traceback.extract_tb(trace)
    ]
    diagnostics = {
        "error": kind,
        "command": words[0] if words else "",
        "traceback": frames,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
    }
    file = folder / f"internal-error-{os.getpid()}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(diagnostics, indent=1) + "\n", encoding="utf-8")
    except OSError:
        return None
    return file


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("assay", "numpy", "scipy", "scikit-learn", "pandas", "polars", "torch", "xgboost", "lightgbm"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _option(flag: str, words: Sequence[str]) -> str:
    """The value of an option in the arguments; empty if it is not given."""
    for number, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and number + 1 < len(words):
            return words[number + 1]
    return ""
