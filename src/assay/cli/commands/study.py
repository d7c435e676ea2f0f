# SPDX-License-Identifier: Apache-2.0
"""The command ``assay study``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from assay.basics.errors import InputError
from assay.cli.request import Request


def study(
    model: str = "",
    /,
    *,
    request: Request | None = None,
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    kind: Literal["forward", "counterfactual"] = "forward",
    teaching: int = 8,
    tests: int = 20,
    title: str = "What will the model say?",
    consent: Path | None = None,
    out: Path = Path("study"),
    answers: Path | None = None,
    questionnaire: Path | None = None,
    level: float = 0.95,
    save: Path | None = None,
) -> int:
    """Write a questionnaire that tests whether explanations help people to guess the model, or evaluate its answers.

    With MODEL, --data and --target it writes study.html, which needs no server, study.json, which holds the model's
    answers, and power.txt to a folder. People open the page, type their number (1, 2, 3 …) and pass on the file that
    they download. With --answers and --questionnaire it evaluates these files.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    explanation
        A saved explanation of the same rows.
    of
        The method that computes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    kind
        forward: guess the class of new rows. counterfactual: guess the class after cells are changed.
    teaching
        Rows shown with the model's class.
    tests
        Rows to guess, half of them before and half after the explanations.
    title
        The heading of the page.
    consent
        A text file: what people agree to.
    out
        Folder for study.html, study.json and power.txt.
    answers
        The folder of the participants' files.
    questionnaire
        The study.json written with the page.
    level
        The level of the intervals.
    save
        File for the result.
    """
    if answers is not None:
        return _evaluate(answers, questionnaire, level, save)
    if not model or request is None:
        raise InputError(
            "study needs a model and --data FILE to write a questionnaire, or --answers FOLDER --questionnaire FILE."
        )
    from assay.cli.printing import printable
    from assay.cli.request import explanation_of
    from assay.engine.studies.analysis import power_table
    from assay.engine.studies.design import CONSENT, design_study
    from assay.report.study.page import render_questionnaire

    loaded, request = request.open(model)
    table = request.table()
    if table.labels is None:
        raise InputError("study needs the true labels of the rows, to balance right and wrong: --target COLUMN.")
    case = request.case(loaded, table)
    shown = explanation_of(request, case, explanation, of, of_option)
    text = CONSENT if consent is None else _consent(consent)
    designed = design_study(
        shown, case, table.labels, kind=kind, teaching=teaching, tests=tests, title=title, consent=text
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "study.html").write_text(render_questionnaire(designed), encoding="utf-8")
    designed.save(out / "study.json")
    power = power_table(arms=len(designed.arms) - 1, tests=tests)
    (out / "power.txt").write_text(power + "\n", encoding="utf-8")
    if not request.quiet:
        sys.stdout.write(power + "\n")
        written = f"{out / 'study.html'}, {out / 'study.json'} (with the answers: keep it) and {out / 'power.txt'}"
        sys.stdout.write(f"Wrote {printable(written)}.\n")
    return 0


def _consent(path: Path) -> str:
    """The text that people agree to; a byte order mark is no part of it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--consent {path} is no text in UTF-8 ({error.reason}). Save it as UTF-8.") from error


def _evaluate(answers: Path, questionnaire: Path | None, level: float, save: Path | None) -> int:
    from assay.cli.terminal.printable import printable_lines
    from assay.evaluate.study import study as evaluate_answers

    if questionnaire is None:
        raise InputError("--answers needs the questionnaire that they belong to: --questionnaire study.json.")
    found = evaluate_answers(answers, questionnaire, level=level)
    sys.stdout.write(printable_lines(repr(found)) + "\n")
    if save is not None:
        found.save(save)
    return 0
