# SPDX-License-Identifier: Apache-2.0
"""Model inversion: the search for inputs that a class's probability is high for, and what they say about members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson, pearson
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.engine.retraining.labelled_rows import model_outputs, read_like, true_labels
from assay.nouns.inputs.rows import to_floats

Auxiliary = Callable[[Floats], tuple[Floats, Floats]]
"""Points (row, *shape) to a further cost (row,) and its derivative (row, *shape)."""

Process = Callable[[Floats], Floats]
"""Points (row, *shape) to points that look more like inputs."""


@dataclass(frozen=True)
class InversionOptions:
    """α ``steps`` of size λ ``step``, patience β, and γ, the ``confidence`` at which a row is finished."""

    steps: int
    patience: int
    confidence: float
    step: float

    def __post_init__(self) -> None:
        if self.steps < 1 or self.patience < 1 or not 0 < self.step < np.inf or not 0 < self.confidence <= 1:
            raise InputError(
                f"steps={self.steps}, patience={self.patience}, step={self.step}, confidence={self.confidence}; needed "
                f"are steps ≥ 1, patience ≥ 1, a finite step > 0, and a confidence (a probability) above 0, at most 1."
            )


@dataclass(frozen=True, eq=False)
class Inversion:
    """The best point of each row, its probability, the number of steps taken, and rows whose first slope was zero."""

    x: Floats
    probability: Floats
    steps: Ints
    flat: Ints


@dataclass(frozen=True, eq=False)
class ClassProbability:
    """The probability of each row's class, and its derivative, at points in float64."""

    case: Case

    def at(self, x: Floats, which: Ints) -> Floats:
        """The probability (row,) of the class of rows ``which``."""
        return to_floats(self.case.value(self.rows(x), which))

    def exact_slope(self, x: Floats, which: Ints) -> Floats:
        """Its derivative (row, *shape)."""
        return to_floats(self.case.gradient(self.rows(x), which))

    def rows(self, x: Floats) -> Array:
        """Points in the form of the case's rows."""
        own = self.case.rows.x
        if not is_torch_array(own):
            return x.astype(own.dtype)
        return array_namespace(own).asarray(x, dtype=own.dtype, device=own.device)

    def estimated_slope(self, how: str, draws: int, sigma: float, seed: Seed) -> Callable[[Floats, Ints], Floats]:
        """The derivative estimated from ``draws`` pairs of probabilities at x ± σu, with u normal (NES) or ±1 (SPSA).

        Each row has a stream of random numbers of its own.
        """
        ids = self.case.rows.ids
        streams = [seed.child(how, ids[row]).generator() for row in range(len(self.case))]

        def slope(x: Floats, which: Ints) -> Floats:
            shape = (draws, *x.shape[1:])
            drawn = [
                streams[row].normal(size=shape) if how == "nes" else streams[row].choice((-1.0, 1.0), shape)
                for row in which.tolist()
            ]
            u = np.stack(drawn, axis=1)
            sides = [
                self.at((x + sign * sigma * u).reshape(-1, *x.shape[1:]), np.tile(which, draws)).reshape(draws, -1)
                for sign in (1.0, -1.0)
            ]
            change = (sides[0] - sides[1]) / (2 * sigma)
            return np.asarray((change.reshape(*change.shape, *[1] * (x.ndim - 1)) * u).mean(axis=0))

        return slope


def invert(
    probability: ClassProbability,
    slope: Callable[[Floats, Ints], Floats],
    start: Floats,
    options: InversionOptions,
    process: Process,
    auxiliary: Auxiliary | None,
) -> Inversion:
    """Descend on c = 1 − p + auxiliary from ``start``, x ← process(x − λ ∇c), for each row until it is finished.

    A row is finished where p ≥ γ, after α steps, or where c is at least the largest of the last β costs; the point of
    its least cost is returned, whichever that is.
    """
    x, rows = process(start.copy()), len(start)
    best, found, least = x.copy(), np.zeros(rows), np.full(rows, np.inf)
    taken, active, costs = np.zeros(rows, dtype=np.int64), np.arange(rows), np.full((options.patience, rows), -np.inf)
    flat = np.empty(0, dtype=np.int64)
    for step in range(options.steps + 1):
        p = probability.at(x[active], active)
        cost = 1 - p
        if auxiliary is not None:
            further, further_slope = auxiliary(x[active])
            cost = cost + further
        better = cost < least[active]
        which = active[better]
        best[which], found[which], least[which] = x[which], p[better], cost[better]
        stuck = (step >= options.patience) & (cost >= costs[:, active].max(axis=0))
        costs[step % options.patience, active] = cost
        open_rows = ~(stuck | (p >= options.confidence))
        if step == options.steps or not open_rows.any():
            break
        active = active[open_rows]
        moved = -slope(x[active], active)
        if step == 0:
            flat = active[np.abs(moved).reshape(len(active), -1).max(axis=1) == 0]
        if auxiliary is not None:
            moved = moved + further_slope[open_rows]
        x[active] = process(x[active] - options.step * moved)
        taken[active] += 1
    return Inversion(best, found, taken, flat)


def checked_auxiliary(given: Any) -> Auxiliary:
    """The auxiliary cost with its result checked: ``InputError`` unless it is a cost (row,) and a derivative."""
    if not callable(given):
        raise InputError(f"auxiliary is a {type(given).__name__}; give a function of points (row, *shape).")

    def auxiliary(x: Floats) -> tuple[Floats, Floats]:
        found = given(x)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise InputError("auxiliary must return a pair: a cost (row,) and its derivative (row, *shape).")
        cost, slope = (np.asarray(one, dtype=np.float64) for one in found)
        if cost.shape != x.shape[:1] or slope.shape != x.shape:
            raise InputError(
                f"auxiliary gives shapes {cost.shape} and {slope.shape} for points of shape {x.shape}; needed are a "
                f"cost (row,) and a derivative (row, *shape)."
            )
        return cost, slope

    return auxiliary


def processing(bounds: Sequence[float], denoise: float, custom: Any, shape: Any) -> Process:
    """Denoise, then the caller's function, then clip to the bounds; each only where it is given."""
    if len(bounds) and not (len(bounds) == 2 and bounds[0] < bounds[1]):
        raise InputError(f"bounds={tuple(bounds)}; needed are two numbers, the lower one first.")
    if custom is not None and not callable(custom):
        raise InputError(f"process is a {type(custom).__name__}; give a function of points (row, *shape).")
    if not 0 <= denoise <= 1:
        raise InputError(f"denoise={denoise}; a share from 0 (none) to 1 is needed.")
    if denoise and len(shape) != 3:
        raise CapabilityError(f"denoise needs images (channel, height, width); the rows have shape {tuple(shape)}.")

    def process(x: Floats) -> Floats:
        if denoise:
            padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="edge")
            height, width = x.shape[2:]
            near = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
            x = (1 - denoise) * x + denoise * np.mean(near, axis=0)
        if custom is not None:
            given, x = x.shape, np.asarray(custom(x), dtype=np.float64)
            if x.shape != given:
                raise InputError(f"process gives shape {x.shape} for points of shape {given}; it must keep the shape.")
        return np.clip(x, bounds[0], bounds[1]) if len(bounds) else x

    return process


@dataclass(frozen=True, eq=False)
class MemberComparison:
    """Reconstructions compared with training rows and held-out rows of their class; each field is (row,).

    ``correlation`` is that with the mean of the class's training rows, ``member`` and ``other`` the distance to the
    nearest of equally many training and held-out rows, ``mean_member`` and ``mean_other`` the same of the class mean.
    """

    correlation: Floats
    member: Floats
    other: Floats
    mean_member: Floats
    mean_other: Floats

    def summary(self) -> dict[str, Any]:
        """Means over rows, and how often a member is nearer than any held-out row, which is ½ without a leak."""
        known = np.isfinite(self.member) & np.isfinite(self.other)
        nearer, count = int((self.member < self.other)[known].sum()), int(known.sum())
        limits = clopper_pearson(nearer, count)
        return {
            "correlation_with_class_mean": float(np.nanmean(self.correlation)) if count else float("nan"),
            "nearest_member": float(self.member[known].mean()) if count else float("nan"),
            "nearest_held_out": float(self.other[known].mean()) if count else float("nan"),
            "class_mean_to_member": float(self.mean_member[known].mean()) if count else float("nan"),
            "class_mean_to_held_out": float(self.mean_other[known].mean()) if count else float("nan"),
            "nearer_to_member": nearer / count if count else float("nan"),
            "nearer_to_member_low": limits.low,
            "nearer_to_member_high": limits.high,
        }


def compare_with_members(case: Case, x: Floats, classes: Ints, train: Any, held_out: Any) -> MemberComparison:
    """Distances of points (row, *shape) to rows of both sets, equally many of each class, drawn by the case's seed."""
    sides = []
    for rows, labels in (train, held_out):
        known = read_like(case, rows)
        own = np.asarray(true_labels(case.model, labels, len(known), model_outputs(case, known)))
        sides.append((to_floats(known).reshape(len(known), -1), own))
    flat, found = x.reshape(len(x), -1), np.full((5, len(x)), np.nan)
    for each in np.unique(classes):
        here, same = np.flatnonzero(classes == each), [values[labels == each] for values, labels in sides]
        count = min(map(len, same))
        if not count:
            continue
        mean = same[0].mean(axis=0)
        drawn = [
            values[case.seed.child("inversion", name, int(each)).generator().permutation(len(values))[:count]]
            for name, values in zip(("members", "others"), same)
        ]
        found[0, here] = pearson(flat[here], np.tile(mean, (len(here), 1)))
        for place, values in enumerate(drawn):
            found[1 + place, here] = np.array([np.linalg.norm(values - line, axis=1).min() for line in flat[here]])
            found[3 + place, here] = np.linalg.norm(values - mean, axis=1).min()
    return MemberComparison(*found)
