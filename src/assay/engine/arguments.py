# SPDX-License-Identifier: Apache-2.0
"""The arguments of a call of a method: synonyms, defaults, and the default removal."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from assay.basics.errors import InputError, MissingArgument
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.generative.removal import Generative
from assay.nouns.catalogue import Method
from assay.nouns.results.result import Note

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

SYNONYMS = {"baseline": "start"}
"""Other names of options, as the literature has them, each with the name that methods declare."""


def named_as_declared(method: Method, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The options under the names that the method declares; ``InputError`` where one is given under both names."""
    found = dict(kwargs)
    for other, name in SYNONYMS.items():
        if other in found and other not in method.options and name in method.options:
            if name in found:
                raise InputError(f"{name}= and {other}= are the same option; give one of them.")
            found[name] = found.pop(other)
    return found


def choose_removals(method: Method, case: Case, given: dict[str, Any], options: dict[str, Any]) -> Note | None:
    """Replace the default removal among the options by the one used for this case; returns a note on it.

    A method that is given a ``neighbourhood`` removes nothing.
    """
    note = None
    if given.get("neighbourhood") is not None:
        return None
    for name in method.options:
        if given[name] is DEFAULT:
            given[name], note = case.default_removal
            options[name] = given[name]
        elif isinstance(given[name], Generative):
            note = given[name].note
    return note


def with_default_removal(method: Method, case: Case, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the default removal named as the one of this case, which parts and variants of it then share."""
    found = dict(options)
    for name, parameter in method.options.items() if found.get("neighbourhood") is None else ():
        if found.get(name, parameter.default) is DEFAULT:
            found[name] = case.default_removal[0]
    return found


def bind_arguments(method: Method, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument by name, defaults filled in; an unknown option raises ``InputError`` with the nearest name."""
    unknown = [name for name in kwargs if name not in inspect.signature(method.body).parameters]
    if unknown:
        near = difflib.get_close_matches(unknown[0], method.options, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(method.options) or 'none'}."
        raise InputError(f"{method.verb}.{method.name} has no option {unknown[0]!r}; {hint}")
    signature = inspect.signature(method.body)
    missing = [one for one in list(signature.parameters.values())[len(args) :] if one.default is one.empty]
    absent = tuple(one.name for one in missing if one.name not in kwargs and one.kind not in VARIABLE)
    if absent:
        raise MissingArgument(method.verb, method.name, absent)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InputError(f"{method.verb}.{method.name}: {error}.") from error
    bound.apply_defaults()
    return dict(bound.arguments)
