"""Trains the denoiser of clothing pictures that comes with the package: 1,500 steps, about 150 s of one core.

    python -m bench.train_denoiser ../shared/data/fashion-mnist/fashion_mnist.npz [FILE]

The pictures are Fashion-MNIST (MIT licence, Zalando SE). Writes src/assay/model/diffusion/fashion_denoiser.safetensors.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from assay.basics.seed import Seed
from assay.model.diffusion.denoiser_files import FASHION, save_denoiser
from assay.model.diffusion.denoising_net import train_denoiser

STEPS = 1500


def main(data: str, path: str = str(FASHION)) -> None:
    torch.set_num_threads(1)
    pictures = np.load(data)["x_train"][:, None] / 255.0
    start = time.process_time()
    denoiser = train_denoiser(pictures, steps=STEPS, seed=Seed(0))
    save_denoiser(denoiser, path, source="Fashion-MNIST (MIT, Zalando SE), 6,000 training pictures", steps=str(STEPS))
    print(f"{STEPS} steps, {time.process_time() - start:.0f} s of CPU, {Path(path).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
