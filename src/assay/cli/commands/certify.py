# SPDX-License-Identifier: Apache-2.0
"""``assay certify``."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from assay.basics.errors import InputError
from assay.cli.request import Request
from assay.engine.coalitions.masks import TOP_SHARE


def certify(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    ball: str = "",
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    share: float = TOP_SHARE,
    parts: str = "",
    save: Path | None = None,
) -> int:
    """Certify a prediction, by itself or given the top features of an explanation; or an explanation.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The certificate. See: assay list certify.
    ball
        For certificates of a prediction: how far inputs may be moved, such as linf:0.5.
    explanation
        A saved explanation of the same rows.
    of
        The method that computes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    share
        Share of the features, highest values first, that count as top features.
    parts
        Which features are certified: top:0.25 (a share, as --share), or smallest (the fewest top features that keep the
        predicted class).
    save
        File for the result.
    """
    from assay.cli.options import ball as ball_of
    from assay.cli.printing import print_result
    from assay.cli.request import explanation_of, method_of

    chosen = method_of("certify", method)
    loaded, request = request.open(model)
    case = request.case(loaded, request.table())
    given: dict[str, Any] = {"case": case}
    if {"explanation", "parts"} & set(chosen.arguments):
        is_optional = (
            "explanation" in chosen.arguments and signature(chosen.body).parameters["explanation"].default is None
        )
        explained = None
        if not is_optional or explanation is not None or of:
            explained = explanation_of(request, case, explanation, of, of_option)
        given["explanation"] = explained
    if "ball" in chosen.arguments:
        if not ball:
            raise InputError(f"certify {method} needs --ball, for example --ball linf:0.5.")
        given["ball"] = ball_of(ball)
    options = request.options(chosen)
    if "parts" in chosen.arguments:
        given["parts"] = _parts(parts or f"top:{share}", explained, case, options)
    with request.progress(chosen, case, options):
        found = chosen.call(*(given[name] for name in chosen.arguments), **options)
    print_result(found, request.format, save)
    return 0


def _parts(text: str, explained: Any, case: Any, options: dict[str, Any]) -> Any:
    """``top:0.25`` or ``smallest`` as masks (row, part)."""
    from assay.engine.feature_sets.sufficient_parts import smallest_sufficient

    kind, _, number = text.partition(":")
    if text == "smallest":
        return smallest_sufficient(explained, case, **{k: v for k, v in options.items() if k == "remove"})
    try:
        if kind == "top":
            return explained.top(float(number))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
    raise InputError(f"--parts {text!r}; write top:0.25 for a share of the features, or smallest.")
