"""The bound in bytes on a net's activations, measured in a separate process."""

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
# VmHWM of the kernel: getrusage includes the memory of the parent process
peak = lambda: int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
net = torch.nn.Sequential(
    *[m for i in range(4) for m in (torch.nn.Conv2d(16 if i else 3, 16, 3, padding=1), torch.nn.ReLU())],
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 3),
)
x = torch.randn(4, 3, 96, 96)
bound, free = (
    assay.case(assay.model.torch(net, memory=m), x, label=0, features=assay.grid((3, 96, 96), 16))
    for m in (60 * 2**20, None)
)
explain.integrated_gradients(bound.take([0]), steps=1)  # loads everything that is loaded once
before = peak()
for case, steps in ((bound, 8), (bound, 16), (free, 16)):  # each peak is above those before it
    explain.integrated_gradients(case, steps=steps)
    print(peak() - before)
"""


def test_memory_stays_within_the_bound_for_any_number_of_nodes() -> None:
    """Megabytes by which a process grows, for few nodes, many nodes, and many nodes without a bound."""
    command = [sys.executable, "-c", PROGRAM]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    few, many, unbound = map(float, output.split())
    assert many <= 60 + 35  # buffers of libraries, one set for each batch size
    assert many <= few + 30  # what the process itself keeps varies by as much
    assert unbound > 2 * many


def test_a_bound_gives_smaller_batches_and_equal_values() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    net = net.double()
    x = torch.arange(5 * 3 * 64, dtype=torch.float64).reshape(5, 3, 8, 8).sin()
    free, bound = (assay.case(assay.model.torch(net, memory=m), x, label=0) for m in (None, 60_000))
    assert 1 <= bound.max_batch_rows(8) < bound.max_batch_rows(1) < free.max_batch_rows(1) == 64
    forwards = bound.model.meter.forwards
    one, other = (assay.explain.integrated_gradients(case, steps=6).values for case in (free, bound))
    assert abs(one - other).max() < 1e-12
    assert bound.model.meter.forwards - forwards == 5 * (6 + 1 + 1)  # nodes, start, output


def test_a_bound_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="memory=0; a number of bytes above 0"):
        assay.model.torch(torch.nn.Linear(2, 2), memory=0)
