"""Influence-directed explanations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from tests.contract.subjects import ROWS, neural, visual

import assay
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import cost_of
from assay.engine.gradients.distributions import Line
from assay.explain import influential_units, internal_influence
from assay.nouns.catalogue import Cost


def slowly(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Hidden activations and the gradient of the logit there, of Linear–Tanh–Linear."""
    first, last = case.model.net[0], case.model.net[2]
    active = np.tanh(np.asarray(case.rows.x) @ first.weight.numpy().T + first.bias.numpy())
    return active, np.tile(last.weight.numpy()[1], (len(case), 1))


def test_values_are_the_internal_influence_and_the_order_is_that_of_their_means() -> None:
    case = neural()
    found = influential_units(case)
    _, slope = slowly(case)
    assert_allclose(found.values, slope, atol=1e-12)
    assert_allclose(found.extra["order"], np.argsort(-slope.mean(axis=0)))
    assert found.features.names == tuple(f"unit {i}" for i in range(6))
    assert [note.text for note in found.notes] == ["layer '1' is used; layer=… selects another"]


def test_over_a_line_values_are_the_mean_along_it() -> None:
    case = visual()
    found, inner = influential_units(case, over=Line(0.2)), internal_influence(case, layer="1", over=Line(0.2))
    assert_allclose(found.values, inner.values, atol=1e-12)
    assert_allclose(found.map(), inner.map(), atol=1e-12)


def test_units_are_kept_and_removed_by_setting_the_others_to_zero() -> None:
    case = neural()
    found = influential_units(case, top=3)
    active, slope = slowly(case)
    bias = float(case.model.net[2].bias[1])
    order = found.extra["order"].astype(int)
    for k in range(4):
        kept = (active * slope)[:, order[:k]].sum(axis=1)
        assert_allclose(found.extra["kept"][:, k], kept + bias, atol=1e-12)
        assert_allclose(found.extra["removed"][:, k], case.output - kept, atol=1e-12)
        share = kept.mean() / (case.output - bias).mean()
        assert_allclose(found.extra["share_kept"][k], share, atol=1e-12)
        assert_allclose(found.extra["share_removed"][k], 1 - share, atol=1e-12)
    assert found.extra["share_kept_interval"].shape == (4, 2)


def test_all_units_have_share_1() -> None:
    found = influential_units(neural(), top=50, regions=50)
    assert found.extra["kept"].shape == (3, 7)
    assert_allclose(found.extra["share_kept"][[0, 6]], [0.0, 1.0], atol=1e-12)
    assert_allclose(found.extra["share_removed"][[0, 6]], [1.0, 0.0], atol=1e-12)
    assert found.extra["regions"].shape == (6, 3, 4)


def test_regions_are_the_influence_of_the_input_on_a_unit() -> None:
    case = neural()
    found = influential_units(case, regions=2)
    first = case.model.net[0]
    active, _ = slowly(case)
    for place, unit in enumerate(found.extra["order"][:2].astype(int)):
        slow = (1 - active[:, unit] ** 2)[:, None] * first.weight.numpy()[unit]
        assert_allclose(found.extra["regions"][place], slow, atol=1e-12)


def test_over_a_line_regions_are_the_mean_gradient_of_the_unit_along_it() -> None:
    case, start = neural(), 0.2
    found = influential_units(case, over=Line(start), regions=2)
    weight, bias = (one.numpy(force=True) for one in (case.model.net[0].weight, case.model.net[0].bias))
    x = np.asarray(case.rows.x)
    for place, unit in enumerate(found.extra["order"][:2].astype(int)):
        first, last = (z @ weight[unit] + bias[unit] for z in (np.full_like(x, start), x))
        mean_slope = (np.tanh(last) - np.tanh(first)) / (last - first)  # of tanh between the two
        assert_allclose(found.extra["regions"][place], mean_slope[:, None] * weight[unit], atol=1e-10)


def test_of_maps_a_unit_is_a_channel_and_its_region_that_of_its_mean() -> None:
    case = visual()
    found = influential_units(case, regions=1)
    assert found.values.shape == (3, 4)
    best = int(found.extra["order"][0])
    requested = case.with_target(assay.unit("1", best))
    assert_allclose(found.extra["regions"][0], np.asarray(requested.gradient(case.rows.x)), atol=1e-12)


def test_beyond_maps_a_unit_is_a_place_on_the_last_axis_and_its_region_that_of_its_mean() -> None:
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 24), torch.nn.Unflatten(1, (2, 2, 2, 3)), torch.nn.Flatten(), torch.nn.Linear(24, 2)
    )
    case = assay.case(assay.wrap(filled(net.double(), 4)), torch.as_tensor(ROWS), label=0)
    found = influential_units(case, layer="1", regions=3)
    assert found.features.names == ("unit 0", "unit 1", "unit 2")
    of_unit = net[0].weight.numpy(force=True).reshape(8, 3, 4).mean(axis=0)
    for place, unit in enumerate(found.extra["order"].astype(int)):
        assert_allclose(found.extra["regions"][place], np.tile(of_unit[unit], (3, 1)), atol=1e-12)


def test_the_ranking_depends_on_all_rows_and_values_on_one() -> None:
    case = neural()
    everyone, alone = influential_units(case), influential_units(case.take([1]))
    assert_allclose(alone.values, everyone.values[[1]], atol=1e-12)
    assert np.isnan(alone.extra["share_kept_interval"]).all()  # one row has no interval


def test_a_layer_without_effect_has_undefined_shares() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[2].weight.zero_()
    found = influential_units(assay.case(assay.wrap(net), torch.as_tensor(ROWS), label=0))
    assert np.isnan(found.extra["share_kept"]).all()
    assert "undefined-share" in [note.code for note in found.notes]


def test_shares_of_a_trained_net_add_up_and_have_intervals(digits: Callable[..., Case]) -> None:
    found = influential_units(digits(rows=12), top=10, regions=0)
    assert "regions" not in found.extra
    kept, removed = found.extra["share_kept"], found.extra["share_removed"]
    assert_allclose(kept + removed, 1.0, atol=1e-5)  # the logit is linear in the last hidden units
    low, high = found.extra["share_kept_interval"][10]
    assert low < kept[10] < high
    assert kept[10] > 0.1


@pytest.mark.parametrize(("top", "regions"), [(3, 0), (2, 3), (10, 3), (50, 50)])
def test_the_cost_is_the_influence_two_passes_each_ablation_and_the_regions(top: int, regions: int) -> None:
    case, options = neural(), {"layer": "1", "top": top, "regions": regions}
    units, rows = 6, 3
    kept = [[unit < k for unit in range(units)] for k in range(min(top, units) + 1)]
    ablations = {tuple(mask) for mask in kept} | {tuple(not one for one in mask) for mask in kept}
    ablations -= {(True,) * units}  # the row itself
    influence = 1 + min(regions, units)  # of the target, and of each unit that gets a region
    cost = cost_of(influential_units.method, case, options)
    assert cost == Cost(rows * (influence + 2 + len(ablations)), rows * influence)
    _ = case.output  # known before
    used = influential_units(case, **options).provenance.cost
    assert used == {"forwards": cost.forwards, "backwards": cost.backwards}


def test_with_no_top_units_only_the_output_without_any_and_with_all_is_told() -> None:
    case = neural()
    found = influential_units(case, top=0)
    assert_allclose(found.extra["kept"], np.full((3, 1), float(case.model.net[2].bias[1])), atol=1e-12)
    assert_allclose(found.extra["removed"], case.output[:, None], atol=1e-12)
    assert_allclose([found.extra["share_kept"], found.extra["share_removed"]], [[0.0], [1.0]])


def test_invalid_options_are_refused() -> None:
    with pytest.raises(InputError, match="top=-1"):
        influential_units(neural(), top=-1)
    with pytest.raises(InputError, match="regions=-1"):
        influential_units(neural(), regions=-1)


WIDTH = 4


class Turned(torch.nn.Module):
    """A convolution, whose rectified output has its channels first or last, and a head that reads every position."""

    def __init__(self, positions: int, last: bool) -> None:
        super().__init__()
        kind = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[positions]
        self.conv, self.act, self.last = kind(2, WIDTH, 3, padding=1), torch.nn.ReLU(), last
        self.head = torch.nn.Linear(WIDTH * 6**positions, 2)
        filled(self.double(), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x)
        h = self.act(h.movedim(1, -1)).movedim(-1, 1) if self.last else self.act(h)
        return self.head(h.flatten(1))


def turned(positions: int, last: bool) -> Case:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn((3, 2, *(6,) * positions), generator=generator, dtype=torch.float64)
    return assay.case(assay.wrap(Turned(positions, last)), x, label=1)


@pytest.mark.parametrize("positions", [1, 2, 3])
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_a_unit_is_a_channel_wherever_the_layer_has_its_channels(positions: int, last: bool) -> None:
    case = turned(positions, last)
    active = case.model.net.act(case.model.net.conv(case.rows.x)).numpy(force=True)
    found = influential_units(case, layer="act", regions=WIDTH)
    slope = case.model.net.head.weight[1].numpy(force=True).reshape(1, WIDTH, -1).sum(axis=2)
    assert_allclose(found.values, np.tile(slope, (3, 1)), atol=1e-12)
    kind = "unit" if last and positions != 2 else "channel"
    assert found.features.names == tuple(f"{kind} {i}" for i in range(WIDTH))
    first = influential_units(turned(positions, last=False), layer="act", regions=WIDTH)
    assert found.provenance.cost == first.provenance.cost
    for place, unit in enumerate(found.extra["order"].astype(int)):
        target = assay.unit("act", unit)
        mean = active[:, unit].reshape(3, -1).mean(axis=1)
        assert_allclose(case.with_target(target).output, mean, atol=1e-12)
        asked = assay.case(case.model, case.rows.x, target=target)
        assert_allclose(asked.output, mean, atol=1e-12)
        assert asked.with_target(target).target is asked.target
        assert_allclose(found.extra["regions"][place], np.asarray(asked.gradient(case.rows.x)), atol=1e-12)
    with pytest.raises(InputError, match=r"the model has 4 unit\(s\)"):
        case.with_target(assay.unit("act", WIDTH))
    layer = case.from_layer("act")
    assert len(layer.features) == WIDTH
    assert_allclose(layer.features.pool(layer.rows.x.numpy()), active.reshape(3, WIDTH, -1).sum(axis=2), atol=1e-12)


def test_tokens_keep_their_dimensions_as_units() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(21, 2))
    case = assay.case(assay.wrap(filled(net.double(), 4)), torch.ones(2, 3, 5, dtype=torch.float64), label=0)
    assert case.from_layer("1").features.names == tuple(f"unit {i}" for i in range(7))
    expected = net[:2](case.rows.x).mean(dim=1)[:, 6].numpy(force=True)
    assert_allclose(case.with_target(assay.unit("1", 6)).output, expected, atol=1e-12)


def test_embedded_words_and_places_have_their_dimensions_as_units() -> None:
    class Placed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places, self.act, self.head = torch.nn.Embedding(3, 5), torch.nn.Tanh(), torch.nn.Linear(15, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.act(x + self.places(torch.arange(3))).flatten(1))

    case = assay.case(assay.wrap(filled(Placed().double(), 4)), torch.ones(2, 3, 5, dtype=torch.float64), label=0)
    assert case.from_layer("act").features.names == tuple(f"unit {i}" for i in range(5))
    assert len(influential_units(case, layer="act").features) == 5
