# SPDX-License-Identifier: Apache-2.0
"""The answers of people: files that anyone may have written, so that everything in them is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.nouns.studies.questionnaire import PHASES, Questionnaire

MAX_BYTES = 1 << 20
"""Most bytes of one answer file."""

FAILED, REPEATED, UNFINISHED = "failed an attention check", "answered again", "did not finish"
"""Why people are left out."""


@dataclass(frozen=True, eq=False)
class Answers:
    """One line an answer: whether it is the model's class, and person, row, arm and phase by position."""

    right: Floats
    person: Ints
    row: Ints
    arm: Ints
    after: Ints
    excluded: Mapping[str, int]


def read_answers(folder: str | Path) -> list[Any]:
    """The contents of the .json files of a folder, or of one file; ``InputError`` where one is no JSON."""
    place = Path(folder)
    paths = sorted(place.glob("*.json")) if place.is_dir() else [place]
    found = []
    for path in paths:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise InputError(f"{path} has more than {MAX_BYTES:,} bytes; it is no answer file of assay study.")
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"there is no file {str(path)!r} to read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is no JSON file: {str(error)[:80]}.") from error
    if not found:
        raise InputError(f"{place} holds no .json file. Put the files there that the participants downloaded.")
    return found


def check_answers(questionnaire: Questionnaire, files: Sequence[Any]) -> Answers:
    """The answers as arrays, without people who failed an attention check, did not finish or came twice."""
    blocks = questionnaire.blocks
    places = {row.key: n for n, row in enumerate(one for block in blocks for one in block)}
    truth = {row.key: row.answer for block in blocks for row in block}
    lines: list[tuple[float, int, int, int, int]] = []
    excluded, seen = {FAILED: 0, REPEATED: 0, UNFINISHED: 0}, set()
    for number, file in enumerate(files):
        person, given, checks = _fields(questionnaire, file, number)
        if person in seen:
            excluded[REPEATED] += 1
            continue
        seen.add(person)
        arm, turn = questionnaire.cell(person)
        asked = {(phase, row.key) for n, phase in enumerate(PHASES) for row in blocks[(turn + n) % 2]}
        if set(given) - asked:
            raise InputError(f"answer file {number + 1} of person {person} answers questions that were not asked.")
        if asked - set(given):
            excluded[UNFINISHED] += 1
            continue
        if any(checks.get(phase) != questionnaire.check_answer(phase) for phase in PHASES):
            excluded[FAILED] += 1
            continue
        place = questionnaire.arms.index(arm)
        for (phase, key), guess in sorted(given.items()):
            lines.append((float(guess == truth[key]), person, places[key], place, PHASES.index(phase)))
    columns = np.array(lines, dtype=np.float64).reshape(-1, 5)
    of = [columns[:, n].astype(np.int64) for n in (1, 2, 3, 4)]
    return Answers(columns[:, 0], of[0], of[1], of[2], of[3], excluded)


def _fields(
    questionnaire: Questionnaire, file: Any, number: int
) -> tuple[int, dict[tuple[str, str], int], dict[str, Any]]:
    """Person, guesses by (phase, row), and checks by phase; ``InputError`` names what is wrong."""
    where = f"answer file {number + 1}"
    if not isinstance(file, Mapping) or file.get("assay") != "answers":
        raise InputError(f"{where} was not written by the page of assay study.")
    if file.get("study") != questionnaire.fingerprint:
        raise InputError(f"{where} belongs to another questionnaire. Give the study.json written with its page.")
    person, answers, checks = file.get("person"), file.get("answers"), file.get("checks")
    if isinstance(person, bool) or not isinstance(person, int) or not 0 < person < 10**6:
        raise InputError(f"{where}: person={str(person)[:40]!r} is no number from 1 on.")
    if file.get("consent") is not True:
        raise InputError(f"{where}: person {person} did not consent; delete the file.")
    if not isinstance(answers, list) or not isinstance(checks, Mapping):
        raise InputError(f"{where} has no list of answers or no attention checks.")
    if not all(type(one) is int for one in checks.values()):
        raise InputError(f"{where}: an attention check is answered by what is no class.")
    given: dict[tuple[str, str], int] = {}
    for one in answers:
        key = (str(one.get("phase")), str(one.get("row"))) if isinstance(one, Mapping) else ("", "")
        guess = one.get("guess") if isinstance(one, Mapping) else None
        whole = isinstance(guess, int) and not isinstance(guess, bool) and 0 <= guess < len(questionnaire.classes)
        if key in given or not whole:
            raise InputError(f"{where}: the answer to {key[1][:40]!r} is given twice, or is no class.")
        given[key] = int(str(guess))
    return person, given, dict(checks)
