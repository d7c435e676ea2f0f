# SPDX-License-Identifier: Apache-2.0
"""XGBoost's trees, parsed from the JSON format of a saved booster."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.model.forests.trees import (
    ParsedTrees,
    Tree,
    is_sparse,
    numbers,
    place_in_output,
    round_to_float32,
    unreadable_trees,
)
from assay.nouns.inputs.native_columns import missing_kind
from assay.nouns.inputs.target import Gives


def _same(score: Floats) -> Floats:
    return score


def _log_odds(score: Floats) -> Floats:
    return -np.log(1.0 / score - 1.0)


IDENTITY_LINK = {
    "reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror",
    "reg:expectileerror", "reg:squaredlogerror", "rank:ndcg", "rank:map", "rank:pairwise",
}  # fmt: skip
"""Objectives whose raw score is the prediction."""

SCORES: dict[str, Callable[[Floats], Floats]] = {
    "binary:logistic": _log_odds, "reg:logistic": _log_odds, "binary:logitraw": _same, "binary:hinge": _same,
    "multi:softprob": _same, "multi:softmax": _same, "count:poisson": np.log, "reg:gamma": np.log,
    "reg:tweedie": np.log, "survival:cox": np.log, "survival:aft": np.log,
}  # fmt: skip
"""Functions that turn the ``base_score`` of an objective into a raw score."""


def parse_trees(estimator: Any) -> ParsedTrees:
    """Trees compare in float32, x < t; cover is the sum of the training rows' second derivatives times weight.

    The sum is the raw score, which XGBoost itself sums in float32. After early stopping the ``predict`` of an
    ``XGBClassifier`` or ``XGBRegressor`` omits the rounds after the best one, that of a ``Booster`` uses all, and so
    does the forest. Leaf values of DART trees are multiplied by the tree's weight.
    """
    is_booster = "get_booster" not in dir(estimator)
    booster = estimator if is_booster else estimator.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    model, weights = _model_and_weights(learner["gradient_booster"])
    base = _base(learner)
    types = learner.get("feature_types") or []
    coded = [place for place, kind in enumerate(types) if kind == "c"]
    width = 1 + max((code for tree in model["trees"] for code in tree["categories"]), default=-1)
    best = None if is_booster else learner["attributes"].get("best_iteration")
    used = len(model["trees"]) if best is None else model["iteration_indptr"][int(best) + 1]
    trees = [
        _tree(tree, place, len(base), weight, width)
        for tree, place, weight in list(zip(model["trees"], model["tree_info"], weights))[:used]
    ]
    lists = [_levels(one) for one in (model.get("cats") or {}).get("enc", [])]
    missing = getattr(estimator, "missing", np.nan)

    def read(given: Any) -> Floats:
        matrix = round_to_float32(_numbers(given, lists))
        matrix[matrix == np.float64(np.float32(missing))] = np.nan
        codes = matrix[:, coded]
        other = (codes < 0) | (codes >= width)  # in no split's set: goes left at every split, like code ``width``
        matrix[:, coded] = np.where(np.isnan(codes), np.nan, np.where(other, width, np.trunc(codes)))
        return matrix

    count = int(learner["learner_model_param"]["num_feature"])
    return ParsedTrees(trees, base, _gives(learner, estimator), read, np.arange(count))


def _model_and_weights(booster: Any) -> tuple[Any, list[float]]:
    """The trees of a saved booster and a factor for each, which is not 1 for DART.

    XGBoost up to 3.3 saves a DART booster as "dart" with its trees in "gbtree", later versions as "gbtree" with the
    factors among the trees' fields.
    """
    if booster["name"] == "gblinear":
        raise unreadable_trees("this XGBoost model is linear (booster='gblinear')", "Train with booster='gbtree'")
    inner = booster.get("gbtree", booster)
    model = inner["model"]
    weights = booster.get("weight_drop") or inner.get("weight_drop") or model.get("weight_drop")
    if weights and len(weights) != len(model["trees"]):
        raise unreadable_trees(
            f"this XGBoost model has {len(weights)} weights for {len(model['trees'])} trees", "Save it again"
        )
    return model, [float(np.float32(weight)) for weight in weights or [1.0] * len(model["trees"])]


def _base(learner: Any) -> Floats:
    """The raw score before any tree (out,)."""
    objective = learner["objective"]["name"]
    parameters = learner["learner_model_param"]
    outputs = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    score = np.array(json.loads(f"[{parameters['base_score'].strip('[]')}]"), dtype=np.float32).astype(np.float64)
    if objective not in IDENTITY_LINK and objective not in SCORES:
        raise unreadable_trees(
            f"assay cannot read the base score of the XGBoost objective {objective!r}", "Use another objective"
        )
    return np.broadcast_to(SCORES.get(objective, _same)(score), (outputs,)).copy()


def _gives(learner: Any, estimator: Any) -> Gives:
    plain = learner["objective"]["name"] in IDENTITY_LINK and getattr(estimator, "classes_", None) is None
    return "values" if plain else "margin"


def training_categories(booster: Any) -> list[list[Any]]:
    """The categories of each column in training, in the order of their codes; empty where a booster stores none."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    model = learner.get("gbtree", learner).get("model", {})
    return [_levels(one) for one in (model.get("cats") or {}).get("enc", [])]


def _levels(encoding: Any) -> list[Any]:
    """The categories of a column (texts or numbers) in the order of their codes; empty for numeric columns."""
    if "offsets" not in encoding:
        return list(encoding["values"])
    text, ends = bytes(value % 256 for value in encoding["values"]), encoding["offsets"]
    return [text[start:end].decode("utf-8") for start, end in pairwise(ends)]


def _numbers(given: Any, lists: list[list[Any]]) -> Floats:
    """The columns as XGBoost reads them: categories as training codes; elements not stored in a sparse matrix, NaN."""
    if is_sparse(given):
        stored, matrix = given.tocoo(), np.full(given.shape, np.nan)
        matrix[stored.row, stored.col] = stored.data
        return matrix
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if not isinstance(frame, nw.DataFrame):
        return numbers(given)
    columns = []
    for place, (name, kind) in enumerate(frame.schema.items()):
        if kind not in (nw.Categorical, nw.Enum):
            columns.append(numbers(frame.select(name).to_native())[:, 0])
            continue
        known = lists[place] if place < len(lists) else []
        if not known:
            raise InputError(
                f"column {name!r} holds categories; this XGBoost model does not store its training categories. "
                f"Train it again with XGBoost 3.1 or newer, or pass the codes as numbers."
            )
        columns.append(_places(name, frame[name].to_list(), known))
    return np.column_stack(columns)


def _places(name: str, values: list[Any], known: list[Any]) -> Floats:
    """The position of each value in the list; NaN where the value is missing."""
    place = {level: float(code) for code, level in enumerate(known)}
    place |= {None: np.nan}
    unknown = [value for value in dict.fromkeys(values) if not missing_kind(value) and value not in place]
    if unknown:
        raise InputError(f"column {name!r} has categories unseen in training: {unknown[:5]}.")
    return np.array([place.get(value, np.nan) for value in values])


def _tree(tree: Any, place: int, outputs: int, weight: float, width: int) -> Tree:
    """One tree; x < t in float32 is x ≤ the float32 number before t."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    inner = left >= 0
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    coded = np.flatnonzero((np.array(tree["split_type"]) == 1) & inner)
    vector = int(tree["tree_param"]["size_leaf_vector"])
    with np.errstate(over="ignore"):  # the number before the lowest one is −∞
        threshold = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    if vector > 1:
        if "leaf_weights" not in tree:
            raise unreadable_trees(
                "this model's multi-output trees have an old file format", "Save it with XGBoost 3.1"
            )
        table = np.array(tree["leaf_weights"], dtype=np.float32).astype(np.float64).reshape(-1, vector)
        value = table[np.where(inner, 0, right)]
    else:
        value = place_in_output(conditions.astype(np.float64), place, outputs)
    return Tree(
        left=left,
        right=np.where(inner, right, -1),
        column=np.where(inner, np.array(tree["split_indices"]), -1),
        threshold=threshold,
        missing_left=np.array(tree["default_left"]).astype(bool),
        cover=np.array(tree["sum_hessian"], dtype=np.float64),
        value=value * weight,
        sets={int(node): _left_of(tree, int(node), width) for node in coded},
    )


def _left_of(tree: Any, node: int, width: int) -> Masks:
    """Codes that go left: all but those of the split; the last code stands for any other category."""
    at = tree["categories_nodes"].index(node)
    start = tree["categories_segments"][at]
    out = np.ones(width + 1, dtype=bool)
    out[tree["categories"][start : start + tree["categories_sizes"][at]]] = False
    return out
