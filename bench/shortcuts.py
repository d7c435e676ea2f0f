"""Shortcuts in pictures: found, confirmed and repaired, on planted ones and on a real one.

Real: EfficientNet-Lite0 on 250 photographs with the half-transparent watermark text of ImageNet-W, which it takes for a
carton, beside Latin text. Planted: digits with a tag on a share of one class, decoy digits, and Iris-Cancer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.planted_cues import decoys, iris_cancer
from tests.watermark_text import CARTON, CHINESE, LATIN, photographs, watermark

import assay
from assay import diagnose, repair
from assay.basics.seed import Seed
from assay.demos.image import efficientnet_lite0
from assay.engine.retraining.last_layer import last_layer_retrained
from assay.engine.shortcuts.artefacts import change_rows, read_artefact
from assay.engine.shortcuts.layer_directions import input_activations, last_linear, mean_difference, project_input
from assay.planted.networks import initialise, perceptron, predict_classes, to_tensor, train_network
from assay.planted.watermark import TAG, load_digits, stamp_images

SPLITS, SEEDS = 10, 6
SWAPPED = "accuracy with the cue of another row"


def real_watermark() -> tuple[str, str]:
    """The findings, and the repair on ten splits into a half that chooses the direction and a half that judges."""
    x, y = photographs()
    model = efficientnet_lite0()
    names = [model.classes[label] for label in y]
    case = assay.case(model, x, label=None)
    lines = []
    for what, artefact, control in (
        ("Chinese text", CHINESE, LATIN),
        ("Chinese text", CHINESE, None),
        ("Latin text", LATIN, None),
    ):
        odds, lost = diagnose.pasted_artefact(
            case,
            artefact=watermark(artefact),
            control=None if control is None else watermark(control),
            toward=model.classes[CARTON],
            labels=names,
        )
        lines.append([
            what, "Latin text" if control else "matched occluder", f"× {odds.evidence['factor of odds']:.3g}",
            f"{odds.evidence['share of rows that rise']:.1%}",
            f"× {odds.evidence['median factor of probability']:.3g}", odds.verdict,
            f"{lost.evidence['accuracy']:.3f} → {lost.evidence['accuracy with the artefact']:.3f}", lost.verdict,
        ])  # fmt: skip
    found = table(
        ["artefact", "control", "odds of carton", "P(carton) rises", "median P(carton)", "SHC302", "top-1", "SHC303"],
        lines,
    )
    layer = last_linear(case)
    head = dict(model.net.named_modules())[layer]
    rows = case.rows.x
    pasted = change_rows(case, read_artefact(watermark(CHINESE), case.rows.shape), rows)
    clean, marked = (input_activations(case, one, layer) for one in (rows, pasted))
    on_features = assay.wrap(torch.nn.Sequential(head))
    truth, splits = np.array(y), []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(truth))
        choose, judge = order[: len(order) // 2], order[len(order) // 2 :]
        direction = mean_difference(clean[choose], marked[choose])
        fixed = project_input(torch.nn.Sequential(head), "0", direction, clean[choose].mean(axis=0))
        both = torch.as_tensor(np.concatenate([clean[choose], marked[choose]]), dtype=torch.float32)
        retrained = last_layer_retrained(
            assay.case(on_features, both, label=None), both, np.tile(truth[choose], 2), epochs=20, rate=1e-4,
            seed=Seed(split), name="retrained",
        )  # fmt: skip
        nets: list[Any] = [head, fixed, retrained.net]
        splits.append([
            float((predict_classes(net, side[judge]) == truth[judge]).mean())
            for net in nets
            for side in (clean, marked)
        ])  # fmt: skip
    mean = np.mean(splits, axis=0).reshape(3, 2)
    lost = mean[0, 0] - mean[0, 1]
    repaired = table(
        ["net", "clean", "with the watermark", "recovered"],
        [
            [name, f"{a:.3f}", f"{b:.3f}", f"{(b - mean[0, 1]) / lost:.0%}"]
            for name, (a, b) in zip(("as it is", "direction projected out", "last layer retrained on both"), mean)
        ],
    )
    return found, repaired


def tagged_net(seed: int, share: float) -> tuple[torch.nn.Module, Any, Any]:
    """A perceptron trained on digits, a share of whose eights have a tag; all rows, and which have it."""
    x, y = load_digits()
    root = Seed(seed)
    generator = root.child("tags").generator()
    order = generator.permutation(len(x))
    x, y = x[order], y[order]
    tagged = (y == 8) & (generator.random(len(x)) < share)
    rows = stamp_images(x, tagged, TAG)
    net = initialise(perceptron(64, 64, 10), root)
    return train_network(net, rows[:1000], y[:1000], root, epochs=15, batch=32, rate=3e-3), rows, tagged


def planted_tags() -> str:
    """Clusters found and confirmed for each share."""
    lines = []
    for share in (0.1, 0.2, 0.5):
        verdicts, scores, effects = [], [], []
        for seed in range(SEEDS):
            net, rows, tagged = tagged_net(seed, share)
            found = diagnose.shortcut_clusters(assay.case(assay.wrap(net), to_tensor(rows), label=None, seed=seed))[0]
            inside = np.isin(np.arange(len(rows)), [int(one) for one in found.rows])
            all_tagged = tagged & (predict_classes(net, rows) == 8)
            scores.append(2 * (inside & tagged).sum() / max(1, inside.sum() + all_tagged.sum()))
            verdicts.append(found.verdict)
            effects.append(found.estimate)
        counts = ", ".join(f"{verdicts.count(one)} {one}" for one in sorted(set(verdicts)))
        lines.append([f"{share:.0%}", counts, f"{np.median(scores):.2f}", f"{np.median(effects):.3f}"])
    return table(["tagged eights", f"SHC301 of {SEEDS} nets", "median F1 of the cluster", "median estimate"], lines)


def decoy_digits() -> str:
    """The swatch's shade tells the class in training and nothing in the test."""
    lines = []
    for seed in range(SEEDS):
        root = Seed(seed)
        generator = root.child("decoys").generator()
        x, y = load_digits()
        order = generator.permutation(len(x))
        x, y = x[order], y[order]
        train, mask = decoys(x[:1000], y[:1000], generator)
        test, _ = decoys(x[1000:], generator.integers(10, size=len(x) - 1000), generator)

        def fit(rows: Any, root: Seed = root, y: Any = y) -> Any:
            net = initialise(perceptron(64, 50, 10), root)
            return train_network(net, rows, y[:1000], root, epochs=30, batch=32, rate=3e-3)

        clean, net = fit(x[:1000]), fit(train)
        made = repair.right_reasons(
            assay.case(assay.wrap(net), to_tensor(test[:1]), label=None), train=(to_tensor(train), y[:1000]),
            held_out=(to_tensor(test), y[1000:]), irrelevant=mask,
        )  # fmt: skip
        nets = (clean, net, made.model.net, made.baseline.net)
        sides = (x[1000:], test, test, test)
        lines.append([float((predict_classes(a, b) == y[1000:]).mean()) for a, b in zip(nets, sides)])
    return accuracies(lines)


def iris_cancers() -> str:
    """The columns of the flowers tell the class in training and nothing once they are shuffled."""
    lines = []
    for seed in range(SPLITS):
        x, y = iris_cancer(seed)
        x = (x - x[:50].mean(axis=0)) / x[:50].std(axis=0)
        root = Seed(seed)

        def fit(rows: Any, root: Seed = root, y: Any = y) -> Any:
            net = initialise(perceptron(rows.shape[1], 50, 2), root)
            return train_network(net, rows, y[:50], root, epochs=60, batch=16, rate=3e-3)

        clean, net = fit(x[:50, 4:]), fit(x[:50])
        case = assay.case(assay.wrap(net), to_tensor(x[50:]), label=None)
        held = to_tensor(x[50:]), y[50:]
        made = repair.right_reasons(
            case, train=(to_tensor(x[:50]), y[:50]), held_out=held, irrelevant=np.arange(34) < 4, epochs=60, batch=16
        )
        other = repair.right_reasons(
            assay.case(made.baseline, to_tensor(x[50:]), label=None), train=(to_tensor(x[:50]), y[:50]),
            held_out=held, irrelevant=np.arange(34) < 4, epochs=1,
        )  # fmt: skip
        alone = float((predict_classes(clean, x[50:, 4:]) == y[50:]).mean())
        lines.append([alone, made.before[SWAPPED], made.after[SWAPPED], other.before[SWAPPED]])
    return accuracies(lines)


def accuracies(lines: list[list[float]]) -> str:
    """Mean accuracies over seeds."""
    heads = ["net without the cue", "net", "right reasons", "last layer retrained"]
    return table(heads, [[f"{value:.3f}" for value in np.mean(lines, axis=0)]])


if __name__ == "__main__":
    torch.set_num_threads(1)
    tags, digits, iris = planted_tags(), decoy_digits(), iris_cancers()
    found, repaired = real_watermark()
    write(
        "shortcuts",
        "Shortcuts: found, confirmed, repaired",
        "EfficientNet-Lite0 on 250 ImageNet pictures (centre 224 × 224), the watermark of ImageNet-W redrawn:",
        found,
        f"Held-out halves, mean of {SPLITS} splits; direction and layer from the other half:",
        repaired,
        "Digits with a tag on a share of the eights:",
        tags,
        f"Decoy digits (a swatch whose shade is the class in training, random in the test), mean of {SEEDS}:",
        digits,
        f"Iris-Cancer with the columns of the flowers shuffled, mean of {SPLITS} halves:",
        iris,
    )
