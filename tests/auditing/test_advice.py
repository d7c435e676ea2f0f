"""Advice follows the verdict after all corrections, for every check of the catalogue."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import assay
from assay import diagnose
from assay.auditing.check_catalogue import all_checks
from assay.auditing.joint_verdicts import drop_disproved, judge_jointly
from assay.basics.stats import Basis
from assay.diagnose.explanation_trust import conclude, conclude_available
from assay.engine.check_findings import advice_for
from assay.nouns.catalogue import Check, check_named
from assay.nouns.results.finding import Finding, judge

JUDGED = [check for check in all_checks() if check.direction]


def _texts() -> Iterator[tuple[str, Mapping[str, str]]]:
    """The advice that each diagnosis declares, by verdict."""
    for module in pkgutil.iter_modules(diagnose.__path__):
        found = getattr(importlib.import_module(f"assay.diagnose.{module.name}"), "ADVICE", {})
        if "pass" in found:
            yield module.name, found
        else:
            for check, texts in found.items():
                yield f"{module.name} {check.code}", texts


TEXTS = dict(_texts())


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.code)
def test_only_a_failure_gets_the_remedy(check: Check) -> None:
    assert advice_for(check, "fail") == advice_for(check, "rejected") == check.remedy
    for verdict in ("pass", "undecided", "informative", "not applicable", "not run", "error"):
        assert check.remedy not in advice_for(check, verdict)
    assert "more rows" in advice_for(check, "undecided")


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_the_advice_of_a_diagnosis_differs_by_verdict(texts: Mapping[str, str]) -> None:
    assert set(texts) == {"pass", "fail", "undecided"}
    assert texts["pass"] != texts["fail"]
    assert not any(part in texts["pass"] for part in texts["fail"].rstrip(".").split(". ") if len(part) > 20)
    assert "ore" in texts["undecided"]
    assert any(word in texts["undecided"].lower() for word in ("row", "draws", "models", "pairs"))


def _finding(check: Check, shift: float, rows: int, level: float) -> Finding:
    """A finding whose mean lies ``shift`` on the passing side, judged at its own level."""
    assert check.threshold is not None
    sign = -1 if check.direction == "at most" else 1
    values = check.threshold + sign * shift + np.tile([0.5, -0.5], rows // 2)
    basis = Basis("student", {"values": values})
    interval = basis.at(level)
    assert check.direction != ""
    verdict = judge(interval, check.threshold, check.direction, check.undecided_from)
    return Finding(
        check.code,
        verdict,
        "a claim",
        "m",
        float(values.mean()),
        interval,
        check.threshold,
        check.direction,
        n=rows,
        advice=advice_for(check, verdict),
        basis=basis,
    )


@pytest.mark.parametrize("check", JUDGED, ids=lambda check: check.code)
@pytest.mark.parametrize("own", [0.5, 0.9999])
@pytest.mark.parametrize("shift", [2.0, 0.15, -0.15, -2.0])
def test_a_verdict_changed_by_correction_changes_the_advice(check: Check, own: float, shift: float) -> None:
    first = _finding(check, shift, 20, own)
    again, *_ = judge_jointly([first] * 3, 0.9)
    if again.verdict == "pass":
        assert check.remedy not in again.advice
    elif again.verdict == "fail":
        assert again.advice == check.remedy
    else:
        assert "ore rows" in again.advice
        assert check.remedy not in again.advice


def test_an_audit_gives_no_remedy_where_nothing_failed() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 4))
    y = (x[:, 0] + 0.5 * generator.normal(size=400) > 0).astype(int)
    model = LogisticRegression().fit(x[:200], y[:200])
    sex = np.where(generator.random(200) < 0.5, "f", "m").tolist()
    run = assay.audit(model, x[200:], y[200:], train=(x[:200], y[:200]), sensitive={"sex": sex}, profile="quick")
    assert {f.verdict for f in run.findings} >= {"pass"}
    assert {"FAI101", "FAI104", "FAI110", "DAT101"} <= {f.code for f in run.findings}
    for finding in run.findings:
        check = check_named(finding.code)
        if check is not None and finding.verdict in ("pass", "undecided", "not applicable"):
            assert check.remedy not in finding.advice or finding.code in ("RUN001", "TRU001"), finding
            assert finding.advice, finding


SHIFTED = Finding("DAT103", "fail", "Train/test classifier AUC 0.93.", "m", 0.93, advice="Split at random.")


@pytest.mark.parametrize("code", ["PRV101", "PRV102"])
def test_a_check_whose_assumption_is_disproved_is_not_applicable_with_the_reason(code: str) -> None:
    check = check_named(code)
    assert check is not None
    assert check.assumes == ("DAT103",)
    leak = Finding(code, "fail", "Advantage 0.4.", "m", 0.4, threshold=0.1, direction="at most", advice=check.remedy)
    found, shift = drop_disproved([leak, SHIFTED])
    assert (found.verdict, shift) == ("not applicable", SHIFTED)
    assert "DAT103" in found.claim
    assert "AUC 0.93" in found.claim
    assert check.remedy not in found.advice
    assert found.evidence == {"without this assumption": "Advantage 0.4."}


@pytest.mark.parametrize("verdict", ["pass", "undecided", "not applicable", "not run"])
def test_an_assumption_that_is_not_disproved_leaves_the_finding_as_it_is(verdict: str) -> None:
    leak = Finding("PRV101", "fail", "Advantage 0.4.", "m", 0.4, threshold=0.1, direction="at most")
    assert drop_disproved([leak, replace(SHIFTED, verdict=verdict)])[0] == leak


def test_assumptions_are_codes_of_checks() -> None:
    for check in all_checks():
        assert all(check_named(code) is not None for code in check.assumes)
        assert check.code not in check.assumes


def test_membership_under_a_time_split_is_not_judged_in_an_audit() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(400, 3))
    x[:, 2] += np.linspace(0, 6, 400)  # rows in the order of time
    y = (x[:, 0] > 0).astype(int)
    model = LogisticRegression().fit(x[:200], y[:200])
    run = assay.audit(model, x[200:], y[200:], train=(x[:200], y[:200]), profile="quick", select=["PRV", "DAT"])
    verdicts = {f.code: f.verdict for f in run.findings}
    assert verdicts["DAT103"] == "fail"
    assert verdicts["PRV101"] == verdicts["PRV102"] == "not applicable"
    assert verdicts["PRV103"] == "informative"


def _undecided(code: str, distance: float, rows: int) -> Finding:
    """A finding of a check whose mean lies ``distance`` standard deviations on the passing side."""
    check = check_named(code)
    assert check is not None
    assert check.threshold is not None
    values = check.threshold + (-1 if check.direction == "at most" else 1) * distance + np.tile([1.0, -1.0], rows // 2)
    basis = Basis("student", {"values": values})
    advice = "Give more rows; the interval contains the threshold."
    return Finding(
        code, "undecided", "a claim", "m", float(values.mean()), basis.at(0.95), check.threshold, check.direction,
        n=rows, advice=advice, basis=basis,
    )  # fmt: skip


def test_the_advice_of_an_undecided_check_gives_the_number_of_rows() -> None:
    (near,) = judge_jointly([_undecided("STA301", 0.3, 20)])
    assert near.more is not None
    assert near.more < 20 * 20
    assert near.advice == (
        f"Give more rows; the interval contains the threshold. About {near.more:,} more rows would decide it in four "
        "of five samples."
    )


@pytest.mark.parametrize(("distance", "says"), [
    (0.05, r"about [\d,]+ more rows would be needed, \d+ times the 20 given"),
    (0.0, r"no number of further rows up to 1,000 times the 20 given is shown to decide it"),
])  # fmt: skip
def test_what_no_practical_number_of_rows_decides_is_called_so_with_the_alternative(distance: float, says: str) -> None:
    (far,) = judge_jointly([_undecided("STA301", distance, 20)])
    assert far.is_practically_undecidable
    assert far.more is None or far.more > 20 * 20
    assert re.fullmatch(
        rf"Practically undecidable with this data: {says}; accept that it stays open, or set another threshold in the "
        r"plan before looking at further rows\.",
        far.advice,
    )


@pytest.mark.parametrize("distance", [0.3, 0.05, 0.0])
def test_findings_that_are_judged_again_say_the_number_once(distance: float) -> None:
    once = judge_jointly([_undecided("STA301", distance, 20)])
    assert [f.advice for f in judge_jointly(once)] == [f.advice for f in once]
    (other,) = [f for f in judge_jointly([*once, *[_undecided("STA301", 5.0, 20)] * 8]) if f.verdict == "undecided"]
    assert other.advice.count("Practically") + other.advice.count("About") == 1


def test_an_undecided_explanation_says_how_many_rows_or_that_none_help() -> None:
    for more, says in ((7, "about 7 more rows would decide"), (4_000, "Practically undecidable with this data")):
        criterion = Finding("EXP201", "undecided", "m: a claim", "m", 0.1, n=20, more=more)
        (trust,) = conclude([criterion], ["m"])
        assert says in trust.advice
        assert says in conclude_available([trust], "model").advice
