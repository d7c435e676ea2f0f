# SPDX-License-Identifier: Apache-2.0
"""Sparse matrices as dense rows and back, without loss.

Some libraries read an element that is not stored as missing (XGBoost), or otherwise than a zero. A stored zero is kept
apart as −0.0, an element that is not stored is 0.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.types import Floats


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a sparse matrix or array of scipy."""
    return hasattr(x, "tocoo") and hasattr(x, "nnz")


def sparse_to_dense(x: Any) -> Floats:
    """The rows as a dense float64 matrix; duplicate entries are summed."""
    dense = np.asarray(x.toarray(), dtype=np.float64)
    stored = x.tocsr()
    if stored.nnz > stored.count_nonzero():
        stored = stored.tocoo()
        dense[stored.row, stored.col] = np.where(
            dense[stored.row, stored.col] == 0, -0.0, dense[stored.row, stored.col]
        )
    return dense


def dense_to_sparse(x: Floats, kind: Any) -> Any:
    """Dense rows as a sparse matrix of the class ``kind``."""
    from scipy.sparse import coo_array

    row, column = (place.astype(np.int32) for place in np.nonzero((x != 0) | np.signbit(x)))  # libsvm needs int32
    return kind(coo_array((x[row, column] + 0.0, (row, column)), shape=x.shape))
