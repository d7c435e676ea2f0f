# SPDX-License-Identifier: Apache-2.0
"""Multiplicative smoothing: a model averaged over masks that remove features of its input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array, Ints, Masks
from assay.model.model import Model
from assay.model.transformations.frozen_masks import MaskNoise, draw_masks
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows, to_double
from assay.nouns.inputs.target import class_scores, predicted_class, probabilities

FILLS_WITH_FIXED_VALUES = ("Constant", "Mean", "Marginal", "OwnBackground")
"""Removals that fill absent features with numbers that do not depend on the row."""


class FixedFill(Protocol):
    """What smoothing needs of a removal (``cases.removals.Removal``)."""

    @property
    def fingerprint(self) -> str:
        """Hash of the removal and its data."""

    @property
    def fills(self) -> int:
        """Number of filled versions of a row to average over."""

    def bind(self, rows: Rows) -> Any:
        """The filling for these rows."""


def multiplicative_smoothing(
    model: Model,
    features: Features,
    *,
    remove: FixedFill,
    smoothing: float | Fraction = 0.125,
    q: int = 64,
    votes: bool = True,
    noise: MaskNoise = "quantised",
    protected: Sequence[int] = (),
    seed: Seed | None = None,
) -> Model:
    """The mean of a classifier's votes, or of its probabilities, over q masks that remove features of its input.

    g(x) = Σ_j h(x with the features outside mask j removed) / q. ``features`` (``case.features``) are what is removed,
    by ``remove``: Constant, Mean or Marginal. The masks are part of the model: they follow from ``seed`` alone, and
    its fingerprint depends on them. With "quantised" ``noise`` (MuS, Xue et al. 2023) mask j keeps feature i where
    (v_i + j) mod q < k with random offsets v, so that exactly k = ``smoothing`` · q masks keep each feature; with
    "bernoulli" each feature of each of the q masks is kept with probability ``smoothing`` (Jin et al. 2025).

    One row costs q · ``remove.fills`` passes of the original, which are all counted. With ``votes`` each mask's answer
    is the class that the model decides for (of the mean over fillings), as 1 in its column: robust, but without a
    gradient. Without, it is the class probabilities, and the smoothed model has the original's gradient.
    ``certify.mus`` of a case with the same seed certifies this model: its masks are the same. Features ``protected``
    (positions) are in every mask. Features cut differently for each row (superpixels, words) are refused.
    """
    if features.per_row:
        raise CapabilityError("multiplicative smoothing needs one cut for all rows; these features differ by row.")
    if not model.kind.is_classifier:
        raise CapabilityError(f"multiplicative smoothing needs a classifier; {model.name} gives {model.gives}.")
    if type(remove).__name__ not in FILLS_WITH_FIXED_VALUES:
        raise CapabilityError(
            f"multiplicative smoothing with {remove!r} is undefined: what fills an absent feature would depend on the "
            f"features present. Use Constant, Mean or Marginal."
        )
    if not votes and model.kind.link == "none" and model.kind in ("logits", "margin"):
        raise CapabilityError(
            f"votes=False averages probabilities; the scores of {model.name} are no log odds, so it has none. Use "
            f"votes=True."
        )
    drawn = draw_masks(noise, len(features), smoothing, q, seed or Seed())
    masks = protect(drawn.masks, protected)
    fills = remove.fills
    kind = OutputKind("probabilities", exclusive=model.kind.exclusive)

    def forward(rows: Rows) -> Array:
        xp, total = array_namespace(rows.x), 0.0
        for outputs, count in _answers(model, rows, features, masks, remove):
            grouped = xp.reshape(outputs, (count, fills, len(rows), -1))
            answers = xp.mean(grouped, axis=1)
            if votes:
                answers = _votes(xp.reshape(answers, (count * len(rows), -1)), model.kind)
                answers = xp.reshape(answers, (count, len(rows), -1))
            total = total + xp.sum(answers, axis=0)
        return total / len(masks)

    def again(other: Model) -> Model:
        return multiplicative_smoothing(
            other,
            features,
            remove=remove,
            smoothing=smoothing,
            q=q,
            votes=votes,
            noise=noise,
            protected=protected,
            seed=seed,
        )

    key = digest(model.fingerprint, "masked", features.fingerprint, remove.fingerprint, drawn.fingerprint)
    return opaque_variant(
        model,
        forward,
        f"{model.name}, smoothed by masks ({drawn.text}, {'votes' if votes else 'probabilities'})",
        digest(key, votes, sorted(map(int, protected))),
        again,
        differentiable=model.differentiable and not votes,
        gives=kind,
        default_target="probability",
        batch=max(1, model.batch // (len(masks) * fills)),
        passes_per_row=model.passes_per_row * len(masks) * fills,
        memory=None,
    )


def protect(masks: Masks, protected: Sequence[int]) -> Masks:
    """The masks with these features in all of them."""
    chosen = np.asarray(protected, dtype=np.int64) if len(protected) else np.zeros(0, dtype=np.int64)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= masks.shape[1]):
        raise InputError(f"protected={list(protected)[:8]}; positions from 0 to {masks.shape[1] - 1} are needed.")
    kept = masks.copy()
    kept[:, chosen] = True
    return kept


def decides_by_score(kind: OutputKind) -> bool:
    """Whether the class is decided from the scores themselves: they are no log odds, or have a threshold."""
    return kind in ("logits", "margin") and (kind.link == "none" or kind.of_score)


def _answers(
    model: Model, rows: Rows, features: Features, masks: Masks, remove: FixedFill
) -> Iterator[tuple[Array, int]]:
    """Outputs under some of the masks at a time, (mask · filling · row, class), and the number of these masks."""
    filling, everyone = remove.bind(rows), np.arange(len(rows))
    together = max(1, model.max_batch_rows(rows, 0) // (len(rows) * remove.fills))
    for start in range(0, len(masks), together):
        some = masks[start : start + together]
        which: Ints = np.tile(everyone, len(some))
        keep = features.expand_masks(np.repeat(some, len(rows), axis=0), which)
        versions = [_split(filled, len(some)) for filled in filling.fill(which, keep)]
        xp = array_namespace(versions[0])
        filled = xp.reshape(xp.stack(versions, axis=1), (-1, *rows.shape))
        outputs = model.forward(rows.with_inputs(filled, np.tile(everyone, len(some) * remove.fills)))
        yield to_double(outputs if decides_by_score(model.kind) else probabilities(outputs, model.gives)), len(some)


def _split(filled: Array, masks: int) -> Array:
    """Filled rows (mask · row, *shape) as (mask, row, *shape)."""
    return array_namespace(filled).reshape(filled, (masks, -1, *filled.shape[1:]))


def _votes(outputs: Array, kind: OutputKind) -> Array:
    """1 in the column of the class that is decided for (row, class)."""
    own = kind if decides_by_score(kind) else kind.as_probabilities()
    found = np.eye(class_scores(outputs, own).shape[1])[predicted_class(outputs, own)]
    if not is_torch_array(outputs):
        return found
    return array_namespace(outputs).asarray(found, dtype=outputs.dtype, device=outputs.device)
