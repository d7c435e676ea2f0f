# SPDX-License-Identifier: Apache-2.0
"""A net whose trained weights are drawn afresh."""

from __future__ import annotations

import copy
from dataclasses import replace

from assay.model.model import Model
from assay.model.torch import mark_of
from assay.nouns.result import Note
from assay.words.digest import digest
from assay.words.errors import CapabilityError, InputError
from assay.words.seed import Seed


def layers(model: Model) -> tuple[str, ...]:
    """Names of all parameter-holding places of a net, output side first: every parameter belongs to one.

    Parameters that a module owns directly (attention projections, class tokens) count, not only those of
    modules that know how to reset themselves.
    """
    if model.net is None:
        raise CapabilityError(f"{model.name} holds no weights to draw afresh. Refit it on permuted labels instead.")
    owners = [name.rpartition(".")[0] for name, _ in model.net.named_parameters()]
    return tuple(reversed(dict.fromkeys(owners)))


def scrambled(model: Model, seed: Seed, *, places: tuple[str, ...] | None = None) -> Model:
    """The net with every parameter of ``places`` (all by default) drawn anew.

    Each tensor is drawn from a normal law with the tensor's own mean and standard deviation, so that activations
    keep their order of magnitude; a constant tensor gets a standard deviation of 1 % of its size. Each tensor has
    its own stream, named after it.
    """
    import torch as pt

    known = layers(model)
    wanted = known if places is None else places
    strange = [place for place in wanted if place not in known]
    if strange:
        raise InputError(f"no parameters at {strange[:5]}; places with parameters: {list(known)[:8]}.")
    net = copy.deepcopy(model.net)
    with pt.no_grad():
        for name, parameter in net.named_parameters():
            if name.rpartition(".")[0] in wanted:
                mean, spread = parameter.mean(), parameter.std(correction=0)
                floor = 0.01 * max(float(mean.abs()), 0.1)
                noise = pt.randn(parameter.shape, generator=seed.child("scramble", name).torch(), dtype=pt.float32)
                parameter.copy_(mean + max(float(spread), floor) * noise.to(parameter))
    other = model.with_net(net, mark_of(net), f"{model.name}, {len(wanted)} of {len(known)} places scrambled")
    return replace(other, notes=(*other.notes, Note("scrambled", f"weights drawn afresh at {len(wanted)} places")), mark=digest(other.mark))
