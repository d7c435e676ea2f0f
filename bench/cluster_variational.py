"""The posterior over needed clusters: its price, certified limits, drawn masks, and order beside RISE and Banzhaf."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.engine.test_gibbs_posterior import violations  # as above
from tests.real.test_mnist import Digits  # as above
from tests.shared import folder  # as above

import assay
from assay import Constant, diagnose, explain
from assay.basics.stats import student_interval
from assay.basics.types import Floats
from assay.engine.coalitions.estimator import all_masks

DIGITS, SAMPLED = 30, 1024
ZERO = Constant(0.0)


def digits() -> tuple[Any, Any]:
    net = Digits()
    net.load_state_dict(load_file(folder("mnist-models") / "cnn.safetensors"))
    model = assay.model.torch(net, classes=list("0123456789"), preprocess=lambda x: (x / 255 - 0.1307) / 0.3081)
    held = np.load(folder("mnist") / "mnist.npz")
    return model, held["x_test"][:DIGITS, None].astype(np.float32)


def eight(pictures: Any) -> Any:
    """A cut of each picture into exactly eight clusters."""
    return assay.mean_shift_clusters(pictures, 8, 8)


def time_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def price(model: Any, pictures: Any, together: int, repeats: int = 7) -> list[float]:
    """Seconds for bare passes of the 256 filled rows, for the method, and their ratio; medians of interleaved calls."""
    some = pictures[:together]
    case = assay.case(model, some, features=eight(some))
    masks = all_masks(8)
    keep = np.concatenate([case.features.expand_masks(masks, np.full(256, row)) for row in range(together)])
    filled = torch.as_tensor(np.repeat(some, 256, axis=0) * keep)
    net, bare, own = model.net, [], []
    with torch.no_grad():
        for _ in range(repeats):
            bare.append(time_of(lambda: [net((part / 255 - 0.1307) / 0.3081) for part in filled.split(256)]))
            new = fresh(case)
            own.append(time_of(lambda new=new: explain.cluster_variational(new, remove=ZERO)))
    ratios = [one / other for one, other in zip(own, bare)]
    return [float(np.median(bare)), float(np.median(own)), float(np.median(ratios))]


def fresh(case: Any) -> Any:
    """The same case with nothing cached but its own output."""
    new = assay.case(case.model, case.rows.x, features=case.features)
    _ = new.output, new.prediction
    return new


def needed(order: Any, chances: Floats, goal: float) -> int:
    """Clusters in this order until the class has ``goal``; ``chances`` (mask,) in binary counting order."""
    place = 0
    for count, part in enumerate(order, 1):
        place += 1 << int(part)
        if chances[place] >= goal:
            return count
    return len(order)


def excess(case: Any, clusters: int, budget: int) -> dict[str, Floats]:
    """Clusters beyond the fewest (row,) that the order of each method takes to 0.9 of the probability."""
    masks = all_masks(clusters)
    chances = np.exp(-case.with_target("loss").game(ZERO).table(masks))
    goals = 0.9 * chances[:, -1]
    least = np.array([masks[one >= goal].sum(axis=1).min() for one, goal in zip(chances, goals)])
    probability, loss = case.with_target("probability"), case.with_target("loss")
    values = {
        "cluster_variational": explain.cluster_variational(case, remove=ZERO, budget=budget).values,
        "rise of p": explain.rise(probability, remove=ZERO, budget=budget).values,
        "banzhaf of p": explain.banzhaf(probability, remove=ZERO, budget=budget).values,
        "banzhaf of log p": -explain.banzhaf(loss, remove=ZERO, budget=budget).values,
        "random": explain.random(case).values,
    }
    return {
        name: np.array([needed(np.argsort(-v, kind="stable"), p, g) for v, p, g in zip(found, chances, goals)]) - least
        for name, found in values.items()
    }


def excess_lines(found: dict[str, Floats]) -> list[list[str]]:
    lines = []
    for name, counts in found.items():
        limits = student_interval(counts.astype(float))
        lines.append([name, f"{counts.mean():.2f} [{limits.low:.2f}, {limits.high:.2f}]", f"{(counts == 0).mean():.0%}"])
    return lines


def drawn(case: Any) -> list[list[str]]:
    """Errors of marginals from part of the masks, beside the whole table."""
    lines = []
    for beta in (None, 10.0):
        whole = explain.cluster_variational(case, remove=ZERO, beta=beta)
        for budget in (317, SAMPLED):
            part = explain.cluster_variational(case, remove=ZERO, beta=beta, budget=budget)
            gap = np.abs(part.extra["marginals"] - whole.extra["marginals"]).max(axis=1)
            known = np.isfinite(gap)
            width = part.extra["certified_width"]
            lines.append(
                [
                    "chosen" if beta is None else f"{beta:g}",
                    f"{budget:,}",
                    f"{np.median(gap[known]):.3f} / {np.quantile(gap[known], 0.9):.3f}",
                    f"{int((~known).sum())}",
                    f"{np.median(width):.3f}",
                ]
            )
    return lines


def main() -> None:
    torch.set_num_threads(1)
    model, pictures = digits()
    lines = [f"The digit net, {DIGITS} test digits, absent clusters black.\n"]
    lines.append("\n## Price of 256 masks\n\nMedians of seven interleaved calls; one thread.\n")
    rows = [[f"{n}", *(f"{one:.3f}" for one in price(model, pictures, n))] for n in (1, 10)]
    lines.append("\n" + table(["digits a call", "256 bare passes each, s", "cluster_variational, s", "ratio"], rows))
    missed, width = violations(1000, 8)
    lines.append(
        f"\n## Certified limits\n\n{1000 - missed} of 1,000 random games of 8 parts have all exact marginals within the "
        f"limits of a partial table (random prior, β and budget); mean width {width:.3f}.\n"
    )
    case = assay.case(model, pictures, features=eight(pictures))
    lines.append("\n## Clusters beyond the fewest that reach 0.9 of the probability\n\nEight clusters, 256 masks each:\n")
    head = ["order by", "excess clusters, mean with 95 % interval", "rows without excess"]
    lines.append("\n" + table(head, excess_lines(excess(case, 8, 256))))
    twelve = assay.case(model, pictures, features=assay.mean_shift_clusters(pictures, 12, 12))
    lines.append(f"\nTwelve clusters, {SAMPLED:,} of 4,096 masks each:\n")
    lines.append("\n" + table(head, excess_lines(excess(twelve, 12, SAMPLED))))
    lines.append("\n## Drawn masks\n\nTwelve clusters; largest error of a marginal in a row, median / 90th percentile.\n")
    lines.append("\n" + table(["β", "masks", "error", "rows undefined", "certified width, median"], drawn(twelve.take(range(12)))))
    lines.append("\n## Sensitivity\n\n")
    for radius in (8.0, 26.0):
        found = diagnose.cluster_sensitivity(case, assay.Ball("linf", radius, 0.0, 255.0), remove=ZERO, rows=16)[0]
        lines.append(f"- {found.claim}; {found.evidence}\n")
    write("cluster_variational", "The posterior over needed clusters", "".join(lines))


if __name__ == "__main__":
    main()
