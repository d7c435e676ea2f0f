"""What Quantus 0.6.0 gets wrong, in the twenty groups Q1–Q20, each as small as it gets.

That assay is right there is shown in tests/evaluate/test_known_defects.py and the tests it names. A group that has been
mended is told of and skipped.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.peers.quantus_setting import Net, asked, fed, gradient, kept_rng, loaded, mended, pictures, theirs

from assay import explain

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
QUIET = {"disable_warnings": True}
PLAIN = {**QUIET, "normalise": False, "abs": False}


@pytest.fixture(autouse=True)
def _rng() -> Iterator[None]:
    with kept_rng():
        np.random.seed(0)  # noqa: NPY002  # Quantus draws from the global generator
        yield


@pytest.fixture
def quantus() -> Any:
    return loaded()


@pytest.fixture
def old_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that numpy 2 no longer has."""
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)
    monkeypatch.setattr(np, "NaN", np.nan, raising=False)


def noise(rows: int = 4, channels: int = 1, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, channels, 12, 12))


def wrong(still: bool, what: str) -> None:
    if not still:
        mended(what)
    assert still


def fails(run: Any, what: str, kind: type[Exception]) -> None:
    """It fails; if it no longer does it has been mended."""
    try:
        run()
    except kind:
        return
    mended(what)


def test_q01_monotonicity_is_true_of_every_explanation(quantus: Any) -> None:
    net, case = asked()
    values = noise()
    found = [
        theirs(quantus.Monotonicity(features_in_step=12, perturb_baseline=0.0, **PLAIN), net, case, v)
        for v in (values, -values, explain.integrated_gradients(case).values)
    ]
    wrong(bool(np.all(found)), "monotonicity")


@pytest.mark.parametrize("name", ["ROAD", "SensitivityN"])
def test_q02_only_the_first_batch_counts(quantus: Any, name: str) -> None:
    net, case = asked(12)
    options = {"percentages": [10, 50, 90], "noise": 0.0} if name == "ROAD" else {"features_in_step": 12, **QUIET}
    options |= {} if name == "ROAD" else {"return_aggregate": False, "perturb_baseline": 0.0}
    values, first = noise(12), case.take(range(4))
    all_rows = theirs(getattr(quantus, name)(**{**PLAIN, **options}), net, case, values, batch_size=4)
    four = theirs(getattr(quantus, name)(**{**PLAIN, **options}), net, first, values[:4])
    said = [np.array(list(one.values()) if isinstance(one, dict) else one) for one in (all_rows, four)]
    wrong(np.array_equal(*said), "all batches count")


def test_q03_sensitivity_n_of_an_additive_model_is_not_1(quantus: Any) -> None:
    """What has gone so far is paired with the last step's attribution alone, and rows with one another."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 2)).eval()
    _, case = asked(6)
    x = case.rows.x.float().numpy()
    weight = net[1].weight.detach().numpy()[1].reshape(1, 1, 12, 12)
    metric = quantus.SensitivityN(features_in_step=12, return_aggregate=False, perturb_baseline=0.0, **PLAIN)
    exact = weight * x  # what each pixel adds, to the last digit
    said = metric(model=net, x_batch=x, y_batch=np.ones(6, dtype=int), a_batch=exact, channel_first=True, device="cpu")
    wrong(bool(np.min(said) < 0.9), "true Sensitivity-N")
    assert len(said) != 6  # one number a step, not one a row


def test_q04_irof_fails_on_colour(quantus: Any, old_numpy: None) -> None:
    net, case = asked(2, channels=3)
    fails(
        lambda: theirs(quantus.IROF(**PLAIN), net, case, noise(2, 3)),
        "IROF on pictures of three channels",
        AssertionError,
    )


def test_q05_an_empty_mask_is_a_hit_and_weighting_fails(quantus: Any) -> None:
    net, case = asked(2)
    inside = np.zeros((2, 1, 12, 12))
    said = theirs(quantus.PointingGame(**PLAIN), net, case, noise(2), s_batch=inside)
    wrong(bool(np.all(said)), "empty masks")
    inside[:, :, :6] = 1
    peaked = noise(2)
    peaked[:, :, 0, 0] = 99.0
    fails(
        lambda: theirs(quantus.PointingGame(weighted=True, **PLAIN), net, case, peaked, s_batch=inside),
        "the weighted pointing game",
        TypeError,
    )


def test_q06_weighted_localisation_depends_on_the_number_of_rows(quantus: Any) -> None:
    said = []
    for rows in (3, 8):
        net, case = asked(rows)
        inside = np.zeros((rows, 1, 12, 12))
        inside[:, :, :6, :6] = 1
        values = np.ones((rows, 1, 12, 12)) + 1e-9 * noise(rows)
        metric = quantus.AttributionLocalisation(weighted=True, **QUIET)
        said.append(theirs(metric, net, case, values, s_batch=inside)[0])
    wrong(abs(said[0] - said[1]) > 0.01, "weighted localisation")


def test_q07_directions_are_declared_the_wrong_way_round(quantus: Any) -> None:
    lower = sys.modules["quantus.helpers.enums"].ScoreDirection.LOWER
    net, case = asked()
    good = explain.integrated_gradients(case).values
    metric = quantus.RegionPerturbation(patch_size=3, perturb_baseline=0.0, **PLAIN)
    falls = [np.mean(theirs(metric, net, case, sign * good)) for sign in (1, -1)]
    assert falls[0] > falls[1]  # the better explanation has the higher score
    wrong(quantus.RegionPerturbation.score_direction == quantus.Consistency.score_direction == lower, "directions")


def test_q08_a_row_is_scaled_by_the_largest_beside_it(quantus: Any) -> None:
    net, case = asked()
    values = noise()
    loud = values.copy()
    loud[1:] *= 1e6
    metric = quantus.EffectiveComplexity(**QUIET)
    alone, beside = (theirs(metric, net, case, v)[0] for v in (values, loud))
    wrong(alone > 2 * beside, "normalising by the whole batch")


def test_q09_the_intact_net_is_in_the_mean(quantus: Any) -> None:
    net, case = asked()
    values = gradient(net, case.rows.x, case.label)
    metric = quantus.MPRT(return_average_correlation=True, **QUIET)
    with_intact = np.mean(theirs(metric, net, case, values, explain_func=gradient))
    each = theirs(quantus.MPRT(**QUIET), net, case, values, explain_func=gradient)
    without = np.mean([each[place] for place in each if place != "original"])
    assert np.allclose(each["original"], 1.0)
    wrong(with_intact > without + 0.1, "the mean of MPRT")


def test_q10_attention_and_class_tokens_stay_trained_and_equal_layers_are_drawn_alike(quantus: Any) -> None:
    class Attending(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = torch.nn.Parameter(torch.ones(1, 1, 8))
            self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            self.one, self.two = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    kind = sys.modules["quantus.helpers.model.pytorch_model"].PyTorchModel
    net = Attending().eval()
    *_, (_, last) = kind(net).get_random_layer_generator()
    stayed = [name for name, p in last.named_parameters() if torch.equal(p, dict(net.named_parameters())[name])]
    wrong({"token", "attention.in_proj_weight"} <= set(stayed), "parameters without a reset")
    assert torch.equal(last.one.weight, last.two.weight)


def test_q10_the_global_generators_are_seeded_anew(quantus: Any) -> None:
    net, case = asked()
    values = gradient(net, case.rows.x, case.label)
    metric = quantus.RandomLogit(num_classes=5, **PLAIN)
    drawn = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002  # Quantus draws from the global generator
        theirs(metric, net, case, values, explain_func=gradient)
        drawn.append(np.random.random())  # noqa: NPY002  # Quantus draws from the global generator
    wrong(drawn[0] == drawn[1], "the caller's random numbers")


def test_q11_an_output_near_zero_fails(quantus: Any) -> None:
    net, case = asked()
    size = np.sort(np.abs(case.output))
    metric = quantus.MonotonicityCorrelation(
        nr_samples=1, features_in_step=12, eps=float(size[:2].mean()), perturb_baseline=0.0, **PLAIN
    )
    fails(lambda: theirs(metric, net, case, noise()), "outputs below eps", ValueError)


def test_q12_numpy_no_longer_has_the_names(quantus: Any) -> None:
    if hasattr(np, "trapz"):
        pytest.skip(f"numpy {np.__version__} still has trapz")
    net, case = asked()
    area = quantus.PixelFlipping(features_in_step=12, return_auc_per_sample=True, **PLAIN)
    fails(lambda: theirs(area, net, case, noise()), "np.trapz", AttributeError)
    pushed = quantus.Continuity(return_nan_when_prediction_changes=True, **PLAIN)
    fails(lambda: theirs(pushed, net, case, None, explain_func=gradient), "np.NaN", AttributeError)


def test_q13_a_thousand_classes_are_assumed(quantus: Any) -> None:
    net, case = asked()
    metric = quantus.RandomLogit(**PLAIN)
    fails(lambda: theirs(metric, net, case, noise(), explain_func=gradient), "the number of classes", IndexError)


def test_q14_a_complete_explanation_is_not_complete(quantus: Any) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 2, bias=False)).eval()
    x = pictures(8).float().numpy()
    exact = net[1].weight.detach().numpy()[1].reshape(1, 1, 12, 12) * x
    given = {"model": net, "x_batch": x, "y_batch": np.ones(8, dtype=int), "channel_first": True, "device": "cpu"}
    gap = exact.sum(axis=(1, 2, 3)) - net(torch.as_tensor(x))[:, 1].detach().numpy()
    assert np.abs(gap).max() < 1e-5
    said = quantus.Completeness(perturb_baseline=0.0, **QUIET)(a_batch=exact.copy(), **given)
    wrong(not np.any(said), "completeness by equality, after normalising")


def test_q15_infidelity_repeats_itself_and_cannot_pad(quantus: Any) -> None:
    net, case = asked()
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    found = []
    for repeats in (1, 10):
        calls.clear()
        metric = quantus.Infidelity(perturb_patch_sizes=[4], n_perturb_samples=repeats, **PLAIN)
        found.append((theirs(metric, net, case, noise()), len(calls)))
    assert [count for _, count in found] == [1 + 9, 1 + 90]
    wrong(np.allclose(found[0][0], found[1][0], rtol=1e-12), "repetitions that differ")
    uneven = quantus.Infidelity(perturb_patch_sizes=[5], **PLAIN)
    fails(lambda: theirs(uneven, net, case, noise()), "patches that do not divide the picture", ValueError)


@pytest.mark.parametrize("name", ["Complexity", "Sparseness"])
def test_q16_the_callers_array_is_written_to(quantus: Any, name: str) -> None:
    net, case = asked()
    values = np.abs(noise())
    before = values.copy()
    metric = getattr(quantus, name)(**PLAIN)
    metric(model=net, x_batch=case.rows.x.numpy(), y_batch=case.label, a_batch=values, channel_first=True)
    wrong(not np.array_equal(values, before), "the caller's attributions")


def test_q17_baselines_are_not_what_they_are_called(quantus: Any) -> None:
    fill = sys.modules["quantus.functions.perturb_func"].batch_baseline_replacement_by_indices
    row = np.array([[2.0, 3.0, 1.0, 4.0]])
    uniform = fill(arr=row, indices=np.array([[0, 1, 2]]), perturb_baseline="uniform")[0, :3]
    once = fill(arr=row, indices=np.array([[3]]), perturb_baseline="mean")
    again = fill(arr=once, indices=np.array([[1]]), perturb_baseline="mean")
    black = fill(arr=row, indices=np.array([[3]]), perturb_baseline="black")
    wrong(len(np.unique(uniform)) == 1, "uniform noise differs between pixels")
    assert (once[0, 3], again[0, 1]) == (2.5, 2.125)  # the mean of what the first step left
    assert black[0, 3] == 1.0


def test_q18_metrics_read_different_outputs(quantus: Any) -> None:
    after = ("PixelFlipping", "Selectivity", "IROF", "ROAD", "SensitivityN")
    before = ("FaithfulnessCorrelation", "FaithfulnessEstimate", "Infidelity")
    softmax = {
        name: inspect.signature(getattr(quantus, name).__call__).parameters["softmax"].default
        for name in (*after, *before)
    }
    wrong(len(set(softmax.values())) == 2, "one output space for all")
    assert tuple(name for name, on in softmax.items() if not on) == before


def test_q19_channels_of_a_pixel_are_flipped_one_by_one(quantus: Any) -> None:
    net, seen = Net(3), []
    net.register_forward_hook(lambda _, given, __: seen.append(given[0].numpy().copy()))
    x = pictures(1, 3).numpy()
    metric = quantus.PixelFlipping(features_in_step=4, perturb_baseline=0.0, **PLAIN)
    given = {"x_batch": x, "y_batch": np.array([1]), "channel_first": True, "device": "cpu"}
    metric(model=net, a_batch=noise(1), **given)
    changed = (seen[0][0] != x[0].astype(np.float32)).sum(axis=0)
    wrong(bool((changed % 3).any()), "a map of one channel on a picture of three")


def test_q20_failures_are_printed_and_swallowed(quantus: Any, capsys: pytest.CaptureFixture[str]) -> None:
    net, case = asked()
    metrics = {"broken": quantus.RandomLogit(**PLAIN)}  # of a thousand classes
    asking: dict[str, Any] = {"x_batch": case.rows.x.numpy(), "y_batch": case.label, "xai_methods": {"any": noise()}}
    fails(
        lambda: quantus.evaluate(metrics=metrics, model=net, call_kwargs={"once": {"device": "cpu"}}, **asking),
        "evaluate()",
        KeyError,
    )
    assert "Failed to evaluate" in capsys.readouterr().out


def test_q20_options_of_one_method_reach_the_next(quantus: Any) -> None:
    net, case = asked()
    told: list[dict[str, Any]] = []

    class Told(quantus.Complexity):  # type: ignore[name-defined]  # no types there
        def __call__(self, **given: Any) -> list[float]:
            told.append(given["explain_func_kwargs"])
            return [0.0]

    methods = {"first": {"method": "Saliency", "mine": 1}, "second": noise()}
    quantus.evaluate(
        metrics={"m": Told(**PLAIN)},
        xai_methods=methods,
        model=net,
        x_batch=case.rows.x.float().numpy(),
        y_batch=case.label,
        call_kwargs={"once": {}},
    )
    wrong(told[1].get("mine") == 1, "options of the method before")


def test_q20_negative_maps_are_refused(quantus: Any) -> None:
    net, case = asked()
    metric = quantus.Infidelity(**PLAIN)
    fails(lambda: theirs(metric, net, case, -np.abs(noise())), "maps that are all negative", AssertionError)


def test_a_fed_perturbation_is_what_quantus_is_given(quantus: Any) -> None:
    """The device by which draws are shared in test_quantus.py."""
    net, case = asked()
    same = quantus.MaxSensitivity(nr_samples=2, perturb_func=fed([case.rows.x.numpy()] * 2), **PLAIN)
    said = theirs(same, net, case, gradient(net, case.rows.x, case.label), explain_func=gradient)
    assert np.allclose(said, 0.0, atol=1e-6)
