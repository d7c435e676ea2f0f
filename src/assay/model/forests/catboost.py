# SPDX-License-Identifier: Apache-2.0
"""CatBoost's trees, from the JSON it saves models as."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assay.basics.optional import need
from assay.basics.types import Floats, Masks
from assay.model.forests.trees import Grown, Tree, numbers, single, unreadable
from assay.nouns.inputs.target import Gives

AS_THEY_ARE = ("RMSE", "MAE", "Quantile", "MAPE", "Huber", "Expectile", "Lq", "MultiRMSE", "LogCosh", "MultiQuantile")
"""Losses of a regressor whose raw score is the prediction itself."""


def saved(estimator: Any, pool: Any = None) -> Any:
    """The model as CatBoost writes it in JSON; with ``pool``, also the hashes of the categories in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json", pool=pool)
        return json.loads(path.read_text(encoding="utf-8"))


def content(estimator: Any) -> str:
    """All that the predictions depend on, without times and names."""
    held = saved(estimator)
    return json.dumps({name: part for name, part in held.items() if name != "model_info"}, sort_keys=True)


def grown(estimator: Any) -> Grown:
    """Trees compare in float32, x > border goes right; cover is the sum of the training rows' weights at the leaves.

    The sum is the raw score. A symmetric tree is written out as a binary one: one split a level. A category is read as
    the place of CatBoost's hash of it among those the splits name; all others share one more place.
    """
    held = saved(estimator)
    _refuse(held)
    features = _Features.of(held["features_info"], len(estimator.feature_names_))
    scale, base = held["scale_and_bias"]
    base = np.array(base, dtype=np.float64).reshape(-1)
    trees = [_symmetric(tree, features, len(base)) for tree in held.get("oblivious_trees", [])]
    trees += [_uneven(tree, features, len(base)) for tree in held.get("trees", [])]
    for tree in trees:
        tree.value[:] *= scale
    loss = str(estimator.get_all_params().get("loss_function", "")).partition(":")[0]
    plain = loss in AS_THEY_ARE and getattr(estimator, "_estimator_type", "") == "regressor"
    gives: Gives = "values" if plain else "margin"
    hashes: dict[str, int] = {}

    def read(given: Any) -> Floats:
        return features.read(given, lambda wanted: _hashes(estimator, given, wanted, features, hashes))

    return Grown(trees, base, gives, read, np.arange(features.count))


def _refuse(held: Any) -> None:
    """Raise where splits look at more than one number or one category."""
    if held["features_info"].get("ctrs") or held.get("ctr_data"):
        raise unreadable(
            "this CatBoost model splits by statistics of categories (CTR), which depend on the training rows' order",
            "Train with one_hot_max_size=255, or as many categories as a column has",
        )
    odd = [kind for kind in ("text_features", "embedding_features") if held["features_info"].get(kind)]
    if odd:
        raise unreadable(f"this CatBoost model reads {' and '.join(odd)}", "Train it on numbers and categories")


@dataclass(frozen=True, eq=False)
class _Features:
    """Where the features of each kind stand in a row, which hashes of categories splits name, where NaN goes."""

    count: int
    floats: dict[int, int]
    categories: dict[int, int]
    hashes: dict[int, dict[int, int]]
    missing_right: dict[int, bool] = field(default_factory=dict)

    @staticmethod
    def of(info: Any, count: int) -> _Features:
        floats, coded = info.get("float_features", []), info.get("categorical_features", [])
        return _Features(
            count,
            {one["feature_index"]: one["flat_feature_index"] for one in floats},
            {one["feature_index"]: one["flat_feature_index"] for one in coded},
            {
                one["flat_feature_index"]: {value: place for place, value in enumerate(one.get("values", []))}
                for one in coded
            },
            {one["flat_feature_index"]: one["nan_value_treatment"] == "AsTrue" for one in floats},
        )

    def split(self, one: Any) -> tuple[int, float, bool, Masks | None]:
        """The column of a split, its threshold, whether NaN goes left, and the categories that go left."""
        if one["split_type"] == "FloatFeature":
            column = self.floats[one["float_feature_index"]]
            return column, one["border"], not self.missing_right[column], None
        if one["split_type"] != "OneHotFeature":
            raise unreadable(
                f"this CatBoost model has a split of kind {one['split_type']}", "Train with one_hot_max_size=255"
            )
        column = self.categories[one["cat_feature_index"]]
        left = np.ones(len(self.hashes[column]) + 1, dtype=bool)  # the last place: any category no split names
        left[self.hashes[column][one["value"]]] = False
        return column, 0.0, True, left

    def read(self, given: Any, hashed: Callable[[set[str]], dict[str, int]]) -> Floats:
        """What the trees compare (row, column), of a frame or an array; ``hashed`` gives hashes of categories."""
        cells = _columns(given)
        matrix = np.full((len(given), self.count), np.nan)
        for column in self.floats.values():
            matrix[:, column] = single(numbers(cells[column]))
        texts = {column: [str(value) for value in cells[column]] for column in self.categories.values()}
        hashes = hashed({text for column in texts.values() for text in column}) if texts else {}
        for column, values in texts.items():
            places = self.hashes[column]
            matrix[:, column] = [places.get(hashes[value], len(places)) for value in values]
        return matrix


def _columns(given: Any) -> Sequence[Any]:
    """The columns of a pandas frame, an array or a sparse matrix."""
    if type(given).__name__ == "DataFrame":
        return [given.iloc[:, place] for place in range(given.shape[1])]
    return list(np.asarray(given, dtype=object).T if np.asarray(given).dtype == object else numbers(given).T)


def _hashes(estimator: Any, given: Any, wanted: set[str], features: _Features, known: dict[str, int]) -> dict[str, int]:
    """CatBoost's hash of each category, a signed number; it tells them of the rows that are saved with a model."""
    if wanted - known.keys():
        pool = need("catboost", extra="trees").Pool(given, cat_features=sorted(features.categories.values()))
        told = saved(estimator, pool)["features_info"]["cat_features_hash"]
        known |= {one["value"]: int(np.uint32(one["hash"]).astype(np.int32)) for one in told}
    return known


def _symmetric(held: Any, features: _Features, outputs: int) -> Tree:
    """A symmetric tree as a binary one, level by level; the first split is the lowest bit of a leaf's number."""
    splits = held.get("splits") or []
    depth = len(splits)
    value = np.array(held["leaf_values"], dtype=np.float64).reshape(2**depth, outputs)
    weight = _weights(held)
    columns, thresholds, missing, cover = [], [], [], [weight]
    sets: dict[int, Masks] = {}
    for level, one in enumerate(reversed(splits)):
        cover.insert(0, cover[0].reshape(-1, 2).sum(axis=1))
        column, threshold, missing_left, left = features.split(one)
        columns += [column] * 2**level
        thresholds += [threshold] * 2**level
        missing += [missing_left] * 2**level
        if left is not None:
            sets |= dict.fromkeys(range(2**level - 1, 2 ** (level + 1) - 1), left)
    inner, leaves = 2**depth - 1, 2**depth
    below = 2 * np.arange(inner)
    none = np.full(leaves, -1)
    return Tree(
        left=np.concatenate([below + 1, none]).astype(np.int64),
        right=np.concatenate([below + 2, none]).astype(np.int64),
        column=np.concatenate([columns, none]).astype(np.int64),
        threshold=np.concatenate([thresholds, np.zeros(leaves)]),
        missing_left=np.concatenate([missing, np.zeros(leaves)]).astype(bool),
        cover=np.concatenate(cover),
        value=np.concatenate([np.zeros((inner, outputs)), value]),
        sets=sets,
    )


def _weights(held: Any) -> Floats:
    """The weights of a symmetric tree's leaves."""
    if not held.get("leaf_weights"):
        raise unreadable("this CatBoost model has kept no weights of its leaves", "Give the model as it was trained")
    return np.array(held["leaf_weights"], dtype=np.float64)


def _uneven(root: Any, features: _Features, outputs: int) -> Tree:
    """A tree grown by depth or by loss, its nested nodes written in a row."""
    nodes, left, right = [root], [], []
    for node in nodes:  # the list grows while it is walked
        inner = "split" in node
        left.append(len(nodes) if inner else -1)
        right.append(len(nodes) + 1 if inner else -1)
        nodes += [node["left"], node["right"]] if inner else []
    asked = [features.split(node["split"]) if "split" in node else (-1, 0.0, False, None) for node in nodes]
    cover = np.array([node.get("weight", 0.0) for node in nodes], dtype=np.float64)
    for place in reversed(range(len(nodes))):
        if left[place] >= 0:
            cover[place] = cover[left[place]] + cover[right[place]]
    value = [np.reshape(node.get("value", np.zeros(outputs)), -1) for node in nodes]
    return Tree(
        left=np.array(left),
        right=np.array(right),
        column=np.array([one[0] for one in asked]),
        threshold=np.array([one[1] for one in asked]),
        missing_left=np.array([one[2] for one in asked]),
        cover=cover,
        value=np.array(value, dtype=np.float64).reshape(len(nodes), outputs),
        sets={place: one[3] for place, one in enumerate(asked) if one[3] is not None},
    )
