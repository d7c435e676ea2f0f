# SPDX-License-Identifier: Apache-2.0
"""Axioms of invariance: to the network that computes a function, to shifted inputs, to the other rows of a batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from assay.axioms.functions import ACTIVATIONS
from assay.axioms.measurement import (
    Explain,
    Measurement,
    compare_explanations,
    finite_values,
    for_each_subject,
    format_numbers,
    relative_size,
    worst_measurement,
)
from assay.axioms.networks import MIXED, Act, activation_layers, linear_layer, mixed_sign_function
from assay.axioms.subjects import (
    KINDS,
    POSITION_WEIGHTS,
    START,
    InputKind,
    Subject,
    X,
    build_network,
    function_subject,
    make_subject,
    row_shape,
)
from assay.basics.optional import need
from assay.basics.types import Floats


def implementation_invariance(explain: Explain) -> Measurement:
    """Two functionally equivalent networks get the same values. (Sundararajan et al. 2017.)

    Size: max |φ − φ'| / max |φ| of the worst pair. The pairs: ReLU as a module, a function, in place, a clamp,
    −min(−x, 0), (x + |x|) / 2; one module used twice; one linear layer as two; units duplicated, rescaled, negated or
    cancelling; a skip connection as concatenation; attention with doubled queries and halved keys, with a head
    duplicated, with other weights in a head of output weight 0. A pair is left out if the method refuses either
    network.
    """
    from assay.axioms.equivalent_networks import equivalent_pairs

    def difference(name: str, one: Subject, two: Subject) -> Measurement:
        return compare_explanations(explain(one), explain(two), name)

    return worst_measurement([partial(difference, *pair) for pair in equivalent_pairs()])


PATTERN = np.array([0.5, -1.0, 0.0, 2.0])
"""The structured shift of each feature."""


def constant_shift_invariance(explain: Explain) -> Measurement:
    """A constant added to inputs and baseline, and subtracted by the first bias, leaves the values unchanged.

    f'(x + m) = f(x) for all x, with m the same for all features. (Kindermans et al. 2019.)
    Size: max |φ − φ'| / max |φ|.
    """
    return worst_measurement(
        [partial(_shift_difference, explain, k, a, np.full(4, 2.0)) for k in KINDS for a in ACTIVATIONS]
    )


def structured_shift_invariance(explain: Explain) -> Measurement:
    """A pattern added to inputs and baseline, and subtracted by the network, leaves the values unchanged.

    f'(x + m) = f(x) for all x, with a different m for each feature, subtracted by the first bias or by a first layer.
    (Kindermans et al. 2019.) Size: max |φ − φ'| / max |φ|. Methods that blur or mask the input itself get another
    image.
    """
    return worst_measurement([partial(_shift_difference, explain, k, a, PATTERN) for k in KINDS for a in ACTIVATIONS])


def _shift_difference(explain: Explain, kind: InputKind, act: Act, shift: Floats) -> Measurement:
    f = mixed_sign_function(act)
    start = START if kind == "numbers" else np.zeros(4)
    name = f"x + {format_numbers(shift)}, {act}"
    plain = function_subject(kind, f, X, start, name, POSITION_WEIGHTS)
    constant = bool(np.ptp(shift) == 0)
    if kind == "numbers" or (constant and kind != "tokens"):
        weight = (
            f.w if kind == "numbers" else f.w[:, :1] * np.eye(1, 4)
        )  # a 1 × 1 convolution reads one pixel at a time
        shifted_function = replace(f, c=f.c - weight @ shift)
        shifted = function_subject(kind, shifted_function, X + shift, start + shift, name, POSITION_WEIGHTS)
    else:
        from assay.axioms.torch_modules import InputShift

        net = build_network(kind, f, 4, POSITION_WEIGHTS, [InputShift(shift.reshape(row_shape(kind)))])
        shifted = make_subject(net, X + shift, start + shift, plain.name, shape=row_shape(kind))
    return compare_explanations(explain(plain), explain(shifted), plain.name)


def batch_independence(explain: Explain) -> Measurement:
    """The values of a row depend neither on the other rows of the batch nor on their order or number.

    Size: max |φ in the batch − φ alone| / max |φ|. Tested also with a softmax head, where sums over the wrong axis
    show, and with as many rows as a layer has units, where the two axes can be confused.
    """
    rows = np.stack([X, X[::-1] - 1.0, np.array([0.5, -1.0, 2.0, 0.25])])
    subjects = [
        function_subject(k, mixed_sign_function(a), rows, 0.0, f"3 rows, 3 hidden units, {a}", POSITION_WEIGHTS)
        for k in KINDS
        for a in ACTIVATIONS
    ]
    subjects += [softmax_subject(rows, act) for act in ACTIVATIONS]

    def batch_difference(subject: Subject) -> Measurement:
        batch = finite_values(explain(subject))
        by_order = {}
        for order in ((0,), (1,), (2,), (2, 0, 1)):
            part = Subject(subject.case.take(list(order)), subject.start, subject.name)
            by_order[order] = finite_values(explain(part))
        sizes = {order: relative_size(phi - batch[list(order)], batch) for order, phi in by_order.items()}
        worst = max(sizes, key=lambda order: sizes[order])
        counterexample = (
            f"{subject.name}: row {worst[0]} has values {format_numbers(batch[worst[0]])} in a batch of 3 and "
            f"{format_numbers(by_order[worst][0])} {'alone' if len(worst) == 1 else 'in another order'}"
        )
        return Measurement(sizes[worst], 0.0, counterexample)

    return worst_measurement(list(for_each_subject(subjects, batch_difference)))


def softmax_subject(rows: Floats, act: Act) -> Subject:
    """A network with a softmax head: as many classes and hidden units as rows."""
    pt = need("torch", extra="torch")
    f = mixed_sign_function(act)
    head = linear_layer(np.array(MIXED)[:, :3], [0.25, 0.0, -0.25])
    net = pt.nn.Sequential(linear_layer(f.w, f.c), *activation_layers(act), head, pt.nn.Softmax(dim=1))
    return make_subject(net, rows, 0.0, f"3 rows, 3 classes, softmax over {act}", gives="probabilities")
