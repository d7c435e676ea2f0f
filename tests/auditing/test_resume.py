"""An audit that is killed goes on; ``make judge`` kills twenty of the standard profile."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from bench import killed


def started(folder: Path) -> subprocess.Popen[bytes]:
    return killed.started(folder, "quick", 90)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert started(folder).wait() == 0
    return killed.result(folder)


def test_an_audit_killed_midway_ends_as_if_it_had_not_been(whole: tuple[str, bytes], tmp_path: Path) -> None:
    process = started(tmp_path)
    while len(list(tmp_path.glob("??/*.assay"))) < 12:
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the audit ended by itself, with {process.wait(0.05)}")
    process.kill()
    process.wait()
    kept = {place: place.stat().st_mtime_ns for place in tmp_path.glob("??/*.assay")}
    assert started(tmp_path).wait() == 0
    assert killed.result(tmp_path) == whole
    assert {place: place.stat().st_mtime_ns for place in kept} == kept


def test_two_audits_on_one_store_do_each_other_no_harm(whole: tuple[str, bytes], tmp_path: Path) -> None:
    processes = [started(tmp_path) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert killed.result(tmp_path) == whole
