# SPDX-License-Identifier: Apache-2.0
"""The command ``assay schema``."""

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
    from assay.auditing.schema import schema as json_schema

    sys.stdout.write(dumps(json_schema(which), indent=1) + "\n")
    return 0
