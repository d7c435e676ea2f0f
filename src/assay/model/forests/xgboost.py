# SPDX-License-Identifier: Apache-2.0
"""XGBoost's trees, from the JSON that a booster saves itself as."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.model.forests.trees import Grown, Tree, at_places, is_sparse, numbers, single, unreadable
from assay.nouns.inputs.target import Gives


def _same(score: Floats) -> Floats:
    return score


def _log_odds(score: Floats) -> Floats:
    return -np.log(1.0 / score - 1.0)


AS_THEY_ARE = {
    "reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror",
    "reg:expectileerror", "reg:squaredlogerror", "rank:ndcg", "rank:map", "rank:pairwise",
}  # fmt: skip
"""Objectives whose raw score is the prediction itself."""

SCORES: dict[str, Callable[[Floats], Floats]] = {
    "binary:logistic": _log_odds, "reg:logistic": _log_odds, "binary:logitraw": _same, "binary:hinge": _same,
    "multi:softprob": _same, "multi:softmax": _same, "count:poisson": np.log, "reg:gamma": np.log,
    "reg:tweedie": np.log, "survival:cox": np.log, "survival:aft": np.log,
}  # fmt: skip
"""What turns the ``base_score`` of an objective into a raw score."""


def grown(estimator: Any) -> Grown:
    """Trees compare in float32, x < t; cover is the sum of the training rows' second derivatives times weight.

    The sum is the raw score, which XGBoost itself adds up in float32. Rounds after the best one are left out where
    ``predict`` leaves them out (early stopping); leaves of dropped-out trees (``dart``) carry the tree's weight.
    """
    booster = estimator.get_booster() if "get_booster" in dir(estimator) else estimator
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    parts = learner["gradient_booster"]
    if parts["name"] == "gblinear":
        raise unreadable("this XGBoost model is linear (booster='gblinear')", "Train with booster='gbtree'")
    model = parts["gbtree"]["model"] if parts["name"] == "dart" else parts["model"]
    weights = parts.get("weight_drop") or [1.0] * len(model["trees"])
    base = _base(learner)
    types = learner.get("feature_types") or []
    coded = [place for place, kind in enumerate(types) if kind == "c"]
    width = 1 + max((code for tree in model["trees"] for code in tree["categories"]), default=-1)
    best = learner["attributes"].get("best_iteration")
    used = len(model["trees"]) if best is None else model["iteration_indptr"][int(best) + 1]
    trees = [
        _tree(tree, place, len(base), float(weight), width)
        for tree, place, weight in list(zip(model["trees"], model["tree_info"], weights))[:used]
    ]
    lists = [_levels(one) for one in (model.get("cats") or {}).get("enc", [])]
    missing = getattr(estimator, "missing", np.nan)

    def read(given: Any) -> Floats:
        matrix = single(_numbers(given, lists))
        matrix[matrix == np.float64(np.float32(missing))] = np.nan
        codes = matrix[:, coded]
        other = (codes < 0) | (codes >= width)  # in no split's set: left of every split, as ``width`` is in the tables
        matrix[:, coded] = np.where(np.isnan(codes), np.nan, np.where(other, width, np.trunc(codes)))
        return matrix

    count = int(learner["learner_model_param"]["num_feature"])
    return Grown(trees, base, _gives(learner, estimator), read, np.arange(count))


def _base(learner: Any) -> Floats:
    """The raw score before any tree (out,)."""
    objective = learner["objective"]["name"]
    told = learner["learner_model_param"]
    outputs = max(1, int(told["num_class"]), int(told.get("num_target", 1)))
    score = np.array(json.loads(f"[{told['base_score'].strip('[]')}]"), dtype=np.float32).astype(np.float64)
    if objective not in AS_THEY_ARE and objective not in SCORES:
        raise unreadable(f"the XGBoost objective {objective!r} has a base score that assay cannot read", "Use another")
    return np.broadcast_to(SCORES.get(objective, _same)(score), (outputs,)).copy()


def _gives(learner: Any, estimator: Any) -> Gives:
    plain = learner["objective"]["name"] in AS_THEY_ARE and getattr(estimator, "classes_", None) is None
    return "values" if plain else "margin"


def _levels(kept: Any) -> list[Any]:
    """The categories of a column in the order of their codes, texts or numbers; none for numeric columns."""
    if "offsets" not in kept:
        return list(kept["values"])
    text, ends = bytes(value % 256 for value in kept["values"]), kept["offsets"]
    return [text[start:end].decode("utf-8") for start, end in pairwise(ends)]


def _numbers(given: Any, lists: list[list[Any]]) -> Floats:
    """The columns as XGBoost sees them: categories by their place in the list of training; what is not stored, NaN."""
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
                f"column {name!r} holds categories; this XGBoost model has not kept those it was trained with. "
                f"Train it again with XGBoost 3.1 or newer, or give the codes as numbers."
            )
        columns.append(_places(name, frame[name].to_list(), known))
    return np.column_stack(columns)


def _places(name: str, values: list[Any], known: list[Any]) -> Floats:
    """The place of each value in the list, NaN where it is missing."""
    place = {level: float(code) for code, level in enumerate(known)}
    place |= {None: np.nan}
    strange = [value for value in dict.fromkeys(values) if value not in place and value == value]
    if strange:
        raise InputError(f"column {name!r} has categories the model was not trained with: {strange[:5]}.")
    return np.array([place.get(value, np.nan) for value in values])


def _tree(held: Any, place: int, outputs: int, weight: float, width: int) -> Tree:
    """One tree; x < t in float32 is x ≤ the number before t."""
    left, right = np.array(held["left_children"]), np.array(held["right_children"])
    inner = left >= 0
    said = np.array(held["split_conditions"], dtype=np.float32)
    coded = np.flatnonzero((np.array(held["split_type"]) == 1) & inner)
    vector = int(held["tree_param"]["size_leaf_vector"])
    with np.errstate(over="ignore"):  # the number before the lowest one is −∞
        threshold = np.nextafter(said, np.float32(-np.inf)).astype(np.float64)
    if vector > 1:
        if "leaf_weights" not in held:
            raise unreadable("this model's trees give several outputs, in an old form", "Save it with XGBoost 3.1")
        table = np.array(held["leaf_weights"], dtype=np.float32).astype(np.float64).reshape(-1, vector)
        value = table[np.where(inner, 0, right)]
    else:
        value = at_places(said.astype(np.float64), place, outputs)
    return Tree(
        left=left,
        right=np.where(inner, right, -1),
        column=np.where(inner, np.array(held["split_indices"]), -1),
        threshold=threshold,
        missing_left=np.array(held["default_left"]).astype(bool),
        cover=np.array(held["sum_hessian"], dtype=np.float64),
        value=value * weight,
        sets={int(node): _left_of(held, int(node), width) for node in coded},
    )


def _left_of(held: Any, node: int, width: int) -> Masks:
    """All categories but those of the split, which go right; the last place stands for any other."""
    at = held["categories_nodes"].index(node)
    start = held["categories_segments"][at]
    out = np.ones(width + 1, dtype=bool)
    out[held["categories"][start : start + held["categories_sizes"][at]]] = False
    return out
