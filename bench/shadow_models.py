"""How much faster are 64 shadow nets trained as one program than one after another? The same nets, in the same run.

Nets 64-128-10 on digits, each on a random half of the rows. One after another: torch's layers, autograd and optimiser
with its defaults, on one thread, on the same rows in the same batches from the same weights.
"""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

from assay.basics.seed import Seed
from assay.engine.privacy.shadow_models import balanced_halves
from assay.engine.privacy.shadow_training import ShadowNets, ShadowTrainer, initial_weights

MODELS, EPOCHS, RUNS = 64, 10, 3


def one_after_another(
    trainer: ShadowTrainer, x: torch.Tensor, y: torch.Tensor, members: np.ndarray, seed: Seed, fused: bool
):
    """The nets and the seconds of CPU that their steps take."""
    nets, steps = [], -(-int(members.sum(axis=1).max()) // trainer.batch)
    for number, line in enumerate(members):
        net = copy.deepcopy(trainer.net)
        start = initial_weights(trainer.net, np.array([number]), seed)
        net.load_state_dict({name: value[0].detach() for name, value in start.items()})
        optimiser = torch.optim.Adam(net.parameters(), lr=trainer.rate, fused=fused or None)
        order, which = seed.child("shadow batches", number).generator(), np.flatnonzero(line)
        for _ in range(trainer.epochs):
            for part in np.array_split(which[order.permutation(len(which))], steps):
                rows = torch.as_tensor(part)
                loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        nets.append(net)
    return nets


def measure(batch: int, fused: bool) -> list[str]:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    trainer = ShadowTrainer(net, batch=batch, epochs=EPOCHS)
    members = balanced_halves(len(x), MODELS, Seed(0))
    rows, labels = torch.as_tensor(x), torch.as_tensor(y)
    ratios, seconds = [], []
    for run in range(RUNS):
        start = time.process_time()
        nets: ShadowNets = trainer.train(x, y, members, Seed(run))
        together = time.process_time() - start
        start = time.process_time()
        singles = one_after_another(trainer, rows, labels, members[::8], Seed(run), fused)
        apart = (time.process_time() - start) * 8  # every eighth of the models, times eight
        seconds.append((together, apart))
        ratios.append(apart / together)
    with torch.no_grad():
        own = nets.outputs(x[:200])
        first = trainer.train(x, y, members[::8], Seed(RUNS - 1)).outputs(x[:200])
        gap = max(float(np.abs(first[k] - one(rows[:200]).numpy()).max()) for k, one in enumerate(singles))
    assert own.shape == (MODELS, 200, 10)
    middle = int(np.argsort(ratios)[RUNS // 2])
    return [
        str(batch), "fused" if fused else "default", f"{seconds[middle][0]:.2f}", f"{seconds[middle][1]:.2f}",
        f"{ratios[middle]:.1f} ×", f"{min(ratios):.1f} ×", f"{gap:.0e}",
    ]  # fmt: skip


def main() -> None:
    """Write ``bench/shadow_models.md``."""
    torch.set_num_threads(1)
    lines = [measure(batch, fused) for batch in (8, 16, 32, 64) for fused in (False, True)]
    heads = ("rows a batch", "Adam of the single nets", "as one program, s", "one after another, s", "median ratio",
             "least", "largest difference of an output")  # fmt: skip
    write(
        "shadow_models",
        "Shadow nets trained as one program",
        f"{MODELS} nets 64-128-10 (ReLU, Adam) on digits (1,797 rows), each on a random half, {EPOCHS} epochs; seconds "
        "of CPU on one thread, both in the same run. One after another: every eighth net by a plain torch loop, times "
        "eight; *default* is `torch.optim.Adam` as it is, *fused* with `fused=True`, as the program itself uses it. "
        "The nets are the same up to rounding.",
        table(heads, lines),
    )


if __name__ == "__main__":
    main()
