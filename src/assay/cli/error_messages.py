# SPDX-License-Identifier: Apache-2.0
"""What the command says when something goes wrong: one screen, and a traceback only where it is asked for."""

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

USAGE, UNREADABLE, INTERNAL, INTERRUPTED = 2, 4, 70, 130
"""Exit codes; the others come from the errors and from the gate."""

STORE = ".assay/store"
"""Folder that keeps finished steps, unless it is named."""

HERE = Path(__file__).resolve().parents[1]
"""The package's own folder."""


def told(code: str, message: str, exit_code: int, loud: bool, hint: str = "") -> int:
    """Write ``error[E021]: …`` with further lines indented; the exit code is given back."""
    if loud:
        traceback.print_exc()
    first, *more = [_still(line) for line in message.splitlines()] or [""]
    lines = [f"error[{code}]: {first}", *(line if line.startswith("  ") else f"  {line}" for line in more)]
    if hint:
        lines.append(f"  see: {hint}")
    sys.stderr.write("\n".join(lines) + "\n")
    return exit_code


def _still(line: str) -> str:
    """A line without characters that steer a terminal: names of columns and files are anybody's."""
    return "".join(c if c.isprintable() else "?" for c in line)


def unwritable(error: OSError) -> str:
    """A file or folder that the system would not give us, in words."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}. Check the path and its permissions."


def interrupted(words: Sequence[str]) -> None:
    """Say that finished steps are kept, and the command that goes on from them."""
    lines = ["interrupted"]
    if words and words[0] == "audit":
        again = [word for word in words if word != "--resume"]
        lines.append(f"  finished steps are kept; go on with:  assay {shlex.join([*again, '--resume'])}")
    sys.stderr.write("\n".join(lines) + "\n")


def broken(error: Exception, words: Sequence[str], loud: bool) -> int:
    """Tell an error that nobody foresaw: the model's own, with exit code 4, or ours, with 70 and a bundle."""
    frames = traceback.extract_tb(error.__traceback__)
    if _of_the_model(frames):
        last = frames[-1]
        said = f"{type(error).__name__}: {error}".strip()
        return told(
            "E043",
            f"the model, or the code that gives it, raised {said[:600]}\n"
            f"where: {last.filename}, line {last.lineno}\nsee all of it with: -v",
            UNREADABLE,
            loud,
        )
    place = _bundle(error.__traceback__, type(error).__name__, words)
    kept = f"versions and traceback, without your data, are in {place}" if place else "no folder to write a bundle to"
    return told("E070", f"internal error: {type(error).__name__}\n{kept}\nsee the traceback with: -v", INTERNAL, loud)


def _of_the_model(frames: Sequence[traceback.FrameSummary]) -> bool:
    """Whether the error was raised outside assay, in something the model's room or a recipe had called."""
    ours = [place for place, frame in enumerate(frames) if HERE in Path(frame.filename).resolve().parents]
    if not ours or ours[-1] == len(frames) - 1:
        return False
    last = Path(frames[ours[-1]].filename).resolve()
    return HERE / "model" in last.parents or last == HERE / "nouns" / "recipe.py"


def _bundle(trace: TracebackType | None, kind: str, words: Sequence[str]) -> Path | None:
    """Write versions and the places of the traceback, no values and no messages; ``None`` where nothing can be kept."""
    folder = Path(_after("--store", words) or STORE)
    frames = [
        {"file": Path(frame.filename).name, "line": frame.lineno, "function": frame.name}
        for frame in traceback.extract_tb(trace)
    ]
    held = {
        "error": kind,
        "command": words[0] if words else "",
        "traceback": frames,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
    }
    place = folder / f"internal-error-{os.getpid()}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    except OSError:
        return None
    return place


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("assay", "numpy", "scipy", "scikit-learn", "pandas", "polars", "torch", "xgboost", "lightgbm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _after(flag: str, words: Sequence[str]) -> str:
    for place, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and place + 1 < len(words):
            return words[place + 1]
    return ""
