"""Score-CAM."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import visual
from tests.oracles import maps

import assay
from assay.basics.errors import InputError
from assay.explain import score_cam


def slowly(picture: np.ndarray, label: int, start: float) -> np.ndarray:
    """The paper's algorithm 1 for one picture."""
    active, scores = maps.activations(picture), []
    for k in range(2):
        large = maps.bilinear(active[k], 4, 4)
        mask = (large - large.min()) / (large.max() - large.min())
        rise = maps.logits(picture * mask + start * (1 - mask))[label] - maps.logits(np.full((1, 4, 4), start))[label]
        scores.append(rise)
    weights = [math.exp(s) / sum(map(math.exp, scores)) for s in scores]
    return np.asarray(weights[0] * active[0] + weights[1] * active[1])


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_papers_algorithm(label: int, start: float) -> None:
    found = score_cam(maps.handmade(label=label), start=start)
    slow = np.stack([slowly(picture, label, start) for picture in maps.PICTURES])
    assert_allclose(found.extra["map"], slow, atol=1e-12)
    assert_allclose(found.map()[:, 0], [maps.bilinear(one, 4, 4) for one in slow], atol=1e-12)


@pytest.mark.parametrize("size", [(4, 7), (6, 3)])
def test_on_an_oblong_picture_each_mask_has_its_height_and_width(size: tuple[int, int]) -> None:
    net = torch.nn.Sequential(maps.net(pooled=True)[0], torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    picture = torch.as_tensor(np.random.default_rng(3).uniform(0.0, 1.0, (1, 1, *size)))
    net[3].to(torch.float64)
    with torch.no_grad():
        net(picture)
        net[3].weight.copy_(torch.as_tensor(np.random.default_rng(5).normal(size=net[3].weight.shape)))
        active = net[1](net[0](picture))[0].numpy()
        scores = []
        for channel in active:
            large = maps.bilinear(channel, *size)
            scores.append(net(picture * torch.as_tensor((large - large.min()) / np.ptp(large)))[0, 1].item())
    weights = np.exp(scores) / np.exp(scores).sum()
    found = score_cam(assay.case(assay.wrap(net.eval()), picture, label=1), layer="1")
    assert_allclose(found.extra["map"][0], weights[0] * active[0] + weights[1] * active[1], atol=1e-12)


def test_a_constant_channel_has_weight_0() -> None:
    net = maps.net(pooled=False)
    with torch.no_grad():
        net[0].weight[1] = 0.0
    case = assay.case(assay.wrap(net), torch.as_tensor(maps.PICTURES), label=0)
    active = np.stack([maps.activations(picture)[0] for picture in maps.PICTURES])
    assert_allclose(score_cam(case).extra["map"], active, atol=1e-12)
    with torch.no_grad():
        net[0].weight[0] = 0.0
    empty = score_cam(assay.case(assay.wrap(net), torch.as_tensor(maps.PICTURES), label=0))
    assert not empty.values.any()
    assert "empty" in [note.code for note in empty.notes]


def test_fewer_channels_are_the_most_active_with_a_note() -> None:
    case = maps.handmade()
    found = score_cam(case, channels=1)
    active = np.stack([maps.activations(picture) for picture in maps.PICTURES])
    best = active.mean(axis=(2, 3)).argmax(axis=1)
    assert_allclose(found.extra["map"], active[np.arange(3), best], atol=1e-12)
    assert [note.text for note in found.notes if note.code == "channels"] == [
        "each row uses its 1 most active of 2 channels"
    ]
    assert "channels" not in [note.code for note in score_cam(case, channels=2).notes]
    assert found.provenance.cost == {"forwards": 1 + 3 + 3}
    with pytest.raises(InputError, match="channels=0"):
        score_cam(case, channels=0)


def test_it_costs_one_pass_a_channel() -> None:
    assert score_cam(visual(), layer="1").provenance.cost == {"forwards": 3 * (4 + 1)}
