# SPDX-License-Identifier: Apache-2.0
"""``assay.toml``: what an audit is asked for, written down beside the model."""

from __future__ import annotations

import datetime
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from assay.basics.errors import InputError
from assay.nouns.records.record import Waiver

NAME, SHARED = "assay.toml", "pyproject.toml"
"""The file of its own, and the file whose table [tool.assay] may stand for it."""

Texts = tuple[StrictStr, ...]
Word = Annotated[StrictStr, Field(min_length=1)]


def _day(given: Any) -> Any:
    """A day written as TOML's own date or as text; a number would be read as seconds since 1970."""
    if isinstance(given, str) or (isinstance(given, datetime.date) and not isinstance(given, datetime.datetime)):
        return given
    raise ValueError("a day like 2027-01-31")


Day = Annotated[datetime.date, BeforeValidator(_day)]


class Section(BaseModel):
    """A table of the file; keys it does not know are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(Section):
    """The model: a file, or code of your own that returns it."""

    file: StrictStr = Field(default="", description="A model file, FILE.py:FUNCTION, or package.module:function.")
    architecture: StrictStr = Field(
        default="", description="Code that returns the untrained net whose weights the file holds."
    )
    recipe: StrictStr = Field(
        default="", description="Code that returns an assay.Recipe: how the model was trained; it enables repairs."
    )
    output: StrictStr = Field(default="", description="What the scores are: logits, margin, probabilities or values.")
    classes: Texts = Field(default=(), description="Names of the classes, in the order of the model's outputs.")
    trust: Texts = Field(default=(), description="Further types that a skops file may name.")
    unsafe_pickle: StrictBool = Field(
        default=False, description="Let the code in a pickle run. Only for files you trust."
    )


class DataSection(Section):
    """Rows, labels, and what is known about the columns."""

    test: StrictStr = Field(default="", description="File of rows the model was not trained on.")
    train: StrictStr = Field(default="", description="File of rows the model was trained on.")
    background: StrictStr = Field(default="", description="File of rows that stand in for columns taken away.")
    target: StrictStr = Field(default="", description="Column that holds the true labels.")
    ids: StrictStr = Field(default="", description="Column that names the rows; the model does not see it.")
    sensitive: Texts = Field(default=(), description="Columns whose groups are compared.")
    favourable: StrictStr = Field(default="", description="The class that is good to get; by default the last one.")
    suspects: Texts = Field(default=(), description="Columns that should not sway a decision.")


class AuditSection(Section):
    """How deep to look, and what counts as failing."""

    profile: Literal["quick", "standard", "deep"] = Field(default="standard", description="How deep the audit goes.")
    methods: Texts = Field(default=(), description="Explanations to make instead of the profile's, by name.")
    scores: Texts = Field(default=(), description="Scores to make instead of the profile's, by name.")
    settings_grid: StrictBool | None = Field(
        default=None,
        description="Rank the explanations under other settings of the score, too; by default in profile deep.",
    )
    select: Texts = Field(default=(), description="Beginnings of check codes: only these are made.")
    ignore: Texts = Field(default=(), description="Beginnings of check codes that are left out.")
    level: float = Field(default=0.95, gt=0, lt=1, strict=True, description="Confidence of all verdicts together.")
    seed: StrictInt = Field(default=0, ge=0, description="Root of all randomness.")
    store: Word = Field(default=".assay/store", description="Folder that keeps finished steps.")
    out: Word = Field(default="audit", description="Folder for results and page.")
    fail_on: Literal["fail", "undecided", "never"] = Field(
        default="fail", description="The mildest verdict that fails."
    )
    require: Texts = Field(default=(), description="Beginnings of check codes that must have been made.")


class Accepted(Section):
    """A failing check that somebody answers for until a day, which is included."""

    code: Word = Field(description="Check code, or its beginning.")
    subject: StrictStr = Field(default="", description="Explanation, column or group it concerns; empty for all.")
    owner: Word = Field(description="Who answers for it.")
    reason: Word = Field(description="Why it is accepted.")
    until: Day = Field(description="Last day on which it is accepted, such as 2027-01-31.")

    @property
    def waiver(self) -> Waiver:
        """The same as an audit knows it."""
        return Waiver(self.code, self.owner, self.reason, self.until.isoformat(), self.subject)


class Config(Section):
    """A whole ``assay.toml``, or the table [tool.assay] of a pyproject.toml."""

    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    audit: AuditSection = Field(default_factory=AuditSection)
    accept: tuple[Accepted, ...] = Field(default=(), description="Failing checks that somebody answers for.")

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """Who answers for which failing check."""
        return tuple(item.waiver for item in self.accept)


def configured(place: Path | None, over: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """The settings of this file, or of the one in the current folder, with those of the command line laid over them.

    Paths in the file are relative to the file. ``over`` has settings by section and key; empty ones were not given.
    """
    path = place if place is not None else found()
    tables = {} if path is None else read(path)
    told = "the command line" if path is None else str(path)
    config = checked(tables, told)
    if path is not None:
        config = _beside(config, path.parent)
    changed = {
        section: getattr(config, section).model_dump() | {k: v for k, v in given.items() if v not in (None, "", ())}
        for section, given in (over or {}).items()
    }
    return checked(config.model_dump() | changed, "the command line")


def found(folder: Path = Path()) -> Path | None:
    """The file of this folder that holds settings, if there is one."""
    if (folder / NAME).is_file():
        return folder / NAME
    shared = folder / SHARED
    return shared if shared.is_file() and "assay" in _parsed(shared).get("tool", {}) else None


def read(path: Path) -> Mapping[str, Any]:
    """The tables of a file as they stand."""
    if not path.is_file():
        raise InputError(f"there is no file {path}. Make one with: assay init DATA --target COLUMN")
    tables = _parsed(path)
    if path.name != SHARED:
        return tables
    if "assay" not in tables.get("tool", {}):
        raise InputError(f"{path} has no table [tool.assay].")
    return dict(tables["tool"]["assay"])


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}.") from error


def checked(tables: Mapping[str, Any], told: str) -> Config:
    """The tables as a ``Config``; ``InputError`` tells every fault at once."""
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        lines = [_fault(fault["loc"], fault["type"], fault["msg"], fault["input"]) for fault in error.errors()]
        count = f"{len(lines)} faults" if len(lines) > 1 else "a fault"
        raise InputError("\n  ".join([f"{told} has {count}", *lines])) from None


def _fault(place: Sequence[str | int], kind: str, said: str, given: Any) -> str:
    """One fault: where, what was found, what is needed."""
    where = ""
    for step in place:
        where += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    where = where.lstrip(".")
    if kind == "extra_forbidden":
        return f"{where}: there is no such {'key' if len(place) > 1 else 'section'}; {_nearest(place)}"
    if kind == "missing":
        return f"{where}: it is not there; a value is needed"
    shown = repr(given) if isinstance(given, str | int | float) else f"a {type(given).__name__}"
    needed = said.removeprefix("Input should be ").removeprefix("Value error, ").removeprefix("a valid ")
    needed = needed.replace("valid tuple", "list").replace("tuple", "list")
    return f"{where}: found {shown[:60]}; needed: {needed}"


def _nearest(place: Sequence[str | int]) -> str:
    """The key that a misspelt one is nearest to, or all there are."""
    sections: dict[str, type[BaseModel]] = {
        "model": ModelSection,
        "data": DataSection,
        "audit": AuditSection,
        "accept": Accepted,
    }
    kind = sections.get(str(place[0]), Config) if len(place) > 1 else Config
    known = list(kind.model_fields)
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _beside(config: Config, folder: Path) -> Config:
    """The same with paths that start at the file's folder."""

    def at(path: str) -> str:
        return path if not path else str(folder / path)

    def code(place: str) -> str:
        """FILE.py:FUNCTION lies beside the file; package.module:function lies nowhere."""
        file, colon, _ = place.rpartition(":")
        return place if colon and not file.endswith(".py") else at(place)

    model = {name: code(getattr(config.model, name)) for name in ("file", "architecture", "recipe")}
    data = {name: at(getattr(config.data, name)) for name in ("test", "train", "background")}
    audit = {name: at(getattr(config.audit, name)) for name in ("store", "out")}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=model),
            "data": config.data.model_copy(update=data),
            "audit": config.audit.model_copy(update=audit),
        }
    )
