"""Bias amplification: the definitions as loops, the bootstrap, the null, planted amplification."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from tests.diagnose.subjects import giving

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.fairness.amplification import Amplification, PredictionBias, dependence_signs, zhao_amplification
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding


def deciding(decisions: Any, classes: int) -> Any:
    """A case whose row i is decided so."""
    return giving(np.eye(classes)[np.asarray(decisions)], classes=tuple(f"class {c}" for c in range(classes)))


def found(decisions: Any, labels: Any, groups: Any, classes: int = 2, **options: Any) -> list[Finding]:
    options = {"smallest": 1, "groups": groups} | options
    return diagnose.bias_amplification(deciding(decisions, classes), labels, **options)


def drawn(seed: int, rows: int, groups: int, classes: int, more: float = 0.0) -> tuple[Any, Any, Any]:
    """Groups, labels that depend on them, and decisions that lean ``more`` to what is usual in the group."""
    generator = np.random.default_rng(seed)
    group, shares = generator.integers(groups, size=rows), generator.dirichlet(np.full(classes, 3.0), size=groups)
    labels, again = (np.array([generator.choice(classes, p=shares[g]) for g in group]) for _ in range(2))
    usual = shares.argmax(axis=1)[group]
    decisions = np.where(generator.random(rows) < more, usual, np.where(generator.random(rows) < 0.7, labels, again))
    return group, labels, decisions


def directional_loop(given: Any, true: Any, predicted: Any, classes: int, signs_from: Any = None) -> float:
    """Wang and Russakovsky's definition, term by term."""
    first, second = (given, true) if signs_from is None else signs_from
    values = sorted(set(given.tolist()))
    total = 0.0
    for a in values:
        for t in range(classes):
            joint = np.mean((first == a) & (second == t))
            y = joint > np.mean(first == a) * np.mean(second == t)
            delta = np.mean(predicted[given == a] == t) - np.mean(true[given == a] == t)
            total += delta if y else -delta
    return total / (len(values) * classes)


def zhao_loop(group: Any, true: Any, predicted: Any, classes: int) -> float:
    groups = sorted(set(group.tolist()))
    total = 0.0
    for t in range(classes):
        for g in groups:
            was = np.sum((true == t) & (group == g)) / np.sum(true == t)
            if was > 1 / len(groups):
                total += np.sum((predicted == t) & (group == g)) / np.sum(predicted == t) - was
    return total / classes


@pytest.mark.parametrize(("groups", "classes"), [(2, 2), (3, 2), (2, 4), (4, 3)])
def test_the_amplifications_are_those_of_the_definitions(groups: int, classes: int) -> None:
    group, labels, decisions = drawn(groups * classes, 400, groups, classes)
    forward, bias = found(decisions, labels, group.astype(str), classes)
    assert_allclose(forward.estimate, directional_loop(group, labels, decisions, classes))
    assert_allclose(
        forward.evidence["amplification of Zhao et al."], zhao_loop(group, labels, decisions, classes), atol=1e-12
    )
    shares = [np.mean(decisions == c) - np.mean(labels == c) for c in range(classes)]
    assert_allclose(bias.estimate, np.abs(shares).max())


def test_signs_come_from_training_rows_where_they_are_known() -> None:
    group, labels, decisions = drawn(1, 300, 2, 2)
    other, other_labels, _ = drawn(2, 500, 2, 2)
    forward = found(decisions, labels, group, train_groups=other, train_labels=other_labels)[0]
    assert forward.evidence["dependence read from"] == "the training rows"
    expected = directional_loop(group, labels, decisions, 2, signs_from=(other, other_labels))
    assert_allclose(forward.estimate, expected)


def test_predicted_groups_give_the_other_direction_too() -> None:
    group, labels, decisions = drawn(3, 300, 2, 3)
    guessed = np.where(np.random.default_rng(0).random(300) < 0.8, group, 1 - group)
    forward, back, _ = found(decisions, labels, group.astype(str), 3, predicted_groups=guessed.astype(str))
    assert [one.evidence["direction"] for one in (forward, back)] == ["A→T", "T→A"]
    signs = dependence_signs(group, labels, 2, 3)
    loop = 0.0
    for a in range(2):
        for t in range(3):
            delta = np.mean(guessed[labels == t] == a) - np.mean(group[labels == t] == a)
            loop += delta * signs[a, t]
    assert_allclose(back.estimate, loop / 6)


def test_with_two_groups_and_classes_it_is_half_of_the_increase_of_the_gap() -> None:
    # labels: 60 % of a, 40 % of b; decisions: 80 % of a, 30 % of b
    group = np.repeat(["a", "b"], 100)
    labels = np.concatenate([np.arange(100) < 60, np.arange(100) < 40]).astype(int)
    decisions = np.concatenate([np.arange(100) < 80, np.arange(100) < 30]).astype(int)
    forward, bias = found(decisions, labels, group)
    assert_allclose(forward.estimate, ((0.8 - 0.3) - (0.6 - 0.4)) / 2)
    assert (forward.verdict, forward.affected) == ("fail", 0.15)
    assert_allclose(bias.estimate, 0.05)
    assert "class 1 in 55.0% of the rows, and 50.0% have this label: B = +0.050" in bias.claim
    assert set(bias.rows) <= {str(i) for i in range(60, 80)} | set(range(60, 80))


def multinomial_bootstrap(statistic: Any, cells: Any, draws: int = 2000) -> tuple[float, float]:
    """Percentile limits from counts of equal rows, drawn again."""
    table, counts = np.unique(cells, axis=0, return_counts=True)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(counts.sum(), counts / counts.sum(), size=draws)
    low, high = np.quantile([statistic(np.repeat(table, line, axis=0)) for line in drawn], [0.025, 0.975])
    return float(low), float(high)


def test_the_intervals_agree_with_a_bootstrap_over_rows() -> None:
    group, labels, decisions = drawn(5, 1500, 3, 2, more=0.3)
    forward, bias = found(decisions, labels, group.astype(str))
    signs = dependence_signs(group, labels, 3, 2)
    cells = np.stack([group, labels, decisions], axis=1)
    limits = multinomial_bootstrap(lambda rows: Amplification(*rows.T, signs).value, cells)
    assert forward.interval is not None
    assert bias.interval is not None
    assert_allclose([forward.interval.low, forward.interval.high], limits, atol=0.006)
    limits = multinomial_bootstrap(lambda rows: abs(float(PredictionBias(rows[:, 1], rows[:, 2], 2).values[0])), cells)
    assert_allclose([bias.interval.low, bias.interval.high], limits, atol=0.006)


def test_the_null_intervals_are_those_of_exchanging_label_and_decision() -> None:
    group, labels, decisions = drawn(6, 200, 2, 3)
    signs = dependence_signs(group, labels, 2, 3)
    forward, bias = found(decisions, labels, group.astype(str), 3)
    generator = np.random.default_rng(0)
    sums, sizes = [], []
    for _ in range(3000):
        swap = generator.random(200) < 0.5
        one, two = np.where(swap, decisions, labels), np.where(swap, labels, decisions)
        sums.append(Amplification(group, one, two, signs).value)
        sizes.append(np.abs(PredictionBias(one, two, 3).values).max())
    assert forward.null_interval is not None
    assert bias.null_interval is not None
    assert_allclose(
        [forward.null_interval.low, forward.null_interval.high], np.quantile(sums, [0.025, 0.975]), atol=0.004
    )
    assert_allclose(bias.null_interval.high, np.quantile(sizes, 0.95), atol=0.006)


def test_planted_amplification_is_found_and_a_faithful_model_passes() -> None:
    group, labels, decisions = drawn(7, 3000, 2, 2, more=0.6)
    assert found(decisions, labels, group.astype(str))[0].verdict == "fail"
    group, labels, decisions = drawn(7, 3000, 2, 2)
    assert [one.verdict for one in found(decisions, labels, group.astype(str))] == ["pass", "pass"]


def false_alarms(runs: int) -> tuple[int, int]:
    """How often an effect above 0 is shown where label and decision are draws of the same chances."""
    counts = [0, 0]
    for seed in range(runs):
        group, labels, decisions = drawn(seed, 150, 3, 3)
        verdicts = [one.verdict for one in found(decisions, labels, group.astype(str), 3, amplification=0.0, bias=0.0)]
        counts = [count + (verdict == "fail") for count, verdict in zip(counts, verdicts)]
    return counts[0], counts[1]


def test_no_amplification_is_shown_where_there_is_none() -> None:
    assert max(false_alarms(40)) <= 6


@pytest.mark.judge
def test_no_amplification_is_shown_in_more_than_sixteen_of_two_hundred_nulls() -> None:
    assert max(false_alarms(200)) <= 16


def test_a_model_without_groups_has_its_prediction_bias_alone() -> None:
    (bias,) = found([1, 1, 1, 0], [1, 0, 0, 0], ())
    assert (bias.code, bias.estimate, bias.n) == ("FAI302", 0.5, 4)


def test_an_audit_reads_the_groups_of_the_training_rows() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=400), "sex": generator.integers(2, size=400)})
    y = (frame.x + frame.sex + generator.normal(size=400) > 0.5).astype(int)
    model = assay.wrap(LogisticRegression().fit(frame[:200], y[:200]))
    inputs = AuditInputs(
        model, frame[200:], y[200:], train=(frame[:200], y[:200]), groups={"sex": frame.sex[200:].astype(str).tolist()}
    )
    forward, bias = call_on_inputs(find("diagnose", "bias_amplification"), inputs)
    assert (forward.code, forward.subject, bias.code) == ("FAI301", "sex", "FAI302")
    assert forward.evidence["dependence read from"] == "the training rows"


def test_the_amplification_of_zhao_leaves_out_a_class_that_is_never_decided() -> None:
    group, true, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    assert_allclose(zhao_amplification(group, true, predicted, 2), 2 / 4 - 2 / 3)


def test_impossible_options_are_refused() -> None:
    for options in ({"level": 0.0}, {"bias": -1.0}, {"smallest": 0}, {"predicted_groups": ["a"]}):
        with pytest.raises(InputError):
            found([1, 1, 1, 0], [1, 0, 0, 0], list("aabb"), **options)
