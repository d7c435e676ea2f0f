"""Masks that are searched or learned: optima that are known, and what a mask is worth under another removal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from tests.contract.subjects import pooled, ragged, reference_rows, visual

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.cases.new_case import case as ask
from assay.engine.pictures.bottleneck import BottleneckOptions, Noise, divergence, open_shares
from assay.engine.pictures.mask_network import MaskTraining, train_mask_network
from assay.engine.pictures.soft_masks import MaskSpace, SoftRemoval, top_area
from assay.explain import extremal_perturbation, information_bottleneck, mask_generator

ZERO = assay.Constant(0.0)
AREAS = (1 / 16, 1 / 4, 1 / 2)


class Sum(torch.nn.Module):
    """w · x."""

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.as_tensor(weight))

    def forward(self, x: Any) -> Any:
        return (x * self.weight).flatten(1).sum(dim=1, keepdim=True)


def additive(seed: int = 0, patch: int = 1, **net: Any) -> tuple[Any, np.ndarray]:
    """A game that is the sum of its 16 parts, and what each is worth."""
    side = 4 * patch
    weight = np.random.default_rng(seed).normal(size=(1, side, side))
    model = assay.model.torch(Sum(weight).eval(), gives="values", **net)
    case = assay.case(
        model, torch.ones((2, 1, side, side), dtype=torch.float64), features=assay.grid((1, side, side), patch)
    )
    return case, case.features.pool(weight[None])[0]


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_extremal_mask_of_a_sum_keeps_its_largest_parts(seed: int, patch: int) -> None:
    case, worth = additive(seed, patch)
    found = extremal_perturbation(case, remove=ZERO, areas=AREAS, cell=1)
    best = np.sort(worth)[::-1]
    expected = [best[: round(16 * area)].sum() for area in AREAS]
    assert_allclose(found.extra["kept"][0], expected)
    held = np.sum([worth >= best[round(16 * area) - 1] for area in AREAS], axis=0) / 3
    assert_allclose(found.values[0], held)


def test_the_smallest_area_is_the_first_that_keeps_enough() -> None:
    case, worth = additive()
    rise = worth.sum()
    found = extremal_perturbation(case, remove=ZERO, areas=AREAS, cell=1, share=0.9)
    kept = found.extra["kept"]
    enough = kept >= 0.9 * rise
    assert_allclose(found.extra["area"], np.asarray(AREAS)[enough.argmax(axis=1)])


def test_an_area_that_no_mask_reaches_is_undefined_and_noted() -> None:
    weight = torch.ones((1, 4, 4), dtype=torch.float64)
    case = assay.case(
        assay.model.torch(Sum(weight).eval(), gives="values"), torch.ones(1, 1, 4, 4, dtype=torch.float64)
    )
    found = extremal_perturbation(case, remove=ZERO, areas=(0.1, 0.2), cell=1)
    assert np.isnan(found.extra["area"]).all()
    assert "area-not-reached" in [note.code for note in found.notes]


@pytest.mark.parametrize("subject", [visual, ragged, pooled])
def test_each_mask_has_its_area_and_padding_is_kept(subject: Any) -> None:
    case = subject()
    areas = (0.2, 0.5)
    found = extremal_perturbation(case, remove=ZERO, areas=areas, steps=5)
    space = MaskSpace(case)
    weights = space.weights(np.arange(len(case)))
    assert_allclose((found.values * weights).sum(axis=1), np.mean(areas))
    mask = space.decode(torch.as_tensor(found.values.copy()), np.arange(len(case))).numpy()
    index = case.features.index if case.features.per_row else np.broadcast_to(case.features.index, mask.shape)
    assert (mask[index < 0] == 1).all()


def test_a_mask_that_fools_the_removal_of_its_search_is_shown_by_the_other_one() -> None:
    """The trap: the search blackens what counts against the class, and calls the rest sufficient."""
    weight = np.ones((1, 8, 8))
    weight[:, :, 4:] = -1.0
    x = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    case = assay.case(assay.model.torch(Sum(weight).eval(), gives="values"), x)
    found = extremal_perturbation(case, remove=ZERO, areas=(0.5,), cell=1, second=assay.Constant(0.5))
    assert_allclose(found.extra["kept"], 16.0)
    assert_allclose(found.extra["kept_second"], 0.0, atol=1e-12)


@pytest.mark.parametrize("remove", [ZERO, assay.Blur(1.0), assay.Mean(np.full((2, 3, 8, 8), 0.3))])
def test_a_soft_mask_mixes_the_picture_with_its_filling(remove: Any) -> None:
    case = visual()
    soft = SoftRemoval(case, remove)
    x, other = soft.ends
    keep = np.random.default_rng(0).uniform(size=x.shape)
    which = np.array([2, 0, 1])
    mixed = torch.as_tensor(other[which] + keep * (x[which] - other[which]))
    assert_allclose(soft.value(keep, which), case.value(mixed, which))
    hard = keep > 0.5
    (version,) = case.game(remove).filling.fill(which, hard)
    assert_allclose(soft.value(hard.astype(float), which), case.value(version, which))


def test_a_removal_of_many_versions_takes_no_soft_mask() -> None:
    with pytest.raises(CapabilityError, match="a soft mask needs one filling"):
        extremal_perturbation(visual(), remove=assay.Marginal(reference_rows(visual())), steps=1)


def test_the_slope_by_a_mask_is_that_of_finite_differences() -> None:
    soft, which = SoftRemoval(visual(), ZERO), np.arange(3)
    keep = np.random.default_rng(1).uniform(0.2, 0.8, size=(3, 3, 8, 8))
    along = np.random.default_rng(2).normal(size=keep.shape)
    slope = soft.slope(torch.as_tensor(keep), which).numpy()
    rise = (soft.value(keep + 1e-5 * along, which) - soft.value(keep - 1e-5 * along, which)) / 2e-5
    assert_allclose((slope * along).sum(axis=(1, 2, 3)), rise, rtol=1e-6)


def test_bits_are_the_divergence_of_two_normal_distributions() -> None:
    for share, distance in ((0.3, 1.2), (0.9, -2.0), (0.01, 0.0)):
        mean, std = share * distance, 1 - share

        def density(z: float, mean: float = mean, std: float = std) -> float:
            log = -((z - mean) ** 2) / (2 * std**2) - np.log(std)
            return float(np.exp(log) / np.sqrt(2 * np.pi) * (log + z**2 / 2))

        expected = quad(density, mean - 12 * std, mean + 12 * std, epsabs=1e-12)[0]
        known = divergence(torch.tensor(share, dtype=torch.float64), torch.tensor(distance, dtype=torch.float64))
        assert_allclose(float(known), expected, atol=1e-8)


def test_shares_of_a_linear_loss_are_those_of_a_search_in_one_dimension() -> None:
    """Loss −w · z: each element minimises −w λ (a − μ) + β KL / n by itself."""
    generator = np.random.default_rng(0)
    a, weight = generator.normal(size=(2, 2, 2, 2)), generator.normal(size=(2, 2, 2))
    noise = Noise(np.full((2, 2, 2), 0.1), np.full((2, 2, 2), 1.5))
    options = BottleneckOptions(4.0, 800, 1, 0.2, 0.0)
    share, bits = open_shares(
        a, noise, lambda z, which: -weight * np.ones_like(z), lambda step: np.zeros((1, *a.shape)), options
    )
    for place in np.ndindex(a.shape):
        gain, distance = weight[place[1:]] * (a[place] - 0.1), (a[place] - 0.1) / 1.5

        def cost(one: float, gain: float = gain, distance: float = distance) -> float:
            nats = -np.log1p(-one) + ((1 - one) ** 2 + (one * distance) ** 2 - 1) / 2
            return float(-gain * one + 4.0 * nats / 8)

        best = minimize_scalar(cost, bounds=(0.0, 1 - 1e-9), method="bounded", options={"xatol": 1e-10})
        assert cost(float(share[place])) <= best.fun + 1e-3
    assert (bits >= -1e-12).all()


def test_a_dead_unit_has_finite_bits_by_the_floor() -> None:
    noise = Noise.of(np.zeros((5, 2, 3, 3)), 0.01)
    assert_allclose(noise.std, 0.01)
    with pytest.raises(InputError, match="floor=0"):
        Noise.of(np.zeros((5, 2, 3, 3)), 0.0)


def test_the_values_of_the_bottleneck_add_up_to_the_bits_of_the_row() -> None:
    case = visual()
    found = information_bottleneck(case, background=reference_rows(case), layer="1")
    assert_allclose(found.map().sum(axis=(1, 2, 3)), found.extra["bits"])
    assert_allclose(found.extra["map"].sum(axis=(1, 2)), found.extra["bits"])
    assert ((found.extra["probability"] > 0) & (found.extra["probability"] < 1)).all()
    assert "few-rows" in [note.code for note in found.notes]


def test_a_dearer_bit_leaves_fewer_bits() -> None:
    case = visual()
    few, many = (
        information_bottleneck(case, background=reference_rows(case), layer="1", beta=beta).extra["bits"]
        for beta in (100.0, 0.1)
    )
    assert (few < many).all()


def test_a_layer_without_maps_is_refused() -> None:
    with pytest.raises(CapabilityError, match="maps"):
        information_bottleneck(visual(), background=reference_rows(visual()), layer="4")


def test_a_mask_network_is_trained_once_and_then_costs_no_pass_but_the_report() -> None:
    case = visual()
    asked = ask(case.model, reference_rows(case), target="probability")
    network = train_mask_network(asked, ZERO, MaskTraining(2, 4, 1e-3, 2, 1.0, 1.0, 1.0, 0.3), assay.Seed(0))
    _, meter = case.output, case.model.meter
    before = meter.forwards, meter.backwards
    found = mask_generator(case, background=network, remove=ZERO)
    assert (meter.forwards - before[0], meter.backwards - before[1]) == (4 * len(case), 0)
    assert_allclose(found.extra["area"], found.map().sum(axis=1).mean(axis=(1, 2)))


def test_a_mask_network_learns_where_the_classes_differ() -> None:
    """Two classes that differ in the left half: the mask keeps it more than the right half."""
    x, net = halves()
    case = assay.case(assay.model.torch(net, gives="logits"), x[:20])
    options = {"background": x, "remove": ZERO, "epochs": 15, "batch": 8, "rate": 1e-2, "roughness": 0.1}
    mask = mask_generator(case, **options, area=2.0).map()[:, 0]
    assert mask[:, :, :4].mean() > 5 * mask[:, :, 4:].mean()
    nothing = mask_generator(case, **options, area=50.0)
    assert "empty-mask" in [note.code for note in nothing.notes]


def halves() -> tuple[np.ndarray, Any]:
    """Pictures of ±1 and noise in the left half, noise in the right one, and a net that reads the left half."""
    x = 0.3 * np.random.default_rng(0).normal(size=(60, 1, 8, 8))
    x[:, :, :, :4] += np.where(np.arange(60) % 2 == 0, 1.0, -1.0)[:, None, None, None]
    weight = torch.zeros(2, 1, 8, 8)
    weight[0, :, :, :4], weight[1, :, :, :4] = 0.1, -0.1
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(weight.flatten(1))
    return x.astype(np.float32), net.eval()


def test_a_class_that_no_training_picture_has_is_noted() -> None:
    case = visual()
    predicted = int(ask(case.model, reference_rows(case)[:1]).label[0])
    other = case.with_target(label=(predicted + 1) % 3)
    found = mask_generator(other, background=reference_rows(case)[:1], remove=ZERO, epochs=1)
    assert "unseen-class" in [note.code for note in found.notes]


def test_the_top_area_is_that_share_of_the_picture() -> None:
    values = np.random.default_rng(0).normal(size=(3, 5, 8))
    keep = top_area(values, 0.25)
    assert_allclose(keep.mean(axis=(1, 2)), 0.25)
    assert (
        np.where(keep > 0, values, np.inf).min(axis=(1, 2)) > np.where(keep > 0, -np.inf, values).max(axis=(1, 2))
    ).all()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (extremal_perturbation, {"areas": ()}),
        (extremal_perturbation, {"areas": (0.2, 0.1)}),
        (extremal_perturbation, {"share": 0.0}),
        (extremal_perturbation, {"growth": 0.5}),
        (extremal_perturbation, {"steps": 0}),
        (information_bottleneck, {"area": 0.0}),
        (information_bottleneck, {"beta": 0.0}),
        (information_bottleneck, {"sigma": -1.0}),
        (mask_generator, {"epochs": 0}),
        (mask_generator, {"removed": -1.0}),
    ],
)
def test_options_that_mean_nothing_get_a_typed_error(method: Any, options: Any) -> None:
    case = visual()
    given = {} if method is extremal_perturbation else {"background": reference_rows(case)}
    with pytest.raises(InputError):
        method(case, **given, **options)
