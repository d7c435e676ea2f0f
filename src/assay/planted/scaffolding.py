# SPDX-License-Identifier: Apache-2.0
"""A model that hides from LIME or SHAP which column it decides by (Slack et al. 2020), and its two honest parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.cases.new_case import case
from assay.data import german_credit
from assay.model.adapters.function import function
from assay.model.model import Model
from assay.planted.benchmark_case import BenchmarkCase, Competence

NOISE = 0.3
"""Standard deviation of the noise in the detector's examples of LIME's queries, of standardised columns."""

CENTROIDS = 10
"""Number of k-means centroids that the detector's examples of SHAP's queries are mixed with."""

TEST_SHARE = 0.1
"""Share of the rows that are kept for explanation."""

Classify = Callable[[Floats], Masks]


@dataclass(frozen=True, eq=False)
class Scaffold:
    """A scaffolded model of a table of standardised columns, and what it is made of.

    ``model`` answers as ``biased`` where its detector takes a row for real, else as ``innocent``. ``biased`` decides by
    the ``sensitive`` column alone, ``innocent`` by ``decoys`` alone, one column, or the exclusive or of two. ``x`` are
    held-out rows, ``train`` the others.
    """

    model: Model
    biased: Model
    innocent: Model
    x: Floats
    train: Floats
    names: tuple[str, ...]
    sensitive: str
    decoys: tuple[str, ...]

    def fidelity(self, x: Floats | None = None) -> float:
        """Share of rows, by default the held-out ones, in which the model decides as the biased one does."""
        rows = self.x if x is None else x
        return float(np.mean(decisions(self.model, rows) == decisions(self.biased, rows)))


def scaffold(
    table: Floats,
    names: Sequence[str],
    *,
    sensitive: str,
    decoys: Sequence[str],
    numeric: Sequence[str],
    hides_from: Literal["lime", "shap"],
    seed: Seed,
    trees: int = 100,
    copies: int = 30,
    substitutions: int = 20_000,
) -> Scaffold:
    """A scaffolded model of a ``table`` (row, column) after the protocol of Slack et al. (2020).

    Columns are standardised and a tenth of the rows held out. The detector is a random forest. Against LIME it reads
    the ``numeric`` columns only, and learns the rows from ``copies`` of each with noise N(0, 0.3²). Against SHAP it
    reads all columns, and learns the rows, ten times each, from ``substitutions`` rows in which a random subset of
    columns has the values of one of ten k-means centroids.
    """
    table = np.asarray(table, dtype=np.float64)
    names = tuple(names)
    unknown = {sensitive, *decoys, *numeric} - set(names)
    if unknown or not 1 <= len(decoys) <= 2 or not numeric or hides_from not in ("lime", "shap"):
        raise InputError(
            f"no column {', '.join(sorted(unknown)) or '–'}; {len(decoys)} decoy(s), of which 1 or 2 are needed; "
            f"{len(numeric)} numeric column(s); hides_from={hides_from!r}, one of 'lime' and 'shap'."
        )
    spread = table.std(axis=0)
    rows = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    order = seed.child("held out").generator().permutation(len(rows))
    count = round(TEST_SHARE * len(rows))
    x, train = rows[order[:count]], rows[order[count:]]
    makers = {"lime": _detector_of_noise, "shap": _detector_of_substitutions}
    columns = [names.index(one) for one in (names if hides_from == "shap" else numeric)]
    size = copies if hides_from == "lime" else substitutions
    is_real = makers[hides_from](train[:, columns], size, trees, seed)
    biased, innocent = _is_above(names, (sensitive,)), _is_above(names, tuple(decoys))

    def decide(given: Floats) -> Masks:
        return np.where(is_real(given[:, columns]), biased(given), innocent(given))

    def model(decide: Classify, name: str) -> Model:
        return function(
            lambda given: _one_hot(decide(np.asarray(given, dtype=np.float64))),
            gives="probabilities",
            classes=("no", "yes"),
            name=name,
            fingerprint=f"scaffold {name} {hides_from} {sensitive} {decoys} {seed} {table.tobytes().hex()[:64]}",
        )

    return Scaffold(
        model=model(decide, "scaffolded"),
        biased=model(biased, "biased"),
        innocent=model(innocent, "innocent"),
        x=x,
        train=train,
        names=names,
        sensitive=sensitive,
        decoys=tuple(decoys),
    )


def scaffolded_table(
    seed: Seed, hides_from: Literal["lime", "shap"] = "shap", *, rows: int = 16, train: int = 900
) -> BenchmarkCase:
    """German credit, decided by sex on rows of data, by the instalment rate on what looks like an explainer's query.

    Truth: the column of sex has the whole effect on rows of data; every other column 0. Agreement is the share of rows
    in which this column has the largest size. The background are k-means centroids, from which the detector of SHAP's
    queries was trained.
    """
    from sklearn.cluster import KMeans

    table, names, numeric = german_columns()
    made = scaffold(
        table,
        names,
        sensitive="female",
        decoys=("installment_rate",),
        numeric=numeric,
        hides_from=hides_from,
        seed=seed,
        trees=20,
        copies=5,
        substitutions=5000,
    )
    chosen = made.x[:rows]
    mask = np.broadcast_to(np.array(made.names) == made.sensitive, chosen.shape)
    kept = decisions(made.model, made.x) == decisions(made.biased, made.x)
    return BenchmarkCase(
        name=f"German credit, scaffold that hides from {hides_from.upper()}",
        case=case(made.model, chosen, label=1, names=made.names, seed=seed),
        truth=mask.astype(np.float64),
        mask=np.array(mask),
        agreement="precision",
        chance=1 / len(names),
        competence=Competence.of_successes("share of held-out rows that are decided by sex", kept, 0.5),
        start=made.train.mean(axis=0),
        background=np.asarray(KMeans(CENTROIDS, n_init=1, random_state=0).fit(made.train).cluster_centers_),
        meaning="share of rows of data that are decided by the column",
        should="give sex the largest value, and the instalment rate 0",
        sources=("slack2020",),
        is_marginal=True,
        training_rows=made.train[:train],
    )


def decisions(model: Model, rows: Floats) -> Masks:
    """Whether the model decides "yes" (row,)."""
    return np.asarray(case(model, rows, label=1).prediction[:, 1] > 0.5)


def _is_above(names: tuple[str, ...], chosen: tuple[str, ...]) -> Classify:
    """Whether a column is above its mean; of two columns whether exactly one is."""
    places = [names.index(one) for one in chosen]
    return lambda rows: np.asarray((rows[:, places] > 0).sum(axis=1) % 2 == 1)


def _one_hot(decided: Masks) -> Floats:
    return np.stack([~decided, decided], axis=1).astype(np.float64)


def _detector_of_noise(train: Floats, copies: int, trees: int, seed: Seed) -> Classify:
    noise = seed.child("noise").generator().standard_normal((copies * len(train), train.shape[1]))
    return _forest(train, np.tile(train, (copies, 1)) + NOISE * noise, trees, seed)


def _detector_of_substitutions(train: Floats, count: int, trees: int, seed: Seed) -> Classify:
    from sklearn.cluster import KMeans

    stream = seed.child("substitutions").generator()
    centroids = KMeans(CENTROIDS, n_init=1, random_state=int(stream.integers(2**31))).fit(train).cluster_centers_
    rows = train[stream.integers(len(train), size=count)]
    sizes = stream.integers(1, train.shape[1] + 1, size=(count, 1))
    replaced = stream.permuted(np.broadcast_to(np.arange(train.shape[1]), rows.shape), axis=1) < sizes
    other = np.where(replaced, centroids[stream.integers(CENTROIDS, size=count)], rows)
    is_other = (other != rows).any(axis=1)
    return _forest(np.tile(train, (10, 1)), other[is_other], trees, seed)


def _forest(real: Floats, others: Floats, trees: int, seed: Seed) -> Classify:
    from sklearn.ensemble import RandomForestClassifier

    state = int(seed.child("detector").generator().integers(2**31))
    forest = RandomForestClassifier(trees, random_state=state)
    forest.fit(np.concatenate([real, others]), np.arange(len(real) + len(others)) < len(real))
    return lambda rows: np.asarray(forest.predict(rows))


def german_columns() -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """German credit as a table (1,000 rows, 28 columns) of numbers, the names of its columns and of the numeric ones.

    Like the table of Slack et al.: numbers stay, and most levels of the other columns become columns of 0 and 1.
    ``female`` is the sensitive column, and ``installment_rate`` the decoy.
    """
    columns: dict[str, Any] = {name: np.array(values) for name, values in german_credit().items()}
    numeric = tuple(name for name, values in columns.items() if values.dtype.kind == "i" and name != "credit")
    table = {name: columns[name].astype(np.float64) for name in numeric}
    sex = np.char.startswith(columns["status_sex"].astype(str), "female")
    table |= {"female": sex.astype(np.float64)}
    levels = {
        "status_sex": ("male, single",),
        "foreign_worker": ("yes",),
        "telephone": ("yes",),
        "status": None,
        "savings": None,
        "employment": None,
        "housing": None,
        "other_debtors": None,
        "installment_plans": None,
    }
    for column, chosen in levels.items():
        found = chosen or tuple(dict.fromkeys(columns[column].tolist()))[:-1]
        table |= {f"{column}: {level}": (columns[column] == level).astype(np.float64) for level in found}
    return np.stack(list(table.values()), axis=1), tuple(table), numeric
