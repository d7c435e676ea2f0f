"""``assay benchmark`` whole, and how long it takes (bar: 15 minutes on two cores). Writes bench/planted.md."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from bench.report import write  # found only once the folder is on the path

from assay.planted.suite import benchmark


def main() -> None:
    """Every method on every benchmark, on one thread."""
    torch.set_num_threads(1)
    started, processor = time.monotonic(), time.process_time()
    found = benchmark()
    minutes, spent = (time.monotonic() - started) / 60, (time.process_time() - processor) / 60
    told = found.to_markdown().removeprefix("# Planted truth").strip()
    took = (
        f"{len(found.methods)} methods, {len(found.models)} benchmarks: {minutes:.1f} minutes, {spent:.1f} of one core."
    )
    write("planted", "Planted truth: the whole benchmark", str(__doc__).strip(), took, told)


if __name__ == "__main__":
    main()
