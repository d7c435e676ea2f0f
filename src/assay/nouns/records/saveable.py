# SPDX-License-Identifier: Apache-2.0
"""What comparisons, grids, tables, means and judgements of scores have in common: they can be kept in a file."""

from __future__ import annotations

from pathlib import Path


class Saveable:
    """Can be written to a file, and read back with ``assay.load``."""

    def save(self, path: str | Path) -> Path:
        """Write to one file: numbers as safetensors, the rest as JSON; never pickle."""
        from assay.nouns.records.store import save

        return save(self, path)
