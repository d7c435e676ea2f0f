# SPDX-License-Identifier: Apache-2.0
"""Many nets of one architecture trained as one batched program, each on its own rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.privacy.stacked_perceptron import is_perceptron, perceptron_gradients
from assay.engine.retraining.fine_tuning import one_thread
from assay.model.adapters.torch import torch as torch_model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

    from assay.engine.privacy.stacked_perceptron import Gradients

Loss = Callable[[Any, Any], Any]

MEMORY = 256 << 20
"""Default limit of the bytes that models trained at a time take."""

STRENGTH = 0.01
"""Weight decay that a recipe's strength of 1 adds."""


@dataclass(frozen=True, eq=False)
class ShadowNets:
    """Nets of one architecture: their stacked weights (model, *shape) by name."""

    architecture: pt.nn.Module
    parameters: dict[str, pt.Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def net(self, number: int) -> pt.nn.Module:
        """One of the nets, in evaluation mode."""
        net = copy.deepcopy(self.architecture)
        net.load_state_dict({name: value[number] for name, value in self.parameters.items()}, strict=False)
        return net.eval()

    def outputs(self, x: Any, batch: int = 256) -> Floats:
        """Outputs (model, row, out) of all nets at the same rows."""
        pt = need("torch", extra="torch")
        rows = _rows(x, self.parameters)
        call = pt.func.vmap(
            lambda weights, part: pt.func.functional_call(self.architecture, weights, (part,)), in_dims=(0, None)
        )
        with one_thread(), pt.no_grad():
            parts = [call(self.parameters, rows[i : i + batch]) for i in range(0, len(rows), batch)]
            return to_floats(pt.cat(parts, dim=1))


@dataclass(frozen=True, eq=False)
class ShadowTrainer:
    """How nets of one architecture are trained together: one program trains each on its own rows.

    ``net`` gives the architecture; each model begins with weights of its own, drawn by the modules' own
    ``reset_parameters``. ``loss`` is a name or a function (outputs (row, out), labels (row,)) → (row,); a model's loss
    of a batch is the mean over its rows. ``rate``, ``momentum`` (SGD) and ``weight_decay`` (L2, as torch's Adam and SGD
    have it) are those of ``torch.optim``. ``epochs`` passes over each model's rows in a random order, in batches of at
    most ``batch`` rows. At most ``memory`` bytes of weights, optimiser state and activations are used at a time; more
    models are trained in groups.

    Sequences of linear layers with ReLU, tanh or sigmoid use batched matrix products with their gradient in closed
    form; other nets ``torch.func.vmap`` and autograd. Nets with dropout or batch norm are refused
    (``CapabilityError``): train them one by one, by an ``assay.Recipe``.
    """

    net: pt.nn.Module
    loss: Literal["cross_entropy", "squared_error"] | Loss = "cross_entropy"
    optimiser: Literal["adam", "sgd"] = "adam"
    rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    epochs: int = 20
    batch: int = 32
    memory: int = MEMORY

    def __post_init__(self) -> None:
        pt = need("torch", extra="torch")
        if not isinstance(self.net, pt.nn.Module):
            raise InputError(f"net is a {type(self.net).__name__}; give a torch.nn.Module.")
        if self.optimiser not in ("adam", "sgd") or not (callable(self.loss) or self.loss in _LOSSES):
            raise InputError(
                f"optimiser={self.optimiser!r}, loss={self.loss!r}; there are 'adam' and 'sgd', and the losses "
                f"{' and '.join(_LOSSES)} or a function (outputs, labels) → (row,)."
            )
        numbers = (self.rate > 0, self.epochs >= 1, self.batch >= 1, self.memory > 0, self.weight_decay >= 0)
        if not all(numbers) or not 0 <= self.momentum < 1:
            raise InputError(
                f"rate={self.rate}, epochs={self.epochs}, batch={self.batch}, memory={self.memory}, weight_decay="
                f"{self.weight_decay}, momentum={self.momentum}; rate, epochs, batch and memory are above 0, "
                f"weight_decay at least 0, momentum from 0 to below 1."
            )
        _refuse_state(self.net)

    def train(self, x: Any, y: Any, members: Masks, seed: Seed) -> ShadowNets:
        """Train one net for each line of ``members`` (model, row), on the rows marked in it.

        All models take the same number of steps, that of the largest. Weights and the order of rows depend on the seed
        and the number of the model alone, so that ``memory`` changes models by rounding only; the same arguments give
        the same bytes. Raises ``NumericalError`` where weights become infinite or NaN.
        """
        pt = need("torch", extra="torch")
        members = np.asarray(members, dtype=bool)
        rows, labels = _rows(x, dict(self.net.named_parameters())), pt.as_tensor(np.asarray(y))
        if members.ndim != 2 or members.shape[1] != len(rows) or len(labels) != len(rows) or not len(members):
            raise InputError(
                f"members of shape {members.shape} for {len(rows)} rows and {len(labels)} labels; give one line of "
                f"{len(rows)} truth values for each model."
            )
        if not members.any(axis=1).all():
            raise InputError("a model of members has no row to train on; mark at least one row in each line.")
        labels = labels.long() if self.loss == "cross_entropy" else labels.to(rows.dtype)
        size = max(1, int(self.memory // self._bytes_of_one(rows[: self.batch], labels[: self.batch])))
        groups = [np.arange(start, min(start + size, len(members))) for start in range(0, len(members), size)]
        with one_thread(), _vmap_errors(self.net):
            steps = -(-int(members.sum(axis=1).max()) // self.batch)
            trained = [self._train_group(rows, labels, members[group], group, steps, seed) for group in groups]
        parameters = {name: pt.cat([one[name] for one in trained]) for name in trained[0]}
        if not all(bool(pt.isfinite(value).all()) for value in parameters.values()):
            raise NumericalError("weights are infinite or NaN after training. Use a smaller rate.")
        return ShadowNets(self.net, parameters)

    def recipe(self, x: Any, y: Any, classes: Sequence[str] | None = None) -> Recipe:
        """An ``assay.Recipe`` that trains one net on the rows, or many at once; ``strength`` adds weight decay."""
        gives = "logits" if self.loss == "cross_entropy" else "values"

        def fit_many(x: Any, y: Any, members: Masks, seed: Seed, strength: float) -> list[Any]:
            trainer = replace(self, weight_decay=self.weight_decay + STRENGTH * strength)
            nets = trainer.train(x, y, members, seed)
            return [torch_model(nets.net(number), gives=gives, classes=classes) for number in range(len(nets))]

        def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
            return fit_many(x, y, np.ones((1, len(x)), dtype=bool), seed, strength)[0]

        return Recipe(fit, x, y, regularises=True, fit_many=fit_many)

    def _train_group(
        self, rows: Any, labels: Any, members: Masks, numbers: Ints, steps: int, seed: Seed
    ) -> dict[str, pt.Tensor]:
        pt = need("torch", extra="torch")
        parameters = initial_weights(self.net, numbers, seed)
        gradients = self._gradients(parameters)
        optimiser = self._optimiser(list(parameters.values()))
        order = [seed.child("shadow batches", int(number)).generator() for number in numbers]
        own = [np.flatnonzero(line) for line in members]
        templates = [batch_template(len(which), steps) for which in own]
        width = max(template.shape[1] for template in templates)
        places = np.full((steps, len(own), width), -1, dtype=np.int64)
        for number, template in enumerate(templates):
            places[:, number, : template.shape[1]] = template
        used = places >= 0
        weights = pt.as_tensor(used / used.sum(axis=2, keepdims=True), dtype=rows.dtype)
        for _ in range(self.epochs):
            shuffled = [which[generator.permutation(len(which))] for which, generator in zip(own, order)]
            longest = np.zeros((len(own), max(map(len, own))), dtype=np.int64)
            for number, which in enumerate(shuffled):
                longest[number, : len(which)] = which
            chosen = pt.as_tensor(longest[np.arange(len(own))[:, None], np.maximum(places, 0)])
            for step in range(steps):
                which = chosen[step].reshape(-1)
                shape = chosen[step].shape
                batch = rows.index_select(0, which).reshape(*shape, *rows.shape[1:])
                gradients(batch, labels[which].reshape(*shape, *labels.shape[1:]), weights[step])
                optimiser.step()
        return {name: value.detach() for name, value in parameters.items()}

    def _gradients(self, parameters: dict[str, pt.Tensor]) -> Gradients:
        if isinstance(self.loss, str) and is_perceptron(self.net):
            return perceptron_gradients(self.net, parameters, self.loss)
        return _autograd_gradients(
            self.net, parameters, _LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        )

    def _optimiser(self, weights: list[pt.Tensor]) -> pt.optim.Optimizer:
        pt = need("torch", extra="torch")
        if self.optimiser == "sgd":
            return pt.optim.SGD(weights, lr=self.rate, momentum=self.momentum, weight_decay=self.weight_decay)
        return pt.optim.Adam(weights, lr=self.rate, weight_decay=self.weight_decay, fused=True)

    def _bytes_of_one(self, rows: Any, labels: Any) -> int:
        """Bytes of one model: weights, gradients, two numbers of state each, and a batch's activations and slopes."""
        pt = need("torch", extra="torch")
        net: Any = copy.deepcopy(self.net)
        saved = [0]

        def count(tensor: Any) -> Any:
            saved[0] += tensor.numel() * tensor.element_size()
            return tensor

        with pt.enable_grad(), pt.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            outputs = net(rows)
        if outputs.ndim != 2:
            raise CapabilityError(f"the net gives outputs of shape {tuple(outputs.shape)}; needed is (row, out).")
        weights = sum(weight.numel() * weight.element_size() for weight in net.parameters())
        return max(1, 4 * weights + 2 * saved[0])


def initial_weights(net: pt.nn.Module, numbers: Ints, seed: Seed) -> dict[str, pt.Tensor]:
    """Weights (model, *shape) by name, drawn by the modules' ``reset_parameters``; torch's stream is restored."""
    pt = need("torch", extra="torch")
    found: dict[str, list[Any]] = {}
    with pt.random.fork_rng(devices=[]):
        for number in numbers:
            pt.random.set_rng_state(seed.child("shadow weights", int(number)).torch().get_state())
            one = copy.deepcopy(net)
            for module in one.modules():
                reset: Any = getattr(module, "reset_parameters", None)
                if reset is not None:
                    reset()
                elif list(module.parameters(recurse=False)):
                    raise CapabilityError(
                        f"{type(module).__name__} has weights and no reset_parameters, so each model would begin with "
                        f"the same. Give it a method reset_parameters."
                    )
            for name, weight in one.named_parameters():
                found.setdefault(name, []).append(weight.detach())
    if not found:
        raise CapabilityError(f"{type(net).__name__} has no weights to train.")
    return {name: pt.stack(weights).requires_grad_() for name, weights in found.items()}


def batch_template(rows: int, steps: int) -> Ints:
    """Places (step, place) of ``rows`` shuffled rows in ``steps`` batches of nearly equal size; −1 is none."""
    parts = np.array_split(np.arange(rows), steps)
    template = np.full((steps, max(1, len(parts[0]))), -1, dtype=np.int64)
    for step, part in enumerate(parts):
        template[step, : len(part)] = part
    return template


def _autograd_gradients(net: pt.nn.Module, parameters: dict[str, pt.Tensor], loss: Loss) -> Gradients:
    """As ``perceptron_gradients``, for any net that vmap can run."""
    pt = need("torch", extra="torch")
    call = pt.func.vmap(lambda weights, part: pt.func.functional_call(net, weights, (part,)))

    def gradients(x: Any, y: Any, weights: Any) -> None:
        with pt.enable_grad():
            outputs = call(parameters, x)
            each = loss(outputs.flatten(0, 1), y.flatten(0, 1)).reshape(weights.shape)
            found = pt.autograd.grad((each * weights).sum(), list(parameters.values()))
        for parameter, gradient in zip(parameters.values(), found):
            parameter.grad = gradient.contiguous()  # the fused Adam reads memory in order, whatever the strides

    return gradients


def _cross_entropy(outputs: pt.Tensor, labels: pt.Tensor) -> pt.Tensor:
    pt = need("torch", extra="torch")
    found: Any = pt.nn.functional.cross_entropy(outputs, labels, reduction="none")
    return found


def _squared_error(outputs: pt.Tensor, labels: pt.Tensor) -> pt.Tensor:
    return ((outputs - labels.reshape(outputs.shape)) ** 2).mean(dim=1)


_LOSSES: dict[str, Loss] = {"cross_entropy": _cross_entropy, "squared_error": _squared_error}


def _rows(x: Any, parameters: dict[str, pt.Tensor]) -> pt.Tensor:
    """Rows as a tensor of the weights' type."""
    pt = need("torch", extra="torch")
    kind = next(iter(parameters.values())).dtype if parameters else pt.float32
    tensor: Any = pt.as_tensor(x if isinstance(x, pt.Tensor) else np.asarray(x)).to(kind)
    return tensor


def _refuse_state(net: pt.nn.Module) -> None:
    pt = need("torch", extra="torch")
    norms, drops = pt.nn.modules.batchnorm._NormBase, pt.nn.modules.dropout._DropoutNd  # their bases
    for name, module in net.named_modules():
        if (isinstance(module, drops) and module.p > 0) or (isinstance(module, norms) and module.track_running_stats):
            raise CapabilityError(
                f"{name or 'the net'} is a {type(module).__name__}, whose training has random numbers or statistics of "
                f"its own. Train such nets one by one, by an assay.Recipe."
            )


class _vmap_errors:
    """Turns errors of vmap into a ``CapabilityError`` that names the net."""

    def __init__(self, net: pt.nn.Module) -> None:
        self.name = type(net).__name__

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RuntimeError) and "vmap" in str(error).lower():
            raise CapabilityError(
                f"{self.name} cannot run as one batched program: {error}. Train the nets one by one, by a Recipe."
            ) from error
