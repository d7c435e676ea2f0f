# SPDX-License-Identifier: Apache-2.0
"""Diffusion: the forward process, denoisers, the deterministic reverse process, and in-fill of absent elements."""

from assay.model.diffusion.denoiser import Denoiser, diffusers_denoiser, net_denoiser
from assay.model.diffusion.denoiser_files import fashion_denoiser, load_denoiser, save_denoiser
from assay.model.diffusion.denoising_net import train_denoiser
from assay.model.diffusion.gaussian_mixture import GaussianMixture
from assay.model.diffusion.infill import infill
from assay.model.diffusion.reverse import denoise, sample
from assay.model.diffusion.schedule import Schedule, add_noise

__all__ = [
    "Denoiser",
    "GaussianMixture",
    "Schedule",
    "add_noise",
    "denoise",
    "diffusers_denoiser",
    "fashion_denoiser",
    "infill",
    "load_denoiser",
    "net_denoiser",
    "sample",
    "save_denoiser",
    "train_denoiser",
]
