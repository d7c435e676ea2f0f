# SPDX-License-Identifier: Apache-2.0
"""Which search answers a question: exact for trees and linear classifiers."""

from __future__ import annotations

from typing import Literal

from assay.basics.errors import CapabilityError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.recourse.answers import Answer
from assay.engine.recourse.linear_recourse import LinearRecourse
from assay.engine.recourse.question import Question
from assay.engine.recourse.searched import search
from assay.engine.recourse.tree_recourse import TreeRecourse
from assay.model.linear_scores import is_linear

Kind = Literal["trees", "linear", "searched"]


def kind_of(case: Case) -> Kind:
    """Whether the model shows its trees, or is a linear classifier; any other model is only searched."""
    if case.model.forest is not None:
        return "trees"
    return "linear" if is_linear(case.model) else "searched"


def solve(question: Question, which: Ints) -> dict[int, Answer]:
    """The answers of the rows ``which``; accepted rows are left out by the caller."""
    kind = kind_of(question.case)
    if kind == "trees":
        return TreeRecourse(question).rows(which)
    if kind == "linear":
        if question.plausible is not None:
            raise CapabilityError("plausible= needs a model of trees, whose boxes it is searched with; leave it out.")
        return LinearRecourse(question).rows(which)
    return search(question, which)
