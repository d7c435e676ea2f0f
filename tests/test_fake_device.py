"""The fake device fails where a GPU would."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.fake_device import FAKE, DeviceTensor, fake_device


@pytest.fixture(autouse=True)
def device() -> Iterator[None]:
    with fake_device():
        yield


def there(*shape: int) -> torch.Tensor:
    """A tensor of ones on the device."""
    return torch.ones(shape, device=FAKE)


MIXTURES: dict[str, Callable[[], Any]] = {
    "a sum": lambda: there(2) + torch.ones(2),
    "a sum, the other way": lambda: torch.ones(2) + there(2),
    "a sum in place": lambda: there(2).add_(torch.ones(2)),
    "a sum into a CPU number": lambda: torch.zeros(()).add_(there()),
    "a matrix product": lambda: there(2, 3) @ torch.ones(3),
    "a linear layer": lambda: nn.Linear(3, 2)(there(1, 3)),
    "a joined list": lambda: torch.cat([there(1), torch.ones(1)]),
    "stacked numbers": lambda: torch.stack([there(), torch.ones(())]),
    "a choice by a CPU mask": lambda: torch.where(torch.ones(2) > 0, there(2), there(2)),
    "a fill by a CPU mask": lambda: there(2).masked_fill(torch.ones(2) > 0, 0.0),
    "a CPU tensor by device indices": lambda: torch.ones(3)[torch.zeros(1, dtype=torch.long, device=FAKE)],
    "assigned CPU values": lambda: there(3).index_put_((torch.tensor([0, 1]),), torch.ones(2)),
    "gathered by CPU indices": lambda: there(3).gather(0, torch.tensor([0])),
    "random numbers of a CPU generator": lambda: torch.randn(2, device=FAKE, generator=torch.Generator()),
    "CPU data of a parameter": lambda: setattr(nn.Parameter(there(2)), "data", torch.ones(2)),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_an_operation_on_tensors_of_both_devices_fails(name: str) -> None:
    with pytest.raises(RuntimeError, match="device"):
        MIXTURES[name]()


@pytest.mark.parametrize("read", [np.asarray, np.array, np.isnan, lambda x: x.numpy()])
def test_numpy_reads_it_only_through_the_cpu(read: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"Use Tensor\.cpu"):
        read(there(2))
    assert there(2).cpu().numpy().tolist() == there(2).tolist() == [1.0, 1.0]
    assert float(there(1)) == there(1).item() == 1.0


ALLOWED: dict[str, Callable[[], Any]] = {
    "a CPU number": lambda: there(2) * torch.tensor(2.0),
    "CPU indices": lambda: there(3)[torch.tensor([0, 1])],
    "numpy indices": lambda: there(3)[np.array([0, 1])],
    "a numpy mask": lambda: there(3)[np.array([True, False, True])],
    "a list of indices": lambda: there(3)[[0, 1]],
    "a copy": lambda: there(2).copy_(torch.ones(2)),
    "a type": lambda: there(2).double(),
    "zeros like it": lambda: torch.zeros_like(there(2)),
    "new zeros": lambda: there(2).new_zeros(3),
    "new numbers": lambda: there(2).new_tensor([1, 2]),
    "numbers": lambda: torch.tensor([1, 2], device=FAKE),
    "numpy": lambda: torch.as_tensor(np.ones(2), device=FAKE),
    "a range": lambda: torch.arange(3, device=FAKE),
    "a layer": lambda: nn.Linear(2, 3, device=FAKE).weight,
    "a copied layer": lambda: copy.deepcopy(nn.Linear(2, 3).to(FAKE)).weight,
    "a view in place": lambda: there(2, 3).t_(),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_gpu_does_without_a_word_stays_on_the_device(name: str) -> None:
    found = ALLOWED[name]()
    assert isinstance(found, DeviceTensor)
    assert str(found.device) == FAKE
    assert found.shape == found.cpu().shape


def test_a_net_there_has_the_outputs_and_gradients_of_the_cpu() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    x = torch.randn(4, 2, 3, 3).contiguous(memory_format=torch.channels_last)

    def outputs(module: nn.Module, rows: torch.Tensor) -> list[torch.Tensor]:
        rows = rows.clone().requires_grad_(True)
        out = module(rows)
        first = torch.autograd.grad(out.pow(2).sum(), rows, create_graph=True)[0]
        return [out, first, torch.autograd.grad(first.pow(2).sum(), rows)[0]]

    for ours, theirs in zip(outputs(copy.deepcopy(net).to(FAKE), x.to(FAKE)), outputs(net, x)):
        assert isinstance(ours, DeviceTensor)
        assert torch.equal(ours.detach().cpu(), theirs.detach())
