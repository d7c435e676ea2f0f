#!/usr/bin/env bash
# torch 2.13.0 on a CPU, torch.optim.Adam(fused=True).
#
# Behaviour: where a parameter and its gradient have the same shape and are laid
# out in memory differently (the gradient is a transposed view, say), the fused
# step pairs them in the order of memory. The moments, and so the update, belong
# to other elements. No warning.
#
# Usual guess: fused=True is faster and computes the same step.
#
# Seen for a 2 x 3 parameter whose gradient is the transpose of a 3 x 2 tensor: the
# first moment is 0.1 times the gradient without fused, and the gradient's memory
# read row by row with it. A contiguous copy of the gradient makes both the same.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import torch

torch.set_num_threads(1)


def first_moment(gradient, fused):
    """Adam's mean of gradients after one step, over 1 − β₁."""
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    optimiser = torch.optim.Adam([weight], lr=0.1, fused=fused)
    weight.grad = gradient
    optimiser.step()
    return (optimiser.state[weight]["exp_avg"] / 0.1).round(decimals=4)


transposed = torch.arange(6.0).reshape(3, 2).t()
plain, fused = first_moment(transposed, False), first_moment(transposed, True)
copied = first_moment(transposed.contiguous(), True)
print("gradient:                    ", transposed.tolist())
print("usual guess, and fused=False:", plain.tolist())
print("fused=True:                  ", fused.tolist())
print("fused=True, contiguous copy: ", copied.tolist())
memory = torch.arange(6.0).reshape(2, 3)
as_stated = torch.equal(plain, transposed) and torch.equal(fused, memory) and torch.equal(copied, transposed)
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
