"""How fast gradient methods and backward rules are, beside captum and beside one plain gradient.

Writes bench/gradients.md (make peers).
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import captum.attr as attr  # found only once the folder is on the path
from bench.report import table, write  # as above

import assay  # as above
from assay import explain  # as above
from assay.cases.case import Case  # as above
from assay.demos.image import efficientnet_lite0, photographs  # as above

APART = (
    "The secant rule adds up by construction, so this is no measure of how near its map is to the integral. That was "
    "measured apart, against 400 nodes in ten panels: relative error of 16-pixel patches 0.17 and 0.19 with 8 panels, "
    "0.06 and 0.10 with 16, 0.02 and 0.04 with 32 (each and half as many are made); Gauss–Legendre 0.20 and 0.39 with "
    "16 nodes, 0.05 and 0.07 with 50, 0.03 and 0.04 with 100."
)
PAIRS, LONG_PAIRS, THREADS, PICTURES, FEW, BATCH = 5, 3, 2, 16, 4, 16
LAYER, LAST, NODES, DRAWS, STEPS = "_blocks.8", "_conv_head", 50, 16, 8

MODEL = efficientnet_lite0()


class Net(torch.nn.Module):
    """The very net that assay uses, laid out as there, after the same preprocessing; for captum."""

    def __init__(self, last: bool = True) -> None:
        super().__init__()
        import copy

        form = torch.channels_last if last else torch.contiguous_format
        self.net = copy.deepcopy(MODEL.net).to(memory_format=form)
        self.form = form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(((x - 127.0) / 128.0).contiguous(memory_format=self.form))

    def at(self, layer: str) -> torch.nn.Module:
        return dict(self.net.named_modules())[layer]


def asked() -> Case:
    """Sixteen pictures: the six photographs, mirrored, and some of them darker; each as predicted."""
    six = photographs().astype(np.float32)
    x = np.concatenate([six, six[:, :, :, ::-1], 0.6 * six])[:PICTURES]
    return assay.case(MODEL, torch.as_tensor(np.ascontiguousarray(x)))


def warm(case: Case) -> Case:
    """The case with its target known, as it is from the second question on."""
    _ = case.output
    return case


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], long: bool = False
) -> tuple[list[float], list[float]]:
    """Seconds of both, one after the other, the order changing from pair to pair.

    After one call of each, but for what takes ``long``: that has fewer pairs, too.
    """
    for work in () if long else (ours, theirs):
        work()
    found: tuple[list[float], list[float]] = ([], [])
    for pair in range(LONG_PAIRS if long else PAIRS):
        for which in (0, 1) if pair % 2 == 0 else (1, 0):
            found[which].append(seconds((ours, theirs)[which]))
    return found


def told(ratios: list[float]) -> str:
    """The median and the spread of some ratios."""
    return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


Pair = tuple[str, Callable[[], object], Callable[[], object]]


def beside_captum(case: Case, few: Case, net: Net, laid: Net) -> list[Pair]:
    """Name, ours, captum's; ``net`` is as its maker loads it, ``laid`` has our copy's memory layout."""
    labels, some = torch.as_tensor(case.label.copy()), torch.as_tensor(few.label.copy())
    noise = [float(0.15 * (few.rows.x.max() - few.rows.x.min()))]
    start = 127.0

    def x(source: Case = case) -> torch.Tensor:
        return source.rows.x.clone().requires_grad_(True)

    return [
        ("saliency", lambda: explain.saliency(case), lambda: attr.Saliency(net).attribute(x(), target=labels)),
        (
            "saliency, captum's net laid out channels last, too",
            lambda: explain.saliency(case),
            lambda: attr.Saliency(laid).attribute(x(), target=labels),
        ),
        (
            "input_x_gradient",
            lambda: explain.input_x_gradient(case),
            lambda: attr.InputXGradient(net).attribute(x(), target=labels),
        ),
        (
            f"integrated_gradients, {NODES} nodes, {FEW} pictures",
            lambda: explain.integrated_gradients(few, start=start, steps=NODES),
            lambda: attr.IntegratedGradients(net).attribute(
                x(few), torch.full_like(few.rows.x, start), some, n_steps=NODES, internal_batch_size=BATCH
            ),
        ),
        (
            f"smooth_grad, {DRAWS} draws, {FEW} pictures",
            lambda: explain.smooth_grad(few, draws=DRAWS),
            lambda: attr.NoiseTunnel(attr.Saliency(net)).attribute(
                x(few), nt_samples=DRAWS, nt_samples_batch_size=BATCH // FEW, stdevs=noise[0], target=some, abs=False
            ),
        ),
        (
            "guided_backprop",
            lambda: explain.guided_backprop(case),
            lambda: attr.GuidedBackprop(net).attribute(x(), target=labels),
        ),
        (
            f"grad_cam at {LAST}",
            lambda: explain.grad_cam(case, layer=LAST),
            lambda: attr.LayerGradCam(net, net.at(LAST)).attribute(x(), target=labels, relu_attributions=True),
        ),
        (
            f"conductance at {LAYER}, {STEPS} nodes, {FEW} pictures",
            lambda: explain.conductance(few, layer=LAYER, start=start, steps=STEPS),
            lambda: attr.LayerConductance(net, net.at(LAYER)).attribute(
                x(few), torch.full_like(few.rows.x, start), some, n_steps=STEPS, internal_batch_size=BATCH
            ),
        ),
    ]


def beside_a_gradient(case: Case) -> list[tuple[str, Callable[[], object], float]]:
    """Name, ours, the most it may cost in plain gradients."""
    return [
        ("lrp, epsilon", lambda: explain.lrp(case, composite="epsilon"), 3.0),
        ("lrp, epsilon_plus (default)", lambda: explain.lrp(case), 6.0),
        ("lrp, z_plus", lambda: explain.lrp(case, composite="z_plus"), 6.0),
        ("lrp, alpha_beta", lambda: explain.lrp(case, composite="alpha_beta"), 6.0),
        ("deep_lift", lambda: explain.deep_lift(case, start=127.0), 3.0),
        ("guided_backprop", lambda: explain.guided_backprop(case), 3.0),
    ]


def complete(case: Case, net: Net) -> list[list[str]]:
    """Integrated gradients until they add up: seconds, and the worst share of the rise that is left."""
    labels = torch.as_tensor(case.label.copy())

    def theirs(nodes: int) -> torch.Tensor:
        explainer = attr.IntegratedGradients(net)
        return explainer.attribute(case.rows.x, 0 * case.rows.x, labels, n_steps=nodes, internal_batch_size=BATCH)

    ours = {
        "assay, rule='secant', 8 panels": lambda: explain.integrated_gradients(case, rule="secant", steps=8),
        "assay, tolerance=0.05": lambda: explain.integrated_gradients(case, tolerance=0.05),
    }
    asked = ours | {f"captum, {nodes} nodes": (lambda nodes=nodes: theirs(nodes)) for nodes in (50, 200)}
    found = []
    for name, work in asked.items():
        begun = time.perf_counter()
        answer = work()
        taken = time.perf_counter() - begun
        total = answer.values.sum(axis=1) if hasattr(answer, "base") else answer.flatten(1).sum(1).double().numpy()
        base = case.value(0 * case.rows.x)
        left = np.abs(case.output - base - total) / np.abs(case.output - base)
        found.append([name, f"{taken:.1f} s", f"{left.max():.1e}"])
    return found


def row(name: str, ours: list[float], theirs: list[float], ratios: list[float], bar: str, kept: bool) -> list[str]:
    fingerprint = bar if kept else f"**{bar}: missed**"
    return [name, f"{np.median(ours):.2f} s", f"{np.median(theirs):.2f} s", told(ratios), fingerprint]


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore")
    case = warm(asked())
    few, net, laid = warm(case.take(np.arange(FEW))), Net(last=False), Net()
    load, begun = os.getloadavg()[0], time.perf_counter()
    first, second = [], []
    for name, ours, theirs in beside_captum(case, few, net, laid):
        mine, yours = paired(ours, theirs, long="pictures" in name)
        print(f"{time.perf_counter() - begun:5.0f} s  {name}", file=sys.stderr, flush=True)
        ratios = [b / a for a, b in zip(mine, yours)]
        first.append(row(name, mine, yours, ratios, "≥ 1.2", float(np.median(ratios)) >= 1.2))
    for name, ours, bar in beside_a_gradient(case):
        mine, plain = paired(ours, lambda: case.gradient(case.rows.x))
        print(f"{time.perf_counter() - begun:5.0f} s  {name}", file=sys.stderr, flush=True)
        ratios = [a / b for a, b in zip(mine, plain)]
        second.append(row(name, mine, plain, ratios, f"≤ {bar:g}", float(np.median(ratios)) <= bar))
    third = complete(warm(case.take([0, 1])), net)
    taken = time.perf_counter() - begun
    told_first = (
        f"EfficientNet-Lite0, {PICTURES} pictures of 3 × 224 × 224 in float32 (where said, {FEW}), batches of {BATCH}, "
        f"{THREADS} threads, {PAIRS} interleaved pairs after one call of each ({LONG_PAIRS} without it where {FEW} "
        f"pictures are said): the median, and the spread over pairs. "
        f"captum has the net as it is loaded, with parameters that ask for no gradient, and the same preprocessing; "
        f"assay's private copy lies channels last, and its cases know their target already (the first question costs "
        f"one more forward pass). "
        f"Load of the machine when it began: {load:.1f}; {taken / 60:.1f} minutes in all."
    )
    remarks = (
        "captum's GuidedBackprop knows nn.ReLU only: on this net's ReLU6 it gives the plain gradient. Its conductance "
        "takes differences of activations, ours the derivative."
    )
    write(
        "gradients",
        "Speed of gradient methods and backward rules",
        told_first,
        "## Beside captum",
        table(["method", "assay", "captum", "captum / assay", "bar"], first),
        remarks,
        "## Beside one plain gradient",
        table(["method", "assay", "one gradient", "method / gradient", "bar"], second),
        "## Integrated gradients from black until they add up, 2 pictures",
        table(["by", "time", "worst share of the rise left over"], third),
        APART,
    )


if __name__ == "__main__":
    main()
