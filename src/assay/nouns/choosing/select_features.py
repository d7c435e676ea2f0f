# SPDX-License-Identifier: Apache-2.0
"""Methods that say which columns are worth having."""

from __future__ import annotations

from assay.nouns.choosing.choice import BACKGROUND, TABLE, Choice

SELECT_FEATURES: tuple[Choice, ...] = (
    Choice(
        "explain.sage",
        ("select-features",),
        "the share of each column in the reduction of the loss: redundant columns share, harmful ones are negative",
        TABLE,
        scope="global",
        flags="--target COLUMN --ask loss --background FILE",
    ),
    Choice(
        "explain.permutation_importance",
        ("select-features",),
        "the increase of the loss when a column is replaced: cheap; redundant columns hide each other",
        TABLE,
        scope="global",
        flags="--target COLUMN --ask loss --background FILE",
    ),
    Choice(
        "diagnose.shortcut",
        ("select-features",),
        "columns that the model relies on though they do not help on held-out rows",
        TABLE,
        scope="global",
        flags="--target COLUMN --train FILE",
    ),
    Choice(
        "explain.surrogate_tree",
        ("select-features",),
        "columns that a small tree with a high held-out R² leaves out are not needed to predict the model",
        TABLE,
        scope="global",
        is_intrinsic=True,
        flags=BACKGROUND,
    ),
    Choice(
        "evaluate.roar",
        ("select-features",),
        "accuracy after the columns ranked first are removed and the model is trained again, against random columns",
        TABLE,
        scope="global",
        flags="--target COLUMN --background FILE --of shapley --recipe FILE.py:FUNCTION",
    ),
)
