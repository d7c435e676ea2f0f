# SPDX-License-Identifier: Apache-2.0
"""The line along which paths are averaged: from a start, or from another text, with more nodes in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case
from assay.engine.gradients.distributions import Line, Node, broadcast_start
from assay.engine.gradients.quadrature import gauss_legendre

DENSITY = 2.0
"""How much denser nodes are in the middle: α = ½ (1 + sinh(2 v) / sinh 2), cosh 2 ≈ 3.8 times as at the ends."""


@dataclass(frozen=True)
class CentredLine(Line):
    """The straight line from ``start`` to the input, with Gauss–Legendre nodes v in −1 … 1 moved to the middle.

    Between two words a net decides in the middle: there its outputs change fastest, and at the ends hardly at all.
    """

    def nodes(self, case: Case) -> Iterator[Node]:
        """Points on the line; the derivative by α is x − start."""
        start = broadcast_start(case, self.start)
        difference = case.rows.x - start
        for place, weight in gauss_legendre(self.steps):
            v = DENSITY * (2 * place - 1)
            alpha = (1 + np.sinh(v) / np.sinh(DENSITY)) / 2
            density = DENSITY * np.cosh(v) / np.sinh(DENSITY)
            yield Node(start + float(alpha) * difference, weight * float(density), difference)


def line_to_rows(case: Case, start: Any, contrast: Sequence[str], steps: int) -> Line:
    """The line from ``start``, or where texts are given from these, with more nodes in the middle."""
    return CentredLine(contrast_start(case, contrast), steps) if len(contrast) else Line(start, steps)


def contrast_start(case: Case, contrast: Sequence[str]) -> Any:
    """The embeddings of one text for each row, with as many tokens as the row's, as a start of the same shape."""
    text = case.rows.text
    if text is None or case.model.encode is None or len(case.rows.shape) != 2:
        raise CapabilityError(f"contrast= takes texts; the rows of {case.model.name} are none. Give start=…")
    if isinstance(contrast, str) or len(contrast) != len(case):
        raise InputError(f"contrast has {len(contrast)} texts for {len(case)} rows; one each is needed.")
    other = case.model.encode(list(contrast))
    start = case.rows.x.detach().clone()
    for row, (own, theirs) in enumerate(zip(text.real, other.text.real)):
        if own.sum() != theirs.sum():
            raise InputError(
                f"row {case.rows.ids[row]}: {contrast[row]!r} has {int(theirs.sum())} tokens, the row "
                f"{int(own.sum())}; both texts need the same number, so that each position has a counterpart."
            )
        start[row, np.flatnonzero(own)] = other.x[row, np.flatnonzero(theirs)].to(start)
    return start
