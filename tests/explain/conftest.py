"""Two real models, trained once: a forest on breast cancer, a small net on digits; and a fixed smooth net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier

import assay
from assay.cases.case import Case


@pytest.fixture(scope="session")
def forest() -> tuple[Any, Any]:
    """A forest on ten columns of breast cancer, and the columns."""
    data = load_breast_cancer()
    x = data.data[:, :10]
    return RandomForestClassifier(20, max_depth=5, random_state=0, n_jobs=1).fit(x, data.target), x


@pytest.fixture
def tissue(forest: tuple[Any, Any]) -> Callable[..., Case]:
    """A case about some rows of the forest."""
    model, x = forest
    return lambda rows=4, **options: assay.case(assay.wrap(model), x[:rows], label=1, **options)


@pytest.fixture(scope="session")
def reader() -> torch.nn.Module:
    """A net that reads digits of 8 × 8 pixels."""
    data = load_digits()
    x = torch.as_tensor(data.images / 16.0, dtype=torch.float32)[:, None]
    y = torch.as_tensor(data.target)
    generator = torch.Generator().manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    return net.eval()


@pytest.fixture
def digits(reader: torch.nn.Module) -> Callable[..., Case]:
    """A case about some digits, cut into sixteen patches of 2 × 2 by default."""
    images = (load_digits().images / 16.0).astype(np.float32)[:, None]
    cut = assay.grid((1, 8, 8), 2)
    return lambda rows=3, features=cut, **options: assay.case(
        assay.wrap(reader), torch.as_tensor(images[:rows]), features=features, **options
    )


@pytest.fixture
def tanh_case() -> Case:
    """Three rows put to a smooth net in double precision."""
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    x = torch.randn((3, 5), generator=generator, dtype=torch.float64)
    return assay.case(assay.wrap(net), x, label=1)
