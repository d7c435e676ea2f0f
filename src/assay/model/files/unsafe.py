# SPDX-License-Identifier: Apache-2.0
"""Loading of files that can run code; called only if the user allows it, and no other module does this."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np

from assay.basics.errors import Unreadable
from assay.basics.optional import need
from assay.model.files.formats import File


def unpickle(file: File) -> Any:
    """Load a pickle, joblib, numpy or full torch file. Any code in the file is run."""
    if file.format == "pickle":
        return joblib.load(file.path)
    if file.format == "torch":
        return need("torch", extra="torch").load(file.path, map_location="cpu", weights_only=False)
    if file.format == "torchscript":
        return need("torch", extra="torch").jit.load(file.path, map_location="cpu")
    if file.format == "numpy":
        return np.load(file.path, allow_pickle=True).item()
    raise Unreadable(
        f"assay has no reader for {file.path.name}, even if you trust it. "
        f"Write FILE.py:FUNCTION that loads and returns the model."
    )
