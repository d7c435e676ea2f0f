# SPDX-License-Identifier: Apache-2.0
"""Attacks on predictions next to those of foolbox, ART and torchattacks: robust accuracy and time, in one run.

Writes bench/attacks.md (make peers).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attack_nets import digits, pictures, trained_digits

import assay
from assay import attack
from assay.basics.stats import clopper_pearson
from report import machine

ROWS, CHUNK = 200, 100
Attack = Callable[[torch.nn.Module, np.ndarray, np.ndarray, float], np.ndarray]
"""Net, rows in 0 … 1, labels, radius → attacked rows."""


def ours(name: str, **options: Any) -> Attack:
    def run(net: torch.nn.Module, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
        case = assay.case(assay.model.torch(net), x)
        found = getattr(attack, name)(case, assay.Ball("linf", radius, 0.0, 1.0), labels=y.tolist(), **options)
        return np.asarray(found.x)

    return run


def by_torchattacks(name: str, **options: Any) -> Attack:
    def run(net: torch.nn.Module, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
        import torchattacks

        made = getattr(torchattacks, name)(net, eps=radius, **options)
        return np.asarray(made(torch.tensor(x), torch.tensor(y)).detach().numpy())

    return run


def by_foolbox(name: str, **options: Any) -> Attack:
    def run(net: torch.nn.Module, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
        import foolbox

        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        _, clipped, _ = getattr(foolbox.attacks, name)(**options)(
            model, torch.tensor(x), torch.tensor(y), epsilons=radius
        )
        return np.asarray(clipped.detach().numpy())

    return run


def by_art(name: str, **options: Any) -> Attack:
    def run(net: torch.nn.Module, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        loss = torch.nn.CrossEntropyLoss()
        made = PyTorchClassifier(net, loss, x.shape[1:], 10, clip_values=(0.0, 1.0), device_type="cpu")
        found = getattr(evasion, name)(made, eps=radius, verbose=False, **options).generate(x.copy(), y)
        net.eval()
        return np.asarray(found)

    return run


ATTACKS: dict[str, Attack] = {
    "assay auto": ours("auto"),
    "torchattacks AutoAttack (standard)": by_torchattacks("AutoAttack", norm="Linf", n_classes=10, seed=0),
    "assay pgd": ours("pgd"),
    "assay apgd": ours("apgd"),
    "assay fmn": ours("fmn"),
    "torchattacks PGD, 40 steps": by_torchattacks("PGD", steps=40),
    "torchattacks APGD": by_torchattacks("APGD", norm="Linf", steps=100, seed=0),
    "foolbox LinfPGD": by_foolbox("LinfPGD"),
    "foolbox LInfFMN": by_foolbox("LInfFMNAttack"),
    "ART AutoPGD": by_art("AutoProjectedGradientDescent", max_iter=100, nb_random_init=1, eps_step=0.05),
    "ART PGD, 40 steps": by_art("ProjectedGradientDescent", max_iter=40, eps_step=0.01),
}


def unbroken(net: torch.nn.Module, x: np.ndarray, y: np.ndarray, found: np.ndarray, radius: float) -> np.ndarray:
    """Rows still classified correctly; a point outside the ball, or not finite, counts as a failed attack."""
    move = np.abs(found.astype(float) - x.astype(float)).reshape(len(x), -1).max(axis=1)
    valid = np.isfinite(found).reshape(len(x), -1).all(axis=1) & (move <= radius * (1 + 1e-3))
    with torch.no_grad():
        right = net(torch.tensor(np.where(np.isfinite(found), found, 0).astype(np.float32))).argmax(dim=1).numpy() == y
        clean = net(torch.tensor(x)).argmax(dim=1).numpy() == y
    return np.asarray(np.where(valid, right, clean))


def measure(title: str, net: torch.nn.Module, x: np.ndarray, y: np.ndarray, radius: float) -> list[str]:
    seconds = dict.fromkeys(ATTACKS, 0.0)
    standing: dict[str, list[np.ndarray]] = {name: [] for name in ATTACKS}
    largest = dict.fromkeys(ATTACKS, 0.0)
    for start in range(0, len(x), CHUNK):  # interleaved, so that all meet the same load
        part = slice(start, start + CHUNK)
        for name, run in ATTACKS.items():
            started = time.perf_counter()
            try:
                found = run(net, x[part], y[part], radius)
            except Exception as error:  # noqa: BLE001  # a library that fails is reported
                print(title, name, type(error).__name__, error, flush=True)
                found = x[part]
            seconds[name] += time.perf_counter() - started
            standing[name].append(unbroken(net, x[part], y[part], found, radius))
            move = np.abs(found.astype(float) - x[part].astype(float)).max() / radius
            largest[name] = max(largest[name], float(move))
        print(
            title, part, {name: round(float(np.concatenate(s).mean()), 3) for name, s in standing.items()}, flush=True
        )
    slow = seconds["torchattacks AutoAttack (standard)"]
    lines = [
        f"## {title}, ℓ∞ radius {radius:.4g}, {len(x)} rows",
        "",
        "| attack | robust accuracy | 95 % interval | s | share of AutoAttack's time | largest norm / radius |",
        "|---|---|---|---|---|---|",
    ]
    for name, parts in standing.items():
        hits, count = int(np.concatenate(parts).sum()), len(x)
        limits = clopper_pearson(hits, count)
        lines.append(
            f"| {name} | {hits / count:.3f} | {limits.low:.3f} … {limits.high:.3f} | {seconds[name]:.1f} | "
            f"{seconds[name] / slow:.2f} | {largest[name]:.7f} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--cache", type=Path, default=None, help="file of the adversarially trained weights")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    (plain, x, y), (resnet, images, classes) = digits(), pictures()
    n = given.rows
    lines = [
        "# Attacks on predictions next to other libraries",
        "",
        machine(),
        "",
        f"One thread; attacks take turns on {CHUNK} rows each. Robust accuracy is computed again by one fresh pass of "
        f"the net in 0 … 1, from the true labels; a point outside the ball counts as a failed attack. The "
        f"adversarially trained net: four epochs with one step from a random start, radius 0.2.",
        "",
    ]
    trained = trained_digits(cache=given.cache)
    for title, net, rows, labels, radius in (
        ("MNIST CNN", plain, x, y, 0.15),
        ("MNIST CNN, adversarially trained", trained, x, y, 0.25),
        ("ResNet-20, CIFAR-10", resnet, images, classes, 0.6 / 255),
    ):
        lines += measure(title, net, rows[:n], labels[:n], radius)
        given.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
