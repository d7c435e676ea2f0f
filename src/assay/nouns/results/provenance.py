# SPDX-License-Identifier: Apache-2.0
"""Remarks on a result, and how it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.basics.seed import Seed


@dataclass(frozen=True)
class Note:
    """A remark on a result: a stable code, a sentence, and the rows it concerns."""

    code: str
    text: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """How a result was computed. ``options`` are the method's own, as given; ``cost`` counts rows."""

    method: str
    verb: str
    options: Mapping[str, Any]
    seed: Seed
    target: str
    model_fingerprint: str
    rows_fingerprint: str
    features_fingerprint: str
    versions: Mapping[str, str]
    device: str
    cost: Mapping[str, int]


@dataclass(frozen=True)
class Refusal:
    """A step that could not be completed, with the reason."""

    method: str
    verb: str
    reason: str
    kind: str
