"""Images with chosen attributions."""

from typing import Any

import numpy as np
from tests.evaluate.settings import replace_values

from assay import explain
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.model import function
from assay.nouns.inputs.features import Features
from assay.nouns.results.result import Explanation


def image_case(values: Any, features: Features | None = None, channels: int = 1) -> tuple[Case, Explanation]:
    """Images of the shape of ``values`` (row, down, across), and an explanation with these values."""
    values = np.asarray(values, dtype=float)
    rows, height, width = values.shape
    pictures = np.random.default_rng(0).uniform(0.1, 1, (rows, channels, height, width))
    image = case(function(lambda x: x.reshape(len(x), -1).sum(axis=1), name="sum"), pictures, features=features)
    explanation = explain.constant(image)
    flat = np.repeat(values[:, None], channels, axis=1).reshape(rows, -1)
    return image, replace_values(explanation, flat) if features is None else explanation
