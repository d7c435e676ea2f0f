# SPDX-License-Identifier: Apache-2.0
"""The removal of words of a text, where the caller names none."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import CapabilityError
from assay.cases.removals import Constant
from assay.model.model import Model
from assay.nouns.inputs.rows import to_floats


def text_removal(model: Model) -> tuple[Constant, str]:
    """How words of a text are removed, and a sentence that says so.

    Words of raw texts are deleted, or replaced as the model says. Words of a net get the embedding of the vocabulary's
    mask, else of its padding, else zeros.
    """
    if model.encode is None:
        raise CapabilityError(f"{model.name} reads no text, so it has no words to remove.")
    if not hasattr(model.encode, "embed_token"):
        return Constant(0.0), f"Each removed word {model.about.get('an absent word', 'is deleted')}."
    token = model.encode.mask_token
    if token is None:
        return Constant(0.0), "Removed words have an embedding of zeros."
    embedding = np.asarray(to_floats(model.encode.embed_token(token)))
    return Constant(embedding), f"Removed words have the embedding of {token}."
