# SPDX-License-Identifier: Apache-2.0
"""Axioms about functions: sums of them, linear ones, and two that differ only where nothing looks."""

from __future__ import annotations

from functools import partial

import numpy as np

from assay.axioms.attribution import PLACES
from assay.axioms.measurement import Explain, Measured, compared, error, relative, told, values, worst
from assay.axioms.subjects import (
    KINDS,
    START,
    WORDS,
    Act,
    Kind,
    Subject,
    X,
    built,
    function,
    laid_out,
    linear,
    mixed,
    of,
    other,
    subject,
)
from assay.basics.types import Floats

A, B = 2.0, -3.0
ACTS: tuple[Act, ...] = ("tanh", "relu")


def linearity(explain: Explain) -> Measured:
    """φ(a f + b g) = a φ(f) + b φ(g), here 2 f − 3 g. (Additivity of Shapley 1953; Sundararajan and others 2017.)

    Size: max |φ(a f + b g) − a φ(f) − b φ(g)| / max |a φ(f) + b φ(g)|. The sum is one net with the hidden units of both
    side by side, so that methods that look at layers find them. Chance is the same for all three.
    """

    def gap(kind: Kind, act: Act) -> Measured:
        f, g = mixed(act), other(act)
        start = START if kind == "numbers" else 0.0
        name = f"2 f − 3 g, {act}"
        asked = [of(kind, h, X, start, name, PLACES) for h in (f.plus(g, A, B), f, g)]
        whole, one, two = (values(explain(h)) for h in asked)
        sum_ = A * one + B * two
        words = f"{asked[0].name}: values {told(whole)}, of the parts {told(sum_)}"
        return Measured(relative(whole - sum_, whole, sum_), 0.0, words)

    return worst([partial(gap, k, a) for k in KINDS for a in ACTS])


def linear_agreement(explain: Explain) -> Measured:
    """On a linear f = w · x + b the values are w_i (x_i − s_i), or the influence w_i itself. (Leino and others 2018.)

    Size: the smallest of max |φ − r| / max |r| for r = w (x − s), r = w x (methods without a start) and r = w, so that
    methods that share out and methods that tell a slope are both asked for what they mean; a method that drops the sign
    agrees with none of these.
    """
    f = function([[1.0, -0.5, 0.25, 0.75], [-2.0, 1.0, 0.5, -0.25]], [0.5, -0.5], [1.5, 0.5], 0.25, "none")

    def gap(asked: Subject, w: Floats) -> Measured:
        e = explain(asked)
        phi, start = values(e)[0], asked.start.ravel()
        shares = w * (X - start)
        from_zero = w * X
        distances = {
            "the shares": (phi - shares, shares),
            "the shares from 0": (phi - from_zero, from_zero),
            "the slopes": (phi - w, w),
        }
        form = min(distances, key=lambda name: relative(*distances[name]))
        apart, right = distances[form]
        noise = 4.0 * relative(error(e), right)
        words = f"{asked.name}: values {told(phi)}, {form} are {told(right)}"
        return Measured(relative(apart, right), noise, words)

    slope = float(f.v @ f.w[:, 0])
    even = _even()
    asked = [
        (of("numbers", f, X, START, "two linear layers"), f.v @ f.w),
        (subject(linear((f.v @ f.w)[None], [f.b]), X, START, "one linear layer"), f.v @ f.w),
        (of("pooled", f, X, 0.0, "linear layers"), np.full(4, slope / 4)),
        (of("flat", f, X, 0.0, "linear layers", PLACES), slope * PLACES),
        (even, PLACES + PLACES.sum() / 4),
    ]
    return worst([partial(gap, s, w) for s, w in asked])


def _even() -> Subject:
    """Self-attention that attends evenly is linear: each token plus the mean, weighted by place."""
    from assay.axioms.tokens import Reader, SelfAttention

    plain = function([[1.0]], [0.0], [1.0], 0.25, "none")
    net = Reader(plain, PLACES, attention=SelfAttention((0.0,), (0.0,)))
    return subject(net, X, 0.0, f"linear layers, even {WORDS['tokens']}", shape=laid_out("tokens"))


FAR = 100.0
BUMP = function([[1.0, 1.0, 1.0, 1.0]], [-FAR], [1.0])


def distributional_marginality(explain: Explain) -> Measured:
    """Where the slopes of f and g agree on all of the distribution of interest, so do the values. (Leino 2018.)

    Here g = f + max(0, Σ x − 100): equal to f on the whole box around input and start, where every path, removal, blur
    and noise of a method stays. Size: max |φ(f) − φ(g)| / max |φ|.
    """

    def pair(kind: Kind, act: Act) -> tuple[Subject, Subject]:
        f = mixed(act)
        start, name = (START if kind == "numbers" else 0.0), f"{act}, with and without max(0, Σ x − 100)"
        near = of(kind, f, X, start, name, PLACES)
        if act == "relu":
            return near, of(kind, f.plus(BUMP), X, start, name, PLACES)
        from assay.axioms.tokens import Besides

        net = Besides(built(kind, f, 4, PLACES), linear(np.ones((1, 4)), [-FAR]))
        return near, subject(net, X, start, near.name, shape=laid_out(kind))

    def gap(kind: Kind, act: Act) -> Measured:
        near, far = pair(kind, act)
        return compared(explain(near), explain(far), near.name)

    return worst([partial(gap, k, a) for k in KINDS for a in ACTS])
