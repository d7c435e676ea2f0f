# SPDX-License-Identifier: Apache-2.0
"""What a method may need of a case: a gradient, a classifier, images, trees; each with the words of its refusal."""

from __future__ import annotations

from collections.abc import Callable

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.model.attention import may_have_attention
from assay.model.layer_trace import may_end_in_pooling
from assay.nouns.catalogue import Method

NEEDS: dict[str, tuple[Callable[[Case], bool], str]] = {
    "gradient": (
        lambda case: case.model.has_gradient,
        "needs gradients; {name} gives none. Use shapley or occlusion, or a differentiable surrogate.",
    ),
    "net": (lambda case: case.model.net is not None, "needs a torch net's weights; {name} has none to show."),
    "classes": (
        lambda case: case.model.gives not in ("values", "units"),
        "needs a classifier; {name} gives {gives}.",
    ),
    "loss": (
        lambda case: case.target.name == "loss",
        "needs target 'loss'; the case has {case.target.name!r}. Give case.with_target('loss', labels), one a row.",
    ),
    "image": (
        lambda case: len(case.rows.shape) == 3,
        "needs images (channel, height, width); the rows of {name} have shape {shape}.",
    ),
    "numbers": (
        lambda case: case.rows.table is None or not case.rows.table.coded.any(),
        "needs numeric inputs; the table explained has columns of text or categories.",
    ),
    "table": (
        lambda case: len(case.rows.shape) == 1,
        "needs a table; the rows of {name} have shape {shape}.",
    ),
    "trees": (
        lambda case: case.model.forest is not None,
        "needs a model of trees; {name} shows none. Use shapley with Marginal(background).",
    ),
    "attention": (
        lambda case: may_have_attention(case.model),
        "needs a net with attention between tokens; {name} shows none. Use integrated_gradients or shapley.",
    ),
    "pooled": (
        lambda case: may_end_in_pooling(case.model.net),
        "needs a net that ends in global average pooling and one linear layer; {name} does not. Use grad_cam.",
    ),
}
"""What a case may offer, by the name that ``needs`` uses: a test, and the message where the test fails."""


def require_capabilities(method: Method, case: Case) -> None:
    """Raise ``CapabilityError`` if the case lacks what the method needs."""
    for need in sorted(method.needs & set(NEEDS)):
        has, message = NEEDS[need]
        if not has(case):
            text = message.format(name=case.model.name, gives=case.model.gives, shape=case.rows.shape, case=case)
            raise CapabilityError(f"{method.verb}.{method.name} {text}")
