# SPDX-License-Identifier: Apache-2.0
"""``assay attack``."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.request import Request

if TYPE_CHECKING:
    from assay.nouns.catalogue import Method


def attack(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    ball: str = "",
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    train: Path | None = None,
    recipe: str = "",
    save: Path | None = None,
) -> int:
    """Attack a prediction or an explanation.

    With --target, an attack on predictions starts from the true classes, and its robust accuracy is that of the labels.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The attack. See: assay list attack.
    ball
        How far inputs may be moved, in the units of the rows: linf:0.03, l2:1 or l1:5, with bounds linf:0.03:0:1;
        l0:3:0:1 changes three elements. Attacks on columns and on words have limits of their own instead.
    explanation
        A saved explanation of the same rows, for attacks on explanations.
    of
        The method that computes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    train
        File of rows the model was trained on, with their labels, for attacks on training data.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe, for attacks that train.
    save
        File for the result.
    """
    from assay.cli.printing import print_result
    from assay.cli.request import explanation_of, method_of, training_options

    chosen = method_of("attack", method)
    loaded, request = request.open(model, train)
    table = request.table()
    case = request.case(loaded, table)
    attacked: list[Any] = []
    if "explanation" in signature(chosen.body).parameters:
        attacked.append(explanation_of(request, case, explanation, of, of_option))
    around = _ball(chosen, ball)
    options = request.options(chosen) | training_options(request, chosen, train, recipe)
    if "labels" in chosen.options and table.labels is not None:
        options.setdefault("labels", table.labels)
    with request.progress(chosen, case, options):
        found = chosen.call(*attacked, case, *around, **options)
    print_result(found, request.format, save)
    return 0


def _ball(method: Method, text: str) -> list[Any]:
    """The ball of an attack that takes one; ``InputError`` where it is missing, or given for nothing."""
    from assay.basics.errors import InputError
    from assay.cli.options import FORMS
    from assay.cli.options import ball as ball_of

    takes_ball = "ball" in signature(method.body).parameters
    if takes_ball and not text:
        raise InputError(f"attack {method.name} needs a ball: --ball {FORMS['Ball']}.")
    if text and not takes_ball:
        raise InputError(
            f"attack {method.name} searches in no ball, and takes no --ball. Its limits are options: assay "
            f"show {method.name}."
        )
    return [ball_of(text)] if takes_ball else []
