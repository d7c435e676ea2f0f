# SPDX-License-Identifier: Apache-2.0
"""``assay audit``."""

from __future__ import annotations

from pathlib import Path


def audit(
    model: str,
    /,
    *,
    data: Path,
    target: str = "",
    train: Path | None = None,
    sensitive: tuple[str, ...] = (),
    favourable: str = "",
    profile: str = "standard",
    seed: int = 0,
    out: Path = Path("audit"),
    json: bool = False,
) -> int:
    """Audit a model on data, and write results and a page.

    Exit code 0: nothing failed; 1: something failed; 2: usage; 4: the model or the data cannot be read.

    Parameters
    ----------
    model
        FILE.py:FUNCTION, a function of yours that returns the trained model. The file is run: give only code you trust.
    data
        CSV or parquet file of rows the model was not trained on.
    target
        Column of the data (and of --train) that holds the true labels.
    train
        CSV or parquet file of rows the model was trained on; enables the membership test.
    sensitive
        Column whose groups are compared; may be repeated.
    favourable
        The class that is good to get; by default the last one.
    profile
        quick, standard or deep.
    seed
        Root of all randomness.
    out
        Folder for results and page.
    json
        Print the result as JSON.
    """
    import sys

    from assay.auditing.audit import audit as run_audit
    from assay.cli.printing import conclusion
    from assay.cli.progress import Progress
    from assay.cli.reading import model_from, rows_from

    rows, labels = rows_from(data, target)
    run = run_audit(
        model_from(model),
        rows,
        labels,
        train=rows_from(train, target) if train is not None and target else None,
        sensitive=sensitive,
        favourable=favourable,
        profile=profile,
        seed=seed,
        out=out,
        tell=Progress(),
    )
    if json:
        sys.stdout.write(run.to_json() + "\n")
    else:
        conclusion(run, out)
    return 0 if run.passed else 1
