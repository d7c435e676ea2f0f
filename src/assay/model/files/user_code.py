# SPDX-License-Identifier: Apache-2.0
"""Models and training recipes returned by a function in the user's own code."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from assay.basics.errors import AssayError, InputError
from assay.basics.fingerprint import digest
from assay.model.files.sibling_modules import import_error, importable_siblings
from assay.nouns.inputs.recipe import Recipe


def is_code(place: str) -> bool:
    """Whether ``place`` names code: FILE.py:FUNCTION, package.module:function, or a FILE.py alone."""
    before, colon, name = place.rpartition(":")
    return place.endswith(".py") or (
        bool(colon) and (before.endswith(".py") or _dotted(before)) and name.isidentifier()
    )


def call_user_function(place: str, result: str = "the model") -> Any:
    """Call FILE.py:FUNCTION or package.module:function and return its result. The file or module is run."""
    before, _, name = place.rpartition(":")
    if place.endswith(".py") or not before:
        raise InputError(
            f"{place}: name the function that returns {result}: {place}:FUNCTION. {_list_functions(Path(place))}"
        )
    if not before.endswith(".py"):
        return _function(_module(before), before, name)()
    path = Path(before)
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    with importable_siblings(path.parent):
        return _function(_file(path), before, name)()


def load_recipe(place: str) -> Recipe:
    """Call FILE.py:FUNCTION or package.module:function, which returns the recipe."""
    found = call_user_function(place, "the recipe")
    if not isinstance(found, Recipe):
        raise InputError(f"{place} returns {type(found).__name__}; it must return an assay.Recipe(fit, x, y).")
    return found


def _function(module: ModuleType, source: str, name: str) -> Callable[[], Any]:
    function: Callable[[], Any] | None = getattr(module, name, None)
    if not callable(function):
        own = sorted(key for key, value in vars(module).items() if _is_own(value, module))
        raise InputError(f"{source} has no function {name!r}; it has {', '.join(own)[:200] or 'none'}.")
    return function


def _file(path: Path) -> ModuleType:
    """Run the file as a module with a unique name, which stays in ``sys.modules`` for its classes."""
    name = f"{path.stem}_{digest(path.read_bytes())[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        del sys.modules[name]
        if isinstance(error, AssayError):
            raise
        raise import_error(str(path), error) from error
    return module


def _module(dotted: str) -> ModuleType:
    try:
        return import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{dotted}.".startswith(f"{error.name}."):
            raise import_error(dotted, error) from error
        raise InputError(
            f"there is no module {dotted} ({error}). "
            f"Install it, add its folder to PYTHONPATH, or give FILE.py:FUNCTION."
        ) from error
    except (Exception, SystemExit) as error:
        raise import_error(dotted, error) from error


def _is_own(value: Any, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _list_functions(path: Path) -> str:
    """A sentence that lists the functions in a file, read without running it."""
    if not path.is_file():
        return f"There is no file {path}."
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return f"{path} is not a Python module."
    return f"It has {', '.join(node.name for node in body if isinstance(node, ast.FunctionDef)) or 'none'}."


def _dotted(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))
