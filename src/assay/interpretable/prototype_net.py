# SPDX-License-Identifier: Apache-2.0
"""A net that decides by similarity to parts of training rows (ProtoPNet, Chen et al. 2019)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.engine.prototypes.network import all_cells, network_class, prototype_loss, push
from assay.engine.prototypes.similarity import best_matches, choose_prototypes, fit_head
from assay.engine.retraining.fine_tuning import fine_tune, one_thread
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats


@dataclass(eq=False)
class PrototypeNet:
    """Trains a head of prototypes on a torch ``body`` that gives maps (row, unit, height, width) or (row, unit).

    Logits are W · s with s = log((d + 1) / (d + 1e-4)), d the squared distance of the row's nearest cell. Prototypes
    begin as cells of training rows; body and prototypes are trained for ``epochs`` by cross-entropy + ``cluster`` ·
    (distance to the own class) − ``separation`` · (distance to the other classes); each prototype is then replaced by
    the nearest cell of a training row of its class; then the last layer is fitted alone, a convex problem with L1
    ``penalty`` on connections to other classes. ``accuracy_`` has the share of right decisions before the push, after
    it, and after the last layer, on ``test`` rows (else on the training rows): the push costs accuracy until the last
    layer is fitted. ``net_`` is a torch net of logits, for ``assay.wrap``.

    Unlike the paper's code, the body is trained in evaluation mode (batch norms keep their statistics), prototypes do
    not begin at random, and there is one push.
    """

    body: Any
    per_class: int = 5
    epochs: int = 5
    rate: float = 1e-3
    batch: int = 64
    cluster: float = 0.8
    separation: float = 0.08
    penalty: float = 1e-4
    most: int = 300
    seed: int = 0
    net_: Any = field(default=None, init=False, repr=False)
    accuracy_: dict[str, float] = field(default_factory=dict, init=False)

    def fit(self, x: Any, y: Any, test: Any = None) -> PrototypeNet:
        """Train on rows (row, *shape) and labels (row,), class positions 0, 1, …; the body given is not changed.

        The first prototypes are chosen among ``most`` rows of each class. Raises ``InputError`` for other labels.
        """
        pt = need("torch", extra="torch")
        rows, labels = pt.as_tensor(x), pt.as_tensor(np.asarray(y)).long()
        classes = int(labels.max()) + 1 if len(labels) else 0
        if len(rows) != len(labels) or classes < 2 or len(pt.unique(labels)) != classes or int(labels.min()) < 0:
            raise InputError(
                f"{len(rows)} rows and {len(labels)} labels; needed are class positions 0, 1, …, one a row."
            )
        if self.per_class < 1:
            raise InputError(f"per_class={self.per_class}; at least 1 is needed.")
        body = copy.deepcopy(self.body).eval()
        with one_thread():
            some = np.concatenate([np.flatnonzero(np.asarray(labels) == c)[: self.most] for c in range(classes)])
            net = network_class()(body, np.zeros((1, 1)), [0], classes)
            cells = to_floats(all_cells(net, rows[some]))
            chosen = choose_prototypes(cells, np.asarray(labels[some]), classes, self.per_class)
            net = network_class()(body, chosen.cells, chosen.label, classes)

            def loss(part: Any, inputs: Any, own: Any) -> Any:
                return prototype_loss(part, inputs, own, self.cluster, self.separation)

            net.train()
            body.eval()
            options: dict[str, Any] = {"epochs": self.epochs, "batch": self.batch, "rate": self.rate}
            fine_tune(net, rows, labels, loss, **options, seed=Seed(self.seed))
            net.eval()
            judged = (rows, labels) if test is None else (pt.as_tensor(test[0]), pt.as_tensor(np.asarray(test[1])))
            self.accuracy_ = {"before push": _accuracy(net, *judged)}
            cells = all_cells(net, rows)
            push(net, cells, labels)
            self.accuracy_["after push"] = _accuracy(net, *judged)
            s, _ = best_matches(to_floats(cells), to_floats(net.prototypes.data))
            own = np.arange(classes)[:, None] == np.asarray(net.prototype_class)
            weights = fit_head(s, np.eye(classes)[np.asarray(labels)], own, self.penalty)
            net.last.weight.data = pt.as_tensor(weights, dtype=pt.float32)
            self.accuracy_["after last layer"] = _accuracy(net, *judged)
        self.net_ = net
        return self

    def recipe(self, x: Any, y: Any) -> Recipe:
        """The training as a recipe, whose model is the net of logits; the seed of the recipe replaces ``seed``."""

        def train(rows: Any, labels: Any, seed: Seed, strength: float) -> Any:
            number = int(seed.generator().integers(2**31))
            own = PrototypeNet(
                self.body,
                self.per_class,
                self.epochs,
                self.rate,
                self.batch,
                self.cluster,
                self.separation,
                self.penalty,
                self.most,
                number,
            )
            return own.fit(rows, labels).net_

        return Recipe(train, x, y)


def _accuracy(net: Any, x: Any, y: Any, batch: int = 256) -> float:
    pt = need("torch", extra="torch")
    with pt.no_grad():
        found = pt.cat([net(x[start : start + batch]).argmax(1) for start in range(0, len(x), batch)])
    return float((found == y).double().mean())
