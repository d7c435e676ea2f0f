# SPDX-License-Identifier: Apache-2.0
"""The kind of a model's outputs: what they are, and how they become probabilities and decisions."""

from __future__ import annotations

from typing import Any, Literal, get_args

from assay.basics.errors import InputError

PlainKind = Literal["logits", "margin", "probabilities", "values", "units"]
"""Kind of a model's outputs: class scores before softmax, a boosted tree's raw scores, probabilities,
values of a regression, or activations of a layer."""

Link = Literal["softmax", "sigmoid", "none", "identity", "log", "logit"]
"""How scores become probabilities (a softmax over classes, a sigmoid for each class, not at all), or how a regression's
value becomes the raw score that it was computed from (identity, log, logit)."""

OUTPUTS = ("logits", "margin", "probabilities", "values", "multilabel logits", "multilabel probabilities")
"""The texts with which a user says what a model returns."""

MULTILABEL = "multilabel "


class OutputKind(str):
    """The kind of outputs as text (``PlainKind``), with what else their meaning depends on; equal to the plain text.

    ``link`` maps scores to probabilities. ``exclusive`` is false for multilabel models: each output is the score of a
    label of its own, and a row may have several. ``threshold`` is the value from which the last of two classes (or any
    label of a multilabel model) is decided, in units of the probability, or of the score where ``of_score``; without it
    the highest score decides, or for labels a probability above 0.5. ``decides`` is false where the model's ``predict``
    reads other scores than these outputs, which therefore do not show its decisions. ``scale`` multiplies scores before
    the link (the ``sigmoid`` of LightGBM). ``assumed`` says that a net returns one number a row which may as well be
    the value of a regression.
    """

    link: Link
    exclusive: bool
    threshold: float | None
    of_score: bool
    scale: float
    assumed: bool
    decides: bool

    def __new__(
        cls,
        kind: str,
        *,
        link: Link | None = None,
        exclusive: bool = True,
        threshold: float | None = None,
        of_score: bool = False,
        scale: float = 1.0,
        assumed: bool = False,
        decides: bool = True,
    ) -> OutputKind:
        """A kind; by default with the softmax of classes, the sigmoid of labels or the identity of values."""
        self = super().__new__(cls, kind)
        default: Link = "identity" if kind in ("values", "units") else "softmax" if exclusive else "sigmoid"
        self.link = link or default
        self.exclusive, self.threshold, self.of_score = exclusive, threshold, of_score
        self.scale, self.assumed, self.decides = scale, assumed, decides
        return self

    @staticmethod
    def of(kind: str) -> OutputKind:
        """The kind itself, or the plain kind of this name."""
        return kind if isinstance(kind, OutputKind) else OutputKind(kind)

    @staticmethod
    def named(text: Any, threshold: float | None = None) -> OutputKind:
        """The kind that a user names; ``InputError`` for another text, or a threshold that does not apply."""
        if text not in OUTPUTS:
            raise InputError(f"output={text!r}; there are {', '.join(map(repr, OUTPUTS))}.")
        multilabel = str(text).startswith(MULTILABEL)
        kind = OutputKind(str(text).removeprefix(MULTILABEL), exclusive=not multilabel)
        return kind if threshold is None else kind.with_threshold(threshold)

    def but(self, kind: str | None = None, **changes: Any) -> OutputKind:
        """The same kind with other attributes."""
        own = {name: getattr(self, name) for name in OutputKind.__annotations__}
        return OutputKind(kind or str(self), **(own | changes))

    def with_threshold(self, threshold: float, *, of_score: bool = False) -> OutputKind:
        """The same kind, deciding for the last class from ``threshold`` on; ``InputError`` outside its range."""
        if self in ("values", "units"):
            raise InputError(f"threshold={threshold} needs a classifier; this model gives {self}.")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise InputError(f"threshold={threshold!r}; a number is needed.")
        if not of_score and not 0 <= threshold <= 1:
            raise InputError(f"threshold={threshold}; a probability in [0, 1] is needed.")
        if not of_score and self in ("logits", "margin") and self.link == "none":
            raise InputError(
                f"threshold={threshold} is one of the probability; the scores of this classifier are no log odds, so "
                f"it has no probabilities."
            )
        return self.but(threshold=float(threshold), of_score=of_score, decides=True)

    def check_threshold(self, classes: int) -> None:
        """Raise ``InputError`` for a threshold of more than two classes that exclude each other."""
        if self.threshold is not None and self.exclusive and classes != 2:
            raise InputError(
                f"threshold={self.threshold:g} decides for the last of two classes, or for labels; this model has "
                f"{classes} classes, of which the highest score decides. Leave it out."
            )

    def as_probabilities(self) -> OutputKind:
        """The kind of the probabilities that these outputs become; a threshold of the score becomes none."""
        return self.but("probabilities", threshold=None if self.of_score else self.threshold, of_score=False)

    @property
    def is_classifier(self) -> bool:
        """Whether the outputs belong to classes or labels."""
        return self not in ("values", "units")

    @property
    def key(self) -> str:
        """Everything that the meaning depends on, as text, for fingerprints; the bare name where nothing is special."""
        plain = OutputKind(str(self))
        changed = {
            name: getattr(self, name)
            for name in OutputKind.__annotations__
            if name != "assumed" and getattr(self, name) != getattr(plain, name)
        }
        return str(self) + "".join(f", {name} {value}" for name, value in changed.items())

    def __repr__(self) -> str:
        return repr(self.key)

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> Any:
        own = {name: getattr(self, name) for name in OutputKind.__annotations__}
        return _restore, (str(self), own)


Gives = PlainKind | OutputKind
"""Kind of a model's outputs, plain or with its link, threshold and scale."""


def _restore(kind: str, attributes: dict[str, Any]) -> OutputKind:
    return OutputKind(kind, **attributes)


def check_gives(gives: str) -> OutputKind:
    """A kind that an adapter was given; ``InputError`` where there is none of this name."""
    if isinstance(gives, OutputKind):
        return gives
    if gives in get_args(PlainKind):
        return OutputKind(gives)
    return OutputKind.named(gives)
