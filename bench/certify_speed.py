"""Certificates by masks: what assay costs beyond the bare forward passes that they ask for.

A digit CNN (49 patches of 4 × 4) and ResNet-20 on CIFAR-10 (64 patches); the top quarter is certified, absent patches
are grey. For some pictures at a time, one after another and so interleaved: the forward passes of a certificate alone,
over its own masked pictures, recorded beforehand; and the whole certificate, which draws the masks, fills the pictures,
decides and computes limits. The fast forward is `assay.model.fast`. Ratios are medians over the groups of pictures.
Converting is told apart. Seconds are the processor's, of this process alone, since the machine is shared.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.attack_nets import digits, pictures  # found only once the folder is on the path
from bench.report import table, write  # as above

import assay
from assay import certify
from assay.model.transformations.fast_forward import fast

BAR, GREY = 1.15, assay.Constant(0.5)
CERTIFICATES: dict[str, Callable[[assay.Case, np.ndarray], Any]] = {
    "soft_stability, 150 draws": lambda case, parts: certify.soft_stability(case, parts, draws=150, remove=GREY),
    "mus, q = 64": lambda case, parts: certify.mus(case, parts, q=64, remove=GREY),
}


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    started = process_time()
    answer = run()
    return process_time() - started, answer


def ready(model: assay.Model, x: np.ndarray) -> tuple[assay.Case, np.ndarray]:
    """A case without cached answers, and the top quarter of its patches: random ones, the same at every call."""
    case = assay.case(model, x, features=assay.grid(x.shape[1:], 4))
    _ = case.output
    order = np.random.default_rng(0).random((len(x), len(case.features))).argsort(axis=1)
    return case, order < len(case.features) // 4


def recorded(model: assay.Model, x: np.ndarray, certificate: Callable[..., Any]) -> list[Any]:
    """The batches of masked pictures that the certificate evaluates."""
    batches: list[Any] = []

    def forward(rows: Any) -> Any:
        batches.append(rows)
        return model.forward(rows)

    case, parts = ready(model, x)
    certificate(replace(case, model=replace(model, forward=forward)), parts)
    return batches


def measure(model: assay.Model, x: np.ndarray, group: int, name: str) -> tuple[list[float], list[float], int]:
    """Seconds of the bare passes and of the certificate, by group of pictures; and the number of passes."""
    bare, whole, passes = [], [], 0
    for start in range(0, len(x), group):
        some = x[start : start + group]
        batches = recorded(model, some, CERTIFICATES[name])
        case, parts = ready(model, some)
        passes += sum(len(batch) for batch in batches)
        runs = [lambda batches=batches: [model.values(one) for one in batches],
                lambda case=case, parts=parts: CERTIFICATES[name](case, parts)]  # fmt: skip
        for which in (0, 1) if (start // group) % 2 == 0 else (1, 0):  # each comes first in half of the groups
            (bare, whole)[which].append(timed(runs[which])[0])
    return bare, whole, passes


def profile(model: assay.Model, x: np.ndarray, name: str, most: int = 12) -> str:
    """The functions of this package and of numpy with the most time of their own."""
    case, parts = ready(model, x)
    profiler = cProfile.Profile()
    profiler.runcall(CERTIFICATES[name], case, parts)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(most)
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--group", type=int, default=8, help="pictures between one contender and the next")
    parser.add_argument("--profile", action="store_true", help="show where the time goes, and write nothing")
    parser.add_argument("--only", default="", help="nets whose name starts so")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines, notes = [], []
    for kind, net, x in nets():
        if not kind.startswith(given.only):
            continue
        model = assay.wrap(net, output="logits", fast=False)
        if "fast" in kind:
            conversion, model = timed(lambda model=model, x=x: fast(model, rows=x))
            notes.append(f"Converting took {conversion:.1f} s once.")
        for name in CERTIFICATES:
            if given.profile:
                print(kind, name, profile(model, x[: given.group], name))
                continue
            bare, whole, passes = measure(model, x, given.group, name)
            ratio = np.array(whole) / np.array(bare)
            lines.append(
                (kind, name, str(len(x)), f"{passes / len(x):.0f}", f"{sum(bare):.1f}", f"{sum(whole):.1f}",
                 f"{np.median(ratio):.3f} ({ratio.min():.2f} … {ratio.max():.2f})",
                 "yes" if np.median(ratio) <= BAR else "no")
            )  # fmt: skip
            print(lines[-1], flush=True)
    heads = ("net", "certificate", "pictures", "passes a picture", "bare s", "certificate s", "certificate / bare",
             f"≤ {BAR}")  # fmt: skip
    text = (
        f"{given.group} pictures a group, one thread. {' '.join(notes)} Of what the digit CNN costs more, half "
        f"is filling the pictures (expanding masks, selecting rows, replacing patches: 8 % of the whole), the rest "
        f"drawing sets (1.3 %), limits (0.9 %) and the steps of each batch of 64 rows."
    )
    if not given.profile:
        write(
            "certify_speed",
            "Certificates beside their bare forward passes",
            str(__doc__).strip(),
            text,
            table(heads, lines),
        )


def nets() -> list[tuple[str, torch.nn.Module, np.ndarray]]:
    """Nets by name with the pictures of each."""
    small, x, _ = digits()
    large, photographs, _ = pictures()
    return [
        ("digit CNN", small, x[:64]),
        ("ResNet-20, fast forward", large, photographs[:64]),
        ("ResNet-20", large, photographs[:64]),
    ]


if __name__ == "__main__":
    main()
