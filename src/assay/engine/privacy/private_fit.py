# SPDX-License-Identifier: Apache-2.0
"""Training of a torch net from new weights with differential privacy (DP-SGD by Opacus), and without, as a baseline."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.engine.privacy.bounds import check_budget
from assay.engine.privacy.shadow_training import initial_weights
from assay.engine.retraining.fine_tuning import one_thread, require_pair, row_losses
from assay.engine.retraining.labelled_rows import model_outputs, read_like, true_labels
from assay.model.adapters.torch import net_fingerprint
from assay.model.model import Model

if TYPE_CHECKING:
    import torch as pt

    Outputs = Callable[[pt.nn.Module, pt.Tensor], pt.Tensor]

WEIGHT_DECAY = 1e-2
"""Weight decay of the training without privacy."""

LEAST_NOISE, MOST_NOISE, TOLERANCE = 0.05, 1e4, 1e-3
"""Range of the multiplier of the noise that is searched, and the tolerance of its logarithm."""

VALIDATION = 0.2
"""Share of the training rows on which the training without privacy chooses the epoch at which it stops."""


@dataclass(frozen=True)
class PrivateOptions:
    """How a net is trained with (ε, δ) differential privacy: SGD with rate ``rate`` on Poisson batches.

    A row enters a batch with probability ``batch`` / rows; each row's gradient is clipped to the norm
    ``max_grad_norm``, and normal noise is added whose standard deviation Opacus' PRV accountant finds from ε, δ, the
    rate of sampling and the number of steps.
    """

    epsilon: float
    delta: float
    max_grad_norm: float
    epochs: int
    batch: int
    rate: float

    def check(self, rows: int) -> None:
        """Raise ``InputError`` for numbers outside their range, and for δ of 1 / rows or more."""
        check_budget(self.epsilon, self.delta)
        if not (self.max_grad_norm > 0 and 0 < self.rate < np.inf and self.epochs >= 1 and 1 <= self.batch <= rows):
            raise InputError(
                f"max_grad_norm={self.max_grad_norm}, rate={self.rate}, epochs={self.epochs}, batch={self.batch}; "
                f"needed are max_grad_norm > 0, rate > 0, epochs ≥ 1 and 1 ≤ batch ≤ {rows}, the number of rows."
            )
        if not 0 < self.delta < 1 / rows:
            raise InputError(
                f"delta={self.delta:g} for {rows} rows; needed is 0 < δ < 1 / {rows}: from there on, publishing one "
                f"row as it is would count as private."
            )


@dataclass(frozen=True, eq=False)
class PrivateFit:
    """A net trained with differential privacy, the multiplier of its noise, and the ε that was spent."""

    net: pt.nn.Module
    noise: float
    epsilon: float


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Training rows and labels as tensors, and the model's outputs as a function of a net and rows."""

    model: Model
    x: pt.Tensor
    y: pt.Tensor
    outputs: Outputs

    def __len__(self) -> int:
        return len(self.y)

    @staticmethod
    def of(case: Case, train: Any) -> TrainingRows:
        """The rows of a pair (rows like the case's, labels); ``CapabilityError`` where the model is no torch net."""
        pt, model = need("torch", extra="torch"), case.model
        if model.net is None or model.rebuild is None:
            raise CapabilityError(f"training with privacy needs a torch net; {model.name} is none.")
        require_pair("train", train)
        rows = read_like(case, train[0])
        known = pt.as_tensor(np.asarray(true_labels(model, train[1], len(rows), model_outputs(case, rows))))
        labels = known.to(rows.device)
        labels = labels.to(rows.dtype) if model.gives == "values" else labels.long()

        def outputs(net: Any, x: Any) -> Any:
            one = replace(model.with_net(net, model.fingerprint, model.name), batch=len(rows), memory=None)
            return replace(case, model=one, live=True).outputs(x, np.zeros(len(x), dtype=np.int64))

        return TrainingRows(model, rows, labels, outputs)

    def losses(self, net: pt.nn.Module, which: pt.Tensor) -> pt.Tensor:
        """The loss (row,) of some of the rows."""
        return row_losses(self.outputs(net, self.x[which]), self.y[which], self.model)


def new_net(case: Case, fresh: Callable[[], Any] | None, seed: Seed) -> pt.nn.Module:
    """A net to train: what ``fresh`` returns, or a copy of the case's net with new weights; in training mode."""
    pt = need("torch", extra="torch")
    if fresh is None:
        net = copy.deepcopy(case.model.net)
        for weight in net.parameters():
            weight.requires_grad_(weight.is_floating_point())
        weights = initial_weights(net, np.array([0]), seed)
        net.load_state_dict({name: value[0].detach() for name, value in weights.items()}, strict=False)
    else:
        with _own_stream(seed.child("fresh")):
            net = fresh()
        if not isinstance(net, pt.nn.Module):
            raise InputError(f"fresh returns a {type(net).__name__}; it must return a new torch.nn.Module.")
        net = copy.deepcopy(net)
    return net.to(case.model.device).train()


def require_private_layers(net: pt.nn.Module) -> None:
    """Raise ``CapabilityError`` for layers that mix the rows of a batch, or whose gradients Opacus cannot separate."""
    need("opacus", extra="privacy")
    validator: Any = need("opacus.validators", extra="privacy").ModuleValidator
    found = validator.validate(net, strict=False)
    if found:
        raise CapabilityError(
            f"{type(net).__name__} cannot be trained with differential privacy: {'; '.join(map(str, found))}. Give "
            f"fresh=, a function that returns a net without such layers (GroupNorm instead of BatchNorm, "
            f"opacus.layers.DPLSTM instead of LSTM)."
        )


def fit_privately(net: pt.nn.Module, rows: TrainingRows, options: PrivateOptions, seed: Seed) -> PrivateFit:
    """Train ``net`` itself by DP-SGD; it is in evaluation mode afterwards. The same seed gives the same bytes.

    The noise comes from torch's generator, which is no cryptographic one. Empty batches take a step of noise alone.
    """
    pt = need("torch", extra="torch")
    options.check(len(rows))
    with _quiet(), one_thread(), _own_stream(seed.child("layers")), pt.enable_grad():
        require_private_layers(net)
        engine: Any = need("opacus", extra="privacy").PrivacyEngine(accountant="prv")
        data = pt.utils.data.TensorDataset(pt.arange(len(rows)))
        loader = pt.utils.data.DataLoader(data, batch_size=options.batch)
        noise, spent = noise_for(options.epsilon, options.delta, 1 / len(loader), options.epochs * len(loader))
        wrapped, optimiser, loader = engine.make_private(
            module=net,
            optimizer=pt.optim.SGD(net.parameters(), lr=options.rate),
            data_loader=loader,
            noise_multiplier=noise,
            max_grad_norm=options.max_grad_norm,
            noise_generator=seed.child("noise").torch(),
        )
        for _ in range(options.epochs):
            for batch in loader:
                which = batch[0].to(rows.x.device).long() if len(batch) else pt.empty(0, dtype=pt.int64)
                optimiser.zero_grad()
                if len(which):
                    loss: Any = rows.losses(net, which).mean()
                    loss.backward()
                else:
                    for weight in optimiser.params:
                        weight.grad_sample = weight.new_zeros((0, *weight.shape))
                optimiser.step()
        wrapped.to_standard_module()
    return PrivateFit(_finished(net), noise, spent)


@cache
def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> tuple[float, float]:
    """The multiplier of the noise with which so many steps spend at most ``epsilon``, and what they spend.

    By Opacus' PRV accountant, as its ``make_private_with_epsilon``, to 0.2 % of the multiplier (there: 0.01 of ε).
    ``InputError`` where no multiplier up to 10,000 suffices.
    """
    accountant: Any = need("opacus.accountants", extra="privacy").create_accountant("prv")
    known: dict[float, float] = {}

    def excess(log_noise: float) -> float:
        accountant.history = [(float(np.exp(log_noise)), rate, steps)]
        known[log_noise] = float(accountant.get_epsilon(delta))
        return known[log_noise] - epsilon

    with _quiet():
        guess = np.log(max(0.3, rate * np.sqrt(2 * steps * np.log(1.25 / delta)) / epsilon))
        high = guess
        while excess(high) > 0:
            high += np.log(2)
            if high > np.log(MOST_NOISE):
                raise InputError(f"epsilon={epsilon:g}, delta={delta:g} cannot be kept in {steps} steps. Allow more.")
        low = high - np.log(2)
        while excess(low) < 0 and low > np.log(LEAST_NOISE):
            low, high = low - np.log(2), low
        found = high
        if known[low] > epsilon:
            found = float(brentq(excess, low, high, xtol=TOLERANCE))
        while excess(found) > 0:
            found += TOLERANCE
    return float(np.exp(found)), known[found]


def fit_with_early_stopping(
    net: pt.nn.Module, rows: TrainingRows, options: PrivateOptions, seed: Seed
) -> tuple[pt.nn.Module, int]:
    """Train ``net`` itself by SGD with weight decay, and return it as it was after its best epoch, and that epoch.

    The best epoch has the smallest loss on a fifth of the rows, drawn by the seed, which are not trained on.
    """
    pt = need("torch", extra="torch")
    order = seed.child("validation").generator().permutation(len(rows))
    kept = max(1, round(VALIDATION * len(rows)))
    checked, own = pt.as_tensor(np.sort(order[:kept])), np.sort(order[kept:])
    if not len(own):
        raise InputError(f"{len(rows)} training rows; at least 2 are needed.")
    batches, shuffle = -(-len(own) // options.batch), seed.child("batches").generator()
    best, state, epoch_of_best = np.inf, copy.deepcopy(net.state_dict()), 0
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    with one_thread(), _own_stream(seed.child("layers")), pt.enable_grad():
        for epoch in range(1, options.epochs + 1):
            net.train()
            for part in np.array_split(shuffle.permutation(own), batches):
                value = rows.losses(net, pt.as_tensor(part)).mean()
                slopes = pt.autograd.grad(value, weights, allow_unused=True)
                with pt.no_grad():
                    for weight, slope in zip(weights, slopes):
                        if slope is not None:
                            weight.sub_(options.rate * (slope + WEIGHT_DECAY * weight))
            net.eval()
            with pt.no_grad():
                measured = float(rows.losses(net, checked).mean())
            if measured < best:
                best, state, epoch_of_best = measured, copy.deepcopy(net.state_dict()), epoch
    net.load_state_dict(state)
    return _finished(net), epoch_of_best


def model_of_net(case: Case, net: pt.nn.Module, name: str) -> Model:
    """The case's model with another net; passes are counted with the case's."""
    model = case.model
    other = model.with_net(
        net, digest(model.fingerprint, "trained again", net_fingerprint(net)), f"{model.name}, {name}"
    )
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


def _finished(net: pt.nn.Module) -> pt.nn.Module:
    pt = need("torch", extra="torch")
    for weight in net.parameters():
        weight.grad = None
        weight.requires_grad_(False)
        if not bool(pt.isfinite(weight).all()):
            raise NumericalError("weights are infinite or NaN after training. Use a smaller rate.")
    return net.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that Opacus emits for every training; all others are shown."""
    with warnings.catch_warnings():
        for text in ("Secure RNG turned off", "Optimal order is the", "Full backward hook is firing"):
            warnings.filterwarnings("ignore", message=text, category=UserWarning)
        with np.errstate(divide="ignore"):  # the accountant takes log(1 − rate of sampling), −∞ where all are sampled
            yield


@contextmanager
def _own_stream(seed: Seed) -> Iterator[None]:
    """Torch's global stream begun from the seed, and restored at the end."""
    pt = need("torch", extra="torch")
    with pt.random.fork_rng(devices=[]):
        pt.random.set_rng_state(seed.torch().get_state())
        yield
