# SPDX-License-Identifier: Apache-2.0
"""In-fill by diffusion against known conditionals and on clothing pictures; counterfactuals judged by other nets."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.fashion_nets import accuracy, convolutional, dense, pictures, strided, train  # needs the path
from bench.report import table, write
from tests.model.diffusion_mixtures import CASES, drawn, errors, mixture, questions

import assay
from assay import Conditional, Constant, Generative, Marginal, explain
from assay.basics.seed import Seed
from assay.model.diffusion import fashion_denoiser
from assay.model.diffusion.denoiser_files import FASHION

MIXTURES, DRAWS, PICTURES, COUNTERFACTUALS = 5, 300, 24, 48


def exact(mixed: Any, x: Any, keep: Any, draws: int) -> np.ndarray:
    return mixed.conditional(x, keep).draw(draws, Seed(11))


def marginal(mixed: Any, x: Any, keep: Any, draws: int) -> np.ndarray:
    return mixed.draw(draws, Seed(11))[:, ~keep]


FILLS: dict[str, Any] = {
    "exact conditional again (floor)": exact,
    "marginal": marginal,
    "replacement, 25 steps": partial(drawn, method="replacement", steps=25),
    "replacement, 400 steps": partial(drawn, method="replacement", steps=400),
    "repaint, 25 steps × 5": partial(drawn, method="repaint", steps=25, repeats=5),
    "repaint, 25 steps × 20 (default)": partial(drawn, method="repaint", steps=25, repeats=20),
    "repaint, 100 steps × 20": partial(drawn, method="repaint", steps=100, repeats=20),
    "guided, 25 steps": partial(drawn, method="guided", steps=25),
    "guided, 100 steps": partial(drawn, method="guided", steps=100),
}


def mixtures() -> str:
    """Mean error and MMD² of every fill on the first mixture, and the mean error on all of them."""
    lines = []
    for name, fill in FILLS.items():
        start = time.process_time()
        gap, discrepancy = errors(mixture(), fill, DRAWS)
        took = time.process_time() - start
        all_gaps = [np.median(gap)]
        if "100 steps × 20" not in name:
            all_gaps += [np.median(errors(mixture(seed), fill, DRAWS)[0]) for seed in range(1, MIXTURES)]
        lines.append(
            [name, f"{np.median(gap):.2f} ({gap.max():.2f})", f"{np.median(discrepancy):.4f}",
             ", ".join(f"{one:.2f}" for one in all_gaps), f"{took / CASES:.2f}"]
        )  # fmt: skip
        print(lines[-1], flush=True)
    head = ["fill", "mean error / sd, median (max)", "MMD², median", "median error, each mixture", "CPU s a case"]
    return table(head, lines)


def fills(net: Any, x: np.ndarray, test: np.ndarray, y: np.ndarray) -> str:
    """What each fill puts into half of the blocks of pictures."""
    case = assay.case(assay.wrap(net), torch.as_tensor(test[:PICTURES], dtype=torch.float32))
    blocks = np.random.default_rng(0).permuted(np.tile(np.arange(49) < 25, (PICTURES, 1)), axis=1)
    keep = np.repeat(np.repeat(blocks.reshape(-1, 1, 7, 7), 4, axis=2), 4, axis=3)
    denoiser, which = fashion_denoiser(), np.arange(PICTURES)
    removals = {
        "black": Constant(0.0),
        "marginal, 3 donors": Marginal(x[:3]),
        "nearest 3 donors (Conditional)": Conditional(x, 3),
        "replacement, 25 steps": Generative(denoiser, "replacement", draws=3, conditional=False),
        "repaint, 25 steps × 4": Generative(denoiser, "repaint", repeats=4, draws=3),
        "repaint, 25 steps × 20 (default)": Generative(denoiser, "repaint", draws=3),
        "guided, 25 steps": Generative(denoiser, "guided", draws=3),
    }
    lines = []
    for name, removal in removals.items():
        start = time.process_time()
        versions = [np.asarray(one) for one in removal.bind(case.rows).fill(which, keep)]
        took = (time.process_time() - start) / (PICTURES * len(versions))
        error = np.mean([((one - test[:PICTURES]) ** 2)[~keep].mean() for one in versions])
        with torch.no_grad():
            share = [
                torch.softmax(net(torch.as_tensor(one, dtype=torch.float32)), 1)[which, y[which]] for one in versions
            ]
        lines.append([name, f"{error:.3f}", f"{float(torch.stack(share).mean()):.2f}", f"{1e3 * took:.0f}"])
        print(lines[-1], flush=True)
    return table(["fill", "squared error at absent pixels", "p(true class)", "CPU ms a fill"], lines)


def agreement(nets: dict[str, Any], x: np.ndarray, found: np.ndarray, label: np.ndarray) -> list[str]:
    """The share of pictures that each net decides for the class, with its standard error."""
    lines = []
    for net in nets.values():
        with torch.no_grad():
            same = net(torch.as_tensor(x, dtype=torch.float32)).argmax(1).numpy()[found] == label[found]
        lines.append(f"{same.mean():.2f} ± {same.std(ddof=1) / np.sqrt(len(same)):.2f}")
    return lines


def counterfactuals(victims: dict[str, Any], judges: dict[str, Any], test: np.ndarray) -> str:
    """Pictures of the runner-up: by the gradient, the same moved as far as ours, and through the denoiser."""
    lines = []
    for name, net in victims.items():
        others = {one: judge for one, judge in judges.items() if judge is not net}
        rows = test[:COUNTERFACTUALS]
        case = assay.case(assay.wrap(net), torch.as_tensor(rows, dtype=torch.float32))
        start = time.process_time()
        given = {"denoiser": fashion_denoiser(), "judges": list(others.values())}
        found = explain.diffusion_counterfactual(case, **given)
        took = (time.process_time() - start) / COUNTERFACTUALS
        extra, label = found.extra, found.extra["label"].astype(int)
        ours, plain = np.isfinite(extra["distance"]), np.isfinite(extra["plain_distance"])
        longer = np.clip(
            rows + (extra["distance"] / extra["plain_distance"])[:, None, None, None] * (extra["plain"] - rows), 0, 1
        )
        both = ours & plain
        for kind, pixels, where in (
            ("the picture itself", rows, both), ("plain ℓ2 gradient", extra["plain"], plain),
            ("plain gradient, moved as far as ours", longer, both), ("through the denoiser", extra["x"], ours),
        ):  # fmt: skip
            size = np.abs(pixels - rows)[where].mean()
            cells = dict(zip(others, agreement(others, pixels, where, label)))
            lines.append([name, kind, f"{where.mean():.2f}", *(cells.get(one, "–") for one in judges), f"{size:.3f}"])
            print(lines[-1], flush=True)
        mean, other = np.nanmean(extra["agreement"]), np.nanmean(extra["plain_agreement"])
        note = next(one.code for one in found.notes if one.code in ("agreement", "adversarial-noise"))
        lines.append([name, f"mean {mean:.2f} : {other:.2f}, note: {note}", "", *("" for _ in judges), f"{took:.2f} s"])
    return table(["explained net", "picture", "found", *judges, "mean distance"], lines)


TEXT = """\
{points} of 8 dimensions; four components; 3 elements present, 8 cases, {draws} draws. The error of a case is the mean \
over its absent elements of |mean − true mean| / true standard deviation. Bars: median error ≤ .25 and MMD² ≤ .02 for \
RePaint and guidance on the first mixture. RePaint misses the bar of the error on one of the five; a single case can \
be off by much more than the median (in brackets).

{mixtures}

## Pictures

Half of the 4 × 4 blocks of {pictures} test pictures of Fashion-MNIST absent, three fills each. The net has accuracy \
{accuracy:.3f}. Donors are {donors} training pictures.

{fills}

The nearest donors stay the default where there are donors: they cost less. Diffusion is for pictures without near \
donors.

## Counterfactuals

{count} test pictures, towards the runner-up at .9. Shares of pictures that other nets decide for the runner-up, ± \
standard error; the nets differ in architecture or training from the one that is explained. Bar: agreement at least \
twice that of the plain gradient on an ordinary net.

{counterfactuals}

The denoiser moves pictures further than the plain gradient; the line "moved as far as ours" shows how much of the \
agreement is distance alone. Distance is the mean of |x′ − x|.

The weights that come with the package: {size:.0f} kB, 1,500 steps, 121 s of CPU (`bench/train_denoiser.py`)."""


def main() -> None:
    torch.set_num_threads(1)
    x, y, test, y_test, _ = pictures()
    nets = {
        "3 × 3 convolutions": train(convolutional, x, y, 0, epochs=12),
        "strided 5 × 5": train(strided, x, y, 1, epochs=12),
        "dense": train(dense, x, y, 2, epochs=12), "robust 5 × 5": train(strided, x, y, 3, epochs=8, attack=0.1),
    }  # fmt: skip
    names = list(nets)
    print({name: accuracy(net, test, y_test) for name, net in nets.items()}, flush=True)
    judged = counterfactuals({name: nets[name] for name in (names[0], names[3])}, nets, test)
    filled = fills(nets[names[0]], x, test, y_test)
    text = TEXT.format(
        points="Gaussian mixtures", draws=DRAWS, mixtures=mixtures(), pictures=PICTURES, donors=f"{len(x):,}",
        accuracy=accuracy(nets[names[0]], test, y_test), fills=filled, count=COUNTERFACTUALS, counterfactuals=judged,
        size=FASHION.stat().st_size / 1e3,
    )  # fmt: skip
    assert len(list(questions(mixture()))) == CASES
    write("diffusion", "Diffusion", text)


if __name__ == "__main__":
    main()
