# SPDX-License-Identifier: Apache-2.0
"""TCAV of concepts at layers: what is evaluated, what is scored, and how it is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import holm
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.concepts.activations import few_rows_note, other_case, read_activations, read_gradient
from assay.engine.concepts.directions import CavKind, Pool
from assay.engine.concepts.significance import ConceptScores, Trial, score_concepts
from assay.engine.cost import Given
from assay.engine.gradients.activation_maps import find_hidden_layer
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.concept import Concept
from assay.nouns.inputs.features import elements
from assay.nouns.inputs.rows import count_rows
from assay.nouns.results.result import Estimate, Note

RIDGE = 1.0
"""Default penalty of ridge CAVs, in mean eigenvalues of the activations' covariance."""

ENOUGH = 5
"""Random rows for each row of the concept from which random concepts overlap little."""


@dataclass(frozen=True, eq=False)
class TcavOptions:
    """The options of ``explain.tcav``."""

    concepts: Any
    random_rows: Any
    controls: Any = ()
    layers: tuple[str, ...] = ()
    cav: CavKind = "pattern"
    pooled: bool = False
    counterparts: int = 20
    random_concepts: int = 99
    smooth: float = 0.0
    separability: float = 0.05
    ridge: float = RIDGE


@dataclass(frozen=True, eq=False)
class Tcav:
    """Scores of concepts at layers: ``scores`` has one entry a layer, each (concept, class)."""

    concepts: tuple[Concept, ...]
    controls: tuple[str, ...]
    layers: tuple[str, ...]
    classes: tuple[str, ...]
    scores: tuple[ConceptScores, ...]
    options: TcavOptions
    notes: tuple[Note, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parts: concepts, or with several layers concept @ layer, the layers one after another."""
        if len(self.layers) == 1:
            return tuple(one.name for one in self.concepts)
        return tuple(f"{one.name} @ {layer}" for layer in self.layers for one in self.concepts)

    @property
    def is_control(self) -> Any:
        """Which parts (part,) are control concepts."""
        return np.array([one.name in self.controls for _ in self.layers for one in self.concepts])

    def stacked(self, name: str) -> Floats:
        """A field of the scores with the concepts of all layers on its first axis."""
        return np.concatenate([np.asarray(getattr(one, name)) for one in self.scores])

    @property
    def is_separable(self) -> Any:
        """Which parts (part,) have a direction that tells held-out rows of the concept from random rows."""
        return self.stacked("accuracy_p") <= self.options.separability

    def tables(self) -> dict[str, Floats]:
        """The extras of ``explain.tcav`` by name."""
        judged = self.is_separable[:, None]
        found = {name: self.stacked(name) for name in ("tcav", "magnitude", "p", "t_test", "contrast", "contrast_p")}
        found = {name: np.where(judged, values, np.nan) for name, values in found.items()}
        tested = np.where(self.is_control[:, None], np.nan, found["p"])
        found["p_holm"] = holm(tested.ravel()).reshape(tested.shape)
        found |= {"tcav_stderr": self.stacked("stderr"), "contrast_stderr": self.stacked("contrast_stderr")}
        found |= {name: self.stacked(name)[:, None] for name in ("accuracy", "accuracy_p", "length")}
        null = self.stacked("null")
        return found | {"null": null.reshape(len(null), -1)}

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that so many random concepts can give."""
        return 1.0 / (1 + self.options.random_concepts)

    def estimate(self) -> Estimate:
        """As the values, extras, notes and lines of ``explain.tcav``."""
        tables = self.tables()
        lines = [
            f"p among {self.options.random_concepts} random concepts of the same size, at least {self.smallest_p:.3g}; "
            f"{self.options.cav} CAVs, {self.options.counterparts} sets of counterparts"
        ]
        for part, name in enumerate(self.names):
            for place, label in enumerate(self.classes):
                kind = "control " if self.is_control[part] else ""
                lines.append(f"{kind}{name}{f' → {label}' if label else ''}: {_line(tables, part, place)}")
        return Estimate(
            self.stacked("sensitivity").T,
            self.stacked("sensitivity_stderr").T,
            notes=self.notes,
            extra=tables,
            features=elements((len(self.names),), self.names),
            x=self.stacked("projection").T,
            description=tuple(lines),
        )


def _line(tables: dict[str, Floats], part: int, place: int) -> str:
    """One concept and class in words."""
    at = {name: values[part, min(place, values.shape[1] - 1)] for name, values in tables.items()}
    if np.isnan(at["tcav"]):
        return f"no direction (held-out accuracy {at['accuracy']:.2f}, p {at['accuracy_p']:.2g})"
    text = f"TCAV {at['tcav']:.3f} ± {at['tcav_stderr']:.3f}, p {at['p']:.2g}"
    if not np.isnan(at["p_holm"]):
        text += f" (Holm {at['p_holm']:.2g})"
    if not np.isnan(at["contrast"]):
        text += f", minus controls {at['contrast']:+.3f} ± {at['contrast_stderr']:.3f} (p {at['contrast_p']:.2g})"
    return f"{text}, magnitude {at['magnitude']:.2f}, held-out accuracy {at['accuracy']:.2f}"


def tcav_estimate(case: Case, o: TcavOptions) -> Tcav:
    """Evaluate activations and gradients at each layer once, and score all concepts."""
    trial = Trial(o.counterparts, o.random_concepts, o.smooth, o.separability)
    if not o.ridge > 0:
        raise InputError(f"ridge={o.ridge}; the penalty is above 0.")
    given, controls = Concept.each_of(o.concepts), Concept.each_of(o.controls, "controls")
    everything = Concept.each_of([*given, *controls])
    if not given:
        raise InputError("concepts is empty; give {name: rows}.")
    layers, notes = (o.layers, ()) if o.layers else _hidden_layer(case)
    cases = {one.name: other_case(case, one.rows, f"concept {one.name!r}") for one in everything}
    random = other_case(case, o.random_rows, "random_rows")
    small = next((name for name, found in cases.items() if len(found) < 2), None)
    if small is not None:
        raise InputError(f"concept {small!r} has {len(cases[small])} row; at least 2 are needed, better 30.")
    classes, members = _classes(case)
    scores = []
    for layer in layers:
        view, own, gradient = read_gradient(case, layer, o.pooled)
        pool = Pool.of(gradient, own, read_activations(random, view), o.cav, o.ridge)
        shown = [read_activations(one, view) for one in cases.values()]
        which = range(len(given), len(everything))
        scores.append(score_concepts(pool, shown, members, which, trial, case.seed.child("tcav")))
    found = Tcav(everything, tuple(one.name for one in controls), layers, classes, tuple(scores), o, notes)
    more = [note for name, one in cases.items() for note in few_rows_note(name, len(one))]
    more += _notes(found, len(random), max(len(one) for one in cases.values()), case)
    return Tcav(everything, found.controls, layers, classes, tuple(scores), o, (*notes, *more))


def _hidden_layer(case: Case) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    layer, notes = find_hidden_layer(case, None)
    return (layer,), notes


def _classes(case: Case) -> tuple[tuple[str, ...], list[Ints]]:
    """The names of the classes explained, and the rows of each."""
    labels = np.unique(case.label)
    names = tuple(case.classes[int(np.flatnonzero(case.label == label)[0])] for label in labels)
    several = case.model.kind.is_classifier or bool(case.model.output_names)
    return (names if several else ("",) * len(names)), [np.flatnonzero(case.label == label) for label in labels]


def _notes(found: Tcav, random: int, largest: int, case: Case) -> list[Note]:
    """What limits the scores."""
    notes = []
    for layer, scores in zip(found.layers, found.scores):
        fixed = [label or "the target" for label, one in zip(found.classes, scores.constant) if one]
        if fixed:
            text = (
                f"at layer {layer!r} all gradients of {', '.join(fixed[:4])} have one direction, as from the last "
                f"non-linearity on (or with one row): TCAV is 0 or 1 there, and p is undefined"
            )
            notes.append(Note("one-direction", text))
    lost = [name for name, fits in zip(found.names, found.is_separable) if not fits]
    if lost:
        text = (
            f"the direction of {', '.join(lost[:4])} does not tell held-out rows of the concept from random rows "
            f"better than random concepts do; TCAV, magnitude and p are undefined (NaN)"
        )
        notes.append(Note("not-separable", text))
    if random < ENOUGH * largest:
        text = (
            f"{random} random rows for concepts of {largest}: random concepts overlap, and p varies; "
            f"{ENOUGH * largest} or more are better"
        )
        notes.append(Note("few-random-rows", text))
    return notes


def tcav_cost(case: Case, o: Given, again: Cost) -> Cost:
    """At each layer a pass of every row of concepts and random rows, and two forward and one back of rows explained."""
    given = (*Concept.each_of(o.concepts), *Concept.each_of(o.controls, "controls"))
    others = sum(count_rows(one.rows) for one in given) + count_rows(o.random_rows)
    each = Cost(2 * len(case) + others, len(case)) * max(1, len(o.layers))
    return (each + Cost(0 if o.layers else 1)) * case.model.passes_per_row
