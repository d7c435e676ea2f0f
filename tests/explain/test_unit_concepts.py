"""Network dissection: a planted mask, limits and overlaps by brute force, the null, order of rows, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.concepts.dissection import overlap

SIZE = 6


class Read(torch.nn.Module):
    """A net whose layer "body" gives the input, every second position of it, or one number a unit."""

    def __init__(self, how: str = "maps") -> None:
        super().__init__()
        self.body = torch.nn.AvgPool2d(2) if how == "small" else torch.nn.Identity()
        self.scale = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.body(x).flatten(1).sum(dim=1, keepdim=True)


def asked(x: np.ndarray, how: str = "maps", **more: Any) -> assay.Case:
    return assay.case(assay.model.torch(Read(how).double().eval(), gives="values"), x, **more)


def masks_of(count: int, seed: int, size: int = SIZE) -> np.ndarray:
    """A quarter of each row's positions, at random places."""
    rng = np.random.default_rng(seed)
    flat = np.stack([rng.permutation(size * size) < size * size // 4 for _ in range(count)])
    return flat.reshape(count, size, size)


def planted(count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Rows (row, 3, 6, 6) whose unit 1 is high where the mask is true, and nothing else anywhere."""
    mask = masks_of(count, 1)
    x = np.random.default_rng(2).uniform(0, 0.1, (count, 3, SIZE, SIZE))
    x[:, 1] += mask
    return x, mask


def test_a_unit_whose_map_is_a_mask_overlaps_it_wholly_and_beats_every_shuffle() -> None:
    x, mask = planted()
    found = explain.unit_concepts(
        asked(x), masks={"other": masks_of(20, 9), "planted": mask}, reference=x, layer="body", share=0.25
    )
    chance = (mask & masks_of(20, 9)).sum() / (mask | masks_of(20, 9)).sum()
    np.testing.assert_allclose(found.extra["iou"][1], [chance, 1.0])
    assert found.extra["best"][1] == 1
    assert found.extra["p"][1] == 0.01
    assert found.extra["p_holm"][1] == pytest.approx(0.03)
    assert found.extra["p"][[0, 2]].min() > 0.01
    np.testing.assert_allclose(found.values[:, 1], 0.25)
    assert found.description[1].startswith("channel 1: planted, IoU 1.000")
    assert found.description[0].endswith("p at least 0.01")


@pytest.mark.parametrize("how", ["maps", "small"])
def test_limits_and_overlaps_are_those_of_loops(how: str) -> None:
    rng = np.random.default_rng(3)
    x, reference = rng.normal(size=(7, 2, SIZE, SIZE)), rng.normal(size=(11, 2, SIZE, SIZE))
    given = {"a": masks_of(7, 4), "b": masks_of(7, 5)}
    found = explain.unit_concepts(asked(x, how), masks=given, reference=reference, layer="body", share=0.2, shuffles=3)
    with torch.no_grad():
        body = Read(how).body
        own, known = body(torch.as_tensor(x)), body(torch.as_tensor(reference))
        large = torch.nn.functional.interpolate(own, size=(SIZE, SIZE), mode="bilinear", align_corners=False).numpy()
    for unit in range(2):
        values = sorted(known[:, unit].flatten().tolist())
        place = 0.8 * (len(values) - 1)
        low = int(place)
        limit = values[low] + (place - low) * (values[low + 1] - values[low])
        for concept, mask in enumerate(given.values()):
            both = either = 0
            for row in range(7):
                for i in range(SIZE):
                    for j in range(SIZE):
                        on = large[row, unit, i, j] > limit
                        both += int(on and mask[row, i, j])
                        either += int(on or mask[row, i, j])
            assert found.extra["iou"][unit, concept] == pytest.approx(both / either, abs=1e-12)
        np.testing.assert_allclose(found.values[:, unit], (large[:, unit] > limit).mean(axis=(1, 2)), atol=1e-12)


def test_of_a_layer_without_positions_a_concept_is_a_truth_value_a_row() -> None:
    x = np.random.default_rng(6).normal(size=(40, 4))
    shown = x[:, 2] > np.quantile(x[:, 2], 0.7)
    found = explain.unit_concepts(asked(x), masks={"shown": shown}, reference=x, layer="body", share=0.3)
    assert found.extra["iou"][2, 0] == 1.0
    assert found.extra["p_holm"][2] == pytest.approx(0.04)


def test_units_that_have_nothing_to_do_with_the_masks_get_uniform_p_values() -> None:
    found = []
    for seed in range(60):  # units of one case share masks and shuffles
        units = np.random.default_rng(seed).normal(size=(12, 10, 8, 8))
        masks = np.stack([masks_of(12, 50 + seed, 8), masks_of(12, 170 + seed, 8)])
        found.append(overlap(asked(units).from_layer("body"), np.full(10, 0.7), masks, 19, Seed(seed)).p)
    p = np.concatenate(found)
    assert 0.028 <= (p <= 0.05).mean() <= 0.075  # the 99 % binomial interval of 600
    assert abs(p.mean() - 0.525) < 0.04  # of the numbers 1/20 … 1; ties make it larger


def test_masks_at_the_same_place_in_all_rows_cannot_beat_chance() -> None:
    x, _ = planted()
    place = np.broadcast_to(masks_of(1, 7), (20, SIZE, SIZE))
    x[:, 0] += place
    found = explain.unit_concepts(asked(x), masks={"place": place}, reference=x, layer="body", share=0.25)
    assert found.extra["iou"][0, 0] == 1.0
    assert found.extra["p"][0] == 1.0
    assert found.extra["chance"][0] == 1.0


def test_the_order_and_ids_of_rows_change_no_byte() -> None:
    rng = np.random.default_rng(8)
    x, reference, mask = rng.normal(size=(15, 3, 4, 4)), rng.normal(size=(30, 3, 4, 4)), masks_of(15, 2, 4)
    order, mixed = rng.permutation(15), rng.permutation(30)
    options: dict[str, Any] = {"layer": "body", "share": 0.3, "shuffles": 49}
    one = explain.unit_concepts(asked(x), masks={"m": mask}, reference=reference, **options)
    two = explain.unit_concepts(
        asked(x[order], ids=[f"r{i}" for i in order]), masks={"m": mask[order]}, reference=reference[mixed], **options
    )
    assert one.values[order].tobytes() == two.values.tobytes()
    for name in ("iou", "p", "p_holm", "chance", "best"):
        assert one.extra[name].tobytes() == two.extra[name].tobytes()


def test_masks_that_do_not_fit_are_refused_by_name() -> None:
    x, mask = planted(6)
    call: Any = explain.unit_concepts

    def refused(masks: Any, match: str, how: str = "maps", **more: Any) -> None:
        with pytest.raises(InputError, match=match):
            call(asked(x, how), masks=masks, reference=x, layer="body", **more)

    refused({}, "give {concept: masks}")
    refused(mask, "give {concept: masks}")
    refused({"m": mask[:5]}, r"shapes \[\(5, 6, 6\)\]; all need one shape \(6 rows")
    refused({"m": mask, "n": mask[:, :3]}, "all need one shape")
    refused({"m": mask[:, 0]}, "the layer has positions")
    refused({"m": mask * 2}, "'m' hold other values than 0 and 1")
    refused({"m": mask}, "share=0", share=0.0)
    refused({"m": mask}, "shuffles=0", shuffles=0)
    with pytest.raises(InputError, match="reference have rows of shape"):
        call(asked(x), masks={"m": mask}, reference=x[:, :, :3], layer="body")
    with pytest.raises(InputError, match="the layer has none"):
        call(asked(x[:, :, 0, 0]), masks={"m": mask}, reference=x[:, :, 0, 0], layer="body")
    function = assay.case(assay.model.function(lambda x: x.sum(axis=(1, 2, 3)), fingerprint="sum"), x)
    with pytest.raises(CapabilityError):
        call(function, masks={"m": mask}, reference=x)
