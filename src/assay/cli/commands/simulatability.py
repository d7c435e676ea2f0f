# SPDX-License-Identifier: Apache-2.0
"""The command ``assay simulatability``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.basics.errors import InputError
from assay.cli.request import Request

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.nouns.comparisons.simulatability_ranking import SimulatabilityRanking
    from assay.nouns.results.result import Explanation


def simulatability(
    model: str,
    /,
    *,
    request: Request,
    method: tuple[str, ...] = (),
    explanation: tuple[Path, ...] = (),
    student: Literal["auto", "words", "linear", "pixels"] = "auto",
    taught: int = 100,
    seeds: int = 8,
    level: float = 0.95,
    save: Path | None = None,
) -> int:
    """Rank explanations by how much better a student model predicts the model after it saw them on other rows.

    For each explanation it prints the student's agreement with the model without explanations, with them, with the
    same attributions at random parts and with flipped signs, and the gain, each with its interval; then how far each
    explanation is behind the first. An option of a method is written METHOD.NAME=VALUE, such as --option
    lime.budget=1024.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        A method that computes an explanation now, such as shapley; may be repeated.
    explanation
        A saved explanation of the same rows; may be repeated.
    student
        words (texts), linear (tables), pixels (small images), or auto: what suits the rows.
    taught
        Rows that the student learns from; at least 20 others are needed for the exam.
    seeds
        Draws of the rows taught.
    level
        The level of the intervals.
    save
        File for the result.
    """
    from assay.cli.options import split
    from assay.engine.students.simulation import check_design
    from assay.evaluate.simulatability_ranking import simulatability_ranking

    names = split(method)
    if not names and not explanation:
        raise InputError("say which explanations: --method shapley --method lime, or --explanation FILE.assay.")
    _refuse_unread(request.option, names)
    loaded, request = request.open(model)
    case = request.case(loaded, request.table())
    check_design(case, student, taught, seeds, level)
    shown = _saved(explanation)
    for name in names:
        if name in shown:
            raise InputError(f"there are two explanations {name!r}: name each method once, and no file like a method.")
        shown[name] = _computed(request, case, name)
    found = simulatability_ranking(shown, case, student=student, taught=taught, seeds=seeds, level=level)
    _print(found, request.format, save)
    return 0


def _refuse_unread(options: Sequence[str], names: Sequence[str]) -> None:
    """Refuse an option that no method named reads."""
    for word in options:
        if word.partition("=")[0].rpartition(".")[0] not in names:
            raise InputError(f"--option {word}: write METHOD.NAME=VALUE for one of the methods {', '.join(names)}.")


def _saved(files: Sequence[Path]) -> dict[str, Explanation]:
    """The saved explanations: by method where there is one of it, else by file."""
    from assay.nouns.records.store import load
    from assay.nouns.results.result import Explanation

    found = [(path, load(path)) for path in files]
    for path, one in found:
        if not isinstance(one, Explanation):
            raise InputError(f"{path} holds a {type(one).__name__}, not an explanation.")
    methods = [one.provenance.method for _, one in found]
    named = {
        str(path) if methods.count(one.provenance.method) > 1 else one.provenance.method: one for path, one in found
    }
    if len(named) < len(found):
        raise InputError("a file is given twice as --explanation.")
    return named


def _computed(request: Request, case: Case, name: str) -> Explanation:
    from assay.cli.request import explanation_of

    own = tuple(word.removeprefix(f"{name}.") for word in request.option if word.startswith(f"{name}."))
    return explanation_of(replace(request, option=()), case, None, name, own)


def _print(found: SimulatabilityRanking, format: str, save: Path | None) -> None:
    """Print the ranking as text, or as JSON with the lines of its table, and save it if a file is given."""
    from json import dumps

    from assay.cli.printing import print_result
    from assay.nouns.records.jsonable import to_jsonable

    if format == "text":
        print_result(found, "text", save)
        return
    if save is not None:
        found.save(save)
    pairs = {name: found.difference_interval(found.order[0], name) for name in found.order[1:]}
    behind = [
        {"explanation": name, "difference": found.difference(found.order[0], name), "low": one.low, "high": one.high}
        for name, one in pairs.items()
    ]
    whole = {**to_jsonable(found), "order": found.order, "table": found.lines(), "behind_the_first": behind}
    sys.stdout.write(dumps(to_jsonable(whole), indent=1, allow_nan=False) + "\n")
