# SPDX-License-Identifier: Apache-2.0
"""Where a result comes from: its method, options, seed, fingerprints, versions and cost."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from assay.cases.case import Case
from assay.nouns.catalogue import Method
from assay.nouns.results.result import Provenance


def provenance_of(method: Method, case: Case, options: Mapping[str, Any], spent: Mapping[str, int]) -> Provenance:
    """The provenance of a result that the method made of a case with these options and passes."""
    return Provenance(
        method=method.name,
        verb=method.verb,
        options=options,
        seed=case.seed,
        target=case.target_text,
        model_fingerprint=case.model.fingerprint,
        rows_fingerprint=case.rows.fingerprint,
        features_fingerprint=case.features.fingerprint,
        versions=versions(),
        device=case.model.device,
        cost={what: count for what, count in spent.items() if count},
    )


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("assay", "numpy", "scipy", "scikit-learn", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
