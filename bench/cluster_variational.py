"""The posterior over needed clusters: its price, certified limits, drawn masks, and order beside RISE and Banzhaf."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
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
from assay.basics.seed import Seed
from assay.basics.stats import student_interval
from assay.basics.types import Floats
from assay.engine.coalitions.estimator import all_masks, bernoulli
from assay.engine.coalitions.sample_reuse import banzhaf_estimator
from assay.engine.gibbs.design import posterior_design
from assay.engine.gibbs.posterior import Posterior, choose_beta

DIGITS, SAMPLED, DESIGNS = 30, 1024, 12
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


def price(model: Any, pictures: Any, together: int, repeats: int = 5) -> list[float]:
    """Seconds for bare passes of the 256 filled rows, for the method, and their ratio; medians of interleaved calls."""
    some = pictures[:together]
    case = assay.case(model, some, features=eight(some))
    masks = all_masks(8)
    keep = np.concatenate([case.features.expand_masks(masks, np.full(256, row)) for row in range(together)])
    filled = torch.as_tensor(np.repeat(some, 256, axis=0) * keep)
    net, bare, own = model.net, [], []
    scale = (lambda x: (x / 255 - 0.1307) / 0.3081) if some.shape[1] == 1 else (lambda x: x)
    with torch.no_grad():
        for _ in range(repeats):
            bare.append(time_of(lambda: [net(scale(part)) for part in filled.split(256)]))
            new = fresh(case)
            own.append(time_of(lambda new=new: explain.cluster_variational(new, remove=ZERO)))
    ratios = [one / other for one, other in zip(own, bare)]
    return [float(np.median(bare)), float(np.median(own)), float(np.median(ratios))]


def larger() -> tuple[Any, Any]:
    """A net of seven convolutions with drawn weights, and drawn pictures: 96 × 96 pixels of three channels."""
    torch.manual_seed(0)
    blocks: list[Any] = []
    for inside, outside, stride in ((3, 32, 2), (32, 64, 1), (64, 64, 2), (64, 96, 1), (96, 96, 2), (96, 128, 1)):
        blocks += [torch.nn.Conv2d(inside, outside, 3, stride, 1), torch.nn.ReLU()]
    net = torch.nn.Sequential(*blocks, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(128, 10))
    pictures = np.random.default_rng(0).uniform(size=(1, 3, 12, 12)).astype(np.float32)
    return assay.model.torch(net.eval()), np.kron(pictures, np.ones((1, 1, 8, 8), dtype=np.float32))


def hardened() -> Any:
    """The digit net after 300 steps on digits moved by one signed gradient step of a fifth of the range."""
    torch.manual_seed(0)
    net = Digits()
    net.load_state_dict(load_file(folder("mnist-models") / "cnn.safetensors"))
    held = np.load(folder("mnist") / "mnist.npz")
    x, y = torch.as_tensor(held["x_train"][:9600, None]).float(), torch.as_tensor(held["y_train"][:9600]).long()
    steps = torch.optim.Adam(net.parameters(), 1e-3)

    def loss(part: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(net((part / 255 - 0.1307) / 0.3081), labels)

    for start in [*range(0, 9600, 64), *range(0, 9600, 64)]:
        part, labels = x[start : start + 64].clone().requires_grad_(True), y[start : start + 64]
        (slope,) = torch.autograd.grad(loss(part, labels), part)
        steps.zero_grad()
        loss((part.detach() + 51 * slope.sign()).clamp(0, 255), labels).backward()
        steps.step()
    return assay.model.torch(net.eval(), classes=list("0123456789"), preprocess=lambda x: (x / 255 - 0.1307) / 0.3081)


def sensitivity(model: Any, pictures: Any) -> list[list[str]]:
    """The distance found, that at random points, the bits, and what attacks on single clusters achieve."""
    lines = []
    for name, net in (("as trained", model), ("trained on moved digits", hardened())):
        case = assay.case(net, pictures, features=eight(pictures))
        for radius in (8.0, 77.0):
            found = diagnose.cluster_sensitivity(case, assay.Ball("linf", radius, 0.0, 255.0), remove=ZERO)[0]
            limits, seen = found.interval, found.evidence
            assert limits is not None
            lines.append(
                [
                    name,
                    f"{radius:g}",
                    f"{found.estimate:.2f} [{limits.low:.2f}, {limits.high:.2f}]",
                    f"{found.null:.2f}",
                    f"{seen['bits']:.1f} [{seen['bits low']:.1f}, {seen['bits high']:.1f}]",
                    f"{seen['rank of attack and value']:.2f}",
                    f"{seen['clusters that alone change the class']:.0%}",
                ]
            )
    return lines


SENSITIVITY = ["net", "linf, of 255", "distance found", "random points", "bits", "rank of attack", "flip alone"]


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


def orders(log_p: Floats, clusters: int, budget: int, seed: Seed) -> dict[str, Floats]:
    """Values of each method from so many masks of a whole table of log p: what it gives on the case, without passes."""
    places, p = 2 ** np.arange(clusters), np.exp(log_p)

    def of(estimator: Any, table: Floats) -> Floats:
        design = estimator.design(clusters, budget, seed)
        return np.nan_to_num(estimator.estimate(design, table[:, design.masks @ places]).values)

    design = posterior_design(clusters, 0.1, budget, seed)
    start = Posterior(design, log_p[:, design.masks @ places], 0.1, np.ones(len(log_p)))
    posterior = replace(start, beta=choose_beta(start, 0.9, of_probability=True))
    return {
        "cluster_variational": posterior.values(),
        "cluster_variational, rows with a value": np.where(posterior.is_usable[:, None], posterior.values(), np.nan),
        "rise of p": of(bernoulli(0.5), p),
        "banzhaf of p": of(banzhaf_estimator(clusters, budget), p),
        "banzhaf of log p": of(banzhaf_estimator(clusters, budget), log_p),
        "random": seed.child("random").generator().random((len(log_p), clusters)),
    }


def excess(log_p: Floats, clusters: int, budget: int, designs: int) -> dict[str, Floats]:
    """Clusters beyond the fewest that the order of each method takes to 0.9 of the probability, (design, row).

    Rows without a value are left out.
    """
    masks, chances = all_masks(clusters), np.exp(log_p)
    goals = 0.9 * chances[:, -1]
    least = np.array([masks[one >= goal].sum(axis=1).min() for one, goal in zip(chances, goals)])
    found: dict[str, list[Floats]] = {}
    for number in range(designs):
        for name, values in orders(log_p, clusters, budget, Seed(number)).items():
            counts = [needed(np.argsort(-v, kind="stable"), p, g) for v, p, g in zip(values, chances, goals)]
            undefined = np.isnan(values).any(axis=1)
            found.setdefault(name, []).append(np.where(undefined, np.nan, np.array(counts) - least))
    return {name: np.array(counts) for name, counts in found.items()}


def excess_lines(found: dict[str, Floats]) -> list[list[str]]:
    lines = []
    for name, counts in found.items():
        rows = [one[np.isfinite(one)].mean() for one in counts.T if np.isfinite(one).any()]
        limits = student_interval(np.array(rows))
        text = f"{np.nanmean(counts):.3f} [{limits.low:.3f}, {limits.high:.3f}]"
        lines.append([name, text, f"{(counts == 0).mean():.0%}", f"{np.isnan(counts).mean():.1%}"])
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
    lines.append(
        "\n## Price of 256 masks\n\nMedians of five interleaved calls; one thread of a shared machine, so that ratios "
        "scatter.\n"
    )
    rows = [[f"{n} digit(s)", *(f"{one:.3f}" for one in price(model, pictures, n))] for n in (1, 10, 30)]
    rows.append(["1 picture of 96 × 96, seven layers", *(f"{one:.3f}" for one in price(*larger(), 1))])
    lines.append("\n" + table(["a call", "256 bare passes each, s", "cluster_variational, s", "ratio"], rows))
    missed, width = violations(1000, 8)
    lines.append(
        f"\n\n## Certified limits\n\n{1000 - missed} of 1,000 random games of 8 parts have all exact marginals within "
        f"the limits of a partial table (random prior, β and budget); mean width {width:.3f}.\n"
    )
    case = assay.case(model, pictures, features=eight(pictures))
    lines.append("\n## Clusters beyond the fewest that reach 0.9 of the probability\n")
    head = ["order by", "excess clusters, mean with 95 % interval over digits", "without excess", "undefined"]
    twelve = assay.case(model, pictures, features=assay.mean_shift_clusters(pictures, 12, 12))
    for clusters, some, budgets in ((8, case, (256,)), (12, twelve, (128, 256, 512, SAMPLED, 4096))):
        log_p = -some.with_target("loss").game(ZERO).table(all_masks(clusters))
        for budget in budgets:
            designs = 1 if budget == 2**clusters else DESIGNS
            lines.append(f"\n\n{clusters} clusters, {budget:,} masks a digit, {designs} design(s):\n\n")
            lines.append(table(head, excess_lines(excess(log_p, clusters, budget, designs))))
    lines.append(
        "\n\n## Drawn masks\n\nTwelve clusters; largest error of a marginal in a row, median / 90th percentile.\n"
    )
    lines.append(
        "\n"
        + table(["β", "masks", "error", "rows undefined", "certified width, median"], drawn(twelve.take(range(12))))
    )
    lines.append("\n\n## Sensitivity\n\n")
    lines.append("Sixteen digits, eight clusters.\n\n" + table(SENSITIVITY, sensitivity(model, pictures)))
    write("cluster_variational", "The posterior over needed clusters", "".join(lines))


if __name__ == "__main__":
    main()
