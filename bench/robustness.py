"""Are robust nets explained better, and inverted more easily? Nets of digits, before and after each defence.

One net 64-128-10, fine-tuned plainly, with an input-gradient penalty, on attacked rows, and globally robust. All are
measured on the same held-out rows, and compared in pairs with plain fine-tuning.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

import assay
from assay import attack, certify, diagnose, evaluate, explain, repair
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.seed import Seed
from assay.basics.stats import student_interval
from assay.engine.retraining.fine_tuning import fine_tune

BALL, EXPLAINED, STARTS = assay.Ball("l2", 0.5), 100, 5
PLAIN, EPOCHS = "plain fine-tuning", 60

MEANINGS = {
    "accuracy": "share of held-out rows classified correctly",
    "robust accuracy": "the same under PGD of 40 steps from two starts, ℓ2 0.5: an upper bound",
    "certified accuracy": "proved by the Lipschitz constant for ℓ2 0.5: a lower bound",
    "faithfulness": "evaluate.faithfulness_correlation of gradients × (x − 0), features removed by 0; higher is better",
    "alignment": "cosine of the gradient of the log odds with (mean of the class − mean of all rows); higher is better",
    "sensitivity": "evaluate.max_sensitivity of gradients within ℓ2 0.5; lower is better",
    "overlap under attack": "top-k overlap of |gradient| under attack.top_k, ℓ2 0.5; higher is better",
    "inversion: class named": "reconstructions whose class a second net names; higher is a larger leak",
    "inversion: correlation": "correlation of reconstructions with the mean of their class; higher is a larger leak",
    "units after an attack on them": "mean usefulness of 20 units after an attack on each, ℓ2 0.3 (ROB102)",
}


def digits() -> tuple[Any, Any, Any, Any]:
    """Training rows and labels, held-out rows and labels, in an order drawn by a seed."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order]
    return x[:1200], y[:1200], x[1200:], y[1200:]


def trained(seed: int, x: Any, y: Any) -> Any:
    """A net trained without any defence."""
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))

    def loss(net: Any, x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(net(x), y)

    fine_tune(net, torch.tensor(x), torch.tensor(y), loss, epochs=20, rate=3e-3, seed=Seed(seed))
    return assay.model.torch(net.eval(), gives="logits")


def nets(seed: int) -> dict[str, Any]:
    """The nets by name."""
    x, y, held, true = digits()
    first = trained(seed, x, y)
    asked = assay.case(first, held[:2])
    given: dict[str, Any] = {"train": (x, y), "held_out": (held[:20], true[:20]), "ball": BALL, "steps": 1, "rows": 2}
    fitting: dict[str, Any] = {"epochs": EPOCHS, "rate": 3e-3}
    attacked = repair.adversarial_training(asked, clean=0.0, **given, **fitting)
    return {
        "before": first,
        PLAIN: attacked.baseline,
        "input-gradient penalty": repair.curvature_penalty(
            asked, of="gradient", strength=3.0, **given, **fitting
        ).model,
        "adversarial training": attacked.model,
        "GloRo": repair.gloro(asked, **given, **fitting).model,
    }


def measured(model: Any, evaluator: Any) -> dict[str, Any]:
    """Each number of a net as one value a row (or a reconstruction)."""
    x, y, held, true = digits()
    every = assay.case(model, held)
    right = every.prediction.argmax(axis=1) == true
    stays = ~attack.pgd(every, BALL, steps=40, restarts=2, labels=true.tolist()).success
    proved = right & (certify.lipschitz_margin(every).radius > BALL.radius)
    rows = assay.case(model, held[:EXPLAINED], label=true[:EXPLAINED].tolist(), target="log_odds")
    zero = assay.Constant(0.0)
    gradient, size = explain.saliency(rows, signed=True), explain.saliency(rows)
    product = explain.input_x_gradient(rows)
    towards = np.stack([x[y == one].mean(axis=0) - x.mean(axis=0) for one in true[:EXPLAINED]])
    cosine = (gradient.values * towards).sum(axis=1)
    cosine = cosine / np.linalg.norm(gradient.values, axis=1) / np.linalg.norm(towards, axis=1)
    start = np.random.default_rng(1).uniform(0, 1, (10 * STARTS, 64)).astype(np.float32)
    classes = np.tile(np.arange(10), STARTS)
    inverted = attack.model_inversion(
        assay.case(model, start), labels=classes.tolist(), start=None, steps=300, bounds=(0.0, 1.0),
        evaluator=evaluator, train=(x, y), held_out=(held, true),
    )  # fmt: skip
    units = diagnose.robust_features(every, true, assay.Ball("l2", 0.3))[0].evidence
    return {
        "accuracy": right.astype(float),
        "robust accuracy": stays.astype(float),
        "certified accuracy": proved.astype(float),
        "faithfulness": evaluate.faithfulness_correlation(product, rows, remove=zero).values,
        "alignment": cosine,
        "sensitivity": evaluate.max_sensitivity(gradient, rows, ball=BALL).values,
        "overlap under attack": attack.top_k(size, rows, BALL, steps=30).after,
        "inversion: class named": inverted.extra["evaluator_agrees"],
        "inversion: correlation": inverted.extra["correlation_with_class_mean"],
        "units after an attack on them": np.array([units["mean after the attack"]]),
    }


def difference(values: Any, plain: Any) -> str:
    """The paired difference with its interval at 95 %."""
    if len(values) == 1:
        return f"{values[0] - plain[0]:+.2f}"
    is_rate = bool(np.isin(np.concatenate([values, plain]), (0.0, 1.0)).all())
    known = np.isfinite(values) & np.isfinite(plain)
    change = values[known] - plain[known]
    limits = paired_rate_interval(plain, values) if is_rate else student_interval(change)
    return f"{change.mean():+.2f} [{limits.low:+.2f}, {limits.high:+.2f}]"


def main() -> None:
    """Write ``bench/robustness.md``."""
    torch.set_num_threads(1)
    clock = time.time()
    x, y, *_ = digits()
    evaluator = trained(77, x, y)
    found = {name: measured(model, evaluator) for name, model in nets(0).items()}
    names = list(found)
    values = [[what, *(f"{np.nanmean(found[name][what]):.3f}" for name in names)] for what in MEANINGS]
    changes = [
        [what, *(difference(found[name][what], found[PLAIN][what]) for name in names if name not in ("before", PLAIN))]
        for what in MEANINGS
    ]
    write(
        "robustness",
        "Robust nets: explained better, inverted more easily?",
        f"One net 64-128-10 of digits (1,200 training rows, 597 held-out rows, {EXPLAINED} of them explained, "
        f"{10 * STARTS} reconstructions from noise), fine-tuned for {EPOCHS} epochs in each way; "
        f"{time.time() - clock:.0f} s on the shared machine.",
        "## Means\n\n" + table(["", *names], values),
        "## Paired differences from plain fine-tuning, with limits at 95 %\n\n"
        + table(["", *(name for name in names if name not in ("before", PLAIN))], changes),
        "## What the numbers are\n\n" + "\n".join(f"- {what}: {text}." for what, text in MEANINGS.items()),
    )


if __name__ == "__main__":
    main()
