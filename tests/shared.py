"""The data folder that lies beside the project on some machines."""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def folder(name: str) -> Path:
    """The folder of this name; skips the test, with the reason, where it is absent."""
    place = DATA / name
    if not place.is_dir():
        pytest.skip(f"../shared/data/{name} is not on this machine")
    return place
