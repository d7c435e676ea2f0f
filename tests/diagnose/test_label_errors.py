"""Labels that may be wrong: planted ones are found, a noisy border is none, the rules are cleanlab's."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from tests.diagnose.noisy_labels import border, digits, digits_model, logistic_recipe, of_rows, swapped

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.data_quality.confident_learning import (
    clearest_first,
    confident_classes,
    flagged_labels,
    normalised_margin,
)
from assay.engine.data_quality.out_of_fold import assign_folds, by_default, smaller_images
from assay.engine.data_quality.wrong_label_share import WrongLabelShare
from assay.nouns.results.finding import Finding


def judged(x: Any, y: Any, recipe: Any = None, **options: Any) -> Finding:
    return diagnose.label_errors(of_rows(x, y), x, y, recipe, **options)[0]


def of_digits(y: Any, **options: Any) -> Finding:
    x, _ = digits()
    return diagnose.label_errors(assay.case(digits_model(), x[:10]), x, y, **options)[0]


def probabilities_of_digits(y: Any) -> Any:
    x, _ = digits()
    return by_default(assay.case(digits_model(), x[:10]), x, y, 5, Seed(0)).probabilities


def test_the_rules_agree_with_a_literal_transcription_and_with_cleanlab() -> None:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.full(4, 0.4), size=300)
    y = generator.integers(4, size=300)
    thresholds = [np.mean([p[i, k] for i in range(300) if y[i] == k]) for k in range(4)]
    slow = []
    for i in range(300):
        above = [k for k in range(4) if p[i, k] >= thresholds[k]]
        slow.append(max(above, key=lambda k: p[i, k]) if above else -1)
    assert confident_classes(p, y).tolist() == slow
    assert_allclose(normalised_margin(p, y), get_label_quality_scores(y, p, method="normalized_margin"))
    flagged = flagged_labels(p, y, "confident_learning")
    theirs = find_label_issues(
        y, p, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    # cleanlab keeps a label that is the most probable class although it is below that class's threshold
    kept = flagged & (p.argmax(axis=1) == y)
    assert set(theirs) == set(np.flatnonzero(flagged & ~kept))
    assert clearest_first(p, y, flagged & ~kept).tolist() == theirs.tolist()
    assert flagged_labels(p, y, "both").sum() <= flagged_labels(p, y, "prune_by_noise_rate").sum()


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_swapped_pairs_of_classes_are_found_and_their_share_is_estimated(share: float) -> None:
    _, y = digits()
    given, wrong = swapped(y, share, 3)
    finding = of_digits(given)
    assert finding.verdict == "fail"
    assert finding.interval is not None
    assert finding.interval.low < wrong.mean() < finding.interval.high
    assert finding.null_interval is not None
    assert finding.estimate > finding.null_interval.high
    rows = [int(row) for row in finding.rows]
    assert wrong[rows].mean() > 0.85
    assert wrong[rows].sum() / wrong.sum() > 0.6
    assert wrong[rows[:20]].all()
    pairs = finding.evidence["given and suggested"]
    assert {(int(pair["given"]) - int(pair["suggested"])) % 10 for pair in pairs[:5]} == {1}
    assert finding.evidence["flagged by confident learning"] > 3 * finding.evidence["if only the border contradicted"]


def test_clean_digits_pass_and_few_are_flagged() -> None:
    finding = of_digits(digits()[1])
    assert finding.verdict == "pass"
    assert finding.affected < 0.02


def test_the_mixture_finds_more_at_the_same_precision_and_none_at_a_clean_border() -> None:
    _, y = digits()
    given, wrong = swapped(y, 0.1, 1)
    p = probabilities_of_digits(given)
    found = {rule: flagged_labels(p, given, rule) for rule in ("confident_learning", "mixture")}
    recall = {rule: wrong[flags].sum() / wrong.sum() for rule, flags in found.items()}
    assert recall["mixture"] > recall["confident_learning"] > 0.5
    assert wrong[found["mixture"]].mean() > 0.9
    x, y = border(0, 700)
    plain, mixture = (judged(x, y, filter=rule) for rule in ("confident_learning", "mixture"))
    assert plain.evidence["flagged"] > 50
    assert abs(plain.evidence["flagged"] - plain.evidence["if only the border contradicted"]) < 20
    assert mixture.evidence["flagged"] < 10


@pytest.mark.parametrize("world", ["logistic", "clusters", "strip", "product", "weak"])
def test_a_noisy_border_is_no_label_error(world: str) -> None:
    assert [judged(*border(seed, 500, world)).verdict for seed in range(3)].count("fail") == 0


@pytest.mark.judge
@pytest.mark.parametrize("world", ["logistic", "clusters", "strip", "product", "weak"])
def test_a_noisy_border_fails_in_at_most_16_of_200_runs(world: str) -> None:
    verdicts = [judged(*border(seed, 600, world)).verdict for seed in range(200)]
    assert verdicts.count("fail") <= 16


def test_labels_that_are_wrong_where_a_feature_is_large_are_ranked_first() -> None:
    x, y = border(5, 1200, "strip")
    x, y = x[np.abs(x[:, 0]) > 0.5], y[np.abs(x[:, 0]) > 0.5]
    wrong = (np.random.default_rng(0).random(len(y)) < 0.2) & (x[:, 1] > 0.5)
    finding = judged(x, np.where(wrong, 1 - y, y), filter="confident_learning")
    rows = [int(row) for row in finding.rows]
    assert wrong[rows].mean() > 0.9
    assert wrong[rows].sum() / wrong.sum() > 0.4
    assert finding.verdict == "pass"  # the model learns where labels are unsure, and its probabilities say so


def test_a_forest_whose_probabilities_saturate_does_not_fail_a_clean_border() -> None:
    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        return RandomForestClassifier(30, min_samples_leaf=2, random_state=0).fit(x, y)

    x, y = border(1, 600)
    alone = WrongLabelShare.fit(
        RandomForestClassifier(60, oob_score=True, random_state=1).fit(x, y).oob_decision_function_, y
    )
    assert alone.limits(0.95)[1] > 0.02
    assert judged(x, y, assay.Recipe(fit, x, y)).verdict != "fail"


def test_a_recipe_is_trained_once_for_each_fold_and_each_row_is_evaluated_once() -> None:
    x, y = border(2, 200)
    sizes: list[int] = []

    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        sizes.append(len(x))
        return logistic_recipe(x, y).fit(x, y, seed, strength)

    case = of_rows(x, y)
    before = case.model.meter.requested
    finding = diagnose.label_errors(case, x, y, assay.Recipe(fit, x, y))[0]
    assert sizes == [160] * 5
    assert case.model.meter.requested - before == 200
    assert finding.evidence["out-of-fold model"] == "the recipe"
    default = diagnose.label_errors(case, x, y, by="default")[0]
    assert case.model.meter.requested - before == 200
    assert "logistic" in default.evidence["out-of-fold model"]


def test_folds_hold_each_row_once_and_each_class_in_proportion() -> None:
    y = np.array([0] * 50 + [1] * 25 + [2] * 3)
    fold = assign_folds(y, 5, Seed(0))
    assert (fold[-3:] == -1).all()
    assert [np.bincount(fold[y == one][fold[y == one] >= 0]).tolist() for one in (0, 1)] == [[10] * 5, [5] * 5]


def test_the_groups_that_are_flagged_most_are_named() -> None:
    generator = np.random.default_rng(4)
    x, y = border(4, 800, "strip")
    x[:, 0] += np.where(y == 1, 1.0, -1.0)
    minority = generator.random(800) < 0.1
    y = np.where(minority, 1 - y, y)  # the minority follows another rule that the model does not know
    groups = np.where(minority, "few", "many").tolist()
    finding = judged(x, y, groups={"origin": groups})
    line = finding.evidence["flagged by group"]["origin"][0]
    assert line["name"] == "few"
    assert line["low"] > finding.affected
    assert "origin few" in finding.claim


def test_an_audit_reads_the_groups_of_the_training_rows_from_their_columns() -> None:
    x, y = border(6, 200)
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["home"] = np.where(x[:, 3] > 0, "north", "south")
    numbers = list("abcd")

    def predict(rows: Any) -> Any:
        p = 1 / (1 + np.exp(-rows[numbers].to_numpy(float)[:, 0]))
        return np.stack([1 - p, p], axis=1)

    model = assay.wrap(predict, output="probabilities", classes=("0", "1"))
    groups = {"home": frame["home"][:50].tolist()}
    inputs = AuditInputs(model, frame[:50], y[:50], train=(frame[50:], y[50:]), groups=groups)
    finding = call_on_inputs(diagnose.label_errors.method, inputs)[0]
    assert {line["name"] for line in finding.evidence["flagged by group"]["home"]} == {"north", "south"}
    assert set(finding.rows) <= set(map(str, range(50, 200)))


def test_many_rows_are_drawn_and_same_seeds_give_the_same_rows() -> None:
    x, y = border(7, 500)
    one, two = (judged(x, y, most=200) for _ in range(2))
    assert one.n == 200
    assert one.evidence["training rows"] == 500
    assert (one.rows, one.estimate) == (two.rows, two.estimate)


def test_texts_and_pictures_have_default_features() -> None:
    x, y = digits()
    assert smaller_images(np.ones((2, 3, 40, 40))).shape == (2, 3 * 100)
    blocks = np.arange(32.0 * 32).reshape(1, 1, 32, 32)
    assert_allclose(smaller_images(blocks)[0, 0], blocks[0, 0, :2, :2].mean())
    net = assay.model.function(
        lambda rows: rows.reshape(len(rows), -1)[:, :10], gives="margin", classes=tuple("0123456789")
    )
    finding = diagnose.label_errors(assay.case(net, x[:5].reshape(-1, 1, 8, 8)), x.reshape(-1, 1, 8, 8), y)[0]
    assert finding.verdict == "pass"


def test_self_influence_of_a_net_ranks_wrong_labels_first_and_is_metered() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(2, size=400)
    x = (generator.normal(size=(400, 3)) + 4 * y[:, None]).astype(np.float32)
    wrong = generator.random(400) < 0.1
    given = np.where(wrong, 1 - y, y)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    steps = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(150):
        steps.zero_grad()
        torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(given)).backward()
        steps.step()
    model = assay.wrap(net, output="logits", classes=("no", "yes"))
    options = {"label_errors": {"self_influence": True, "filter": "confident_learning"}}
    inputs = AuditInputs(model, x[:10], y[:10], train=(x, given), options=options)
    method = diagnose.label_errors.method
    before = model.meter.requested, model.meter.backwards
    finding = call_on_inputs(method, inputs)[0]
    assert finding.evidence["flagged"] >= 20
    shared = finding.evidence["flagged among the largest self-influences"]
    assert shared >= 0.7 * finding.evidence["flagged"]
    assert method.audit_cost is not None
    most = method.audit_cost(inputs)
    assert 0 < model.meter.requested - before[0] <= most.forwards
    assert 0 < model.meter.backwards - before[1] <= most.backwards


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "no level between"),
        ({"by": "recipe"}, "needs a recipe"),
        ({"groups": {"home": ["a"]}}, "1 groups of 'home' for 100 training rows"),
        ({"folds": 60}, "2 to 50 folds"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        judged(*border(0, 100), **options)
