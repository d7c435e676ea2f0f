"""Where explanations point on photographs with boxes drawn by people: EfficientNet-Lite0, every method.

For each picture the map of the true class, channels summed (sizes for gradients, else the positive part): the share of
it inside the boxes, and whether its peak (after a Gaussian of 4 pixels) lies in one. Beside them the boxes' share of
the picture and the picture's centre, without which neither means anything. `make localisation` writes
bench/localisation.md; what was measured already is read from the folder given, so it can be stopped and gone on with.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

import assay
from assay import explain
from assay.basics.stats import clopper_pearson, student_interval
from assay.demos.image import efficientnet_lite0
from report import table, write

BOXES = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-val-boxes"
SIZE, AT_ONCE = 224, 10
GREY = 127.0  # the net's own zero
PATCHES = assay.grid((3, SIZE, SIZE), 32)

METHODS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "saliency": ("size", lambda case: explain.saliency(case)),
    "input_x_gradient": ("sign", lambda case: explain.input_x_gradient(case)),
    "integrated_gradients": ("sign", lambda case: explain.integrated_gradients(case, start=GREY)),
    "integrated_gradients, secant, 8": (
        "sign", lambda case: explain.integrated_gradients(case, start=GREY, rule="secant", steps=8)
    ),
    "expected_gradients, 4 pictures": (
        "sign", lambda case: explain.expected_gradients(case, background=background(), steps=4)
    ),
    "blur_integrated_gradients": ("sign", lambda case: explain.blur_integrated_gradients(case)),
    "smooth_grad": ("size", lambda case: explain.smooth_grad(case)),
    "smooth_grad_squared": ("size", lambda case: explain.smooth_grad_squared(case)),
    "var_grad": ("size", lambda case: explain.var_grad(case)),
    "deconvolution": ("size", lambda case: explain.deconvolution(case)),
    "guided_backprop": ("size", lambda case: explain.guided_backprop(case)),
    "excitation_backprop": ("sign", lambda case: explain.excitation_backprop(case)),
    "deep_lift": ("sign", lambda case: explain.deep_lift(case, start=GREY)),
    "lrp, epsilon": ("sign", lambda case: explain.lrp(case, composite="epsilon")),
    "lrp, epsilon_plus": ("sign", lambda case: explain.lrp(case)),
    "lrp, epsilon_plus_flat": ("sign", lambda case: explain.lrp(case, composite="epsilon_plus_flat")),
    "lrp, epsilon_alpha2_beta1": ("sign", lambda case: explain.lrp(case, composite="epsilon_alpha2_beta1")),
    "lrp, epsilon_gamma_box": (
        "sign", lambda case: explain.lrp(case, composite="epsilon_gamma_box", low=-127 / 128, high=1.0)
    ),
    "attn_lrp": ("sign", lambda case: explain.attn_lrp(case)),
    "cam": ("sign", lambda case: explain.cam(case)),
    "grad_cam": ("sign", lambda case: explain.grad_cam(case)),
    "grad_cam_plus_plus": ("sign", lambda case: explain.grad_cam_plus_plus(case)),
    "layer_cam": ("sign", lambda case: explain.layer_cam(case)),
    "guided_grad_cam": ("sign", lambda case: explain.guided_grad_cam(case)),
    "score_cam, 32 channels": ("sign", lambda case: explain.score_cam(case, channels=32, start=GREY)),
    "edges": ("size", lambda case: explain.edges(case)),
    "input_itself": ("size", lambda case: explain.input_itself(case)),
    "random": ("sign", lambda case: explain.random(case)),
    "occlusion, 49 patches": ("sign", lambda case: explain.occlusion(patched(case), remove=assay.Constant(GREY))),
    "rise, 49 patches, 200": ("sign",
        lambda case: explain.rise(patched(case), remove=assay.Constant(GREY), budget=200),),
    "shapley, 49 patches, 200": (
        "sign", lambda case: explain.shapley(patched(case), remove=assay.Constant(GREY), budget=200)
    ),
    "banzhaf, 49 patches, 200": (
        "sign", lambda case: explain.banzhaf(patched(case), remove=assay.Constant(GREY), budget=200)
    ),
    "lime, 49 patches, 200": (
        "sign", lambda case: explain.lime(patched(case), remove=assay.Constant(GREY), budget=200)
    ),
}  # fmt: skip
DEAR = ("occlusion", "rise", "shapley", "banzhaf", "lime", "score_cam")
"""Asked on fewer pictures."""


def patched(case: Any) -> Any:
    """The same question with patches of 32 pixels as parts."""
    return assay.case(case.model, case.rows.x, label=case.label, ids=case.rows.ids, features=PATCHES)


def labels() -> list[dict[str, str]]:
    with (BOXES / "labels.csv").open() as file:
        return list(csv.DictReader(file))


def picture(row: dict[str, str]) -> np.ndarray:
    """The middle 224 × 224 pixels (channel, height, width)."""
    image = Image.open(BOXES / row["file"]).convert("RGB")
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    cut = image.crop((left, top, left + SIZE, top + SIZE))
    return np.asarray(cut, dtype=np.float32).transpose(2, 0, 1)


def background() -> np.ndarray:
    return np.stack([picture(row) for row in labels()[-4:]])


def mask(row: dict[str, str], boxes: list[dict[str, str]]) -> np.ndarray:
    """Where the boxes are in the middle of the picture."""
    left, top = (int(row["width"]) - SIZE) // 2, (int(row["height"]) - SIZE) // 2
    inside = np.zeros((SIZE, SIZE), dtype=bool)
    for box in boxes:
        if box["file"] == row["file"]:
            near, low, far, high = (float(box[side]) for side in ("xmin", "ymin", "xmax", "ymax"))
            down = slice(max(0, int(low) - top), max(0, int(high) - top))
            inside[down, max(0, int(near) - left) : max(0, int(far) - left)] = True
    return inside


def judged(shown: np.ndarray, kind: str, inside: np.ndarray) -> tuple[float, float]:
    """Share of the map in the boxes, and whether its peak is in one."""
    flat = np.abs(shown).sum(axis=0) if kind == "size" else np.maximum(shown.sum(axis=0), 0.0)
    if not flat.sum() > 0:
        return float("nan"), float("nan")
    peak = np.unravel_index(gaussian_filter(flat, 4.0).argmax(), flat.shape)
    return float((flat * inside).sum() / flat.sum()), float(inside[peak])


def measured(name: str, rows: list[dict[str, str]], inside: np.ndarray, store: Path) -> np.ndarray:
    """(picture, 2) for one method, ten pictures at a time; kept on disk as it goes."""
    place = store / f"{name.replace(' ', '_').replace(',', '')}.npy"
    done = np.load(place) if place.exists() else np.empty((0, 2))
    kind, ask = METHODS[name]
    model = efficientnet_lite0()
    while len(done) < len(rows):
        part = rows[len(done) : len(done) + AT_ONCE]
        case = assay.case(
            model,
            np.stack([picture(row) for row in part]),
            label=np.array([int(row["class_index"]) for row in part]),
            ids=[row["file"] for row in part],
        )
        maps = ask(case).map()
        found = [judged(one, kind, inside[len(done) + i]) for i, one in enumerate(maps)]
        done = np.concatenate([done, found])
        np.save(place, done)
    return done[: len(rows)]


def line(name: str, found: np.ndarray, inside: np.ndarray) -> list[str]:
    """One line of the table."""
    ok = ~np.isnan(found[:, 0])
    area = inside[: len(found)].mean(axis=(1, 2))
    energy = student_interval(found[ok, 0])
    more = student_interval(found[ok, 0] - area[ok])
    hits = clopper_pearson(int(found[ok, 1].sum()), int(ok.sum()))
    return [
        name,
        str(int(ok.sum())),
        f"{found[ok, 0].mean():.3f} [{energy.low:.3f}, {energy.high:.3f}]",
        f"{(found[ok, 0] - area[ok]).mean():+.3f} [{more.low:+.3f}, {more.high:+.3f}]",
        f"{100 * found[ok, 1].mean():.0f} % [{100 * hits.low:.0f}, {100 * hits.high:.0f}]",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--dear", type=int, default=30, help="pictures for removal methods")
    parser.add_argument("--store", type=Path, default=Path("/tmp/assay-localisation"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.store.mkdir(parents=True, exist_ok=True)
    with (BOXES / "boxes.csv").open() as file:
        boxes = list(csv.DictReader(file))
    rows = [row for row in labels() if mask(row, boxes).any()][: given.pictures]
    inside = np.stack([mask(row, boxes) for row in rows])
    lines = []
    for name in METHODS:
        if given.only and given.only not in name:
            continue
        count = min(len(rows), given.dear) if name.split(",")[0] in DEAR else len(rows)
        lines.append(line(name, measured(name, rows[:count], inside, given.store), inside))
        print(lines[-1], flush=True)
    centre = clopper_pearson(int(inside[:, SIZE // 2, SIZE // 2].sum()), len(rows))
    area = student_interval(inside.mean(axis=(1, 2)))
    baseline = [
        "**the picture's centre; the boxes' area**",
        str(len(rows)),
        f"{inside.mean():.3f} [{area.low:.3f}, {area.high:.3f}]",
        "0",
        f"{100 * inside[:, SIZE // 2, SIZE // 2].mean():.0f} % [{100 * centre.low:.0f}, {100 * centre.high:.0f}]",
    ]
    if given.only:
        return
    heads = [
        "method",
        "pictures",
        "share of the map in the boxes",
        "beyond the boxes' share of the area",
        "peak in a box",
    ]
    title = "Where explanations point on photographs with boxes"
    write("localisation", title, str(__doc__).strip(), table(heads, [baseline, *lines]), NOTE)


NOTE = (
    "Intervals are 95 %: Student's for means, Clopper and Pearson's for hits. Boxes were drawn round the object named "
    "by the label; a net may rightly look elsewhere, so this says where methods point, not which is right. Methods by "
    "removal see 49 patches and few pictures, and cannot be finer than a patch."
)

if __name__ == "__main__":
    main()
