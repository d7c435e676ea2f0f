# SPDX-License-Identifier: Apache-2.0
"""Methods that say whether a model, or an explanation of it, can be relied on."""

from __future__ import annotations

from assay.nouns.choosing.choice import BACKGROUND, EVERY_DATA, NET, NUMBERS, OF, TABLE, Choice

TRUST: tuple[Choice, ...] = (
    Choice(
        "diagnose.performance",
        ("trust",),
        "first ask whether the model is better than always giving the most frequent answer",
        EVERY_DATA,
        scope="global",
        flags="--target COLUMN",
    ),
    Choice(
        "evaluate.deletion",
        ("trust",),
        "does the output fall when the features ranked highest are removed; compare with --of random",
        TABLE,
        flags=OF,
    ),
    Choice(
        "evaluate.deletion",
        ("trust",),
        "does the output fall when the features ranked highest are removed; compare with --of random",
        ("image", "text", "language-model"),
        flags="--of occlusion",
    ),
    Choice(
        "evaluate.parameter_randomisation",
        ("trust",),
        "an explanation that survives the randomisation of the weights does not depend on the model",
        NUMBERS,
        NET,
        flags="--of integrated_gradients",
    ),
    Choice(
        "certify.soft_stability",
        ("trust",),
        "how often the prediction stays when further features are shown: a guarantee, not an attempt",
        TABLE,
        flags=OF,
    ),
    Choice(
        "certify.soft_stability",
        ("trust",),
        "how often the prediction stays when further words or patches are shown: a guarantee, not an attempt",
        ("image", "text", "language-model"),
        flags="--of occlusion",
    ),
    Choice(
        "attack.top_k",
        ("trust",),
        "can a change too small to notice replace the features ranked highest",
        NUMBERS,
        NET,
        flags="--of integrated_gradients --ball linf:0.03",
    ),
    Choice(
        "attack.pgd",
        ("trust",),
        "how small a change turns the prediction",
        NUMBERS,
        NET,
        flags="--ball linf:0.03",
    ),
    Choice(
        "diagnose.membership",
        ("trust",),
        "does the model give away which rows it was trained on",
        EVERY_DATA,
        scope="global",
        flags="--target COLUMN --train FILE",
    ),
    Choice(
        "diagnose.disparity",
        ("trust",),
        "gaps between groups, and the columns that make them",
        TABLE,
        scope="global",
        flags="--target COLUMN --sensitive GROUP",
    ),
    Choice(
        "diagnose.background",
        ("trust",),
        "is the background by which columns were explained drawn like fresh rows, or was it moved on purpose",
        TABLE,
        scope="global",
        flags=BACKGROUND,
    ),
    Choice(
        "diagnose.robustness",
        ("trust",),
        "how many correct predictions withstand an attack, and how many are proved to withstand all",
        NUMBERS,
        scope="global",
        flags="--target COLUMN --ball linf:0.03",
    ),
    Choice(
        "diagnose.swapped_words",
        ("trust",),
        "does the output move when a text names another group and nothing else changes",
        ("text",),
        scope="global",
    ),
)
