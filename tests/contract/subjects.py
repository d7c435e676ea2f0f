"""Small cases on which the contract suite tests every method: with gradients, without, with nets, with images.

A new method is run on every subject that offers what it needs, and must refuse the others. An option without a default
gets its value from ``GIVEN``, by the option's name, so that most new methods need no line here either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from tests.contract.nets import Rectified, filled, net, picture_net, pooled_net

import assay
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.engine.capabilities import NEEDS
from assay.engine.changes.column_rules import column_names
from assay.engine.search.ball import Ball
from assay.examples import analytic
from assay.model.adapters.function import function
from assay.model.diffusion.denoiser import Denoiser
from assay.model.diffusion.schedule import COSINE
from assay.model.model import Model
from assay.model.transformations.randomise_weights import randomise_weights
from assay.nouns.catalogue import VERBS, Method, known
from assay.nouns.inputs.features import Features, grid
from assay.nouns.inputs.recipe import Recipe

MIXING = np.array([[1.0, 0.5, 0.0, -0.3], [0.5, -0.8, 0.2, 0.0], [0.0, 0.2, 0.6, 0.1], [-0.3, 0.0, 0.1, 0.4]])
TILT = np.array([0.7, -0.4, 0.3, 0.9])
ROWS = np.array([[1.0, 0.4, -0.6, 0.8], [0.3, 1.2, 0.9, -0.5], [-0.7, 0.6, 1.1, 0.2]])


def curved(x: Any) -> Any:
    return np.einsum("ni,ij,nj->n", x, MIXING, x) + x @ TILT + 0.2 * x[:, 0] ** 3


def slope(x: Any) -> Any:
    out = x @ (MIXING + MIXING.T) + TILT
    out[:, 0] += 0.6 * x[:, 0] ** 2
    return out


def pictures() -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(1).uniform(0.1, 1.0, (3, 3, 8, 8)))


def smooth(seed: int = 0) -> Case:
    """A curved function of four numbers with its derivative written down."""
    return analytic(curved, slope, ROWS, "curved", seed=seed)


def plain(seed: int = 0) -> Case:
    """The same function, without a derivative."""
    return assay.case(function(curved, name="plain", fingerprint="plain"), ROWS, seed=seed)


def neural(seed: int = 0) -> Case:
    """A small net over four numbers."""
    return assay.case(assay.wrap(net()), torch.as_tensor(ROWS), label=1, seed=seed)


def visual(seed: int = 0) -> Case:
    """A small convolutional net over three pictures, cut into four patches."""
    return assay.case(assay.wrap(picture_net()), pictures(), label=1, features=grid((3, 8, 8), 4), seed=seed)


def ragged(seed: int = 0) -> Case:
    """The same pictures, each cut in its own way, one of them into fewer parts, with a frame that belongs to none."""
    index = np.zeros((3, 3, 8, 8), dtype=int)
    index[0, :, :, 4:], index[1, :, 4:, :], index[2, :, 2:6, 2:6] = 1, 1, 1
    index[0, :, 5:, :], index[1, :, :, 6:] = 2, 2
    index[:, :, 0, :] = -1
    cut = Features(index, ("a", "b", "c"), per_row=True)
    return assay.case(assay.wrap(picture_net()), pictures(), label=1, features=cut, seed=seed)


def pooled(seed: int = 0) -> Case:
    """A convolutional net with a pooled end over the pictures, cut into four patches."""
    return assay.case(assay.wrap(pooled_net()), pictures(), label=1, features=grid((3, 8, 8), 4), seed=seed)


def rectified(seed: int = 0) -> Case:
    """The pictures through a net of rectifiers, a class of positive score explained."""
    model = assay.wrap(filled(Rectified().double(), 9))
    return assay.case(model, pictures(), label="predicted", features=grid((3, 8, 8), 4), seed=seed)


class TinyReader(torch.nn.Module):
    """A small smooth transformer over token ids: embedding, one layer of attention, mean over tokens, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(len(VOCABULARY), 4)
        self.layer = torch.nn.TransformerEncoderLayer(
            4, 2, dim_feedforward=6, dropout=0.0, activation=torch.nn.functional.gelu, batch_first=True
        )
        self.head = torch.nn.Linear(4, 3)

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        padding = attention_mask == 0
        states = self.layer(self.embed(ids), src_key_padding_mask=padding).masked_fill(padding[:, :, None], 0.0)
        return self.head(states.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True))


VOCABULARY = ("<pad>", "<start>", "a", "good", "bad", "film", "not", "dull")
TEXTS = ["not a dull film", "bad film", "a good good"]


def whitespace(texts: list[str]) -> assay.model.Tokens:
    """Words at spaces, after a token of the start."""
    rows = [["<start>", *text.split()] for text in texts]
    width = max(map(len, rows))
    pieces = [row + [""] * (width - len(row)) for row in rows]
    ids = np.array([[VOCABULARY.index(piece or "<pad>") for piece in row] for row in pieces])
    word = np.where(ids > 1, np.arange(width) - 1, -1)
    return assay.model.Tokens(ids, word, {"attention_mask": (ids > 0).astype(np.int64)}, pieces)


def reader() -> torch.nn.Module:
    """The tiny transformer with weights from a private generator."""
    return filled(TinyReader().double(), 7)


def textual(seed: int = 0) -> Case:
    """A tiny transformer over three texts of different length, cut into words."""
    model = assay.model.text(reader(), whitespace, embedding="embed", classes=["x", "y", "z"], read="mean")
    return assay.case(model, TEXTS, label="y", seed=seed)


@cache
def loans() -> tuple[Any, Any]:
    """A frame of numbers and words, and whether each loan was good."""
    import pandas as pd

    generator = np.random.default_rng(8)
    age, sum_ = generator.integers(20, 70, 60), generator.normal(3.0, 1.0, 60)
    purpose = generator.choice(["car", "house", "study"], 60)
    frame = pd.DataFrame({"age": age, "purpose": purpose, "sum": sum_})
    return frame, (age / 20 + 2 * (purpose == "house") - sum_ + generator.normal(0, 1, 60)) > 0


@cache
def loan_pipeline() -> tuple[Any, Any]:
    """A frame of numbers and words, and a pipeline trained on it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame, good = loans()
    encode = ColumnTransformer([("words", OneHotEncoder(), ["purpose"])], remainder="passthrough")
    return frame, make_pipeline(encode, LogisticRegression(max_iter=2000)).fit(frame, good)


def mixed(seed: int = 0) -> Case:
    """A table of numbers and words through a pipeline."""
    frame, pipeline = loan_pipeline()
    return assay.case(assay.wrap(pipeline), frame.iloc[:3], label=1, seed=seed)


def mistaken(seed: int = 0) -> Case:
    """The function of four numbers, asked how wrong it is."""
    model = function(curved, name="plain", fingerprint="plain")
    return assay.case(model, ROWS, target="loss", label=[1.0, 2.0, 0.5], seed=seed)


@cache
def fitted_trees() -> Any:
    """Boosted trees fitted to random numbers."""
    from sklearn.ensemble import GradientBoostingRegressor

    x = np.random.default_rng(4).normal(size=(200, 4))
    return GradientBoostingRegressor(n_estimators=8, random_state=0).fit(x, curved(x))


def wooded(seed: int = 0) -> Case:
    """Boosted trees over four numbers."""
    return assay.case(assay.wrap(fitted_trees()), ROWS, seed=seed)


def retraining_recipe(case: Case) -> Recipe:
    """A recipe that fits nothing: a net with weights drawn from the seed, another function elsewhere."""

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Model:
        model = case.model
        if model.net is not None:
            return randomise_weights(model, seed)
        forward, gradient = model.forward, model.closed_form_gradient
        other = None if gradient is None else lambda x: -2.0 * gradient(x)
        return replace(
            model, forward=lambda rows: _other_outputs(forward(rows), case), closed_form_gradient=other, forest=None
        )

    x: Any = np.random.default_rng(3).uniform(-0.5, 1.0, (4, *case.rows.shape))
    x = torch.as_tensor(x, dtype=case.rows.x.dtype) if case.model.namespace == "torch" else x
    if case.rows.table is not None or case.rows.text is not None:
        x = TEXTS if case.rows.table is None else loan_pipeline()[0].iloc[:4]
    labels = [0.5, 2.0, 1.0, 3.0] if case.model.gives == "values" else [*case.model.classes, 0, 1, 2, 1]
    return Recipe(fit, x, [labels[place % 2] for place in range(len(x))])


def labels_of(case: Case) -> Any:
    """A true label for each row of the case, by its id."""
    places = [sum(map(ord, name)) % 2 for name in case.rows.ids]
    return [[0.5, 2.0][one] for one in places] if case.model.gives == "values" else places


def training_rows(case: Case) -> tuple[Any, Any]:
    """Training rows and their labels: those of the pipeline, or rows like those of the case."""
    if case.rows.table is not None:
        return loans()
    if case.rows.text is not None:
        return reference_rows(case)[:4], ["x", "y", "z", "y"]
    if case.model.gives == "values":
        return reference_rows(case), np.linspace(0.0, 2.0, 8)
    x = torch.as_tensor(reference_rows(case)) if case.model.namespace == "torch" else reference_rows(case)
    return x, [0, 1, 0, 1, 0, 1, 0, 1]


def _other_outputs(outputs: Any, case: Case) -> Any:
    return -2.0 * outputs if case.model.gives == "values" else outputs[:, ::-1]


LOOKS_INSIDE = {"net", "gradient", "pooled"}

ONLY_FOR = {"wooded": {"trees"}, "mistaken": {"loss"}, "pooled": LOOKS_INSIDE, "rectified": LOOKS_INSIDE}
"""Subjects that add something only for methods with one of these needs."""

EXPLAIN_ONLY = {"plain", "pooled", "rectified"}
"""Subjects that add nothing for scores, which evaluate explanations and models and look at no layer."""

REFUSED_AT_RUN_TIME = {
    "cam": {"rectified"},
    "deconvolution": {"neural", "visual", "ragged", "textual", "pooled"},
    "guided_backprop": {"neural", "visual", "ragged", "textual", "pooled"},
    "guided_grad_cam": {"visual", "ragged", "pooled"},
    "training_influence": {"smooth", "plain"},
}
"""Subjects that offer what the method declares to need, and that it refuses when it has seen the net's layers."""

SUBJECTS: dict[str, Callable[..., Case]] = {
    "smooth": smooth,
    "plain": plain,
    "neural": neural,
    "visual": visual,
    "ragged": ragged,
    "mixed": mixed,
    "textual": textual,
    "pooled": pooled,
    "rectified": rectified,
    "mistaken": mistaken,
    "wooded": wooded,
}

GIVEN: dict[str, Callable[[Case], Any]] = {
    "members": lambda case: ("random", "constant"),
    "background": lambda case: np.random.default_rng(2).uniform(-0.5, 0.5, (3, *case.rows.shape)),
    "start": lambda case: 0.0,
    "ball": lambda case: Ball("linf", 0.05),
    "sigma": lambda case: 0.1,
    "radius": lambda case: 0.1,
    "window": lambda case: 1,
    "truth": lambda case: np.arange(len(case.features)) < 2,
    "inside": lambda case: np.stack([np.arange(len(case.features)) % 3 == int(i) % 3 for i in case.rows.ids]),
    "reference": lambda case: reference_rows(case),
    "remove": lambda case: assay.Constant(0.0),
    "recipe": lambda case: retraining_recipe(case),
    "train": lambda case: training_rows(case),
    "labels": lambda case: labels_of(case),
    "concepts": lambda case: {
        f"concept {one}": np.random.default_rng(one).uniform(-0.5, 0.5, (12, *case.rows.shape)) for one in range(2)
    },
    "target_label": lambda case: 0,
    "column": lambda case: column_names(case)[0],
    "random_rows": lambda case: np.random.default_rng(4).uniform(-0.5, 0.5, (60, *case.rows.shape)),
    "masks": lambda case: {
        f"mask {one}": np.stack(
            [np.random.default_rng([one, int(i)]).random(case.rows.shape[1:]) < 0.5 for i in case.rows.ids]
        )
        for one in range(2)
    },
    "denoiser": lambda case: normal_denoiser(case.rows.shape),
    "comparison": lambda case: np.random.default_rng(2).uniform(-0.5, 0.5, (10, *case.rows.shape)),
}


def normal_denoiser(shape: tuple[int, ...]) -> Denoiser:
    """The exact denoiser of standard normal elements."""
    return Denoiser(lambda x, t: COSINE.signal(t) ** 0.5 * x, tuple(shape), "normal", dtype="float64")


@cache
def load_catalogue() -> None:
    """Import every verb, which fills the catalogue."""
    for verb in VERBS:
        import_module(f"assay.{verb}")


def methods(verb: str | None = None) -> list[Method]:
    """The catalogue."""
    load_catalogue()
    return list(known(verb))


@cache
def offers(subject: str) -> frozenset[str]:
    """The needs that the subject meets."""
    case = SUBJECTS[subject]()
    return frozenset(need for need, (is_met, _) in NEEDS.items() if is_met(case))


def supports(method: Method, subject: str) -> bool:
    """Whether the subject offers what the method needs."""
    return method.needs & set(NEEDS) <= offers(subject) and subject not in REFUSED_AT_RUN_TIME.get(method.name, ())


def pairs(verb: str, *, supported: bool = True) -> Iterator[tuple[Method, str]]:
    """Methods with the subjects they support; with ``supported`` False, those they must refuse."""
    for method in methods(verb):
        for subject in SUBJECTS:
            is_useful = subject not in ONLY_FOR or ONLY_FOR[subject] & method.needs
            is_useful = is_useful and not (verb == "evaluate" and subject in EXPLAIN_ONLY)
            if is_useful and supports(method, subject) == supported:
                yield method, subject


def reference_rows(case: Case) -> Any:
    """Eight rows like those of the case."""
    if case.rows.text is not None:
        return ["a film", "good film", "not good", "dull", "bad bad a", "film", "a dull", "not a film"]
    if case.rows.table is not None:
        return loan_pipeline()[0].iloc[30:38]
    return np.random.default_rng(3).uniform(-0.5, 1.0, (8, *case.rows.shape))


SETTINGS: dict[str, dict[str, Any]] = {
    "concept_discovery": {"concepts": 3, "halves": True},
    "diffusion_counterfactual": {"probability": 0.01, "steps": 5},
}
"""Options without which a method refuses subjects this small or activations below 0, or finds nothing on them."""


def required_options(method: Method, case: Case) -> dict[str, Any]:
    """Values for the options that have no default, and a removal where the default depends on the other rows."""
    bare = [name for name, one in method.options.items() if one.default is one.empty or one.default is DEFAULT]
    missing = [name for name in bare if name not in GIVEN]
    assert not missing, f"{method.verb}.{method.name}: give options {missing} a default, or add them to GIVEN"
    given = {name: GIVEN[name](case) for name in bare} | SETTINGS.get(method.name, {})
    if case.rows.table is not None and "remove" in method.options:
        given["remove"] = assay.Marginal(loan_pipeline()[0].iloc[20:22])
    if case.rows.table is not None and "comparison" in method.options:
        given["comparison"] = loan_pipeline()[0].iloc[20:30]
    if case.rows.table is not None and "background" in method.options:
        given["background"] = loan_pipeline()[0].iloc[20:26]
    elif method.name == "counterfactual":  # without one the other rows say how far a number may go
        given["background"] = reference_rows(case)
    return given


def explain_case(method: Method, case: Case, **other: Any) -> Any:
    """The explanation of a case by a method, required options filled in."""
    return method.call(case, **{**required_options(method, case), **other})


def shapley_values(case: Case) -> Any:
    """Exact Shapley values."""
    from assay.explain.shapley import shapley

    return explain_case(shapley.method, case)
