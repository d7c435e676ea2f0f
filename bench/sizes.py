"""Time and memory of an audit as classes, rows and columns grow. Writes bench/sizes.md.

Each audit runs in a process of its own, one after another, so its peak memory is its own:
``python bench/sizes.py [CLASSES …]`` (by default 50, 500 and 5,000).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

CLASSES = (50, 500, 5000)
ROWS = 600
COLUMNS = 10
FOREST = "forest, 10 trees of depth 8"
BOOSTED = "histogram boosting, 3 rounds"
LONGEST = 300
"""Seconds after which training and audit are stopped."""

MOST_BOOSTED = 500
"""Classes up to which the boosted model is trained: it grows one tree a class and round."""


@dataclass(frozen=True)
class Size:
    """One audit: the kind of model, the profile, and the size of its data."""

    model: str
    profile: str
    classes: int
    rows: int = ROWS
    columns: int = COLUMNS


@dataclass(frozen=True)
class Measured:
    """What an audit took: seconds of processor time, peak memory before and after it, and the sizes of its files."""

    seconds: float
    before: float
    peak: float
    page: int
    result: int
    checks: int


def sizes(classes: tuple[int, ...]) -> list[Size]:
    """All audits, in the order of the table."""
    kinds = ("logistic regression", FOREST, BOOSTED, "net")
    many = [
        Size(kind, profile, count)
        for kind in kinds
        for profile in ("quick", "standard")
        for count in classes
        if kind != BOOSTED or count <= MOST_BOOSTED
    ]
    large = [
        Size(kind, "quick", 2, rows, columns)
        for kind in ("logistic regression", BOOSTED)
        for rows, columns in ((200_000, 20), (300, 2_000))
    ]
    return [*many, *large]


def data(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Rows around random centres, one a class; each class occurs in the training half where there are enough rows."""
    generator = np.random.default_rng(size.classes + size.rows + size.columns)
    centres = generator.normal(size=(size.classes, size.columns))
    y = np.concatenate([np.arange(size.classes), generator.integers(0, size.classes, 2 * size.rows)])
    return centres[y] + 0.3 * generator.normal(size=(len(y), size.columns)), y


def fitted(size: Size, x: np.ndarray, y: np.ndarray) -> Any:
    """The model, trained shortly: what counts here is its size."""
    if size.model == "logistic regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=5 if size.classes > MOST_BOOSTED else 30).fit(x, y)
    if size.model == FOREST:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(10, max_depth=8, random_state=0).fit(x, y)
    if size.model == BOOSTED:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(max_iter=3, max_depth=3, early_stopping=False).fit(x, y)
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(size.columns, 32), torch.nn.ReLU(), torch.nn.Linear(32, size.classes))
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    for _ in range(30):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs), labels).backward()
        optimiser.step()
    return net.eval()


def measured(size: Size, folder: Path) -> Measured:
    """Train and audit in this process."""
    import assay

    x, y = data(size)
    held_out = len(y) - size.rows
    train, test = (x[:held_out], y[:held_out]), (x[held_out:], y[held_out:])
    model = assay.wrap(fitted(size, *train), **({"output": "logits"} if size.model == "net" else {}))
    before = _peak()
    started = time.process_time()
    run = assay.audit(model, *test, train=train, profile=size.profile, out=folder)
    seconds = time.process_time() - started
    page = next(folder.glob("*.html")).stat().st_size
    result = (folder / "result.json").stat().st_size
    return Measured(seconds, before, _peak(), page, result, len(run.findings))


def _peak() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(size: Size) -> Measured | None:
    """Measure one audit in a process of its own; ``None`` where it takes longer than ``LONGEST``."""
    command = [sys.executable, __file__, "--one", json.dumps(asdict(size))]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return None
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def line(size: Size, found: Measured | None) -> list[str]:
    """One row of the table."""
    what = [size.model, size.profile, f"{size.classes:,}", f"{size.rows:,} × {size.columns:,}"]
    if found is None:
        return [*what, f"over {LONGEST}, stopped", *["–"] * 4]
    return [
        *what,
        f"{found.seconds:.1f}",
        f"{found.peak:,.0f}",
        f"{found.before:,.0f}",
        f"{found.page / 1000:,.0f}",
        f"{found.result / 1000:,.0f}",
    ]


def main() -> None:
    """Measure all and write the page."""
    if sys.argv[1:2] == ["--one"]:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asdict(measured(Size(**json.loads(sys.argv[2])), Path(folder)))))
        return
    rows = []
    for size in sizes(tuple(map(int, sys.argv[1:])) or CLASSES):
        rows.append(line(size, in_a_process(size)))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    heads = (
        "model", "profile", "classes", "rows × columns", "seconds", "peak MB", "MB before the audit",
        "page kB", "result.json kB",
    )  # fmt: skip
    write(
        "sizes",
        "Audits of many classes, rows and columns",
        "One thread, one process an audit. Rows × columns are those audited; the model was trained on at least as many "
        "others. Seconds are processor time of the audit with its page; memory is the peak of the process. The boosted "
        f"model is left out beyond {MOST_BOOSTED} classes: it grows one tree a class and round.",
        table(heads, rows),
    )


if __name__ == "__main__":
    main()
