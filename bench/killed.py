"""An audit killed with SIGKILL at random moments goes on and ends as if nothing had happened. Writes bench/killed.md.

``python bench/killed.py`` kills twenty audits of the standard profile; with ``run STORE PROFILE ROWS`` it is the audit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

KILLS = 20


def rows(count: int, seed: int) -> tuple[Any, Any]:
    """A frame of numbers and words, and labels that favour one group."""
    import pandas as pd

    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": generator.integers(18, 80, count),
            "sum": generator.normal(3, 1, count).round(3),
            "job": generator.choice(["clerk", "cook", "nurse"], count),
            "sex": generator.choice(["f", "m"], count),
            "region": generator.choice(["north", "south", "west"], count),
        }
    )
    height = frame["age"] / 30 - frame["sum"] + (frame["job"] == "cook") + 1.2 * (frame["sex"] == "m")
    height += generator.normal(0, 1.0, count)
    return frame, np.where(height > np.median(height), "good", "bad")


def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
    """One-hot words and boosted trees that learn their rows by heart, unless strength is given."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    words = (OneHotEncoder(handle_unknown="ignore"), ["job", "sex", "region"])
    trees = GradientBoostingClassifier(
        n_estimators=max(10, int(120 * 0.2**strength)), max_depth=5 if strength < 0.5 else 2, random_state=0
    )
    return make_pipeline(make_column_transformer(words, remainder="passthrough"), trees).fit(x, y)


def audited(store: Path, profile: str, size: int) -> None:
    """The whole audit of ``size`` rows: every test for faults, two repairs, and the tests again."""
    import assay

    train, test = rows(5 * size // 3, 0), rows(size, 1)
    assay.audit(
        fit(*train, None, 0.0),
        *test,
        train=train,
        sensitive=("sex",),
        favourable="good",
        suspects=("region",),
        recipe=assay.Recipe(fit, *train, regularises=True),
        profile=profile,
        store=store,
        out=store / "out",
    )


def started(store: Path, profile: str = "standard", size: int = 300) -> subprocess.Popen[bytes]:
    """The audit in a process of its own, one thread."""
    command = [sys.executable, str(Path(__file__).resolve()), "run", str(store), profile, str(size)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def result(store: Path) -> tuple[str, bytes]:
    """result.json and the stored record of an audit, without times."""
    from assay.auditing.run import Run
    from assay.nouns.records.store import save

    told = json.loads((store / "out" / "result.json").read_text())
    told.pop("times")
    bare = save(replace(Run.load(store / "out").record, times={}), store / "bare.assay")
    return json.dumps(told), bare.read_bytes()


def survives(moment: float, folder: Path, profile: str = "standard") -> tuple[int, tuple[str, bytes]]:
    """Kill an audit after so many seconds and run it again: how many steps had been kept, and the result."""
    process = started(folder, profile)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = len(list(folder.glob("??/*.assay")))
    if started(folder, profile).wait() != 0:
        raise RuntimeError("the audit that went on failed")
    return kept, result(folder)


def main() -> None:
    """Kill, go on, compare; write the page."""
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        begun = time.monotonic()
        if started(whole).wait() != 0:
            raise RuntimeError("the audit failed")
        took = time.monotonic() - begun
        wanted, steps = result(whole), len(list(whole.glob("??/*.assay")))
        generator = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
        lines = []
        for number, moment in enumerate(np.sort(generator.uniform(0.15, 1.0, KILLS)) * took, 1):
            folder = Path(place) / str(number)
            kept, found = survives(float(moment), folder)
            same = "the same bytes" if found == wanted else "DIFFERENT"
            lines.append([str(number), f"{moment:.1f} s", f"{kept} of {steps}", same])
        equal = sum(line[-1] == "the same bytes" for line in lines)
    write(
        "killed",
        "Audits killed and resumed",
        f"{equal} of {KILLS} audits of profile standard (uninterrupted: {took:.0f} s, {steps} kept steps), killed with "
        f"SIGKILL at a random moment and run again, gave result.json and run.assay byte for byte, but for times.",
        table(("audit", "killed after", "steps kept by then", "result after going on"), lines),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        audited(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
