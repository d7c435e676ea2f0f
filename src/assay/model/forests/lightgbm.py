# SPDX-License-Identifier: Apache-2.0
"""LightGBM's trees, parsed from ``Booster.dump_model()``."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.model.forests.trees import ParsedTrees, Tree, numbers, place_in_output, unreadable_trees
from assay.nouns.inputs.output_kind import Gives, OutputKind

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

    The sum is the raw score. For a regressor that averages its rounds (``boosting="rf"``) the leaf values are divided
    by the number of rounds; a classifier's raw score is their sum, as LightGBM returns it, n times the log odds. In a
    column whose zeros count as missing, zeros become NaN.
    """
    booster = getattr(estimator, "booster_", estimator)
    dump, thresholds = booster.dump_model(), _thresholds(booster.model_to_string())
    outputs, dumped = dump["num_tree_per_iteration"], dump["tree_info"]
    rounds = len(dumped) / outputs if dump["average_output"] and dumped else 1.0
    gives = _gives(estimator, dump, rounds)
    share = 1.0 if _is_classifier(estimator, dump) else 1 / rounds
    found: list[tuple[int, str]] = []
    trees = [
        _tree(one["tree_structure"], own, i % outputs, outputs, share, found)
        for i, (one, own) in enumerate(zip(dumped, thresholds, strict=True))
    ]
    kinds = {kind: sorted({at for at, other in found if other == kind}) for kind in ("Zero", "NaN", "==")}
    if set(kinds["Zero"]) & set(kinds["NaN"]):
        raise unreadable_trees(
            "some trees of this LightGBM model treat zero as missing and others do not",
            "Train all rounds with one setting",
        )

    def read(given: Any) -> Floats:
        matrix = _numbers(given, booster.pandas_categorical)
        matrix[:, kinds["=="]] = np.trunc(matrix[:, kinds["=="]])
        matrix[np.abs(matrix) <= ZERO_THRESHOLD] = 0.0
        matrix[:, kinds["Zero"]] = np.where(matrix[:, kinds["Zero"]] == 0.0, np.nan, matrix[:, kinds["Zero"]])
        return matrix

    return ParsedTrees(trees, np.zeros(outputs), gives, read, np.arange(dump["max_feature_idx"] + 1))


def _thresholds(text: str) -> list[Floats]:
    """The thresholds of each tree (split,) from a booster's text; its JSON cuts infinite ones to 1e300."""
    lines = [line for line in text.splitlines() if line.startswith("threshold=")]
    return [np.array(line.removeprefix("threshold=").split(), dtype=np.float64) for line in lines]


def _objective(dump: Any) -> list[str]:
    return str(dump.get("objective") or "none").split()


def _is_classifier(estimator: Any, dump: Any) -> bool:
    return getattr(estimator, "classes_", None) is not None or _objective(dump)[0].startswith(("binary", "multiclass"))


def _gives(estimator: Any, dump: Any, rounds: float) -> Gives:
    """Kind of output of the raw score: values for a regression objective without a link, else a margin.

    Its scale is the factor of a classifier's raw score inside the sigmoid or softmax.
    """
    objective = _objective(dump)
    plain = objective[0] in IDENTITY_LINK and "sqrt" not in objective[1:]
    if plain and getattr(estimator, "classes_", None) is None:
        return "values"
    if not _is_classifier(estimator, dump):
        return "margin"
    factors = [float(one.removeprefix("sigmoid:")) for one in objective if one.startswith("sigmoid:")]
    return OutputKind(
        "margin",
        link="sigmoid" if objective[0] == "multiclassova" else "softmax",
        scale=(factors or [1.0])[0] / rounds,
    )


def _numbers(given: Any, levels: Any) -> Floats:
    """The columns as LightGBM reads them: categories as their training codes, unknown ones as NaN.

    ``levels`` are the categories of each categorical column of training, in the order of their codes.
    """
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame):
        return numbers(given)
    coded = [name for name, kind in frame.schema.items() if kind in (nw.Categorical, nw.Enum)]
    if not coded:
        return numbers(given)
    if len(levels or ()) != len(coded):
        raise InputError(
            f"columns {coded[:5]} hold categories; this LightGBM model was trained on {len(levels or ())} such columns."
        )
    codes = {name: {level: float(code) for code, level in enumerate(known)} for name, known in zip(coded, levels)}
    return np.column_stack([
        np.array([codes[name].get(value, np.nan) for value in frame[name].to_list()])
        if name in codes
        else numbers(frame.select(name).to_native())[:, 0]
        for name in frame.columns
    ])  # fmt: skip


def _tree(root: Any, thresholds: Floats, place: int, outputs: int, share: float, found: list[tuple[int, str]]) -> Tree:
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
    split = np.array([node.get("split_index", -1) for node in nodes])
    threshold = np.where(column >= 0, np.append(thresholds, 0.0)[split], 0.0)
    threshold[list(coded)] = 0.0
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
