"""The nets of ``bench/shift_study.py``: trained side by side as torch trains them one by one."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from bench.shift_study import BATCH, INF, LAYERS, RATE, WIDTH, Activation, trained
from numpy.testing import assert_allclose
from torch import nn

from assay.basics.seed import Seed


@pytest.mark.judge
@pytest.mark.parametrize("sharpness", [INF, 5.0])
def test_nets_trained_side_by_side_are_those_of_torch(sharpness: float) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, 300, 6)).astype(np.float32)
    y = (x[0, :, 0] > 0).astype(np.int64)
    seeds, decays, activation = [Seed(1), Seed(2)], [0.0, 0.1], Activation(sharpness)
    found = trained(list(x), y, seeds, decays, activation, epochs=2)
    for rows, seed, decay, net in zip(x, seeds, decays, found):
        start, order = seed.child("start").generator(), seed.child("order").generator()
        sizes = [6, *[WIDTH] * LAYERS, 2]
        layers: list[nn.Module] = []
        for into, out in pairwise(sizes):
            linear = nn.Linear(into, out)
            linear.weight.data = torch.tensor(start.uniform(-1, 1, (into, out)).T / np.sqrt(into), dtype=torch.float32)
            linear.bias.data = torch.tensor(start.uniform(-1, 1, out) / np.sqrt(into), dtype=torch.float32)
            layers += [linear, activation.module()]
        plain = nn.Sequential(*layers[:-1])
        step = torch.optim.SGD(plain.parameters(), lr=RATE, weight_decay=decay)
        for _ in range(2):
            for batch in torch.tensor(order.permutation(300)).split(BATCH):
                step.zero_grad()
                nn.functional.cross_entropy(plain(torch.tensor(rows)[batch]), torch.tensor(y)[batch]).backward()
                step.step()
        with torch.no_grad():
            assert_allclose(net(torch.tensor(rows)), plain(torch.tensor(rows)), atol=1e-4)
