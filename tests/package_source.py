"""The modules of the package as text and as syntax trees, each read once for all tests of the source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import assay

SOURCE = Path(assay.__file__).resolve().parent
FILES = sorted(SOURCE.rglob("*.py"))


@cache
def text_of(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file; nobody may change it."""
    return ast.parse(text_of(path))


def module_name(path: Path) -> str:
    """The dotted name of a module; that of a package ends with ``__init__``."""
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {module_name(path): path for path in FILES}
