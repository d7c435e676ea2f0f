# SPDX-License-Identifier: Apache-2.0
"""The Gauss–Newton matrix of a net: its exact inverse for few weights, conjugate gradients for more.

Of classes it is the mean over rows of E[∇ℓ(y) ∇ℓ(y)ᵀ] with y drawn from the model's own probabilities; of values
2 ∇s ∇sᵀ. Unlike the Hessian it has no negative eigenvalue, also where training has not converged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.labels import labels_like
from assay.engine.influence.weight_gradients import (
    RecordedPass,
    WeightLayer,
    batch_rows,
    record,
    target_reading,
    weight_count,
)
from assay.nouns.inputs.rows import to_double
from assay.nouns.inputs.target import probabilities
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

ALL_CLASSES = 16
"""Up to so many classes the expectation over labels is exact; of more, one label a row is drawn."""

EXACT_WEIGHTS = 5000
"""Up to so many weights the matrix is factorised."""

MAX_STEPS, TOLERANCE = 300, 1e-8
"""Most steps of conjugate gradients, and the relative residual at which they stop."""


def label_values(train: Case, done: RecordedPass, which: Ints) -> Iterator[Any]:
    """Values (row,) whose gradients' outer products, summed, give the Gauss–Newton matrix of each row."""
    pt = need("torch", extra="torch")
    model = train.model
    if model.gives == "values":
        for out in range(done.outputs.shape[1]):
            yield to_double(done.outputs[:, out]) * 2**0.5
        return
    if not model.kind.exclusive:
        raise CapabilityError(f"{model.name} has several labels a row; influence takes one label a row.")
    chances = probabilities(to_double(done.outputs.detach()), model.gives)
    classes = chances.shape[1]

    def loss(labels: Ints) -> Any:
        return train.target.read(to_double(done.outputs), labels_like(labels, done.outputs), model.gives)

    if classes <= ALL_CLASSES:
        for label in range(classes):
            root = pt.sqrt(chances[:, label])
            values = loss(np.full(len(which), label))
            yield pt.where(root > 0, root * pt.where(root > 0, values, pt.zeros_like(values)), pt.zeros_like(values))
        return
    yield loss(_drawn(train, chances.cpu().numpy(), which))


def _drawn(train: Case, chances: Any, which: Ints) -> Ints:
    """One label a row from the model's probabilities, the same whatever the batch."""
    seed = train.seed.child("labels of the curvature")
    places = [seed.child(train.rows.ids[row]).generator().random() for row in which]
    ladder = np.cumsum(chances, axis=1)
    return np.minimum((ladder < np.array(places)[:, None] * ladder[:, -1:]).sum(axis=1), chances.shape[1] - 1)


def passes_of(train: Case) -> int:
    """Backward passes a row for the matrix: one a class, or one a value."""
    outs = train.prediction.shape[1]
    classes = 2 if outs == 1 and train.model.gives != "values" else outs
    return outs if train.model.gives == "values" else classes if classes <= ALL_CLASSES else 1


@dataclass(frozen=True, eq=False)
class Curvature:
    """``solve`` maps gradients (row, weight) to (G + λ I)⁻¹ times them, with what to tell; ``damping`` is λ.

    ``cheap`` says that solving for every training row costs little.
    """

    solve: Callable[[Any], tuple[Any, tuple[Note, ...]]]
    damping: float
    cheap: bool


def gauss_newton(
    train: Case, layers: list[WeightLayer], *, damping: float, memory: int, weight_decay: float = 0.0
) -> Curvature:
    """The Gauss–Newton matrix of the mean training loss plus λ.

    λ = ``damping`` times its mean eigenvalue + ``weight_decay``. Up to ``EXACT_WEIGHTS`` weights by one Cholesky
    factorisation, where three such matrices fit into ``memory``; else by conjugate gradients on what the layers read
    and pass back, which has to fit.
    """
    require_damping(damping, weight_decay)
    weights = weight_count(layers)
    if weights <= EXACT_WEIGHTS and 3 * 8 * weights**2 <= memory:
        return _by_factorising(train, layers, damping, memory, weight_decay)
    return _by_conjugate_gradients(train, layers, damping, memory, weight_decay)


def require_damping(damping: float, weight_decay: float) -> None:
    """Raise ``InputError`` unless the damping is above 0, and the weight decay no less."""
    if not damping > 0 or weight_decay < 0:
        raise InputError(
            f"damping={damping}, weight_decay={weight_decay}; the matrix has eigenvalues of 0, so that damping has to "
            f"be above 0, and weight_decay at least 0."
        )


def _by_factorising(
    train: Case, layers: list[WeightLayer], damping: float, memory: int, weight_decay: float
) -> Curvature:
    pt = need("torch", extra="torch")
    weights = weight_count(layers)
    matrix: Any = pt.zeros(weights, weights, dtype=pt.float64, device=layers[0].module.weight.device)
    for which, done in record(train, layers, batch_rows(train, layers, memory), passes_of(train)):
        for values in label_values(train, done, which):
            rows = done.flat_gradients(values)
            matrix.addmm_(rows.mT, rows)
    matrix /= len(train)
    amount = damping * float(matrix.diagonal().mean()) + weight_decay
    matrix.diagonal().add_(amount)
    factor = pt.linalg.cholesky(matrix)
    return Curvature(lambda right: (pt.cholesky_solve(right.mT, factor).mT, ()), amount, True)


def _by_conjugate_gradients(
    train: Case, layers: list[WeightLayer], damping: float, memory: int, weight_decay: float
) -> Curvature:
    pt = need("torch", extra="torch")
    factors, held, trace = [], 0, 0.0
    for which, done in record(train, layers, batch_rows(train, layers, memory), passes_of(train)):
        if any(len(calls) > 1 for calls in done.inputs):
            raise CapabilityError("a layer is called several times in a pass. Use method='ek_fac'.")
        reads = [layer.inputs(calls[0]) for layer, calls in zip(layers, done.inputs)]
        backs = [[calls[0] for calls in done.slopes(values)] for values in label_values(train, done, which)]
        held += 8 * sum(one.numel() for one in [*reads, *(back for each in backs for back in each)])
        if held > memory:
            raise CapabilityError(
                f"what the layers read and pass back takes more than memory={memory:,} bytes. Give more, fewer "
                f"training rows, or use method='ek_fac'."
            )
        factors.append((reads, backs))
        for back in backs:
            for read, slope in zip(reads, back):
                trace += float((pt.einsum("bso,bsi->boi", slope, read) ** 2).sum())
    amount = damping * trace / len(train) / weight_count(layers) + weight_decay

    def product(given: Any) -> Any:
        """(G + λ I) times each row of ``given`` (row, weight)."""
        blocks = split_weights(given, layers)
        found = [pt.zeros_like(block) for block in blocks]
        for reads, backs in factors:
            for back in backs:
                dots: Any = 0.0
                for read, slope, block in zip(reads, back, blocks):
                    dots = dots + pt.einsum("bso,toi,bsi->tb", slope, block, read)
                for place, (read, slope) in enumerate(zip(reads, back)):
                    found[place] += pt.einsum("tb,bso,bsi->toi", dots, slope, read)
        return pt.cat([one.flatten(1) for one in found], dim=1) / len(train) + amount * given

    def solve(right: Any) -> tuple[Any, tuple[Note, ...]]:
        solution, steps, residual = _conjugate_gradients(product, right)
        if residual <= TOLERANCE:
            return solution, ()
        text = f"conjugate gradients stopped after {steps} steps with a relative residual of {residual:.1e}"
        return solution, (Note("not-solved", text),)

    return Curvature(solve, amount, False)


def _conjugate_gradients(product: Any, right: pt.Tensor) -> tuple[pt.Tensor, int, float]:
    """Solutions (row, weight) for each row of ``right``, the steps, and the largest relative residual."""
    pt = need("torch", extra="torch")
    x, rest = pt.zeros_like(right), right.clone()
    along, size = rest.clone(), (rest * rest).sum(dim=1)
    scale = pt.clamp(size, min=1e-300)
    for step in range(MAX_STEPS):
        if float((size / scale).max()) <= TOLERANCE**2:
            return x, step, float((size / scale).max()) ** 0.5
        moved = product(along)
        length = pt.where(size > 0, size / pt.clamp((along * moved).sum(dim=1), min=1e-300), pt.zeros_like(size))
        x = x + length[:, None] * along
        rest = rest - length[:, None] * moved
        new = (rest * rest).sum(dim=1)
        along = rest + (new / pt.clamp(size, min=1e-300))[:, None] * along
        size = new
    return x, MAX_STEPS, float((size / scale).max()) ** 0.5


def split_weights(flat: pt.Tensor, layers: list[WeightLayer]) -> list[pt.Tensor]:
    """Weights (row, weight) as one array (row, out, in) for each layer."""
    pt = need("torch", extra="torch")
    parts = pt.split(flat, [layer.size for layer in layers], dim=1)
    return [part.reshape(len(flat), *layer.shape) for part, layer in zip(parts, layers)]


def training_products(
    train: Case, layers: list[WeightLayer], tests: pt.Tensor, memory: int, own: Any = None
) -> tuple[Any, Any]:
    """Products (test, row) of weights ``tests`` (test, weight) with the gradient of each training row's loss.

    With ``own``, a function from gradients (row, weight) to gradients, also the product of each with itself, (row,).
    """
    pt = need("torch", extra="torch")
    read, found, selves = target_reading(train), [], []
    for which, done in record(train, layers, batch_rows(train, layers, memory)):
        gradients = done.flat_gradients(read(done.outputs, which))
        found.append(tests @ gradients.mT)
        if own is not None:
            selves.append((gradients * own(gradients)).sum(dim=1))
    return pt.cat(found, dim=1).cpu().numpy(), (pt.cat(selves).cpu().numpy() if own is not None else None)
