# SPDX-License-Identifier: Apache-2.0
"""Pytest fixtures: audit a model in a test, and load a saved audit for comparison.

::

    def test_the_model_is_sound(assay_audit):
        run = assay_audit(model, x, y, train=(x_train, y_train))
        assert run.ok(ignore=["STA"])

When such a test fails, its report lists the findings of every audit in it. Importing the plugin loads no numpy.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from assay.auditing.run import Run

MAX_FINDINGS = 12
"""Most findings of an audit that are listed below a failed test."""

_RUNS: pytest.StashKey[list[Run]] = pytest.StashKey()


class AuditFunction(Protocol):
    """The value of the fixture ``assay_audit``: ``assay.audit`` with the profile "quick" and its own result store."""

    def __call__(self, model: Any, x: Any, y: Any = None, **options: Any) -> Run:
        """Audit a model; see ``assay.audit`` for the options."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--assay-baseline FOLDER``."""
    parser.getgroup("assay").addoption(
        "--assay-baseline",
        metavar="FOLDER",
        default="",
        help="folder of the audit that the fixture assay_baseline loads",
    )


@pytest.fixture
def assay_audit(request: pytest.FixtureRequest) -> AuditFunction:
    """``assay.audit`` with the profile "quick" by default; finished steps are cached in pytest's cache folder."""
    runs = request.node.stash.setdefault(_RUNS, [])
    cache: Any = getattr(request.config, "cache", None)  # absent with -p no:cacheprovider
    store = None if cache is None else cache.mkdir("assay")

    def audit_model(model: Any, x: Any, y: Any = None, **options: Any) -> Run:
        from assay.auditing.audit import audit

        run = audit(model, x, y, **{"profile": "quick", "store": store, **options})
        runs.append(run)
        return run

    return audit_model


@pytest.fixture
def assay_baseline(request: pytest.FixtureRequest) -> Run:
    """The audit in the folder that ``--assay-baseline`` names; without it the test is skipped."""
    folder = request.config.getoption("--assay-baseline")
    if not folder:
        pytest.skip("no baseline: give the folder of an audit with --assay-baseline FOLDER")
    from assay.auditing.run import Run

    return Run.load(Path(folder))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the findings of a failed test's audits to its report."""
    report = yield
    if report.failed:
        runs = item.stash.get(_RUNS, [])
        report.sections += [(f"assay: {run.record.title}", "\n".join(format_findings(run))) for run in runs]
    return report


def format_findings(run: Run) -> list[str]:
    """The failed checks without a waiver, one line each, at most ``MAX_FINDINGS``."""
    failed = run.unwaived()
    lines = [f"{f.verdict.upper()} {f.code} {f.claim}" for f in failed[:MAX_FINDINGS]]
    if len(failed) > MAX_FINDINGS:
        lines.append(f"… {len(failed) - MAX_FINDINGS} more")
    return lines or ["nothing failed"]
