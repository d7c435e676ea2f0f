"""Settings of torch that hold for the whole process are changed by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import assay
from assay import explain
from assay.model.pass_locks import kernel_settings


class Attending(nn.Module):
    """Attention between the steps of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.last = nn.Parameter(torch.randn(2)), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(F.scaled_dot_product_attention(x * self.weight, x, x).mean(1))


def flags() -> tuple[bool, ...]:
    """Which kernels of attention are allowed."""
    cuda = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()


def test_a_setting_is_restored_before_another_thread_reads_it() -> None:
    inside, seen, entered = [0], [], threading.Barrier(6)

    @contextmanager
    def setting() -> Iterator[None]:
        before = inside[0]
        inside[0] += 1
        yield
        inside[0] = before

    def work() -> None:
        entered.wait()
        for _ in range(200):
            with kernel_settings(setting()), kernel_settings(setting()):
                seen.append(inside[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(seen) == {2}
    assert inside == [0]


@pytest.mark.filterwarnings("ignore")
def test_threads_with_models_of_their_own_get_the_numbers_of_one_thread() -> None:
    torch.manual_seed(0)
    nets, rows, before = [Attending().eval() for _ in range(4)], torch.randn(2, 3, 2), flags()

    def explained(net: nn.Module) -> np.ndarray:
        case = assay.case(assay.wrap(net), rows, label=1)
        layer = explain.conductance(case, layer="last").values
        return np.concatenate([explain.integrated_hessians(case, steps=4).values.ravel(), layer.ravel()])

    expected, found = [explained(net) for net in nets], {}

    def work(place: int) -> Any:
        found[place] = explained(nets[place])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for place in range(4):
        np.testing.assert_allclose(found[place], expected[place], rtol=0, atol=1e-6)
    assert flags() == before
