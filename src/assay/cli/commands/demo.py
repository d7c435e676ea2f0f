# SPDX-License-Identifier: Apache-2.0
"""The command ``assay demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def demo(
    which: Literal["credit", "image"], /, *, out: Path | None = None, profile: str = "quick", seed: int = 0
) -> int:
    """Audit an example model: a credit pipeline that is trained first, or an ImageNet classifier. Always exits with 0.

    Parameters
    ----------
    which
        credit (German credit, gradient-boosted trees) or image (EfficientNet-Lite0, six photographs).
    out
        Folder for results and report; demo/NAME by default.
    profile
        quick, standard or deep.
    seed
        Root of all randomness.
    """
    from assay.auditing.gate import evaluate_gate
    from assay.cli.printing import print_summary
    from assay.cli.progress import ProgressLine

    folder = out or Path("demo") / which
    if which == "credit":
        from assay.demos.credit import credit

        run = credit(out=folder, profile=profile, seed=seed, progress=ProgressLine())
    else:
        from assay.demos.image import image

        run = image(out=folder, profile=profile, seed=seed, progress=ProgressLine())
    print_summary(run, evaluate_gate(run), folder)
    return 0
