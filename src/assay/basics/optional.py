# SPDX-License-Identifier: Apache-2.0
"""Imports of optional packages at the time of first use."""

from importlib import import_module
from typing import Any

from assay.basics.errors import MissingExtra


def need(module: str, *, extra: str) -> Any:
    """Import ``module``; if it is missing, raise ``MissingExtra`` with the name of the extra that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} could not be imported ({error}). Install the extra: pip install 'assay[{extra}]'"
        ) from error
