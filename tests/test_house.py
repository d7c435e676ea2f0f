"""Sizes, names and the manner of writing that the whole house keeps, and what importing it may cost."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import assay

SOURCE = Path(assay.__file__).resolve().parent
FILES = sorted(SOURCE.rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "base", "_core", "misc"}
HEAVY = ("numpy", "torch", "sklearn", "pandas", "scipy")


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]


def code_lines(function: ast.FunctionDef) -> int:
    """Lines that hold a statement's text: no docstring, comments, blank lines or signature."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    inner = {
        line for f in ast.walk(function) if isinstance(f, ast.FunctionDef) and f is not function for line in span(f)
    }
    return len({line for statement in body for line in span(statement)} - inner)


def span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_is_small_named_for_what_it_holds_and_licensed(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# SPDX-License-Identifier: Apache-2.0"
    assert len(lines) <= 400
    assert path.stem not in VAGUE


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_functions_are_short(path: Path) -> None:
    assert {f.name: code_lines(f) for f in functions(path) if code_lines(f) > 40} == {}


def test_docstrings_are_not_copied() -> None:
    told: Counter[str] = Counter()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                told.update(
                    line.strip() for line in (ast.get_docstring(node) or "").splitlines() if len(line.strip()) > 20
                )
    repeated = sum(count for count in told.values() if count > 1)
    assert repeated / sum(told.values()) <= 0.10


def loaded_by(statement: str) -> list[str]:
    code = f"import sys, json; {statement}; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("statement", ["import assay", "import assay.cli.main"])
def test_importing_the_face_loads_no_numbers(statement: str) -> None:
    assert loaded_by(statement) == []


def test_the_methods_load_no_torch() -> None:
    assert "torch" not in loaded_by("from assay import attack, certify, diagnose, evaluate, explain, repair")


def test_every_public_name_can_be_had() -> None:
    assert [name for name in assay.__all__ if not hasattr(assay, name)] == []
