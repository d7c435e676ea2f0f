# SPDX-License-Identifier: Apache-2.0
"""Red teaming of one model: attacks with their controls, judged together, as a run that page and gate read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assay.auditing.check_catalogue import suggested_repairs
from assay.auditing.clock import Clock
from assay.auditing.joint_verdicts import check_thresholds, count_judged, drop_disproved, judge_jointly, with_thresholds
from assay.auditing.redteam.classifiers import attack_classifier
from assay.auditing.redteam.probe_runs import ProbeSettings, Progress, choose_probes, try_probes
from assay.auditing.run import Run
from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.engine.provenance import versions
from assay.engine.redteam.attempts import Sampling
from assay.engine.redteam.garak import write_report
from assay.engine.redteam.generators import generator_of
from assay.engine.search.ball import Ball
from assay.model.model import Model
from assay.nouns.catalogue import checks
from assay.nouns.records.record import CheckText, NotRun, Record, Waiver
from assay.nouns.redteam.probe import Probe
from assay.nouns.redteam.probe_result import ProbeResult
from assay.nouns.results.finding import Finding
from assay.nouns.results.provenance import Refusal
from assay.nouns.results.result import AttackResult

PROMPTS = 60
"""Default number of prompts of a probe: without a hit, a rate of 4.9 % would have been seen with 95 % probability."""

LIMIT = (
    "Red teaming shows that an attack works, never that none does: a pass says that these probes did not break the "
    "model. Their contents are harmless stand-ins; what the model does with harmful requests was not tested."
)


def no_progress(kind: str, text: str, share: float) -> None:
    """Report nothing."""


@dataclass(frozen=True, eq=False, repr=False)
class RedTeamRun(Run):
    """The run of a red team: findings as of an audit, and every attempt (``results``, one for each probe).

    A run that was loaded from a file has no attempts; ``save`` writes them to report.jsonl in the layout of garak.
    """

    results: tuple[ProbeResult, ...] = field(default=(), repr=False)

    def save(self, folder: str | Path) -> Path:
        """Write results, page and, where there are attempts, ``report.jsonl``; returns the page's path."""
        page = super().save(folder)
        if self.results:
            write_report(self.results, Path(folder) / "report.jsonl", self.record.about)
        return page


def redteam(
    model: Any,
    *,
    rows: Any = None,
    probes: Sequence[str | Path | Probe] = (),
    prompts: int = PROMPTS,
    draws: int = 1,
    tokens: int = 32,
    temperature: float = 0.0,
    canaries: Sequence[tuple[str, str]] = (),
    classifier: Model | None = None,
    flagged: str = "",
    ball: Ball | None = None,
    favourable: str = "",
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

    A classifier of texts or images (``assay.wrap``) is attacked at ``rows``, at most ``prompts`` of them drawn by the
    seed: words are replaced and sensitive words swapped (``favourable`` names the class that is good to get), or pixels
    moved within the ``ball``; random changes of the same size are the control.

    With ``out``, results and page are written.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}; the confidence of all verdicts together lies between 0 and 1.")
    own, clock, root = check_thresholds(thresholds or {}), Clock(), Seed(seed)
    sampling = Sampling(draws, tokens, temperature)
    if isinstance(model, Model):
        _refuse_given(probes=probes, canaries=canaries, classifier=classifier)
        found = _of_classifier(model, rows, prompts, ball, favourable, level, root)
    else:
        _refuse_given(rows=rows, ball=ball, favourable=favourable)
        settings = ProbeSettings(
            generator_of(model), sampling, prompts, tuple(canaries), classifier, flagged, root, level
        )
        found = _of_generator(settings, probes, progress)
    given = with_thresholds(found.findings, own, {})
    judged = drop_disproved(judge_jointly(given, level))
    texts = {"title": title or f"Red team of {found.about['model']}", "reproduce": reproduce}
    record = _record(
        found, judged, {**found.cost, "checks judged together": count_judged(given)}, waivers, level, texts
    )
    run = RedTeamRun(_timed(record, clock), results=found.results)
    progress("end", record.title, 1.0)
    if out is not None:
        run.save(out)
    return run


@dataclass(frozen=True, eq=False)
class _Found:
    """What a red team found, before it is judged."""

    about: Mapping[str, str]
    cost: Mapping[str, int]
    findings: Sequence[Finding]
    refusals: Sequence[Refusal]
    skipped: Sequence[NotRun] = ()
    results: tuple[ProbeResult, ...] = ()
    attack_results: Mapping[str, AttackResult] = field(default_factory=dict)
    classes: tuple[str, ...] = ()


def _of_generator(settings: ProbeSettings, probes: Any, progress: Progress) -> _Found:
    chosen, skipped = choose_probes(probes, settings)
    tried = try_probes(chosen, settings, progress)
    generator, sampling, results = settings.generator, settings.sampling, tried.results
    about = {
        "model": generator.name,
        "model fingerprint": generator.fingerprint[:16],
        **{name: text[:160] for name, text in generator.about.items()},
        "data": f"{sum(one.clusters for one in results):,} prompts of {len(results)} probes, each with a control",
        "data fingerprint": digest(*(one.probe.fingerprint for one in results))[:16],
        "probes": "; ".join(f"{one.probe.name} {one.probe.version} {one.probe.fingerprint}" for one in results),
        "answers": f"{sampling.draws} a prompt, at most {sampling.tokens} tokens, temperature {sampling.temperature:g}",
        "seed": str(settings.seed.root),
    }
    return _Found(about, {"answers": tried.answers}, tried.findings, tried.refusals, skipped, tuple(results))


def _of_classifier(
    model: Model, rows: Any, count: int, ball: Ball | None, favourable: str, level: float, seed: Seed
) -> _Found:
    if rows is None:
        raise InputError(f"{model.name} is a classifier: give the texts or images to attack, rows=…")
    if count < 2:
        raise InputError(f"prompts={count}; at least 2 rows are needed.")
    before = model.meter.forwards, model.meter.backwards
    found = attack_classifier(
        model, rows, count=count, ball=ball, favourable=favourable, level=level, seed=seed.child("red team")
    )
    about = {
        "model": model.name,
        "model fingerprint": model.fingerprint[:16],
        **{name: text[:160] for name, text in model.about.items()},
        "data": f"{found.rows:,} rows attacked",
        "probes": "attacks on a classifier",
        "seed": str(seed.root),
    }
    cost = {
        "model evaluations": model.meter.forwards - before[0],
        "gradient evaluations": model.meter.backwards - before[1],
    }
    return _Found(about, cost, found.findings, found.refusals, attack_results=found.results, classes=model.classes)


def _refuse_given(**given: Any) -> None:
    """``InputError`` for arguments that this kind of model does not read."""
    unread = [name for name, value in given.items() if _is_given(value)]
    if unread:
        raise InputError(f"{', '.join(unread)} are not read for this kind of model; leave them out.")


def _is_given(value: Any) -> bool:
    """Whether an argument was given: no empty text or sequence."""
    return value is not None and not (isinstance(value, str | tuple | list) and not value)


def _record(
    found: _Found,
    judged: Sequence[Finding],
    cost: Mapping[str, int],
    waivers: Sequence[Waiver],
    level: float,
    texts: Mapping[str, str],
) -> Record:
    codes = {finding.code for finding in judged}
    return Record(
        title=texts["title"],
        about={**found.about, "versions": ", ".join(f"{name} {number}" for name, number in versions().items())},
        cost=cost,
        findings=tuple(judged),
        explanations={},
        rivals={},
        scores={},
        references=(),
        checks=tuple(
            CheckText(c.code, c.family, c.question, c.remedy, c.severe, suggested_repairs(c.code))
            for c in checks()
            if c.code in codes
        ),
        attack_results=found.attack_results,
        refusals=tuple(found.refusals),
        not_run=tuple(found.skipped),
        limits=(LIMIT,),
        classes=found.classes,
        waivers=tuple(waivers),
        level=level,
        reproduce=texts["reproduce"],
    )


def _timed(record: Record, clock: Clock) -> Record:
    return replace(record, times=clock.times({}))
