# SPDX-License-Identifier: Apache-2.0
"""A questionnaire: the rows that people see, the explanations of each arm, and the answers of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest

Kind = Literal["forward", "counterfactual"]
"""Guess the model's class of new rows, or of a row whose explanation is shown and of which something is changed."""

PHASES = ("before", "after")
"""The two tests of a person: before and after explanations were shown."""

NONE, RANDOM = "none", "random"
"""The arms without explanations, and with attributions at random parts."""


@dataclass(frozen=True)
class StudyRow:
    """A row as people see it: ``cells`` as text or ``pixels`` (height, width, channel) from 0 to 1.

    ``output`` is the model's class of the row, ``answer`` the class asked for: that of the row, or of its ``changed``
    cells. ``values`` has the attributions by arm for the class ``explained``: one a cell, or a map (height, width).
    """

    key: str
    cells: tuple[str, ...]
    pixels: Any
    output: int
    answer: int
    is_right: bool
    explained: int
    values: Mapping[str, Any]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Questionnaire:
    """The study: ``arms``, the rows that teach, two blocks of test rows, and the texts.

    A person with number n is in arm (n − 1) mod arms; the number's turn, (n − 1) div arms mod 2, says which block is
    asked before and which after the explanations. So after each 2 × arms people every block is asked equally often in
    every phase of every arm. The answers are in this file, not in the page.
    """

    title: str
    consent: str
    kind: Kind
    method: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    arms: tuple[str, ...]
    teaching: tuple[StudyRow, ...]
    blocks: tuple[tuple[StudyRow, ...], ...]
    seed: int

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the contents, which the answers repeat."""
        return digest("questionnaire", json.dumps(asdict(self), sort_keys=True))[:16]

    def cell(self, person: int) -> tuple[str, int]:
        """The arm of a person, and which block is asked first."""
        place = (person - 1) % (2 * len(self.arms))
        return self.arms[place % len(self.arms)], place // len(self.arms)

    def check_answer(self, phase: str) -> int:
        """The class that the attention check of a phase asks for."""
        return (self.seed + PHASES.index(phase)) % len(self.classes)

    def save(self, path: str | Path) -> Path:
        """Write as JSON, with the model's answers: keep it from the participants."""
        place = Path(path)
        place.write_text(json.dumps({"assay": "questionnaire", **asdict(self)}, indent=1) + "\n", encoding="utf-8")
        return place


def load_questionnaire(path: str | Path) -> Questionnaire:
    """Read a file written by ``Questionnaire.save``."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found.pop("assay") != "questionnaire":
            raise KeyError("assay")
        found["teaching"] = tuple(map(_row, found["teaching"]))
        found["blocks"] = tuple(tuple(map(_row, block)) for block in found["blocks"])
        found |= {name: tuple(found[name]) for name in ("classes", "names", "arms")}
        study = Questionnaire(**found)
        _check(study)
        return study
    except OSError as error:
        raise InputError(f"there is no questionnaire {str(path)!r} to read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is no questionnaire of assay study ({type(error).__name__}: {error}). Give study.json."
        ) from error


def _check(study: Questionnaire) -> None:
    """``ValueError`` for contents that ``design_study`` does not write."""
    rows = [row for block in study.blocks for row in block]
    answers = [row.answer for row in rows]
    arms_fit = len(set(study.arms)) == len(study.arms) and {NONE, RANDOM, study.method} == set(study.arms)
    if study.kind not in get_args(Kind) or type(study.seed) is not int or not arms_fit:
        raise ValueError(f"kind {study.kind!r}, seed {study.seed!r}, arms {study.arms}")
    if len(study.blocks) != 2 or not all(study.blocks) or len({row.key for row in rows}) < len(rows):
        raise ValueError("two blocks of rows with different keys are needed")
    if not all(type(answer) is int and 0 <= answer < len(study.classes) for answer in answers):
        raise ValueError("an answer is none of the classes")


def _row(found: Mapping[str, Any]) -> StudyRow:
    return StudyRow(**{**found, "cells": tuple(found["cells"]), "changed": tuple(found["changed"])})
