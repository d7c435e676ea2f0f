"""Modules whose functions are checked against their annotations while tests run, array axes included.

Left unchecked is where a test hands in what the package itself must refuse with a message of its own.
"""

from pathlib import Path

import assay

SOURCE = Path(assay.__file__).resolve().parent
SCORES = [f"evaluate.{path.stem}" for path in sorted((SOURCE / "evaluate").glob("[a-z]*.py"))]
CHECKED = [
    "basics.stats",
    "cases.fillings",
    "engine.removal.ordered_removal",
    "engine.coalitions.estimator",
    "explain",
    "attack",
    "certify",
    *[name for name in SCORES if name != "evaluate.max_sensitivity"],
]
