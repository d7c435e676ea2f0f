"""A bound in bytes on a net's activations, measured in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import assay
from assay.basics.errors import InputError

PROGRAM = """
import sys, torch, assay
from assay import explain
torch.set_num_threads(1)
# the kernel's own mark: what getrusage tells begins with the memory of the process that started this one
peak = lambda: int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
net = torch.nn.Sequential(
    *[m for i in range(4) for m in (torch.nn.Conv2d(16 if i else 3, 16, 3, padding=1), torch.nn.ReLU())],
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 3),
)
model = assay.model.torch(net, memory=int(sys.argv[1]) * 2**20 or None)
case = assay.case(model, torch.randn(int(sys.argv[2]), 3, 96, 96), label=0, features=assay.grid((3, 96, 96), 16))
explain.integrated_gradients(case.take([0]), steps=1)  # what is loaded once is loaded now
before = peak()
explain.integrated_gradients(case, steps=int(sys.argv[3]))
print(peak() - before)
"""


def growth(megabytes: int, rows: int, steps: int) -> float:
    """Megabytes by which the process grew."""
    told = [sys.executable, "-c", PROGRAM, str(megabytes), str(rows), str(steps)]
    return float(subprocess.run(told, capture_output=True, text=True, check=True).stdout)


def test_the_bound_is_kept_however_many_nodes_there_are() -> None:
    few, many = growth(60, 8, 4), growth(60, 8, 16)
    assert many <= 60 + 35  # a library's own buffers, one set for each size of a pass
    assert many <= few + 15
    assert growth(0, 8, 16) > 2 * many


def test_fewer_rows_go_into_a_pass_and_the_answer_is_the_same() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    net = net.double()
    x = torch.arange(5 * 3 * 64, dtype=torch.float64).reshape(5, 3, 8, 8).sin()
    free, bound = (assay.case(assay.model.torch(net, memory=m), x, label=0) for m in (None, 60_000))
    assert 1 <= bound.room(8) < bound.room(1) < free.room(1) == 64
    forwards = bound.model.meter.forwards
    one, other = (assay.explain.integrated_gradients(case, steps=6).values for case in (free, bound))
    assert abs(one - other).max() < 1e-12
    assert bound.model.meter.forwards - forwards == 5 * (6 + 1 + 1)  # nodes, start, output


def test_a_bound_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="memory=0; a number of bytes above 0"):
        assay.model.torch(torch.nn.Linear(2, 2), memory=0)
