"""Every score of `assay.evaluate` but the refits, on a photographs' net: what it costs, and what it says.

EfficientNet-Lite0, pictures with boxes round what the label names, 49 patches as parts, the probability of the true
class. Six methods and four references; all scores of a picture share one case, so that the game's answers, the
neighbourhood's explanations and those of the scrambled nets are asked once. Pieces of a few pictures go to as many
processes as there are cores, one thread each; every piece is kept on disk, so the run can be stopped and gone on with.
`make all_scores` writes bench/all_scores.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from localisation import BOXES, GREY, PATCHES, labels, mask, picture

import assay
from assay import evaluate, explain
from assay.basics.seed import Seed
from assay.demos.image import efficientnet_lite0
from assay.nouns.results.result import Provenance, Score
from report import table, write

REMOVE = assay.Constant(GREY)
BALL, NEAR, STAGES = assay.Ball("linf", 2.0), 8, 8
AT_ONCE = 4
"""Pictures a pass: their activations fit the processor's cache, which takes a quarter off a gradient."""
STRANGERS = 24
"""Pictures that say what the net is familiar with; none of those explained."""

METHODS: dict[str, Callable[[Any], Any]] = {
    "saliency": lambda case: explain.saliency(case),
    "input_x_gradient": lambda case: explain.input_x_gradient(case),
    "integrated_gradients": lambda case: explain.integrated_gradients(case, start=GREY, steps=8),
    "smooth_grad": lambda case: explain.smooth_grad(case, draws=4),
    "grad_cam": lambda case: explain.grad_cam(case),
    "occlusion": lambda case: explain.occlusion(case, remove=REMOVE),
    "random": lambda case: explain.random(case),
    "edges": lambda case: explain.edges(case),
    "input_itself": lambda case: explain.input_itself(case),
    "constant": lambda case: explain.constant(case),
}
REFERENCES = ("random", "edges", "input_itself", "constant")

Options = dict[str, Any]
REMOVED: Options = {"remove": REMOVE}
NEARBY: Options = {"ball": BALL, "draws": NEAR}
FAMILIES: dict[str, dict[str, Options]] = {
    "ordered removal": {
        **dict.fromkeys(("deletion", "insertion", "morf", "lerf", "abpc", "aopc", "selectivity", "irof"), REMOVED),
        **dict.fromkeys(("region_perturbation", "comprehensiveness", "sufficiency", "monotonicity"), REMOVED),
    },
    "road (imputed)": {"road": {}},
    "saliency_metric (crops)": {"saliency_metric": {}},
    "random removal": {
        **dict.fromkeys(("faithfulness_correlation", "faithfulness_estimate", "monotonicity_correlation"), REMOVED),
        "infidelity": {**REMOVED, "scaled": True},
        "sensitivity_n": {**REMOVED, "draws": 25},
        "explanation_error": {**REMOVED, "budget": 256},
    },
    "robustness (neighbours)": {
        **dict.fromkeys(("max_sensitivity", "average_sensitivity", "local_lipschitz"), NEARBY),
        **dict.fromkeys(("relative_input_stability", "relative_output_stability"), NEARBY),
        "relative_representation_stability": NEARBY,
    },
    "continuity (shifts)": {"continuity": {"reach": 1}},
    "localisation": {
        "pointing_game": {},
        "mass_accuracy": {},
        "rank_accuracy": {},
        "top_k_overlap": {},
        "localisation_auc": {},
        "effective_heat_ratio": {},
    },
    "complexity": {
        **{name: {} for name in ("sparseness", "entropy", "effective_parts", "spatial_compactness", "connectedness")}
    },
    "parameter randomisation": {
        "parameter_randomisation": {"cascade": True, "stages": STAGES},
        "efficient_parameter_randomisation": {},
    },
    "smooth randomisation": {"smooth_parameter_randomisation": NEARBY},
    "other classes": {"random_logit": {}, "runner_up_logit": {}},
    "completeness": {"completeness": {}},
    "familiarity": {"familiarity": REMOVED},
}
LEFT_OUT = {"label_randomisation", "decision_flip"}
"""A refit, and what is asked of decisions instead of the target."""


def chosen(count: int) -> tuple[list[dict[str, str]], np.ndarray]:
    """The first pictures whose middle has a box and more than a box, and where the boxes are."""
    with (BOXES / "boxes.csv").open() as file:
        boxes = list(csv.DictReader(file))
    rows, inside = [], []
    for row in labels()[:-STRANGERS]:
        here = mask(row, boxes)
        if 0 < here.mean() < 1:
            rows.append(row)
            inside.append(here)
        if len(rows) == count:
            break
    return rows, np.stack(inside)


def asked(rows: list[dict[str, str]]) -> Any:
    """The case of these pictures, forward passes through ONNX Runtime."""
    pictures = np.stack([picture(row) for row in rows])
    model = replace(assay.model.fast(efficientnet_lite0(), rows=pictures), batch=AT_ONCE)
    truth = np.array([int(row["class_index"]) for row in rows])
    return assay.case(
        model, pictures, label=truth, target="probability", ids=[row["file"] for row in rows], features=PATCHES
    )


class Clock:
    """Seconds, passes asked for and passes made, by family."""

    def __init__(self, case: Any) -> None:
        self.meter, self.spent = case.model.meter, defaultdict(lambda: np.zeros(5))
        self.each: dict[str, float] = defaultdict(float)

    def run(self, family: str, name: str, do: Callable[[], Any]) -> Any:
        meter = self.meter
        before = np.array([time.perf_counter(), time.process_time(), meter.requested, meter.forwards, meter.backwards])
        answer = do()
        after = np.array([time.perf_counter(), time.process_time(), meter.requested, meter.forwards, meter.backwards])
        self.spent[family] += after - before
        self.each[name] += after[1] - before[1]
        return answer


def measure(first: int, last: int, count: int, store: Path) -> None:
    """All methods and scores on one piece of the pictures, written to ``store``."""
    torch.set_num_threads(1)
    rows, inside = chosen(count)
    begun = time.perf_counter(), time.process_time()
    case = asked(rows[first:last])
    ready = time.process_time() - begun[1]
    clock, found = Clock(case), {}
    given = {"localisation": {"inside": inside[first:last]}, "familiarity": {"reference": strangers()}}
    six = 0.0
    for method, ask in METHODS.items():
        explanation = clock.run("explanations", method, lambda ask=ask: ask(case))
        for family, scores in FAMILIES.items():
            for name, options in scores.items():
                options = {**options, **given.get(family, {})}
                score = clock.run(
                    family, name, lambda n=name, e=explanation, o=options: getattr(evaluate, n)(e, case, **o)
                )
                found[f"{method}/{name}"] = score.values
                for further in ("area", "centre"):
                    if family == "localisation":
                        found[f"{further}/{name}"] = score.extra[further]
        if method not in REFERENCES:
            six = time.process_time() - begun[1]
        print(
            f"pictures {first} to {last}, {method}: {time.process_time() - begun[1]:.0f} processor seconds", flush=True
        )
    spent = {family: list(map(float, line)) for family, line in clock.spent.items()}
    whole = [time.perf_counter() - begun[0], time.process_time() - begun[1], ready, six]
    np.savez(store / f"{first}-{last}.npz", **found)
    (store / f"{first}-{last}.json").write_text(json.dumps({"spent": spent, "each": clock.each, "whole": whole}))


def strangers() -> np.ndarray:
    return np.stack([picture(row) for row in labels()[-STRANGERS:]])


def run(count: int, piece: int, workers: int, store: Path) -> float:
    """Measure the pieces that are missing; the minutes this took."""
    store.mkdir(parents=True, exist_ok=True)
    pieces = [(first, min(first + piece, count)) for first in range(0, count, piece)]
    missing = [one for one in pieces if not (store / f"{one[0]}-{one[1]}.json").exists()]
    begun = time.perf_counter()
    if workers == 1:
        for first, last in missing:
            measure(first, last, count, store)
    else:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            for future in [pool.submit(measure, first, last, count, store) for first, last in missing]:
                future.result()
    return (time.perf_counter() - begun) / 60 if len(missing) == len(pieces) else float("nan")


def gathered(count: int, piece: int, store: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Values of all pieces, in order, and what each piece cost."""
    values, costs = defaultdict(list), []
    for first in range(0, count, piece):
        place = store / f"{first}-{min(first + piece, count)}"
        costs.append(json.loads(place.with_suffix(".json").read_text()))
        with np.load(place.with_suffix(".npz")) as file:
            for name in file.files:
                values[name].append(file[name])
    return {name: np.concatenate(parts) for name, parts in values.items()}, costs


def scored(name: str, of: str, values: np.ndarray) -> Score:
    """The score of all pieces, for its interval."""
    made = Provenance(name, "evaluate", {}, Seed(), "probability", "m", "r", "f", {}, "cpu", {})
    better = getattr(evaluate, name).method.better
    return Score(made, (), values, tuple(map(str, range(len(values)))), better, of)


def told(score: Score, count: int) -> str:
    """Mean and interval; how many pictures have a value, where not all do."""
    known = int(score.defined.sum())
    if not known:
        return "–"
    interval = score.interval()
    few = f" ({known})" if known < count else ""
    return f"{score.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}]{few}"


def scores_table(values: dict[str, np.ndarray], count: int) -> str:
    lines = []
    for scores in FAMILIES.values():
        for name in scores:
            better = {"higher": "↑", "lower": "↓", "neither": "·"}[getattr(evaluate, name).method.better]
            cells = [told(scored(name, method, values[f"{method}/{name}"]), count) for method in METHODS]
            beside = [
                told(scored(name, further, values[f"{further}/{name}"]), count) if f"{further}/{name}" in values else ""
                for further in ("centre", "area")
            ]
            lines.append([f"{name} {better}", *cells, *beside])
    return table(["score", *[f"*{m}*" if m in REFERENCES else m for m in METHODS], "*centre*", "*area*"], lines)


def costs_table(costs: list[dict[str, Any]]) -> str:
    families = ("explanations", *FAMILIES)
    lines = []
    whole = np.array([cost["whole"] for cost in costs]).sum(axis=0)
    total = np.zeros(5)
    for family in families:
        spent = np.sum([cost["spent"][family] for cost in costs], axis=0)
        total += spent
        lines.append([family, *(f"{n:,.0f}" for n in spent[2:]), f"{spent[1] / 60:.1f}", f"{spent[0] / 60:.1f}"])
    lines.append(["loading and converting the net", "", "", "", f"{whole[2] / 60:.1f}", ""])
    lines.append(["**all**", *(f"{n:,.0f}" for n in total[2:]), f"{whole[1] / 60:.1f}", f"{whole[0] / 60:.1f}"])
    heads = ["family", "forwards asked", "forwards made", "backwards made", "processor minutes", "minutes"]
    return table(heads, lines)


def dearest(costs: list[dict[str, Any]]) -> str:
    each: dict[str, float] = defaultdict(float)
    for cost in costs:
        for name, seconds in cost["each"].items():
            each[name] += seconds
    first = sorted(each.items(), key=lambda pair: -pair[1])[:12]
    return "Dearest to be asked first, processor seconds: " + ", ".join(f"{name} {s:.0f}" for name, s in first) + "."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--piece", type=int, default=8, help="pictures measured together")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("/tmp/assay-all-scores"))
    parser.add_argument("--name", default="all_scores", help="bench/<name>.md is written")
    given = parser.parse_args()
    missing = set(evaluate.__all__) - LEFT_OUT - {name for scores in FAMILIES.values() for name in scores}
    if missing:
        raise SystemExit(f"no family asks {sorted(missing)}.")
    minutes = run(given.pictures, given.piece, given.workers, given.store)
    values, costs = gathered(given.pictures, given.piece, given.store)
    whole = np.array([cost["whole"] for cost in costs]).sum(axis=0) / 60
    clock = f"{minutes:.1f} minutes by the clock with references" if np.isfinite(minutes) else "in several sittings"
    count = sum(map(len, FAMILIES.values()))
    told = (
        f"{count} scores, {len(METHODS) - len(REFERENCES)} methods, {given.pictures} pictures, {given.workers} "
        f"processes of one thread: **{whole[3] / given.workers:.1f} minutes** (bar: 30; {whole[3]:.1f} "
        f"processor minutes over the processes). {len(REFERENCES)} references are beyond the bar: "
        f"{clock}, {whole[1]:.1f} processor minutes."
    )
    blocks = (costs_table(costs), dearest(costs), scores_table(values, given.pictures), NOTE)
    write(given.name, "All scores on photographs", str(__doc__).strip(), told, *blocks)


NOTE = (
    "Means over pictures with 95 % intervals; in brackets the pictures that have a value, where not all do. ↑ "
    "higher is better, ↓ lower, · neither. *References* say what a score gives to what explains nothing; *centre* is "
    "the localisation score of a bump over the picture's middle, *area* the boxes' share of the picture, which chance "
    "gets. A family's cost is what it asked first: what another family had asked before was answered from memory "
    "(asked, not made). Scores of scale (local Lipschitz, continuity, explanation error, completeness) may only be "
    "compared between methods of one unit. Settings: integrated gradients 8 nodes, SmoothGrad 4 draws, removal by the "
    "net's own zero, faithfulness correlation and infidelity 100 subsets, Sensitivity-N 25 of each size, explanation "
    "error 256 coalitions, 8 neighbours in an L∞ ball of 2 of 255, shifts by one pixel, 8 stages of the cascade."
)

if __name__ == "__main__":
    main()
