# SPDX-License-Identifier: Apache-2.0
"""Axioms about two questions that are one: another way of writing the net, shifted inputs, other rows in the batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from assay.axioms.attribution import PLACES
from assay.axioms.measurement import Explain, Measured, compared, over, relative, told, values, worst
from assay.axioms.subjects import (
    KINDS,
    MIXED,
    START,
    Act,
    Kind,
    Subject,
    X,
    activation,
    built,
    laid_out,
    linear,
    mixed,
    of,
    subject,
)
from assay.basics.optional import need
from assay.basics.types import Floats


def implementation_invariance(explain: Explain) -> Measured:
    """Two nets that compute one function get the same values. (Sundararajan and others 2017.)

    Size: max |φ − φ'| / max |φ| of the worst pair: ReLU as a module, a function, in place, a clamp, −min(−x, 0),
    (x + |x|) / 2; one module used twice; one linear layer as two; units twice, rescaled, turned round or cancelling; a
    skip as concatenation; attention with doubled queries and halved keys, a head twice, other weights in a head that is
    not used. A pair of which one way of writing is refused is left out.
    """
    from assay.axioms.rewrites import pairs

    def same(name: str, one: Subject, two: Subject) -> Measured:
        return compared(explain(one), explain(two), name)

    return worst([partial(same, n, a, b) for n, a, b in pairs()])


PATTERN = np.array([0.5, -1.0, 0.0, 2.0])
"""What a structured shift adds to each part."""


def constant_shift_invariance(explain: Explain) -> Measured:
    """Inputs and start moved by one number that the net's first bias takes back: the same values. (Kindermans 2019.)

    f'(x + m) = f(x) for all x, with m the same for all parts. Size: max |φ − φ'| / max |φ|.
    """
    return worst([partial(_shifted, explain, k, a, np.full(4, 2.0)) for k in KINDS for a in ACTS])


def structured_shift_invariance(explain: Explain) -> Measured:
    """Inputs and start moved by a pattern that the net takes back: the same values. (Kindermans 2019.)

    f'(x + m) = f(x) for all x, with m another number for each part, taken back by the first bias or subtracted by a
    first layer. Size: max |φ − φ'| / max |φ|. Methods that blur or mask the input itself see another picture.
    """
    return worst([partial(_shifted, explain, k, a, PATTERN) for k in KINDS for a in ACTS])


ACTS: tuple[Act, ...] = ("tanh", "relu")


def _shifted(explain: Explain, kind: Kind, act: Act, shift: Floats) -> Measured:
    f = mixed(act)
    start = START if kind == "numbers" else np.zeros(4)
    name = f"x + {told(shift)}, {act}"
    plain = of(kind, f, X, start, name, PLACES)
    even = bool(np.ptp(shift) == 0)
    if kind == "numbers" or (even and kind != "tokens"):
        weight = f.w if kind == "numbers" else f.w[:, :1] * np.eye(1, 4)  # a convolution sees one part at a time
        moved = of(kind, replace(f, c=f.c - weight @ shift), X + shift, start + shift, name, PLACES)
    else:
        from assay.axioms.tokens import Moved

        net = built(kind, f, 4, PLACES, [Moved(shift.reshape(laid_out(kind)))])
        moved = subject(net, X + shift, start + shift, plain.name, shape=laid_out(kind))
    return compared(explain(plain), explain(moved), plain.name)


def batch_independence(explain: Explain) -> Measured:
    """The values of a row do not depend on the rows beside it, on their order or on how many there are.

    Size: max |φ together − φ alone| / max |φ|. Asked with a softmax head, where sums over the wrong axis show, and
    with as many rows as a layer has units, where a shape may be mistaken for another.
    """
    rows = np.stack([X, X[::-1] - 1.0, np.array([0.5, -1.0, 2.0, 0.25])])
    subjects = [of(k, mixed(a), rows, 0.0, f"3 rows, 3 hidden units, {a}", PLACES) for k in KINDS for a in ACTS]
    subjects += [softmax(rows, act) for act in ACTS]

    def parted(asked: Subject) -> Measured:
        together = values(explain(asked))
        apart = []
        for which in ([0], [1], [2], [2, 0, 1]):
            some = Subject(asked.case.take(which), asked.start, asked.name)
            apart.append((which, values(explain(some))))
        gaps = {tuple(which): (phi - together[which], together) for which, phi in apart}
        most = max(gaps, key=lambda which: relative(*gaps[which]))
        phi = next(phi for which, phi in apart if tuple(which) == most)
        words = f"{asked.name}: row {most[0]} has {told(together[most[0]])} among three rows, {told(phi[0])} "
        return Measured(relative(*gaps[most]), 0.0, words + ("alone" if len(most) == 1 else "in another order"))

    return worst(list(over(subjects, parted)))


def softmax(rows: Floats, act: Act) -> Subject:
    """Three classes and a softmax for a head, as many classes and hidden units as rows."""
    pt = need("torch", extra="torch")
    f = mixed(act)
    head = linear(np.array(MIXED)[:, :3], [0.25, 0.0, -0.25])
    net = pt.nn.Sequential(linear(f.w, f.c), *activation(act), head, pt.nn.Softmax(dim=1))
    return subject(net, rows, 0.0, f"3 rows, 3 classes, softmax over {act}", gives="probabilities")
