"""An equally good readable model: shown by non-inferiority, refused where it is worse, undecided where rows are few."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.diagnose.simpler_model import difference_basis
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.interpretable.families import FAMILIES, Metric, choose_family, row_values
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import Finding

FAST = ("tree", "logistic")


@cache
def table(kind: str, rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Six columns; "rule": a rule of two columns decides, "three": an exclusive or and an interaction of three."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(rows, 6))
    if kind == "rule":
        y = np.where((x[:, 0] > 0.32) & (x[:, 1] < 0.67), draws.random(rows) < 0.9, draws.random(rows) < 0.1)
    elif kind == "three":
        x = (x > 0).astype(float)
        y = (x[:, 0] != x[:, 1]) ^ (x[:, 2:5].sum(axis=1) % 2 == 1)
    else:
        y = draws.random(rows) < 0.5
    return x, y.astype(int)


@cache
def subject(kind: str, rows: int = 3000) -> tuple[Any, ...]:
    """A forest's case on held-out rows, its training rows, and the held-out pair."""
    x, y = table(kind, rows)
    half = rows // 2
    model = RandomForestClassifier(60, min_samples_leaf=3, random_state=0).fit(x[:half], y[:half])
    return assay.case(assay.wrap(model), x[half:]), x[:half], y[:half], (x[half:], y[half:])


def found(kind: str, rows: int = 3000, **options: Any) -> Finding:
    (finding,) = diagnose.simpler_model(*subject(kind, rows), **{"families": FAST, **options})
    return finding


def test_a_rule_that_decides_is_found_as_an_equally_good_readable_model() -> None:
    finding = found("rule", metric="accuracy", threshold=0.03)
    assert finding.verdict == "fail"
    assert finding.evidence["family"] == "tree"
    assert finding.claim.startswith("An equally good readable model exists.")
    assert finding.interval is not None
    assert finding.interval.high < 0.03
    assert "x0 ≤ " in finding.evidence["readable model"]
    assert finding.evidence["size"].endswith("leaves")


def test_an_exclusive_or_with_an_interaction_of_three_columns_is_refused() -> None:
    finding = found("three")
    assert finding.verdict == "pass"
    assert finding.estimate > 0.1
    assert not finding.evidence["non-inferior at the margin"]


def test_few_rows_are_undecided_and_the_finding_says_how_many_would_do() -> None:
    finding = found("rule", rows=200, threshold=0.01)
    assert finding.verdict == "undecided"
    assert finding.more is not None
    assert f"{finding.more:,} further rows" in finding.claim


def test_a_model_compared_with_itself_has_difference_zero_and_is_not_inferior() -> None:
    case, _, _, (_, y) = subject("rule")
    metrics: tuple[Metric, ...] = ("auc", "accuracy", "loss")
    for metric in metrics:
        own = row_values(case.prediction, y, case.model.kind, metric)
        interval = difference_basis(own, own, metric).at(0.95)
        assert (own - own).mean() == 0
        assert interval.low <= 0 <= interval.high < 0.01


@pytest.mark.parametrize("metric", ["auc", "accuracy", "loss"])
def test_the_interval_of_the_difference_covers_in_93_to_97_percent_of_samples(metric: Any) -> None:
    """Two models of the same quality: the same score with noise of the same size."""
    generator, kind, held = np.random.default_rng(3), OutputKind.of("probabilities"), []
    for _ in range(1000):
        score = generator.normal(size=300)
        y = (generator.random(300) < 1 / (1 + np.exp(-score))).astype(int)
        two = []
        for _ in range(2):
            p = 1 / (1 + np.exp(-(score + generator.normal(size=300))))
            two.append(row_values(np.stack([1 - p, p], axis=1), y, kind, metric))
        interval = difference_basis(*two, metric).at(0.95)
        held.append(interval.low <= 0 <= interval.high)
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.judge
def test_at_a_difference_of_the_margin_it_says_non_inferior_in_at_most_the_nominal_share() -> None:
    generator, kind, wrong = np.random.default_rng(4), OutputKind.of("probabilities"), 0
    for _ in range(1000):
        y = generator.integers(0, 2, 400)
        right, other = generator.random(400) < 0.8, generator.random(400) < 0.75
        outputs = [np.where((y[:, None] == [0, 1]) == one[:, None], 0.9, 0.1) for one in (right, other)]
        values = [row_values(one, y, kind, "accuracy") for one in outputs]
        wrong += difference_basis(values[0], values[1], "accuracy").at(0.95).high < 0.05
    assert wrong <= 40


def test_the_family_is_chosen_by_training_rows_alone() -> None:
    case, x, y, (held_x, held_y) = subject("rule")
    one, other = (
        diagnose.simpler_model(case, x, y, (held_x, labels), families=FAST)[0] for labels in (held_y, 1 - held_y)
    )
    assert one.evidence["family"] == other.evidence["family"] == "tree"
    assert one.evidence["families"][0]["in training, out of fold"] == pytest.approx(
        other.evidence["families"][0]["in training, out of fold"]
    )
    chosen, scores, _ = choose_family(FAST, Recipe(lambda *a: None, x, y), y.astype(np.int64), Seed(1), "auc")
    assert chosen == max(scores, key=scores.__getitem__)


def test_a_model_that_can_be_read_is_not_judged() -> None:
    x, y = table("rule")
    for model in (LogisticRegression().fit(x, y), DecisionTreeClassifier(max_depth=3).fit(x, y)):
        (finding,) = diagnose.simpler_model(assay.case(assay.wrap(model), x), x, y, (x, y), families=FAST)
        assert finding.verdict == "not applicable"


def test_frames_with_levels_and_gaps_and_several_classes_are_read() -> None:
    draws = np.random.default_rng(5)
    frame = pd.DataFrame({"job": draws.choice(["a", "b", "c"], 600), "age": draws.normal(40, 9, 600)})
    frame.loc[::7, "age"] = np.nan
    y = np.where(frame.job == "a", "low", np.where(frame.age > 40, "mid", "top"))
    encoded = frame.assign(job=frame.job.map({"a": 0.0, "b": 1.0, "c": 2.0})).fillna(-1.0)
    model = RandomForestClassifier(10, random_state=0).fit(encoded[:300], y[:300])
    read = assay.model.sklearn(model)
    held = encoded[300:].reset_index(drop=True)
    (finding,) = diagnose.simpler_model(assay.case(read, held), encoded[:300], y[:300], (held, y[300:]))
    assert finding.verdict in ("fail", "pass", "undecided")
    assert "risk scores are for two classes" in finding.evidence["left out"]["score"]
    fitted = {name: FAMILIES[name].make(0, 3).fit(frame, y) for name in ("tree", "rules", "logistic")}
    assert {name: float((one.predict(frame) == y).mean()) > 0.8 for name, one in fitted.items()} == dict.fromkeys(
        fitted, True
    )
    assert "age is missing" in fitted["logistic"].text_


def test_an_audit_calls_it_with_the_training_rows_and_the_labels() -> None:
    case, x, y, (held_x, held_y) = subject("rule")
    inputs = AuditInputs(case.model, held_x, labels=held_y, train=(x, y), options={"simpler_model": {"families": FAST}})
    (finding,) = call_on_inputs(diagnose.simpler_model.method, inputs)
    assert finding.code == "ITP101"
    assert finding.n == len(held_y)


def test_images_and_wrong_arguments_are_refused() -> None:
    net = assay.wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)), output="logits")
    pixels = np.zeros((4, 1, 4, 4), dtype=np.float32)
    picture = assay.case(net, torch.as_tensor(pixels))
    with pytest.raises(CapabilityError, match="table"):
        diagnose.simpler_model(picture, pixels, [0, 1, 0, 1], (pixels, [0, 1, 0, 1]))
    with pytest.raises(InputError, match="families"):
        found("rule", families=("forest",))
    with pytest.raises(InputError, match="margin"):
        found("rule", threshold=-0.1)
    case, x, y, _ = subject("rule")
    with pytest.raises(InputError, match="other rows"):
        diagnose.simpler_model(case, x, y, (x[:5], y[:5]))
