# SPDX-License-Identifier: Apache-2.0
"""An explanation computed again with the same method and options on another case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT, OwnBackground, background_rows
from assay.cases.removals import Blur, Constant, NoisyLinear
from assay.engine.gradients.distributions import Gaussian, Line, Point, Uniform
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import find
from assay.nouns.results.result import Explanation

PLAIN: dict[str, Callable[..., Any]] = {
    kind.__name__: kind for kind in (Ball, Blur, Constant, Gaussian, Line, NoisyLinear, Point, Uniform)
}
"""Option types made of numbers and text: a stored result holds them whole."""


def recompute(explanation: Explanation, case: Case) -> Explanation:
    """The same method with the same options on another case (other model, other rows, other label).

    Options that hold data (a background) are stored as fingerprints only, so a result read back from disk with such an
    option cannot be recomputed: ``InputError``. Plain ones (``Constant(0.0)``, ``Blur(10.0)``) are stored whole; the
    default background is among the rows of the result, unless these are codes of texts.
    """
    options = {name: value for name, value in restored_options(explanation, case).items() if value is not DEFAULT}
    return cast(Explanation, find("explain", explanation.provenance.method).call(case, **options))


def restored_options(explanation: Explanation, case: Case) -> dict[str, Any]:
    """The options of an explanation, those of a result read from disk rebuilt; ``InputError`` where data are lost."""
    name_of = explanation.provenance.method
    options = {name: _restored(value, explanation, case) for name, value in explanation.provenance.options.items()}
    lost = [name for name, value in options.items() if isinstance(value, Mapping) and "fingerprint" in value]
    if lost:
        raise InputError(
            f"{name_of} was read from disk and {', '.join(lost)} held data that is not stored; call "
            f"explain.{name_of} again."
        )
    return options


def _restored(option: Any, explanation: Explanation, case: Case) -> Any:
    """An option that a file holds as a kind and numbers, or as rows of the result, rebuilt; others as they are."""
    if not isinstance(option, Mapping):
        return option
    if option.get("kind") in PLAIN:
        return PLAIN[option["kind"]](**{name: value for name, value in option.items() if name != "kind"})
    if option.get("kind") == OwnBackground.__name__ and (case.rows.table is None or not case.rows.table.coded.any()):
        own = _own_background(explanation, case)
        return own if own.fingerprint == option["fingerprint"] else option
    return option


def _own_background(explanation: Explanation, case: Case) -> OwnBackground:
    """The default background of an explanation, from the rows that it holds."""
    rows = explanation.x[background_rows(len(explanation.x), explanation.provenance.seed)]
    if is_torch_array(case.rows.x):
        import torch

        rows = torch.as_tensor(np.array(rows), dtype=case.rows.x.dtype, device=case.rows.x.device)
    return OwnBackground(rows, len(explanation.x))
