# SPDX-License-Identifier: Apache-2.0
"""Red teaming of classifiers: adversarial texts and images against random changes, and swapped words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from assay import attack, diagnose
from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.samples.clustered_rates import undetected_rate
from assay.basics.seed import Seed
from assay.basics.stats import Basis
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.engine.check_findings import judged_finding
from assay.engine.redteam.checks import ADVICE, IMAGES, MEANING, TEXTS, TOLERATED
from assay.engine.search.ball import Ball
from assay.model.model import Model
from assay.nouns.catalogue import Check
from assay.nouns.results.finding import MAX_ROWS, Finding
from assay.nouns.results.provenance import Refusal
from assay.nouns.results.result import AttackResult

QUERIES = 100
"""Most evaluations of one text or image by an attack without gradient."""

STEPS = 20
"""Steps of each gradient attack on images."""


@dataclass
class Attacked:
    """What the attacks on a classifier found."""

    findings: list[Finding] = field(default_factory=list)
    results: dict[str, AttackResult] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    rows: int = 0


def attack_classifier(
    model: Model, x: Any, *, count: int, ball: Ball | None, favourable: str, level: float, seed: Seed
) -> Attacked:
    """Attack at most ``count`` rows, drawn by the seed, of a classifier of texts or images.

    Texts: few words are replaced (``attack.token_substitution``), and sensitive words are swapped
    (``diagnose.swapped_words``). Images: ``attack.auto`` in the ``ball``, or ``attack.square`` without a gradient. Each
    attack is compared row by row with random changes of the same size.
    """
    is_text = model.encode is not None
    if not model.kind.is_classifier:
        raise InputError(f"{model.name} is no classifier; a red team attacks classifiers and language models.")
    whole = case(model, x, label="predicted", seed=seed)
    if not is_text and len(whole.rows.shape) != 3:
        raise CapabilityError(
            f"{model.name} reads rows of shape {whole.rows.shape}; a red team attacks texts and images. For tables use "
            f"assay audit, or attack.column_changes."
        )
    if not is_text and ball is None:
        raise InputError("attacks on images need to know how far pixels may move: ball=assay.Ball('linf', 0.03, 0, 1).")
    chosen = np.sort(seed.child("rows").generator().permutation(len(whole))[:count])
    some = _some(whole, chosen)
    found = Attacked(rows=len(chosen))
    if is_text:
        _collect(found, TEXTS, partial(_texts, some, level), "token_substitution")
        _collect(found, TEXTS, partial(_swapped, whole, favourable, level), "swapped_words")
    else:
        assert ball is not None
        _collect(found, IMAGES, partial(_images, some, ball, level), "auto")
    return found


def _some(whole: Case, chosen: Any) -> Case:
    """The case of some of its rows."""
    return whole if len(chosen) == len(whole) else whole.take(chosen)


Made = tuple[list[Finding], dict[str, AttackResult]]


def _collect(found: Attacked, check: Check, step: Callable[[], Made], name: str) -> None:
    """Run a step; one that the model cannot do leaves a finding without a verdict, and a refusal."""
    try:
        findings, results = step()
    except AssayError as error:
        found.refusals.append(Refusal(method=name, verb="redteam", reason=str(error), kind=type(error).__name__))
        if name != "swapped_words":
            found.findings.append(Finding(check.code, "error", f"{name} could not be run: {error}", "the model"))
        return
    found.findings += findings
    found.results |= results


def _texts(some: Case, level: float) -> Made:
    result = attack.token_substitution(some, delete=True, queries=QUERIES)
    return [_finding(TEXTS, some, result, "at most 3 words replaced or deleted", level)], {"token_substitution": result}


def _images(some: Case, ball: Ball, level: float) -> Made:
    if some.model.has_gradient:
        result, name = attack.auto(some, ball, steps=STEPS, queries=QUERIES), "auto"
    else:
        result, name = attack.square(some, ball, queries=QUERIES), "square"
    return [_finding(IMAGES, some, result, f"{ball.norm} ≤ {ball.radius:.3g}", level)], {name: result}


def _swapped(whole: Case, favourable: str, level: float) -> Made:
    label = favourable or whole.model.classes[-1]
    asked = whole.with_target(label=label)
    return list(diagnose.swapped_words(asked, level=level)), {}


def _finding(check: Check, some: Case, result: AttackResult, allowed: str, level: float) -> Finding:
    """Rate of success less that of random changes of the same size, paired by row."""
    own, random = result.success.astype(np.int64), (result.random < 0).astype(np.int64)
    ones = np.ones(len(own), dtype=np.int64)
    data = {"hits": own, "draws": ones, "control_hits": random, "control_draws": ones}
    ids: Sequence[Any] = [result.ids[place] for place in np.flatnonzero(result.success)]
    seen = (
        "" if own.any() else f" A rate of {undetected_rate(len(own)):.1%} would have been seen with 95 % probability."
    )
    return judged_finding(
        check,
        Basis("controlled", data),
        level,
        TOLERATED,
        ADVICE | {"fail": check.remedy},
        claim=f"With {allowed} the decision about {own.sum()} of {len(own)} rows changes; random changes of the same "
        f"size change {random.sum()}.{seen}",
        subject=some.model.name,
        estimate=float(own.mean() - random.mean()),
        null=0.0,
        n=len(own),
        meaning=MEANING[check.code],
        affected=float(own.mean()),
        rows=tuple(ids[:MAX_ROWS]),
        evidence={"rate": float(own.mean()), "random changes": float(random.mean()), "allowed": allowed},
    )
