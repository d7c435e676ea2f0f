# SPDX-License-Identifier: Apache-2.0
"""LightGBM's trees, parsed from ``Booster.dump_model()``."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.types import Floats, Masks
from assay.model.forests.trees import ParsedTrees, Tree, numbers, place_in_output, unreadable_trees
from assay.nouns.inputs.target import Gives

ZERO_THRESHOLD = float(np.float32(1e-35))
"""LightGBM's ``predict`` treats numbers of at most this magnitude as zero."""

IDENTITY_LINK = {
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "quantile",
    "mape",
    "lambdarank",
    "rank_xendcg",
    "none",
}
"""Objectives whose raw score is the prediction."""


def parse_trees(estimator: Any) -> ParsedTrees:
    """Trees compare in float64; cover counts training rows (sampled rows, with bagging) without weights.

    The sum is the raw score. For a booster that averages its rounds (``boosting="rf"``) the leaf values are divided by
    the number of rounds. In a column whose zeros count as missing, zeros become NaN.
    """
    booster = getattr(estimator, "booster_", estimator)
    dump = booster.dump_model()
    outputs, dumped = dump["num_tree_per_iteration"], dump["tree_info"]
    share = outputs / len(dumped) if dump["average_output"] and dumped else 1.0
    found: list[tuple[int, str]] = []
    trees = [_tree(one["tree_structure"], i % outputs, outputs, share, found) for i, one in enumerate(dumped)]
    kinds = {kind: sorted({at for at, other in found if other == kind}) for kind in ("Zero", "NaN", "==")}
    if set(kinds["Zero"]) & set(kinds["NaN"]):
        raise unreadable_trees(
            "some trees of this LightGBM model treat zero as missing and others do not",
            "Train all rounds with one setting",
        )

    def read(given: Any) -> Floats:
        matrix = _numbers(given)
        matrix[:, kinds["=="]] = np.trunc(matrix[:, kinds["=="]])
        matrix[np.abs(matrix) <= ZERO_THRESHOLD] = 0.0
        matrix[:, kinds["Zero"]] = np.where(matrix[:, kinds["Zero"]] == 0.0, np.nan, matrix[:, kinds["Zero"]])
        return matrix

    return ParsedTrees(trees, np.zeros(outputs), _gives(estimator, dump), read, np.arange(dump["max_feature_idx"] + 1))


def _gives(estimator: Any, dump: Any) -> Gives:
    """Kind of output of the raw score: values for a regression objective without a link, else a margin."""
    objective = str(dump.get("objective") or "none").split()
    plain = objective[0] in IDENTITY_LINK and "sqrt" not in objective[1:]
    return "values" if plain and getattr(estimator, "classes_", None) is None else "margin"


def _numbers(given: Any) -> Floats:
    """The columns as LightGBM reads them: categories as their training codes, unknown ones as NaN."""
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame):
        return numbers(given)
    coded = [name for name, kind in frame.schema.items() if kind in (nw.Categorical, nw.Enum)]
    if not coded:
        return numbers(given)
    pandas_frame = frame.to_native().copy()
    for name in coded:
        codes = pandas_frame[name].cat.codes.to_numpy().astype(np.float64)
        pandas_frame[name] = np.where(codes < 0, np.nan, codes)
    return numbers(pandas_frame)


def _tree(root: Any, place: int, outputs: int, share: float, found: list[tuple[int, str]]) -> Tree:
    """One tree, its nested nodes written as a list; appends to ``found`` how each column is compared."""
    nodes, left, right = [root], [], []
    for node in nodes:  # the list grows during the loop
        inner = "split_index" in node
        left.append(len(nodes) if inner else -1)
        right.append(len(nodes) + 1 if inner else -1)
        nodes += [node["left_child"], node["right_child"]] if inner else []
    if any("leaf_const" in node for node in nodes):
        raise unreadable_trees("this LightGBM model has linear models in its leaves", "Train with linear_tree=False")
    column = np.array([node.get("split_feature", -1) for node in nodes])
    coded = {i: _codes(node) for i, node in enumerate(nodes) if node.get("decision_type") == "=="}
    threshold = np.array([0.0 if i in coded else float(node.get("threshold", 0)) for i, node in enumerate(nodes)])
    found += [
        (int(column[i]), "==" if i in coded else str(nodes[i]["missing_type"])) for i in np.flatnonzero(column >= 0)
    ]
    return Tree(
        left=np.array(left),
        right=np.array(right),
        column=column,
        threshold=threshold,
        missing_left=np.array([i not in coded and _missing_left(node) for i, node in enumerate(nodes)]),
        cover=np.array([node.get("internal_count", node.get("leaf_count", 0)) for node in nodes], dtype=np.float64),
        value=place_in_output(np.array([node.get("leaf_value", 0.0) * share for node in nodes]), place, outputs),
        sets=coded,
    )


def _missing_left(node: Any) -> bool:
    """Whether NaN goes left: the node's default if the column had missing values in training, else as zero does."""
    if node.get("missing_type", "None") == "None":
        return float(node.get("threshold", -1.0)) >= 0.0
    return bool(node["default_left"])


def _codes(node: Any) -> Masks:
    """Boolean array of the categories that go left, from ``"1||3"``; unknown and missing ones go right."""
    codes = [int(code) for code in node["threshold"].split("||")]
    out = np.zeros(max(codes) + 1, dtype=bool)
    out[codes] = True
    return out
