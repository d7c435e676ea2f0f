"""How figures are written down: with the machine, the day and the versions they were measured with."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "numpy", "scipy", "scikit-learn", "torch", "xgboost", "onnxruntime",
    "captum", "quantus", "shap", "shapiq", "woodelf-explainer", "zennit",
)  # fmt: skip


def machine() -> str:
    """Processor, cores, day, versions."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return f"{day}; {cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(found)}."


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def write(name: str, title: str, *blocks: str) -> None:
    """Write ``bench/<name>.md`` and show it."""
    text = "\n\n".join([f"# {title}", machine(), *blocks]) + "\n"
    (Path(__file__).parent / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
