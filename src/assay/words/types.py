# SPDX-License-Identifier: Apache-2.0
"""Names for arrays. Axes are written as words: row part mask query draw class."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any
"""An array in the model's own namespace: a numpy array or a torch tensor."""

Floats: TypeAlias = npt.NDArray[np.float64]
Masks: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]
