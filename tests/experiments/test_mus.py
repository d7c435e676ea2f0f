# SPDX-License-Identifier: Apache-2.0
"""The experiments on multiplicative smoothing, against an enumeration of every mask of small table functions."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.oracles import mus as oracle

import assay
from assay.basics.errors import InputError
from assay.experiments.mus import planned_evaluations, run_mus
from assay.experiments.mus_subject import MusSettings, Subject
from assay.experiments.mus_subjects import SUBJECTS, Sizes, make_subjects, own_subject
from assay.nouns.comparisons.mus_experiment import MusExperiment, SkippedSubject, StabilityLine, random_is_best
from assay.report.experiment.page import render_mus

N, Q = 4, 4
SETTINGS = MusSettings((1.0, 0.5, 0.25), Q, 0.25, ("shapley", "occlusion"), budget=64, search=16)


def table(seed: int, classes: int = 3, lean: float = 0.6) -> Any:
    """Probabilities in sixteenths of each of the 2ⁿ masks; most masks lean to class 0."""
    generator = np.random.default_rng(seed)
    found = generator.multinomial(16, np.ones(classes) / classes, size=2**N) / 16
    found[generator.random(2**N) < lean] = np.eye(classes)[0] * 0.75 + 0.25 / classes
    return found


def subject(values: Any, settings: MusSettings = SETTINGS, name: str = "table", seed: int = 0) -> Subject:
    """One row (1, …, 1) of a function of the set of its features that are present."""
    weights = 2 ** np.arange(N)
    model = assay.model.function(
        lambda x: values[(x > 0.5).astype(int) @ weights],
        gives="probabilities",
        name=name,
        fingerprint=str(values.tolist()),
    )
    case = assay.case(model, np.ones((1, N)), label="predicted", seed=seed)
    return Subject(
        name, name, case, assay.Constant(0.0), labelled=case, labels=np.array([0], dtype=np.int64), settings=settings
    )


def smoothed(values: Any, one: Subject, smoothing: float) -> Any:
    """g by votes as a function of a mask, in fractions, from the oracle's own noise."""
    noise = [(1,) * N]
    if smoothing < 1:
        offsets = SETTINGS.noise(N, smoothing, one.case.seed).offsets.tolist()
        noise = oracle.quantised_noise(offsets, Q, Fraction(smoothing))

    @cache
    def g(mask: Any) -> Any:
        def vote(present: Any) -> Any:
            answer = values[int(np.dot(present, 2 ** np.arange(N)))]
            return [Fraction(int(c == answer.argmax())) for c in range(len(answer))]

        return oracle.smooth(vote, mask, noise)

    return g


def chosen_by(line: StabilityLine, one: Subject) -> Any:
    """The explained feature, which the explanation itself tells; random ones are read from the same draw."""
    from assay.engine.coalitions.masks import random_parts

    if line.explanation == "random":
        return tuple(random_parts(one.case, np.array([1]))[0].astype(int).tolist())
    method = {"shapley": assay.explain.shapley, "occlusion": assay.explain.occlusion}[line.explanation]
    return tuple(method(one.case, remove=one.remove).top(0.25)[0].astype(int).tolist())


@pytest.mark.parametrize("seed", range(12))
def test_consistency_radii_and_search_are_those_of_the_enumeration(seed: int) -> None:
    values = table(seed)
    one = subject(values, seed=seed)
    found = run_mus([one])
    assert {line.explanation for line in found.stability} == {"shapley", "occlusion", "random"}
    for line in found.stability:
        g, alpha, whole = smoothed(values, one, line.smoothing), chosen_by(line, one), (1,) * N

        def decided(mask: Any, g: Any = g) -> int:
            return int(np.argmax(g(mask)))  # of a tie the first class

        assert line.consistent == (decided(alpha) == decided(whole),)
        share = Fraction(line.smoothing)
        assert line.incremental == (oracle.radius(g(alpha), share),)
        assert line.decremental == (oracle.radius(g(whole), share),)
        changed = [sum(m) - sum(alpha) for m in oracle.supersets(alpha) if decided(m) != decided(alpha)]
        if line.consistent[0]:
            assert line.exhaustive == (True,)
            np.testing.assert_equal(line.attacked, (min(changed, default=np.nan),))
        if changed:
            assert min(changed) > line.incremental[0]


@pytest.mark.parametrize("seed", range(6))
def test_the_accuracy_is_counted_from_votes_and_from_mean_probabilities(seed: int) -> None:
    values = table(seed, lean=0.3)
    one = subject(values, seed=seed)
    for line in run_mus([one]).accuracy:
        g = smoothed(values, one, line.smoothing)((1,) * N)
        assert line.votes == int(np.argmax(g) == 0)
        masks = SETTINGS.noise(N, line.smoothing, one.case.seed).masks
        mean = values[masks.astype(int) @ (2 ** np.arange(N))].mean(axis=0)
        assert line.probabilities == int(mean.argmax() == 0)
        assert line.agreement == float(np.argmax(g) == values[-1].argmax())
        assert (line.largest, line.entropy) == (1.0, 0.0)


def test_at_half_smoothing_unanimous_votes_reach_radius_one_only_with_ties() -> None:
    constant = np.tile([0.9, 0.1], (2**N, 1))
    found = run_mus([subject(constant, replace(SETTINGS, smoothing=(0.5, 0.25)))])
    half, quarter = (found.stability[i] for i in (0, 3))
    assert (half.smoothing, half.share(1), half.share(1, ties=True)) == (0.5, 0.0, 1.0)
    assert (quarter.smoothing, quarter.share(1), quarter.share(2), quarter.share(2, ties=True)) == (0.25, 1.0, 0.0, 1.0)
    notes = found.subjects[0].notes
    assert any("λ = 1/2" in note and "equality" in note for note in notes)
    assert any("random features are certified at radius 1 on as many rows" in note for note in notes)
    assert any("have one class" in note for note in notes)


def line(explanation: str, radii: tuple[float, ...], **changed: Any) -> StabilityLine:
    yes = (True,) * len(radii)
    given = {"consistent": yes, "attacked": (), **changed}
    return StabilityLine(
        "one", explanation, 0.25, 2.0, 1.0, given["consistent"], radii, radii, radii, radii, given["attacked"]
    )


def test_random_features_are_best_only_where_they_are_certified_as_often_as_every_explanation() -> None:
    assert random_is_best([line("shapley", (1.0, 0.0)), line("random", (1.0, 0.0))])
    assert not random_is_best([line("shapley", (1.0, 1.0)), line("random", (1.0, 0.0))])
    assert not random_is_best([line("shapley", (0.0,)), line("random", (0.0,))])


def test_shares_count_rows_that_are_consistent_and_certified() -> None:
    one = line("shapley", (2.0, 1.0, 1.0, 0.0), consistent=(True, False, True, True), attacked=(3.0, np.nan, 1.0, 2.0))
    assert [one.share(r) for r in (0, 1, 2)] == [0.75, 0.5, 0.25]
    assert [one.unchanged(r) for r in (0, 1, 2, 3)] == [0.75, 0.5, 0.25, 0.0]
    assert one.mean_attacked == 2.0
    assert one.interval(1).low < 0.5 < one.interval(1).high


def test_a_larger_search_stays_within_the_budget_and_finds_only_sets_that_change_the_class() -> None:
    from assay.engine.feature_sets.masked_decisions import MaskedDecisions
    from assay.engine.feature_sets.smallest_addition import smallest_addition

    weights = np.random.default_rng(0).normal(size=12)
    model = assay.model.function(
        lambda x: np.stack([np.zeros(len(x)), x @ weights - 0.5], axis=1), gives="logits", name="sum", fingerprint="s"
    )
    case = assay.case(model, np.ones((3, 12)), label="predicted")
    chosen = np.zeros((3, 12), dtype=bool)
    chosen[0, weights.argmax()], chosen[1, weights.argmin()] = True, True
    game = case.game(assay.Constant(0.0))
    labels = game.classes(np.arange(3), chosen)
    free = ~chosen
    true = []
    for row in range(3):  # the best additions to a sum are the largest terms towards the other class
        order = np.sort(weights[free[row]])[:: -1 if labels[row] == 0 else 1]
        sums = weights[chosen[row]].sum() - 0.5 + np.concatenate([[0.0], np.cumsum(order)])
        other = sums > 0 if labels[row] == 0 else sums < 0
        true.append(float(np.flatnonzero(other)[0]) if other.any() else np.nan)
    for budget in (10, 40, 400):
        before = model.meter.forwards
        found = smallest_addition(
            MaskedDecisions(game), np.arange(3), chosen, free, labels, budget=budget, seed=case.seed, ids=case.rows.ids
        )
        assert model.meter.forwards - before <= 3 * budget
        hit = np.isfinite(found.number)
        changed = game.classes(np.arange(3), chosen | found.added) != labels
        assert (changed == hit).all()
        assert (found.added.sum(axis=1)[hit] == found.number[hit]).all()
        assert (found.number[hit] >= np.array(true)[hit]).all()
    np.testing.assert_equal(found.number, true)  # greedy is exact for a sum


def test_the_same_run_gives_the_same_bytes_and_comes_back_from_its_file(tmp_path: Any) -> None:
    one, other = (run_mus([subject(table(3))]) for _ in range(2))
    assert one.to_json() == other.to_json()
    assert render_mus(one) == render_mus(other)
    path = one.save(tmp_path / "mus.assay")
    assert path.read_bytes() == other.save(tmp_path / "again.assay").read_bytes()
    assert assay.load(path).to_json() == one.to_json()


def test_the_plan_is_never_exceeded() -> None:
    one = subject(table(5))
    planned = planned_evaluations(one)
    found = run_mus([one])
    assert 0 < found.subjects[0].evaluations <= planned + 2 * len(one.case)  # the model's own output


def test_each_number_of_the_plots_is_in_the_result() -> None:
    found = run_mus([subject(table(1), name="a"), subject(table(2), name="b")])
    curves = found.plot("radius curve", subject="b").data
    for one in found.stability_of("b"):
        x, y = curves[f"λ = {Fraction(one.smoothing)}: {one.explanation}"]
        assert y.tolist() == [one.share(float(r)) for r in x]
    rates = found.plot("accuracy curve").data
    assert rates["a: votes"][1].tolist() == [one.accuracy("votes") for one in found.accuracy_of("a")]
    page = render_mus(found, "assay experiment mus")
    assert "<script" not in page
    assert page.count("<svg xmlns") >= 4


def test_texts_are_escaped_on_the_page() -> None:
    found = run_mus([subject(table(1), name="<b>&")])
    assert "<b>&" not in render_mus(found)


def test_subjects_without_data_are_skipped_by_name_with_the_reason() -> None:
    (found,) = make_subjects(["tweets"], None, Sizes(), SETTINGS, assay.Seed(0))
    assert isinstance(found, SkippedSubject)
    assert (found.name, "--folder" in found.reason) == ("tweets", True)
    assert run_mus([found]).skipped == (found,)
    with pytest.raises(InputError, match="no subject 'cats'; there are photographs-7"):
        make_subjects(["cats"], None, Sizes(), SETTINGS, assay.Seed(0))


def test_a_method_that_the_model_lacks_is_skipped_with_the_reason() -> None:
    settings = replace(SETTINGS, explanations=("occlusion", "saliency"))
    found = run_mus([subject(table(1), settings)])
    assert [one.name for one in found.skipped] == ["table: saliency"]
    assert {one.explanation for one in found.stability} == {"occlusion", "random"}


def test_masked_training_is_a_subject_of_its_own_on_the_same_rows() -> None:
    settings = MusSettings((1.0, 0.125), 16, explanations=("occlusion",), search=0)
    plain, trained = make_subjects(["credit", "credit-masked"], None, Sizes(3, 200), settings, assay.Seed(0))
    assert isinstance(plain, Subject)
    assert isinstance(trained, Subject)
    assert plain.case.rows.fingerprint == trained.case.rows.fingerprint
    assert plain.case.model.fingerprint != trained.case.model.fingerprint
    found = run_mus([plain, trained])
    assert [one.name for one in found.subjects] == ["credit", "credit, masked training"]
    assert any("not trained on masked inputs" in text for text in found.subjects[0].differences)
    assert not any("not trained on masked inputs" in text for text in found.subjects[1].differences)


def test_images_of_a_caller_are_cut_into_patches() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    x = np.random.default_rng(0).random((6, 1, 8, 8)).astype(np.float32)
    one = own_subject(
        assay.wrap(net, classes=["a", "b"]),
        x,
        ["a", "b"] * 3,
        ids=None,
        patch=4,
        removal=None,
        sizes=Sizes(2, 4),
        settings=replace(SETTINGS, explanations=("occlusion",)),
        seed=assay.Seed(0),
    )
    assert (len(one.case), len(one.case.features), one.labels.tolist()) == (2, 4, [0, 1, 0, 1])
    assert isinstance(run_mus([one]), MusExperiment)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"smoothing": ()}, "smoothing is empty"),
        ({"share": 0.0}, "share"),
        ({"search": 1}, "search"),
        ({"smoothing": (0.3,)}, "whole number"),
        ({"explanations": ("magic",)}, "magic"),
    ],
)
def test_impossible_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SETTINGS, **changed).check()


def test_every_subject_has_a_name_of_its_own() -> None:
    assert {"photographs-7", "photographs-14", "digits", "digits-masked", "tweets", "credit"} <= set(SUBJECTS)
