# SPDX-License-Identifier: Apache-2.0
"""Models and rows from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.words.errors import CapabilityError, InputError
from assay.words.optional import need


def model_from(where: str) -> Any:
    """The model that FILE.py:FUNCTION returns; the file is run."""
    path, colon, name = where.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise CapabilityError(
            f"{where!r} cannot be loaded: give FILE.py:FUNCTION, a function of yours that returns the model. "
            f"Pickles are refused: loading one can run code."
        )
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {path}.")
    import importlib.util

    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python module.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = {key: value for key, value in vars(module).items() if callable(value)}
    if name not in functions:
        raise InputError(f"{path} has no function {name!r}; it has {', '.join(sorted(functions))[:200]}.")
    return functions[name]()


def rows_from(path: Path, target: str) -> tuple[Any, Any]:
    """Rows and labels (``None`` without a target) of a CSV or parquet file, as a pandas frame."""
    pandas = need("pandas", extra="demo")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"{path} is neither .csv nor .parquet.")
    frame = pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)
    if not target:
        return frame, None
    if target not in frame.columns:
        raise InputError(f"{path} has no column {target!r}; it has {', '.join(map(str, frame.columns))[:200]}.")
    return frame.drop(columns=[target]), frame[target]
