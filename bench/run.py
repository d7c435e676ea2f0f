"""What methods cost beside the bare passes they are made of, in one run, interleaved. Writes bench/bench.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # as above

import assay  # found only once the folder is on the path
from assay import evaluate, explain  # as above
from assay.cases.case import Case  # as above
from assay.nouns.inputs.features import grid  # as above

ROUNDS = 3


def net() -> torch.nn.Module:
    """A convolutional net of about a dozen megaflops a picture, with private random weights."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 64, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 10),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


MODULE = net().requires_grad_(False)
PICTURES = torch.rand((4, 3, 64, 64), generator=torch.Generator().manual_seed(1))
MODEL = assay.model.torch(MODULE, batch=64)


def fresh() -> Case:
    """A case that remembers nothing."""
    return assay.case(MODEL, PICTURES, features=grid((3, 64, 64), 8))


def counted(work: Callable[[Case], object]) -> tuple[float, int, int]:
    """Seconds, rows forwards and rows backwards of one piece of work on a fresh case."""
    case = fresh()
    before = MODEL.meter.forwards, MODEL.meter.backwards
    start = time.perf_counter()
    work(case)
    taken = time.perf_counter() - start
    return taken, MODEL.meter.forwards - before[0], MODEL.meter.backwards - before[1]


def bare(forwards: int, backwards: int) -> float:
    """Seconds of the passes alone: torch and nothing of ours, batches of 64."""
    start = time.perf_counter()
    block = PICTURES.repeat(16, 1, 1, 1)
    with torch.inference_mode():
        for left in range(forwards - backwards, 0, -64):
            MODULE(block[: min(64, left)])
    for left in range(backwards, 0, -len(PICTURES)):
        x = PICTURES[: min(len(PICTURES), left)].clone().requires_grad_(True)
        torch.autograd.grad(MODULE(x)[:, 0].sum(), x)
    return time.perf_counter() - start


WORK: dict[str, Callable[[Case], object]] = {
    "shapley, 64 parts, budget 512": lambda case: explain.shapley(case, budget=512),
    "occlusion, 64 parts": explain.occlusion,
    "rise, 64 parts, budget 512": lambda case: explain.rise(case, budget=512),
    "deletion, 64 steps": lambda case: evaluate.deletion(explain.saliency(case), case),
    "integrated gradients, 32 nodes": explain.integrated_gradients,
}


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in WORK}
    counts: dict[str, tuple[int, int]] = {}
    for turn in range(ROUNDS + 1):
        for name, work in WORK.items():
            taken, forwards, backwards = counted(work)
            counts[name] = forwards, backwards
            if turn:
                seconds[name].append((taken, bare(forwards, backwards)))
    rows = []
    for name, pairs in seconds.items():
        ratios = sorted(ours / alone for ours, alone in pairs)
        ours, alone = min(p[0] for p in pairs), min(p[1] for p in pairs)
        forwards, backwards = counts[name]
        spread = f"{ours / alone:.2f} ({ratios[0]:.2f} – {ratios[-1]:.2f})"
        rows.append([name, f"{forwards:,}", f"{backwards:,}", f"{ours:.3f}", f"{alone:.3f}", spread])
    heads = [
        "work, 4 pictures of 3 × 64 × 64",
        "forwards",
        "backwards",
        "seconds",
        "bare passes",
        "ratio of the best (spread)",
    ]
    told = (
        f"{ROUNDS} rounds, interleaved, one thread, the best of each; "
        "bare passes are the same number of rows through torch alone."
    )
    write("bench", "What methods cost beside their passes", told, table(heads, rows))


if __name__ == "__main__":
    main()
