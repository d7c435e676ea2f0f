"""Pictures whose parts' values a test may choose."""

from typing import Any

import numpy as np
from tests.evaluate.settings import saying

from assay import explain
from assay.cases.case import Case, case
from assay.model import function
from assay.nouns.inputs.features import Features
from assay.nouns.results.result import Explanation


def drawn(values: Any, features: Features | None = None, channels: int = 1) -> tuple[Case, Explanation]:
    """Pictures the size of ``values`` (row, down, across), and an explanation that says these."""
    values = np.asarray(values, dtype=float)
    rows, height, width = values.shape
    pictures = np.random.default_rng(0).uniform(0.1, 1, (rows, channels, height, width))
    question = case(function(lambda x: x.reshape(len(x), -1).sum(axis=1), name="sum"), pictures, features=features)
    bare = explain.constant(question)
    flat = np.repeat(values[:, None], channels, axis=1).reshape(rows, -1)
    return question, saying(bare, flat) if features is None else bare
