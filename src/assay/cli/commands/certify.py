# SPDX-License-Identifier: Apache-2.0
"""``assay certify``."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from assay.cli.request import Wanted
from assay.engine.coalitions.masks import LEADING


def certify(
    model: str,
    method: str,
    /,
    *,
    wanted: Wanted,
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    share: float = LEADING,
    save: Path | None = None,
) -> int:
    """Certify what cannot move a prediction, for the leading parts of an explanation, or the explanation itself.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The certificate: mus, shapley_error, soft_stability. See: assay list certify.
    explanation
        A saved explanation of the same rows.
    of
        The method that makes the explanation now, instead of a saved one.
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    share
        Share of the parts, highest values first, that count as the explained ones.
    save
        File for the result.
    """
    from assay.cli.printing import result_shown
    from assay.cli.request import explanation_of, method_of

    chosen = method_of("certify", method)
    asked = wanted.case(wanted.model(model), wanted.table())
    given = explanation_of(wanted, asked, explanation, of, of_option)
    whole = "explanation" in signature(chosen.body).parameters
    found = chosen.call(*((given, asked) if whole else (asked, given.top(share))), **wanted.options(chosen))
    result_shown(found, wanted.format, save)
    return 0
