"""One thread, and the methods checked against their annotations, array axes included.

Left unchecked is where a test hands in what the package itself must refuse in its own words.
"""

from pathlib import Path

import torch
from jaxtyping import install_import_hook

SOURCE = Path(__file__).parents[1] / "src" / "assay"
SCORES = [f"evaluate.{path.stem}" for path in sorted((SOURCE / "evaluate").glob("[a-z]*.py"))]
CHECKED = ["words.stats", "cases.removals", "cases.fillings", "engine.ordered", "engine.summary", "explain", "attack"]

torch.set_num_threads(1)
checked = [f"assay.{name}" for name in (*CHECKED, "certify", *SCORES) if name != "evaluate.max_sensitivity"]
install_import_hook(checked, "beartype.beartype")
