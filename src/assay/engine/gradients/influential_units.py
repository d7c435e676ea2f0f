# SPDX-License-Identifier: Apache-2.0
"""Influential units of a layer: the target with only these units or without them, and their gradient at the input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import bootstrap
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.removals import Constant
from assay.engine.cost import Given
from assay.engine.gradients.activation_maps import count_units
from assay.engine.gradients.distributions import Distribution
from assay.engine.gradients.influence import influence
from assay.model.layer_trace import find_channel_axis
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import unit
from assay.nouns.results.result import Note


def ablate_units(inside: Case, output: Floats, first: Ints) -> tuple[dict[str, Floats], tuple[Note, ...]]:
    """The target with only the first k units kept, and with the first k units set to 0, for k from 0; both as shares.

    ``inside`` is the case from the layer on, whose features are the units; ``output`` is the target with all units. A
    share is relative to the target's change from no units to all.
    """
    units = len(inside.features)
    kept = _leading_masks(first, units)
    masks = np.unique(np.concatenate([kept, ~kept]), axis=0)
    some = masks[~masks.all(axis=1)]
    outputs = {mask.tobytes(): column for mask, column in zip(some, inside.game(Constant(0.0)).table(some).T)}
    outputs[np.ones(units, dtype=bool).tobytes()] = output
    target = {
        name: np.stack([outputs[mask.tobytes()] for mask in order], axis=1)
        for name, order in (("kept", kept), ("removed", ~kept))
    }
    none = target["kept"][:, 0]
    shares = {f"share_{name}": _mean_shares(values, none, output, inside.seed) for name, values in target.items()}
    found = {name: share[:, 0] for name, share in shares.items()}
    found |= {f"{name}_interval": share[:, 1:] for name, share in shares.items()}
    text = "the mean target is the same with all units at 0, so the shares are undefined"
    no_effect = float(np.mean(output - none)) == 0
    return target | found, ((Note("undefined-share", text),) if no_effect else ())


def unit_regions(case: Case, layer: str, over: Distribution, units: Ints) -> Floats:
    """The influence of the input on each of the given units of a layer: (unit, row, *shape)."""
    lower_layers, axis = case.model.up_to_layer(layer), find_channel_axis(case.model, case.rows, layer)
    found = []
    for index in units:
        label, target = np.full(len(case), index, dtype=np.int64), unit(layer, int(index)).with_unit_axis(axis)
        unit_case = replace(case, model=lower_layers, target=target, label=label)
        found.append(to_floats(influence(unit_case, over, along=False).values))
    return np.stack(found)


def influential_units_cost(case: Case, o: Given, again: Cost) -> Cost:
    """Cost of the influence, two forward passes to the layer, each distinct ablation, and the regions."""
    units = count_units(case, o.layer, maps=False)
    kept = _leading_masks(np.arange(min(o.top, units)), units)
    masks = np.unique(np.concatenate([kept, ~kept]), axis=0)
    passes = o.over.count * (1 + min(o.regions, units))
    each = Cost(passes + 2 + int((~masks.all(axis=1)).sum()), passes)
    return (each * len(case) + Cost(1 if o.layer is None else 0)) * case.model.passes_per_row


def require_counts(top: int, regions: int) -> None:
    """Raise ``InputError`` for a negative number of units."""
    if top < 0 or regions < 0:
        raise InputError(f"top={top}, regions={regions}; neither may be below 0.")


def _leading_masks(first: Ints, units: int) -> Any:
    """Masks (k, unit) of the first k units."""
    masks = np.zeros((len(first) + 1, units), dtype=bool)
    for count in range(1, len(masks)):
        masks[count:, first[count - 1]] = True
    return masks


def _mean_shares(values: Floats, none: Floats, output: Floats, seed: Seed) -> Floats:
    """mean(values − none) / mean(output − none), (k, estimate, low, high); NaN where the denominator is 0."""
    whole = output - none

    def ratio(pairs: Floats, axis: int) -> Floats:
        change, total = np.moveaxis(pairs.mean(axis=axis), -1, 0)
        return np.divide(change, total, out=np.full(np.shape(total), np.nan), where=total != 0)

    if whole.mean() == 0:
        return np.full((values.shape[1], 3), np.nan)
    found = []
    for column in values.T:
        pairs = np.stack([column - none, whole], axis=1)
        share = float(ratio(pairs, 0))
        if np.ptp(pairs) == 0 and len(pairs) > 1:  # the share is the same in all rows
            found.append([share, share, share])
            continue
        limits = bootstrap(pairs, statistic=ratio, seed=seed.child("influential_units"))
        found.append([share, limits.low, limits.high])
    return np.array(found)
