# SPDX-License-Identifier: Apache-2.0
"""CatBoost's trees, parsed from the JSON format of a saved model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Floats, Masks
from assay.model.forests.trees import ParsedTrees, Tree, is_sparse, numbers, round_to_float32, unreadable_trees
from assay.nouns.inputs.output_kind import Gives, Link, OutputKind

CLASS_LOSSES = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy")
"""Losses of classifiers, which a plain ``CatBoost`` may have been trained with."""
ONE_SIGMOID_A_CLASS = ("MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy")
"""Losses with a probability of its own for each class or label."""

DECISIVE_METADATA = ("class_params", "binclass_probability_threshold")
"""Metadata of a saved model that its predictions depend on."""


def model_json(estimator: Any, pool: Any = None) -> Any:
    """The model in CatBoost's JSON format; with ``pool``, also the hashes of the pool's categories."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json", pool=pool)
        return json.loads(path.read_text(encoding="utf-8"))


def content(estimator: Any) -> str:
    """Text of all that the predictions depend on, without dates, names and options of training.

    It is the JSON format, or, of models that CatBoost cannot write so (with text or embedding features), a digest of
    the binary format. Text features are stored with random names, so that training again gives another text there.
    """
    try:
        fields = model_json(estimator)
    except need("catboost", extra="trees").CatBoostError:
        return _binary_content(estimator)
    about = fields.pop("model_info", {})
    kept = {name: about[name] for name in DECISIVE_METADATA if name in about}
    loss = about.get("params", {}).get("loss_function")
    return json.dumps({**fields, "loss": loss, "metadata": kept}, sort_keys=True)


def _binary_content(estimator: Any) -> str:
    """A digest of the model in CatBoost's binary format, with the decisive metadata only."""
    library = need("catboost", extra="trees")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        estimator.save_model(str(path))
        private = library.CatBoost().load_model(str(path))
        metadata = private.get_metadata()
        about = {name: metadata[name] for name in list(metadata.keys())}
        kept = {name: about[name] for name in DECISIVE_METADATA if name in about}
        loss = json.loads(about.get("params", "{}")).get("loss_function")
        for name in about:
            del metadata[name]
        private.save_model(str(path))
        return digest(path.read_bytes(), json.dumps({"loss": loss, "metadata": kept}, sort_keys=True))


def parse_trees(estimator: Any) -> ParsedTrees:
    """Trees compare in float32, x > border goes right; cover is the sum of the training rows' weights at the leaves.

    The sum is the raw score. A symmetric tree, with one split per level, becomes a binary tree. The code of a category
    is the position of its CatBoost hash among the hashes that the splits name; all other categories share one code.
    """
    _refuse_features(estimator)
    model = model_json(estimator)
    _refuse_statistics(model)
    features = _Features.of(model["features_info"], len(estimator.feature_names_))
    scale, base = model["scale_and_bias"]
    base = np.array(base, dtype=np.float64).reshape(-1)
    trees = [_symmetric(tree, features, len(base)) for tree in model.get("oblivious_trees", [])]
    trees += [_uneven(tree, features, len(base)) for tree in model.get("trees", [])]
    for tree in trees:
        tree.value[:] *= scale
    hashes: dict[str, int] = {}

    def read(given: Any) -> Floats:
        return features.read(given, lambda values: _hashes(estimator, given, values, features, hashes))

    return ParsedTrees(trees, base, _gives(estimator), read, np.arange(features.count))


def _gives(estimator: Any) -> Gives:
    """Kind of output of the raw score: values where the estimator's own ``predict`` returns it, else a margin."""
    loss = str(estimator.get_all_params().get("loss_function", "")).partition(":")[0]
    plain_class = type(estimator).__name__ == "CatBoost"
    if getattr(estimator, "_estimator_type", "") == "classifier" or (plain_class and loss in CLASS_LOSSES):
        link: Link = "sigmoid" if loss in ONE_SIGMOID_A_CLASS else "softmax"
        return OutputKind("margin", link=link, exclusive=not loss.startswith(("MultiLog", "MultiCross")))
    own = getattr(estimator, "_get_default_prediction_type", None)
    return "values" if own is None or own() == "RawFormulaVal" else "margin"


def _refuse_features(estimator: Any) -> None:
    """Raise ``CapabilityError`` for features that are no number and no category; CatBoost writes no JSON of these."""
    found = {"texts": estimator.get_text_feature_indices(), "embeddings": estimator.get_embedding_feature_indices()}
    if any(found.values()):
        raise unreadable_trees(
            f"this CatBoost model reads {' and '.join(name for name, places in found.items() if places)}",
            "Train it on numeric and categorical columns",
        )


def _refuse_statistics(model: Any) -> None:
    """Raise ``CapabilityError`` where a split uses more than one number or one category."""
    if model["features_info"].get("ctrs") or model.get("ctr_data"):
        raise unreadable_trees(
            "this CatBoost model splits on category statistics (CTR), which depend on the order of the training rows",
            "Train with one_hot_max_size=255, or at least the number of categories of a column",
        )


@dataclass(frozen=True, eq=False)
class _Features:
    """Columns of the features of each kind, category hashes that splits name, and the direction of NaN."""

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
            raise unreadable_trees(
                f"this CatBoost model has a split of kind {one['split_type']}", "Train with one_hot_max_size=255"
            )
        column = self.categories[one["cat_feature_index"]]
        left = np.ones(len(self.hashes[column]) + 1, dtype=bool)  # the last code: any category that no split names
        left[self.hashes[column][one["value"]]] = False
        return column, 0.0, True, left

    def read(self, given: Any, hashed: Callable[[set[str]], dict[str, int]]) -> Floats:
        """The trees' input (row, column) from a frame or an array; ``hashed`` returns the hashes of categories."""
        cells = _columns(given)
        matrix = np.full((given.shape[0], self.count), np.nan)
        for column in self.floats.values():
            matrix[:, column] = round_to_float32(numbers(cells[column]))
        texts = {column: [_category_text(value) for value in cells[column]] for column in self.categories.values()}
        hashes = hashed({text for column in texts.values() for text in column}) if texts else {}
        for column, values in texts.items():
            places = self.hashes[column]
            matrix[:, column] = [places.get(hashes[value], len(places)) for value in values]
        return matrix


def _category_text(value: Any) -> str:
    """A category as CatBoost writes it before it computes the hash: a boolean as "0" or "1"."""
    return str(int(value)) if isinstance(value, bool | np.bool_) else str(value)


def _columns(given: Any) -> Sequence[Any]:
    """The columns of a pandas frame, an array or a sparse matrix."""
    if type(given).__name__ == "DataFrame":
        return [given.iloc[:, place] for place in range(given.shape[1])]
    if is_sparse(given):
        return list(numbers(given).T)
    return list(np.asarray(given, dtype=object).T if np.asarray(given).dtype == object else numbers(given).T)


def _hashes(estimator: Any, given: Any, values: set[str], features: _Features, known: dict[str, int]) -> dict[str, int]:
    """CatBoost's hash of each category, a signed integer; it writes the hashes of a pool saved with a model."""
    if values - known.keys():
        pool = need("catboost", extra="trees").Pool(given, cat_features=sorted(features.categories.values()))
        entries = model_json(estimator, pool)["features_info"]["cat_features_hash"]
        known |= {one["value"]: int(np.uint32(one["hash"]).astype(np.int32)) for one in entries}
    return known


def _symmetric(tree: Any, features: _Features, outputs: int) -> Tree:
    """A symmetric tree as a binary tree, level by level; the first split is the lowest bit of a leaf's index."""
    splits = tree.get("splits") or []
    depth = len(splits)
    value = np.array(tree["leaf_values"], dtype=np.float64).reshape(2**depth, outputs)
    weight = _weights(tree)
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


def _weights(tree: Any) -> Floats:
    """The weights of a symmetric tree's leaves."""
    if not tree.get("leaf_weights"):
        raise unreadable_trees("this CatBoost model has no leaf weights", "Pass the model as it was trained")
    return np.array(tree["leaf_weights"], dtype=np.float64)


def _uneven(root: Any, features: _Features, outputs: int) -> Tree:
    """A tree grown by depth or by loss, its nested nodes written as a list."""
    nodes, left, right = [root], [], []
    for node in nodes:  # the list grows during the loop
        inner = "split" in node
        left.append(len(nodes) if inner else -1)
        right.append(len(nodes) + 1 if inner else -1)
        nodes += [node["left"], node["right"]] if inner else []
    splits = [features.split(node["split"]) if "split" in node else (-1, 0.0, False, None) for node in nodes]
    cover = np.array([node.get("weight", 0.0) for node in nodes], dtype=np.float64)
    for place in reversed(range(len(nodes))):
        if left[place] >= 0:
            cover[place] = cover[left[place]] + cover[right[place]]
    value = [np.reshape(node.get("value", np.zeros(outputs)), -1) for node in nodes]
    return Tree(
        left=np.array(left),
        right=np.array(right),
        column=np.array([one[0] for one in splits]),
        threshold=np.array([one[1] for one in splits]),
        missing_left=np.array([one[2] for one in splits]),
        cover=cover,
        value=np.array(value, dtype=np.float64).reshape(len(nodes), outputs),
        sets={place: one[3] for place, one in enumerate(splits) if one[3] is not None},
    )
