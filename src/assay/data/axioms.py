# SPDX-License-Identifier: Apache-2.0
"""The measured table of axioms that ships with the package, as plain data."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


@functools.cache
def load_axiom_data() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """By method, then by axiom: verdict, size, tolerance, counterexample, and the numbers of subjects."""
    return json.loads(files("assay.data").joinpath("axioms.json").read_text(encoding="utf-8"))


def verdicts(method: str) -> Mapping[str, str]:
    """The verdict of a method on each axiom: kept, violated, undecided, not applicable; empty for an unknown method."""
    return {axiom: str(cell["verdict"]) for axiom, cell in load_axiom_data().get(method, {}).items()}
