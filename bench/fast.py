"""Removal on pictures: what assay costs beyond the bare forward passes, and what captum costs for as many.

EfficientNet-Lite0, 49 patches, photographs. For some pictures at a time, one after another and so interleaved: the
fast forward (`assay.model.fast`) alone over the masked pictures, made beforehand; `explain.rise` through the same
forward, masks built on the way; captum with a feature mask, one picture at a time, as many pictures a pass. Every
contender makes as many forward passes a picture. Ratios are medians over the groups of pictures. Converting is told
apart. Seconds are the processor's, of this process alone, since the machine is shared. Beside it how seconds grow with
rows and with coalitions. `.venv-peers/bin/python bench/fast.py` writes bench/fast.md.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from time import process_time
from typing import Any

import captum.attr
import numpy as np
import torch
from localisation import GREY, PATCHES, labels, picture

import assay
from assay import explain
from assay.cases.fast_path import fast_path
from assay.demos.image import efficientnet_lite0
from assay.engine.coalitions.estimator import bernoulli
from assay.model.transformations.fast_forward import BREAK_EVEN, count_convolution_outputs, fast
from report import table, write

REMOVE, FEW, BESIDE = assay.Constant(GREY), 8, ("bare", "assay")


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    started = process_time()
    answer = run()
    return process_time() - started, answer


class Eager(torch.nn.Module):
    """The net as a user hands it to a peer: contiguous, its preprocessing before it."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).to(memory_format=torch.contiguous_format)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net((x - 127.0) / 128.0)


def masked(case: Any, budget: int) -> list[torch.Tensor]:
    """The pictures that the method asks for, sixteen at a time."""
    design = bernoulli(0.5).design(len(PATCHES), budget, case.seed.child("design", "bernoulli 0.5"))
    which = np.repeat(np.arange(len(case)), budget)
    keep = np.tile(design.masks, (len(case), 1))
    game, size = case.game(REMOVE), case.max_batch_rows()
    blocks = (slice(at, at + size) for at in range(0, len(which), size))
    return [
        next(game.filling.fill(which[block], PATCHES.expand_masks(keep[block], which[block]))).contiguous()
        for block in blocks
    ]


def peers(net: torch.nn.Module, budget: int) -> dict[str, Callable[[torch.Tensor, int], Any]]:
    """captum's methods, each with `budget` forward passes a picture, sixteen a pass."""
    parts = torch.as_tensor(PATCHES.index)[None]
    same: dict[str, Any] = {"baselines": GREY, "feature_mask": parts, "perturbations_per_eval": 16}
    assert budget == len(PATCHES) + 1
    return {
        "captum.ShapleyValueSampling": lambda x, to: captum.attr.ShapleyValueSampling(net).attribute(
            x, target=to, n_samples=1, **same
        ),
        "captum.KernelShap": lambda x, to: captum.attr.KernelShap(net).attribute(
            x, target=to, n_samples=budget, **same
        ),
    }


def compared(model: Any, quick: Any, x: np.ndarray, to: np.ndarray, group: int, budget: int) -> dict[str, list[float]]:
    """Seconds of each contender for each group of pictures; the plain net and captum for the first groups only."""
    asked = peers(Eager(model.net), budget)
    found: dict[str, list[float]] = {name: [] for name in ("bare", "assay", "assay, fast=False", *asked)}
    for start in range(0, len(x), group):
        runs = contenders(model, quick, x[start : start + group], to[start : start + group], asked, budget)
        for name, run in runs.items():
            if name in BESIDE or start < FEW:
                with torch.no_grad(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found[name].append(timed(run)[0])
        print(start, {name: round(seconds[-1], 2) for name, seconds in found.items()}, flush=True)
    return found


def contenders(
    model: Any, quick: Any, x: np.ndarray, to: np.ndarray, asked: dict[str, Any], budget: int
) -> dict[str, Callable[[], Any]]:
    """What is timed, ready to go: the outputs at the pictures are known, the bare pass has its pictures masked."""
    case = assay.case(quick, x, label=to, features=PATCHES)
    plain = assay.case(assay.wrap(model, fast=False), x, label=to, features=PATCHES)
    _ = case.output, plain.output
    rows = [case.rows.with_inputs(block, np.zeros(len(block), dtype=int)) for block in masked(case, budget)]
    pictures = torch.as_tensor(x)

    def of_peer(ask: Callable[[torch.Tensor, int], Any]) -> Callable[[], Any]:
        return lambda: [ask(one[None], int(at)) for one, at in zip(pictures, to)]

    return {
        "bare": lambda: [quick.values(one) for one in rows],
        "assay": lambda: explain.rise(case, remove=REMOVE, budget=budget),
        "assay, fast=False": lambda: explain.rise(plain, remove=REMOVE, budget=budget),
        **{name: of_peer(ask) for name, ask in asked.items()},
    }


def scaling(quick: Any, x: np.ndarray, to: np.ndarray) -> list[list[str]]:
    """Milliseconds a row and coalition, the best of three."""
    lines = []
    for rows, budget in ((2, 25), (4, 25), (8, 25), (2, 50), (2, 100), (8, 100)):
        best = np.inf
        for _ in range(3):
            case = assay.case(quick, x[:rows], label=to[:rows], features=PATCHES)
            _ = case.output
            best = min(
                best, timed(lambda case=case, budget=budget: explain.rise(case, remove=REMOVE, budget=budget))[0]
            )
        lines.append([str(rows), str(budget), f"{best:.2f}", f"{1000 * best / rows / budget:.1f}"])
    return lines


def ratio(one: list[float], other: list[float]) -> str:
    """The median over groups, and the range."""
    each = np.array(one) / np.array(other[: len(one)])
    return f"{np.median(each):.2f} ({each.min():.2f} … {each.max():.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--group", type=int, default=4, help="pictures between one contender and the next")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    chosen = labels()[: given.images]
    x, to = np.stack([picture(row) for row in chosen]), np.array([int(row["class_index"]) for row in chosen])
    model, budget = efficientnet_lite0(), len(PATCHES) + 1
    case = assay.case(model, x, label=to, features=PATCHES)
    conversion, quick = timed(lambda: fast(model, rows=case.rows))
    assert fast_path(case, REMOVE, budget).is_fast == (
        count_convolution_outputs(model, case.rows) * budget * len(x) >= BREAK_EVEN
    )
    found = compared(model, quick, x, to, given.group, budget)
    lines = [
        [name, str(given.group * len(seconds)), f"{sum(seconds):.1f}", *(ratio(seconds, found[of]) for of in BESIDE)]
        for name, seconds in found.items()
    ]
    heads = [f"{budget} forward passes a picture", "pictures", "seconds", "of the bare fast forward", "of assay"]
    break_even = BREAK_EVEN / count_convolution_outputs(model, case.rows)
    text = (
        f"{given.threads} thread(s). Converting took {conversion:.1f} s once; it is done by itself from "
        f"{break_even:,.0f} rows on. `{quick.about['forward']}`; {quick.notes[-1].text}."
    )
    grows = table(["rows", "coalitions", "seconds", "ms a row and coalition"], scaling(quick, x, to))
    write("fast", "Removal through the fast forward", str(__doc__).strip(), table(heads, lines) + "\n\n" + grows, text)


if __name__ == "__main__":
    main()
