# SPDX-License-Identifier: Apache-2.0
"""Influence paths."""

from typing import Any

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.influence_paths.described_paths import influence_paths_cost, paths_of_rows
from assay.nouns.results.result import Estimate


@explainer(
    source="lu2020",
    needs={"gradient", "net", "numbers", "paths"},
    cost=influence_paths_cost,
    has_exact_cost=False,
)
def influence_paths(
    case: Case,
    *,
    start: Any = 0.0,
    contrast: tuple[str, ...] = (),
    steps: int = 16,
    sources: int = 1,
    layers: tuple[str, ...] = (),
) -> Estimate:
    """The target's change from a start to the input by all paths through the net, and the paths that carry most of it.

    A path takes one node in each layer; its influence is the product of the Jacobians of its edges, averaged over the
    line from the start to the input by Gauss–Legendre quadrature with ``steps`` nodes. Values are the sum over all
    paths of a part, in units of the target: integrated gradients. The line starts at ``start`` (a number, one row, or
    one row each), or at ``contrast``: one text a row with as many tokens, which differs in one noun, say; the nodes are
    then denser in the middle, where a net decides between two words.

    The ``sources`` parts with the largest |value| are refined: ``extra["sources"]`` (row, source), ``["influence"]``
    (row, source). Rows (position, width), as texts: ``["crossings"]`` (row, source, layer) is the influence of the path
    that stays at the source by copies (skips), crosses in that layer to the position that is read by a transfer
    (attention, recurrence), and stays there; ``["heads"]`` (row, source, layer, head) splits it, NaN where heads are
    not known; ``["copy"]`` (row, source) never crosses; ``["graph"]`` (row, source, layer, 3) is what the edges copy at
    the source, transfer, and copy at the end carry of it all. Rows (unit,): ``["nodes"]`` (row, source, layer) is the
    unit of each layer on the path that greedy refinement finds from the output back, ``["refined"]`` (row, source,
    layer) the influence of all paths through the nodes from that layer on, the first of the path itself. ``["share"]``
    (row, source) is the part of the influence that these paths carry; other paths may cancel, so it can exceed 1.

    ``layers`` are those that every path crosses once, by default all. All nodes of a row are one pass, whatever the
    batch. ``["residual"]`` (row,) is |f(x) − f(start) −
    Σ values| / |f(x) − f(start)|; where it exceeds 10 % paths are not ranked (NaN, with a note): use more nodes. The
    paths of one row are no circuit, and sizes of paths of different models cannot be compared. TransformerLens
    patches and ablates heads, without paths.
    """
    return paths_of_rows(case, start, contrast, steps, sources, layers)
