# SPDX-License-Identifier: Apache-2.0
"""What a method may need of a case: a gradient, a classifier, images, trees; each with the words of its refusal."""

from __future__ import annotations

from collections.abc import Callable

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.model.additive_scores import is_additive
from assay.model.attention import may_have_attention
from assay.model.layer_trace import may_end_in_pooling
from assay.model.linear_scores import is_linear
from assay.model.transformations.shift_input import has_affine_layer
from assay.nouns.catalogue import Method
from assay.nouns.inputs.target import LOSSES

NEEDS: dict[str, tuple[Callable[[Case], bool], str]] = {
    "gradient": (
        lambda case: case.model.has_gradient and not case.takes_ids,
        "needs gradients; {name} gives none{ids}. Use shapley or occlusion, or {instead}.",
    ),
    "boundary": (
        lambda case: (
            (case.model.rows_exact or case.model.has_gradient) and not case.takes_ids and case.rows.text is None
        ),
        "needs trees that can be read, or gradients with respect to rows of numbers, to find the nearest input of "
        "another class; {name} has neither. Use attack.square.",
    ),
    "net": (lambda case: case.model.net is not None, "needs a torch net's weights; {name} has none to show."),
    "classes": (
        lambda case: case.model.gives not in ("values", "units"),
        "needs a classifier; {name} gives {gives}.",
    ),
    "loss": (
        lambda case: case.target.name in LOSSES,
        "needs target 'loss' or 'brier'; the case has {case.target.name!r}. Give case.with_target('loss', labels), one "
        "a row; on the command line --ask loss --target COLUMN.",
    ),
    "image": (
        lambda case: len(case.rows.shape) == 3,
        "needs images (channel, height, width); the rows of {name} have shape {shape}.",
    ),
    "maps": (
        lambda case: len(case.rows.shape) in (2, 3, 4) and case.rows.text is None and not holds_words(case),
        "needs signals (channel, position), images (channel, height, width) or volumes (channel, depth, height, "
        "width); the rows of {name} have shape {shape}, or are texts.",
    ),
    "numbers": (
        lambda case: (
            (case.rows.table is None or not case.rows.table.coded.any())
            and not holds_words(case)
            and not case.takes_ids
        ),
        "needs numeric inputs; the rows explained have columns of text or categories, are raw texts, or hold ids, "
        "which can be carried along (carried=…) or explained at a layer (case.from_layer).",
    ),
    "shift": (
        lambda case: case.rows.text is None and case.rows.layout is None and has_affine_layer(case.model.net),
        "needs inputs that a linear, convolutional or batch-norm layer reads, so that its bias can subtract a shift; "
        "the rows of {name} are texts or several inputs, or it has no such layer.",
    ),
    "complete": (
        lambda case: not case.rows.gaps or not bool(case.rows.missing_cells.any()),
        "needs rows without missing values; some rows explained have missing cells, around which there are no points.",
    ),
    "table": (
        lambda case: len(case.rows.shape) == 1 and not holds_words(case),
        "needs a table; the rows of {name} have shape {shape}, or are raw texts.",
    ),
    "shared parts": (
        lambda case: (
            not case.features.per_row
            and case.rows.text is None
            and case.rows.sparse is None
            and (case.rows.layout is None or case.rows.layout.single)
        ),
        "needs parts that all rows share, and rows that are a table, a signal or an image; the rows of {name} have "
        "parts of their own, or are texts, several inputs or a sparse matrix.",
    ),
    "records": (
        lambda case: len(case.rows.shape) == 1 or case.rows.text is not None,
        "needs a table or texts; the rows of {name} have shape {shape}.",
    ),
    "likelihood": (
        lambda case: case.model.about.get("gives") == "log-likelihood",
        "needs a language model that scores continuations, and pairs (prefix, secret) as rows; {name} is none. Wrap it "
        "with assay.model.language_model(net, tokenizer).",
    ),
    "texts": (
        lambda case: case.model.encode is not None and case.rows.text is not None and bool(case.rows.text.source),
        "needs texts and a model that reads texts; the rows of {name} are none, or are the states of a layer.",
    ),
    "columns": (
        lambda case: len(case.rows.shape) == 1,
        "needs a table or raw texts; the rows of {name} have shape {shape}.",
    ),
    "trees": (
        lambda case: case.model.forest is not None,
        "needs a model of trees; {name} shows none. Use shapley with Marginal(background).",
    ),
    "additive": (
        lambda case: is_additive(case.model) and case.rows.text is None,
        "needs a model that adds up terms: a linear model, an explainable boosting machine or a risk score; {name} is "
        "not known to be one. Use shapley or ale.",
    ),
    "completions": (
        lambda case: (
            case.rows.text is None
            and (case.model.forest is not None or case.model.net is not None or is_linear(case.model))
        ),
        "needs trees, a linear classifier or a torch net over numbers and levels; {name} is none of them. "
        "assay.smallest_sufficient finds the fewest features that keep the class under one removal.",
    ),
    "parts": (
        lambda case: case.rows.text is None and (case.model.rows_exact or is_linear(case.model)),
        "needs trees that can be read or a linear classifier, whose parts can be taken out; {name} is neither. "
        "diagnose.disparity measures the gap between groups of any classifier, and which columns drive it.",
    ),
    "paths": (
        lambda case: case.model.net is not None and len(case.rows.shape) in (1, 2),
        "needs a torch net over rows (unit,) or (position, width), whose layers have nodes; the rows of {name} have "
        "shape {shape}, or it is no net. Use conductance, which splits influence over the units of one layer.",
    ),
    "attention": (
        lambda case: may_have_attention(case.model),
        "needs one stack of layers with attention between tokens; {name} shows none. Use integrated_gradients or "
        "shapley.",
    ),
    "pooled": (
        lambda case: may_end_in_pooling(case.model.net),
        "needs a net that ends in global average pooling and one linear layer; {name} does not. Use grad_cam.",
    ),
}
"""What a case may offer, by the name that ``needs`` uses: a test, and the message where the test fails."""


INSTEAD_OF_IDS = "explain a layer (case.from_layer), or carry the ids along (carried=…)"
"""What to do where a net's ids have no derivative."""


OTHER_ATTACKS = " attack.column_changes changes columns of any kind, attack.token_substitution changes words."
"""What attacks inputs that are no numbers."""


def holds_words(case: Case) -> bool:
    """Whether the rows say which words of a raw text are present, so that only 0 and 1 are allowed."""
    return case.rows.text is not None and len(case.rows.shape) == 1


def require_capabilities(method: Method, case: Case) -> None:
    """Raise ``CapabilityError`` if the case lacks what the method needs."""
    for need in sorted(method.needs & set(NEEDS)):
        has, message = NEEDS[need]
        if not has(case):
            text = message.format(
                name=case.model.name,
                gives=case.model.gives,
                shape=case.rows.shape,
                case=case,
                ids=" with respect to whole numbers (ids)" if case.takes_ids else "",
                instead=INSTEAD_OF_IDS if case.takes_ids else "a differentiable surrogate",
            )
            instead = OTHER_ATTACKS if method.verb == "attack" and need == "numbers" else ""
            raise CapabilityError(f"{method.verb}.{method.name} {text}{instead}")
