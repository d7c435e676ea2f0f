"""Two audits compared: status of checks, paired where rows are shared, and drift beyond noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import assay
from assay.auditing.compare import to_html
from assay.auditing.run import Run
from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval, student_interval
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding


def rows() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_breast_cancer(return_X_y=True)
    return ((x - x.mean(axis=0)) / x.std(axis=0))[:, :10], y


def audited(model: object, seed: int = 0, count: int = 120) -> Run:
    x, y = rows()
    return assay.audit(
        model, x[300 : 300 + count], y[300 : 300 + count], train=(x[:300], y[:300]), profile="quick", seed=seed
    )


@pytest.fixture(scope="module")
def honest() -> Run:
    x, y = rows()
    return audited(LogisticRegression().fit(x[:300], y[:300]))


@pytest.fixture(scope="module")
def memorising() -> Run:
    x, y = rows()
    noisy = np.where(np.random.default_rng(0).random(300) < 0.3, 1 - y[:300], y[:300])
    model = RandomForestClassifier(20, bootstrap=False, random_state=0).fit(x[:300], noisy)
    return assay.audit(model, x[300:420], y[300:420], train=(x[:300], noisy), profile="quick")


def test_an_audit_compared_with_itself_shows_no_change(honest: Run) -> None:
    found = assay.compare(honest, honest)
    assert {change.status for change in found.changes} == {"no change shown"}
    assert all(change.change == 0 for change in found.changes if not np.isnan(change.change))
    assert not any(drift.drifted for drift in found.drifts)
    assert (found.class_changes, found.rows, found.worse) == (0, 60, False)


def test_a_fault_that_came_is_newly_failing_and_one_that_went_is_fixed(honest: Run, memorising: Run) -> None:
    forth, back = assay.compare(honest, memorising), assay.compare(memorising, honest)
    assert "PRV101" in {change.code for change in forth.of("newly failing")}
    assert "PRV101" in {change.code for change in back.of("fixed")}
    assert forth.worse
    assert forth.changes[0].status == "newly failing"


def test_scores_of_the_same_rows_are_compared_row_by_row(honest: Run, memorising: Run) -> None:
    found = assay.compare(honest, memorising)
    (change,) = [c for c in found.changes if (c.code, c.subject) == ("EXP203", "shapley")]
    values = [run.record.scores["shapley", "faithfulness_correlation"].values for run in (honest, memorising)]
    difference = values[1] - values[0]
    shared = sum(c.before is not None and c.after is not None for c in found.changes)
    oracle = student_interval(difference[np.isfinite(difference)], 1 - 0.05 / shared)
    assert change.paired
    assert change.interval is not None
    assert_allclose((change.interval.low, change.interval.high), (oracle.low, oracle.high))


def test_another_model_drifts_and_another_seed_of_the_same_model_does_not(honest: Run, memorising: Run) -> None:
    x, y = rows()
    model = LogisticRegression().fit(x[:300], y[:300])
    one, two = (audited(model, seed=seed, count=60) for seed in (1, 2))
    noise = [d for d in assay.compare(one, two).drifts if d.method == "permutation_shapley"]
    assert len(noise) == 3
    assert not any(drift.drifted for drift in noise)
    assert max(drift.band[0] for drift in noise) < 1  # sampling alone moves it
    moved = {d.measure: d for d in assay.compare(honest, memorising).drifts if d.method == "shapley"}
    assert moved["rank correlation"].drifted


def test_rows_now_explained_for_another_class_are_left_out_and_counted(honest: Run, memorising: Run) -> None:
    found = assay.compare(honest, memorising)
    labels = [run.record.explanations["shapley"].labels for run in (honest, memorising)]
    different = sum(a != b for a, b in zip(*labels))
    drift = next(d for d in found.drifts if d.method == "shapley")
    assert different > 0
    assert (drift.changed, drift.rows) == (different, 60 - different)
    assert found.class_changes == different


def test_a_check_that_only_one_audit_has_is_new_or_gone(honest: Run) -> None:
    fewer = replace(honest.record, findings=tuple(f for f in honest.record.findings if f.code != "PRV101"))
    gone, new = assay.compare(honest, Run(fewer)), assay.compare(Run(fewer), honest)
    assert [c.code for c in gone.of("gone")] == ["PRV101"]
    assert gone.worse  # it had been decided
    assert [c.code for c in new.of("new")] == ["PRV101"]
    assert not new.worse


def test_audits_of_other_rows_are_compared_by_their_intervals_and_noted(honest: Run) -> None:
    x, y = rows()
    other = audited(LogisticRegression().fit(x[:300], y[:300]), count=80)
    found = assay.compare(honest, other)
    assert not any(change.paired for change in found.changes)
    assert found.drifts == ()
    assert any("Without common rows" in note for note in found.notes)


def test_the_distance_of_two_rates_covers_their_difference() -> None:
    generator, covered = np.random.default_rng(3), 0

    def run_of(hits: int) -> Run:
        basis = Basis("rate", {"hits": np.array(hits), "trials": np.array(80)})
        finding = Finding("DAT101", "pass", "", "m", hits / 80, basis.at(0.95), 0.5, "at most", n=80, basis=basis)
        return Run(replace(EMPTY, findings=(finding,)))

    for _ in range(400):
        (change,) = assay.compare(run_of(generator.binomial(80, 0.2)), run_of(generator.binomial(80, 0.5))).changes
        assert change.interval is not None
        covered += 0.3 in change.interval
    assert covered >= 380


def shifted(run: Run, relative: float) -> Run:
    """The same audit with every score, explanation and estimate moved up by this share of its size."""
    record = run.record
    scores = {key: replace(one, values=one.values * (1 + relative) + relative) for key, one in record.scores.items()}
    explanations = {
        name: replace(one, values=one.values + relative * np.abs(one.values).max() * np.arange(one.values.shape[1]))
        for name, one in record.explanations.items()
    }
    return Run(replace(record, scores=scores, explanations=explanations))


@pytest.mark.parametrize(("relative", "is_equal"), [(1e-16, True), (1e-11, True), (1e-3, False)])
def test_differences_below_rounding_are_no_change_and_no_drift(honest: Run, relative: float, is_equal: bool) -> None:
    forth = assay.compare(honest, shifted(honest, relative))
    back = assay.compare(shifted(honest, relative), honest)
    both = [*forth.changes, *back.changes]
    moved = [change for change in both if change.status in ("better", "worse")]
    assert (not moved) == is_equal
    assert any(change.paired for change in both)
    if is_equal:
        assert all(change.change == 0 for change in both if change.paired)
        assert not any(drift.drifted for drift in [*forth.drifts, *back.drifts])


@pytest.mark.parametrize(("before", "after"), [(0.0, 1e-16), (1e-16, 0.0), (3.0, 3.0 + 1e-12), (0.2, 0.2 + 1e-15)])
def test_estimates_without_width_that_differ_by_rounding_are_equal(before: float, after: float) -> None:
    def run_of(value: float) -> Run:
        exact = Interval(value, value, 0.95, "exact")
        finding = Finding("EXP101", "pass", "", "shapley", value, exact, 0.01, "at most", n=80)
        return Run(replace(EMPTY, findings=(finding,)))

    (change,) = assay.compare(run_of(before), run_of(after)).changes
    assert (change.status, change.change) == ("no change shown", 0.0)
    (change,) = assay.compare(run_of(before), run_of(before + 0.001)).changes
    assert change.status == "worse"


def test_runs_are_found_in_their_folders(honest: Run, tmp_path: Path) -> None:
    honest.save(tmp_path / "a")
    assert repr(assay.compare(tmp_path / "a", tmp_path / "a" / "run.assay")) == repr(assay.compare(honest, honest))
    with pytest.raises(InputError, match="there is no file"):
        assay.compare(tmp_path / "b", honest)


def test_a_comparison_is_written_as_a_page(honest: Run, tmp_path: Path) -> None:
    page = to_html(assay.compare(honest, honest), tmp_path / "deep" / "compared.html").read_text(encoding="utf-8")
    assert "No check is newly failing or shown to be worse" in page


EMPTY = Record(
    title="",
    about={},
    cost={},
    findings=(),
    explanations={},
    rivals={},
    scores={},
    references=(),
)
