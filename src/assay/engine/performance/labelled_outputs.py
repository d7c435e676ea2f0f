# SPDX-License-Identifier: Apache-2.0
"""A model's outputs at rows whose true labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import class_scores, predicted_class, probabilities


@dataclass(frozen=True, eq=False)
class LabelledOutputs:
    """Outputs (row, out) and true labels (row,): positions of classes, or the numbers of a regression.

    ``reference`` are the labels from which a constant prediction is learnt: those of the training rows where they are
    known, else the labels themselves.
    """

    outputs: Floats
    labels: Any
    kind: OutputKind
    classes: tuple[str, ...]
    reference: Any

    @property
    def is_classifier(self) -> bool:
        """Whether the labels are classes."""
        return self.kind.is_classifier

    @cached_property
    def scores(self) -> Floats:
        """Scores (row, class); the higher, the more the model decides for the class."""
        return to_floats(class_scores(self.outputs, self.kind))

    @cached_property
    def predicted(self) -> Ints:
        """The class (row,) that the model decides for."""
        return predicted_class(self.outputs, self.kind)

    @cached_property
    def correct(self) -> Masks:
        """Whether the decision is the true class (row,)."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def probabilities(self) -> Floats | None:
        """Probabilities (row, class); ``None`` where the scores have none."""
        try:
            return to_floats(probabilities(self.outputs, self.kind))
        except CapabilityError:
            return None

    @cached_property
    def shares(self) -> Floats:
        """Share of each class (class,) among the reference labels."""
        counts = np.bincount(self.reference, minlength=self.scores.shape[1])
        return np.asarray(counts / counts.sum())

    @property
    def most_frequent(self) -> int:
        """The most frequent class of the reference labels."""
        return int(self.shares.argmax())


def labelled_outputs(case: Case, labels: Any, reference: Any = None) -> LabelledOutputs:
    """The outputs of a case's rows with their true labels.

    Raises ``CapabilityError`` for activations of a layer and for labels that do not exclude each other.
    """
    model = case.model
    if model.gives == "units" or not model.kind.exclusive:
        found = "a layer's activations" if model.gives == "units" else "several labels a row"
        raise CapabilityError(
            f"performance needs a classifier or a regression; {model.name} gives {found}. For one of several labels: "
            f"assay.model.one_output(model, name)."
        )
    outputs = to_floats(case.prediction)
    true = true_labels(model, labels, len(case), outputs)
    given = _length(reference)
    known = true if not given else true_labels(model, reference, given, np.empty((0, outputs.shape[1])))
    return LabelledOutputs(outputs, true, model.kind, model.classes, known)


def _length(labels: Any) -> int:
    return len(labels) if isinstance(labels, Sequence) or hasattr(labels, "__len__") else 0
