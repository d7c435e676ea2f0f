# SPDX-License-Identifier: Apache-2.0
"""``assay evaluate``."""

from __future__ import annotations

from pathlib import Path

from assay.basics.errors import InputError
from assay.cli.request import Request


def evaluate(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    ball: str = "",
    recipe: str = "",
    save: Path | None = None,
) -> int:
    """Evaluate an explanation with one score.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The score: deletion, completeness, … See: assay list evaluate.
    explanation
        A saved explanation of the same rows.
    of
        The method that computes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    ball
        How far inputs may be moved, for scores that move them: linf:0.03 or l2:1.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe, for scores that train again (roar, kar, label_randomisation).
    save
        File for the result.
    """
    from assay.cli.options import ball as ball_of
    from assay.cli.printing import print_result
    from assay.cli.request import explanation_of, method_of, recipe_of

    chosen = method_of("evaluate", method)
    loaded, request = request.open(model)
    table = request.table()
    case = request.case(loaded, table)
    options = request.options(chosen)
    if "labels" in chosen.options:
        if table.labels is None:
            raise InputError(f"evaluate {method} needs the true labels of the rows: --target COLUMN.")
        options["labels"] = table.labels
    if ball and "ball" in chosen.options:
        options["ball"] = ball_of(ball)
    if "recipe" in chosen.options:
        options["recipe"] = recipe_of(chosen, recipe)
    elif recipe:
        raise InputError(f"evaluate {method} does not train; leave out --recipe.")
    judged = explanation_of(request, case, explanation, of, of_option)
    with request.progress(chosen, case, options):
        found = chosen.call(judged, case, **options)
    print_result(found, request.format, save)
    return 0
