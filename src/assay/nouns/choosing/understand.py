# SPDX-License-Identifier: Apache-2.0
"""Methods that say why a model answers as it does."""

from __future__ import annotations

from assay.nouns.choosing.choice import BACKGROUND, EVERY_DATA, NET, NUMBERS, TABLE, WORDS, Choice

UNDERSTAND: tuple[Choice, ...] = (
    Choice(
        "explain.tree_shapley",
        ("understand",),
        "exact for trees, without model evaluations, with the columns' interactions shared out fairly",
        TABLE,
        ("trees",),
        flags=BACKGROUND,
    ),
    Choice(
        "explain.integrated_gradients",
        ("understand",),
        "complete to rounding with few passes; the residual says when it is not",
        EVERY_DATA,
        NET,
    ),
    Choice(
        "explain.grad_cam",
        ("understand",),
        "a map of the place in a picture that the last convolution responds to, for one backward pass",
        ("image",),
        NET,
    ),
    Choice(
        "explain.attn_lrp",
        ("understand",),
        "relevance through attention and feed-forward layers for one backward pass, conserved up to what is absorbed",
        WORDS,
        NET,
    ),
    Choice(
        "explain.raw_attention",
        ("understand",),
        "the attention weights themselves: what the net reads from, which need not be what it uses",
        ("language-model",),
        NET,
        is_intrinsic=True,
    ),
    Choice(
        "explain.attention_rollout",
        ("understand",),
        "attention weights followed through all layers to the read position",
        ("language-model",),
        NET,
        is_intrinsic=True,
    ),
    Choice(
        "explain.shapley",
        ("understand",),
        "the difference from the background, shared out; exact for up to eleven features, else with standard errors",
        TABLE,
        flags=BACKGROUND,
    ),
    Choice(
        "explain.shapley",
        ("understand",),
        "works for every model, with standard errors; words are deleted, patches of a picture blurred",
        WORDS,
    ),
    Choice(
        "explain.rise",
        ("understand",),
        "random masks show where a picture matters, for any model of pictures",
        ("image",),
    ),
    Choice(
        "explain.occlusion",
        ("understand",),
        "the loss when one feature alone is removed: cheap, and simple to say",
        EVERY_DATA,
    ),
    Choice(
        "explain.surrogate_tree",
        ("understand",),
        "a tree that predicts the model; at a held-out R² above 0.95, use the tree instead of the model",
        TABLE,
        scope="global",
        is_intrinsic=True,
        flags=BACKGROUND,
    ),
    Choice(
        "explain.surrogate_rules",
        ("understand",),
        "a short list of rules with its fidelity; where it is faithful, the rules can replace the model",
        TABLE,
        scope="global",
        is_intrinsic=True,
        flags=BACKGROUND,
    ),
    Choice(
        "explain.tree_interactions",
        ("understand",),
        "which pairs of columns act together, exact for trees",
        TABLE,
        ("trees",),
        scope="global",
    ),
    Choice(
        "explain.ale",
        ("understand",),
        "the effect of each column along its values, fair to correlated columns",
        TABLE,
        scope="global",
        flags=BACKGROUND,
    ),
    Choice(
        "explain.partial_dependence",
        ("understand",),
        "the mean output as one column changes: the picture that most readers know",
        TABLE,
        scope="global",
        flags=BACKGROUND,
    ),
    Choice(
        "explain.influential_units",
        ("understand",),
        "which units of a layer carry the answer, and what they respond to",
        NUMBERS,
        NET,
        scope="global",
    ),
)
