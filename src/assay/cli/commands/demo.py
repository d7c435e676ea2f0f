# SPDX-License-Identifier: Apache-2.0
"""The command ``assay demo``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from assay.cli.error_messages import STORE

if TYPE_CHECKING:
    from assay.demos.demo import Demo


def demo(
    which: Literal["credit", "image"],
    /,
    *,
    out: Path | None = None,
    profile: Literal["quick", "standard", "deep"] = "quick",
    seed: int = 0,
    store: Path = Path(STORE),
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Audit an example model: a credit pipeline that is trained first, or an ImageNet classifier. Always exits with 0.

    Finished steps are saved in the store: the same command continues where an earlier one stopped.

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
    store
        Folder that stores finished steps.
    quiet
        Print no progress.
    """
    from assay.auditing.gate import evaluate_gate
    from assay.auditing.steps.execution import no_progress
    from assay.cli.printing import print_summary
    from assay.cli.terminal.progress import ProgressLine, meter_progress

    folder = out or Path("demo") / which
    with ProgressLine(label="train or load the example model", quiet=quiet):
        chosen = prepare_demo(which, profile, seed)
    with meter_progress(chosen.prepared.inputs.model.meter, "", quiet=quiet) as progress:
        command = f"assay demo {which} --profile {profile} --seed {seed}"
        run = chosen.run(out=folder, store=store, reproduce=command, progress=no_progress if quiet else progress)
    print_summary(run, evaluate_gate(run), folder)
    return 0


def prepare_demo(which: str, profile: str, seed: int) -> Demo:
    """The demonstration of this name, ready to run."""
    prepared: Demo = getattr(import_module(f"assay.demos.{which}"), which)(profile=profile, seed=seed)
    return prepared
