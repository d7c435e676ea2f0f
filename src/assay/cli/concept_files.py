# SPDX-License-Identifier: Apache-2.0
"""Files of concepts on the command line: rows that show a concept, random rows, and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.cli.request import Request
    from assay.nouns.catalogue import Method


@Parameter(name="*")
@dataclass(frozen=True)
class ConceptFlags:
    """Rows that show concepts, and what they are compared with.

    Parameters
    ----------
    concept
        NAME=FILE, rows that show a concept, in the form of the data; may be repeated.
    control
        NAME=FILE, rows of a concept of the same kind that should not matter; may be repeated.
    random_rows
        File of ordinary rows that concepts are compared with.
    masks
        NAME=FILE.npy, 1 where a row of the data shows the concept, else 0; may be repeated.
    """

    concept: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    random_rows: Path | None = None
    masks: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of rows."""
        named = (*named_files(self.concept, "--concept").values(), *named_files(self.control, "--control").values())
        return (*named, *([self.random_rows] if self.random_rows else []))

    def options(self, method: Method, request: Request) -> dict[str, Any]:
        """The options of a method that the flags give; ``InputError`` for a flag that it does not read."""
        from assay.cli.options import OTHER_FLAGS

        given: dict[str, Any] = {
            "concepts": _rows(self.concept, "--concept", request),
            "controls": _rows(self.control, "--control", request),
            "masks": _masks(self.masks, request),
        }
        found = {name: value for name, value in given.items() if value}
        if self.random_rows is not None:
            found["random_rows"] = request.other_rows(self.random_rows)
        read = concept_inputs(method)
        unread = next((name for name in found if name not in read), None)
        if unread is not None:
            flag = OTHER_FLAGS[unread].split()[0]
            raise InputError(f"{method.verb} {method.name} does not read {flag}; leave it out.")
        return found


NO_CONCEPT_FLAGS = ConceptFlags()
"""No file given."""

OF_CONCEPTS = frozenset({"concepts", "controls", "random_rows", "masks"})
"""Options that files of concepts give."""


def concept_inputs(method: Method) -> frozenset[str]:
    """Which of these files a method reads."""
    from assay.cli.options import kind_of

    options = {name for name, option in method.options.items() if kind_of(option.annotation) == "Any"}
    return OF_CONCEPTS & (options | ({"concepts"} & method.needs))


def named_files(words: Sequence[str], flag: str) -> dict[str, Path]:
    """``NAME=FILE`` words as files by name; the names differ."""
    found: dict[str, Path] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (name.strip() and equals and place.strip()):
            raise InputError(f"{flag} {word}: write NAME=FILE, such as {flag} stripes=stripes.npz.")
        if name.strip() in found:
            raise InputError(f"{flag}: the name {name.strip()!r} is given twice; names must differ.")
        found[name.strip()] = Path(place.strip())
    return found


def _rows(words: Sequence[str], flag: str, request: Request) -> dict[str, Any]:
    return {name: request.other_rows(path) for name, path in named_files(words, flag).items()}


def _masks(words: Sequence[str], request: Request) -> Mapping[str, Any]:
    """The arrays, cut to the rows explained."""
    found = {}
    for name, path in named_files(words, "--masks").items():
        if path.suffix.lower() not in (".npy", ".npz"):
            raise InputError(f"--masks {name}={path}: masks are an array (rows, *positions) in a .npy or .npz file.")
        rows = request.files.read(path).rows
        found[name] = rows[: request.rows] if request.rows > 0 else rows
    return found
