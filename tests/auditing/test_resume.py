"""An audit that is killed goes on; ``make judge`` kills twenty of the standard profile.

What is killed, and the second of two audits at once, run in a process of their own; the others run here.
"""

import subprocess
import time
from pathlib import Path

import pytest
from bench import killed

ROWS = 45


def started(folder: Path, steps: int) -> subprocess.Popen[bytes]:
    """An audit in a process of its own that has stored so many steps."""
    process = killed.started(folder, "quick", ROWS)
    while len(list(folder.glob("??/*.assay"))) < steps:
        assert process.poll() is None, f"the audit ended by itself, with {process.returncode}"
        time.sleep(0.02)
    return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    killed.audited(folder, "quick", ROWS)
    return killed.result(folder)


def test_an_audit_killed_midway_ends_as_if_it_had_not_been(whole: tuple[str, bytes], tmp_path: Path) -> None:
    process = started(tmp_path, steps=12)
    process.kill()
    assert process.wait() < 0
    before = {place: place.stat().st_mtime_ns for place in tmp_path.glob("??/*.assay")}
    killed.audited(tmp_path, "quick", ROWS)
    assert killed.result(tmp_path) == whole
    assert {place: place.stat().st_mtime_ns for place in before} == before


def test_two_audits_on_one_store_do_each_other_no_harm(whole: tuple[str, bytes], tmp_path: Path) -> None:
    process = started(tmp_path, steps=1)
    killed.audited(tmp_path, "quick", ROWS)
    assert process.wait() == 0
    assert killed.result(tmp_path) == whole
