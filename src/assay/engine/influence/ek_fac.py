# SPDX-License-Identifier: Apache-2.0
"""EK-FAC: the Gauss–Newton matrix of each layer in the eigenbasis of its Kronecker factors, with refitted eigenvalues.

Of a layer with inputs a and derivatives g by its outputs (George et al. 2018; Grosse et al. 2023): A = E[a aᵀ],
S = E[g gᵀ] over rows, positions and labels; eigenvectors U_A, U_S; Λ = E[(U_Sᵀ G U_A)²] for the gradients G of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.basics.optional import need
from assay.cases.case import Case
from assay.engine.influence.curvature import Curvature, label_values, passes_of, require_damping, split_weights
from assay.engine.influence.weight_gradients import WeightLayer, batch_rows, record

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True, eq=False)
class LayerFactors:
    """Factors of a layer: ``inputs`` A (in, in), ``slopes`` S (out, out), their eigenvectors, Λ (out, in)."""

    inputs: pt.Tensor
    slopes: pt.Tensor
    input_basis: pt.Tensor
    slope_basis: pt.Tensor
    eigenvalues: pt.Tensor

    def amount(self, damping: float, weight_decay: float) -> float:
        """λ = ``damping`` times the mean of Λ, plus ``weight_decay``."""
        return damping * float(self.eigenvalues.mean()) + weight_decay

    def solve(self, gradients: pt.Tensor, amount: float) -> pt.Tensor:
        """Gradients (row, out, in) divided by Λ + λ in the eigenbasis; 0 where both are 0."""
        turned = self.slope_basis.mT @ gradients @ self.input_basis
        scaled = turned / (self.eigenvalues + amount) if amount > 0 else turned * 0.0
        return self.slope_basis @ scaled @ self.input_basis.mT


def ek_fac_factors(train: Case, layers: list[WeightLayer], memory: int) -> list[LayerFactors]:
    """The factors of each layer, from two passes over the training rows."""
    pt = need("torch", extra="torch")
    zeros = [[one.module.weight.new_zeros(n, n).double() for n in reversed(one.shape)] for one in layers]
    counts = [[0, 0] for _ in layers]
    size, passes = batch_rows(train, layers, memory), passes_of(train)
    for which, done in record(train, layers, size, passes):
        for place, (layer, calls) in enumerate(zip(layers, done.inputs)):
            for call in calls:
                reads = layer.inputs(call).flatten(0, 1)
                zeros[place][0].addmm_(reads.mT, reads)
                counts[place][0] += len(reads)
        for values in label_values(train, done, which):
            for place, calls in enumerate(done.slopes(values)):
                for call in calls:
                    backs = call.flatten(0, 1)
                    zeros[place][1].addmm_(backs.mT, backs)
                    counts[place][1] += len(backs)
    each = max(1, passes)
    factors = [
        (a / max(1, seen[0]), s * each / max(1, seen[1])) for (a, s), seen in zip(zeros, counts)
    ]  # of several labels, whose values carry the root of their probability, the sum counts once
    bases = [(pt.linalg.eigh(a)[1], pt.linalg.eigh(s)[1]) for a, s in factors]
    eigenvalues = [one.module.weight.new_zeros(one.shape).double() for one in layers]
    for which, done in record(train, layers, size, passes):
        for values in label_values(train, done, which):
            for place, gradients in enumerate(done.gradients(values)):
                turned = bases[place][1].mT @ gradients @ bases[place][0]
                eigenvalues[place] += (turned**2).sum(dim=0)
    return [
        LayerFactors(a, s, basis[0], basis[1], value / len(train))
        for (a, s), basis, value in zip(factors, bases, eigenvalues)
    ]


def ek_fac(
    train: Case, layers: list[WeightLayer], *, damping: float, memory: int, weight_decay: float = 0.0
) -> Curvature:
    """The approximate inverse of the Gauss–Newton matrix plus λ, layer by layer; λ is that of each layer."""
    pt = need("torch", extra="torch")
    require_damping(damping, weight_decay)
    factors = ek_fac_factors(train, layers, memory)
    amounts = [one.amount(damping, weight_decay) for one in factors]

    def solve(right: Any) -> Any:
        blocks = split_weights(right, layers)
        solved = [one.solve(block, amount) for one, block, amount in zip(factors, blocks, amounts)]
        return pt.cat([one.flatten(1) for one in solved], dim=1), ()

    return Curvature(solve, sum(amounts) / len(amounts), True)
