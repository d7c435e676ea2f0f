# SPDX-License-Identifier: Apache-2.0
"""Concepts: the speed of TCAV beside captum's, its test on null concepts, discovery and ConceptSHAP.

Each part is stored in a folder when it is measured; ``--only captum`` needs the environment of the peers
(.venv-peers/bin/python bench/concepts.py --only captum). Without ``--only`` the page is written.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

import assay
from assay import explain
from assay.engine.concepts.directions import Dual, Sets, positive_share

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SHOWN, COUNTERPARTS, RANDOMS, PAIRS, BAR = 40, 20, 9, 7, 10.0
"""Rows of a concept; counterpart sets and random concepts, 200 vectors together; pairs of runs; the bar."""

EACH, BATCHES, ROWS, POOL = 10, 100, 50, 150
"""Null concepts of 30 rows a batch, batches, rows explained, random rows."""

DOGS = range(151, 269)
"""Classes of ImageNet."""


def pictures(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST or MNIST, all rows, in 0 … 1, with labels."""
    place = DATA / name / f"{name.replace('-', '_')}.npz"
    held = np.load(place)
    x = np.concatenate([held["x_train"], held["x_test"]])[:, None].astype(np.float32) / 255
    return x, np.concatenate([held["y_train"], held["y_test"]])


def convolutions(x: np.ndarray, y: np.ndarray, seed: int = 0) -> torch.nn.Module:
    """Two convolutions and two linear layers, trained for two epochs; layer "1" gives 16 maps of 14 × 14."""
    nn = torch.nn
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    rows, labels = torch.as_tensor(x), torch.as_tensor(y).long()
    for _ in range(2):
        for batch in torch.randperm(len(rows)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(rows[batch]), labels[batch]).backward()
            optimiser.step()
    return net.eval()


def pattern_classifier() -> Any:
    """A classifier of captum whose weights are the difference of means: the same vectors as ours, and the fastest."""
    from captum.concept import Classifier

    class Pattern(Classifier):
        def __init__(self) -> None:
            self.found = torch.zeros(0)

        def train_and_eval(self, dataloader: Any, **options: Any) -> dict[str, Any]:
            rows, labels = (torch.cat(parts) for parts in zip(*dataloader))
            self.known = labels.unique(sorted=True)
            step = rows[labels == self.known[0]].mean(dim=0) - rows[labels == self.known[1]].mean(dim=0)
            self.found = torch.stack([step, -step])
            return {}

        def weights(self) -> torch.Tensor:
            return self.found

        def classes(self) -> Any:
            return self.known.tolist()

    return Pattern()


def captum() -> dict[str, Any]:
    """Seconds of pairs of runs, one after another, for as many vectors, and the largest difference of equal scores."""
    from captum.concept import TCAV, Concept

    warnings.filterwarnings("ignore")
    x, y = pictures("fashion-mnist")
    net = convolutions(x[:3000], y[:3000])
    asked = torch.as_tensor(x[3000:][y[3000:] == 8][:100])
    shown = x[4000:][y[4000:] == 5][:SHOWN]
    sets = [x[5000 + SHOWN * one : 5000 + SHOWN * (one + 1)] for one in range(COUNTERPARTS)]
    pool = x[5000 : 5000 + SHOWN * (RANDOMS + 1)]
    model = assay.model.torch(net, gives="logits")

    def ours() -> float:
        begun = time.perf_counter()
        case = assay.case(model, asked, target="logit", label=8)
        explain.tcav(
            case, concepts={"shoe": shown}, random_rows=pool, layers=("1",), counterparts=COUNTERPARTS,
            random_concepts=RANDOMS,
        )  # fmt: skip
        return time.perf_counter() - begun

    def theirs(classifier: Callable[[], Any] | None, folder: str) -> tuple[float, Any]:
        begun = time.perf_counter()
        concepts = [Concept(number, str(number), [torch.as_tensor(one)]) for number, one in enumerate([shown, *sets])]
        pairs = [[concepts[0], one] for one in concepts[1:]]
        pairs += [[concepts[1 + i], concepts[1 + j]] for i in range(RANDOMS) for j in range(COUNTERPARTS) if i != j]
        given = {} if classifier is None else {"classifier": classifier()}
        found = TCAV(net, ["1"], save_path=folder, **given).interpret(asked, pairs, target=8)
        return time.perf_counter() - begun, found

    seconds: dict[str, list[float]] = {"assay": [], "captum": [], "captum, its default classifier": []}
    for pair in range(PAIRS):
        seconds["assay"].append(ours())
        with tempfile.TemporaryDirectory() as folder:
            took, found = theirs(pattern_classifier, folder)
        seconds["captum"].append(took)
        if pair < 1:
            with tempfile.TemporaryDirectory() as folder:
                seconds["captum, its default classifier"].append(theirs(None, folder)[0])
        print({name: values[-1:] for name, values in seconds.items()}, flush=True)
    their_scores = [float(found[f"0-{one}"]["1"]["sign_count"][0]) for one in range(1, COUNTERPARTS + 1)]
    gap = np.abs(np.array(their_scores) - own_scores(model, asked, [shown, *sets])).max()
    return {"seconds": seconds, "gap": float(gap), "vectors": COUNTERPARTS * (1 + RANDOMS)}


def own_scores(model: Any, asked: Any, sets: list[np.ndarray]) -> np.ndarray:
    """Our scores for captum's own sets: the first against each other one."""
    case = assay.case(model, asked, target="logit", label=8)
    inner = case.from_layer("1")
    flat = [
        np.asarray(assay.case(model, torch.as_tensor(one), label=8).from_layer("1").rows.x).reshape(len(one), -1)
        for one in sets
    ]
    gradient = np.asarray(inner.gradient(inner.rows.x)).reshape(len(case), -1).astype(np.float64)
    dual = Dual.of(gradient, gradient, np.concatenate(flat).astype(np.float64), "pattern", 1.0)
    each = np.arange(SHOWN)
    pairs = Sets(np.tile(each, (len(sets) - 1, 1)), np.stack([SHOWN * n + each for n in range(1, len(sets))]))
    return positive_share(dual.sensitivities(pairs), 0.0)


def normal_net(seed: int) -> torch.nn.Module:
    """A net of 6 columns, untrained."""
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


def digits() -> torch.nn.Module:
    """The net of MNIST in the data folder."""
    from safetensors.torch import load_file
    from tests.real.test_mnist import Digits

    net = Digits()
    net.load_state_dict(load_file(DATA / "mnist-models" / "cnn.safetensors"))
    return net.eval()


def null_subjects() -> dict[str, tuple[Any, tuple[str, str], Any]]:
    """Nets, two layers of each, and rows that one batch draws: those explained, then the others."""
    clothes, digit = pictures("fashion-mnist"), pictures("mnist")

    def of(held: tuple[np.ndarray, np.ndarray], label: int) -> Callable[[np.random.Generator, int], np.ndarray]:
        own, others = held[0][held[1] == label], held[0]

        def draw(rng: np.random.Generator, count: int) -> np.ndarray:
            return np.concatenate([own[rng.permutation(len(own))[:ROWS]], others[rng.permutation(len(others))[:count]]])

        return draw

    scaled = assay.model.torch(digits(), gives="logits", preprocess=lambda x: (x - 0.1307) / 0.3081)
    trained = assay.model.torch(convolutions(clothes[0][:3000], clothes[1][:3000]), gives="logits")
    return {
        "6 columns, normal rows, untrained": (
            assay.model.torch(normal_net(0).double(), gives="logits"), ("0", "2"),
            lambda rng, count: rng.normal(size=(ROWS + count, 6)),
        ),
        "Fashion-MNIST, two convolutions": (trained, ("1", "5"), of(clothes, 8)),
        "MNIST, LeNet": (scaled, ("conv2", "fc1"), of(digit, 8)),
    }  # fmt: skip


def null() -> dict[str, Any]:
    """How many of the null concepts of each net and layer the tests call at 5 %."""
    found = {}
    for name, (model, layers, draw) in null_subjects().items():
        counts = {key: np.zeros(2, dtype=int) for key in ("p", "t_test")}
        begun = time.process_time()
        for batch in range(BATCHES):
            drawn = draw(np.random.default_rng([len(found), batch]), POOL + 30 * EACH)
            shown = drawn[ROWS + POOL :].reshape(EACH, 30, *drawn.shape[1:])
            label = 0 if drawn.ndim == 2 else 8
            one = explain.tcav(
                assay.case(model, drawn[:ROWS], target="logit", label=label),
                concepts={f"n{number}": shown[number] for number in range(EACH)},
                random_rows=drawn[ROWS : ROWS + POOL], layers=layers, separability=1.0,
            )  # fmt: skip
            for key in counts:
                counts[key] += (one.extra[key].reshape(2, EACH) <= 0.05).sum(axis=1)
        took = time.process_time() - begun
        found[name] = {"layers": layers, "seconds": took, **{key: value.tolist() for key, value in counts.items()}}
        print(name, found[name], flush=True)
    return found


def dogs() -> np.ndarray:
    """The first 55 photographs of dogs of both folders, 224 × 224."""
    from PIL import Image

    from assay.demos.image import centre_crop

    found = []
    for folder in ("imagenet-sample", "imagenet-val-boxes"):
        with (DATA / folder / "labels.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if int(row["class_index"]) in DOGS]
        found += [np.asarray(Image.open(DATA / folder / row["file"]).convert("RGB")) for row in rows]
    return np.stack([centre_crop(one) for one in found[:55]])


LAST_MAPS = "_swish#1"
"""The layer of EfficientNet-Lite0 whose maps are averaged and classified."""


def discovery() -> dict[str, Any]:
    """Seconds, explained variance and stability of the concepts of dogs."""
    from assay.demos.image import efficientnet_lite0

    x, found = dogs(), {}
    case = assay.case(efficientnet_lite0(), x)
    for count in (10, 25):
        begun = time.process_time()
        one = explain.concept_discovery(case, reference=x, layer=LAST_MAPS, concepts=count, importance="deletion")
        took = time.process_time() - begun
        found[str(count)] = {
            "pictures": len(x), "seconds": took, "explained": one.extra["explained"].tolist(),
            "stability": one.extra["stability"].tolist(),
        }  # fmt: skip
        print(count, found[str(count)], flush=True)
    return found


def completeness() -> dict[str, Any]:
    """Seconds of ConceptSHAP: ten concepts of a small net, and five of a deep one."""
    from assay.demos.image import efficientnet_lite0

    x, y = pictures("fashion-mnist")
    small, deep, found = convolutions(x[:3000], y[:3000]), efficientnet_lite0(), {}
    clothes, few = x[3000:3055], dogs()[:8]
    subjects: tuple[tuple[str, Any, Any, str, int], ...] = (
        ("Fashion-MNIST, two convolutions", assay.model.torch(small, gives="logits"), clothes, "3", 10),
        ("EfficientNet-Lite0", deep, few, LAST_MAPS, 5),
    )
    for name, model, rows, layer, count in subjects:
        case = assay.case(model, rows)
        ways = explain.concept_discovery(
            case.take(range(2)), reference=rows, layer=layer, concepts=count, starts=0, importance="deletion"
        ).extra["directions"]
        for kind in ("refit", "fixed"):
            begun = time.process_time()
            one = explain.concept_shap(case, concepts=(), directions=ways, random_rows=rows, layer=layer, decoder=kind)
            took = time.process_time() - begun
            gap = abs(float(one.values.sum(axis=1).mean()) - float(one.extra["completeness"][0]))
            found[f"{name}|{kind}"] = {
                "rows": len(rows), "coalitions": 2**count, "seconds": took, "gap": gap,
                "accuracy": one.extra["accuracy"].tolist(), "completeness": one.extra["completeness"].tolist(),
            }  # fmt: skip
            print(name, kind, found[f"{name}|{kind}"], flush=True)
    return found


def captum_text(found: dict[str, Any]) -> str:
    seconds = found["seconds"]
    ratios = [theirs / ours for ours, theirs in zip(seconds["assay"], seconds["captum"])]
    lines = [
        [name, str(len(values)), f"{statistics.median(values):.2f}", f"{min(values):.2f} … {max(values):.2f}"]
        for name, values in seconds.items()
    ]
    text = (
        f"{found['vectors']} vectors of 3,136 numbers, {SHOWN} rows a set, 100 rows explained, one process, runs in "
        f"turn, one thread. captum with a classifier that takes the difference of means, as ours: scores of the same "
        f"sets differ by at most {found['gap']:.1g}. Faster by a median factor of {statistics.median(ratios):.1f} "
        f"(pairs {min(ratios):.1f} … {max(ratios):.1f}); the bar is {BAR:g}. Ours also tests: held-out accuracy of "
        f"every concept, random concepts, p. captum's folder of stored vectors was empty before each run."
    )
    return table(["", "runs", "median seconds", "range"], lines) + "\n\n" + text


def null_text(found: dict[str, Any]) -> str:
    from scipy.stats import binom

    total = EACH * BATCHES
    low, high = (int(one) for one in binom.ppf([0.005, 0.995], total, 0.05))
    lines = [
        [name, layer, f"{one['p'][place] / total:.3f}", f"{one['t_test'][place] / total:.3f}"]
        for name, one in found.items()
        for place, layer in enumerate(one["layers"])
    ]
    text = (
        f"{total:,} null concepts a line: 30 rows drawn like the {POOL} random rows, new for every {EACH} concepts; 99 "
        f"random concepts, 20 sets of counterparts. The 99 % binomial interval of 5 % is {low / total:.3f} … "
        f"{high / total:.3f}. The customary test is Welch's t-test of the concept's scores against random pairs: the "
        f"scores of one concept share its rows."
    )
    heads = ["net", "layer", "called at 5 %, rank among random concepts", "called at 5 %, customary t-test"]
    return table(heads, lines) + "\n\n" + text


def discovery_text(found: dict[str, Any]) -> str:
    lines = []
    for count in ("10", "25"):
        one, stability = found[count], np.array(found[count]["stability"])
        lines.append(
            [
                count, f"{one['seconds']:.1f}", f"{one['explained'][0]:.2f}", f"{one['explained'][1]:.2f}",
                f"{np.median(stability):.2f}", f"{(stability >= 0.9).mean():.2f}", f"{stability.min():.2f}",
            ]
        )  # fmt: skip
    heads = [
        "concepts", "CPU seconds", "variance explained", "units shuffled", "median stability", "from .9 on", "worst"
    ]  # fmt: skip
    text = (
        f"{found['10']['pictures']} photographs of dogs, EfficientNet-Lite0, the last maps (49 places, 1,280 units): "
        f"five factorisations (the concepts, three random starts, shuffled units), and the passes."
    )
    return f"{table(heads, lines)}\n\n{text}"


def completeness_text(found: dict[str, Any]) -> str:
    games = [
        [
            *name.split("|"), str(one["rows"]), f"{one['coalitions']:,}", f"{one['seconds']:.1f}",
            f"{one['completeness'][0]:.2f}", f"{one['accuracy'][0]:.2f}", f"{one['gap']:.0e}",
        ]
        for name, one in found.items()
    ]  # fmt: skip
    text = (
        "Concepts of the last maps, found by NMF; the classes of the net are the right ones. A net that is cut at a "
        "layer runs what lies below it again (its output is replaced), so that a coalition costs a pass of the whole "
        "net: of a deep one, minutes for 1,024 coalitions."
    )
    heads = [
        "net", "decoder", "rows", "coalitions", "CPU seconds", "completeness", "right with all",
        "sum of values − completeness",
    ]  # fmt: skip
    return f"{table(heads, games)}\n\n{text}"


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "captum": captum,
    "null": null,
    "discovery": discovery,
    "completeness": completeness,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, default=Path("/tmp/assay-concepts"))
    parser.add_argument("--only", default="", choices=("", *PARTS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.store.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in [given.only] if given.only else PARTS:
        place = given.store / f"{name}.json"
        if given.only or not place.exists():
            place.write_text(json.dumps(PARTS[name]()))
        found[name] = json.loads(place.read_text())
    if not given.only:
        blocks = [
            "## TCAV beside captum", captum_text(found["captum"]), "## Null concepts", null_text(found["null"]),
            "## Concepts found", discovery_text(found["discovery"]),
            "## ConceptSHAP", completeness_text(found["completeness"]),
        ]  # fmt: skip
        write("concepts", "Concepts", str(__doc__).strip(), *blocks)


if __name__ == "__main__":
    main()
