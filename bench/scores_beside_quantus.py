"""Eight methods × ten scores of pictures of 28 × 28: what assay costs beside Quantus, with Quantus' default settings.

The trained digits net. Per group of pictures, one after another and so interleaved: every score of every method by
Quantus, whose explanations are captum's; the same through assay, scores sharing one case. Seconds are the processor's,
of this process alone, on one thread. Where assay shares, the first score pays: its columns say who paid, the sum is
what counts. Below, two scores against their bare passes: the same passes of the same net at the same batch size, and
nothing else. `.venv-peers/bin/python bench/scores_beside_quantus.py` writes bench/scores_beside_quantus.md.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import captum.attr as attr  # found only once the folder is on the path
from bench.report import table, write  # as above
from tests.evaluate import quantus_matrix as ours  # as above
from tests.peers.quantus_setting import loaded  # as above

import assay
from assay import evaluate, explain
from assay.model.transformations.randomise_weights import layer_names, randomise_weights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
QUIET: dict[str, Any] = {"disable_warnings": True}


class Digits(torch.nn.Module):
    """The trained net, no module used twice, so that captum can take it apart."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.conv1, self.relu1, self.pool1 = nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.relu2, self.pool2 = nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.fc1, self.relu3, self.fc2 = nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool2(self.relu2(self.conv2(self.pool1(self.relu1(self.conv1(x))))))
        return self.fc2(self.relu3(self.fc1(x.flatten(1))))


def digits_net() -> torch.nn.Module:
    from safetensors.torch import load_file

    net = Digits()
    net.load_state_dict(load_file(DATA / "mnist-models" / "cnn.safetensors"))
    return net.eval()


def pictures(rows: int) -> torch.Tensor:
    held = np.load(DATA / "mnist" / "mnist.npz")["x_test"][:rows, None].astype(np.float32)
    return torch.as_tensor((held / 255 - 0.1307) / 0.3081)


PEERS: dict[str, Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gradient": lambda net, x, y: attr.Saliency(net).attribute(x, target=y, abs=False),
    "saliency": lambda net, x, y: attr.Saliency(net).attribute(x, target=y),
    "input × gradient": lambda net, x, y: attr.InputXGradient(net).attribute(x, target=y),
    "integrated gradients": lambda net, x, y: attr.IntegratedGradients(net).attribute(x, target=y, n_steps=8),
    "deconvolution": lambda net, x, y: attr.Deconvolution(net).attribute(x, target=y),
    "guided backprop": lambda net, x, y: attr.GuidedBackprop(net).attribute(x, target=y),
    "DeepLIFT": lambda net, x, y: attr.DeepLift(net).attribute(x, target=y),
    "LRP-ε": lambda net, x, y: attr.LRP(net).attribute(x, target=y),
}


def explaining(name: str) -> Callable[..., np.ndarray]:
    """captum's method as Quantus takes one."""

    def explained(model: Any, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        x = torch.as_tensor(np.asarray(inputs), dtype=torch.float32).requires_grad_()
        return PEERS[name](model, x, torch.as_tensor(np.asarray(targets))).detach().numpy()

    return explained


def metrics(quantus: Any, draws: int) -> dict[str, Callable[[], Any]]:
    near = {"nr_samples": draws, **QUIET}
    return {
        "PixelFlipping": lambda: quantus.PixelFlipping(features_in_step=28, **QUIET),
        "Selectivity": lambda: quantus.Selectivity(patch_size=4, **QUIET),
        "FaithfulnessCorrelation": lambda: quantus.FaithfulnessCorrelation(return_aggregate=False, **QUIET),
        "Infidelity": lambda: quantus.Infidelity(**QUIET),
        "ROAD": lambda: quantus.ROAD(**QUIET),
        "MaxSensitivity": lambda: quantus.MaxSensitivity(**near),
        "AvgSensitivity": lambda: quantus.AvgSensitivity(**near),
        "LocalLipschitzEstimate": lambda: quantus.LocalLipschitzEstimate(**near),
        "RelativeInputStability": lambda: quantus.RelativeInputStability(**near),
        "MPRT": lambda: quantus.MPRT(**QUIET),
    }


def timed(run: Callable[[], Any]) -> float:
    started = process_time()
    run()
    return process_time() - started


def theirs_on(quantus: Any, net: torch.nn.Module, x: torch.Tensor, label: np.ndarray, draws: int) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    for name in PEERS:
        run = explaining(name)
        started = process_time()
        values = run(net, x, label)
        spent["explaining"] += process_time() - started
        for metric, build in metrics(quantus, draws).items():
            given = None if metric == "MPRT" else values.copy()  # so it explains the rows itself, as by default
            spent[metric] += timed(
                lambda build=build, given=given, run=run: build()(
                    model=net, x_batch=x.numpy(), y_batch=label, a_batch=given, explain_func=run,
                    channel_first=True, device="cpu",
                )
            )  # fmt: skip
        print(name, round(sum(spent.values()), 1), flush=True)
    return spent


def ours_on(net: torch.nn.Module, x: torch.Tensor, label: np.ndarray, draws: int) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    started = process_time()
    case = assay.case(assay.wrap(net), x, label=label)
    patches = ours.by_patch(case)
    asked = ours.scores(case, patches, draws)
    spent["explaining"] += process_time() - started
    for method in ours.METHODS.values():
        started = process_time()
        both = method(case), method(patches)
        spent["explaining"] += process_time() - started
        for name, ask in asked.items():
            spent[name] += timed(lambda ask=ask, both=both: ask(*both))
    return spent


def bare_road(net: torch.nn.Module, x: torch.Tensor, label: np.ndarray) -> tuple[float, float]:
    """Seconds of the score, and of as many plain passes at its batch size."""
    case = assay.case(assay.wrap(net), x, label=label)
    e = explain.random(case)
    _ = case.output
    spent = timed(lambda: evaluate.road(e, case, shares=ours.LEVELS))
    rows, size = x.repeat(len(ours.LEVELS), 1, 1, 1), case.max_batch_rows()
    with torch.no_grad():
        return spent, timed(lambda: [net(rows[at : at + size]) for at in range(0, len(rows), size)])


def bare_randomisation(net: torch.nn.Module, x: torch.Tensor, label: np.ndarray, method: Any) -> tuple[float, float]:
    """Seconds of the score, and of explaining the same nets, scrambled beforehand."""
    case = assay.case(assay.wrap(net), x, label=label)
    e, layers = method(case), layer_names(case.model)
    spent = timed(lambda: evaluate.parameter_randomisation(e, case, cascade=True))
    nets = [
        randomise_weights(case.model, case.seed.child("scramble"), layers=layers[: k + 1]) for k in range(len(layers))
    ]
    cases = [assay.case(model, x, label=label) for model in nets]
    return spent, timed(lambda: [method(one) for one in cases])


def ratio(pairs: list[tuple[float, float]]) -> str:
    each = np.array([one / other for one, other in pairs])
    return f"{np.median(each):.2f} ({each.min():.2f} … {each.max():.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--group", type=int, default=16, help="pictures between one contender and the next")
    parser.add_argument("--draws", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    quantus, net, x = loaded(), digits_net(), pictures(given.images)
    label = net(x).argmax(dim=1).numpy()
    theirs, mine = defaultdict(float), defaultdict(float)
    every = []
    for at in range(0, given.images, given.group):
        part, named = x[at : at + given.group], label[at : at + given.group]
        found = ours_on(net, part, named, given.draws), theirs_on(quantus, net, part, named, given.draws)
        for sums, one in zip((mine, theirs), found):
            for name, seconds in one.items():
                sums[name] += seconds
        every.append((sum(found[1].values()), sum(found[0].values())))
        print(at, every[-1], dict(found[0]), dict(found[1]), flush=True)
    lines = [
        [name, f"{theirs[name]:.1f}", f"{mine[name]:.1f}"] for name in ("explaining", *metrics(quantus, given.draws))
    ]
    lines.append(["**all**", f"**{sum(theirs.values()):.1f}**", f"**{sum(mine.values()):.1f}**"])
    all_rows = pictures(64)
    label = net(all_rows).argmax(dim=1).numpy()
    bare = [["road", ratio([bare_road(net, all_rows, label) for _ in range(3)])]]
    small = ours.Net(8)
    bare.append(["road, a smaller net", ratio([bare_road(small, all_rows, label) for _ in range(3)])])
    for name in ("gradient", "integrated gradients", "LRP-ε"):
        pairs = [bare_randomisation(net, all_rows, label, ours.METHODS[name]) for _ in range(15)]
        bare.append([f"parameter_randomisation, {name}", ratio(pairs)])
    text = (
        f"{given.images} pictures, {given.draws} draws, groups of {given.group}. Quantus over assay, by group: "
        f"**{ratio(every)}** (bar 7). ROAD: Quantus over assay {theirs['ROAD'] / mine['ROAD']:.1f} (bar 8)."
    )
    write(
        "scores_beside_quantus",
        "Scores beside Quantus",
        str(__doc__).strip(),
        text,
        table(["seconds", "Quantus", "assay"], lines),
        table(["score", "of its bare passes (bar 1.3 for parameter_randomisation)"], bare),
    )


if __name__ == "__main__":
    main()
