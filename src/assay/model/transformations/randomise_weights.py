# SPDX-License-Identifier: Apache-2.0
"""A net whose trained weights are drawn afresh."""

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


def layers(model: Model) -> tuple[str, ...]:
    """Names of all parameter-holding places of a net, output side first: every parameter belongs to one.

    Parameters that a module owns directly (attention projections, class tokens) count, not only those of
    modules that know how to reset themselves; the net's own are at the place ``""``. The order is that of
    registration, last first: a net that registers its head before its body gives it so.
    """
    if model.net is None:
        raise CapabilityError(f"{model.name} holds no weights to draw afresh. Refit it on permuted labels instead.")
    owners = [name.rpartition(".")[0] for name, _ in model.net.named_parameters()]
    return tuple(reversed(dict.fromkeys(owners)))


def randomise_weights(
    model: Model, seed: Seed, *, places: tuple[str, ...] | None = None, known_draws: dict[str, pt.Tensor] | None = None
) -> Model:
    """The net with every parameter of ``places`` (all by default) drawn anew.

    Each tensor is drawn from a normal law with the tensor's own mean and standard deviation, so that activations
    keep their order of magnitude; a constant tensor gets a standard deviation of 1 % of its size, at least 0.001.
    Each tensor has its own stream, named after it, so a place draws the same whichever others are drawn with it.
    Buffers (a batch norm's running mean) stay. A tensor that would come out as it was is a ``NumericalError``.
    ``known_draws`` keeps the tensors drawn, by name, for the next nets of the same model and seed.
    """
    import torch as pt

    known = layers(model)
    wanted = known if places is None else places
    strange = [place for place in wanted if place not in known]
    if strange:
        raise InputError(f"no parameters at {strange[:5]}; places with parameters: {list(known)[:8]}.")
    if not wanted:
        raise InputError(f"no place to draw afresh; {model.name} has parameters at {list(known)[:8]}.")
    net, draws = copy.deepcopy(model.net), {} if known_draws is None else known_draws
    with pt.no_grad():
        for name, parameter in net.named_parameters():
            if name.rpartition(".")[0] in wanted and parameter.numel():
                if name not in draws:
                    draws[name] = _drawn(name, parameter, seed)
                parameter.copy_(draws[name])
    fingerprint = digest(model.fingerprint, "scrambled", seed, [place for place in known if place in wanted])
    other = model.with_net(net, fingerprint, f"{model.name}, {len(wanted)} of {len(known)} places scrambled")
    note = Note("scrambled", f"weights drawn afresh at {len(wanted)} of {len(known)} places")
    return replace(other, notes=(*other.notes, note), fingerprint=fingerprint, meter=model.meter, batch=model.batch)


def _drawn(name: str, parameter: pt.Tensor, seed: Seed) -> pt.Tensor:
    """A tensor of the parameter's shape, type and first two moments."""
    import torch as pt

    if not parameter.is_floating_point():
        raise CapabilityError(
            f"parameter {name} is of {parameter.dtype}; only floating-point weights can be drawn afresh."
        )
    mean, spread = parameter.double().mean(), float(parameter.double().std(correction=0))
    floor = 0.01 * max(float(mean.abs()), 0.1)
    noise = pt.randn(parameter.shape, generator=seed.child("scramble", name).torch(), dtype=pt.float64)
    drawn = (mean + max(spread, floor) * noise.to(parameter.device)).to(parameter.dtype)
    if not bool(pt.isfinite(drawn).all()) or pt.equal(drawn, parameter):
        raise NumericalError(
            f"parameter {name} could not be drawn afresh: its values are not finite, or came out the same."
        )
    return drawn
