# SPDX-License-Identifier: Apache-2.0
"""What a few units of a layer carry of a target, and what of the input they see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import bootstrap
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.cases.removals import Constant
from assay.engine.cost import Given
from assay.engine.gradients.activation_maps import counted
from assay.engine.gradients.distributions import Distribution
from assay.engine.gradients.influence import influence
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import Gives, Target, pick
from assay.nouns.results.result import Note


def carried(inside: Case, output: Floats, first: Ints) -> tuple[dict[str, Floats], tuple[Note, ...]]:
    """The target with only the first k units kept, and with them set to 0, k from 0; and both as shares of all.

    ``inside`` is the case asked from the layer on, its parts the units; ``output`` the target with all of them.
    """
    units = len(inside.features)
    kept = _leading(first, units)
    masks = np.unique(np.concatenate([kept, ~kept]), axis=0)
    some = masks[~masks.all(axis=1)]
    answers = {mask.tobytes(): column for mask, column in zip(some, inside.game(Constant(0.0)).table(some).T)}
    answers[np.ones(units, dtype=bool).tobytes()] = output
    target = {
        name: np.stack([answers[mask.tobytes()] for mask in order], axis=1)
        for name, order in (("kept", kept), ("removed", ~kept))
    }
    none = target["kept"][:, 0]
    shares = {f"share_{name}": _shares(values, none, output, inside.seed) for name, values in target.items()}
    found = {name: share[:, 0] for name, share in shares.items()}
    found |= {f"{name}_interval": share[:, 1:] for name, share in shares.items()}
    text = "the mean target is the same with all units at 0: no share of it can be told"
    silent = float(np.mean(output - none)) == 0
    return target | found, ((Note("undefined-share", text),) if silent else ())


def regions_of(case: Case, layer: str, over: Distribution, units: Ints) -> Floats:
    """The influence of the input on each of some units of a layer: (unit, row, *shape)."""
    until = case.model.up_to_layer(layer)
    found = []
    for unit in units:
        label = np.full(len(case), unit, dtype=np.int64)
        question = replace(case, model=until, target=_unit(layer, int(unit)), label=label)
        found.append(to_floats(influence(question, over, along=False).values))
    return np.stack(found)


def priced(case: Case, o: Given, again: Cost) -> Cost:
    """The influence, two readings of the layer, each different removal, and the regions."""
    units = counted(case, o.layer, maps=False)
    kept = _leading(np.arange(min(o.top, units)), units)
    masks = np.unique(np.concatenate([kept, ~kept]), axis=0)
    passes = o.over.count * (1 + min(o.regions, units))
    each = Cost(passes + 2 + int((~masks.all(axis=1)).sum()), passes)
    return (each * len(case) + Cost(1 if o.layer is None else 0)) * case.model.passes


def asked(top: int, regions: int) -> None:
    """Raise ``InputError`` for a number of units below 0."""
    if top < 0 or regions < 0:
        raise InputError(f"top={top}, regions={regions}; neither may be below 0.")


def _leading(first: Ints, units: int) -> Any:
    """Masks (k, unit) of the first k units."""
    masks = np.zeros((len(first) + 1, units), dtype=bool)
    for count in range(1, len(masks)):
        masks[count:, first[count - 1]] = True
    return masks


def _unit(layer: str, index: int) -> Target:
    """A unit's activation, the mean over its positions: channels lie on the first axis of maps, else units last."""

    def read(outputs: Array, label: Array, gives: Gives) -> Array:
        if outputs.ndim == 4:
            return pick(outputs.mean(axis=(2, 3)), label)
        return pick(outputs.reshape(len(outputs), -1, outputs.shape[-1]).mean(axis=1), label)

    return Target(f"unit {index} of {layer}", read, f"activation of unit {index} of layer {layer}", layer=layer)


def _shares(values: Floats, none: Floats, output: Floats, seed: Seed) -> Floats:
    """Mean rise above none over that of all, (k, estimate and its limits); NaN where all does nothing."""
    whole = output - none

    def ratio(pairs: Floats, axis: int) -> Floats:
        rise, of = np.moveaxis(pairs.mean(axis=axis), -1, 0)
        return np.divide(rise, of, out=np.full(np.shape(of), np.nan), where=of != 0)

    if whole.mean() == 0:
        return np.full((values.shape[1], 3), np.nan)
    found = []
    for column in values.T:
        pairs = np.stack([column - none, whole], axis=1)
        share = float(ratio(pairs, 0))
        if np.ptp(pairs) == 0 and len(pairs) > 1:  # all rows alike, and all carried
            found.append([share, share, share])
            continue
        limits = bootstrap(pairs, statistic=ratio, seed=seed.child("influential_units"))
        found.append([share, limits.low, limits.high])
    return np.array(found)
