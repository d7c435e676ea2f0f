"""Red teaming: coverage of intervals beside garak's, planted faults and their clean twins, false alarms, SmolLM2."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.redteam import planted  # as above

import assay
from assay.basics.errors import AssayError
from assay.basics.samples.clustered_rates import clustered_difference_limits, clustered_rate_limits
from assay.basics.types import Floats
from assay.engine.redteam.local_model import read_local_model

RUNS = 2000
PAIRED_RUNS = 1000
TWINS = 20
NULL_RUNS = 200
SMOL_PROMPTS = 60
"""Prompts of a probe on SmolLM2."""


def rates(kind: str, rng: np.random.Generator, size: tuple[int, int], rate: float, correlation: float) -> Floats:
    """The rate of each prompt (run, prompt), with this mean and intra-prompt correlation."""
    if kind == "beta":
        scale = (1 - correlation) / correlation
        return rng.beta(rate * scale, (1 - rate) * scale, size)
    if kind == "always or never":
        always = rng.random(size) < rate
        mixed = rng.random(size) < correlation  # a prompt is decided, or each answer is drawn
        return np.where(mixed, always, rate)
    spread = 3.0
    grid = scipy_stats.norm.ppf((np.arange(2000) + 0.5) / 2000) * spread
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-middle - grid))).mean() < rate else (low, middle)
    return np.asarray(1 / (1 + np.exp(-low - spread * rng.standard_normal(size))))


def garak_limits(hits: int, answers: int, level: float = 0.95) -> tuple[float, float]:
    """garak's interval: percentile bootstrap over all answers as if independent (limit of many draws)."""
    tail, rate = (1 - level) / 2, hits / answers
    return tuple(scipy_stats.binom.ppf([tail, 1 - tail], answers, rate) / answers)  # type: ignore[return-value]  # two numbers


def coverage(kind: str, prompts: int, draws: int, rate: float, correlation: float) -> list[str]:
    rng = np.random.default_rng([prompts, draws, int(100 * rate), int(100 * correlation), len(kind)])
    hits = rng.binomial(draws, rates(kind, rng, (RUNS, prompts), rate, correlation))
    known: dict[tuple[int, ...], tuple[float, float]] = {}
    inside = np.zeros((3, RUNS))
    first = (rng.random((RUNS, prompts)) < hits / draws).sum(axis=1)
    for run, own in enumerate(hits):
        key = tuple(np.bincount(own, minlength=draws + 1))
        if key not in known:
            known[key] = clustered_rate_limits(own, np.full(prompts, draws))
        limits = known[key], _exact(int(first[run]), prompts), garak_limits(int(own.sum()), prompts * draws)
        inside[:, run] = [low <= rate <= high for low, high in limits]
    shares = inside.mean(axis=1)
    cells = [kind, str(prompts), f"{rate:g}", "–" if kind == "logit normal" else f"{correlation:g}"]
    return [*cells, *(f"{share:.3f}" for share in shares), f"{(hits.sum(axis=1) == 0).mean():.3f}"]


def _exact(hits: int, prompts: int) -> tuple[float, float]:
    """The exact interval of one answer a prompt."""
    return clustered_rate_limits(np.arange(prompts) < hits, np.ones(prompts, dtype=int))


def paired_coverage(prompts: int, shared: float) -> list[str]:
    """Coverage of rate less control, where a share of the prompts is equally prone in both arms."""
    rng, inside = np.random.default_rng([prompts, int(10 * shared)]), 0
    for _ in range(PAIRED_RUNS):
        own, control = rng.beta(0.2, 0.8, prompts), rng.beta(0.1, 0.9, prompts)
        same = rng.random(prompts) < shared
        control = np.where(same, own, control)
        truth = 0.2 - (shared * 0.2 + (1 - shared) * 0.1)
        draws = np.full(prompts, 5)
        low, high = clustered_difference_limits(rng.binomial(5, own), draws, rng.binomial(5, control), draws)
        inside += low <= truth <= high
    return [str(prompts), f"{shared:g}", f"{inside / PAIRED_RUNS:.3f}"]


def verdicts(run: Any, code: str) -> str:
    return next((finding.verdict for finding in run.findings if finding.code == code), "–")


def counted(found: Sequence[str]) -> str:
    kinds = ("fail", "undecided", "pass", "not applicable", "–")
    return ", ".join(f"{found.count(kind)} {kind}" for kind in kinds if found.count(kind))


def canary_twins() -> list[list[str]]:
    """A net that memorised canaries, and one that never saw them: by generation (RED301) and by exposure (PRV202)."""
    found: dict[tuple[str, str], list[str]] = {}
    for seed in range(TWINS):
        for name, inserted in (("memorised", 60), ("clean", 0)):
            run = assay.redteam(
                planted.trained(seed, inserted=inserted), canaries=planted.canaries(seed),
                probes=["trained_canaries"], tokens=6, seed=seed,
            )  # fmt: skip
            for code in ("RED301", "PRV202"):
                found.setdefault((name, code), []).append(verdicts(run, code))
    return [[f"canaries, {name}", code, counted(found[name, code])] for name, code in found]


def classifier_twins() -> list[list[str]]:
    """A classifier that learnt from "she", and one that did not: FAI401."""
    lines = []
    for name, biased in (("biased", True), ("clean", False)):
        found = [
            verdicts(
                assay.redteam(
                    planted.text_classifier(seed, biased=biased), rows=planted.texts(seed), prompts=20,
                    favourable="good", seed=seed,
                ),
                "FAI401",
            )
            for seed in range(TWINS)
        ]  # fmt: skip
        lines.append([f"classifier, {name}", "FAI401", counted(found)])
    return lines


def generator_twins() -> list[list[str]]:
    """Generators by rules: their fault, and the same check on the one without faults."""
    lines = []
    for generator, code in ((planted.obedient, "RED201"), (planted.leaky, "RED101")):
        for name, one in ((generator.__name__, generator), ("without fault", planted.robust)):
            found = [verdicts(assay.redteam(one, seed=seed), code) for seed in range(TWINS)]
            lines.append([f"generator, {name}", code, counted(found)])
    return lines


def chattering(rate: float, seed: int) -> Any:
    """A generator that copies its messages at random, whatever they ask for: attacks have no effect."""
    rng = np.random.default_rng([seed, 5])

    def answer(messages: list[dict[str, str]]) -> str:
        if rng.random() >= rate:
            return "A calm day."
        return " ".join(one["content"] for one in messages)

    return answer


def false_alarms() -> list[list[str]]:
    """Findings of RED101 and RED201 on a generator whose answers do not depend on what is asked."""
    lines = []
    for rate in (0.1, 0.5, 0.9):
        found: list[str] = []
        for seed in range(NULL_RUNS):
            run = assay.redteam(chattering(rate, seed), probes=["direct_injection"], prompts=60, seed=seed)
            finding = run["RED201"]
            found.append("fail" if finding.basis is not None and finding.basis.at(0.95).low > 0 else "pass")
        lines.append([f"{rate:g}", f"{found.count('fail')} of {NULL_RUNS}"])
    return lines


def smol() -> str:
    """SmolLM2-135M-Instruct, where a copy in Hugging Face's layout is in the temporary folder."""
    place = Path(tempfile.gettempdir()) / "assay-smollm2"
    if not (place / "config.json").exists():
        return "Skipped: there is no copy of SmolLM2 in the temporary folder (tests/real/test_redteam.py says how)."
    started, used = time.perf_counter(), time.process_time()
    probes = ["prompt_leakage", "direct_injection", "policy_override"]
    run = assay.redteam(read_local_model(place), probes=probes, prompts=SMOL_PROMPTS, tokens=16)
    took, used = time.perf_counter() - started, time.process_time() - used
    rows = []
    for finding in run.findings:
        seen = finding.evidence
        rate = f"{seen['rate']:.2f} [{seen['rate, low']:.2f}, {seen['rate, high']:.2f}]"
        control = f"{seen['control hits']} of {seen['control answers']}"
        excess = f"{finding.estimate:.2f} [{finding.interval.low:.2f}, {finding.interval.high:.2f}]"
        rows.append([finding.code, finding.verdict, f"{seen['hits']} of {seen['answers']}", rate, control, excess])
    heads = ("check", "verdict", "hits", "rate", "control", "excess, all verdicts together")
    answers = run.record.cost["answers"]
    return (
        f"{table(heads, rows)}\n\n{answers} answers of at most 16 tokens took {used:.0f} CPU-s ({took:.0f} s on a "
        f"machine with a load of {os.getloadavg()[1]:.0f} on two cores)."
    )


def main() -> None:
    cells: list[tuple[str, int, float, float]] = [
        ("beta", prompts, rate, correlation)
        for prompts, rate in ((30, 0.3), (30, 0.5), (60, 0.1), (60, 0.3), (100, 0.05), (100, 0.1), (100, 0.3))
        for correlation in (0.2, 0.5, 0.8)
    ]
    cells += [("beta", 30, 0.05, 0.5), ("beta", 30, 0.1, 0.5), ("beta", 60, 0.05, 0.5)]
    cells += [("always or never", 60, rate, 0.5) for rate in (0.1, 0.3, 0.5)]
    cells += [("logit normal", 60, rate, 0.5) for rate in (0.1, 0.3)]
    covered = [coverage(kind, prompts, 5, rate, correlation) for kind, prompts, rate, correlation in cells]
    heads = ("rates of prompts", "prompts", "rate", "correlation", "clustered", "exact, one answer", "garak", "no hit")
    usual = [float(line[4]) for line in covered[:21]]
    inside = sum(0.93 <= one <= 0.97 for one in usual)
    paired = [paired_coverage(prompts, shared) for prompts in (30, 60, 100) for shared in (0.0, 0.5, 0.9)]
    try:
        real = smol()
    except AssayError as error:
        real = f"Skipped: {error}"
    write(
        "redteam",
        "Red teaming",
        f"## Coverage of nominal 95 % intervals\n\n{RUNS} simulations a line, five answers to each prompt. *clustered* "
        f"is the interval of `assay redteam`, *exact* that of one answer a prompt (Clopper and Pearson), *garak* the "
        f"percentile bootstrap over all answers as if each were a prompt of its own; *no hit* is the share of "
        f"simulations without one, in which garak's interval is [0, 0]. Of the first 21 lines (at least five prompts "
        f"expected to be hit) *clustered* lies in .93 … .97 in {inside}; with fewer expected hits it is wider than "
        f"needed. Where half of the prompts are always or never hit it is up to six points short: one answer a prompt, "
        f"the default, is not.",
        table(heads, covered),
        "## Coverage of rate less control\n\n1,000 simulations, five answers to each prompt and to its control; "
        "*shared* is the share of prompts that are equally prone in both.",
        table(("prompts", "shared", "coverage"), paired),
        f"## Planted faults and their clean twins\n\n{TWINS} seeds each; verdicts at 95 % for all checks of a run "
        f"together. Eight canaries without a hit are undecided, not passed: they are too few.",
        table(("subject", "check", "verdicts"), [*canary_twins(), *classifier_twins(), *generator_twins()]),
        "## False alarms\n\nA generator that copies its messages at random, whatever is asked: how often the 95 % "
        "interval of RED201 lies above 0 (at most 2.5 % is nominal; the true excess is a sixth of the copies below 0, "
        "since the encoded variant does not hold the word).",
        table(("copies", "above 0"), false_alarms()),
        f"## SmolLM2-135M-Instruct\n\n{SMOL_PROMPTS} prompts a probe.",
        real,
    )


if __name__ == "__main__":
    main()
