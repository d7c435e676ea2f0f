# SPDX-License-Identifier: Apache-2.0
"""Axioms about one explanation: what its values add up to, which parts must get something, and which nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from array_api_compat import array_namespace

from assay.axioms.measurement import Explain, Measured, either, error, over, relative, told, values, worst
from assay.axioms.subjects import (
    KINDS,
    MIXED,
    START,
    WORDS,
    Function,
    Kind,
    Subject,
    X,
    built,
    convolution,
    function,
    laid_out,
    linear,
    mixed,
    of,
    subject,
)
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.nouns.inputs.rows import to_floats

SATURATING = function([[-1.0]], [1.0], [1.0])
"""max(0, 1 − x), of one part."""


def completeness(explain: Explain) -> Measured:
    """Σ_i φ_i = f(x) − f(s): the values share out all of the rise from the start. (Sundararajan and others 2017.)

    Size: |Σ φ + base − f(x)| / |f(x) − base|. A method that names no base shares nothing out; it is held to
    f(x) − f(0), which is what its values would have to add up to. What constants and biases absorbed does not count as
    shared. Asked of smooth nets with biases; of rectified ones without biases (where the line from the start
    crosses no kink) by methods that know no smooth activation.
    """

    def gap(asked: Subject) -> Measured:
        e = explain(asked)
        nothing = replace(asked, start=np.zeros_like(asked.start))
        whole = e.output - np.where(np.isnan(e.base), at_start(nothing), e.base)
        total = values(e).sum(axis=1)
        noise = 4.0 * relative(error(e).sum(axis=1), whole)
        base = "" if np.isfinite(e.base).all() else " (no base is named)"
        return Measured(
            relative(total - whole, whole),
            noise,
            f"{asked.name}: values add up to {told(total)}, the rise is {told(whole)}{base}",
        )

    def smooth(kind: Kind) -> Subject:
        return of(kind, mixed("tanh"), X, START if kind == "numbers" else 0.0, "tanh", PLACES)

    def rectified(kind: Kind) -> Subject:
        return of(kind, mixed("relu", bias=False), X, 0.0, "ReLU without bias", PLACES)

    return worst([either(partial(gap, smooth(k)), partial(gap, rectified(k))) for k in KINDS])


PLACES = np.array([0.5, -0.25, 1.0, 0.75])
"""What a position is worth, where positions are told apart."""


def at_start(asked: Subject) -> Floats:
    """The target (row,) at the start."""
    x = asked.case.rows.x
    start = array_namespace(x).asarray(np.broadcast_to(asked.start, tuple(x.shape)).copy(), dtype=x.dtype)
    return to_floats(asked.case.value(start))


def sensitivity(explain: Explain) -> Measured:
    """Input and start that differ in one part and in output: that part gets a value other than 0.

    Sensitivity (a) of Sundararajan and others 2017, on their f = max(0, 1 − x) at 2 from 0, plus 1 so that no target is
    0: f falls from 2 to 1 while the slope at 2 is 0. Size: 1 where the part gets nothing (less than 10⁻⁹ of the
    difference of the outputs), else 0.
    """
    alone = [2.0, 0.0, 0.0, 0.0]
    first = function([[-1.0, 0.0, 0.0, 0.0]], [1.0], [1.0], 1.0)
    tokens = replace(SATURATING, b=1.0)
    subjects = [
        of("numbers", first, alone, 0.0, "1 + max(0, 1 − x₀)"),
        *(of(k, tokens, alone, 0.0, "1 + mean of max(0, 1 − x)") for k in KINDS[1:]),
    ]

    def missed(asked: Subject) -> Measured:
        e = explain(asked)
        change = float(e.output[0] - at_start(asked)[0])
        value = float(values(e)[0, 0])
        told_ = f"{asked.name}: x₀ = 2 from 0, the output moves by {told(change)}, x₀ gets {told(value)}"
        return Measured(float(abs(value) <= 1e-9 * abs(change)), 0.0, told_)

    return worst(list(over(subjects, missed)))


def dummy(explain: Explain) -> Measured:
    """A part that f does not depend on gets 0. (Sensitivity (b) of Sundararajan and others 2017; Shapley 1953.)

    Size: |φ_idle| / max |φ|. Idle by a weight of 0, by a mask, by a stride that skips it, and by two paths that cancel.
    """
    weights = np.array(MIXED)
    weights[:, 3] = 0.0
    silent = replace(mixed(), w=weights)
    detour = function([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.5, 1.0]], [0.1, 0.1], [1.0, -1.0])
    subjects = [
        of("numbers", silent, X, START, "x₃ has weight 0"),
        of("numbers", silent.plus(detour), X, START, "x₃ on two paths that cancel"),
        of("flat", mixed(), X, 0.0, "x₃ has weight 0", [0.5, -0.25, 1.0, 0.0]),
        skipping(),
        masked(),
    ]

    def idle(asked: Subject) -> Measured:
        e = explain(asked)
        phi = values(e)
        noise = 4.0 * relative(error(e)[:, -1], phi)
        return Measured(relative(phi[:, -1], phi), noise, f"{asked.name}: the last part is idle, values {told(phi)}")

    return worst(list(over(subjects, idle)))


def skipping() -> Subject:
    """A convolution of stride 2 over a picture of 2 × 4 pixels, averaged: every second column is never read."""
    pt = need("torch", extra="torch")
    f = mixed()
    pooling = [pt.nn.AdaptiveAvgPool2d(1), pt.nn.Flatten()]
    net = pt.nn.Sequential(convolution(f.w[:, :1], f.c, (1, 2)), pt.nn.ReLU(), *pooling, linear(f.v[None], [f.b]))
    return subject(net, np.tile(X, 2), 0.0, "a convolution that skips every second column", shape=(1, 2, 4))


def masked() -> Subject:
    """Self-attention over tokens of which the last is multiplied by 0 before anything else, and not read."""
    from assay.axioms.tokens import Masked

    mask = np.array([1.0, 1.0, 1.0, 0.0])[:, None]
    net = built("tokens", mixed(), 4, [0.5, 0.25, 0.25, 0.0], [Masked(mask)])
    return subject(net, X, 0.0, f"the last token masked, {WORDS['tokens']}", shape=laid_out("tokens"))


def symmetry(explain: Explain) -> Measured:
    """Parts that f treats alike, with the same input and the same start, get the same. (Shapley 1953.)

    Size: |φ_0 − φ_1| / max |φ|. Pictures and tokens are averaged over positions, so that all positions are treated
    alike; two of them hold the same input.
    """
    weights = np.array(MIXED)
    weights[:, 1] = weights[:, 0]
    alike, x = replace(mixed(), w=weights), np.array([1.5, 1.5, 0.5, 2.0])
    crossed = function([[1.0, -0.5, 0.25, 0.5], [-0.5, 1.0, 0.25, 0.5]], [0.1, 0.1], [1.0, 1.0])
    subjects = [
        of("numbers", alike, x, 0.25, "x₀ and x₁ have the same weights"),
        of("numbers", crossed, x, 0.25, "x₀ and x₁ have each other's weights"),
        *(of(k, mixed("tanh"), x, 0.0, "all parts alike") for k in KINDS[1:]),
        *(of(k, mixed(), x, 0.0, "all parts alike") for k in KINDS[1:]),
    ]

    def uneven(asked: Subject) -> Measured:
        e = explain(asked)
        phi = values(e)
        noise = 4.0 * relative(np.hypot(error(e)[:, 0], error(e)[:, 1]), phi)
        size = relative(phi[:, 0] - phi[:, 1], phi)
        return Measured(size, noise, f"{asked.name}: x = {told(x)}, values {told(phi)}")

    return worst(list(over(subjects, uneven)))


def rising() -> list[Function]:
    """Functions of four parts that fall in none of them: plain; by signs that cancel; and min(x₀, x₁)."""
    up = np.abs(np.array(MIXED))
    return [
        function(up, [-1.0, 0.5, -2.0], [1.0, 0.5, 1.5], 0.5),
        function(np.concatenate([-up, up]), [2.0, 1.0, 3.0, 0.0, 0.0, 0.0], [-1.0, -0.5, -1.0, 0.5, 0.5, 0.5], 0.5),
        MINIMUM,
    ]


MINIMUM = function([[1.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]], [0.0] * 3, [1.0, -1.0, 1.0])
"""min(x₀, x₁) + (x₂ + x₃) / 2, where nothing is negative."""
LEVELLING = function([[1.0], [1.0]], [0.0, -1.0], [1.0, -0.75])
"""x up to 1, from there on a quarter as steep."""


def monotonicity(explain: Explain) -> Measured:
    """Where f falls in no part and x ≥ s in every part, no value is negative. (Friedman and Moulin 1999.)

    Size: max(−φ) / max |φ|.
    """
    subjects = [of("numbers", f, X, 0.0, f"rising function {i + 1}") for i, f in enumerate(rising())]
    subjects += [of(k, LEVELLING, X, 0.0, "a rising function", np.abs(PLACES)) for k in KINDS[1:3]]
    subjects.append(even_reader(LEVELLING, X, "a rising function"))

    def fallen(asked: Subject) -> Measured:
        e = explain(asked)
        phi = values(e)
        low = np.minimum(phi, 0.0)
        noise = 4.0 * relative(np.where(phi < 0, error(e), 0.0), phi)
        return Measured(relative(low, phi), noise, f"{asked.name}: x = {told(X)} from 0, values {told(phi)}")

    return worst(list(over(subjects, fallen)))


def demand_monotonicity(explain: Explain) -> Measured:
    """Where f falls in no part, a part whose input rises does not lose value. (Sundararajan and Najmi 2020.)

    φ_0(x + d e₀) ≥ φ_0(x) for d > 0. Size: max(0, φ_0(x) − φ_0(x + d e₀)) / max |φ|.
    """
    x = np.array([1.0, 2.0, 1.5, 0.5])
    more = x + np.array([2.0, 0.0, 0.0, 0.0])

    def pair(kind: Kind) -> tuple[Subject, Subject]:
        if kind == "tokens":
            return even_reader(LEVELLING, x, "a rising function"), even_reader(LEVELLING, more, "a rising function")
        f, name = (MINIMUM, "min(x₀, x₁)") if kind == "numbers" else (LEVELLING, "a rising function")
        where = np.abs(PLACES)
        return of(kind, f, x, 0.0, name, where), of(kind, f, more, 0.0, name, where)

    def lost(kind: Kind) -> Measured:
        before, after = pair(kind)
        one, two = explain(before), explain(after)
        a, b = values(one), values(two)
        noise = 4.0 * relative(np.hypot(error(one)[:, 0], error(two)[:, 0]), a, b)
        words = f"{before.name}: x₀ rises from {told(x[0])} to {told(more[0])}, its value goes from {told(a[0, 0])} to "
        return Measured(relative(np.minimum(b - a, 0.0)[:, 0], a, b), noise, words + told(b[0, 0]))

    return worst([partial(lost, k) for k in KINDS])


def even_reader(f: Function, x: Floats, name: str) -> Subject:
    """Self-attention that attends evenly, whatever the tokens: the net rises with every token."""
    from assay.axioms.tokens import Reader, SelfAttention

    net = Reader(f, np.full(4, 0.25), attention=SelfAttention((0.0,), (0.0,)))
    return subject(net, x, 0.0, f"{name}, even {WORDS['tokens']}", shape=laid_out("tokens"))
