# SPDX-License-Identifier: Apache-2.0
"""Several inputs of a net as its ``forward`` takes them: one argument each, or all as one mapping or tuple."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def call_net(net: Any, positional: Sequence[Any], named: Mapping[str, Any], carried: Mapping[str, Any]) -> Any:
    """The net's return value.

    A ``forward`` of one argument that has none of the names gets inputs by name as one mapping, and several inputs by
    position as one tuple.
    """
    if len(positional) < 2 and not named:
        return net(*positional, **carried)
    free = _parameters(net, carried)
    needed = [one for one in free or () if one.default is inspect.Parameter.empty]
    if named and free and len(needed) <= 1 and not positional and not {one.name for one in free} & set(named):
        return net(dict(named), **carried)
    if len(positional) > 1 and free and len(free) == 1:
        return net(tuple(positional), **carried)
    return net(*positional, **named, **carried)


def _parameters(net: Any, carried: Mapping[str, Any]) -> list[inspect.Parameter] | None:
    """The arguments of ``forward`` that are not carried along; ``None`` where it takes any, or does not tell."""
    try:
        found = list(inspect.signature(net.forward).parameters.values())
    except (TypeError, ValueError, AttributeError):
        return None
    return None if any(one.kind in OPEN for one in found) else [one for one in found if one.name not in carried]
