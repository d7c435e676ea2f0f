# SPDX-License-Identifier: Apache-2.0
"""Several sensitive attributes as one: the groups of their combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAX_COLUMNS = 3
"""The most attributes that are combined."""

MAX_COMBINATIONS = 20
"""The most combinations that are compared as groups."""


JOINED = " × "
"""What stands between the names of attributes that are combined."""


def combined_name(names: Sequence[str]) -> str:
    """The name of the combination of several attributes or groups: "sex × age"."""
    return JOINED.join(names)


def names_in(name: str) -> tuple[str, ...]:
    """The attribute of this name, and those of which it may be the combination."""
    return name, *name.split(JOINED)


def combine_columns(columns: Mapping[str, Sequence[str]]) -> tuple[Any | None, str]:
    """The group (row,) of each row in the combination of all attributes, else ``None`` and why they are not combined.

    Only combinations that occur are groups. A single attribute has no combination, for which no reason is given.
    """
    if len(columns) < 2:
        return None, ""
    if len(columns) > MAX_COLUMNS:
        return None, f"at most {MAX_COLUMNS} sensitive columns are combined, and there are {len(columns)}"
    groups = [combined_name([str(name) for name in row]) for row in zip(*columns.values())]
    count = len(set(groups))
    if count > MAX_COMBINATIONS:
        return None, f"at most {MAX_COMBINATIONS} combinations are compared, and there are {count}"
    return np.array(groups), ""
