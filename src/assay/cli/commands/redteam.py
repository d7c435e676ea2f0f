# SPDX-License-Identifier: Apache-2.0
"""The command ``assay redteam``."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError
from assay.cli.red_team_subject import NO_ENDPOINT_FLAGS, EndpointFlags

if TYPE_CHECKING:
    from assay.auditing.redteam.red_team import RedTeamRun
    from assay.model.model import Model


def redteam(
    model: str,
    /,
    *,
    endpoint: EndpointFlags = NO_ENDPOINT_FLAGS,
    probe: tuple[str, ...] = (),
    prompts: int = 60,
    draws: int = 1,
    tokens: int = 32,
    temperature: float = 0.0,
    canaries: Path | None = None,
    classifier: str = "",
    flagged: str = "",
    data: Path | None = None,
    target: str = "",
    text: str = "",
    ball: str = "",
    favourable: str = "",
    output: str = "",
    classes: tuple[str, ...] = (),
    threshold: tuple[str, ...] = (),
    fail_on: Literal["fail", "undecided", "never"] = "fail",
    require: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    level: float = 0.95,
    seed: int = 0,
    title: str = "",
    out: Path = Path("redteam"),
    format: Literal["text", "json", "html", "md", "junit"] = "text",
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Probe a language model with harmless stand-ins for attacks, or attack a classifier; write results and a page.

    Each attack has a control that does not attack; a check fails where the attack succeeds more often than its control
    by more than the threshold, with an interval clustered by prompt. The folder --out is that of an audit: assay gate,
    assay compare and assay show read it.

    Parameters
    ----------
    model
        http://…/v1 (an endpoint), a folder with a causal language model, FILE.py:FUNCTION that returns (net,
        tokenizer), a function of messages or a classifier, or the file of a classifier of texts or images.
    endpoint
        How a model behind an address is asked.
    probe
        A probe of the package, or a .json file of your own; may be repeated. By default all that can be run.
    prompts
        Prompts of each probe, or rows of a classifier that are attacked.
    draws
        Answers to each prompt; more than one needs a temperature.
    tokens
        Most tokens of an answer.
    temperature
        0 for the most likely answer.
    canaries
        .jsonl or .csv with prefix and secret: secrets that you inserted into the training text.
    classifier
        Your own classifier of texts, a file or FILE.py:FUNCTION, which judges answers.
    flagged
        The class of that classifier that counts as a hit.
    data
        Texts or images on which a classifier is attacked.
    target
        Column of the labels in these data; the model does not see it.
    text
        Column of texts; by default the only such column.
    ball
        How far pixels may move: linf:0.03:0:1.
    favourable
        The class that is good to get, for swapped words; by default the last one.
    output
        What a classifier's scores are: logits, margin, probabilities or values.
    classes
        Names of the classes, in the order of the outputs.
    threshold
        CODE=NUMBER, the threshold of a check instead of its default, such as RED201=0.2.
    fail_on
        The least severe verdict that fails: fail, undecided or never.
    require
        Prefixes of check codes that must have a result.
    ignore
        Prefixes of check codes that the gate ignores.
    level
        The confidence of all verdicts together.
    seed
        Root of all randomness.
    title
        Title of the page.
    out
        Folder for the results and the page.
    format
        What is printed: text, json, html, md or junit.
    quiet
        Print no progress.
    """
    given = dict(locals())
    from assay.auditing.gate import evaluate_gate
    from assay.auditing.redteam.red_team import redteam as run_red_team
    from assay.cli.options import parse_thresholds, split
    from assay.cli.output_formats import format_run, print_format
    from assay.cli.printing import print_summary
    from assay.cli.red_team_subject import open_subject, read_canaries
    from assay.cli.terminal.progress import ProgressLine

    subject = open_subject(model, endpoint, output, split(classes))
    with ProgressLine(quiet=quiet) as progress:
        run: RedTeamRun = run_red_team(
            subject,
            **_of_kind(subject, data, target, text, ball, favourable, probe, classifier, flagged),
            canaries=read_canaries(canaries),
            prompts=prompts,
            draws=draws,
            tokens=tokens,
            temperature=temperature,
            thresholds=parse_thresholds(split(threshold)),
            level=level,
            seed=seed,
            title=title,
            reproduce=_command(model, given),
            progress=progress,
        )
    run.save(out)
    gate = evaluate_gate(run, fail_on=fail_on, require=split(require), ignore=split(ignore))
    if format == "text":
        print_summary(run, gate, out)
    else:
        print_format(format_run(run, format), format)
    return gate.exit


def _of_kind(
    subject: Any,
    data: Path | None,
    target: str,
    text: str,
    ball: str,
    favourable: str,
    probe: tuple[str, ...],
    classifier: str,
    flagged: str,
) -> dict[str, Any]:
    """The arguments for this kind of model; flags of the other kind are refused."""
    from assay.cli.options import ball as ball_of
    from assay.cli.options import split
    from assay.model.model import Model

    if isinstance(subject, Model):
        if probe or classifier or flagged:
            raise InputError("--probe, --classifier and --flagged are for language models; leave them out.")
        return {
            "rows": _rows(subject, data, target, text),
            "ball": ball_of(ball) if ball else None,
            "favourable": favourable,
        }
    if data is not None or target or text or ball or favourable:
        raise InputError("--data, --target, --text, --ball and --favourable are for classifiers; leave them out.")
    return {"probes": split(probe), "classifier": _classifier(classifier, flagged), "flagged": flagged}


def _rows(model: Model, data: Path | None, target: str, text: str) -> Any:
    from assay.cli.read_rows import DataFiles

    if data is None:
        raise InputError(f"{model.name} is a classifier: give the texts or images to attack, --data FILE.")
    return DataFiles.of(model, data).read(data, target).model_rows(model, text)


def _classifier(place: str, flagged: str) -> Model | None:
    from assay.model.files.load import load_model

    if bool(place) != bool(flagged):
        raise InputError("--classifier MODEL and --flagged CLASS are given together.")
    if not place:
        return None
    model = load_model(place)
    return replace(model, meter=model.meter.separate())


UNRECORDED = ("model", "endpoint", "out", "format", "quiet", "fail_on", "require", "ignore")
"""Arguments that change no finding, or that are written in another way."""


def _command(model: str, given: Mapping[str, Any]) -> str:
    """The command that repeats the run: the model, and every flag that is not its default."""
    words = ["assay", "redteam", model]
    flags = {name: getattr(given["endpoint"], name) for name in ("named", "key_env", "allow_host", "timeout")}
    usual = {name: one.default for name, one in inspect.signature(redteam).parameters.items()}
    usual |= {name: getattr(NO_ENDPOINT_FLAGS, name) for name in flags}
    for name, value in (flags | {n: v for n, v in given.items() if n not in UNRECORDED}).items():
        if value != usual[name]:
            for one in value if isinstance(value, tuple) else (value,):
                words += [f"--{name.replace('_', '-')}", str(one)]
    return shlex.join(words)
