# SPDX-License-Identifier: Apache-2.0
"""Properties of the explanation framework of Leino et al.: as published for eight methods, and as found here.

A property of the framework (quantity, distribution, internal) is read from the declaration of a method; an axiom
(marginality, sensitivity) from the measured table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from assay.axioms.table import load_table
from assay.nouns.catalogue import Method, find, known

Column = Literal["quantity", "distribution", "internal", "marginality", "sensitivity"]
COLUMNS: tuple[Column, ...] = ("quantity", "distribution", "internal", "marginality", "sensitivity")
AXIOM_OF: dict[Column, str] = {"marginality": "distributional_marginality", "sensitivity": "sensitivity"}
"""The measured axiom of a column."""

Published = Literal["✓", "✓-", "✓*", "✓†", "–"]
PUBLISHED_SYMBOLS: dict[Published, str] = {
    "✓": "supported",
    "✓-": "supported with limited flexibility",
    "✓*": "supported under some parameters",
    "✓†": "internal influence is an intermediate step",
    "–": "not supported, or violated",
}
Found = Literal["✓", "✓-", "–", "✗", "?", "n/a"]
FOUND_SYMBOLS: dict[Found, str] = {
    "✓": "takes any, or the axiom is kept",
    "✓-": "takes some: one baseline or kind of noise instead of any distribution, or a case that starts at the layer",
    "–": "takes none",
    "✗": "the axiom is violated",
    "?": "the axiom is undecided",
    "n/a": "not measured: the method refuses every subject",
}

COLUMN_MEANINGS: dict[Column, str] = {
    "quantity": "which output, or function of outputs, is explained",
    "distribution": "over which inputs the influence is averaged",
    "internal": "whether units of an internal layer can be explained",
    "marginality": "values depend on the gradients over the distribution alone",
    "sensitivity": "a feature that alone changes the output gets a value other than 0",
}

BASELINES = ("start", "background", "comparison", "remove", "noise", "sigma")
"""Options that choose one baseline, a background or a width of noise, but no distribution."""


def quantity_of(method: Method) -> Found:
    """✓ any target; ✓- a loss, or a target that the trees add up; – none: the values ignore the target of the case."""
    if (
        "reference" in method.claims
        or {"members", "units", "target_label", "decoder", "masks"} & set(method.options)
        or "boundary" in method.needs
        or ("attention" in method.needs and "gradient" not in method.needs)
    ):
        return "–"
    return "✓-" if {"loss", "trees"} & method.needs else "✓"


def distribution_of(method: Method) -> Found:
    """✓ an option ``over`` takes any distribution; ✓- an option of ``BASELINES``; – no choice."""
    if "over" in method.options:
        return "✓"
    return "✓-" if set(BASELINES) & set(method.options) else "–"


def internal_of(method: Method) -> Found:
    """✓ an option ``layer`` gives values of its units; ✓- by ``case.from_layer``, or of maps at a layer; – neither.

    Surrogates, curves over pairs, generators of masks and concepts read rows from outside the case, which a case that
    is cut does not take. Some read a layer and explain something else: pictures of units, noise at a layer, prototypes.
    """
    layer = method.options.get("layer")
    reads_another = {"channel_axis", "units", "beta", "per_class", "concepts", "masks"} & set(method.options)
    if layer is not None and not reads_another and "attention" not in method.needs:
        return "✓"
    outside = {"members", "pairs", "epochs", "concepts", "masks", "denoiser"} & set(method.options)
    refused = {"trees", "attention", "columns", "train"} & method.needs or outside
    if refused or "reference" in method.claims:
        return "–"
    return "✓-"


@dataclass(frozen=True)
class FrameworkLine:
    """One explanation method of the package: a mark of ``FOUND_SYMBOLS`` for each column."""

    method: str
    quantity: Found
    distribution: Found
    internal: Found
    marginality: Found
    sensitivity: Found


@dataclass(frozen=True)
class PublishedLine:
    """One method of the published table: its name there, our method, and a mark of ``PUBLISHED_SYMBOLS`` a column.

    ``reasons`` says in a sentence why what is found differs from what is published; no column that agrees has one.
    """

    name: str
    method: str
    symbols: tuple[Published, Published, Published, Published, Published]
    reasons: dict[Column, str]

    def symbol(self, column: Column) -> Published:
        """The published symbol of a column."""
        return self.symbols[COLUMNS.index(column)]


ANY_TARGET = (
    "Published for the score of a class; here the target (a logit, a loss, a unit, a comparison of classes) belongs to "
    "the case, so every method takes any."
)
CUT = "The paper explains inputs; here a net can be cut at a layer, and the method applied from there on."

PUBLISHED: tuple[PublishedLine, ...] = (
    PublishedLine(
        "Influence-directed explanations",
        "internal_influence",
        ("✓", "✓", "✓", "✓", "✓*"),
        {
            "sensitivity": "Kept here for the default, the line from the baseline to the input; a single point as the "
            "distribution violates it, which is what the mark * says.",
        },
    ),
    PublishedLine("Conductance", "conductance", ("–", "✓-", "✓", "✓", "✓"), {"quantity": ANY_TARGET}),
    PublishedLine(
        "Integrated gradients",
        "integrated_gradients",
        ("–", "✓-", "–", "✓", "✓"),
        {"quantity": ANY_TARGET, "internal": CUT},
    ),
    PublishedLine(
        "SmoothGrad",
        "smooth_grad",
        ("–", "✓-", "–", "✓", "✓"),
        {
            "quantity": ANY_TARGET,
            "internal": CUT,
            "sensitivity": "Noise around x = 2 never crosses the kink of max(0, 1 − x) at 1, so the averaged gradient "
            "is 0 although the output differs from that of the baseline; noise wide enough to cross it keeps the axiom "
            "on this net.",
        },
    ),
    PublishedLine(
        "Simple Taylor decomposition",
        "input_x_gradient",
        ("–", "✓-", "–", "✓", "–"),
        {
            "quantity": ANY_TARGET,
            "distribution": "The root point of the expansion can be chosen in the paper; gradient × input expands at "
            "the input towards zero and has no option.",
            "internal": CUT,
        },
    ),
    PublishedLine(
        "Deconvolution",
        "deconvolution",
        ("–", "–", "–", "✓†", "–"),
        {
            "quantity": ANY_TARGET,
            "internal": CUT,
            "marginality": "Deconvolution ignores whether a unit is active at the input, so a unit that is silent on "
            "the whole distribution changes the values.",
            "sensitivity": "The same rule passes the weight of the silent unit in max(0, 1 − x), which gives the "
            "feature a value; the test asks no more than a value other than 0.",
        },
    ),
    PublishedLine(
        "Guided backpropagation",
        "guided_backprop",
        ("–", "–", "–", "✓†", "✓"),
        {
            "quantity": ANY_TARGET,
            "internal": CUT,
            "marginality": "Units that are silent at the input get nothing, so those of the test change no value; the "
            "values are still no gradients, which the mark † says.",
            "sensitivity": "The unit of max(0, 1 − x) is silent at x = 2, so nothing passes it, as with the gradient.",
        },
    ),
    PublishedLine(
        "Layer-wise relevance propagation",
        "lrp",
        ("–", "✓-", "✓†", "✓*", "✓*"),
        {
            "quantity": ANY_TARGET,
            "distribution": "The point of comparison follows from the rules (composite) and is no option.",
            "internal": "Relevance of hidden layers is an intermediate step in the paper; here the net can be cut at "
            "the layer, which is limited in another way.",
            "marginality": "Kept here for the default rules; others were not measured, and the mark * says that it "
            "depends on them.",
            "sensitivity": "Violated here for the default rules: relevance of a silent unit is 0, so the feature of "
            "max(0, 1 − x) gets nothing.",
        },
    ),
)
"""The published table: Datta, Fredrikson, Leino, Lu, Sen and Wang, From Explainability to Model Quality and Back Again,
tutorial at AAAI 2021; with our reasons."""

SAME: frozenset[tuple[str, str]] = frozenset({("✓", "✓"), ("✓-", "✓-"), ("–", "–"), ("–", "✗")})
"""Pairs of a published and a found mark that agree; a mark with a condition (* or †) agrees with none that has none."""


def framework_line(name: str) -> FrameworkLine:
    """The properties of one explanation method; ``InputError`` for an unknown name."""
    import assay.explain  # noqa: F401  # fills the catalogue

    method, table = find("explain", name), load_table()
    verdicts = {column: table.cell(name, axiom).verdict for column, axiom in AXIOM_OF.items()}
    marks: dict[str, Found] = {"kept": "✓", "violated": "✗", "undecided": "?", "not applicable": "n/a"}
    return FrameworkLine(
        name,
        quantity_of(method),
        distribution_of(method),
        internal_of(method),
        marks[verdicts["marginality"]],
        marks[verdicts["sensitivity"]],
    )


def framework_table(methods: Sequence[str] = ()) -> tuple[FrameworkLine, ...]:
    """The properties of all explanation methods that exist, or of those named."""
    import assay.explain  # noqa: F401  # fills the catalogue

    return tuple(framework_line(name) for name in methods or [method.name for method in known("explain")])


def differences(line: PublishedLine) -> tuple[Column, ...]:
    """The columns where what is found differs from what is published."""
    found = asdict(framework_line(line.method))
    return tuple(column for column in COLUMNS if (line.symbol(column), found[column]) not in SAME)


def framework_data(methods: Sequence[str] = ()) -> dict[str, Any]:
    """Both tables as plain data, by method: marks found, marks published, and the reasons for differences."""
    data: dict[str, Any] = {}
    for line in framework_table(methods):
        found = asdict(line)
        data[found.pop("method")] = {"found": found}
    for published in PUBLISHED:
        if published.method in data:
            data[published.method] |= {
                "published as": published.name,
                "published": dict(zip(COLUMNS, published.symbols)),
                "reasons": dict(published.reasons),
            }
    return data
