# SPDX-License-Identifier: Apache-2.0
"""The model noun, adapters for trained models of every library, and transformations of models."""

from assay.model.adapters.boosters import catboost as catboost
from assay.model.adapters.boosters import lightgbm as lightgbm
from assay.model.adapters.boosters import xgboost as xgboost
from assay.model.adapters.function import function as function
from assay.model.adapters.language_model import language_model as language_model
from assay.model.adapters.sklearn import sklearn as sklearn
from assay.model.adapters.text import Tokens as Tokens
from assay.model.adapters.text import text as text
from assay.model.adapters.text import token_embedding as token_embedding
from assay.model.adapters.torch import torch as torch
from assay.model.adapters.transformers import transformers as transformers
from assay.model.adapters.wrap import wrap as wrap
from assay.model.model import Meter as Meter
from assay.model.model import Model as Model
from assay.model.nets.selected_outputs import region_mean as region_mean
from assay.model.texts.raw_text import text_function as text_function
from assay.model.texts.raw_text import text_pipeline as text_pipeline
from assay.model.transformations.expectation import (
    expectation_over_transformations as expectation_over_transformations,
)
from assay.model.transformations.fast_forward import fast as fast
from assay.model.transformations.multiplicative_smoothing import multiplicative_smoothing as multiplicative_smoothing
from assay.model.transformations.one_output import one_output as one_output
from assay.model.transformations.randomise_weights import layer_names as layer_names
from assay.model.transformations.randomise_weights import randomise_weights as randomise_weights
from assay.model.transformations.round_probabilities import round_probabilities as round_probabilities
from assay.model.transformations.smooth import smooth as smooth
from assay.model.transformations.softplus_surrogate import softplus_surrogate as softplus_surrogate
from assay.model.transformations.straight_through import straight_through as straight_through
from assay.nouns.renamed import FORMER_NAMES, present_name

__all__ = [
    "Meter",
    "Model",
    "Tokens",
    "catboost",
    "expectation_over_transformations",
    "fast",
    "function",
    "language_model",
    "layer_names",
    "multiplicative_smoothing",
    "lightgbm",
    "one_output",
    "randomise_weights",
    "region_mean",
    "round_probabilities",
    "sklearn",
    "smooth",
    "softplus_surrogate",
    "straight_through",
    "text",
    "text_function",
    "text_pipeline",
    "token_embedding",
    "torch",
    "transformers",
    "wrap",
    "xgboost",
]


def __getattr__(name: str) -> object:
    former = FORMER_NAMES["assay.model"]
    if name in former:
        return globals()[present_name("assay.model", name, former[name])]
    raise AttributeError(f"module 'assay.model' has no attribute {name!r}")
