# SPDX-License-Identifier: Apache-2.0
"""Weight randomisation: a net with randomised weights in place of its trained ones."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.model.model import Model
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt


def layer_names(model: Model) -> tuple[str, ...]:
    """Names of all layers of a net that own parameters, last layer first: every parameter belongs to one.

    Every module that owns a parameter counts (also of attention projections and class tokens), not only modules with
    ``reset_parameters``; the parameters of the net itself have the name ``""``. The order is the reverse of the order
    of registration: a net that registers its head before its body has them in that order.
    """
    if model.net is None:
        raise CapabilityError(f"{model.name} has no weights to randomise. Refit it on permuted labels instead.")
    owners = [name.rpartition(".")[0] for name, _ in model.net.named_parameters()]
    return tuple(reversed(dict.fromkeys(owners)))


def randomise_weights(
    model: Model, seed: Seed, *, layers: tuple[str, ...] | None = None, known_draws: dict[str, pt.Tensor] | None = None
) -> Model:
    """The net with randomised parameters in ``layers`` (all by default).

    Each tensor is drawn from a normal distribution with the tensor's own mean and standard deviation, so that
    activations keep their order of magnitude; a constant tensor gets a standard deviation of 1 % of its absolute value,
    at least 0.001. Each tensor has its own random stream, named after it, so the draw of a layer does not depend on the
    others. Buffers (a batch norm's running mean) stay. A draw equal to the trained tensor raises ``NumericalError``.
    ``known_draws`` caches the drawn tensors, by name, for other nets of the same model and seed.
    """
    import torch as pt

    known = layer_names(model)
    chosen = known if layers is None else layers
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise InputError(f"no parameters in {unknown[:5]}; layers with parameters: {list(known)[:8]}.")
    if not chosen:
        raise InputError(f"no layer to randomise; {model.name} has parameters in {list(known)[:8]}.")
    net, draws = copy.deepcopy(model.net), {} if known_draws is None else known_draws
    with pt.no_grad():
        for name, parameter in net.named_parameters():
            if name.rpartition(".")[0] in chosen and parameter.numel():
                if name not in draws:
                    draws[name] = _draw_weights(name, parameter, seed)
                parameter.copy_(draws[name])
    fingerprint = digest(model.fingerprint, "scrambled", seed, [name for name in known if name in chosen])
    other = model.with_net(net, fingerprint, f"{model.name}, {len(chosen)} of {len(known)} layers randomised")
    note = Note("randomised-weights", f"weights randomised in {len(chosen)} of {len(known)} layers")
    return replace(other, notes=(*other.notes, note), fingerprint=fingerprint, meter=model.meter, batch=model.batch)


def _draw_weights(name: str, parameter: pt.Tensor, seed: Seed) -> pt.Tensor:
    """A normal tensor of the parameter's shape and type, with its mean and standard deviation."""
    import torch as pt

    if not parameter.is_floating_point():
        raise CapabilityError(
            f"parameter {name} is of {parameter.dtype}; only floating-point weights can be randomised."
        )
    mean, spread = parameter.double().mean(), float(parameter.double().std(correction=0))
    floor = 0.01 * max(float(mean.abs()), 0.1)
    noise = pt.randn(parameter.shape, generator=seed.child("scramble", name).torch(), dtype=pt.float64)
    weights = (mean + max(spread, floor) * noise.to(parameter.device)).to(parameter.dtype)
    if not bool(pt.isfinite(weights).all()) or pt.equal(weights, parameter):
        raise NumericalError(
            f"parameter {name} could not be randomised: the drawn values are not finite, or equal the trained ones."
        )
    return weights
