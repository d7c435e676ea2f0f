# SPDX-License-Identifier: Apache-2.0
"""The probes of a red team on one generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assay import diagnose
from assay.basics.errors import AssayError, InputError, NoAnswer
from assay.basics.seed import Seed
from assay.cases.new_case import case
from assay.data.red_team_probes import NAMES, read_probe, shipped_probe
from assay.engine.redteam.attempts import Sampling, attempt
from assay.engine.redteam.checks import finding_of, probe_check
from assay.engine.redteam.detectors import detector_of
from assay.engine.redteam.generators import Generator
from assay.engine.redteam.local_model import LocalModel
from assay.engine.redteam.prompts import TrainingCanary, canary_prompts, draw_unused, make_prompts
from assay.model.model import Model
from assay.nouns.records.record import NotRun
from assay.nouns.redteam.probe import Probe, Prompt
from assay.nouns.redteam.probe_result import ProbeResult
from assay.nouns.results.finding import Finding
from assay.nouns.results.provenance import Refusal

Progress = Callable[[str, str, float], None]
"""Called with the kind of a report, its text, and the share done."""

CANDIDATES = 250
"""Candidates among which the exposure of a canary is ranked."""


@dataclass(frozen=True, eq=False)
class ProbeSettings:
    """What all probes of a run share."""

    generator: Generator
    sampling: Sampling
    prompts: int
    canaries: tuple[tuple[str, str], ...]
    classifier: Model | None
    flagged: str
    seed: Seed
    level: float

    def lacks(self, probe: Probe) -> str:
        """The argument that a probe needs and that is not given; empty where nothing is missing."""
        if probe.family == "memorisation" and not self.canaries:
            return "canaries=[(prefix, secret), …]"
        return "classifier=… and flagged='…'" if probe.detector == "classifier" and self.classifier is None else ""

    def attempt(self, probe: Probe) -> ProbeResult:
        """The probe on the generator."""
        judge = detector_of(probe.detector, self.classifier, self.flagged)
        return attempt(probe, self._prompts(probe), self.generator, judge, self.sampling, self.seed)

    def _prompts(self, probe: Probe) -> tuple[Prompt, ...]:
        if probe.family != "memorisation":
            return make_prompts(probe, self.prompts, self.seed)
        secrets = [secret for _, secret in self.canaries]
        trained = [
            TrainingCanary(prefix, secret, draw_unused(secret, secrets, self.seed.child(place)))
            for place, (prefix, secret) in enumerate(self.canaries)
        ]
        return canary_prompts(probe, trained)


@dataclass
class Tried:
    """What the probes found."""

    results: list[ProbeResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def answers(self) -> int:
        """Attempts of all probes, controls included."""
        return sum(len(one.attempts) for one in self.results)


def try_probes(probes: Sequence[Probe], settings: ProbeSettings, progress: Progress) -> Tried:
    """Every probe on the generator; one that fails leaves an error and a refusal."""
    found, name = Tried(), settings.generator.name
    for place, probe in enumerate(probes):
        progress("step", probe.name, place / len(probes))
        try:
            result = settings.attempt(probe)
        except NoAnswer as error:
            found.findings.append(_error(probe, name, error))
            found.refusals.append(_refusal(probe.name, error))
            continue
        found.results.append(result)
        found.findings.append(finding_of(result, name, settings.level, probe.name in NAMES))
    if any(probe.family == "memorisation" for probe in probes) and isinstance(settings.generator, LocalModel):
        _expose(found, settings, settings.generator)
    return found


def _expose(found: Tried, settings: ProbeSettings, model: LocalModel) -> None:
    """Exposure of the canaries by their probabilities, which needs a net on this machine (``diagnose.exposure``)."""
    asked = case(model.scores(), list(settings.canaries), seed=settings.seed)
    given: dict[str, Any] = {"enumerated": CANDIDATES, "references": CANDIDATES, "beam": 8, "level": settings.level}
    try:
        found.findings += diagnose.exposure(asked, np.ones(len(settings.canaries)), **given)
    except AssayError as error:
        found.refusals.append(_refusal("exposure", error))


def choose_probes(probes: Any, settings: ProbeSettings) -> tuple[list[Probe], list[NotRun]]:
    """The probes to run, and those of the default that cannot be; ``InputError`` where a named one cannot be."""
    named = [_probe(one) for one in ([probes] if isinstance(probes, str | Path | Probe) else probes)]
    names = [one.name for one in named]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"the probe {repeated[0]} is named twice.")
    for probe in named:
        probe_check(probe)
        if settings.lacks(probe):
            raise InputError(f"the probe {probe.name} needs {settings.lacks(probe)}.")
    if named:
        return named, []
    every = [shipped_probe(name) for name in NAMES]
    skipped = [NotRun(f"redteam.{one.name}", one.purpose, settings.lacks(one)) for one in every if settings.lacks(one)]
    return [one for one in every if not settings.lacks(one)], skipped


def _probe(given: str | Path | Probe) -> Probe:
    if isinstance(given, Probe):
        return given
    return read_probe(given) if str(given).endswith(".json") else shipped_probe(str(given))


def _error(probe: Probe, name: str, error: AssayError) -> Finding:
    return Finding(
        code=probe.check,
        verdict="error",
        claim=f"The probe {probe.name} could not be run: {error}",
        subject=name if probe.name in NAMES else f"the probe {probe.name}",
        advice="Make the model reachable, and run the probe again.",
    )


def _refusal(name: str, error: AssayError) -> Refusal:
    return Refusal(method=name, verb="redteam", reason=str(error), kind=type(error).__name__)
