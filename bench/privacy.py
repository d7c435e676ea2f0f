"""Audits of differential privacy, exposure of secrets, model inversion: the figures of issue 18. Writes privacy.md."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.oracles.character_lstm import canaries, ids, text_with, trained
from tests.oracles.private_logistic import gaussian_epsilon, private_losses

import assay
from assay import attack, diagnose, repair
from assay.basics.seed import Seed
from assay.engine.privacy.bounds import advantage_bound, audited_epsilon, comparable_budget, exponential_bound
from assay.engine.privacy.exposure import distance_from_chance
from assay.engine.retraining.fine_tuning import fine_tune

AUDITS, ROWS, STEPS, DELTA = 200, 1000, 25, 1e-7
LEVELS = {0: 6, 1: 3, 2: 3, 4: 3, 8: 3, 16: 3}


def digits() -> tuple[Any, Any, Any]:
    """Pictures, labels, and a random order."""
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("float32"), y, np.random.default_rng(0).permutation(len(x))


def net(rows: Any, epochs: int, seed: int, shape: tuple[int, ...] = (64,)) -> Any:
    """A model of digits with one hidden layer, trained on some rows."""
    x, y, _ = digits()
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def loss(net: Any, x: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(net(x), y)

    given = torch.tensor(x[rows]).reshape(-1, *shape), torch.tensor(y[rows])
    return assay.model.torch(
        fine_tune(layers, *given, loss, epochs=epochs, batch=50, rate=0.01, seed=Seed(seed)).eval(), gives="logits"
    )


def logistic() -> str:
    """ε̂ of many audits of logistic models whose ε is known exactly."""
    lines = []
    for sigma in (5.0, 10.0, 20.0, 40.0):
        began = time.process_time()
        losses, member = private_losses(
            AUDITS, ROWS, columns=400, sigma=sigma, steps=STEPS, share=1.0, clip=0.5, seed=1
        )
        allowed, slack = comparable_budget(gaussian_epsilon(sigma, STEPS, DELTA), DELTA, "add-remove")
        half = np.arange(ROWS) % 2
        found = np.array(
            [audited_epsilon(line[i], line[~i], half[i], half[~i], delta=slack)[0] for line, i in zip(losses, member)]
        )
        above, spent = int((found > allowed).sum()), time.process_time() - began
        lines.append(
            [
                f"{sigma:g}",
                f"{allowed / 2:.2f}",
                f"{allowed:.2f}",
                f"{max(0, found.max()):.2f}",
                f"{above} of {AUDITS}",
                f"{spent:.1f} s",
            ]
        )
    lines.append(["none, randomised response", "–", "1.00", *response()])
    return table(("noise", "ε", "ε of a replaced row", "largest ε̂", "ε̂ above ε", "CPU"), lines)


def response() -> list[str]:
    """The same where the attack uses all of ε = 1."""
    generator, half, found = np.random.default_rng(0), np.arange(2000) % 2, []
    began, right = time.process_time(), np.e / (1 + np.e)
    for _ in range(1000):
        sides = generator.random(2000) > right, generator.random(2000) > 1 - right
        found.append(audited_epsilon(*(side.astype(float) for side in sides), half, half)[0])
    above = int((np.array(found) > 1).sum())
    spent = time.process_time() - began
    return [f"{max(found):.2f} (mean {np.mean(found):.2f})", f"{above} of 1000", f"{spent:.1f} s"]


def opacus() -> str:
    """Three private nets."""
    x, y, order = digits()
    train, other = (x[order[:898]], y[order[:898]]), (x[order[898:]], y[order[898:]])
    case, lines = assay.case(net(order[:898], 80, 0), x[order[:2]]), []
    for epsilon in (1.0, 3.0, 8.0):
        began = time.process_time()
        found = repair.private_training(case, train=train, held_out=other, epsilon=epsilon, delta=1e-4)
        spent = time.process_time() - began
        bound = diagnose.privacy_bound(
            assay.case(found.model, train[0]), train[1], *other, epsilon=epsilon, delta=1e-4
        )[0]
        after = found.after
        allowed = comparable_budget(epsilon, 1e-4, "add-remove")
        lines.append(
            [
                f"{epsilon:g}",
                f"{found.before['accuracy']:.1%} → {after['accuracy']:.1%} ({after['accuracy, without privacy']:.1%})",
                f"{found.before['advantage of the loss attack']:.3f} → {after['advantage of the loss attack']:.3f} "
                f"({after['advantage of the loss attack, without privacy']:.3f})",
                f"{advantage_bound(*allowed):.3f}; {exponential_bound(epsilon):.3g}",
                f"{max(0.0, bound.interval.low):.2f}, allowed {allowed[0]:g}: {bound.verdict}",
                f"{spent:.0f} s",
            ]
        )
    heads = ("ε", "accuracy (baseline)", "advantage (baseline)", "largest advantage; e^ε − 1", "ε̂", "CPU")
    return table(heads, lines)


def secrets() -> tuple[str, str]:
    """Exposure by level, and the test of the controls."""
    pairs, insertions = canaries(LEVELS, 4, 0)
    began = time.process_time()
    model = assay.model.language_model(trained(text_with(pairs, insertions, 12_000, 0), hidden=128, epochs=15), ids)
    between = time.process_time()
    generator = np.random.default_rng(1)
    controls = [(prefix, f"{generator.integers(10_000):04d}") for prefix, _ in pairs[: LEVELS[0]] for _ in range(20)]
    found = diagnose.exposure(assay.case(model, [*pairs, *controls]), [*insertions, *[0] * len(controls)])
    scored, lines = time.process_time() - between, []
    for one in found:
        bits = one.evidence["exposures"]
        lines.append(
            [
                f"{one.evidence['insertions']:g}",
                str(one.n),
                f"{one.estimate:.2f} [{one.interval.low:.2f}, {one.interval.high:.2f}]",
                f"{min(bits):.2f} to {max(bits):.2f}",
                f"{one.evidence['p']:.2g}",
                f"{len(one.evidence['extracted'])}",
                one.verdict,
            ]
        )
    heads = ("insertions", "canaries", "mean exposure (bits)", "range", "p", "extracted", "verdict")
    p = distance_from_chance(np.array(found[0].evidence["exposures"]))
    text = (
        f"Character LSTM (128) on 12 kB, 15 epochs, all 10,000 candidates scored after each of "
        f"{len({a for a, _ in pairs})} prefixes; training {between - began:.0f} s of CPU, scoring {scored:.0f} s. "
        f"Kolmogorov and Smirnov's test of the controls against the exponential distribution of mean 1.44: p = {p:.2f}."
    )
    return text, table(heads, lines)


def inversion() -> str:
    """Reconstructions of digits nets, named by a second net."""
    x, _, order = digits()
    pictures, lines = x.reshape(-1, 1, 8, 8), []
    for gradient, bounds in (("exact", (0.0, 1.0)), ("nes", (0.0, 1.0)), ("exact", ())):
        agreement, spent, nearer = [], 0.0, []
        for seed in range(3):
            first = net(order[:898], 30, 2 * seed, (1, 8, 8))
            second = net(order[898:], 30, 2 * seed + 1, (1, 8, 8))
            y = digits()[1]
            began = time.process_time()
            found = attack.model_inversion(
                assay.case(first, pictures[:10]),
                labels=list(range(10)),
                bounds=bounds,
                confidence=0.999,
                gradient=gradient,
                evaluator=second,
                train=(pictures[order[:898]], y[order[:898]]),
                held_out=(pictures[order[898:]], y[order[898:]]),
            )
            spent += time.process_time() - began
            agreement.append(found.validity["evaluator_agreement"])
            nearer.append(found.validity["nearer_to_member"])
        lines.append(
            [
                gradient,
                "none" if not bounds else "0 to 1",
                f"{np.mean(agreement):.0%}",
                f"{np.mean(nearer):.0%}",
                f"{spent / 30:.2f} s",
            ]
        )
    return table(
        ("gradient", "bounds", "named rightly", "nearer to a member than to held-out rows", "CPU an image"), lines
    )


def main() -> None:
    """Write bench/privacy.md."""
    torch.set_num_threads(1)
    text, exposed = secrets()
    parts = [
        "## Audits of logistic models whose ε is known exactly",
        f"{AUDITS} models a line, {ROWS} rows of random labels each, of which each is trained on with probability ½; "
        f"{STEPS} full batches, δ = {DELTA:g}. ε by the exact formula of the Gaussian mechanism; ε̂ from the loss, the "
        "rule chosen on one half of the rows, measured on the other. In the last line the attack uses all of ε.",
        logistic(),
        "## Nets trained with Opacus",
        "digits, 898 rows, net 64-128-10, δ = 1e-4, 20 epochs; the baseline has weight decay and early stopping.",
        opacus(),
        "## Exposure",
        text,
        exposed,
        "## Model inversion",
        "Three nets 64-128-10 of 898 digits, ten reconstructions each from 0, γ = 0.999; the second net is trained on "
        "the other rows.",
        inversion(),
    ]
    write("privacy", "Differential privacy, exposure, model inversion", *parts)


if __name__ == "__main__":
    main()
