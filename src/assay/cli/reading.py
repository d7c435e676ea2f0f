# SPDX-License-Identifier: Apache-2.0
"""The earlier name of ``read_rows``."""

from __future__ import annotations

import warnings
from pathlib import Path

from assay.cli.read_rows import DataFiles, DataTable


def rows_from(path: Path, target: str = "", ids: str = "") -> DataTable:
    """The rows of a file, as ``DataFiles`` reads it where no model says more; warns that this name will be removed."""
    text = "assay.cli.reading is now assay.cli.read_rows; the earlier name will be removed."
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return DataFiles.of(None, Path(path)).read(Path(path), target, ids)
