# SPDX-License-Identifier: Apache-2.0
"""The probes that ship with the package, and probes of the caller's own files."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from assay.basics.errors import InputError
from assay.nouns.redteam.probe import Probe

NAMES = (
    "unplanted",
    "prompt_leakage",
    "direct_injection",
    "policy_override",
    "retrieved_text",
    "trained_canaries",
    "neutral_requests",
    "swapped_requests",
)
"""The probes of the package, in the order in which they are run."""


def shipped_probe(name: str) -> Probe:
    """The probe of the package with this name; ``InputError`` for another name."""
    if name not in NAMES:
        raise InputError(f"there is no probe {name!r}; there are {', '.join(NAMES)}. A file of your own ends in .json.")
    text = (files("assay.data") / "probes" / f"{name}.json").read_text(encoding="utf-8")
    return Probe.of(json.loads(text), name)


def read_probe(path: str | Path) -> Probe:
    """The probe in a JSON file; ``InputError`` where it is none."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"there is no probe {str(path)!r} to read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON in UTF-8: {error}.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}, not the JSON object of a probe.")
    return Probe.of(found, str(path))
