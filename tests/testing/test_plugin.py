"""The pytest plugin, loaded by its entry point in a separate pytest process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SUITE = """
import numpy as np
from sklearn.linear_model import LogisticRegression

def made():
    x = np.random.default_rng(0).normal(size=(60, 2))
    return LogisticRegression().fit(x, x[:, 0] > 0), x, (x[:, 0] > 0).astype(int)

def test_passes(assay_audit):
    model, x, y = made()
    run = assay_audit(model, x, y, select=["PER101"])
    assert run.ok()

def test_fails(assay_audit):
    model, x, y = made()
    run = assay_audit(model, x, y, train=(x, y), select=["DAT"])
    assert run.ok(ignore=["STA"])

def test_loads(assay_baseline):
    assert assay_baseline.findings
"""


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    import assay

    x = np.random.default_rng(0).normal(size=(40, 2))
    folder = tmp_path_factory.mktemp("baseline")
    model = LogisticRegression().fit(x, x[:, 0] > 0)
    assay.audit(model, x, train=None, profile="quick", select=["EXP101"], out=folder)
    return folder


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, baseline: Path) -> tuple[dict[str, str], str, Path]:
    """Result of each test by name, the terminal output, and the folder."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_it.py").write_text(SUITE)
    output = run_pytest(folder, "--junitxml=out.xml", f"--assay-baseline={baseline}")
    cases = ElementTree.parse(folder / "out.xml").iter("testcase")
    return {case.get("name", ""): case[0].tag if len(case) else "passed" for case in cases}, output, folder


def run_pytest(folder: Path, *words: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment).stdout


def test_an_audit_in_a_test_passes_or_fails_with_the_model(outcome):
    assert outcome[0] == {"test_passes": "passed", "test_fails": "failure", "test_loads": "passed"}


def test_a_failed_test_reports_the_findings_of_the_audit(outcome):
    output = outcome[1]
    assert "assay: Audit of LogisticRegression" in output
    assert "FAIL DAT101 60 of 60 held-out rows" in output
    assert output.count("assay: Audit of") == 1


def test_finished_steps_are_in_the_cache(outcome):
    assert list((outcome[2] / ".pytest_cache").rglob("*.assay"))


def test_without_a_baseline_the_test_is_skipped_and_without_a_cache_nothing_is_kept(tmp_path):
    (tmp_path / "test_it.py").write_text(SUITE)
    output = run_pytest(tmp_path, "-p", "no:cacheprovider", "-k", "loads or passes")
    assert "no baseline: give the folder of an audit with --assay-baseline FOLDER" in output
    assert "1 passed, 1 skipped" in output
    assert not list(tmp_path.rglob("*.assay"))


def test_loading_the_plugin_imports_no_numeric_package():
    code = (
        "import sys, assay.testing.plugin; sys.exit(bool({'numpy', 'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
