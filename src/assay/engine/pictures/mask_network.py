# SPDX-License-Identifier: Apache-2.0
"""A network that makes masks in one forward pass, trained once for a model (Dabkowski and Gal 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.pictures.soft_masks import SoftRemoval
from assay.nouns.inputs.rows import to_floats

TINY = 1e-6
"""Added to probabilities under a logarithm or a power below 1."""


@dataclass(frozen=True)
class MaskTraining:
    """``epochs`` of Adam at ``rate`` in batches of ``batch`` rows; weights of the four terms of the loss.

    The loss of a mask m is ``roughness`` · mean |difference of neighbours| + ``area`` · mean(m) − log p(kept)
    + ``removed`` · p(removed)^``power``.
    """

    epochs: int
    batch: int
    rate: float
    width: int
    roughness: float
    area: float
    removed: float
    power: float

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.width) < 1 or not self.rate > 0 or not self.power > 0:
            raise InputError(
                f"epochs={self.epochs}, batch={self.batch}, width={self.width}, rate={self.rate}, power={self.power}; "
                f"needed are epochs, batch and width ≥ 1, rate > 0 and power > 0."
            )
        if min(self.roughness, self.area, self.removed) < 0:
            raise InputError("the weights roughness, area and removed may not be below 0.")


@dataclass(frozen=True, eq=False)
class MaskNetwork:
    """A trained network: pictures and classes to masks (row, height, width) in 0 … 1. ``classes`` are those it saw."""

    net: Any
    mean: Floats
    std: Floats
    classes: Ints

    def masks(self, x: Floats, labels: Ints) -> Floats:
        """The masks of pictures for their classes; one pass of the network and none of the model."""
        import torch

        with torch.no_grad():
            scaled = torch.as_tensor((x - self.mean) / self.std, dtype=torch.float32)
            found = [self.net(one[None], torch.as_tensor([int(label)])) for one, label in zip(scaled, labels)]
        return to_floats(torch.cat(found))


def train_mask_network(case: Case, remove: Removal, options: MaskTraining, seed: Seed) -> MaskNetwork:
    """Train on the rows of a case, each for its own class; two passes with gradient of each row in each epoch."""
    import torch

    x, removal = to_floats(case.rows.x), SoftRemoval(case, remove)
    mean, std = x.mean(axis=(0, 2, 3), keepdims=True)[0], x.std(axis=(0, 2, 3), keepdims=True)[0] + 1e-12
    classes = max(len(case.model.classes), int(case.label.max()) + 1, case.prediction.shape[1])
    with torch.random.fork_rng(devices=[]):
        net = _with_weights(_network(x.shape[1], classes, options.width), seed.child("weights"))
    adam = torch.optim.Adam(net.parameters(), lr=options.rate)
    scaled = torch.as_tensor((x - mean) / std, dtype=torch.float32)
    labels = torch.as_tensor(np.asarray(case.label))
    for epoch in range(options.epochs):
        order = seed.child("order", epoch).generator().permutation(len(x))
        for start in range(0, len(x), options.batch):
            which = order[start : start + options.batch]
            with torch.enable_grad():
                mask = net(scaled[which], labels[which])
                whole = mask[:, None].double().expand(-1, *x.shape[1:])
                loss = _loss(whole, mask.double(), removal, which, options)
                adam.zero_grad()
                loss.backward()
            adam.step()
    return MaskNetwork(net.eval().requires_grad_(False), mean, std, np.unique(case.label))


def _loss(whole: Any, mask: Any, removal: SoftRemoval, which: Ints, options: MaskTraining) -> Any:
    """A scalar whose derivative by the mask is that of the loss, averaged over rows."""
    import torch

    keep = whole.detach()
    kept, gone = (torch.as_tensor(removal.value(to_floats(one), which)) for one in (keep, 1 - keep))
    up, down = removal.slope(keep, which), removal.slope(1 - keep, which)
    wide = (-1,) + (1,) * (whole.ndim - 1)
    by_kept = -up / (kept + TINY).reshape(wide)
    by_gone = -down * (options.removed * options.power * (gone + TINY) ** (options.power - 1)).reshape(wide)
    rough = (mask[:, 1:] - mask[:, :-1]).abs().mean() + (mask[:, :, 1:] - mask[:, :, :-1]).abs().mean()
    return (whole * (by_kept + by_gone)).sum() / len(which) + options.roughness * rough + options.area * mask.mean()


def _network(channels: int, classes: int, width: int) -> Any:
    """A small U-Net whose middle is multiplied by a vector of the class."""
    import torch

    def active(x: Any) -> Any:
        return torch.nn.functional.leaky_relu(x, 0.1)  # a rectifier that dies leaves one mask for all pictures

    class Network(torch.nn.Module):
        """Two halvings down, two doublings up, with skips."""

        def __init__(self) -> None:
            super().__init__()
            conv = torch.nn.Conv2d
            self.one, self.two, self.three = (
                conv(channels, width, 3, padding=1),
                conv(width, 2 * width, 3, padding=1, stride=2),
                conv(2 * width, 4 * width, 3, padding=1, stride=2),
            )
            self.of_class = torch.nn.Embedding(classes, 4 * width)
            self.up_two, self.up_one = (
                conv(6 * width, 2 * width, 3, padding=1),
                conv(3 * width, width, 3, padding=1),
            )
            self.last = conv(width, 1, 3, padding=1)

        def forward(self, x: Any, label: Any) -> Any:
            """Masks (row, height, width)."""
            one = active(self.one(x))
            two = active(self.two(one))
            three = active(self.three(two)) * (1 + self.of_class(label))[:, :, None, None]
            up = active(self.up_two(torch.cat([_resized(three, two), two], dim=1)))
            up = active(self.up_one(torch.cat([_resized(up, one), one], dim=1)))
            return torch.sigmoid(self.last(up))[:, 0]

    return Network()


def _with_weights(net: Any, seed: Seed) -> Any:
    """The network with weights from a stream of its own: normal, of variance 1 / (3 inputs); biases 0."""
    import torch

    stream = seed.torch()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim == 4:
                weight.normal_(0.0, (3 * weight[0].numel()) ** -0.5, generator=stream)
            else:
                weight.normal_(0.0, float(weight.ndim == 2), generator=stream)
    return net


def _resized(x: Any, like: Any) -> Any:
    import torch

    return torch.nn.functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
