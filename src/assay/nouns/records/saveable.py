# SPDX-License-Identifier: Apache-2.0
"""The base class of everything that can be saved to a file: results, comparisons, grids and tables."""

from __future__ import annotations

from pathlib import Path


class Saveable:
    """An object that can be written to a file and read back with ``assay.load``."""

    def save(self, path: str | Path) -> Path:
        """Write to one file: numbers as safetensors, the rest as JSON; never pickle."""
        from assay.nouns.records.store import save

        return save(self, path)
