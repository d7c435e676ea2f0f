"""Membership inference on digits: which attack identifies training rows at a low false-positive rate?

Nets 64-128-10, each trained on a random half of the 1,797 rows: up to 64 shadow models and 10 models under attack, all
as one program. Rates are pooled over the 10 models; areas are means.
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
from assay.basics.seed import Seed
from assay.engine.privacy.attack_rates import area_above, rates_at
from assay.engine.privacy.likelihood_ratio import (
    gaussian_ratio,
    gaussian_tail,
    scaled_confidence,
    student_ratio,
    student_tail,
    true_probability,
)
from assay.engine.privacy.relative_membership import best_offline_weight, cross_fitted_scores, probability_ratio
from assay.engine.privacy.shadow_models import balanced_halves
from assay.engine.privacy.shadow_training import ShadowTrainer

SHADOWS, TARGETS, EPOCHS, RATES = 64, 10, 80, (0.01, 0.002)


def attacks(own: Any, shadows: Any, members: Any, is_member: Any, fold: Any) -> dict[str, Any]:
    """Scores (row,) of each attack on one model."""
    p, q = true_probability(own), true_probability(shadows)
    weight = best_offline_weight(q, members)
    return {
        "loss": own,
        "LiRA, variance of each row": gaussian_ratio(own, shadows, members, pooled=False),
        "LiRA, pooled variance": gaussian_ratio(own, shadows, members, pooled=True),
        "Student's t": student_ratio(own, shadows, members),
        "LiRA, offline, variance of each row": gaussian_tail(own, shadows, members, pooled=False),
        "LiRA, offline, pooled variance": gaussian_tail(own, shadows, members, pooled=True),
        "Student's t, offline": student_tail(own, shadows, members),
        "RMIA (γ = 1)": cross_fitted_scores(probability_ratio(p, q, members), ~is_member, fold, 1.0),
        "RMIA, offline (γ = 1, a tuned)": cross_fitted_scores(
            probability_ratio(p, q, members, weight), ~is_member, fold, 1.0
        ),
        "RMIA (γ = 2)": cross_fitted_scores(probability_ratio(p, q, members), ~is_member, fold, 2.0),
    }


def line(name: str, scores: list[Any], is_member: Any) -> tuple[list[str], float]:
    """A line of the table, and the true-positive rate at the first false-positive rate."""
    inside = np.concatenate([one[which] for one, which in zip(scores, is_member)])
    outside = np.concatenate([one[~which] for one, which in zip(scores, is_member)])
    areas = [area_above(one[which], one[~which], 0.95)[0] for one, which in zip(scores, is_member)]
    found = [rates_at(inside, outside, rate) for rate in RATES]
    rates = [f"{one.true_rate:.1%} [{one.limits(0.95)[0].low:.1%}, {one.limits(0.95)[0].high:.1%}]" for one in found]
    return [name, f"{np.mean(areas):.3f}", *rates, f"{found[0].precision(0.1):.0%}"], found[0].true_rate


def main() -> None:
    """Write ``bench/membership.md``."""
    torch.set_num_threads(1)
    start, clock = time.process_time(), time.time()
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    members, is_member = balanced_halves(len(x), SHADOWS, Seed(0)), balanced_halves(len(x), TARGETS, Seed(99))
    trainer = ShadowTrainer(net, epochs=EPOCHS, batch=16)
    outputs = trainer.train(x, y, np.concatenate([members, is_member]), Seed(0)).outputs(x)
    training = time.process_time() - start
    correct = outputs.argmax(axis=2)[SHADOWS:] == y
    model = assay.model.torch(net, gives="logits")
    phi = np.stack([scaled_confidence(one, y, model) for one in outputs])
    fold = np.random.default_rng(0).random(len(x)) < 0.5
    blocks, rates = [], {}
    for count in (SHADOWS, 32, 16, 8, 4):
        found = [
            attacks(own, phi[:count], members[:count], inside, fold) for own, inside in zip(phi[SHADOWS:], is_member)
        ]
        lines = []
        for name in found[0]:
            one, rates[name, count] = line(name, [scores[name] for scores in found], is_member)
            lines += [one] if name != "loss" or count == SHADOWS else []
        heads = ("attack", "AUC", *(f"TPR at FPR {rate:.1%}" for rate in RATES), "precision where 1 in 10 is a member")
        blocks += [f"## {count} shadow models", table(heads, lines)]
    loss = rates["loss", SHADOWS]
    lira, student = rates["LiRA, variance of each row", SHADOWS], rates["Student's t", SHADOWS]
    write(
        "membership",
        "Membership inference on digits",
        f"{TARGETS} nets 64-128-10 under attack, {EPOCHS} epochs; accuracy {correct[is_member].mean():.3f} on training "
        f"rows and {correct[~is_member].mean():.3f} on others. Rates are pooled over the nets ({is_member.sum():,} "
        f"members, {(~is_member).sum():,} others; Clopper–Pearson limits at 95 %, as if rows of different nets were "
        f"independent). The score that a diagnosis reads is LiRA from 64 shadow models on and Student's t below.",
        f"All {SHADOWS + TARGETS} nets were trained in {training:.0f} s of CPU on one thread; everything took "
        f"{time.process_time() - start:.0f} s of CPU, {time.time() - clock:.0f} s on the shared machine.",
        f"**At a false-positive rate of 1 %, LiRA identifies {lira / loss:.1f} times and Student's t "
        f"{student / loss:.1f} times as many training rows as the loss.**",
        *blocks,
        "RMIA's score is a step function of one ratio: γ only decides which rows tie. At γ = 2 nearly all rows tie, "
        "since most probabilities of this net are near 1.",
    )


if __name__ == "__main__":
    main()
