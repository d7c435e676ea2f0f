# SPDX-License-Identifier: Apache-2.0
"""``assay certify``."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from assay.cli.request import Request
from assay.engine.coalitions.masks import TOP_SHARE


def certify(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    share: float = TOP_SHARE,
    save: Path | None = None,
) -> int:
    """Certify a prediction given the top features of an explanation, or the explanation itself.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The certificate. See: assay list certify.
    explanation
        A saved explanation of the same rows.
    of
        The method that computes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    share
        Share of the features, highest values first, that count as top features.
    save
        File for the result.
    """
    from assay.cli.printing import print_result
    from assay.cli.request import explanation_of, method_of

    chosen = method_of("certify", method)
    loaded, request = request.open(model)
    case = request.case(loaded, request.table())
    explained = explanation_of(request, case, explanation, of, of_option)
    whole = "explanation" in signature(chosen.body).parameters
    options = request.options(chosen)
    with request.progress(chosen, case, options):
        found = chosen.call(*((explained, case) if whole else (case, explained.top(share))), **options)
    print_result(found, request.format, save)
    return 0
