# SPDX-License-Identifier: Apache-2.0
"""Red teaming of one model: probes, their findings judged together, and the run that page, comparison and gate read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.auditing.check_catalogue import suggested_repairs
from assay.auditing.clock import Clock
from assay.auditing.joint_verdicts import check_thresholds, count_judged, drop_disproved, judge_jointly, with_thresholds
from assay.auditing.run import Run
from assay.basics.errors import AssayError, InputError, NoAnswer
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.data.red_team_probes import NAMES, read_probe, shipped_probe
from assay.engine.provenance import versions
from assay.engine.redteam.attempts import Sampling, attempt
from assay.engine.redteam.checks import finding_of, probe_check
from assay.engine.redteam.detectors import detector_of
from assay.engine.redteam.generators import Generator, generator_of
from assay.engine.redteam.prompts import TrainingCanary, canary_prompts, draw_unused, make_prompts
from assay.model.model import Model
from assay.nouns.catalogue import checks
from assay.nouns.records.record import CheckText, NotRun, Record, Waiver
from assay.nouns.redteam.probe import Probe, Prompt
from assay.nouns.redteam.probe_result import ProbeResult
from assay.nouns.results.finding import Finding
from assay.nouns.results.provenance import Refusal

PROMPTS = 60
"""Default number of prompts of a probe: without a hit, a rate of 4.9 % would have been seen with 95 % probability."""

Progress = Callable[[str, str, float], None]

LIMIT = (
    "Red teaming shows that an attack works, never that none does: a pass says that these probes did not break the "
    "model. Their contents are harmless stand-ins; what the model does with harmful requests was not tested."
)


def no_progress(kind: str, text: str, share: float) -> None:
    """Report nothing."""


@dataclass(frozen=True, eq=False, repr=False)
class RedTeamRun(Run):
    """The run of a red team: findings as of an audit, and every attempt (``results``, one for each probe).

    A run that was loaded from a file has no attempts; they are in its report.jsonl.
    """

    results: tuple[ProbeResult, ...] = field(default=(), repr=False)


def redteam(
    model: Any,
    *,
    probes: Sequence[str | Path | Probe] = (),
    prompts: int = PROMPTS,
    draws: int = 1,
    tokens: int = 32,
    temperature: float = 0.0,
    canaries: Sequence[tuple[str, str]] = (),
    classifier: Model | None = None,
    flagged: str = "",
    level: float = 0.95,
    thresholds: Mapping[str, float] | None = None,
    waivers: Sequence[Waiver] = (),
    seed: int = 0,
    title: str = "",
    reproduce: str = "",
    out: str | Path | None = None,
    progress: Progress = no_progress,
) -> RedTeamRun:
    """Try to make a model do what it should not, with harmless stand-ins, and compare with controls that do not try.

    ``model`` is (net, tokenizer) of a causal language model, a function from messages to a text, or an
    ``assay.Endpoint``. Each probe has ``prompts`` prompts, each with a control; every prompt gets ``draws`` answers of
    at most ``tokens`` tokens. The number of a check is the rate of hits under attack less that of the control, with
    an interval clustered by prompt (docs/redteam.md); all verdicts hold together at ``level`` (Holm).

    ``probes`` names probes of the package, or files or objects of your own; by default all that can be run.
    ``canaries`` are pairs (prefix, secret) that you inserted into the training text: they enable the check of
    memorisation. ``classifier`` is a model of texts and ``flagged`` its class that counts as a hit: they enable the
    checks by your own classifier. A probe whose generator fails gets the verdict "error", so that a gate does not pass.

    With ``out``, results and page are written.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}; the confidence of all verdicts together lies between 0 and 1.")
    own, clock = check_thresholds(thresholds or {}), Clock()
    sampling = Sampling(draws, tokens, temperature)
    settings = _Settings(
        generator_of(model), sampling, prompts, tuple(canaries), classifier, flagged, Seed(seed), level
    )
    chosen, skipped = _chosen(probes, settings)
    tried = _try(chosen, settings, progress)
    given = with_thresholds(tried.findings, own, {})
    judged = drop_disproved(judge_jointly(given, level))
    record = Record(
        title=title or f"Red team of {settings.generator.name}",
        about=_about(settings, tried.results),
        cost={"answers": tried.answers, "checks judged together": count_judged(given)},
        findings=tuple(judged),
        explanations={},
        rivals={},
        scores={},
        references=(),
        checks=_check_texts(judged),
        refusals=tuple(tried.refusals),
        not_run=tuple(skipped),
        limits=(LIMIT,),
        waivers=tuple(waivers),
        level=level,
        reproduce=reproduce,
        times=clock.times({}),
    )
    progress("end", record.title, 1.0)
    run = RedTeamRun(record, results=tuple(tried.results))
    if out is not None:
        run.save(out)
    return run


@dataclass
class _Tried:
    """What the probes found."""

    results: list[ProbeResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def answers(self) -> int:
        """Attempts of all probes, controls included."""
        return sum(len(one.attempts) for one in self.results)


def _try(probes: Sequence[Probe], settings: _Settings, progress: Progress) -> _Tried:
    """Every probe on the generator; one that fails leaves an error and a refusal."""
    found, name = _Tried(), settings.generator.name
    for place, probe in enumerate(probes):
        progress("step", probe.name, place / len(probes))
        try:
            result = settings.attempt(probe)
        except NoAnswer as error:
            found.findings.append(_error(probe, name, error))
            found.refusals.append(_refusal(probe, error))
            continue
        found.results.append(result)
        found.findings.append(finding_of(result, name, settings.level, probe.name in NAMES))
    return found


@dataclass(frozen=True, eq=False)
class _Settings:
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


def _chosen(probes: Sequence[str | Path | Probe], settings: _Settings) -> tuple[list[Probe], list[NotRun]]:
    """The probes to run, and those of the default that cannot be; ``InputError`` where a named one cannot be."""
    named = [_probe(one) for one in ([probes] if isinstance(probes, str | Path | Probe) else probes)]
    repeated = {one.name for one in named if [other.name for other in named].count(one.name) > 1}
    if repeated:
        raise InputError(f"the probe {sorted(repeated)[0]} is named twice.")
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


def _about(settings: _Settings, results: Sequence[ProbeResult]) -> dict[str, str]:
    generator, sampling = settings.generator, settings.sampling
    probes = "; ".join(f"{one.probe.name} {one.probe.version} {one.probe.fingerprint}" for one in results)
    return {
        "model": generator.name,
        "model fingerprint": generator.fingerprint[:16],
        **{name: text[:160] for name, text in generator.about.items()},
        "data": f"{sum(one.clusters for one in results):,} prompts of {len(results)} probes, each with a control",
        "data fingerprint": digest(*(one.probe.fingerprint for one in results))[:16],
        "probes": probes,
        "answers": f"{sampling.draws} a prompt, at most {sampling.tokens} tokens, temperature {sampling.temperature:g}",
        "seed": str(settings.seed.root),
        "versions": ", ".join(f"{package} {number}" for package, number in versions().items()),
    }


def _check_texts(findings: Sequence[Finding]) -> tuple[CheckText, ...]:
    codes = {finding.code for finding in findings}
    return tuple(
        CheckText(c.code, c.family, c.question, c.remedy, c.severe, suggested_repairs(c.code))
        for c in checks()
        if c.code in codes
    )


def _error(probe: Probe, name: str, error: AssayError) -> Finding:
    return Finding(
        code=probe.check,
        verdict="error",
        claim=f"The probe {probe.name} could not be run: {error}",
        subject=name if probe.name in NAMES else f"the probe {probe.name}",
        advice="Make the model reachable, and run the probe again.",
    )


def _refusal(probe: Probe, error: AssayError) -> Refusal:
    return Refusal(method=probe.name, verb="redteam", reason=str(error), kind=type(error).__name__)
