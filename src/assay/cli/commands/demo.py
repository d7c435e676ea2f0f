# SPDX-License-Identifier: Apache-2.0
"""``assay demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def demo(
    which: Literal["credit", "image"], /, *, out: Path | None = None, profile: str = "quick", seed: int = 0
) -> int:
    """Audit a real model: a credit pipeline trained now, or an ImageNet classifier. The exit code is 0 either way.

    Parameters
    ----------
    which
        credit (German credit, gradient-boosted trees) or image (EfficientNet-Lite0, six photographs).
    out
        Folder for results and page; demo/NAME by default.
    profile
        quick, standard or deep.
    seed
        Root of all randomness.
    """
    from assay.auditing.gate import gated
    from assay.cli.printing import conclusion
    from assay.cli.progress import Progress

    place = out or Path("demo") / which
    if which == "credit":
        from assay.demos.credit import credit

        run = credit(out=place, profile=profile, seed=seed, tell=Progress())
    else:
        from assay.demos.image import image

        run = image(out=place, profile=profile, seed=seed, tell=Progress())
    conclusion(run, gated(run), place)
    return 0
