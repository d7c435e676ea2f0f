# SPDX-License-Identifier: Apache-2.0
"""Attacks on explanations beside random signs of equal size, and defences under an attack that knows them.

Writes bench/explanation_attacks.md (make bench). EfficientNet-Lite0 on photographs and ResNet-20 on CIFAR-10, with
ε = 8/255; defences on the digit CNN. Every finished line is stored in build/explanation_attacks, so that a run can be
continued; ``--only NAME`` runs one part.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import attack_nets  # found only once the folder is on the path
from bench.report import table, write  # as above

import assay  # as above
from assay import attack, explain, repair  # as above
from assay.basics.stats import skewness_corrected_interval  # as above

STORE = Path(__file__).resolve().parents[1] / "build" / "explanation_attacks"
EPSILON, STEPS, QUERIES = 8 / 255, 30, 50

GRADIENT: dict[str, dict[str, Any]] = {
    "saliency": {},
    "input_x_gradient": {},
    "integrated_gradients": {"steps": 4},
    "smooth_grad": {"draws": 2},
    "expected_gradients": {"steps": 1},
}


def stored(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured before, else now."""
    place = STORE / f"{name}.json"
    if place.is_file():
        found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        return found
    start = time.process_time()
    found = {**make(), "seconds": time.process_time() - start}
    STORE.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found), encoding="utf-8")
    print(name, json.dumps(found)[:200], file=sys.stderr, flush=True)
    return found


def summary(result: Any) -> dict[str, Any]:
    """The numbers of a result that the table shows."""
    keys = ("top_k_overlap", "random_top_k_overlap", "rank_correlation", "random_rank_correlation")
    return {
        **{key: result.extra[key].tolist() for key in keys},
        "reseeded": float(np.nanmean(result.extra["reseeded_top_k_overlap"])),
        "unchanged": int(result.prediction_unchanged.sum()),
        "better": int((result.after < result.random).sum()),
        "worse": int((result.after > result.random).sum()),
        "rows": len(result.ids),
        "largest": float(result.distance.max()),
    }


def interval(values: list[float]) -> str:
    """Mean with its 95 % limits."""
    known = np.array(values)[np.isfinite(values)]
    found = skewness_corrected_interval(known)
    return f"{known.mean():.2f} [{found.low:.2f}, {found.high:.2f}]"


def line(net: str, name: str, found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    return [
        net,
        name,
        interval(found["top_k_overlap"]),
        interval(found["random_top_k_overlap"]),
        interval(found["rank_correlation"]),
        interval(found["random_rank_correlation"]),
        f"{found['reseeded']:.2f}",
        f"{found['better']} / {found['worse']}",
        f"{found['unchanged']} of {found['rows']}",
        f"{found['seconds']:.0f}",
    ]


def photographs() -> list[list[str]]:
    """Six gradient explainers of EfficientNet-Lite0 on 16 photographs: 1,000 of 50,176 pixels are the top.

    Grad-CAM has no gradient by the input here, and is searched.
    """
    from bench.localisation import BOXES, labels, picture

    from assay.demos.image import efficientnet_lite0

    if not BOXES.is_dir():
        return []
    model = replace(efficientnet_lite0(), batch=16)
    rows = np.stack([picture(row) for row in labels()[:16]])
    lines = []
    ball = assay.Ball("linf", 8.0, 0.0, 255.0)
    for name, options in {**GRADIENT, "grad_cam": {}}.items():
        more = {"background": rows[:4]} if name == "expected_gradients" else {}

        def make(name: str = name, options: dict[str, Any] = options, more: Any = more) -> dict[str, Any]:
            found = []
            for part in range(0, len(rows), 2):

                def pair(part: int = part) -> dict[str, Any]:
                    case = assay.case(model, rows[part : part + 2], features=assay.grid((3, 224, 224), 1))
                    explanation = getattr(explain, name)(case, **options, **more)
                    k = 1000 / 50176
                    if name not in GRADIENT:
                        return summary(attack.explanation_search(explanation, case, ball, k=k, queries=QUERIES))
                    return summary(attack.top_k(explanation, case, ball, k=k, steps=STEPS))

                found.append(stored(f"photo-{name}-{part}", pair))
            return {
                key: [value for one in found for value in one[key]]
                if isinstance(found[0][key], list)
                else max(one[key] for one in found)
                if key == "largest"
                else float(np.mean([one[key] for one in found]))
                if key == "reseeded"
                else sum(one[key] for one in found)
                for key in found[0]
            }

        lines.append(line("EfficientNet-Lite0", f"{name} {options or ''}", stored(f"photo-{name}", make)))
    return lines


def small_pictures() -> list[list[str]]:
    """Ten explainers of ResNet-20 on 32 pictures."""
    net, x, y = attack_nets.pictures()
    model = assay.model.torch(net)
    correct = assay.case(model, x[:60]).label == y[:60]
    rows = np.ascontiguousarray(x[:60][correct][:32])
    ball = assay.Ball("linf", EPSILON, 0.0, 1.0)
    pixels, patches = assay.grid((3, 32, 32), 1), assay.grid((3, 32, 32), 8)
    remove = assay.Constant(0.5)
    explainers: dict[str, tuple[Any, dict[str, Any], float]] = {
        "saliency": (pixels, {}, 0.1),
        "input_x_gradient": (pixels, {}, 0.1),
        "integrated_gradients": (pixels, {"steps": 8}, 0.1),
        "smooth_grad": (pixels, {"draws": 4}, 0.1),
        "expected_gradients": (pixels, {"steps": 1, "background": x[-4:]}, 0.1),
        "grad_cam": (pixels, {"layer": "layer3"}, 0.1),
        "lrp": (pixels, {}, 0.1),
        "occlusion": (patches, {"remove": remove}, 0.25),
        "lime": (patches, {"remove": remove, "budget": 40}, 0.25),
        "shapley": (patches, {"remove": remove, "budget": 40}, 0.25),
    }
    lines = []
    for name, (features, options, k) in explainers.items():

        def make(name: str = name, features: Any = features, options: Any = options, k: float = k) -> dict[str, Any]:
            case = assay.case(model, rows, features=features)
            explanation = getattr(explain, name)(case, **options)
            if name in GRADIENT:
                return summary(attack.top_k(explanation, case, ball, k=k, steps=STEPS))
            return summary(attack.explanation_search(explanation, case, ball, k=k, queries=QUERIES))

        how = f"{STEPS} steps" if name in GRADIENT else f"{QUERIES} queries"
        lines.append(line("ResNet-20", f"{name}, {how}", stored(f"cifar-{name}", make)))
    return lines


def defences() -> list[list[str]]:
    """Saliency of the digit CNN behind each defence; the attack differentiates through it, or searches."""
    net, x, _ = attack_nets.digits()
    rows, ball = x[:32], assay.Ball("linf", 0.1, 0.0, 1.0)
    case = assay.case(assay.model.torch(net), rows)
    changed: dict[str, Callable[[], Any]] = {
        "none": lambda: case.model,
        **{f"softplus, β = {b:g}": lambda b=b: repair.softplus(case, sharpness=b).model for b in (10.0, 3.0, 1.0)},
        **{f"smoothing, σ = {s:g}": lambda s=s: repair.smoothing(case, sigma=s, draws=8).model for s in (0.1, 0.3)},
    }
    lines = []

    def one(name: str, how: str, make: Callable[[], dict[str, Any]]) -> None:
        found = stored(f"defence-{name}", make)
        lines.append([name, how, *line("", "", found)[2:6], found["agreement"], f"{found['seconds']:.0f}"])

    for name, model in changed.items():

        def attacked(model: Callable[[], Any] = model) -> dict[str, Any]:
            other = assay.case(model(), rows, target="log_odds")
            found = attack.top_k(explain.saliency(other), other, ball, k=0.1, steps=STEPS)
            return {**summary(found), "agreement": f"{float((other.label == case.label).mean()):.2f}"}

        one(name, f"{STEPS} steps through the defence", attacked)
    asked = case.with_target("log_odds")
    members = [
        explain.saliency(asked),
        explain.input_x_gradient(asked),
        explain.integrated_gradients(asked, steps=4),
    ]

    def searched() -> dict[str, Any]:
        together = explain.aggregate(asked, members=members)
        found = attack.explanation_search(together, asked, ball, k=0.1, queries=300)
        return {**summary(found), "agreement": "1.00"}

    def transferred() -> dict[str, Any]:
        """The points that the attacks on the members find, judged on the aggregate: the lowest overlap of a row."""
        together = explain.aggregate(asked, members=members)
        top = np.argsort(-np.abs(together.values), axis=1)[:, :79]
        overlaps, ranks = [], []
        for member in members:
            moved = attack.top_k(member, asked, ball, k=0.1, steps=STEPS)
            again = np.abs(explain.aggregate(asked.at(torch.tensor(moved.x)), members=members).values)
            other = np.argsort(-again, axis=1)[:, :79]
            overlaps.append([len(set(a) & set(b)) / 79 for a, b in zip(top, other)])
            ranks.append(
                [
                    float(np.corrcoef(np.argsort(np.argsort(abs(a))), np.argsort(np.argsort(b)))[0, 1])
                    for a, b in zip(together.values, again)
                ]
            )
        best = np.argmin(overlaps, axis=0)
        base = stored("defence-aggregate, searched", searched)
        return {
            **base,
            "top_k_overlap": [overlaps[m][i] for i, m in enumerate(best)],
            "rank_correlation": [ranks[m][i] for i, m in enumerate(best)],
        }

    one("aggregate, searched", "300 queries of the aggregate", searched)
    one("aggregate, transferred", f"{STEPS} steps on each of {len(members)} members", transferred)
    return lines


PARTS = {"small_pictures": small_pictures, "defences": defences, "photographs": photographs}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=list(PARTS), default=None)
    only = parser.parse_args().only
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if only:
        PARTS[only]()
        return
    heads = [
        "net", "explainer", "top-k overlap, attack", "random sign", "Spearman, attack", "random sign", "other seed",
        "rows better / worse than random", "label unchanged", "CPU s",
    ]  # fmt: skip
    others = ["defence", "attack", "top-k overlap, attack", "random sign", "Spearman, attack", "random sign",
              "same class", "CPU s"]  # fmt: skip
    text = (
        "Top features replaced at an unchanged label, ε = 8/255 (photographs: 8 of 255); the same ε for one random "
        "sign perturbation. Means with 95 % limits over rows. k: 1,000 of 50,176 pixels (photographs), a tenth of "
        "pixels, a quarter of 16 patches (removal methods). Second table: digit CNN, 32 rows, saliency of the log "
        "odds, ε = 0.1, k a tenth; the attack differentiates through the defence. The ranks of an aggregate have no "
        "gradient: it is searched, and attacked by the members' gradients."
    )
    body = table(heads, [*photographs(), *small_pictures()]) + "\n\n" + table(others, defences())
    write("explanation_attacks", "Attacks on explanations, and defences", text, body)


if __name__ == "__main__":
    main()
