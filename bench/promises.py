"""What an audit promises about time and size, measured. Writes bench/promises.md. One thread, a quiet machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

import assay  # as above
from assay.auditing.run import Run  # as above


def forest() -> tuple[float, Run]:
    """Seconds of a quick audit of 100 trees on 1,000 rows of 20 columns, no training data given."""
    x, y = make_classification(4000, 20, n_informative=8, random_state=0)
    model = RandomForestClassifier(100, random_state=0).fit(x[:3000], y[:3000])
    started = time.perf_counter()
    run = assay.audit(model, x[3000:], y[3000:], profile="quick")
    return time.perf_counter() - started, run


def passes(run: Run) -> float:
    """Seconds of the same forest on as many rows as the audit put through it, in batches of the same size."""
    x, y = make_classification(4000, 20, n_informative=8, random_state=0)
    model = RandomForestClassifier(100, random_state=0).fit(x[:3000], y[:3000])
    batch = np.tile(x, (20, 1))[: assay.wrap(model).batch]
    started = time.perf_counter()
    for _ in range(8):
        model.predict_proba(batch)
    return (time.perf_counter() - started) / 8 * run.record.cost["model evaluations"] / len(batch)


def wide() -> tuple[float, Run]:
    """Seconds of a quick audit of a linear model of 1,000 columns."""
    import pandas as pd

    generator = np.random.default_rng(0)
    x = generator.normal(size=(600, 1000))
    y = (x[:, :10].sum(axis=1) + generator.normal(size=600) > 0).astype(int)
    frame = pd.DataFrame(x, columns=[f"measurement number {i} of the sensor array" for i in range(1000)])
    model = LogisticRegression(C=0.01, max_iter=500).fit(frame[:400], y[:400])
    started = time.perf_counter()
    run = assay.audit(model, frame[400:], y[400:], train=(frame[:400], y[:400]), profile="quick")
    return time.perf_counter() - started, run


def page(run: Run) -> tuple[float, int]:
    """Seconds to render, and bytes of the page."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        path = run.to_html(Path(folder) / "page.html")
        return time.perf_counter() - started, path.stat().st_size


def helped() -> float:
    """CPU seconds of ``assay --help``, best of five."""
    import resource

    best = float("inf")
    for _ in range(5):
        command = [str(Path(sys.executable).with_name("assay")), "--help"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def main() -> None:
    """Measure and write."""
    took, run = forest()
    bare = passes(run)
    rendered, size = page(run)
    wide_took, wide_run = wide()
    wide_rendered, wide_size = page(wide_run)
    rows = [
        ["quick audit, forest of 100 trees, 1,000 rows × 20 columns", f"{took:.1f} s", "60 s"],
        ["… as a ratio to the bare passes of the same forest", f"{took / bare:.2f}", "–"],
        [
            "… model evaluations requested, as planned",
            f"{run.record.cost['model evaluations requested']:,}",
            "exactly as printed before",
        ],
        ["… model evaluations (the others are cached)", f"{run.record.cost['model evaluations']:,}", "–"],
        ["… its page, rendered", f"{rendered:.2f} s", "3 s"],
        ["… its page, size", f"{size / 1000:.0f} kB", "300 kB"],
        ["quick audit, linear model of 1,000 columns", f"{wide_took:.0f} s", "–"],
        ["… its page, rendered", f"{wide_rendered:.2f} s", "3 s"],
        ["… its page, size", f"{wide_size / 1000:.0f} kB", "1,500 kB"],
        ["assay --help, CPU", f"{helped():.2f} s", "0.4 s"],
    ]
    write("promises", "What an audit promises", table(("promise", "measured", "bar"), rows))


if __name__ == "__main__":
    main()
