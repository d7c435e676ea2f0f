# SPDX-License-Identifier: Apache-2.0
"""Loading files that can run code: the one module that does, and only where the user said so."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np

from assay.basics.errors import Unreadable
from assay.basics.optional import need
from assay.model.files.formats import File


def unpickled(file: File) -> Any:
    """What a pickle, joblib, numpy or whole torch file holds. Whatever code the file brings is run."""
    if file.format == "pickle":
        return joblib.load(file.path)
    if file.format == "torch":
        return need("torch", extra="torch").load(file.path, map_location="cpu", weights_only=False)
    if file.format == "torchscript":
        return need("torch", extra="torch").jit.load(file.path, map_location="cpu")
    if file.format == "numpy":
        return np.load(file.path, allow_pickle=True).item()
    raise Unreadable(
        f"{file.path.name} has no reader here even where it is trusted. "
        f"Write FILE.py:FUNCTION that loads and returns it."
    )
