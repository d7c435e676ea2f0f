#!/usr/bin/env bash
# torch 2.13.0, Tensor.contiguous(memory_format=torch.channels_last).
#
# Behaviour: with one channel a tensor counts as laid out both ways, and
# contiguous() returns it as it is, strides and all. A convolution reads the
# strides, so its output stays channels first. to() does rewrite the strides.
#
# Usual guess: after contiguous() and after to(), both with channels_last, the
# convolution answers in channels last.
#
# Seen for pictures of one channel: strides (64, 64, 8, 1) and output channels
# first after contiguous(); (64, 1, 8, 1) and output channels last after to(). With
# three channels both give channels last.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
last = torch.channels_last


def told(channels, how):
    """The strides of the pictures, and whether the output of a convolution is channels last."""
    x = torch.randn(2, channels, 8, 8)
    x = x.contiguous(memory_format=last) if how == "contiguous" else x.to(memory_format=last)
    with torch.no_grad():
        out = nn.Conv2d(channels, 4, 3)(x)
    return x.stride(), out.is_contiguous(memory_format=last)


print("usual guess: the output is channels last (True) in all four cases")
seen = {}
for channels in (3, 1):
    for how in ("contiguous", "to"):
        strides, seen[channels, how] = told(channels, how)
        print(f"what happens: {channels} channel(s), {how}(): strides {strides}, output channels last: {seen[channels, how]}")
if seen != {(3, "contiguous"): True, (3, "to"): True, (1, "contiguous"): False, (1, "to"): True}:
    sys.exit("no longer as stated")
PROGRAM
