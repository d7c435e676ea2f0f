# SPDX-License-Identifier: Apache-2.0
"""Attempts of a probe, and the rates measured from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assay.basics.samples.clustered_rates import cluster_rate, undetected_rate
from assay.basics.stats import Basis, Interval
from assay.basics.types import Ints
from assay.nouns.redteam.probe import Message, Probe

Arm = Literal["attack", "control"]


@dataclass(frozen=True)
class Attempt:
    """One answer to one prompt. ``hit`` is what the detector says, ``None`` where it cannot say.

    ``draw`` counts the answers to a prompt from 0, ``cluster`` names the prompts that belong together.
    """

    probe: str
    prompt: str
    variant: str
    cluster: str
    arm: Arm
    draw: int
    messages: tuple[Message, ...]
    canary: str
    output: str
    hit: bool | None


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """All attempts of a probe on one model."""

    probe: Probe
    attempts: tuple[Attempt, ...]

    def counts(self, variant: str = "") -> tuple[Ints, Ints, Ints, Ints]:
        """Hits and attempts, then hits and attempts of the control, of each cluster (cluster,); those judged only."""
        chosen = [one for one in self.attempts if variant in ("", one.variant) and one.hit is not None]
        places = {name: place for place, name in enumerate(dict.fromkeys(one.cluster for one in chosen))}
        found = np.zeros((4, len(places)), dtype=np.int64)
        for one in chosen:
            column = 2 * (one.arm == "control")
            found[column, places[one.cluster]] += bool(one.hit)
            found[column + 1, places[one.cluster]] += 1
        return found[0], found[1], found[2], found[3]

    @property
    def clusters(self) -> int:
        """Clusters with an attempt that the detector judged."""
        return int((self.counts()[1] > 0).sum())

    @property
    def unjudged(self) -> int:
        """Attempts that the detector could not judge."""
        return sum(one.hit is None for one in self.attempts)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in the order of their first attempt."""
        return tuple(dict.fromkeys(one.variant for one in self.attempts))

    def rate(self, arm: Arm = "attack", variant: str = "") -> float:
        """Share of attempts with a hit, 0 … 1; NaN without attempts."""
        own, tried, control, control_tried = self.counts(variant)
        return cluster_rate(own, tried) if arm == "attack" else cluster_rate(control, control_tried)

    def interval(self, arm: Arm = "attack", level: float = 0.95, variant: str = "") -> Interval:
        """Interval for that rate over prompts like these, clustered by prompt."""
        return self.basis(arm, variant).at(level)

    def basis(self, arm: Arm = "attack", variant: str = "") -> Basis:
        """The data of that interval."""
        own, tried, control, control_tried = self.counts(variant)
        hits, draws = (own, tried) if arm == "attack" else (control, control_tried)
        return Basis("clusters", {"hits": hits, "draws": draws})

    def excess(self) -> float:
        """Rate under attack less the rate of the control, −1 … 1."""
        own, tried, control, control_tried = self.counts()
        both = (tried > 0) & (control_tried > 0)
        return cluster_rate(own[both], tried[both]) - cluster_rate(control[both], control_tried[both])

    def excess_basis(self) -> Basis:
        """The data of the interval of that excess, paired and clustered by prompt."""
        own, tried, control, control_tried = self.counts()
        data = {"hits": own, "draws": tried, "control_hits": control, "control_draws": control_tried}
        return Basis("controlled", data)

    def exchanged(self) -> ProbeResult:
        """The same with attack and control exchanged, for probes in which each is the other's control."""
        other: dict[Arm, Arm] = {"attack": "control", "control": "attack"}
        return ProbeResult(self.probe, tuple(replace(one, arm=other[one.arm]) for one in self.attempts))

    @property
    def undetected(self) -> float:
        """The smallest rate that would have given at least one hit with 95 % probability (``undetected_rate``)."""
        return undetected_rate(self.clusters)

    def hits(self, arm: Arm = "attack") -> Sequence[Attempt]:
        """The attempts with a hit."""
        return [one for one in self.attempts if one.arm == arm and one.hit]
