"""Agreement with Quantus where it is sound: the same net, inputs, masks and draws, to 1e-5 relative.

Where the definitions differ on purpose the conversion that the docstring names is asserted. Quantus' Sensitivity-N
agrees with the paper nowhere (`test_quantus_wrong.py`). The net counts in float64, so that what is left is Quantus'
float32 inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from tests.evaluate.settings import replace_values
from tests.peers.quantus_setting import asked, fed, gradient, kept_rng, loaded, theirs

import assay
from assay import Constant, NoisyLinear, evaluate, explain
from assay.cases.case import Case
from assay.cases.inpainting import inpaint
from assay.engine.neighbourhoods.neighbourhood import perturbed_rows
from assay.engine.removal.ordered_removal import perturbation_curve
from assay.engine.removal.random_removal import bernoulli_coalitions, fixed_size_coalitions
from assay.engine.search.ball import Ball
from assay.model.transformations.randomise_weights import randomise_weights
from assay.nouns.results.result import Explanation

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
CLOSE, QUIET, NOTHING = 1e-5, {"disable_warnings": True}, {"perturb_baseline": 0.0}
PLAIN = {**QUIET, "normalise": False, "abs": False}
BALL, DRAWS = Ball("linf", 0.02), 12


@pytest.fixture(autouse=True)
def _rng() -> Iterator[None]:
    with kept_rng():
        yield


@pytest.fixture
def quantus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """With the name that numpy 2.4 no longer has."""
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)
    return loaded()


def drawn(case: Case, seed: int = 1) -> Explanation:
    """An explanation that says anything: no two parts alike, of both signs."""
    values = np.random.default_rng(seed).normal(size=(len(case), len(case.features)))
    return replace_values(explain.constant(case), values)


def by_pixel(explanation: Explanation) -> np.ndarray:
    """Parts' values, spread over their pixels so that sums stay."""
    return explanation.features.map(explanation.values / explanation.features.sizes)


def patches() -> tuple[torch.nn.Module, Case, Explanation]:
    net, case = asked(features=assay.grid((1, 12, 12), 3))
    return net, case, drawn(case)


# ordered removal


@pytest.mark.parametrize("steps", [144, 12])
def test_pixel_flipping_is_morf_without_the_intact_picture(quantus: Any, steps: int) -> None:
    net, case = asked()
    e = drawn(case)
    curves = theirs(quantus.PixelFlipping(features_in_step=144 // steps, **PLAIN, **NOTHING), net, case, e.values)
    of_all_points = (case.output + np.sum(curves, axis=1)) / (steps + 1)
    assert_allclose(evaluate.morf(e, case, steps=steps).values, of_all_points, rtol=CLOSE)
    _, ours = perturbation_curve(e, case, Constant(0.0), steps)
    assert_allclose(ours[:, 1:], curves, rtol=CLOSE)


def test_deletion_is_pixel_flippings_area_with_the_first_step_over_the_width(quantus: Any) -> None:
    net, case = asked()
    e = drawn(case)
    metric = quantus.PixelFlipping(features_in_step=12, return_auc_per_sample=True, **PLAIN, **NOTHING)
    area = theirs(metric, net, case, e.values)
    _, curve = perturbation_curve(e, case, Constant(0.0), 12)
    first = (curve[:, 0] + curve[:, 1]) / 2
    assert_allclose(evaluate.deletion(e, case, steps=12).values, (area + first) / 12, rtol=CLOSE)


@pytest.mark.parametrize("regions", [5, 16])
def test_region_perturbation_is_the_mean_of_falls_with_that_of_nothing(quantus: Any, regions: int) -> None:
    net, case, e = patches()
    metric = quantus.RegionPerturbation(patch_size=3, regions_evaluation=regions, **PLAIN, **NOTHING)
    falls = theirs(metric, net, case, by_pixel(e))
    expected = np.sum(falls, axis=1) / (regions + 1)
    assert_allclose(evaluate.region_perturbation(e, case, regions=regions).values, expected, rtol=CLOSE)


def test_selectivity_is_theirs_over_the_removals_less_one(quantus: Any) -> None:
    net, case, e = patches()
    metric = quantus.Selectivity(patch_size=3, **PLAIN, **NOTHING)
    curves = theirs(metric, net, case, by_pixel(e))
    assert_allclose(evaluate.selectivity(e, case).values, np.trapezoid(curves, axis=1) / 15, rtol=CLOSE)
    assert_allclose(evaluate.selectivity(e, case).mean, metric.get_auc_score / 15, rtol=CLOSE)


def test_irof_is_theirs_over_the_parts_with_the_first_step(quantus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net, case = asked(features=assay.grid((1, 12, 12), 3), target="probability")
    e = drawn(case)
    cut = case.features.index[0]
    module = __import__("sys").modules[quantus.IROF.__module__]
    monkeypatch.setattr(module.utils, "get_superpixel_segments", lambda **_: cut)
    metric = quantus.IROF(return_aggregate=False, **PLAIN, **NOTHING)
    area = theirs(metric, net, case, by_pixel(e), softmax=True)
    _, curve = perturbation_curve(e, case, Constant(0.0), 16)
    first = (1 - curve[:, 1] / curve[:, 0]) / 2  # the trapezium between the intact picture and the first removal
    assert_allclose(evaluate.irof(e, case).values * 16, np.asarray(area) - 1 + first, rtol=CLOSE)


def test_road_fills_in_what_theirs_fills_in(quantus: Any) -> None:
    _, case = asked()
    fill = __import__("sys").modules["quantus.functions.perturb_func"].noisy_linear_imputation
    generator = np.random.default_rng(2)
    for row in range(4):
        picture = case.rows.x[row].numpy()
        gone = generator.permutation(144)[: 20 + 30 * row]
        missing = np.zeros(144, dtype=bool)
        missing[gone] = True
        wanted = fill(arr=picture, indices=gone, noise=0.0)
        assert_allclose(inpaint(picture, missing.reshape(1, 12, 12)), wanted, rtol=CLOSE)


def test_road_of_the_decision_is_theirs_in_one_batch(quantus: Any) -> None:
    net, case = asked(16, target="decision", label="predicted")
    e = replace_values(explain.constant(case), explain.input_x_gradient(case.with_target("logit")).values)
    shares = (0.25, 0.5, 0.75)
    metric = quantus.ROAD(percentages=[100 * q for q in shares], noise=0.0, **PLAIN)
    accuracy = np.array(list(theirs(metric, net, case, e.values).values()))
    ours = [evaluate.road(e, case, remove=NoisyLinear(0.0), shares=(q,)).mean for q in shares]
    assert 0 < accuracy.min() < 1
    assert_allclose(ours, accuracy, rtol=CLOSE)
    one = case.take([3])
    alone = np.array(list(theirs(metric, net, one, e.values[3:4]).values()))
    single = [evaluate.road(_row(e, one, 3), one, remove=NoisyLinear(0.0), shares=(q,)).values[0] for q in shares]
    assert_allclose(single, alone, rtol=CLOSE)


def _row(e: Explanation, one: Case, row: int) -> Explanation:
    return replace_values(explain.constant(one), e.values[row : row + 1])


# random removal


def test_faithfulness_correlation_agrees_on_the_same_subsets(quantus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net, case = asked()
    e = drawn(case)
    design = fixed_size_coalitions(case, 0.25, 60)
    gone = iter(np.repeat([np.flatnonzero(~mask) for mask in design.masks], len(case), axis=0))
    monkeypatch.setattr(np.random, "choice", lambda *_, **__: next(gone))
    metric = quantus.FaithfulnessCorrelation(nr_runs=60, subset_size=36, return_aggregate=False, **PLAIN, **NOTHING)
    ours = evaluate.faithfulness_correlation(e, case, size=0.25, draws=60)
    assert_allclose(ours.values, theirs(metric, net, case, e.values), rtol=CLOSE)


def test_faithfulness_estimate_agrees(quantus: Any) -> None:
    net, case = asked()
    e = drawn(case)
    metric = quantus.FaithfulnessEstimate(features_in_step=1, **PLAIN, **NOTHING)
    assert_allclose(evaluate.faithfulness_estimate(e, case).values, theirs(metric, net, case, e.values), rtol=CLOSE)


def test_infidelity_agrees_on_the_same_subsets(quantus: Any) -> None:
    """Quantus' attributions are slopes: they are multiplied by how far each pixel was moved."""
    net, case = asked()
    e = drawn(case)
    design = bernoulli_coalitions(case, 16)  # as many as there are patches
    x = case.rows.x.numpy()
    inputs = [np.where(mask.reshape(1, 1, 12, 12), x, 0.0) for mask in design.masks]
    metric = quantus.Infidelity(perturb_patch_sizes=[3], n_perturb_samples=1, perturb_func=fed(inputs), **PLAIN)
    slopes = e.values.reshape(x.shape) / x
    assert_allclose(evaluate.infidelity(e, case, draws=16).values, theirs(metric, net, case, slopes), rtol=CLOSE)


def test_monotonicity_correlation_agrees_with_one_filling(quantus: Any) -> None:
    net, case = asked()
    e = drawn(case)
    metric = quantus.MonotonicityCorrelation(
        nr_samples=1, features_in_step=1, eps=0.0, normalise=False, **QUIET, **NOTHING
    )
    assert np.abs(case.output).min() > 0
    assert_allclose(evaluate.monotonicity_correlation(e, case).values, theirs(metric, net, case, e.values), rtol=CLOSE)


# robustness


def near(case: Case) -> dict[str, Any]:
    """Our draws, as a perturbation for Quantus."""
    return {"nr_samples": DRAWS, "perturb_func": fed(perturbed_rows(case, BALL, (draw,)) for draw in range(DRAWS))}


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("MaxSensitivity", evaluate.max_sensitivity),
        ("AvgSensitivity", evaluate.average_sensitivity),
        ("LocalLipschitzEstimate", evaluate.local_lipschitz),
    ],
)
def test_sensitivity_agrees_on_the_same_neighbours(quantus: Any, name: str, ours: Any) -> None:
    net, case = asked()
    e = explain.saliency(case, signed=True)
    said = theirs(getattr(quantus, name)(**near(case), **PLAIN), net, case, e.values, explain_func=gradient)
    assert_allclose(ours(e, case, ball=BALL, draws=DRAWS).values, said, rtol=CLOSE)


@pytest.mark.parametrize(
    ("name", "ours", "theirs_only", "ours_only"),
    [
        ("RelativeInputStability", evaluate.relative_input_stability, {}, {}),
        ("RelativeOutputStability", evaluate.relative_output_stability, {}, {}),
        (
            "RelativeRepresentationStability",
            evaluate.relative_representation_stability,
            {"layer_names": ["second"]},
            {"layer": "second"},
        ),
    ],
)
def test_relative_stability_agrees_where_nothing_is_zero_and_no_label_flips(
    quantus: Any, name: str, ours: Any, theirs_only: Any, ours_only: Any
) -> None:
    net, case = asked()
    e = explain.saliency(case, signed=True)
    assert (e.values != 0).all()
    metric = getattr(quantus, name)(**near(case), **theirs_only, **PLAIN)
    said = theirs(metric, net, case, e.values, explain_func=gradient)
    score = ours(e, case, ball=BALL, draws=DRAWS, share=0.0, **ours_only)
    assert not score.extra["flipped"].any()
    assert not score.extra["floored"].any()
    assert_allclose(score.values, said, rtol=CLOSE)


# localisation


def mask(case: Case) -> np.ndarray:
    inside = np.zeros((len(case), 12, 12), dtype=bool)
    for row in range(len(case)):
        inside[row, row : row + 5, 2 : 6 + row] = True
    return inside


@pytest.mark.parametrize(
    ("name", "options", "ours", "chosen"),
    [
        ("AttributionLocalisation", {"abs": True}, evaluate.mass_accuracy, {"sign": "absolute"}),
        ("AttributionLocalisation", {"abs": False, "positive_attributions": True}, evaluate.mass_accuracy, {}),
        ("RelevanceMassAccuracy", {"abs": True}, evaluate.mass_accuracy, {"sign": "absolute"}),
        ("RelevanceRankAccuracy", {"abs": False}, evaluate.rank_accuracy, {}),
        ("RelevanceRankAccuracy", {"abs": True}, evaluate.rank_accuracy, {"sign": "absolute"}),
        ("TopKIntersection", {"abs": False, "k": 18}, evaluate.top_k_overlap, {"share": 18 / 144}),
        ("AUC", {"abs": False}, evaluate.localisation_auc, {}),
        ("AUC", {"abs": True}, evaluate.localisation_auc, {"sign": "absolute"}),
        ("PointingGame", {"abs": False}, evaluate.pointing_game, {}),
    ],
)
@pytest.mark.parametrize("normalise", [True, False])
def test_localisation_agrees(quantus: Any, normalise: bool, name: str, options: Any, ours: Any, chosen: Any) -> None:
    net, case = asked(8)
    e, inside = drawn(case), mask(case)
    metric = getattr(quantus, name)(normalise=normalise, **options, **QUIET)
    said = np.asarray(theirs(metric, net, case, e.values, s_batch=inside[:, None]), dtype=float)
    assert len(np.unique(said)) > 1
    assert_allclose(ours(e, case, inside=inside, **chosen).values, said, rtol=CLOSE)


# complexity


def test_sparseness_agrees_up_to_the_small_number_they_add(quantus: Any) -> None:
    net, case = asked()
    e = drawn(case)
    said = theirs(quantus.Sparseness(**QUIET), net, case, e.values)
    assert_allclose(evaluate.sparseness(e, case).values, said, rtol=CLOSE)


def test_entropy_in_nats_agrees(quantus: Any) -> None:
    net, case = asked()
    e = drawn(case)
    said = theirs(quantus.Complexity(**QUIET), net, case, e.values)
    assert_allclose(evaluate.entropy(e, case).extra["nats"], said, rtol=CLOSE)


@pytest.mark.parametrize("count", [1, 9, 144])
def test_the_number_of_equal_parts_is_theirs_and_ours(quantus: Any, count: int) -> None:
    net, case = asked()
    values = np.zeros((4, 144))
    values[:, :count] = 0.7
    if count == 144:
        values[:, 0] += 1e-12  # Quantus refuses attributions that are all alike
    e = replace_values(explain.constant(case), values)
    said = theirs(quantus.EffectiveComplexity(**QUIET), net, case, values)
    assert_allclose(evaluate.effective_parts(e, case).values, said, rtol=CLOSE)


# randomisation and completeness


def rank_correlation(a: Any, b: Any, **_: Any) -> list[float]:
    return [float(spearmanr(one, other)[0]) for one, other in zip(a, b)]


def test_random_logit_agrees_on_the_same_classes_with_the_same_likeness(
    quantus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, case = asked()
    e = explain.saliency(case, signed=True)
    score = evaluate.random_logit(e, case)
    other = score.extra["class"].astype(int)
    monkeypatch.setattr(np.random, "randint", lambda *_: other - (other > case.label))
    metric = quantus.RandomLogit(similarity_func=rank_correlation, num_classes=5, **PLAIN)
    assert_allclose(score.values, theirs(metric, net, case, e.values, explain_func=gradient), rtol=CLOSE)


@pytest.mark.parametrize("absolute", [True, False])
def test_parameter_randomisation_agrees_on_the_same_nets(
    quantus: Any, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    net, case = asked()
    e = explain.saliency(case, signed=True)
    layers = ["head", "second", "first"]
    nets = [
        randomise_weights(case.model, case.seed.child("scramble"), layers=tuple(layers[: k + 1])).net for k in range(3)
    ]
    kind = __import__("sys").modules["quantus.helpers.model.pytorch_model"].PyTorchModel
    monkeypatch.setattr(kind, "get_random_layer_generator", lambda *_, **__: zip(layers, nets))
    metric = quantus.MPRT(abs=absolute, normalise=True, **QUIET)
    said = theirs(metric, net, case, e.values, explain_func=gradient)
    score = evaluate.parameter_randomisation(e, case, absolute=absolute, cascade=True)
    for place in layers:
        assert_allclose(score.extra[place], said[place], rtol=CLOSE)
    assert_allclose(score.values, np.mean([said[place] for place in layers], axis=0), rtol=CLOSE)


def test_completeness_is_0_where_theirs_is_true(quantus: Any) -> None:
    """Sums of these numbers are exact in binary, so that Quantus' `==` holds."""
    net = torch.nn.Linear(4, 2, bias=False).double().eval()
    net.weight.data = torch.tensor([[1.0, -2.0, 0.5, 4.0], [3.0, 1.0, -1.0, 0.25]], dtype=torch.float64)
    net.forward = lambda x: torch.nn.functional.linear(x.double(), net.weight)  # type: ignore[method-assign]  # one net, another forward
    case = assay.case(assay.wrap(net), torch.tensor([[1.0, 2.0, -1.0, 0.5], [0.5, 4.0, 2.0, 1.0]]).double(), label=1)
    whole = explain.input_x_gradient(case)
    short = replace_values(whole, whole.values + np.array([[0.0, 0, 0, 0.5], [0, 0, 0, 0]]))
    for e in (whole, short):
        said = theirs(quantus.Completeness(**PLAIN, **NOTHING), net, case, e.values)
        gap = np.abs(e.values.sum(axis=1) - case.output)
        assert_allclose(np.asarray(said), gap == 0)
    exact = explain.integrated_gradients(case)
    assert_allclose(evaluate.completeness(exact, case).values, 0.0, atol=1e-12)
    assert_allclose(evaluate.completeness(replace_values(exact, short.values), case).values, [0.5, 0.0], atol=1e-12)
