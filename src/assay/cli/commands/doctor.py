# SPDX-License-Identifier: Apache-2.0
"""``assay doctor``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from json import dumps
from pathlib import Path
from typing import Any, Literal

NEEDED = ("numpy", "scipy", "scikit-learn", "narwhals", "pydantic", "cyclopts", "rich", "jinja2", "safetensors")
"""Packages without which nothing works."""

EXTRAS = {
    "torch": {"torch": "torch"},
    "trees": {"xgboost": "xgboost", "lightgbm": "lightgbm", "catboost": "catboost"},
    "files": {"skops": "skops", "onnxruntime": "onnxruntime"},
    "image": {"scikit-image": "skimage", "pillow": "PIL"},
    "shap": {"shap": "shap"},
    "demo": {"pandas": "pandas"},
}
"""What each extra brings: the package, and the module it is imported as."""

ALONE = {"polars": "polars", "pyarrow": "pyarrow"}
"""Packages that data files may need and that belong to no extra."""

OTHER_NAMES = {"xgboost": ("xgboost", "xgboost-cpu")}


def doctor(*, store: Path = Path(".assay/store"), format: Literal["text", "json"] = "text") -> int:
    """Tell versions, extras, and what is missing. The exit code is 3 where something needed is broken.

    Parameters
    ----------
    store
        The folder that keeps finished steps, which must be writable.
    format
        text or json.
    """
    found: dict[str, Any] = {
        "assay": _version("assay"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "needed": {name: _version(name) or "missing" for name in NEEDED},
        "extras": {extra: {n: _state(n, m) for n, m in held.items()} for extra, held in EXTRAS.items()},
        "alone": {name: _state(name, module) for name, module in ALONE.items()},
        "torch threads": _threads(),
        "store": {"folder": str(store), "writable": _writable(store)},
    }
    found["notes"] = _notes(found)
    healthy = found["store"]["writable"] and "missing" not in found["needed"].values()
    if format == "json":
        sys.stdout.write(dumps(found, indent=1) + "\n")
    else:
        _shown(found)
    return 0 if healthy else 3


def _version(package: str) -> str:
    for name in OTHER_NAMES.get(package, (package,)):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _state(package: str, module: str) -> dict[str, str]:
    """Version, and whether it can be imported; importing is the only proof that it works."""
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
    """Whether a file can be put where the store is, or will be."""
    import os

    place = folder
    while not place.exists():
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK)


def _notes(found: Mapping[str, Any]) -> list[str]:
    notes = []
    for extra, held in found["extras"].items():
        lacking = [name for name, state in held.items() if state["state"] != "present"]
        if lacking:
            notes.append(f"{', '.join(lacking)}: pip install 'assay[{extra}]'")
    if found["alone"]["pyarrow"]["state"] != "present":
        notes.append("pyarrow: pip install pyarrow, to read parquet and feather files with pandas")
    if _version("torchvision") and _state("torchvision", "torchvision")["state"] == "broken":
        notes.append(
            "torchvision is installed and cannot be imported; assay does not need it, other packages that import it "
            "will fail: reinstall it to match torch, or remove it (pip uninstall torchvision)"
        )
    if not found["store"]["writable"]:
        notes.append(f"the store {found['store']['folder']} cannot be written; give another folder with --store")
    return notes


def _shown(found: Mapping[str, Any]) -> None:
    from assay.cli.printing import terminal

    console = terminal()
    console.print(f"assay {found['assay']} · python {found['python']} · {found['platform']}", soft_wrap=True)
    console.print(" · ".join(f"{name} {number}" for name, number in found["needed"].items()), soft_wrap=True)
    for extra, held in {**found["extras"], "no extra": found["alone"]}.items():
        told = ", ".join(f"{name} {state.get('version', '')} {state['state']}" for name, state in held.items())
        console.print(f"[{extra}] {' '.join(told.split())}", soft_wrap=True)
    if found["torch threads"] is not None:
        console.print(f"torch uses {found['torch threads']} thread(s)")
    console.print(f"store {found['store']['folder']}: {'writable' if found['store']['writable'] else 'not writable'}")
    for note in found["notes"]:
        console.print(f"! {note}", soft_wrap=True)
