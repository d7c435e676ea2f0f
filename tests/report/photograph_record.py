"""A record of a small net on images, computed by assay."""

from __future__ import annotations

import functools

import numpy as np
import torch
from tests.report.record import METHODS, REFERENCES, judged, renamed, scored

import assay
from assay import explain
from assay.nouns.records.record import Record


class Small(torch.nn.Module):
    """A net of two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 5, 2, 2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 12, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(48, 4),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def scenes(count: int, side: int = 64) -> np.ndarray:
    """Smooth colour images in 0 … 1 with a bright disc and noise."""
    draw = np.random.default_rng(1)
    down, across = np.mgrid[:side, :side] / side
    pictures = []
    for number in range(count):
        sky = np.stack([0.3 + 0.4 * down, 0.4 + 0.3 * across, 0.7 - 0.4 * down])
        disc = (down - 0.3 - 0.07 * number) ** 2 + (across - 0.75 + 0.08 * number) ** 2 < 0.03
        waves = 0.08 * np.sin(20 * across + 9 * down * number)
        pictures.append(
            sky + waves + disc * np.array([0.4, 0.3, -0.3])[:, None, None] + draw.normal(0, 0.03, (3, side, side))
        )
    return np.stack(pictures).clip(0, 1)


@functools.cache
def photographs(rows: int = 8, side: int = 64) -> Record:
    """Twelve explanations of a small net on images, half of them per pixel, with the runner-up class for three."""
    model = assay.wrap(Small().eval(), classes=("harbour", "sunflower", "tabby cat", "umbrella"))
    x = torch.as_tensor(scenes(rows, side), dtype=torch.float32)
    names = [f"picture {i}.png" for i in range(rows)]
    case = assay.case(model, x, features=assay.grid((3, side, side), side // 8), ids=names)
    other = case.with_target(label="runner_up")
    draw = np.random.default_rng(2)
    dense, steep = explain.integrated_gradients(case, steps=4), explain.saliency(case)
    explanations, rivals = {}, {}
    for place, name in enumerate((*METHODS, "edges", "grad_cam")):
        source = (dense, steep)[place % 2] if place < 6 else dense
        explanations[name] = renamed(source, name, draw if place >= 6 else None)
    explanations |= {name: renamed(dense, name, draw) for name in REFERENCES}
    rivals["shapley"] = renamed(explain.integrated_gradients(other, steps=4), "shapley")
    rivals["integrated_gradients"] = renamed(explain.integrated_gradients(other, steps=4), "integrated_gradients")
    rivals["permutation_shapley"] = renamed(explain.saliency(other), "permutation_shapley")
    return Record(
        title="Audit of a small net on photographs",
        about={"model": "Small", "profile": "quick", "seed": "0"},
        cost={"forwards": 20_480, "backwards": 1_024},
        findings=judged(explanations),
        explanations=explanations,
        rivals=rivals,
        scores=scored(explanations),
        references=REFERENCES,
        limits=("Images were divided into patches of 8 × 8 pixels; removed patches are blurred.",),
        predictions=case.classes,
        reproduce="assay.audit(model, x, profile='quick', seed=0)",
    )
