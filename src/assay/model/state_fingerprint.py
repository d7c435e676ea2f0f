# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of fitted estimators, nets and functions by what they are made of."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from assay.basics.code_state import State, is_library_class
from assay.basics.object_state import StateDigest, attributes, digest_state
from assay.model.net_state import read_net

NOISE = frozenset(
    """
    n_jobs verbose verbosity nthread thread_count device callbacks memory pre_dispatch error_score cache_size
    cv_results_ refit_time_ evals_result_ _evals_result _best_score _sklearn_version
    """.split()  # noqa: SIM905  # a list of words is read more easily than a list of quoted words
)
"""Attributes of a library's fitted estimator that its predictions do not depend on: speed, texts, times of the fit."""

TIMES = frozenset({"cv_results_", "refit_time_", "_sklearn_version"})
"""Attributes that the user's own estimators inherit, and that hold times of the fit."""


def state_fingerprint(*things: Any) -> str:
    """A digest (32 hexadecimal digits) of what ``things`` are made of: attributes, arrays, trees, weights and code.

    It is the same in every process, for any object read from the same file, and before and after use. It changes when
    one coefficient, threshold or leaf changes, or the code of a function, a method or a user's function that they
    call. It does not change with the options and measurements of a fit in ``NOISE``. What cannot be read (a
    connection, an open file, objects of compiled libraries without a pickled form) counts by its type only:
    ``unread_parts``. scikit-learn's own ``joblib.hash`` depends on what is shared in memory, and fails on what cannot
    be pickled.
    """
    return read_state(*things).digest


def unread_parts(*things: Any) -> tuple[str, ...]:
    """The types of objects in ``things`` of which something could not be read, so that a fingerprint misses it."""
    return read_state(*things).unread


def read_state(*things: Any) -> StateDigest:
    """The digest, and the types of objects of which something could not be read."""
    return digest_state(things, READERS)


def _read_tree(thing: Any) -> State | None:
    """scikit-learn's compiled trees; whether missing values go left is not set in leaves, and counts elsewhere only."""
    if type(thing).__name__ != "Tree" or type(thing).__module__ != "sklearn.tree._tree":
        return None
    stored = thing.__getstate__()
    nodes = stored["nodes"]
    columns = [(name, np.ascontiguousarray(nodes[name])) for name in nodes.dtype.names]
    inner = nodes["left_child"] != -1
    parts = [(name, values * inner if name == "missing_go_to_left" else values) for name, values in columns]
    return State("tree", [*thing.__reduce__()[1], [part for pair in parts for part in pair], stored["values"]])


def _read_neighbours(thing: Any) -> State | None:
    """Trees of neighbours are a function of the points and the metric; their counters change with every query."""
    if type(thing).__module__.startswith("sklearn.neighbors.") and hasattr(thing, "get_tree_stats"):
        points, *_, leaf_size, _, _, _, _, _, _, metric, weights = thing.__getstate__()
        return State(type(thing).__name__, [points, leaf_size, metric, weights])
    return None


def _read_estimator(thing: Any) -> State | None:
    """The attributes of a scikit-learn estimator or of a booster's wrapper; of a search, its best estimator."""
    if type(thing).__name__ == "Bunch" and isinstance(thing, dict):  # it loses its attributes when it is pickled
        return State("mapping", [dict(thing)])
    base = sys.modules.get("sklearn.base")
    if base is None or not isinstance(thing, base.BaseEstimator):
        return None
    own, noise = dict(attributes(thing)), NOISE if is_library_class(type(thing)) else TIMES
    if "best_estimator_" in own and "cv_results_" in own and noise is NOISE:
        return State("search", [own["best_estimator_"]])
    if isinstance(own.get("_other_params"), dict):  # LightGBM keeps options there once more
        own["_other_params"] = {name: value for name, value in own["_other_params"].items() if name not in noise}
    return State("estimator", [type(thing), {name: value for name, value in own.items() if name not in noise}])


def _read_booster(thing: Any) -> State | None:
    """The models of XGBoost, LightGBM and CatBoost as they are saved, without the options of training."""
    package, kind = type(thing).__module__.partition(".")[0], type(thing)
    if package == "xgboost" and kind.__name__ == "Booster":
        return State("booster", [bytes(thing.save_raw("ubj"))])
    if package == "lightgbm" and kind.__name__ == "Booster":
        text, _, options = thing.model_to_string().partition("\nparameters:")
        tail = options.partition("end of parameters")[2]
        return State("booster", [text, tail])  # the text ends with the best iteration
    if package == "catboost" and hasattr(thing, "is_fitted") and thing.is_fitted():
        from assay.model.forests.catboost import content

        return State("booster", [content(thing)])
    return None


def _read_frame(thing: Any) -> State | None:
    """Frames, series and indexes of pandas, polars and pyarrow, and sparse matrices, by their values."""
    kind = type(thing)
    package = kind.__module__.partition(".")[0]
    if package == "pandas":
        return _read_pandas(thing)
    if package == "polars" and kind.__name__ == "DataFrame":
        return State("frame", [part for name in thing.columns for part in (name, thing[name])])
    if package == "polars" and kind.__name__ == "Series":
        numeric = thing.dtype.is_numeric() and not thing.null_count()
        return State(f"series {thing.dtype}", [thing.to_numpy() if numeric else thing.to_list()])
    if package == "pyarrow" and kind.__name__ in ("Table", "RecordBatch"):
        return State("frame", [part for name in thing.column_names for part in (name, thing[name])])
    if package == "pyarrow" and hasattr(thing, "to_pylist"):
        return State(f"series {thing.type}", [thing.to_pylist()])
    if package == "scipy" and hasattr(thing, "tocsr") and hasattr(thing, "nnz"):
        rows = thing.tocsr(copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        return State(f"sparse {rows.shape}", [rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data])
    return None


def _read_pandas(thing: Any) -> State | None:
    kind = type(thing).__name__
    if kind == "DataFrame":
        columns = [thing.iloc[:, place].array for place in range(thing.shape[1])]
        return State("frame", [thing.columns, thing.index, *columns])
    if kind == "Series":
        return State("series", [thing.name, thing.index, thing.array])
    if kind.endswith("Index"):
        return State("index", [list(thing.names), thing.to_list() if kind == "MultiIndex" else thing.array])
    if kind == "Categorical":
        return State("categories", [thing.codes, thing.categories, thing.ordered])
    if kind.endswith("Array") and hasattr(thing, "dtype"):
        numeric = isinstance(thing.dtype, np.dtype) and thing.dtype.kind in "biufcmM"
        return State(f"series {thing.dtype}", [np.asarray(thing) if numeric else thing.tolist()])
    return None


READERS = (_read_tree, _read_neighbours, _read_estimator, _read_booster, read_net, _read_frame)
