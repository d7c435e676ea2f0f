# SPDX-License-Identifier: Apache-2.0
"""What is known about a model under audit: the one argument that every diagnosis and repair can be called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.cases.removals import Marginal, Removal
from assay.engine.capabilities import require_capabilities
from assay.engine.removal.text_removal import text_removal
from assay.engine.search.ball import Ball
from assay.model.model import Model
from assay.nouns.catalogue import Method
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Explanation


@dataclass(frozen=True, eq=False)
class AuditInputs:
    """A model under audit, rows it was not trained on, and everything else that is known.

    ``train`` are (rows, labels) it was trained on. ``groups`` maps the name of a sensitive attribute to one group a
    row; ``favourable`` is the class that is good to get; ``suspects`` are columns that should not change a decision.
    ``recipe`` trains the model, ``other_models`` were trained on shifted data, ``clusters`` names the rows that belong
    together. ``concepts`` maps names to example rows, ``regions`` are masks (row, *shape) of what should matter.
    ``removal`` fills absent features (default: from the background, else the training rows, else the rows themselves);
    ``features`` is the cut into features where it is not each column. ``explained`` is the case whose explanations
    are tested, ``explanation`` one of its explanations. ``options`` maps the name of a diagnosis to its options.
    """

    model: Model
    x: Any
    labels: Any = None
    train: tuple[Any, Any] | None = None
    background: Any = None
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    favourable: str = ""
    suspects: tuple[str, ...] = ()
    recipe: Recipe | None = None
    other_models: tuple[Any, ...] = ()
    clusters: Any = None
    concepts: Mapping[str, Any] = field(default_factory=dict)
    regions: Any = None
    ball: Ball | None = None
    remove: Removal | None = None
    features: Features | None = None
    explained: Case | None = None
    explanation: Explanation | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ids: Sequence[Any] | None = None
    target: str | None = None
    seed: Seed = field(default_factory=lambda: Seed(0))

    def ask(self, x: Any = None, *, target: str | None = None, label: Any = None) -> Case:
        """A case of the model about the rows, or about other rows ``x``; without ``label`` no class is chosen."""
        rows = self.x if x is None else x
        ids = self.ids if x is None else None
        return case(self.model, rows, target=target or self.target, label=label, ids=ids, seed=self.seed)

    @cached_property
    def case(self) -> Case:
        """All rows, with no class chosen."""
        return self.ask()

    @cached_property
    def removal(self) -> Removal:
        """What fills an absent feature."""
        if self.remove is not None:
            return self.remove
        if self.model.encode is not None:
            return text_removal(self.model)[0]
        rows = self.train[0] if self.train is not None else self.x
        return Marginal(self.background if self.background is not None else rows)

    @property
    def known_labels(self) -> list[Any]:
        """The true labels as a list; empty where they are unknown."""
        return [] if self.labels is None else np.asarray(self.labels).tolist()

    @property
    def favourable_class(self) -> str:
        """The favourable class; by default the last one."""
        return self.favourable or (self.model.classes[-1] if self.model.classes else "")

    @property
    def artefact(self) -> Any:
        """What is suspected to act as a shortcut: an image with α, a PNG file or a function of rows; else ``None``."""
        return self.options.get("pasted_artefact", {}).get("artefact")

    @property
    def claimed_epsilon(self) -> float | None:
        """The ε of differential privacy with which the model was trained, as claimed; ``None`` where none is."""
        return self.options.get("privacy_bound", {}).get("epsilon")

    def options_of(self, method: Method) -> dict[str, Any]:
        """The options given for a diagnosis; the removal is filled in where the diagnosis takes one."""
        given = dict(self.options.get(method.name, {}))
        if "remove" in method.options:
            given.setdefault("remove", self.removal)
        return given


@dataclass(frozen=True)
class Input:
    """One thing that may be known: what it is, the argument of ``assay.audit``, the flag, and whether it is there."""

    description: str
    argument: str
    flag: str
    is_given: Callable[[AuditInputs], bool]


INPUTS: dict[str, Input] = {
    "labels": Input("the true labels of the rows", "y=labels", "--target COLUMN", lambda i: i.labels is not None),
    "train": Input(
        "training rows with their labels", "train=(rows, labels)", "--train FILE", lambda i: i.train is not None
    ),
    "background": Input("background rows", "background=rows", "--background FILE", lambda i: i.background is not None),
    "groups": Input("a sensitive column", "sensitive=('column',)", "--sensitive COLUMN", lambda i: bool(i.groups)),
    "favourable": Input(
        "the favourable class", "favourable='…'", "--favourable CLASS", lambda i: bool(i.favourable_class)
    ),
    "suspects": Input("suspect columns", "suspects=('column',)", "--suspects COLUMN", lambda i: bool(i.suspects)),
    "other_models": Input(
        "a model trained on shifted data", "assay diagnose --other FILE", "--other FILE", lambda i: bool(i.other_models)
    ),
    "recipe": Input(
        "a recipe that trains the model",
        "recipe=assay.Recipe(fit, x, y)",
        "--recipe FILE.py:FUNCTION, returning assay.Recipe(fit, x, y)",
        lambda i: i.recipe is not None,
    ),
    "clusters": Input(
        "a column of clusters",
        "assay diagnose --clusters COLUMN",
        "--clusters COLUMN",
        lambda i: i.clusters is not None,
    ),
    "explanation": Input(
        "an explanation of the same rows",
        "assay diagnose --of METHOD",
        "--explanation FILE.assay, or --of METHOD",
        lambda i: i.explanation is not None,
    ),
    "ball": Input(
        "a perturbation radius", "ball=assay.Ball('linf', …)", "--ball linf:0.03", lambda i: i.ball is not None
    ),
    "concepts": Input("concept examples", "concepts={name: rows}", "--concept NAME=FILE", lambda i: bool(i.concepts)),
    "regions": Input("region masks", "regions=masks", "", lambda i: i.regions is not None),
    "artefact": Input(
        "a suspected artefact",
        "options={'pasted_artefact': {'artefact': image}}",
        "--option artefact=FILE.png",
        lambda i: i.artefact is not None,
    ),
    "claimed_epsilon": Input(
        "the ε with which the model was trained",
        "options={'privacy_bound': {'epsilon': …}}",
        "--option epsilon=…",
        lambda i: i.claimed_epsilon is not None,
    ),
}
"""What may be known about a model under audit, by the name that ``needs`` and ``optional`` use."""


def missing_input(method: Method, inputs: AuditInputs) -> str:
    """The first of the method's needs that is not known; empty where all are."""
    return next((n for n in INPUTS if n in method.needs and not INPUTS[n].is_given(inputs)), "")


def not_run_reason(method: Method, inputs: AuditInputs) -> tuple[str, str]:
    """Why the method cannot be called with these inputs, and the argument that would enable it; empty where it can."""
    absent = missing_input(method, inputs)
    if absent:
        return f"it needs {INPUTS[absent].description}", INPUTS[absent].argument
    try:
        require_capabilities(method, inputs.case)
    except CapabilityError as error:
        return str(error), "a model or data with this property"
    return "", ""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a diagnosis: its arguments, and the subject its findings are about (empty: as the findings say)."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    subject: str = ""


def calls_by_name(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call whose positional arguments are the inputs of the same names; options are the profile's."""
    train, train_labels = inputs.train if inputs.train is not None else (None, None)
    known: dict[str, Any] = {name: getattr(inputs, name) for name in INPUTS}
    known |= {"labels": inputs.known_labels, "train": train, "train_labels": train_labels}
    known |= {"case": inputs.case, "held_out": (inputs.x, inputs.labels)}
    arguments: list[Any] = []
    options = inputs.options_of(method)
    for name, parameter in inspect.signature(method.body).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            if name not in known:
                raise InputError(
                    f"{method.verb}.{method.name} takes {name!r}, which is no input of an audit ({', '.join(known)}); "
                    f"declare it with calls=…"
                )
            arguments.append(known[name])
        elif name in known and name not in options and parameter.default is parameter.empty:
            options[name] = known[name]
    return [Call(tuple(arguments), options)]


def call_on_inputs(method: Method, inputs: AuditInputs) -> list[Any]:
    """The findings of a diagnosis for these inputs, all its calls together."""
    findings: list[Any] = []
    for one in (method.audit_calls or calls_by_name)(method, inputs):
        found = method.call(*one.arguments, **one.options)
        if one.subject:
            found = [f.of(one.subject) for f in found]
        findings += found
    return findings
