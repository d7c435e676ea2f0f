"""Sizes, names and style of the whole package, and what importing it may load. Each test lists all violations."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

import assay
from tests.checked_modules import CHECKED
from tests.package_source import FILES, SOURCE, module_name, text_of, tree_of

VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "base", "_core", "misc"}
HEAVY = ("numpy", "torch", "sklearn", "pandas", "scipy")


MANY_MODULES = {"explain", "evaluate", "attack", "diagnose", "repair", "cli/commands"}
"""Folders with one module for each method or command."""


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]


def code_lines(function: ast.FunctionDef) -> int:
    """Lines that hold a statement's text: no docstring, comments, blank lines or signature."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    inner = {
        line for f in ast.walk(function) if isinstance(f, ast.FunctionDef) and f is not function for line in span(f)
    }
    return len({line for statement in body for line in span(statement)} - inner)


def span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def long_functions(path: Path) -> list[str]:
    return [f"{module_name(path)}.{f.name}: {lines}" for f in functions(path) if (lines := code_lines(f)) > 40]


def test_a_file_has_at_most_400_lines() -> None:
    assert [f"{module_name(p)}: {n}" for p in FILES if (n := len(text_of(p).splitlines())) > 400] == []


def test_a_file_is_named_for_what_it_contains() -> None:
    assert [module_name(path) for path in FILES if path.stem in VAGUE] == []


def test_a_file_begins_with_its_licence() -> None:
    first = "# SPDX-License-Identifier: Apache-2.0\n"
    assert [module_name(path) for path in FILES if not text_of(path).startswith(first)] == []


def test_functions_are_short() -> None:
    assert [long for path in FILES for long in long_functions(path)] == []


def crowded_folders(paths: Iterable[str]) -> dict[str, int]:
    """Folders with more than 15 modules, given as paths below the package."""
    counts = Counter(str(PurePosixPath(path).parent) for path in paths if not path.endswith("__init__.py"))
    return {folder: count for folder, count in counts.items() if count > 15 and folder not in MANY_MODULES}


def test_a_folder_has_at_most_15_modules() -> None:
    assert crowded_folders(path.relative_to(SOURCE).as_posix() for path in FILES) == {}


def test_a_crowded_folder_is_found() -> None:
    paths = [f"engine/removal/m{number}.py" for number in range(16)]
    assert crowded_folders([*paths, "engine/removal/__init__.py", "engine/x.py"]) == {"engine/removal": 16}
    assert crowded_folders([*paths[1:], "engine/removal/__init__.py"]) == {}
    assert crowded_folders([f"explain/m{number}.py" for number in range(60)]) == {}


def test_docstrings_are_not_copied() -> None:
    lines: Counter[str] = Counter()
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                docstring = ast.get_docstring(node) or ""
                lines.update(line.strip() for line in docstring.splitlines() if len(line.strip()) > 20)
    repeated = sum(count for count in lines.values() if count > 1)
    assert repeated / sum(lines.values()) <= 0.10


def loaded_by(statement: str) -> list[str]:
    code = f"import sys, json; {statement}; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("statement", ["import assay", "import assay.cli.main"])
def test_importing_the_package_loads_no_numeric_library(statement: str) -> None:
    assert loaded_by(statement) == []


def test_the_methods_load_no_torch() -> None:
    assert "torch" not in loaded_by("from assay import attack, certify, diagnose, evaluate, explain, repair")


def test_every_public_name_exists() -> None:
    assert [name for name in assay.__all__ if not hasattr(assay, name)] == []


def test_modules_whose_annotations_are_checked_exist() -> None:
    places = [SOURCE / name.replace(".", "/") for name in CHECKED]
    assert [place for place in places if not place.is_dir() and not place.with_suffix(".py").is_file()] == []
