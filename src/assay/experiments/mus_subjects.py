# SPDX-License-Identifier: Apache-2.0
"""The subjects of the experiments on multiplicative smoothing: photographs, digits, tweets and a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.cases.removals import Constant, Mean, Removal
from assay.engine.removal.text_removal import text_removal
from assay.engine.retraining.labelled_rows import true_labels
from assay.experiments.encoded_table import encoded_credit
from assay.experiments.mus_subject import MusSettings, Subject
from assay.experiments.sentence_net import fitted_sentence_net
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.comparisons.mus_experiment import SkippedSubject
from assay.nouns.inputs.features import Features, grid
from assay.nouns.inputs.rows import to_floats
from assay.planted.networks import initialise, perceptron, train_network
from assay.repair.masked_training import masked_training

NOT_TUNED = "the model was not trained on masked inputs; the published ones were fine-tuned on them"
TUNED = (
    "the model was trained on masked inputs with a share of features kept that is uniform in (0, 1); the published "
    "ones with λ and λ/2, one model for each λ"
)


@dataclass(frozen=True)
class Sizes:
    """Rows explained and rows for the accuracy; 0 is the subject's own number."""

    rows: int = 0
    labelled: int = 0

    def of(self, rows: int, labelled: int) -> tuple[int, int]:
        """These numbers, or those of the subject where they are 0."""
        return self.rows or rows, self.labelled or labelled


Make = Callable[[Path | None, Sizes, MusSettings, Seed], Subject]
"""A function from the folder of further data, the sizes, the settings and the seed to a subject."""


def photographs(patch: int, rows: int) -> Make:
    """EfficientNet-Lite0 on photographs, cut into square patches."""

    def make(folder: Path | None, sizes: Sizes, settings: MusSettings, seed: Seed) -> Subject:
        from assay.demos.image import SIDE, efficientnet_lite0
        from assay.demos.image import photographs as shipped

        model, cut, remove = efficientnet_lite0(), grid((3, SIDE, SIDE), patch), Constant(0.0)
        explained, labelled = sizes.of(rows, 24)
        budget = max(settings.budget, 5 * len(cut) // 2)
        own = replace(settings, budget=budget, search=min(settings.search, 6), searched=("shapley", "random"))
        side = SIDE // patch
        if folder is None or not (folder / "imagenet-val-boxes").is_dir():
            x, labels, source = shipped()[:explained], None, "photographs that ship with scikit-image and scikit-learn"
            rest = None
        else:
            pictures, truth = _pictures(folder / "imagenet-val-boxes", explained + labelled)
            x, source = pictures[:explained], "ImageNet validation pictures"
            rest, labels = _case(model, pictures[explained:], cut, seed), truth[explained:]
        return Subject(
            f"photographs, {side} × {side} patches",
            f"EfficientNet-Lite0 on {source}, patches of {patch} × {patch} pixels; an absent patch is black",
            _case(model, x, cut, seed),
            remove,
            0.0,
            rest,
            labels,
            own,
            (
                f"{len(cut)} patches of {patch} × {patch} pixels (64 of 28 × 28)",
                NOT_TUNED,
                "an EfficientNet instead of ViT-B/16 and ResNet-50",
                *(() if labels is not None else ("the labels of these photographs are unknown: agreement only",)),
            ),
        )

    return make


def digits(*, masked: bool) -> Make:
    """A small convolutional net on scikit-learn's digits; each pixel is a feature."""

    def make(folder: Path | None, sizes: Sizes, settings: MusSettings, seed: Seed) -> Subject:
        x, y = need("sklearn.datasets", extra="demo").load_digits(return_X_y=True)
        x = (x / 16.0).reshape(-1, 1, 8, 8).astype(np.float32)
        train, rest = (x[:1200], y[:1200]), (x[1200:], y[1200:])
        net = train_network(initialise(_digit_net, seed.child("digits")), *train, seed.child("digits"), epochs=15)
        return _held_out(
            Subject(
                "digits",
                "a net of two convolutions on 8 × 8 digits, each pixel is a feature; an absent pixel is 0",
                _case(wrap(net), rest[0][:1], grid((1, 8, 8), 1), seed),
                Constant(0.0),
                0.0,
                settings=settings,
                differences=("64 pixels of a digit (64 patches of a photograph)",),
            ),
            train,
            rest,
            sizes.of(40, 300),
            masked,
        )

    return make


def credit(*, masked: bool) -> Make:
    """A perceptron on the German credit table; each column is a feature, also one of text, which is encoded as 0/1."""

    def make(folder: Path | None, sizes: Sizes, settings: MusSettings, seed: Seed) -> Subject:
        table = encoded_credit()
        order = seed.child("credit").generator().permutation(len(table.y))
        train, rest = ((table.x[rows], table.y[rows]) for rows in (order[:700], order[700:]))
        build = perceptron(table.x.shape[1], 32, 2)
        net = train_network(initialise(build, seed.child("credit")), *train, seed.child("credit"), epochs=10)
        model = wrap(net, classes=["good", "bad"])
        return _held_out(
            Subject(
                "credit",
                "a perceptron on German credit, each of its 20 columns is a feature; an absent column has its mean",
                _case(model, rest[0][:1], table.features, seed),
                Mean(train[0]),
                train[0].mean(axis=0),
                settings=settings,
                differences=("a table, which is not among the published subjects", "20 columns (64 patches)"),
            ),
            train,
            rest,
            sizes.of(40, 290),
            masked,
        )

    return make


def tweets(folder: Path | None, sizes: Sizes, settings: MusSettings, seed: Seed) -> Subject:
    """MiniLM with a head fitted to tweets; the features of a tweet are its words."""
    explained, labelled = sizes.of(8, 60)
    place = None if folder is None else folder / "tweeteval" / "sentiment.csv"
    if place is None or not place.is_file():
        raise InputError(
            "the tweets do not ship with the package: name a folder that holds tweeteval/sentiment.csv, with --folder."
        )
    with place.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    train, test = ([line for line in lines if line["split"] == split] for split in ("train", "test"))
    names = ("negative", "neutral", "positive")
    model = fitted_sentence_net([line["text"] for line in train[:800]], _classes(train[:800]), names)
    remove, _ = text_removal(model)
    own = replace(settings, search=min(settings.search, 6), searched=("shapley", "random"))
    first, rest = test[:explained], test[explained : explained + labelled]
    return Subject(
        "tweets",
        "MiniLM (frozen, mean over tokens) with a logistic head fitted to 800 tweets, each word is a feature; an "
        "absent word has the embedding of the mask token",
        ask(model, [line["text"] for line in first], label="predicted", seed=seed),
        remove,
        to_floats(remove.value),
        ask(model, [line["text"] for line in rest], label="predicted", seed=seed),
        _classes(rest),
        own,
        ("words (published: tokens)", "MiniLM with a head of our own instead of RoBERTa", NOT_TUNED),
    )


SUBJECTS: Mapping[str, Make] = {
    "photographs-7": photographs(32, 6),
    "photographs-14": photographs(16, 3),
    "digits": digits(masked=False),
    "digits-masked": digits(masked=True),
    "tweets": tweets,
    "credit": credit(masked=False),
    "credit-masked": credit(masked=True),
}
"""The subjects by name."""


def make_subjects(
    names: Sequence[str], folder: Path | None, sizes: Sizes, settings: MusSettings, seed: Seed
) -> list[Subject | SkippedSubject]:
    """The subjects of these names, all where none is named; one whose data or packages are absent is skipped."""
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        raise InputError(f"no subject {unknown[0]!r}; there are {', '.join(SUBJECTS)}.")
    found: list[Subject | SkippedSubject] = []
    for name in names or SUBJECTS:
        try:
            found.append(SUBJECTS[name](folder, sizes, settings, seed))
        except (AssayError, ImportError) as error:
            found.append(SkippedSubject(name, str(error)))
    return found


def own_subject(
    model: Model,
    x: Any,
    labels: Any,
    *,
    ids: Sequence[Any] | None,
    patch: int,
    removal: Removal | None,
    sizes: Sizes,
    settings: MusSettings,
    seed: Seed,
) -> Subject:
    """A caller's model and rows. Images are cut into patches of ``patch`` pixels (0: a seventh of the side).

    Without a ``removal`` absent words have the mask token, absent pixels are 0, absent columns those of other rows.
    """
    if not model.kind.is_classifier:
        raise CapabilityError(f"multiplicative smoothing needs a classifier; {model.name} gives {model.gives}.")
    whole = ask(model, x, label="predicted", ids=ids, seed=seed)
    if patch or len(whole.rows.shape) == 3:
        patch = patch or max(1, -(-max(whole.rows.shape[1:]) // 7))
        whole = replace(whole, features=grid(whole.rows.shape, patch))
    explained, labelled = sizes.of(20, len(whole))
    if removal is None:
        removal = text_removal(model)[0] if model.encode is not None else whole.default_removal[0]
    start = to_floats(removal.value) if isinstance(removal, Constant) else None
    few, many = whole.take(np.arange(min(explained, len(whole)))), whole.take(np.arange(min(labelled, len(whole))))
    return Subject(
        model.name,
        f"{model.name} on the rows given, absent features filled by {removal!r}",
        few,
        removal,
        start,
        many,
        None if labels is None else true_labels(whole.model, labels, len(whole), whole.prediction)[: len(many)],
        settings,
        ("a model of the caller's; whether it was trained on masked inputs is unknown",),
    )


def _case(model: Model, x: Floats, features: Features, seed: Seed) -> Case:
    return ask(model, x, features=features, label="predicted", seed=seed)


def _held_out(
    subject: Subject, train: tuple[Any, Any], rest: tuple[Any, Any], sizes: tuple[int, int], masked: bool
) -> Subject:
    """The subject on its held-out rows; where ``masked`` of the net after masked training on the training rows."""
    case, (x, y), (explained, labelled) = subject.case, rest, sizes
    model, name, text, note = case.model, subject.name, subject.text, NOT_TUNED
    if masked:
        repaired = masked_training(
            case, train=train, held_out=rest, smoothing=(), remove=subject.remove, epochs=10, rate=3e-3
        )
        model, name, note = repaired.model, f"{name}, masked training", TUNED
        text = f"{text}; {repaired.change}"
    few = _case(model, x[:explained], case.features, case.seed)
    many = _case(model, x[explained : explained + labelled], case.features, case.seed)
    truth = np.asarray(y[explained : explained + labelled], dtype=np.int64)
    differences = (*subject.differences, note)
    return replace(subject, name=name, text=text, case=few, labelled=many, labels=truth, differences=differences)


def _digit_net() -> Any:
    nn = need("torch", extra="torch").nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def _pictures(folder: Path, count: int) -> tuple[Floats, Ints]:
    """``count`` pictures, spread evenly over the file, and their classes."""
    from assay.demos.image import centre_crop

    pillow = need("PIL.Image", extra="demo")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    chosen = [lines[i] for i in np.linspace(0, len(lines) - 1, min(count, len(lines))).astype(int)]
    images = [np.asarray(pillow.open(folder / line["file"]).convert("RGB")) for line in chosen]
    return np.stack([centre_crop(image) for image in images]), np.array([int(line["class_index"]) for line in chosen])


def _classes(lines: Sequence[Mapping[str, str]]) -> Ints:
    return np.array([int(line["label"]) for line in lines], dtype=np.int64)
