# SPDX-License-Identifier: Apache-2.0
"""Options that the diagnosis of proxy use and its repair share, and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case

Justifies = Callable[[dict[str, Any]], bool]
"""Says of a witness in trees whether its use is justified."""

TREE_ASSOCIATION, TREE_INFLUENCE = 0.02, 0.05
"""Least normalised mutual information of a witness in trees, beyond chance (|φ| 0.24 of equal halves), and the largest
influence that passes."""

LINEAR_ASSOCIATION, LINEAR_INFLUENCE = 0.1, 0.15
"""Least squared correlation of a proxy in a linear score (a correlation of 0.32), and the largest influence that
passes."""


@dataclass(frozen=True, eq=False)
class ProxyLimits:
    """What counts as a proxy: the least ``association``, and an influence above ``threshold``.

    Parts that read ``allowed`` columns alone are justified, and so are witnesses of which ``justifies`` says so.
    """

    association: float
    threshold: float
    allowed: tuple[str, ...] = ()
    justifies: Justifies | None = None

    @staticmethod
    def of(
        case: Case,
        allowed: Any,
        justifies: Justifies | None,
        association: float | None,
        threshold: float | None,
        *,
        linear: bool,
    ) -> ProxyLimits:
        """The limits with the defaults of the kind of model; ``InputError`` for options that are impossible."""
        if isinstance(allowed, str) or not isinstance(allowed, Sequence):
            raise InputError(f"allowed={allowed!r}; a tuple of column names is needed.")
        if justifies is not None and not callable(justifies):
            raise InputError(f"justifies={justifies!r}; a function of a witness is needed.")
        if justifies is not None and linear:
            raise InputError("justifies judges witnesses in trees; of a linear model give the columns, allowed=(…).")
        names = column_names(case)
        unknown = [name for name in allowed if name not in names]
        if unknown:
            raise InputError(f"allowed names {unknown[:5]}, which are not among the columns {names[:8]}.")
        if association is not None and not 0 < association < 1:
            raise InputError(f"association={association}; a number between 0 and 1 is needed.")
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"threshold={threshold}; an influence from 0 to 1 is needed.")
        least, most = (LINEAR_ASSOCIATION, LINEAR_INFLUENCE) if linear else (TREE_ASSOCIATION, TREE_INFLUENCE)
        return ProxyLimits(
            least if association is None else association,
            most if threshold is None else threshold,
            tuple(allowed),
            justifies,
        )


def column_names(case: Case) -> list[str]:
    """The name of each element of a row of a table."""
    index = case.features.index.ravel()
    return [case.features.names[part] if part >= 0 else str(place) for place, part in enumerate(index)]
