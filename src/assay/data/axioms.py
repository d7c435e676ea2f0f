# SPDX-License-Identifier: Apache-2.0
"""The measured table of axioms that ships with the package."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


@functools.cache
def shipped() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """By method, then by axiom: verdict, size, tolerance, counterexample, and how many subjects were answered."""
    return json.loads(files("assay.data").joinpath("axioms.json").read_text(encoding="utf-8"))


def verdicts(method: str) -> Mapping[str, str]:
    """Each axiom's verdict for a method: kept, violated, undecided, not applicable; empty for a stranger."""
    return {axiom: str(found["verdict"]) for axiom, found in shipped().get(method, {}).items()}
