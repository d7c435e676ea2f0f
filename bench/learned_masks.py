# SPDX-License-Identifier: Apache-2.0
"""Learned masks: where they point, what they keep, and whether it holds under another removal.

On planted pictures: the share of the map (positive part) inside the truth, next to integrated gradients. On photographs
with boxes drawn by people under 30 % of the picture (EfficientNet-Lite0, blur as the removal of the search): the same
share minus the boxes' share of the area, next to gradients smoothed over 16 draws; and the probability of the class
with only the top 10 % of the map kept over grey, next to RISE with as many passes as the extremal masks have forwards
and backwards. The null is the same net with scrambled weights. What was measured is kept in a folder, so it can be
stopped and gone on.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import ttest_1samp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import localisation as boxed  # found only once the folder is on the path
from bench.localisation import picture
from bench.report import table, write

import assay
from assay import explain
from assay.basics.errors import AssayError
from assay.basics.stats import student_interval
from assay.demos.image import efficientnet_lite0
from assay.engine.pictures.soft_masks import SoftRemoval, top_area
from assay.model.transformations.randomise_weights import randomise_weights
from assay.planted.suite import BENCHMARKS

GREY, TOP, LAYER, AT_ONCE = assay.Constant(127.0), 0.1, "_blocks.10", 4
AREAS, STEPS = (0.05, 0.1, 0.2), 120
PLANTED = ("watermark-1", "tetrominoes-linear", "tetrominoes-xor", "grid-pointing", "creatures")
SIZES = {"smooth_grad": 100, "information_bottleneck": 100, "extremal_perturbation": 40, "rise": 40}
"""Photographs of each method."""


def background() -> np.ndarray:
    """The last 100 photographs, for the statistics of the noise."""
    return np.stack([picture(row) for row in boxed.labels()[-100:]])


METHODS: dict[str, Callable[[Any], Any]] = {
    "smooth_grad": lambda case: explain.smooth_grad(case, draws=16),
    "information_bottleneck": lambda case: explain.information_bottleneck(
        case, background=background(), layer=LAYER, second=GREY
    ),
    "extremal_perturbation": lambda case: explain.extremal_perturbation(case, areas=AREAS, steps=STEPS, second=GREY),
    "rise": lambda case: explain.rise(boxed.patched(case), remove=assay.Blur(10.0), budget=2 * len(AREAS) * STEPS),
}


def chosen(count: int) -> tuple[list[dict[str, str]], np.ndarray]:
    """The first photographs whose boxes take less than 30 % of the middle, and where the boxes are."""
    with (boxed.BOXES / "boxes.csv").open() as file:
        boxes = list(csv.DictReader(file))
    pairs = [(row, boxed.mask(row, boxes)) for row in boxed.labels()[:-100]]
    small = [(row, inside) for row, inside in pairs if 0 < inside.mean() < 0.3][:count]
    return [row for row, _ in small], np.stack([inside for _, inside in small])


def measured(name: str, net: str, store: Path, count: int) -> np.ndarray:
    """(picture, 5): energy minus area, the class's probability with the top kept over grey and over blur, seconds."""
    place = store / f"{net}-{name}.npy"
    done = np.load(place) if place.exists() else np.empty((0, 5))
    model = efficientnet_lite0()
    model = model if net == "trained" else randomise_weights(model, assay.Seed(0))
    rows, inside = chosen(count)
    while len(done) < len(rows):
        part = rows[len(done) : len(done) + AT_ONCE]
        case = assay.case(
            model,
            np.stack([picture(row) for row in part]),
            label=np.array([int(row["class_index"]) for row in part]),
            ids=[row["file"] for row in part],
        )
        begun = time.process_time()
        flat = np.maximum(METHODS[name](case).map().sum(axis=1), 0.0)
        if name == "smooth_grad":
            flat = np.abs(METHODS[name](case).map()).sum(axis=1)
        spent = (time.process_time() - begun) / len(part)
        here = inside[len(done) : len(done) + len(part)]
        energy = (flat * here).sum(axis=(1, 2)) / flat.sum(axis=(1, 2)) - here.mean(axis=(1, 2))
        keep = np.broadcast_to(top_area(flat, TOP)[:, None], case.rows.x.shape)
        asked, which = case.with_target("probability"), np.arange(len(part))
        kept = [SoftRemoval(asked, remove).value(keep, which) for remove in (GREY, assay.Blur(10.0))]
        whole = asked.output
        found = np.stack([energy, *kept, whole, np.full(len(part), spent)], axis=1)
        done = np.concatenate([done, found])
        np.save(place, done)
        print(net, name, len(done), done.mean(axis=0).round(3), flush=True)
    return done[: len(rows)]


def text(values: Any) -> str:
    limits = student_interval(np.asarray(values))
    return f"{np.mean(values):+.3f} [{limits.low:+.3f}, {limits.high:+.3f}]"


def photographs(store: Path) -> str:
    """One line a method."""
    base, lines = measured("smooth_grad", "trained", store, SIZES["smooth_grad"]), []
    rival = measured("rise", "trained", store, SIZES["rise"])
    for name in METHODS:
        found = measured(name, "trained", store, SIZES[name])
        more, sufficient = found[:, 0] - base[: len(found), 0], found[: len(rival), 1] - rival[: len(found), 1]
        p = ttest_1samp(more, 0.0, alternative="greater").pvalue if name != "smooth_grad" else float("nan")
        lines.append(
            [
                name, str(len(found)), text(found[:, 0]),
                f"{text(more)}; p = {p:.1g}" if name != "smooth_grad" else "",
                f"{found[:, 1].mean():.3f}", f"{found[:, 2].mean():.3f}",
                text(sufficient) if name != "rise" else "", f"{found[:, 4].mean():.1f}",
            ]
        )  # fmt: skip
    heads = [
        "method", "pictures", "share in boxes − area", "more than smooth_grad, paired", "p(class), top 10 % over grey",
        "over blur", "over grey, more than RISE, paired", "CPU seconds a picture",
    ]  # fmt: skip
    return table(heads, lines)


def null(store: Path) -> str:
    """The net with scrambled weights."""
    lines = []
    for name in ("smooth_grad", "information_bottleneck", "extremal_perturbation"):
        found = measured(name, "scrambled", store, 8)
        lines.append([name, str(len(found)), text(found[:, 0])])
    return table(["scrambled net", "pictures", "share in boxes − area"], lines)


def planted() -> str:
    """Mass in the truth, next to integrated gradients."""
    lines = []
    for name in PLANTED:
        one = BENCHMARKS[name]
        size = {"train": one.quick} if one.quick else {}
        made = one.make(assay.Seed(0).child("planted", one.family), rows=320, **size)
        case, many, remove = made.case.take(np.arange(20)), made.case.rows.x[20:], assay.Constant(made.start)
        truth = np.asarray(made.truth > 0 if made.mask is None else made.mask)[:20]

        def mass(found: Any, truth: Any = truth, case: Any = case) -> np.ndarray:
            values = np.maximum(found.values, 0.0)
            return (values * truth).sum(axis=1) / np.maximum(values.sum(axis=1), 1e-300)

        share = float(truth.mean())
        known = (share / 2, share)
        base = mass(explain.integrated_gradients(case, start=made.start))
        line = [name, f"{share:.3f}", f"{base.mean():.3f}"]
        second = {"remove": remove, "second": remove}
        ways: tuple[tuple[Any, dict[str, Any]], ...] = (
            (explain.extremal_perturbation, {"areas": known}),
            (explain.information_bottleneck, {"background": many}),
            (explain.mask_generator, {"background": many, "epochs": 20}),
        )
        for way, options in ways:
            try:
                found = mass(way(case, **options, **second))
                line.append(f"{found.mean():.3f}; {text(found - base)}")
            except AssayError as error:
                line.append(f"refused: {str(error)[:60]}")
        lines.append(line)
        print(line, flush=True)
    heads = [
        "planted",
        "truth's share",
        "integrated gradients",
        "extremal; more",
        "bottleneck; more",
        "generator; more",
    ]
    return table(heads, lines)


NOTE = (
    "Planted pictures: extremal masks of half the truth's area and of all of it, cells of one pixel on small pictures. "
    "Intervals are Student's at 95 %. Extremal masks: areas .05, .1 and .2, 120 steps; the paper takes 800. RISE sees "
    "49 patches and 720 masks, as many passes as the extremal masks forwards and backwards together. Boxes were drawn "
    "round the object named by the label; a net may rightly look elsewhere. Where a mask points and what it keeps are "
    "two questions: both are given."
)
FOUND = (
    "What was to be shown, and what was: the bottleneck's maps lie in the boxes more than smoothed gradients (p below "
    ".01 was demanded), those of the extremal masks do not by that measure, and of a scrambled net the share minus the "
    "area covers 0. Extremal masks hold more of the planted truth than integrated gradients for the watermark and for "
    "tetrominoes of the xor kind, as much for linear ones, and less on grids of digits and creatures. The bottleneck "
    "and the generator hold less everywhere, so that neither replaces gradients there (the generator's empty masks on "
    "tetrominoes carry a note). Few photographs were measured: each line says how many. At equal passes neither keeps "
    "more under a second removal than RISE with significance; the extremal masks keep less."
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, default=Path("/tmp/assay-learned-masks"))
    parser.add_argument("--only", default="", help="METHOD or scrambled:METHOD, measured and not written down")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.store.mkdir(parents=True, exist_ok=True)
    if given.only == "planted":
        print(planted())
        return
    if given.only:
        net, _, name = given.only.rpartition(":")
        measured(name, net or "trained", given.store, 8 if net else SIZES[name])
        return
    blocks = [planted(), photographs(given.store), null(given.store), NOTE, FOUND]
    write("learned_masks", "Learned masks", str(__doc__).strip(), *blocks)


if __name__ == "__main__":
    main()
