"""Attacks by data and what detects them: backdoors, moved backgrounds, changed labels; each detector's ROC by its null.

Backdoors: 4,000 digits of 28 × 28 pixels with a patch of 4 × 4 (the attack), and 8 × 8 digits with 2 × 2 (the check).
Backgrounds: bike rentals per hour and a net. Labels: digits 3 against 8 and the breast cancer table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.backdoored_digits import TARGET, case, poisoned
from tests.shared import DATA

import assay
from assay import attack, diagnose
from assay.basics.samples.trigger_limits import clearest_trigger, trigger_contrasts, trigger_limits
from assay.basics.seed import Seed
from assay.basics.stats import auc, clopper_pearson
from assay.cases.case import Case
from assay.engine.data_quality.out_of_fold import by_default
from assay.engine.poisoning.carriers import find_carriers
from assay.engine.poisoning.triggers import TriggerOptions, Triggers, reconstruct_triggers

SHARES, SEEDS, CLEAN, LIMIT, DRAWS = (0.02, 0.01, 0.005), 10, 20, float(np.log(1.5)), 8
COLUMNS = ["season", "mnth", "hr", "holiday", "weekday", "workingday", "weathersit", "temp", "hum", "windspeed"]


def fit_digits(x: Any, y: Any, seed: Seed, strength: float) -> torch.nn.Module:
    """A small convolutional net, 10 epochs."""
    generator = torch.Generator().manual_seed(int(seed.generator().integers(2**31)))
    with torch.random.fork_rng():
        torch.manual_seed(int(seed.generator().integers(2**31)))
        net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 5, stride=2, padding=2), torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 3, stride=2, padding=1), torch.nn.ReLU(),
            torch.nn.Flatten(), torch.nn.Linear(16 * 49, 10),
        )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    rows, labels = torch.as_tensor(x), torch.as_tensor(y)
    for _ in range(10):
        for some in torch.randperm(len(rows), generator=generator).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(rows[some]), labels[some]).backward()
            optimiser.step()
    return net.eval()


def planted() -> str:
    """Success of the patch on held-out digits, next to the clean twin."""
    z = np.load(DATA / "mnist/mnist.npz")
    x, y = (z[f"x_{part}"].reshape(-1, 1, 28, 28).astype(np.float32) / 255 for part in ("train", "test"))
    labels = [z[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
    recipe = assay.Recipe(fit_digits, x[:4000], labels[0][:4000])
    model = assay.wrap(fit_digits(x[:500], labels[0][:500], Seed(0), 0.0))
    lines = []
    for share in (0.005, 0.02):
        for seed in range(3):
            one = assay.case(model, y[:1000], label=None, seed=seed)
            found = attack.backdoor(one, recipe=recipe, target_label=7, share=share, size=4, labels=labels[1][:1000])
            v = found.validity
            low, high = v["success, limits"]
            lines.append([
                f"{v['training rows with the patch']} ({share:.1%})", str(seed),
                f"{v['success']:.3f} [{low:.3f}, {high:.3f}]",
                f"{v['success of the patch in the clean model']:.3f}", f"{v['success of the patch elsewhere']:.3f}",
                f"{v['accuracy of the poisoned model']:.3f}", f"{v['accuracy of the clean model']:.3f}",
            ])  # fmt: skip
    heads = ["stamped", "seed", "success [95 %]", "in the clean net", "patch elsewhere", "accuracy", "clean net's"]
    return table(heads, lines)


def triggers(one: Case, seed: int) -> Triggers:
    """The triggers of all classes as ``diagnose.backdoor`` searches them."""
    order = np.random.default_rng(seed).permutation(len(one))
    return reconstruct_triggers(one, order[:64], np.sort(order[64:]), np.arange(10), TriggerOptions())


def backdoors() -> tuple[str, str]:
    """How often the class is named and the check fails; areas under the ROC curve against clean nets."""
    null = np.stack([triggers(case(seed, 0.0), seed).logs for seed in range(100, 110)])  # seeds of no net judged
    clean = [triggers(case(seed, 0.0), seed).logs for seed in range(10, 10 + CLEAN)]
    lines, alone, rows = [], np.empty((0, 10)), []
    for share in (*SHARES, 0.0):
        found = [triggers(case(seed, share), seed) for seed in range(SEEDS)] if share else []
        logs = [one.logs for one in found] or clean
        for what, known in (("the other classes", alone), ("10 clean nets", null)):
            lows = np.array([trigger_limits(one, known, 0.95)[0] for one in logs])
            others = np.array([trigger_limits(one, known, 0.95)[0] for one in clean])
            named = sum(clearest_trigger(one, known, 0.95)[1] == TARGET for one in logs)
            factor = np.median([np.exp(np.nanmax(trigger_contrasts(one, known, 0.95)[0])) for one in logs])
            lines.append([
                f"{share:.1%}", what, f"{named} of {len(logs)}",
                f"{(lows > LIMIT).sum()} of {len(logs)}",
                f"{factor:.2f}", f"{auc(others, lows):.3f}" if share else "–",
            ])  # fmt: skip
        for seed, one in enumerate(found):
            x, y, stamped = poisoned(seed, share)
            carriers = find_carriers(case(seed, share), x, y, one.artefact(TARGET), TARGET)
            own = stamped[carriers.places]
            rows.append((share, auc(-carriers.distance[~own], -carriers.distance[own]), own[carriers.carry].sum(),
                         carriers.carry.sum(), own.sum()))  # fmt: skip
    carried = [
        [f"{share:.1%}", f"{np.mean([r[1] for r in rows if r[0] == share]):.3f}",
         f"{sum(r[2] for r in rows if r[0] == share)} of {sum(r[3] for r in rows if r[0] == share)}",
         f"{sum(r[2] for r in rows if r[0] == share)} of {sum(r[4] for r in rows if r[0] == share)}"]
        for share in SHARES
    ]  # fmt: skip
    heads = ["stamped", "compared with", f"class {TARGET} named", "DAT401 fails", "median factor", "area of the ROC"]
    return table(heads, lines), table(
        ["stamped", "area of the ROC", "listed that are stamped", "stamped that are listed"], carried
    )


def bike_net() -> tuple[Any, np.ndarray]:
    """A net for rentals per hour, and the rows it was not trained on."""
    frame = pd.read_csv(DATA / "bike-sharing/hour.csv")
    order = np.random.default_rng(0).permutation(len(frame))
    x = frame[COLUMNS].to_numpy(dtype=np.float32)[order]
    y = ((frame["cnt"] - frame["cnt"].mean()) / frame["cnt"].std()).to_numpy(dtype=np.float32)[order]
    centre, scale = torch.tensor(x.mean(axis=0)), torch.tensor(x.std(axis=0))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = torch.nn.Linear(10, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU()
            self.net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 1))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.net((rows - centre) / scale)

    torch.manual_seed(0)
    net = Net()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    rows, labels = torch.tensor(x[:8000]), torch.tensor(y[:8000])
    for _ in range(15):
        for some in torch.randperm(8000).split(128):
            optimiser.zero_grad()
            ((net(rows[some])[:, 0] - labels[some]) ** 2).mean().backward()
            optimiser.step()
    return assay.wrap(net.eval(), output="values"), x[8000:]


def backgrounds() -> str:
    """How much of the curve of temp is left by cap, and the areas of the three checks against fresh backgrounds."""
    model, x = bike_net()
    null: Any = None
    lines = []
    for cap in (0.0, 0.25, 0.5, 1.0, 2.0):
        found, left, blind = [], [], []
        for seed in range(DRAWS):
            order = np.random.default_rng(seed).permutation(len(x))
            given = x[order[200:400]]
            if cap:
                own = assay.case(model, x[order[400:440]], names=COLUMNS, seed=seed)
                made = attack.background(own, background=given, column="temp", cap=cap)
                given = made.extra["background"]
                left.append(made.validity["share left"])
                blind.append(made.validity["p of the predictions (Kolmogorov–Smirnov)"])
            checks = diagnose.background(assay.case(model, x[order[:200]], names=COLUMNS, seed=seed), given)
            found.append([(one.estimate, one.verdict == "fail") for one in checks])
        values, fails = (np.array([[pair[which] for pair in one] for one in found]) for which in (0, 1))
        values = values * np.array([-1.0, 1.0, -1.0])
        null = values if null is None else null
        areas = [f"{auc(null[:, one], values[:, one]):.2f}, {int(fails[:, one].sum())} of {DRAWS}" for one in range(3)]
        lines.append(
            [f"{cap:g}", f"{np.median(left):.2f}" if cap else "1", f"{np.median(blind):.2g}" if cap else "–", *areas]
        )
    return table(["cap, sd", "share of the slope left", "p of the predictions", *(f"{one}: area, fails" for one in
                 ("DAT402", "DAT403", "DAT404"))], lines)  # fmt: skip


def tables_of_labels() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    z = np.load(DATA / "mnist/mnist.npz")
    some = np.isin(z["y_train"], (3, 8))
    digits = z["x_train"][some].reshape(-1, 28, 28)[:, ::2, ::2].reshape(-1, 196)[:1200] / 255.0
    x, y = load_breast_cancer(return_X_y=True)
    return {
        "digits 3 and 8": (digits, (z["y_train"][some][:1200] == 8).astype(int)),
        "breast cancer": (StandardScaler().fit_transform(x), y),
    }


def labels() -> str:
    """Accuracy after flips, and the area of the ROC of label_errors' ranking of the flipped rows."""
    lines = []
    for name, (x, y) in tables_of_labels().items():
        for share in (0.05, 0.1, 0.2):
            found, areas, verdicts = [], [], []
            for seed in range(5):
                order = np.random.default_rng(seed).permutation(len(x))
                train, rest = order[: len(x) // 2], order[len(x) // 2 :]
                fitted = LogisticRegression(C=1.0, max_iter=3000).fit(x[train], y[train])
                one = assay.case(assay.wrap(fitted), x[rest], label=None, seed=seed)
                made = attack.labels(one, train=(x[train], y[train]), labels=y[rest], share=share)
                v = made.validity
                found.append([v["accuracy before"], v["accuracy after random changes"], v["accuracy"]])
                flipped = np.zeros(len(train), dtype=bool)
                flipped[made.extra["changed"].astype(int)] = True
                drawn = np.random.default_rng(seed).permutation(len(train))[: flipped.sum()]
                for which in (flipped, np.isin(np.arange(len(train)), drawn)):
                    given = np.where(which, 1 - y[train], y[train])
                    out = by_default(one, x[train], given, 5, Seed(seed))
                    own = out.probabilities[np.arange(len(out.judged)), given[out.judged]]
                    (check,) = diagnose.label_errors(one, x[train], given)
                    verdicts.append(check.verdict == "fail")
                    areas.append(auc(-own[~which[out.judged]], -own[which[out.judged]]))
            failures = np.reshape(verdicts, (-1, 2)).sum(axis=0)
            mean = np.mean(found, axis=0)
            lines.append([name, f"{share:.0%}", *(f"{one:.3f}" for one in mean), f"{np.mean(areas[::2]):.2f}",
                          f"{np.mean(areas[1::2]):.2f}", *(f"{one} of 5" for one in failures)])  # fmt: skip
    heads = [
        "data",
        "flips",
        "clean",
        "random flips",
        "by influence",
        "area of the ROC, by influence",
        "random",
        "DAT201 fails, by influence",
        "random flips",
    ]
    return table(heads, lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    checked, carried = backdoors()
    write(
        "data_attacks",
        "Attacks by data, and what detects them",
        "A patch of 4 × 4 pixels on a share of 4,000 digits, label 7, small convolutional net; 1,000 held-out digits:",
        planted(),
        f"8 × 8 digits with a patch of 2 × 2 pixels, label {TARGET}; {SEEDS} nets a share, {CLEAN} clean nets (0 of "
        f"{CLEAN} failures: at most {clopper_pearson(0, CLEAN).high:.0%}). The area is that of the lower limit of "
        "DAT401 against the clean nets (0.5: no better than chance):",
        checked,
        "Training rows of the class, ranked by how near they are to the trigger that was found:",
        carried,
        "Bike rentals, net, partial dependence of `temp` to be reversed by moving 200 background rows, whole numbers "
        f"whole; {DRAWS} draws; areas against as many fresh backgrounds (row 0):",
        backgrounds(),
        "Labels of half of the rows changed to raise the loss of a quarter, accuracy on another quarter, logistic "
        "regression, mean of 5 splits; areas of the ROC of 1 − out-of-fold probability of the given label, for flips "
        "by influence and for random flips:",
        labels(),
    )
