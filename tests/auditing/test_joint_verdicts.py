"""Joint verdicts: Holm's procedure, with the verdicts of the intervals that are plotted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from assay.auditing.joint_verdicts import count_judged, further_rows_needed, judge_jointly
from assay.basics.stats import Basis, holm
from assay.nouns.results.finding import Finding, judge


def check(values: np.ndarray, threshold: float = 0.0, code: str = "EXP201") -> Finding:
    basis = Basis("student", {"values": values})
    return Finding(
        code,
        "undecided",
        "gains",
        "shapley",
        estimate=float(values.mean()),
        interval=basis.at(0.95),
        threshold=threshold,
        direction="at least",
        n=len(values),
        basis=basis,
    )


def samples(seed: int, checks: int, shift: float = 0.0, rows: int = 20) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(shift, 1.0, rows) for _ in range(checks)]


@pytest.mark.parametrize("seed", range(25))
def test_what_is_decided_is_what_holms_p_values_reject(seed: int) -> None:
    values = [sample + place / 6 for place, sample in enumerate(samples(seed, 8, rows=12))]
    p_values = np.array([stats.ttest_1samp(sample, 0.0).pvalue for sample in values])
    decided = [finding.verdict != "undecided" for finding in judge_jointly([check(v) for v in values])]
    assert decided == (holm(p_values) <= 0.05).tolist()


def test_the_verdict_is_read_from_the_interval_that_is_drawn() -> None:
    for finding in judge_jointly([check(v) for v in samples(1, 12, shift=0.5)]):
        assert finding.interval is not None
        assert finding.verdict == judge(finding.interval, 0.0, "at least")
        assert finding.alone is not None
        assert finding.alone.high - finding.alone.low <= finding.interval.high - finding.interval.low


def test_the_last_open_checks_have_the_chance_that_the_decided_ones_left() -> None:
    clear = [check(v) for v in samples(2, 9, shift=20.0)]
    doubtful = check(samples(3, 1)[0])
    found = judge_jointly([*clear, doubtful])
    assert [f.verdict for f in found] == ["pass"] * 9 + ["undecided"]
    assert [f.interval.level for f in found if f.interval] == pytest.approx([1 - 0.05 / 10] * 9 + [0.95])


def test_a_wrong_verdict_is_as_rare_as_said() -> None:
    wrong = 0
    for seed in range(400):
        found = judge_jointly([check(v) for v in samples(seed, 10)])  # every true mean is the threshold itself
        wrong += any(f.verdict != "undecided" for f in found)
    assert 6 <= wrong <= 31  # 400 runs at 5 %: 20 are expected, and 99 % of the time 9 to 32 are seen


def test_what_has_no_basis_stays_as_it_is() -> None:
    without_basis = replace(check(np.ones(4)), basis=None, verdict="fail", code="OLD001")
    assert judge_jointly([without_basis]) == [without_basis]
    assert count_judged([without_basis, check(np.ones(4))]) == 1


def test_the_further_rows_needed_do_decide() -> None:
    sample = np.tile([0.9, -0.5], 10)
    (open_check,) = judge_jointly([check(sample)])
    assert open_check.verdict == "undecided"
    assert open_check.more is not None
    enough = int(np.ceil((20 + open_check.more) / 2)) + 1
    assert judge_jointly([check(np.tile([0.9, -0.5], enough))])[0].verdict == "pass"
    assert judge_jointly([check(np.tile([0.9, -0.5], 20))])[0].verdict == "undecided"


def test_further_rows_are_unknown_where_the_estimate_is_the_threshold() -> None:
    assert further_rows_needed(check(np.array([1.0, -1.0, 1.0, -1.0]))) is None
