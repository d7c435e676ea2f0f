# SPDX-License-Identifier: Apache-2.0
"""How useful the units of a layer are for a class, and how useful they stay when they are attacked themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.cases.labels import labels_like
from assay.engine.search.ball import Ball
from assay.model.layer_trace import find_channel_axis
from assay.model.transformations.softplus_surrogate import softplus_for_relu
from assay.nouns.inputs.output_kind import Gives
from assay.nouns.inputs.rows import to_floats, to_numpy
from assay.nouns.inputs.target import Target, unit

SHARPNESS = 5.0
"""β of the softplus that stands for ReLU in the attack's gradients: a unit that is off has none of its own."""


@dataclass(frozen=True, eq=False)
class LayerUnits:
    """The units of a layer of a case's net: ``case`` ends at the layer, ``read`` takes one unit of its outputs."""

    case: Case
    layer: str
    read: Target

    @classmethod
    def of(cls, case: Case, layer: str) -> LayerUnits:
        """The units of this layer."""
        read = unit(layer, 0).with_unit_axis(find_channel_axis(case.model, case.rows, layer))
        return cls(replace(case, model=case.model.up_to_layer(layer), target=read), layer, read)

    def activations(self, x: Array, which: Ints | None = None) -> Floats:
        """The activations (row, unit) at rows; a channel is its mean over positions."""
        outputs = self.read.by_label(to_floats(self.case.outputs(x, which)))
        return np.asarray(outputs.reshape(*outputs.shape[:2], -1).mean(axis=2))

    def take(self, which: Ints) -> LayerUnits:
        """The same units for some of the rows."""
        return replace(self, case=self.case.take(which))

    def lowest(self, ball: Ball, units: Ints, signs: Floats, steps: int) -> Floats:
        """The least sign · activation of a unit (row,) that descent finds in the ball; one unit and sign for each row.

        From the row and from a random point, in ``steps`` steps of 2.5 / steps of the radius along gradients in which
        ReLU is a softplus; evaluated on the net itself.
        """
        x, rows = self.case.rows.x, np.arange(len(self.case))
        asked = replace(self.case, target=self._signed(units, signs), label=rows)

        def value(x: Array) -> Floats:
            return np.asarray(self.activations(x)[rows, units] * signs)

        best = value(x)
        for start in (x, ball.draw(self.case.rows, self.case.seed.child("unit attack"))):
            moved = start
            for _ in range(steps):
                with softplus_for_relu(SHARPNESS):
                    slope = asked.gradient(moved)
                moved = ball.project(moved - (2.5 / steps * ball.radius) * ball.steepest(slope), x)
                best = np.minimum(best, value(moved))
        return best

    def _signed(self, units: Ints, signs: Floats) -> Target:
        """sign · activation of the unit of each row, where the label is the position of the row."""

        def read(outputs: Array, place: Array, gives: Gives) -> Array:
            chosen = to_numpy(place).astype(np.int64)
            found = self.read.read(outputs, labels_like(units[chosen], outputs), gives)
            return found * labels_like(signs[chosen], found).to(found.dtype)

        return Target("unit", read, "a unit, signed")


@dataclass(frozen=True, eq=False)
class ChosenUnits:
    """Units with the class that each indicates: ``unit``, ``label`` and ``sign`` (chosen,), ``mean`` and ``spread``."""

    unit: Ints
    label: Ints
    sign: Floats
    mean: Floats
    spread: Floats


def choose_units(activations: Floats, labels: Ints, classes: int, most: int) -> ChosenUnits:
    """The units of largest |correlation| with being of a class, at most ``most``, each with that class.

    ``activations`` (row, unit); units that do not vary, and classes without rows, are left out.
    """
    own = labels[:, None] == np.arange(classes)
    mean, spread = activations.mean(axis=0), activations.std(axis=0)
    known = own.any(axis=0) & ~own.all(axis=0)
    weight = standardised_label(own)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.where(spread[:, None] > 0, ((activations - mean) / spread).T @ weight / len(labels), 0.0)
    correlation = np.where(known, correlation, 0.0)
    label = np.abs(correlation).argmax(axis=1)
    strongest = correlation[np.arange(len(label)), label]
    order = np.argsort(-np.abs(strongest), kind="stable")
    chosen = order[np.abs(strongest[order]) > 0][:most]
    return ChosenUnits(chosen, label[chosen], np.sign(strongest[chosen]), mean[chosen], spread[chosen])


def standardised_label(own: Any) -> Floats:
    """(1[class] − p) / √(p (1 − p)) (row, class): its mean product with a standardised unit is their correlation."""
    share = np.asarray(own, dtype=np.float64).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((share > 0) & (share < 1), (own - share) / np.sqrt(share * (1 - share)), 0.0)


@dataclass(frozen=True, eq=False)
class Usefulness:
    """Terms (row, chosen) whose means are the usefulness of each unit: at the rows, attacked, at random points."""

    clean: Floats
    attacked: Floats
    random: Floats


def usefulness(units: LayerUnits, chosen: ChosenUnits, labels: Ints, ball: Ball, steps: int) -> Usefulness:
    """w · sign · (a − mean) / spread of each chosen unit's activation a, w the standardised label of its class.

    Attacked: the least over the ball, which lowers the unit where w is above 0 and raises it elsewhere. Mean and spread
    are those of the rows that chose the units, so that an attack cannot hide in them.
    """
    case, count = units.case, len(chosen.unit)
    weight = standardised_label(labels[:, None] == chosen.label)
    edge = ball.draw(case.rows, case.seed.child("unit noise"), edge=True)

    def terms(activations: Floats) -> Floats:
        return np.asarray(weight * chosen.sign * (activations - chosen.mean) / chosen.spread)

    rows, place = np.repeat(np.arange(len(case)), count), np.tile(np.arange(count), len(case))
    signs = np.where(weight.ravel() * chosen.sign[place] >= 0, 1.0, -1.0)
    least = units.take(rows).lowest(ball, chosen.unit[place], signs, steps)
    return Usefulness(
        clean=terms(units.activations(case.rows.x)[:, chosen.unit]),
        attacked=terms((signs * least).reshape(len(case), count)),
        random=terms(units.activations(edge)[:, chosen.unit]),
    )
