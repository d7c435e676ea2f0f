# SPDX-License-Identifier: Apache-2.0
"""Imports of the user's own modules, which lie in the folder of a model file or of a FILE.py."""

from __future__ import annotations

import ast
import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from assay.basics.errors import InputError


@contextmanager
def importable_siblings(folder: Path) -> Iterator[None]:
    """Make the modules of this folder importable, as Python does for a script in it.

    The path of imports is restored afterwards; what the code imports later, when it is called, is still found in the
    folder if it is found nowhere else. A module of the same name in the folder of another model is forgotten first, so
    that each model gets its own.
    """
    place = str(folder.resolve())
    _forget_others(folder.resolve())
    importlib.invalidate_caches()
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)
        if LateFinder(place) not in sys.meta_path:
            sys.meta_path.append(LateFinder(place))


@dataclass(frozen=True)
class LateFinder(MetaPathFinder):
    """Finds the modules of a folder that nothing else finds."""

    folder: str

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The module's place; ``None`` for modules of packages and what the folder does not have."""
        return PathFinder.find_spec(fullname, [self.folder], target) if path is None else None


def import_trusted(kinds: Sequence[str], folder: Path) -> None:
    """Import the modules of the types that the user trusts by name, where they lie in the folder of the model file."""
    for kind in kinds:
        module = kind.rpartition(".")[0]
        top = module.partition(".")[0]
        if has_module(folder, top):
            with importable_siblings(folder):
                try:
                    importlib.import_module(module)
                except (Exception, SystemExit) as error:
                    raise import_error(module, error) from error


def has_module(folder: Path, name: str) -> bool:
    """Whether a folder has a module or package of this name."""
    return bool(name) and any((folder / f"{name}{suffix}").is_file() for suffix in (".py", "/__init__.py"))


def defining_files(folder: Path, name: str) -> list[str]:
    """The Python files of a folder that define this class or function, read without running them."""
    found = []
    for path in sorted(folder.glob("*.py")):
        try:
            body = ast.parse(path.read_bytes()).body
        except (SyntaxError, ValueError):
            continue
        if any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name for node in body):
            found.append(path.name)
    return found


def import_error(source: str, error: BaseException) -> InputError:
    """The error of code that fails while it is imported, as it is: its type, its text, and the line."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    last = frames[-1] if frames else None
    place = f" (line {last.lineno} of {last.filename})" if last is not None else ""
    if isinstance(error, SyntaxError):
        place = f" (line {error.lineno} of {error.filename})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return InputError(
        f"{source} failed while it was imported: {type(error).__name__}: {text}{place}. Correct the code, or install "
        f"what it imports; modules in its own folder are found."
    )


def _is_users(filename: str) -> bool:
    """Whether a line of a traceback is in the user's own code: no library's, not of assay, not of the import system."""
    libraries = [str(Path(__file__).resolve().parents[2]), *map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))]
    return not filename.startswith(("<", *libraries))


def _forget_others(folder: Path) -> None:
    """Drop modules from ``sys.modules`` that have a namesake in this folder and lie in another model's."""
    for name in [name for name, module in sys.modules.items() if _is_shadow(name, module, folder)]:
        for part in [part for part in sys.modules if part == name or part.startswith(f"{name}.")]:
            del sys.modules[part]


def _is_shadow(name: str, module: ModuleType, folder: Path) -> bool:
    """Whether a loaded module is a user's of another folder, and this folder has a module of its name."""
    file = getattr(module, "__file__", None)
    if "." in name or not file or not name.isidentifier():
        return False
    source = Path(file).resolve()
    home = source.parent.parent if source.name == "__init__.py" else source.parent
    installed = any(Path(entry or ".").resolve() == home for entry in sys.path)
    return has_module(folder, name) and home != folder and not installed
