# SPDX-License-Identifier: Apache-2.0
"""Axioms about functions: sums, linear functions, and functions that differ only far from the input."""

from __future__ import annotations

from functools import partial

import numpy as np

from assay.axioms.measurement import (
    Explain,
    Measurement,
    compare_explanations,
    finite_values,
    format_numbers,
    relative_size,
    standard_error,
    worst_measurement,
)
from assay.axioms.networks import Act, linear_layer, make_function, mixed_sign_function, second_function
from assay.axioms.subjects import (
    KINDS,
    POSITION_WEIGHTS,
    START,
    InputKind,
    Subject,
    X,
    build_network,
    even_attention_subject,
    function_subject,
    make_subject,
    row_shape,
)
from assay.basics.types import Floats

A, B = 2.0, -3.0
ACTIVATIONS: tuple[Act, ...] = ("tanh", "relu")


def linearity(explain: Explain) -> Measurement:
    """φ(a f + b g) = a φ(f) + b φ(g), here 2 f − 3 g. (Additivity of Shapley 1953; Sundararajan et al. 2017.)

    Size: max |φ(a f + b g) − a φ(f) − b φ(g)| / max |a φ(f) + b φ(g)|. The sum is one network with the hidden units of
    both, so that methods that read layers find them. All three explanations use the same random numbers.
    """

    def linearity_gap(kind: InputKind, act: Act) -> Measurement:
        f, g = mixed_sign_function(act), second_function(act)
        start = START if kind == "numbers" else 0.0
        name = f"2 f − 3 g, {act}"
        functions = (f.weighted_sum(g, A, B), f, g)
        subjects = [function_subject(kind, h, X, start, name, POSITION_WEIGHTS) for h in functions]
        of_sum, of_f, of_g = (finite_values(explain(one)) for one in subjects)
        expected = A * of_f + B * of_g
        counterexample = f"{subjects[0].name}: values {format_numbers(of_sum)}, expected {format_numbers(expected)}"
        return Measurement(relative_size(of_sum - expected, of_sum, expected), 0.0, counterexample)

    return worst_measurement([partial(linearity_gap, k, a) for k in KINDS for a in ACTIVATIONS])


def linear_agreement(explain: Explain) -> Measurement:
    """On a linear f = w · x + b the values are w_i (x_i − s_i), or the gradient w_i itself. (Leino et al. 2018.)

    Size: the smallest of max |φ − r| / max |r| for r = w (x − s), r = w x (methods without a baseline) and r = w, so
    that contributions and gradients are both accepted; a method that drops the sign agrees with none of these.
    """
    f = make_function([[1.0, -0.5, 0.25, 0.75], [-2.0, 1.0, 0.5, -0.25]], [0.5, -0.5], [1.5, 0.5], 0.25, "none")

    def distance(subject: Subject, w: Floats) -> Measurement:
        e = explain(subject)
        phi, start = finite_values(e)[0], subject.start.ravel()
        references = {"w (x − s)": w * (X - start), "w x": w * X, "w": w}
        closest = min(references, key=lambda form: relative_size(phi - references[form], references[form]))
        expected = references[closest]
        tolerance = 4.0 * relative_size(standard_error(e), expected)
        counterexample = f"{subject.name}: values {format_numbers(phi)}, {closest} = {format_numbers(expected)}"
        return Measurement(relative_size(phi - expected, expected), tolerance, counterexample)

    slope = float(f.v @ f.w[:, 0])
    gradient = f.v @ f.w
    one_layer = make_subject(linear_layer(gradient[None], [f.b]), X, START, "one linear layer")
    identity = make_function([[1.0]], [0.0], [1.0], 0.25, "none")
    # attention with equal weights is linear: each token plus the mean, times its position weight
    attention = even_attention_subject(identity, X, "linear layers", POSITION_WEIGHTS)
    tests = [
        (function_subject("numbers", f, X, START, "two linear layers"), gradient),
        (one_layer, gradient),
        (function_subject("pooled", f, X, 0.0, "linear layers"), np.full(4, slope / 4)),
        (function_subject("flat", f, X, 0.0, "linear layers", POSITION_WEIGHTS), slope * POSITION_WEIGHTS),
        (attention, POSITION_WEIGHTS + POSITION_WEIGHTS.sum() / 4),
    ]
    return worst_measurement([partial(distance, subject, w) for subject, w in tests])


DISTANCE = 100.0
FAR_UNIT = make_function([[1.0, 1.0, 1.0, 1.0]], [-DISTANCE], [1.0])
"""max(0, Σ x − 100): 0 everywhere near the input."""


def distributional_marginality(explain: Explain) -> Measurement:
    """If the gradients of f and g agree on the whole distribution of interest, so do the values. (Leino et al. 2018.)

    Here g = f + max(0, Σ x − 100), which equals f on the box around input and baseline that contains every path,
    removal, blur and noise of a method. Size: max |φ(f) − φ(g)| / max |φ|.
    """

    def subject_pair(kind: InputKind, act: Act) -> tuple[Subject, Subject]:
        f = mixed_sign_function(act)
        start, name = (START if kind == "numbers" else 0.0), f"{act}, with and without max(0, Σ x − 100)"
        plain = function_subject(kind, f, X, start, name, POSITION_WEIGHTS)
        if act == "relu":
            return plain, function_subject(kind, f.weighted_sum(FAR_UNIT), X, start, name, POSITION_WEIGHTS)
        from assay.axioms.torch_modules import AddedUnit

        net = AddedUnit(build_network(kind, f, 4, POSITION_WEIGHTS), linear_layer(np.ones((1, 4)), [-DISTANCE]))
        return plain, make_subject(net, X, start, plain.name, shape=row_shape(kind))

    def difference(kind: InputKind, act: Act) -> Measurement:
        plain, extended = subject_pair(kind, act)
        return compare_explanations(explain(plain), explain(extended), plain.name)

    return worst_measurement([partial(difference, k, a) for k in KINDS for a in ACTIVATIONS])
