# SPDX-License-Identifier: Apache-2.0
"""The command ``assay doctor``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from json import dumps
from pathlib import Path
from typing import Any, Literal

REQUIRED = ("numpy", "scipy", "scikit-learn", "narwhals", "pydantic", "cyclopts", "rich", "jinja2", "safetensors")
"""Required packages."""

EXTRAS = {
    "torch": {"torch": "torch"},
    "trees": {"xgboost": "xgboost", "lightgbm": "lightgbm", "catboost": "catboost"},
    "files": {"skops": "skops", "onnxruntime": "onnxruntime"},
    "image": {"scikit-image": "skimage", "pillow": "PIL"},
    "shap": {"shap": "shap"},
    "demo": {"pandas": "pandas"},
}
"""The packages of each extra, with their import names."""

OPTIONAL = {"polars": "polars", "pyarrow": "pyarrow"}
"""Packages for reading data files, which belong to no extra."""

OTHER_NAMES = {"xgboost": ("xgboost", "xgboost-cpu")}


def doctor(*, store: Path = Path(".assay/store"), format: Literal["text", "json"] = "text") -> int:
    """Show versions, extras and missing packages. The exit code is 3 if a required part does not work.

    Parameters
    ----------
    store
        Folder of the result store, which must be writable.
    format
        text or json.
    """
    report: dict[str, Any] = {
        "assay": _version("assay"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "required": {name: _version(name) or "missing" for name in REQUIRED},
        "extras": {extra: {n: _state(n, m) for n, m in packages.items()} for extra, packages in EXTRAS.items()},
        "optional": {name: _state(name, module) for name, module in OPTIONAL.items()},
        "torch threads": _threads(),
        "store": {"folder": str(store), "writable": _writable(store)},
    }
    report["notes"] = _notes(report)
    healthy = report["store"]["writable"] and "missing" not in report["required"].values()
    if format == "json":
        sys.stdout.write(dumps(report, indent=1) + "\n")
    else:
        _print_report(report)
    return 0 if healthy else 3


def _version(package: str) -> str:
    for name in OTHER_NAMES.get(package, (package,)):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _state(package: str, module: str) -> dict[str, str]:
    """The version of a package, and whether its import succeeds."""
    number = _version(package)
    if not number:
        return {"state": "missing"}
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return {"state": "broken", "version": number, "why": f"{type(error).__name__}: {str(error)[:160]}"}
    return {"state": "present", "version": number}


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _writable(folder: Path) -> bool:
    """Whether files can be written in a folder, or in its nearest existing parent."""
    import os

    existing = folder
    while not existing.exists():
        existing = existing.parent
    return existing.is_dir() and os.access(existing, os.W_OK)


def _notes(report: Mapping[str, Any]) -> list[str]:
    notes = []
    for extra, packages in report["extras"].items():
        missing = [name for name, state in packages.items() if state["state"] != "present"]
        if missing:
            notes.append(f"{', '.join(missing)}: pip install 'assay[{extra}]'")
    if report["optional"]["pyarrow"]["state"] != "present":
        notes.append("pyarrow: pip install pyarrow, to read parquet and feather files with pandas")
    if _version("torchvision") and _state("torchvision", "torchvision")["state"] == "broken":
        notes.append(
            "torchvision is installed and cannot be imported. assay does not need it, but other packages may: "
            "reinstall it to match torch, or remove it (pip uninstall torchvision)"
        )
    if not report["store"]["writable"]:
        notes.append(f"the store {report['store']['folder']} is not writable; give another folder with --store")
    return notes


def _print_report(report: Mapping[str, Any]) -> None:
    from assay.cli.printing import terminal

    console = terminal()
    console.print(f"assay {report['assay']} · python {report['python']} · {report['platform']}", soft_wrap=True)
    console.print(" · ".join(f"{name} {number}" for name, number in report["required"].items()), soft_wrap=True)
    for extra, packages in {**report["extras"], "no extra": report["optional"]}.items():
        states = ", ".join(f"{name} {state.get('version', '')} {state['state']}" for name, state in packages.items())
        console.print(f"[{extra}] {' '.join(states.split())}", soft_wrap=True)
    if report["torch threads"] is not None:
        console.print(f"torch uses {report['torch threads']} thread(s)")
    console.print(f"store {report['store']['folder']}: {'writable' if report['store']['writable'] else 'not writable'}")
    for note in report["notes"]:
        console.print(f"! {note}", soft_wrap=True)
