"""Pickles that would run code: the command refuses each of them with exit code 4 and runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.model.test_files import PAYLOADS, Payload

from assay.cli.main import run_command


@pytest.mark.parametrize(("name", "made"), PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("command", ["audit", "inspect"])
def test_a_payload_never_runs(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: str,
    made: Callable[[Payload], bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "ran"
    (tmp_path / name).write_bytes(made(Payload(marker)))
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    words = [command, name, *(["--data", "rows.csv"] if command == "audit" else [])]
    code, captured = run_command(words), capsys.readouterr()
    assert not marker.exists()
    if command == "audit":
        assert code == 4
        assert captured.err.startswith("error[E041]")
        assert "--unsafe-pickle" in captured.err
    else:
        assert "can run code: yes" in captured.out
