# SPDX-License-Identifier: Apache-2.0
"""The torch net of a body and a head of prototypes, and how it is trained (ProtoPNet, Chen et al. 2019)."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np

from assay.basics.optional import need
from assay.engine.prototypes.similarity import EPSILON


@cache
def network_class() -> Any:
    """The module class; made once, where torch is needed."""
    import torch as pt

    class PrototypeNetwork(pt.nn.Module):
        """A body whose cells are compared with prototypes, and a linear layer without bias on the similarities."""

        def __init__(self, body: Any, prototypes: Any, label: Any, classes: int) -> None:
            super().__init__()
            self.body = body
            self.prototypes = pt.nn.Parameter(pt.as_tensor(prototypes, dtype=pt.float32))
            self.register_buffer("prototype_class", pt.as_tensor(label).long())
            self.register_buffer("training_row", pt.full((len(label),), -1, dtype=pt.long))
            self.register_buffer("training_position", pt.full((len(label),), -1, dtype=pt.long))
            own = pt.eq(pt.arange(classes)[:, None], pt.as_tensor(label).long())
            self.last = pt.nn.Linear(len(label), classes, bias=False)
            self.last.weight.data = pt.where(own, 1.0, -0.5)

        def cells(self, x: pt.Tensor) -> pt.Tensor:
            """The cells (row, position, unit) of the body's output, whose units are on its second axis."""
            z = self.body(x)
            return z.reshape(*z.shape[:2], -1).transpose(1, 2)

        def distances(self, x: pt.Tensor) -> pt.Tensor:
            """Squared distance (row, prototype) of the nearest cell."""
            cells = self.cells(x)
            exact = "donot_use_mm_for_euclid_dist"
            if self.training:
                squared = (cells**2).sum(2, keepdim=True) - 2 * cells @ self.prototypes.T
                return (squared + (self.prototypes**2).sum(1)).amin(dim=1).clamp(min=0)
            return (pt.cdist(cells, self.prototypes.expand(len(cells), -1, -1), compute_mode=exact) ** 2).amin(dim=1)

        def forward(self, x: pt.Tensor) -> pt.Tensor:
            """Logits (row, class): W · log((d + 1) / (d + ε))."""
            d = self.distances(x)
            return self.last(pt.log((d + 1) / (d + EPSILON)))

    return PrototypeNetwork


def declared_head(net: Any) -> tuple[str, Any] | None:
    """The name within ``net`` ("" for itself) and the module of its only head of prototypes; ``None`` without one."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(net, torch.nn.Module):
        return None
    found = [(name, part) for name, part in net.named_modules() if isinstance(part, network_class())]
    return found[0] if len(found) == 1 else None


def prototype_loss(net: Any, x: Any, y: Any, cluster: float, separation: float) -> Any:
    """Cross-entropy + cluster · mean of min d to the own class − separation · mean of min d to other classes."""
    pt = need("torch", extra="torch")
    d = net.distances(x)
    logits = net.last(pt.log((d + 1) / (d + EPSILON)))
    own = y[:, None] == net.prototype_class
    near, far = d.masked_fill(~own, np.inf).amin(1), d.masked_fill(own, np.inf).amin(1)
    return pt.nn.functional.cross_entropy(logits, y) + cluster * near.mean() - separation * far.mean()


def all_cells(net: Any, x: Any, batch: int = 256) -> Any:
    """The cells (row, position, unit) of all rows, without gradients."""
    pt = need("torch", extra="torch")
    with pt.no_grad():
        return pt.cat([net.cells(x[start : start + batch]) for start in range(0, len(x), batch)])


def push(net: Any, cells: Any, y: Any) -> None:
    """Set every prototype to the nearest cell of the training rows of its class, byte for byte."""
    pt = need("torch", extra="torch")
    for place in range(len(net.prototypes)):
        own = pt.nonzero(y == net.prototype_class[place])[:, 0]
        flat = cells[own].reshape(-1, cells.shape[2])
        best = int(((flat - net.prototypes.data[place]) ** 2).sum(1).argmin())
        net.prototypes.data[place] = flat[best]
        net.training_row[place], net.training_position[place] = own[best // cells.shape[1]], best % cells.shape[1]
