# SPDX-License-Identifier: Apache-2.0
"""The analysis of a study with people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.basics.errors import InputError
from assay.engine.studies.analysis import analyse
from assay.engine.studies.answers import check_answers, read_answers
from assay.nouns.studies.questionnaire import Questionnaire, load_questionnaire
from assay.nouns.studies.study_result import StudyResult


def study(
    answers: str | Path | Sequence[Any], questionnaire: Questionnaire | str | Path, *, level: float = 0.95
) -> StudyResult:
    """How much explanations raise the accuracy of people who guess the model's class.

    ``answers`` is the folder of the files that the participants downloaded, or their contents; ``questionnaire`` the
    ``study.json`` written with the page by ``assay study``. For each arm: accuracy before and after, 0 … 1, their
    difference (the gain), and the gain minus that of the arm without explanations (the effect, −2 … 2; above 0
    explanations help). Errors are robust to clusters of answers by person and by row; p-values are Student's, adjusted
    by Holm over the arms with explanations. People who failed an attention check, did not finish or came a second time
    are left out and counted. NaN where an arm has no people.

    Raises ``InputError`` for files of another questionnaire, answers to questions that were not asked, and anything
    that the page would not have written. Ratings of explanations are not asked: they do not predict whether people can
    guess the model (Hase and Bansal 2020).
    """
    asked = questionnaire if isinstance(questionnaire, Questionnaire) else load_questionnaire(questionnaire)
    if not 0 < level < 1:
        raise InputError(f"level={level} is no level between 0 and 1.")
    files = read_answers(answers) if isinstance(answers, str | Path) else list(answers)
    return analyse(asked, check_answers(asked, files), level)
