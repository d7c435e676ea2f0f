# SPDX-License-Identifier: Apache-2.0
"""Packages that are loaded only when a function needs them."""

from importlib import import_module
from typing import Any

from assay.basics.errors import MissingExtra


def need(module: str, *, extra: str) -> Any:
    """Import ``module``, or say which extra brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} could not be imported ({error}). It comes with an extra: pip install 'assay[{extra}]'"
        ) from error
