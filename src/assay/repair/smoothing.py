# SPDX-License-Identifier: Apache-2.0
"""Smoothing as a repair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.cases.case import Case
from assay.engine.declare import repairer
from assay.engine.performance.change_of_model import repaired_fields
from assay.engine.search.ball import Ball
from assay.model.transformations.smooth import smooth


@repairer(source="cohen2019", needs={"gradient", "numbers"})
def smoothing(
    case: Case, *, sigma: float, draws: int = 16, ball: Ball | None = None, steps: int = 30
) -> Mapping[str, Any]:
    """A smoothed model: its output is averaged over noise on the input, so that its explanations change slowly.

    For a model whose explanations change under small perturbations. ``sigma`` is the noise's standard deviation, in
    the units of the rows; probabilities (a regression's values) are averaged over ``draws`` fixed noise fields, so the
    new model is deterministic and costs ``draws`` times as much. ``before`` and ``after`` are measured on the case's
    rows: ``agreement`` is the share of rows whose predicted class stays, ``mean confidence`` the mean probability of
    the originally predicted class. A regression has ``mean value`` and ``root mean square change`` instead. No
    certificate: the noise is fixed.

    With a ``ball``, ``attack.top_k`` attacks saliency of both models for ``steps`` steps, through the smoothing, and
    ``before`` and ``after`` have the mean top-k overlaps; without one a note says that it is not adaptively tested.
    """
    model = smooth(case.model, sigma=sigma, draws=draws, seed=case.seed)
    change = f"averaged over {draws} fixed Gaussian perturbations of the input with standard deviation {sigma:g}"
    return repaired_fields(case, model, change, ball, steps)
