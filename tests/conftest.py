"""One thread, the methods checked against their annotations, and messages for the assertions of the contract suite."""

import gc

import pytest
import torch
from jaxtyping import install_import_hook

from tests.checked_modules import CHECKED

torch.set_num_threads(1)
install_import_hook([f"assay.{name}" for name in CHECKED], "beartype.beartype")
pytest.register_assert_rewrite("tests.contract.laws", "tests.contract.claims")


def pytest_collection_finish() -> None:
    """Modules and collected tests stay to the end: the garbage collector need not go through them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def exact_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model counts as one of trees: its games share single values between requests."""
    from assay.model.model import Model

    monkeypatch.setattr(Model, "rows_exact", True)
