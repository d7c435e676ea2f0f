# SPDX-License-Identifier: Apache-2.0
"""The types of the arguments of ``assay.case``, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.number_checks import is_whole_number
from assay.nouns.inputs.target import Target, target_named


def require_case_arguments(target: Any, features: Any, names: Any, ids: Any, carried: Any, seed: Any) -> None:
    """Raise ``InputError`` for the first argument that is not of its type."""
    if target is not None and not isinstance(target, Target):
        target_named(target)
    if features is not None and not isinstance(features, Features):
        raise InputError(
            f"features is {type(features).__name__}; a feature map is needed: assay.columns, elements, grid, groups, "
            f"superpixels, or assay.Features(index, names)."
        )
    for what, given in (("names", names), ("ids", ids)):
        if given is not None and (isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable)):
            raise InputError(f"{what} is {type(given).__name__}; a list with one text each is needed.")
    if carried is not None and not isinstance(carried, Mapping):
        raise InputError(f"carried is {type(carried).__name__}; a mapping from name to further inputs is needed.")
    for name in carried or ():
        if not isinstance(name, str):
            raise InputError(f"carried has the name {name!r}; the name of an argument of the net's forward is needed.")
    if not isinstance(seed, Seed) and not is_whole_number(seed):
        raise InputError(f"seed={seed!r}; a whole number or an assay.Seed is needed.")
