# SPDX-License-Identifier: Apache-2.0
"""``assay schema``."""

from __future__ import annotations

import sys
from json import dumps
from typing import Literal


def schema(which: Literal["config", "result"], /) -> int:
    """Print the JSON Schema of assay.toml or result.json.

    Parameters
    ----------
    which
        config (assay.toml) or result (result.json).
    """
    from assay.auditing.schema import schema as made

    sys.stdout.write(dumps(made(which), indent=1) + "\n")
    return 0
