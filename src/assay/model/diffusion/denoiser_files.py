# SPDX-License-Identifier: Apache-2.0
"""Denoisers in files: the weights of the small net as safetensors, and the net that comes with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.model.diffusion.denoiser import Denoiser, net_denoiser
from assay.model.diffusion.denoising_net import make_net, net_class
from assay.nouns.inputs.rows import to_numpy

KIND = "assay_denoiser"
FASHION = Path(__file__).with_name("fashion_denoiser.safetensors")
"""Trained on 6,000 pictures of Fashion-MNIST (MIT, Zalando SE) by ``bench/train_denoiser.py``."""


def save_denoiser(denoiser: Denoiser, path: str | Path, **notes: str) -> None:
    """Write a denoiser made by ``train_denoiser``: weights as float16, its shape, units and bounds, and ``notes``.

    What is read again predicts with weights rounded to float16. ``InputError`` for a denoiser of another net.
    """
    from safetensors.numpy import save_file

    net = denoiser.net
    if net is None or not isinstance(net, net_class()):
        raise InputError(f"{denoiser.name} is no net of train_denoiser; save its weights in the form of its library.")
    numbers = {"shape": denoiser.shape, "width": net.enter.out_channels, "center": denoiser.center}
    numbers |= {"scale": denoiser.scale, "bounds": denoiser.bounds}
    weights = {name: to_numpy(weight.detach()).astype(np.float16) for name, weight in net.state_dict().items()}
    save_file(weights, path, metadata={KIND: json.dumps({**numbers, **notes})})  # one entry: their order is not fixed


def load_denoiser(path: str | Path) -> Denoiser:
    """The denoiser of a file of ``save_denoiser``; ``InputError`` for a file of any other kind."""
    torch = need("torch", extra="torch")
    numbers, weights = _read(Path(path))
    net = make_net(tuple(numbers["shape"]), numbers["width"], Seed(0))
    net.load_state_dict({name: torch.as_tensor(weight.astype(np.float32)) for name, weight in weights.items()})
    bounds = None if numbers["bounds"] is None else (float(numbers["bounds"][0]), float(numbers["bounds"][1]))
    found = net_denoiser(net, numbers["shape"], bounds=bounds, name=Path(path).stem)
    return found.in_units(numbers["center"], numbers["scale"])


def _read(path: Path) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The numbers and the weights of a file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r} with the weights of a denoiser.")
    try:
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
            if KIND not in about:
                raise InputError(f"{path} holds no denoiser of this package; write one with save_denoiser.")
            return json.loads(about[KIND]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # a file, not a dict
    except SafetensorError as error:
        raise InputError(f"{path} is no safetensors file ({error}); write one with save_denoiser.") from error


@cache
def fashion_denoiser() -> Denoiser:
    """The denoiser of clothing pictures that comes with the package: rows (1, 28, 28) with pixels 0 … 1."""
    return load_denoiser(FASHION)
