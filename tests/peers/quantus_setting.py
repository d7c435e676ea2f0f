"""Quantus as it can be loaded here, and a net and pictures to put to it and to assay alike."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay.cases.case import Case

ABSENT = ("zennit", "tensorflow", "tf_explain")
"""What Quantus imports if it is found; zennit then asks for torchvision, which is not installed."""

SIDE, CLASSES = 12, 5


@cache
def loaded() -> Any:
    """The package, without the explainers of other libraries; the test is skipped where it is not installed."""
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name in ABSENT else found(name, *rest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pytest.importorskip("quantus", reason="Quantus is not installed (make peers)", exc_type=ImportError)
    finally:
        importlib.util.find_spec = found


def mended(what: str) -> None:
    pytest.skip(f"Quantus {version('quantus')} has been mended: {what}")


class Net(torch.nn.Module):
    """A small smooth convolutional net that counts in float64 whatever it is given. No unit is ever exactly 0."""

    def __init__(self, channels: int = 1, side: int = SIDE) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first = torch.nn.Conv2d(channels, 4, 3, padding=1)
            self.bend = torch.nn.Tanh()
            self.second = torch.nn.Conv2d(4, 6, 3, stride=2, padding=1)
            self.head = torch.nn.Linear(6 * (side // 2) ** 2, CLASSES)
        for parameter in self.parameters():
            parameter.data *= 2.0
        self.double().eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.second(self.bend(self.first(x.double()))))
        return self.head(x.flatten(1))


def pictures(rows: int = 4, channels: int = 1, side: int = SIDE) -> torch.Tensor:
    """Positive pixels that float32 holds exactly, in float64: Quantus hands its inputs on in float32."""
    drawn = np.random.default_rng(0).uniform(0.1, 1.0, (rows, channels, side, side))
    return torch.as_tensor(drawn.astype(np.float32).astype(np.float64))


def asked(rows: int = 4, channels: int = 1, **options: Any) -> tuple[torch.nn.Module, Case]:
    """The net, and the question about its predicted classes."""
    net = Net(channels)
    return net, assay.case(assay.wrap(net), pictures(rows, channels), **options)


def theirs(metric: Any, net: torch.nn.Module, case: Case, values: Any, **options: Any) -> Any:
    """What Quantus' metric says of attributions (row, …) to the rows of the case."""
    x = case.rows.x.numpy()
    given = None if values is None else np.array(values, dtype=float).reshape(x.shape)
    options = {"channel_first": True, "softmax": False, "device": "cpu", **options}
    return metric(model=net, x_batch=x.copy(), y_batch=case.label.copy(), a_batch=given, **options)


def gradient(model: torch.nn.Module, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
    """Quantus' explainer: the derivative of the target's logit."""
    x = torch.as_tensor(inputs, dtype=torch.float64).detach().clone().requires_grad_()
    out = model(x)[torch.arange(len(x)), torch.as_tensor(np.asarray(targets))]
    return torch.autograd.grad(out.sum(), x)[0].numpy()


def fed(inputs: Iterable[Any]) -> Callable[..., np.ndarray]:
    """A perturbation that gives these inputs, one after another, whatever it is asked."""
    left = iter(inputs)

    def give(arr: Any, **_: Any) -> np.ndarray:
        return np.array(next(left)).reshape(arr.shape)

    return give


@contextmanager
def kept_rng() -> Iterator[None]:
    """Global generators come back as they were: several metrics seed them anew."""
    state, torch_state = np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002  # Quantus draws from the global generator
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002  # Quantus draws from the global generator
        torch.random.set_rng_state(torch_state)
