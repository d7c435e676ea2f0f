# SPDX-License-Identifier: Apache-2.0
"""Methods that say what would change an answer."""

from __future__ import annotations

from assay.nouns.choosing.choice import BACKGROUND, NET, OF, TABLE, Choice

ACT: tuple[Choice, ...] = (
    Choice(
        "explain.counterfactual",
        ("act",),
        "the cheapest allowed change to the decision wanted: proved for trees and linear models, else searched",
        TABLE,
        ("trees",),
        flags=BACKGROUND,
    ),
    Choice(
        "explain.evidence_counterfactual",
        ("act",),
        "the few words or segments that have to go for another decision",
        ("image", "text"),
    ),
    Choice(
        "explain.diffusion_counterfactual",
        ("act",),
        "a picture near this one that the model decides otherwise, with other models as judges against mere noise",
        ("image",),
        NET,
        flags="--option denoiser=FILE",
    ),
    Choice(
        "explain.reason_codes",
        ("act",),
        "the reasons of an adverse decision with intervals, against rows that got the outcome",
        TABLE,
        flags=BACKGROUND,
    ),
    Choice(
        "evaluate.decision_flip",
        ("act",),
        "how many features must go until the decision changes",
        TABLE,
        flags=OF,
    ),
    Choice(
        "evaluate.decision_flip",
        ("act",),
        "how many words or patches must go until the decision changes",
        ("image", "text", "language-model"),
        flags="--of occlusion",
    ),
    Choice(
        "explain.ice",
        ("act",),
        "the output of this row as one column changes: which change would have helped",
        TABLE,
        flags=BACKGROUND,
    ),
    Choice(
        "certify.mus",
        ("act",),
        "features that suffice for the prediction, whatever else is added up to a radius",
        TABLE,
        flags=OF,
    ),
    Choice(
        "certify.tree_robustness",
        ("act", "trust"),
        "the smallest change of numbers that changes the decision, proved: what would have to change, and how little",
        TABLE,
        ("trees",),
        flags="--ball linf:1000",
    ),
    Choice(
        "diagnose.disparity",
        ("act",),
        "gaps between groups, and the columns that make them: what to change in a policy, not for a row",
        TABLE,
        scope="global",
        flags="--target COLUMN --sensitive GROUP",
    ),
    Choice(
        "certify.sufficient_features",
        ("act",),
        "features that fix the decision whatever the others are, proved: changing only others changes nothing",
        TABLE,
        ("trees",),
    ),
)
