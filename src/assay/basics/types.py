# SPDX-License-Identifier: Apache-2.0
"""Array types. Their axes are named, and the tests check them: row part mask query step class.

The same name means the same length within one call. ``Array`` is an array in the model's own namespace, a numpy
array or a torch tensor; the other types are numpy arrays, float64 for real numbers.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64

Array: TypeAlias = Any

Floats: TypeAlias = Float64[np.ndarray, "..."]
Masks: TypeAlias = Bool[np.ndarray, "..."]
Ints: TypeAlias = Int64[np.ndarray, "..."]

PerRow: TypeAlias = Float64[np.ndarray, "row"]
PerPart: TypeAlias = Float64[np.ndarray, "row part"]
PerMask: TypeAlias = Float64[np.ndarray, "row mask"]
PerQuery: TypeAlias = Float64[np.ndarray, "query"]
PerStep: TypeAlias = Float64[np.ndarray, "row step"]
PerClass: TypeAlias = Float64[np.ndarray, "query class"]

RowMasks: TypeAlias = Bool[np.ndarray, "row part"]
MaskSet: TypeAlias = Bool[np.ndarray, "mask part"]
Queries: TypeAlias = Bool[np.ndarray, "query part"]
Paths: TypeAlias = Bool[np.ndarray, "row step part"]
Which: TypeAlias = Int64[np.ndarray, "query"]
