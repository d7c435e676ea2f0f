# SPDX-License-Identifier: Apache-2.0
"""Models: one noun, and a function for every kind of object that can become one."""

from assay.model.fast import fast as fast
from assay.model.gradient_free import function as function
from assay.model.model import Meter as Meter
from assay.model.model import Model as Model
from assay.model.scramble import layers as layers
from assay.model.scramble import scrambled as scrambled
from assay.model.sklearn import sklearn as sklearn
from assay.model.smooth import smoothed as smoothed
from assay.model.soften import softened as softened
from assay.model.text import Tokens as Tokens
from assay.model.text import text as text
from assay.model.text import token_embedding as token_embedding
from assay.model.torch import torch as torch
from assay.model.transformers import transformers as transformers
from assay.model.trees import catboost as catboost
from assay.model.trees import lightgbm as lightgbm
from assay.model.trees import xgboost as xgboost
from assay.model.wrap import wrap as wrap

__all__ = [
    "Meter",
    "Model",
    "Tokens",
    "catboost",
    "function",
    "layers",
    "lightgbm",
    "scrambled",
    "sklearn",
    "smoothed",
    "softened",
    "text",
    "token_embedding",
    "torch",
    "transformers",
    "wrap",
    "xgboost",
]
