# SPDX-License-Identifier: Apache-2.0
"""Options given for methods of an audit that the profile chooses."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from assay.auditing.planning.profiles import Options, Profile
from assay.auditing.planning.requests import refuse_options
from assay.basics.errors import InputError
from assay.nouns.catalogue import Verb, find

PLACES: dict[Verb, tuple[str, ...]] = {
    "explain": ("explainers", "views"),
    "evaluate": ("scores",),
    "attack": ("attacks",),
    "certify": ("certificates",),
    "diagnose": ("diagnoses",),
}
"""Fields of a profile with the methods of each verb."""


def with_options(profile: Profile, options: Mapping[str, Options], diagnoses: Collection[str]) -> Profile:
    """The profile with these options for its methods, by name (``lime``, or ``explain.lime``).

    ``diagnoses`` are the diagnoses that an audit runs. Raises ``InputError`` for a method that the audit does not run,
    for an option that the method does not have, and for the removal, which all methods share.
    """
    for name, given in options.items():
        places = [place for place in _places(profile, diagnoses) if name in (place[2], f"{place[0]}.{place[2]}")]
        if not places:
            raise InputError(_unknown(name, profile, diagnoses))
        for verb, field, method in places:
            refuse_options(find(verb, method), given)
            known = getattr(profile, field)
            changed: dict[str, Any] = {field: {**known, method: {**known.get(method, {}), **given}}}
            profile = replace(profile, **changed)
    return profile


def _places(profile: Profile, diagnoses: Collection[str]) -> Iterator[tuple[Verb, str, str]]:
    """Verb, field of the profile and name of every method that an audit with this profile may run."""
    for verb, fields in PLACES.items():
        for field in fields:
            names = diagnoses if field == "diagnoses" else getattr(profile, field)
            yield from ((verb, field, name) for name in names)


def _unknown(name: str, profile: Profile, diagnoses: Collection[str]) -> str:
    names = [method for _, _, method in _places(profile, diagnoses)]
    near = difflib.get_close_matches(name.rpartition(".")[2], names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
    return f"options are given for {name!r}, which this audit does not run (name it in methods or scores); {hint}"
