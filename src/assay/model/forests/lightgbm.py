# SPDX-License-Identifier: Apache-2.0
"""LightGBM's trees, from ``Booster.dump_model()``."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.types import Floats, Masks
from assay.model.forests.trees import Grown, Tree, at_places, numbers, unreadable
from assay.nouns.inputs.target import Gives

TINY = float(np.float32(1e-35))
"""LightGBM's ``predict`` takes numbers up to this size for zero."""

AS_THEY_ARE = {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "none"}
"""Objectives whose raw score is the prediction itself."""


def grown(estimator: Any) -> Grown:
    """Trees compare in float64; cover counts training rows (in a bag: drawn rows), whatever their weight.

    The sum is the raw score. A booster that averages its rounds (``boosting="rf"``) has its leaves divided by their
    number. Of a column whose zeros count as missing, zeros are read as NaN.
    """
    booster = getattr(estimator, "booster_", estimator)
    held = booster.dump_model()
    outputs, dumped = held["num_tree_per_iteration"], held["tree_info"]
    share = outputs / len(dumped) if held["average_output"] and dumped else 1.0
    found: list[tuple[int, str]] = []
    trees = [_tree(one["tree_structure"], i % outputs, outputs, share, found) for i, one in enumerate(dumped)]
    kinds = {kind: sorted({at for at, other in found if other == kind}) for kind in ("Zero", "NaN", "==")}
    if set(kinds["Zero"]) & set(kinds["NaN"]):
        raise unreadable(
            "some trees of this LightGBM model take zero for missing, others do not", "Train it with one setting"
        )

    def read(given: Any) -> Floats:
        matrix = _numbers(given)
        matrix[:, kinds["=="]] = np.trunc(matrix[:, kinds["=="]])
        matrix[np.abs(matrix) <= TINY] = 0.0
        matrix[:, kinds["Zero"]] = np.where(matrix[:, kinds["Zero"]] == 0.0, np.nan, matrix[:, kinds["Zero"]])
        return matrix

    return Grown(trees, np.zeros(outputs), _gives(estimator, held), read, np.arange(held["max_feature_idx"] + 1))


def _gives(estimator: Any, held: Any) -> Gives:
    """What the raw score is: values only of an objective without a link, and of no classifier."""
    objective = str(held.get("objective") or "none").split()
    plain = objective[0] in AS_THEY_ARE and "sqrt" not in objective[1:]
    return "values" if plain and getattr(estimator, "classes_", None) is None else "margin"


def _numbers(given: Any) -> Floats:
    """The columns as LightGBM sees them: categories by their place in the list of training, unknown ones as NaN."""
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
    """One tree, its nested nodes written in a row; ``found`` learns how each column is compared."""
    nodes, left, right = [root], [], []
    for node in nodes:  # the list grows while it is walked
        inner = "split_index" in node
        left.append(len(nodes) if inner else -1)
        right.append(len(nodes) + 1 if inner else -1)
        nodes += [node["left_child"], node["right_child"]] if inner else []
    if any("leaf_const" in node for node in nodes):
        raise unreadable("this LightGBM model has linear functions in its leaves", "Train with linear_tree=False")
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
        value=at_places(np.array([node.get("leaf_value", 0.0) * share for node in nodes]), place, outputs),
        sets=coded,
    )


def _missing_left(node: Any) -> bool:
    """Where NaN goes: by default where the column had gaps in training, else as zero does."""
    if node.get("missing_type", "None") == "None":
        return float(node.get("threshold", -1.0)) >= 0.0
    return bool(node["default_left"])


def _codes(node: Any) -> Masks:
    """The categories that go left, ``"1||3"``; all others, unknown and missing ones go right."""
    codes = [int(code) for code in node["threshold"].split("||")]
    out = np.zeros(max(codes) + 1, dtype=bool)
    out[codes] = True
    return out
