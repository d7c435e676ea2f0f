# SPDX-License-Identifier: Apache-2.0
"""Which certificates an audit can have: the explanation that one is about, the noise of another, and why one is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.auditing.planning.scope import AuditScope
from assay.nouns.catalogue import Method

CERTIFIED_METHODS = ("shapley", "integrated_gradients")
"""Explanations whose top features are certified: the first that the case can have; shapley is mostly the one shown."""

CERTIFIED_BY = {"shapley_error": ("shapley",), "removal_bound": ("shapley", "occlusion")}
"""Explanations that a certificate is about, where these are others."""

NOISE = 0.12
"""Standard deviation of the noise of smoothed models, as a share of the range of pixels (Cohen et al. 2019)."""

REACH = 0.125
"""The change of the input that a smoothed explanation is certified against, in standard deviations of the noise."""


def explanations_certified(name: str, explained: Sequence[str]) -> list[str]:
    """The explanations that a certificate can be about, the one it is about first."""
    return [one for one in CERTIFIED_BY.get(name, CERTIFIED_METHODS) if one in explained]


def with_noise(method: Method, given: Mapping[str, Any], scope: AuditScope) -> dict[str, Any]:
    """The options of a certificate, with the noise for images where it needs some and none is given."""
    options, ball = dict(given), scope.ball
    if "sigma" not in method.options or "sigma" in given or ball is None or len(scope.case.rows.shape) != 3:
        return options
    width = float(ball.high) - float(ball.low)
    if np.isfinite(width):
        options["sigma"] = NOISE * width
        if "radius" in method.options:
            options.setdefault("radius", REACH * options["sigma"])
    return options


def why_not_certified(method: Method, given: Mapping[str, Any], scope: AuditScope) -> tuple[str, str]:
    """Why the case does not get this certificate, and what would enable it; two empty texts where it does."""
    if "sigma" in method.options and "sigma" not in given:
        unit = "noise of one size needs numbers of one unit and a known range, as pixels have; here there are others"
        return unit, f"options={{'certify.{method.name}': {{'sigma': …}}}}"
    needs_gradient = method.name == "removal_bound" and given.get("lipschitz") is None
    if needs_gradient and not scope.case.model.has_gradient:
        return "it needs the gradient of the model or its Lipschitz constant", "options={'certify.removal_bound': …}"
    return "", ""
