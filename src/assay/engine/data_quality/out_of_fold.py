# SPDX-License-Identifier: Apache-2.0
"""Probabilities of training rows by models that were not trained on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.cases.read_inputs import texts
from assay.engine.influence.refits import take_training
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.retraining.model_retraining import comparable_model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import probabilities

MOST_LEVELS = 20
"""Levels of a coded column with a column of their own in the default model; the rarest share one."""

MOST_PIXELS, LANDMARKS, WORDS = 256, 200, 2**14
"""Numbers of an image, landmarks of the kernel, and hashed words of a text that the default model reads."""

MOST_DEVIATIONS = 5.0
"""Standard deviations from the mean at which the default model cuts numbers off."""

DEFAULT = "linear or kernel logistic regression"
"""What the default model is."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Probabilities (row, class) of the rows ``judged`` (row,), positions of training rows; the model that gives them.

    Rows of classes with fewer rows than folds are never left out, and not judged.
    """

    probabilities: Floats
    judged: Ints
    model: str
    trainings: int


def assign_folds(labels: Ints, folds: int, seed: Seed) -> Ints:
    """The fold (row,) in which each row is left out, stratified by class; −1 for classes of fewer rows than folds."""
    found = np.full(len(labels), -1)
    generator, start = seed.child("folds").generator(), 0
    for one in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == one))
        if len(rows) >= folds:
            found[rows] = (start + np.arange(len(rows))) % folds
            start += len(rows)
    if len(np.unique(labels[found >= 0])) < 2:
        raise InputError(f"at least two classes of {folds} training rows each are needed, one row for each fold.")
    return found


def by_recipe(case: Case, recipe: Recipe, labels: Ints, folds: int, seed: Seed) -> OutOfFold:
    """Probabilities by ``folds`` models that the recipe trains; each row is evaluated once."""

    def predict(train: Ints, left: Ints, fold: int) -> Floats:
        fitted = comparable_model(case, recipe.train(*take_training(recipe, train), seed.child("recipe", fold)))
        outputs = ask(fitted, take_training(recipe, left)[0], label=None, seed=case.seed).prediction
        return to_floats(probabilities(outputs, fitted.kind))

    return _by_folds(labels, folds, seed, predict, "the recipe", max(len(case.model.classes), int(labels.max()) + 1))


def by_default(case: Case, train: Any, labels: Ints, folds: int, seed: Seed) -> OutOfFold:
    """Probabilities by a linear or a kernel logistic regression, whichever has the smaller out-of-fold loss.

    It reads numbers with a mark where they are missing, the levels of a column, an image of at most 16 × 16 averages,
    the hashed words of a text. Both have log odds without bound, so that rows far from a border become ever surer.
    """
    features = default_features(case, train)
    classes = max(len(case.model.classes), int(labels.max()) + 1)
    found = [
        _by_folds(labels, folds, seed, _fitter(features, labels, classes, seed, kernel), DEFAULT, classes)
        for kernel in ((False,) if hasattr(features, "tocsr") else (False, True))
    ]
    best = min(found, key=lambda one: float(row_losses(one.probabilities, labels[one.judged]).mean()))
    return replace(best, trainings=folds * len(found))


def row_losses(given: Floats, labels: Ints) -> Floats:
    """−log p of the label, (row,)."""
    return np.asarray(-np.log(given[np.arange(len(labels)), labels]))


def _by_folds(
    labels: Ints, folds: int, seed: Seed, predict: Callable[[Ints, Ints, int], Floats], model: str, classes: int
) -> OutOfFold:
    fold = assign_folds(labels, folds, seed)
    found = np.zeros((len(labels), classes))
    for one in range(folds):
        left = np.flatnonzero(fold == one)
        if len(left):
            found[left] = predict(np.flatnonzero(fold != one), left, one)
    judged = np.flatnonzero(fold >= 0)
    positive = np.clip(found[judged], 1e-6, None)
    return OutOfFold(positive / positive.sum(axis=1, keepdims=True), judged, model, folds)


def _fitter(features: Any, labels: Ints, classes: int, seed: Seed, kernel: bool) -> Callable[[Ints, Ints, int], Floats]:
    def predict(train: Ints, left: Ints, fold: int) -> Floats:
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        state = int(seed.child("landmarks", fold).generator().integers(2**31))
        steps: list[Any] = []
        if kernel:
            count = max(2, min(LANDMARKS, len(train) // 4))
            steps.append(Nystroem(gamma=1 / (2 * features.shape[1]), n_components=count, random_state=state))
        steps.append(LogisticRegression(C=10.0 if kernel else 1.0, max_iter=100))
        fitted = make_pipeline(*steps).fit(features[train], labels[train])
        found = np.zeros((len(left), classes))
        found[:, fitted.classes_] = fitted.predict_proba(features[left])
        return found

    import warnings

    def quiet(train: Ints, left: Ints, fold: int) -> Floats:
        limits = need("threadpoolctl", extra="trees").threadpool_limits  # small fits: threads would only wait
        with warnings.catch_warnings(), limits(1):
            warnings.simplefilter("ignore")  # of iterations: a rough optimum is enough, and the loss chooses
            return predict(train, left, fold)

    return quiet


def default_features(case: Case, train: Any) -> Any:
    """What the default model reads of training rows, (row, column), standardised; of texts a sparse matrix."""
    if case.rows.text is not None:
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        joined = [text if isinstance(text, str) else "\n".join(text) for text in texts(train)]
        words = HashingVectorizer(n_features=WORDS, alternate_sign=False).transform(joined)
        return TfidfTransformer(sublinear_tf=True).fit_transform(words)
    return scaled_features(case, to_floats(read_like(case, train)))


def scaled_features(case: Case, x: Floats) -> Floats:
    """Rows (row, *shape) in the form of the case's as scaled numbers (row, column), with indicators of levels."""
    table = case.rows.table
    if x.ndim > 2:
        small = smaller_images(x)
        return (small - small.mean(axis=0)) / (float(small.std()) or 1.0)  # one scale: some pixels hardly ever differ
    coded = np.zeros(x.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
    return _standardised(np.concatenate([x[:, ~coded], *(_levels(x[:, one]) for one in np.flatnonzero(coded))], axis=1))


def smaller_images(x: Floats, most: int = MOST_PIXELS) -> Floats:
    """Rows (row, *shape) as (row, number): the last two axes averaged in blocks so that they hold at most ``most``."""
    while x.ndim > 2 and x.shape[-1] * x.shape[-2] > most and min(x.shape[-2:]) > 1:
        height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        even = x[..., :height, :width]
        x = (even[..., ::2, ::2] + even[..., 1::2, ::2] + even[..., ::2, 1::2] + even[..., 1::2, 1::2]) / 4
    return np.asarray(x.reshape(len(x), -1))


def _levels(codes: Floats) -> Floats:
    """An indicator (row, level) for each of the most frequent levels, and one for all others."""
    values, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
    return np.asarray(np.eye(min(len(values), MOST_LEVELS + 1))[np.minimum(rank, MOST_LEVELS)[place.ravel()]])


def _standardised(x: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; missing numbers are the mean, and have an indicator of their own."""
    gaps = np.isnan(x)
    known = np.where(gaps, 0.0, x)
    mean = known.sum(axis=0) / np.maximum((~gaps).sum(axis=0), 1)
    filled = np.where(gaps, mean, x)
    whole = np.concatenate([filled, gaps[:, gaps.any(axis=0)].astype(np.float64)], axis=1)
    spread = whole.std(axis=0)
    varies = spread > 0
    if not varies.any():
        raise InputError("all training rows are equal, so that no label can be predicted.")
    scaled = (whole[:, varies] - whole[:, varies].mean(axis=0)) / spread[varies]
    return np.asarray(np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS))
