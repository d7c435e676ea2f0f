# SPDX-License-Identifier: Apache-2.0
"""The questions that choose a method (goal, kind, camp), and one answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Goal = Literal["understand", "trust", "select-features", "act", "debug"]
Kind = Literal["table", "image", "text", "language-model", "trees", "net", "black-box"]
Camp = Literal["local", "global", "agnostic", "specific", "intrinsic", "post-hoc"]

GOALS: dict[Goal, str] = {
    "understand": "why does the model answer as it does",
    "trust": "can the model, or an explanation of it, be relied on",
    "select-features": "which columns are worth having",
    "act": "what would change the answer, and what to tell the person concerned",
    "debug": "where is the model wrong, and why",
}
"""Each goal as a question."""

DATA: dict[Kind, str] = {
    "table": "rows of columns",
    "image": "pictures",
    "text": "texts",
    "language-model": "texts, read by a transformer with attention",
}
MODELS: dict[Kind, str] = {
    "trees": "decision trees, forests, boosted trees",
    "net": "a torch net, with gradients",
    "black-box": "any function from rows to outputs",
}
KINDS: dict[Kind, str] = DATA | MODELS
"""What the rows are, and what the model is."""

CAMPS: dict[Camp, str] = {
    "local": "about one row",
    "global": "about the model as a whole",
    "agnostic": "reads outputs only, so that it works for every model",
    "specific": "reads the inside of one kind of model",
    "intrinsic": "reads a part of a model that is itself the explanation",
    "post-hoc": "computed for a model that is no explanation by itself",
}
"""Three pairs of camps."""

PAIRS: tuple[tuple[Camp, Camp], ...] = (("local", "global"), ("agnostic", "specific"), ("intrinsic", "post-hoc"))

EVERY_DATA: tuple[Kind, ...] = ("table", "image", "text", "language-model")
EVERY_MODEL: tuple[Kind, ...] = ("trees", "net", "black-box")
TABLE: tuple[Kind, ...] = ("table",)
RECORDS: tuple[Kind, ...] = ("table", "text")
NUMBERS: tuple[Kind, ...] = ("table", "image")
WORDS: tuple[Kind, ...] = ("text", "language-model")
NET: tuple[Kind, ...] = ("net",)

BACKGROUND = "--background FILE"
OF = "--background FILE --of shapley"


@dataclass(frozen=True)
class Choice:
    """A method for some goals, with the reason; ``flags`` complete its command.

    The method is agnostic where it works for every kind of model, and else specific.
    """

    method: str
    goals: tuple[Goal, ...]
    reason: str
    data: tuple[Kind, ...] = EVERY_DATA
    models: tuple[Kind, ...] = EVERY_MODEL
    scope: Camp = "local"
    is_intrinsic: bool = False
    flags: str = ""

    @property
    def camps(self) -> tuple[Camp, ...]:
        """The camps of the method, one of each pair."""
        access: Camp = "agnostic" if self.models == EVERY_MODEL else "specific"
        return self.scope, access, "intrinsic" if self.is_intrinsic else "post-hoc"

    def suits(self, goal: Goal, kinds: Collection[Kind] = (), camps: Collection[Camp] = ()) -> bool:
        """Whether the method serves the goal, for all kinds named, in all camps named."""
        is_of_kind = all(kind in (*self.data, *self.models) for kind in kinds)
        return goal in self.goals and is_of_kind and all(camp in self.camps for camp in camps)

    def command(self, model: str = "MODEL", data: str = "FILE", target: str = "COLUMN") -> str:
        """The command that runs it."""
        verb, _, name = self.method.partition(".")
        rest = self.flags.replace("COLUMN", target)
        if "--target" not in rest and target != "COLUMN":
            rest = f"--target {target} {rest}".strip()
        return f"assay {verb} {model} {name} --data {data} {rest}".rstrip()
