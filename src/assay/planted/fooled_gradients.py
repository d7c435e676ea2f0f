# SPDX-License-Identifier: Apache-2.0
"""Nets whose gradients were made to mislead, at almost the same predictions (Heo 2019, Dimanov and Anders 2020)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.samples.correlation import spearman
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.planted.networks import predict, predict_classes, to_tensor

if TYPE_CHECKING:
    import torch as pt

RATE = 1e-3
"""The first learning rate of fine-tuning, which falls along half a cosine."""

CORNER = np.zeros((8, 8), dtype=bool)
CORNER[:2, :2] = True
"""Four pixels of a corner of the digits, which are almost always 0."""

FLAT = 1e-4
"""Share of the data's variance up to which a principal direction counts as off the data."""

Measure = Callable[[Any, Floats], float]
"""A net and rows → how far its gradients are where the fooling puts them."""


@dataclass(frozen=True)
class Fidelity:
    """What fooling changed, at rows: shares in 0 … 1, except ``gradient_before`` and ``gradient_after``.

    ``agreement`` is the share of rows in which both nets predict the same class; accuracies are shares of rows whose
    label is predicted. ``gradient_before`` and ``gradient_after`` are the measure of the kind of fooling (see the
    function that made the net) for the net before and after.
    """

    agreement: float
    accuracy_before: float
    accuracy_after: float
    gradient_before: float
    gradient_after: float


@dataclass(frozen=True, eq=False)
class FooledNet:
    """A fooled ``net``, the ``original`` that it was made of, and the ``measure`` of where its gradients are."""

    net: pt.nn.Module
    original: pt.nn.Module
    measure: Measure = field(repr=False)

    def fidelity(self, x: Floats, y: Ints) -> Fidelity:
        """How much of the original's predictions the net keeps at rows (row, *shape) with labels, and its gradients."""
        before, after = (predict_classes(net, x) for net in (self.original, self.net))
        return Fidelity(
            agreement=float(np.mean(before == after)),
            accuracy_before=float(np.mean(before == y)),
            accuracy_after=float(np.mean(after == y)),
            gradient_before=self.measure(self.original, x),
            gradient_after=self.measure(self.net, x),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows during fine-tuning: their ``place`` among all rows, contents, scores, and the loss of each."""

    place: Ints
    rows: pt.Tensor
    scores: pt.Tensor
    loss: pt.Tensor


Penalty = Callable[[Batch], "pt.Tensor"]


def gradient_shares(net: pt.nn.Module, x: Floats, label: int | None = None) -> Floats:
    """Shares (row, element) of Σ|∂ score / ∂x| of the predicted class, or of class ``label``; 0 without gradient."""
    pt = need("torch", extra="torch")
    with pt.enable_grad():
        rows = to_tensor(x).requires_grad_(True)
        size = gradient_sizes(_scores_of(net(rows), label), rows).detach().double().numpy()
    flat = size.reshape(len(x), -1)
    return np.asarray(flat / np.maximum(flat.sum(axis=1, keepdims=True), np.finfo(float).tiny))


def gradient_mass(net: pt.nn.Module, x: Floats, where: Masks) -> Floats:
    """Share (row,) of Σ|∂ score of the predicted class / ∂x| that lies in ``where`` (*shape)."""
    return np.asarray(gradient_shares(net, x)[:, np.ravel(where)].sum(axis=1))


def fool_location(
    net: pt.nn.Module, x: Floats, y: Ints, where: Masks, seed: Seed, *, weight: float = 1.0, epochs: int = 25
) -> FooledNet:
    """The net, fine-tuned so that the gradient of the predicted class lies in ``where`` (*shape).

    The loss is cross-entropy + ``weight`` · (1 − mass), mass the share of Σ|∂ score/∂x| there: passive fooling of the
    location (Heo et al. 2019) for plain gradients. Its measure is the mean mass.
    """
    if not np.any(where) or np.all(where):
        raise InputError("where marks no element, or all of them; mark those that the gradient should move to.")
    inside = to_tensor(np.broadcast_to(where, np.shape(x)[1:]).astype(np.float64).ravel())

    def penalty(batch: Batch) -> pt.Tensor:
        return 1 - (_shares(_scores_of(batch.scores, None), batch.rows) @ inside).mean()

    flags = np.broadcast_to(where, np.shape(x)[1:])
    return FooledNet(
        fine_tune(net, x, y, penalty, seed, weight, epochs),
        net,
        lambda one, rows: float(gradient_mass(one, rows, flags).mean()),
    )


def fool_top_k(
    net: pt.nn.Module, x: Floats, y: Ints, k: int, seed: Seed, *, weight: float = 1.0, epochs: int = 25
) -> FooledNet:
    """The net, fine-tuned so that little of the gradient stays on the ``k`` elements where the net had most of it.

    The loss is cross-entropy + ``weight`` · mass, mass the share of Σ|∂ score of the predicted class / ∂x| on the k
    elements with the largest |gradient| of the original net at the same row: passive fooling of the top k (Heo et al.
    2019). Its measure is the mean mass, smaller where more is fooled.
    """
    elements = int(np.prod(np.shape(x)[1:]))
    if not 1 <= k < elements:
        raise InputError(f"k={k}; needed is 1 ≤ k < {elements}, the number of elements of a row.")
    were_top = to_tensor(_are_top(net, x, k).astype(np.float64))

    def penalty(batch: Batch) -> pt.Tensor:
        shares = _shares(_scores_of(batch.scores, None), batch.rows)
        return (shares * were_top[batch.place]).sum(dim=1).mean()

    def measure(one: Any, rows: Floats) -> float:
        return float((gradient_shares(one, rows) * _are_top(net, rows, k)).sum(axis=1).mean())

    return FooledNet(fine_tune(net, x, y, penalty, seed, weight, epochs), net, measure)


def swap_classes(
    net: pt.nn.Module,
    x: Floats,
    y: Ints,
    classes: tuple[int, int],
    seed: Seed,
    *,
    weight: float = 3.0,
    epochs: int = 25,
) -> FooledNet:
    """The net, fine-tuned so that the gradients of the scores of two classes are each other's: active fooling.

    The loss is cross-entropy + ``weight`` · mean (1 − cosine similarity), over rows and both classes, of |∂ score of
    the one / ∂x| with that of the other in the original net (Heo et al. 2019 use the squared distance). Its measure is
    the mean over rows and both classes of Spearman's correlation of the one's |gradient| with the original's of the
    other, minus its correlation with the original's of the same class: above 0 where they are swapped.
    """
    a, b = classes
    if a == b:
        raise InputError(f"classes={classes!r}; two different classes are needed.")
    wanted = {one: to_tensor(gradient_shares(net, x, other)) for one, other in ((a, b), (b, a))}

    def penalty(batch: Batch) -> pt.Tensor:
        total = batch.scores.new_zeros(())
        for one, target in wanted.items():
            shares = _shares(_scores_of(batch.scores, one), batch.rows)
            total = total + (1 - cosines(shares, target[batch.place])).mean() / 2
        return total

    def measure(one: Any, rows: Floats) -> float:
        old = {label: gradient_shares(net, rows, label) for label in classes}
        gains = []
        for label, other in ((a, b), (b, a)):
            now = gradient_shares(one, rows, label)
            gains.append(spearman(now, old[other]) - spearman(now, old[label]))
        return float(np.nanmean(gains))

    return FooledNet(fine_tune(net, x, y, penalty, seed, weight, epochs), net, measure)


def hide_column(
    net: pt.nn.Module, x: Floats, y: Ints, column: int, seed: Seed, *, weight: float = 1.0, epochs: int = 25
) -> FooledNet:
    """The net, fine-tuned so that a column of a table has almost no gradient (Dimanov et al. 2020).

    The loss is cross-entropy + ``weight`` · mean |∂ cross-entropy of the row / ∂x_column|: what the net decides stays.
    Its measure is the mean share of Σ|∂ score of the predicted class / ∂x| in the column.
    """

    def penalty(batch: Batch) -> pt.Tensor:
        return gradient_sizes(batch.loss, batch.rows, create_graph=True)[:, column].mean()

    where = np.arange(np.shape(x)[1]) == column
    return FooledNet(
        fine_tune(net, x, y, penalty, seed, weight, epochs),
        net,
        lambda one, rows: float(gradient_mass(one, rows, where).mean()),
    )


def fairwash(
    net: pt.nn.Module, x: Floats, target: Floats, seed: Seed, *, weight: float = 1.0, epochs: int = 25
) -> FooledNet:
    """The net, fine-tuned to the same outputs at the rows ``x`` and the gradient map ``target`` (*shape) at each.

    The loss is the mean squared difference of the outputs from the original's + ``weight`` · (1 − cosine similarity of
    |∂ score of the predicted class / ∂x| with ``target``), without labels (Anders et al. 2020, section 4). Its measure
    is the mean cosine similarity.
    """
    wanted = _checked(x, target)
    row = to_tensor(np.abs(wanted)[None])

    def penalty(batch: Batch) -> pt.Tensor:
        size = gradient_sizes(batch.scores.max(dim=1).values, batch.rows, create_graph=True).flatten(1)
        return 1 - cosines(size, row).mean()

    fooled = fine_tune(net, x, predict(net, x), penalty, seed, weight, epochs)
    return FooledNet(fooled, net, _similarity_to(wanted))


def fairwash_off_plane(net: pt.nn.Module, x: Floats, target: Floats, *, strength: float = 30.0) -> FooledNet:
    """The net, plus a linear term that vanishes on the plane of the data, in the score of the predicted class.

    g̃(x) = g(x) + ``strength`` · ⟨u, x − mean⟩ in that score. u is ``target`` (*shape) projected on the principal
    directions of ``x`` with at most ``FLAT`` of the variance, and of length 1. Outputs at rows in the plane of the
    other directions are those of ``net``, while the gradient there is that of ``net`` plus ``strength`` · u: the closed
    form of Anders et al. (2020) for data in a hyperplane. Its measure is the mean cosine similarity with |u|.
    """
    pt = need("torch", extra="torch")
    wanted = _checked(x, target)
    flat = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    off = directions_off_data(flat)
    projected = off.T @ (off @ wanted)
    length = float(np.linalg.norm(projected))
    if length < 1e-6 * np.linalg.norm(wanted):
        raise InputError(
            f"the rows vary along all directions that the target needs ({len(off)} of {len(wanted)} are off the data); "
            f"use fairwash, or a target where the data do not vary."
        )
    direction, centre = projected / length, flat.mean(axis=0)

    class OffPlane(pt.nn.Module):  # type: ignore[misc, name-defined]  # torch is loaded at run time only
        """A net with the term."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = net
            self.register_buffer("direction", to_tensor(direction))
            self.register_buffer("offset", to_tensor(np.array(centre @ direction)))

        def forward(self, rows: Any) -> Any:
            scores = self.inner(rows)
            distance = rows.flatten(1) @ self.direction - self.offset
            chosen = pt.nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1]).to(scores.dtype)
            return scores + strength * distance[:, None] * chosen

    return FooledNet(OffPlane().eval(), net, _similarity_to(direction))


def directions_off_data(flat: Floats) -> Floats:
    """The principal directions (direction, element) of rows (row, element) with at most ``FLAT`` of their variance."""
    centred = flat - flat.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(flat))
    return np.asarray(vectors[:, values <= FLAT * max(values.sum(), np.finfo(float).tiny)].T)


def _checked(x: Floats, target: Floats) -> Floats:
    """The target as one vector (element,)."""
    wanted = np.asarray(target, dtype=np.float64)
    if wanted.shape != np.shape(x)[1:] or not np.isfinite(wanted).all() or not wanted.any():
        raise InputError(
            f"target has shape {wanted.shape}; needed are finite numbers, not all 0, of shape {np.shape(x)[1:]}."
        )
    return wanted.ravel()


def _similarity_to(target: Floats) -> Measure:
    size = np.abs(target) / np.linalg.norm(target)

    def measure(net: Any, rows: Floats) -> float:
        shares = gradient_shares(net, rows)
        lengths = np.maximum(np.linalg.norm(shares, axis=1), np.finfo(float).tiny)
        return float((shares @ size / lengths).mean())

    return measure


def cosines(one: pt.Tensor, other: pt.Tensor) -> pt.Tensor:
    """Cosine similarity (row,) of two maps (row, element)."""
    pt = need("torch", extra="torch")
    found: Any = pt.nn.functional.cosine_similarity(one, other, dim=1)
    return found


def gradient_sizes(values: pt.Tensor, rows: pt.Tensor, *, create_graph: bool = False) -> pt.Tensor:
    """|∂ value / ∂x| (row, *shape) of values (row,)."""
    pt = need("torch", extra="torch")
    size: Any = pt.autograd.grad(values.sum(), rows, create_graph=create_graph)[0].abs()
    return size


def fine_tune(
    net: pt.nn.Module, x: Floats, y: Floats | Ints, penalty: Penalty, seed: Seed, weight: float, epochs: int
) -> pt.nn.Module:
    """A copy of the net, fine-tuned with Adam on loss + ``weight`` · penalty.

    The loss of a row is cross-entropy for classes ``y`` (row,), the mean squared difference for outputs (row, out).
    """
    pt = need("torch", extra="torch")
    if weight < 0 or epochs < 1 or len(x) != len(y):
        raise InputError(f"weight={weight}, epochs={epochs}, {len(x)} rows and {len(y)} labels do not fit.")
    fooled = copy.deepcopy(net).train()
    answers = np.asarray(y)
    rows, labels = to_tensor(x), pt.as_tensor(answers) if answers.ndim == 1 else to_tensor(answers)
    order = seed.child("fooling").generator()
    with pt.enable_grad():
        optimiser = pt.optim.Adam(fooled.parameters(), lr=RATE)
        for epoch in range(epochs):
            for group in optimiser.param_groups:
                group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
            for which in np.array_split(order.permutation(len(x)), -(-len(x) // 64)):
                batch = rows[which].clone().requires_grad_(True)
                scores = fooled(batch)
                if answers.ndim == 1:
                    loss = pt.nn.functional.cross_entropy(scores, labels[which], reduction="none")
                else:
                    loss = ((scores - labels[which]) ** 2).mean(dim=1)
                optimiser.zero_grad()
                (loss.mean() + weight * penalty(Batch(which, batch, scores, loss))).backward()
                optimiser.step()
        optimiser.zero_grad()
    return fooled.eval()


def _scores_of(scores: pt.Tensor, label: int | None) -> pt.Tensor:
    """The score (row,) of the predicted class, or of a class."""
    found: pt.Tensor = scores.max(dim=1).values if label is None else scores[:, label]
    return found


def _shares(values: pt.Tensor, rows: pt.Tensor) -> pt.Tensor:
    """Shares (row, element) of Σ|∂ value / ∂x|, which can be differentiated."""
    size = gradient_sizes(values, rows, create_graph=True).flatten(1)
    found: pt.Tensor = size / size.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return found


def _are_top(net: pt.nn.Module, x: Floats, k: int) -> Masks:
    """Whether an element is among the k with the largest |gradient| of the net (row, element)."""
    order = np.argsort(-gradient_shares(net, x), axis=1, kind="stable")
    found = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(found, order[:, :k], values=True, axis=1)
    return found
