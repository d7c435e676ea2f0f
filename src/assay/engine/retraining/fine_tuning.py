# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of a copy of a torch net on training rows, with a loss of the caller's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.engine.retraining.labelled_rows import model_outputs, read_like, true_labels
from assay.engine.search.losses import attack_loss
from assay.model.adapters.torch import net_fingerprint
from assay.model.autograd_errors import derivative_of
from assay.model.model import Model

if TYPE_CHECKING:
    import torch as pt

    Outputs = Callable[[pt.Tensor], pt.Tensor]
    Loss = Callable[[Outputs, pt.Tensor, Any], pt.Tensor]


def fine_tune(
    net: pt.nn.Module,
    rows: pt.Tensor,
    labels: pt.Tensor | tuple[pt.Tensor, ...],
    loss: Callable[[Any, pt.Tensor, Any], pt.Tensor],
    *,
    epochs: int = 5,
    batch: int = 64,
    rate: float = 1e-3,
    seed: Seed,
) -> pt.nn.Module:
    """Train ``net`` itself, which must be a copy, by Adam; returns it with its modes and gradient flags as before.

    ``loss(net, rows, labels)`` is the mean loss of a batch; ``labels`` may be several tensors with one entry a row
    (labels and masks, say), which the loss then gets as a tuple. ``rate`` falls along half a cosine. The order of rows
    is drawn by ``seed``. All modules stay in evaluation mode: batch norms keep their statistics, dropout is off, and
    torch's random stream is not used. One thread: the same arguments give the same bytes. Raises ``NumericalError``
    where the loss is not finite.
    """
    pt = need("torch", extra="torch")
    each = labels if isinstance(labels, tuple) else (labels,)
    _check_options(len(rows), [len(one) for one in each], epochs, batch, rate)
    weights = [weight for weight in net.parameters() if weight.is_floating_point()]
    if not weights:
        raise CapabilityError(f"{type(net).__name__} has no floating-point weights to train.")
    order, batches = seed.child("batches").generator(), -(-len(rows) // batch)
    with one_thread(), _trainable(net, weights), pt.enable_grad():
        optimiser = _Adam(weights)
        for step in range(epochs * batches):
            if step % batches == 0:
                parts = np.array_split(order.permutation(len(rows)), batches)
            which = pt.as_tensor(parts[step % batches], device=rows.device)
            own = tuple(one[which] for one in each)
            value: Any = loss(net, rows[which], own if isinstance(labels, tuple) else own[0])
            if not value.requires_grad:
                raise CapabilityError(
                    f"no gradient reaches the weights of {type(net).__name__}: the net or its output leaves torch or "
                    f"detaches. Keep it in torch."
                )
            if not bool(pt.isfinite(value)):
                raise NumericalError(
                    f"the loss is {float(value.detach())} at step {step + 1} of fine-tuning. Use a smaller learning "
                    f"rate or strength, or look for a division by zero in the net."
                )
            slopes = pt.autograd.grad(value, weights, allow_unused=True)
            optimiser.step(slopes, rate * 0.5 * (1 + np.cos(np.pi * step / (epochs * batches))))
    return net


def fine_tuned_model(
    case: Case,
    train: Any,
    loss: Loss,
    *,
    epochs: int,
    batch: int = 64,
    rate: float,
    seed: Seed,
    name: str,
    most: int | None = None,
    prepare: Callable[[pt.nn.Module, pt.Tensor], None] | None = None,
    marks: Any = None,
) -> Model:
    """The case's model with a fine-tuned copy of its net; ``train`` is a pair of rows like the case's and their labels.

    Where there are more than ``most`` rows, so many are drawn by the seed. ``loss(outputs, rows, labels)`` is the mean
    loss of a batch: ``outputs`` gives the model's outputs (row, out) at rows in their own units (preprocessing
    included), differentiable by rows and weights; labels are class positions, or a regression's numbers. ``prepare``
    is called with the copy that will be trained, and a row. With ``marks`` (row or 1, *shape) the loss gets those of
    the batch with its labels, as a pair. Passes are counted with the case's.
    """
    pt = need("torch", extra="torch")
    model = case.model
    if model.net is None or model.rebuild is None:
        raise CapabilityError(f"fine-tuning needs a torch net; {model.name} is none. repair.refit retrains any model.")
    require_pair("train", train)
    rows = read_like(case, train[0])
    known = np.asarray(true_labels(model, train[1], len(rows), model_outputs(case, rows)))
    if most is not None and len(rows) > most:
        chosen = np.sort(seed.child("training rows").generator().permutation(len(rows))[:most])
        rows, known = rows[chosen], known[chosen]
    labels = pt.as_tensor(known, device=rows.device)
    labels = labels.to(rows.dtype) if model.gives == "values" else labels.long()
    net = copy.deepcopy(model.net)
    if prepare is not None:
        prepare(net.eval(), rows[:1])
    live = replace(case, model=model.with_net(net, model.fingerprint, model.name), live=True)

    def batch_loss(_: Any, x: Any, y: Any) -> Any:
        def outputs(x: Any) -> Any:
            return live.outputs(x, np.zeros(len(x), dtype=np.int64))

        return loss(outputs, x, y)

    given: Any = labels
    if marks is not None:
        marked = pt.as_tensor(np.asarray(marks), dtype=rows.dtype, device=rows.device)
        given = (labels, marked.expand(len(rows), *marked.shape[1:]))
    with derivative_of(model.name):
        fine_tune(net, rows, given, batch_loss, epochs=epochs, batch=batch, rate=rate, seed=seed)
    fingerprint = digest(model.fingerprint, "fine-tuned", net_fingerprint(net))
    other = model.with_net(net, fingerprint, f"{model.name}, {name}")
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


def require_pair(name: str, given: Any) -> None:
    """Raise ``InputError`` unless ``given`` is a pair of rows and labels."""
    if not (isinstance(given, tuple | list) and len(given) == 2 and hasattr(given[1], "__len__")):
        raise InputError(f"{name} is a pair: rows, and one label for each.")


def plain_loss(model: Model) -> Loss:
    """The mean loss of a batch, as it was trained without any defence."""
    return lambda outputs, x, labels: row_losses(outputs(x), labels, model).mean()


def row_losses(outputs: pt.Tensor, labels: pt.Tensor, model: Model) -> pt.Tensor:
    """Loss of each row (row,) of the outputs that ``model`` gives: −log p of the label; squared error of values."""
    if model.gives == "values":
        error: pt.Tensor = outputs - labels.reshape(len(outputs), -1)
        return (error**2).mean(dim=1)
    if not model.kind.exclusive:
        raise CapabilityError(f"{model.name} has several labels a row; fine-tuning takes one label a row.")
    found: pt.Tensor = attack_loss("cross_entropy", outputs, labels, None, model.gives)
    return found


def _check_options(rows: int, labels: list[int], epochs: int, batch: int, rate: float) -> None:
    if not rows or any(count != rows for count in labels):
        raise InputError(f"{rows} rows and {labels} labels to train on; give at least one row, and one label a row.")
    if epochs < 1 or batch < 1 or not 0 < rate < float("inf"):
        raise InputError(f"epochs={epochs}, batch={batch}, rate={rate}; needed are epochs ≥ 1, batch ≥ 1, rate > 0.")


class _Adam:
    """Adam (β 0.9 and 0.999, ε 1e-8), as ``torch.optim.Adam``, which imports torch's compiler for seconds."""

    def __init__(self, weights: list[pt.nn.Parameter]) -> None:
        self.weights, self.number = weights, 0
        self.means = [weight.detach().new_zeros(weight.shape) for weight in weights]
        self.squares = [weight.detach().new_zeros(weight.shape) for weight in weights]

    def step(self, slopes: Sequence[pt.Tensor | None], rate: float) -> None:
        """One step along the gradients, in place; a weight without gradient stays."""
        pt = need("torch", extra="torch")
        self.number += 1
        corrections = 1 - 0.9**self.number, 1 - 0.999**self.number
        with pt.no_grad():
            for weight, slope, mean, square in zip(self.weights, slopes, self.means, self.squares):
                if slope is not None:
                    mean.lerp_(slope, 0.1)
                    square.mul_(0.999).addcmul_(slope, slope, value=0.001)
                    spread = (square / corrections[1]).sqrt_().add_(1e-8)
                    weight.addcdiv_(mean / corrections[0], spread, value=-rate)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, so that sums have one order; its setting is restored."""
    pt = need("torch", extra="torch")
    threads = pt.get_num_threads()
    pt.set_num_threads(1)
    try:
        yield
    finally:
        pt.set_num_threads(threads)


@contextmanager
def _trainable(net: pt.nn.Module, weights: list[pt.nn.Parameter]) -> Iterator[None]:
    """All modules in evaluation mode and all weights with gradients; modes and flags are restored."""
    modes = [(module, module.training) for module in net.modules()]
    flags = [(weight, weight.requires_grad) for weight in weights]
    try:
        for module, _ in modes:
            module.training = False
        for weight in weights:
            weight.requires_grad_(True)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for weight, flag in flags:
            weight.requires_grad_(flag)
