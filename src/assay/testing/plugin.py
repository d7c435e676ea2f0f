# SPDX-License-Identifier: Apache-2.0
"""Fixtures for pytest: audit a model in a test, and compare with an audit that was kept.

::

    def test_the_model_is_sound(assay_audit):
        run = assay_audit(model, x, y, train=(x_train, y_train))
        assert run.ok(ignore=["STA"])

When such a test fails, its report tells what every audit made in it found. Nothing heavy is imported before.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from assay.auditing.run import Run

SHOWN = 12
"""How many findings of an audit fit below a failed test."""

_MADE: pytest.StashKey[list[Run]] = pytest.StashKey()


class Auditing(Protocol):
    """What the fixture ``assay_audit`` gives: ``assay.audit`` with the profile "quick" and a store of its own."""

    def __call__(self, model: Any, x: Any, y: Any = None, **options: Any) -> Run:
        """Audit; see ``assay.audit`` for the options."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--assay-baseline FOLDER``."""
    parser.getgroup("assay").addoption(
        "--assay-baseline", metavar="FOLDER", default="", help="folder of an audit that assay_baseline loads"
    )


@pytest.fixture
def assay_audit(request: pytest.FixtureRequest) -> Auditing:
    """``assay.audit`` that keeps finished steps in pytest's cache folder, with the profile "quick" by default."""
    made = request.node.stash.setdefault(_MADE, [])
    cache: Any = getattr(request.config, "cache", None)  # absent with -p no:cacheprovider
    store = None if cache is None else cache.mkdir("assay")

    def audited(model: Any, x: Any, y: Any = None, **options: Any) -> Run:
        from assay.auditing.audit import audit

        run = audit(model, x, y, **{"profile": "quick", "store": store, **options})
        made.append(run)
        return run

    return audited


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
    """Tell what the audits of a failed test found."""
    report = yield
    if report.failed:
        report.sections += [(f"assay: {run.record.title}", "\n".join(told(run))) for run in item.stash.get(_MADE, [])]
    return report


def told(run: Run) -> list[str]:
    """What stands against a model, one line a finding, as far as it fits."""
    standing = run.standing()
    lines = [f"{f.verdict.upper()} {f.code} {f.claim}" for f in standing[:SHOWN]]
    if len(standing) > SHOWN:
        lines.append(f"… {len(standing) - SHOWN} more")
    return lines or ["nothing failed"]
