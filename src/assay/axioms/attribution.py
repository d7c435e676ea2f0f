# SPDX-License-Identifier: Apache-2.0
"""Axioms of one explanation: the sum of its values, and the features that must get a value, or none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from array_api_compat import array_namespace

from assay.axioms.measurement import (
    Explain,
    Measurement,
    finite_values,
    first_applicable,
    for_each_subject,
    format_numbers,
    relative_size,
    standard_error,
    worst_measurement,
)
from assay.axioms.networks import MIXED, Function, convolution_layer, linear_layer, make_function, mixed_sign_function
from assay.axioms.subjects import (
    KINDS,
    NETWORK_LABELS,
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
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.nouns.inputs.rows import to_floats

SATURATING = make_function([[-1.0]], [1.0], [1.0])
"""max(0, 1 − x), of one feature."""


def completeness(explain: Explain) -> Measurement:
    """Σ_i φ_i = f(x) − f(s): the values sum to the change in output from the baseline s. (Sundararajan et al. 2017.)

    Size: |Σ φ + base − f(x)| / |f(x) − base|. For a method that reports no base value the sum is compared with
    f(x) − f(0). What constants and biases absorb does not count as attributed. Tested on smooth networks with biases;
    methods that support no smooth activation are tested on ReLU networks without biases, where the line from the
    baseline crosses no kink.
    """

    def completeness_gap(subject: Subject) -> Measurement:
        e = explain(subject)
        at_zero = replace(subject, start=np.zeros_like(subject.start))
        change = e.output - np.where(np.isnan(e.base), output_at_baseline(at_zero), e.base)
        total = finite_values(e).sum(axis=1)
        tolerance = 4.0 * relative_size(standard_error(e).sum(axis=1), change)
        base = "" if np.isfinite(e.base).all() else " (the method reports no base value)"
        return Measurement(
            relative_size(total - change, change),
            tolerance,
            f"{subject.name}: sum of values {format_numbers(total)}, change in output {format_numbers(change)}{base}",
        )

    def smooth(kind: InputKind) -> Subject:
        start = START if kind == "numbers" else 0.0
        return function_subject(kind, mixed_sign_function("tanh"), X, start, "tanh", POSITION_WEIGHTS)

    def rectified(kind: InputKind) -> Subject:
        f = mixed_sign_function("relu", bias=False)
        return function_subject(kind, f, X, 0.0, "ReLU without bias", POSITION_WEIGHTS)

    return worst_measurement(
        [first_applicable(partial(completeness_gap, smooth(k)), partial(completeness_gap, rectified(k))) for k in KINDS]
    )


def output_at_baseline(subject: Subject) -> Floats:
    """The target (row,) at the baseline."""
    x = subject.case.rows.x
    start = array_namespace(x).asarray(np.broadcast_to(subject.start, tuple(x.shape)).copy(), dtype=x.dtype)
    return to_floats(subject.case.value(start))


def sensitivity(explain: Explain) -> Measurement:
    """If input and baseline differ in one feature and in the output, that feature gets a value other than 0.

    Sensitivity (a) of Sundararajan et al. 2017, on their f = max(0, 1 − x) at x = 2 with baseline 0, plus 1 so that no
    target is 0: f falls from 2 to 1 while the gradient at 2 is 0. Size: 1 where the feature's value is below 10⁻⁹ of
    the difference of the outputs, else 0.
    """
    x = [2.0, 0.0, 0.0, 0.0]
    first = make_function([[-1.0, 0.0, 0.0, 0.0]], [1.0], [1.0], 1.0)
    positions = replace(SATURATING, b=1.0)
    subjects = [
        function_subject("numbers", first, x, 0.0, "1 + max(0, 1 − x₀)"),
        *(function_subject(k, positions, x, 0.0, "1 + mean of max(0, 1 − x)") for k in KINDS[1:]),
    ]

    def missed_change(subject: Subject) -> Measurement:
        e = explain(subject)
        change = float(e.output[0] - output_at_baseline(subject)[0])
        value = float(finite_values(e)[0, 0])
        return Measurement(
            float(abs(value) <= 1e-9 * abs(change)),
            0.0,
            f"{subject.name}: x₀ = 2, baseline 0, change in output {format_numbers(change)}, value of x₀ "
            f"{format_numbers(value)}",
        )

    return worst_measurement(list(for_each_subject(subjects, missed_change)))


def dummy(explain: Explain) -> Measurement:
    """A feature that f does not depend on gets 0. (Sensitivity (b) of Sundararajan et al. 2017; Shapley 1953.)

    Size: |φ_dummy| / max |φ|. The feature has no effect because of a weight of 0, a mask, a stride that skips it, or
    two paths that cancel.
    """
    weights = np.array(MIXED)
    weights[:, 3] = 0.0
    zero_weight = replace(mixed_sign_function(), w=weights)
    detour = make_function([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.5, 1.0]], [0.1, 0.1], [1.0, -1.0])
    cancelled = zero_weight.weighted_sum(detour)
    subjects = [
        function_subject("numbers", zero_weight, X, START, "x₃ has weight 0"),
        function_subject("numbers", cancelled, X, START, "x₃ on two paths that cancel"),
        function_subject("flat", mixed_sign_function(), X, 0.0, "x₃ has weight 0", [0.5, -0.25, 1.0, 0.0]),
        strided_subject(),
        masked_subject(),
    ]

    def dummy_value(subject: Subject) -> Measurement:
        e = explain(subject)
        phi = finite_values(e)
        tolerance = 4.0 * relative_size(standard_error(e)[:, -1], phi)
        counterexample = f"{subject.name}: the last feature has no effect, values {format_numbers(phi)}"
        return Measurement(relative_size(phi[:, -1], phi), tolerance, counterexample)

    return worst_measurement(list(for_each_subject(subjects, dummy_value)))


def strided_subject() -> Subject:
    """A convolution of stride 2 on an image of 2 × 4 pixels, averaged: it skips every second column."""
    pt = need("torch", extra="torch")
    f = mixed_sign_function()
    convolution = convolution_layer(f.w[:, :1], f.c, (1, 2))
    output = [pt.nn.AdaptiveAvgPool2d(1), pt.nn.Flatten(), linear_layer(f.v[None], [f.b])]
    net = pt.nn.Sequential(convolution, pt.nn.ReLU(), *output)
    return make_subject(net, np.tile(X, 2), 0.0, "a convolution that skips every second column", shape=(1, 2, 4))


def masked_subject() -> Subject:
    """Self-attention over tokens, of which the last is multiplied by 0 at the input and has output weight 0."""
    from assay.axioms.torch_modules import InputMask

    mask = np.array([1.0, 1.0, 1.0, 0.0])[:, None]
    net = build_network("tokens", mixed_sign_function(), 4, [0.5, 0.25, 0.25, 0.0], [InputMask(mask)])
    return make_subject(net, X, 0.0, f"the last token masked, {NETWORK_LABELS['tokens']}", shape=row_shape("tokens"))


def symmetry(explain: Explain) -> Measurement:
    """Interchangeable features with the same input and the same baseline get the same value. (Shapley 1953.)

    Size: |φ_0 − φ_1| / max |φ|. Images and tokens are averaged over positions, so that all positions are
    interchangeable; two of them have the same input.
    """
    weights = np.array(MIXED)
    weights[:, 1] = weights[:, 0]
    equal, x = replace(mixed_sign_function(), w=weights), np.array([1.5, 1.5, 0.5, 2.0])
    swapped = make_function([[1.0, -0.5, 0.25, 0.5], [-0.5, 1.0, 0.25, 0.5]], [0.1, 0.1], [1.0, 1.0])
    subjects = [
        function_subject("numbers", equal, x, 0.25, "x₀ and x₁ have the same weights"),
        function_subject("numbers", swapped, x, 0.25, "x₀ and x₁ have each other's weights"),
        *(function_subject(k, mixed_sign_function("tanh"), x, 0.0, "all positions equal, tanh") for k in KINDS[1:]),
        *(function_subject(k, mixed_sign_function(), x, 0.0, "all positions equal, ReLU") for k in KINDS[1:]),
    ]

    def asymmetry(subject: Subject) -> Measurement:
        e = explain(subject)
        phi, error = finite_values(e), standard_error(e)
        tolerance = 4.0 * relative_size(np.hypot(error[:, 0], error[:, 1]), phi)
        size = relative_size(phi[:, 0] - phi[:, 1], phi)
        return Measurement(size, tolerance, f"{subject.name}: x = {format_numbers(x)}, values {format_numbers(phi)}")

    return worst_measurement(list(for_each_subject(subjects, asymmetry)))


def non_decreasing_functions() -> list[Function]:
    """Functions that decrease in none of four features: weights ≥ 0; signs that cancel; min(x₀, x₁)."""
    up = np.abs(np.array(MIXED))
    return [
        make_function(up, [-1.0, 0.5, -2.0], [1.0, 0.5, 1.5], 0.5),
        make_function(
            np.concatenate([-up, up]), [2.0, 1.0, 3.0, 0.0, 0.0, 0.0], [-1.0, -0.5, -1.0, 0.5, 0.5, 0.5], 0.5
        ),
        MINIMUM,
    ]


MINIMUM = make_function(
    [[1.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]], [0.0] * 3, [1.0, -1.0, 1.0]
)
"""min(x₀, x₁) + (x₂ + x₃) / 2, for inputs ≥ 0."""
CONCAVE = make_function([[1.0], [1.0]], [0.0, -1.0], [1.0, -0.75])
"""x up to 1, then slope 1/4."""


def monotonicity(explain: Explain) -> Measurement:
    """If f is non-decreasing in every feature and x ≥ s in every feature, no value is negative.

    (Friedman and Moulin 1999.) Size: max(−φ) / max |φ|.
    """
    subjects = [
        function_subject("numbers", f, X, 0.0, f"non-decreasing function {i + 1}")
        for i, f in enumerate(non_decreasing_functions())
    ]
    weights = np.abs(POSITION_WEIGHTS)
    subjects += [function_subject(k, CONCAVE, X, 0.0, "a non-decreasing function", weights) for k in KINDS[1:3]]
    subjects.append(even_attention_subject(CONCAVE, X, "a non-decreasing function"))

    def negative_value(subject: Subject) -> Measurement:
        e = explain(subject)
        phi = finite_values(e)
        negative = np.minimum(phi, 0.0)
        tolerance = 4.0 * relative_size(np.where(phi < 0, standard_error(e), 0.0), phi)
        counterexample = f"{subject.name}: x = {format_numbers(X)}, baseline 0, values {format_numbers(phi)}"
        return Measurement(relative_size(negative, phi), tolerance, counterexample)

    return worst_measurement(list(for_each_subject(subjects, negative_value)))


def demand_monotonicity(explain: Explain) -> Measurement:
    """If f is non-decreasing in every feature, a larger input does not lower the feature's value.

    φ_0(x + d e₀) ≥ φ_0(x) for d > 0. (Sundararajan and Najmi 2020.)
    Size: max(0, φ_0(x) − φ_0(x + d e₀)) / max |φ|.
    """
    x = np.array([1.0, 2.0, 1.5, 0.5])
    larger = x + np.array([2.0, 0.0, 0.0, 0.0])

    def subject_at(kind: InputKind, x: Floats) -> Subject:
        if kind == "tokens":
            return even_attention_subject(CONCAVE, x, "a non-decreasing function")
        f, name = (MINIMUM, "min(x₀, x₁)") if kind == "numbers" else (CONCAVE, "a non-decreasing function")
        return function_subject(kind, f, x, 0.0, name, np.abs(POSITION_WEIGHTS))

    def decrease(kind: InputKind) -> Measurement:
        subject = subject_at(kind, x)
        before, after = explain(subject), explain(subject_at(kind, larger))
        a, b = finite_values(before), finite_values(after)
        tolerance = 4.0 * relative_size(np.hypot(standard_error(before)[:, 0], standard_error(after)[:, 0]), a, b)
        counterexample = (
            f"{subject.name}: x₀ increases from {format_numbers(x[0])} to {format_numbers(larger[0])}, its value "
            f"changes from {format_numbers(a[0, 0])} to {format_numbers(b[0, 0])}"
        )
        return Measurement(relative_size(np.minimum(b - a, 0.0)[:, 0], a, b), tolerance, counterexample)

    return worst_measurement([partial(decrease, k) for k in KINDS])
