# SPDX-License-Identifier: Apache-2.0
"""``assay.toml``: the configuration of an audit."""

from __future__ import annotations

import datetime
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)

from assay.basics.errors import InputError
from assay.nouns.records.record import Waiver

NAME, SHARED = "assay.toml", "pyproject.toml"
"""The configuration file, and the file whose table [tool.assay] may replace it."""

Texts = tuple[StrictStr, ...]
Options = dict[StrictStr, StrictStr | StrictBool | StrictInt | StrictFloat | list[StrictStr | StrictInt | StrictFloat]]
Word = Annotated[StrictStr, Field(min_length=1)]


def _check_day(given: Any) -> Any:
    """Accept a TOML date or a text; a number would be read as seconds since 1970."""
    if isinstance(given, str) or (isinstance(given, datetime.date) and not isinstance(given, datetime.datetime)):
        return given
    raise ValueError("a day like 2027-01-31")


Day = Annotated[datetime.date, BeforeValidator(_check_day)]


class Section(BaseModel):
    """A table of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(Section):
    """The model: a file, or your code that returns it."""

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
        default=False, description="Allow pickles, whose code is run. Only for files you trust."
    )


class DataSection(Section):
    """Rows, labels, and the roles of columns."""

    test: StrictStr = Field(default="", description="File of rows the model was not trained on.")
    train: StrictStr = Field(default="", description="File of rows the model was trained on.")
    background: StrictStr = Field(default="", description="File of background rows, which replace removed features.")
    target: StrictStr = Field(default="", description="Column that holds the true labels.")
    ids: StrictStr = Field(default="", description="Column of row ids; it is not given to the model.")
    text: StrictStr = Field(default="", description="Column of texts, for a model that reads text.")
    sensitive: Texts = Field(default=(), description="Columns whose groups are compared.")
    favourable: StrictStr = Field(default="", description="The favourable class; by default the last one.")
    suspects: Texts = Field(default=(), description="Columns that should not affect decisions.")
    concepts: dict[StrictStr, Word] = Field(
        default_factory=dict, description='Files of rows that show a concept, by its name: stripes = "stripes.npz".'
    )


class AuditSection(Section):
    """Depth of the audit, and what counts as a failure."""

    profile: Literal["quick", "standard", "deep"] = Field(default="standard", description="Depth of the audit.")
    methods: Texts = Field(default=(), description="Explainers to use instead of the profile's, by name.")
    scores: Texts = Field(default=(), description="Scores to use instead of the profile's, by name.")
    settings_grid: StrictBool | None = Field(
        default=None,
        description="Also rank the explanations under other settings of the score; by default in profile deep.",
    )
    ask: StrictStr = Field(
        default="", description="The target, a function of the outputs: logit, probability, margin, value, …"
    )
    label: StrictStr = Field(
        default="", description="The class that is explained; by default each row's predicted one."
    )
    ball: StrictStr = Field(
        default="", description="How far inputs may be moved: linf:0.03, or l2:1:0:255 with bounds."
    )
    select: Texts = Field(default=(), description="Beginnings of check codes: only these checks run.")
    ignore: Texts = Field(default=(), description="Beginnings of check codes that are left out.")
    level: float = Field(default=0.95, gt=0, lt=1, strict=True, description="Joint confidence level of all verdicts.")
    seed: StrictInt = Field(default=0, ge=0, description="Seed of all random draws.")
    store: Word = Field(default=".assay/store", description="Folder that stores finished steps.")
    out: Word = Field(default="audit", description="Folder for results and page.")
    fail_on: Literal["fail", "undecided", "never"] = Field(
        default="fail", description="The mildest verdict that fails."
    )
    require: Texts = Field(default=(), description="Beginnings of check codes that must have run.")


class WaiverSection(Section):
    """A waiver: a failing check that its owner accepts until a day (included)."""

    code: Word = Field(description="Check code, or its beginning.")
    subject: StrictStr = Field(default="", description="Explanation, column or group of the check; empty for all.")
    owner: Word = Field(description="Who is responsible.")
    reason: Word = Field(description="Why it is accepted.")
    until: Day = Field(description="Last day on which it is accepted, such as 2027-01-31.")

    @property
    def waiver(self) -> Waiver:
        """As a ``Waiver``."""
        return Waiver(self.code, self.owner, self.reason, self.until.isoformat(), self.subject)


class Config(Section):
    """A whole ``assay.toml``, or the table [tool.assay] of a pyproject.toml."""

    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    audit: AuditSection = Field(default_factory=AuditSection)
    thresholds: dict[StrictStr, Annotated[float, Field(strict=True)]] = Field(
        default_factory=dict, description="Thresholds of checks other than the default, by code: FAI101 = 0.2."
    )
    methods: dict[StrictStr, Options] = Field(
        default_factory=dict, description="Options of explainers named in audit.methods: [methods.lime] budget = 1024."
    )
    scores: dict[StrictStr, Options] = Field(
        default_factory=dict, description="Options of scores named in audit.scores, in the same form."
    )
    options: dict[StrictStr, Options] = Field(
        default_factory=dict,
        description="Options of other methods of the profile, by name: [options.disparity] combine = false.",
    )
    accept: tuple[WaiverSection, ...] = Field(default=(), description="Waivers: failing checks that an owner accepts.")

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """All waivers of the file."""
        return tuple(item.waiver for item in self.accept)


def load_config(place: Path | None, over: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """The settings of this file, or of the one in the current folder, overridden by those of the command line.

    Paths in the file are relative to the file. ``over`` has settings by section and key; empty values are not given.
    """
    path = place if place is not None else find_config_file()
    tables = {} if path is None else read_tables(path)
    config = validate_config(tables, "the command line" if path is None else str(path))
    if path is not None:
        config = _resolve_paths(config, path.parent)
    changed = {section: _merged(_as_dict(getattr(config, section)), given) for section, given in (over or {}).items()}
    return validate_config(config.model_dump() | changed, "the command line")


def _as_dict(section: Any) -> dict[str, Any]:
    return section.model_dump() if isinstance(section, BaseModel) else dict(section)


def _merged(section: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The section with what is given; tables inside it, such as the options of a method, are merged, too."""
    values = {name: value for name, value in given.items() if value not in (None, "", ())}
    return section | {
        name: section[name] | value if isinstance(value, dict) and isinstance(section.get(name), dict) else value
        for name, value in values.items()
    }


def find_config_file(folder: Path = Path()) -> Path | None:
    """The configuration file of this folder, if there is one."""
    if (folder / NAME).is_file():
        return folder / NAME
    shared = folder / SHARED
    return shared if shared.is_file() and "assay" in _parse(shared).get("tool", {}) else None


def read_tables(path: Path) -> Mapping[str, Any]:
    """The tables of a configuration file, not yet validated."""
    if not path.is_file():
        raise InputError(f"there is no file {path}. Create one with: assay init DATA --target COLUMN")
    tables = _parse(path)
    if path.name != SHARED:
        return tables
    if "assay" not in tables.get("tool", {}):
        raise InputError(f"{path} has no table [tool.assay].")
    return dict(tables["tool"]["assay"])


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from error


def validate_config(tables: Mapping[str, Any], source: str) -> Config:
    """The tables as a ``Config``; ``InputError`` lists all errors at once. ``source`` names the file in the message."""
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        lines = [_describe_error(e["loc"], e["type"], e["msg"], e["input"]) for e in error.errors()]
        count = f"{len(lines)} errors" if len(lines) > 1 else "an error"
        raise InputError("\n  ".join([f"{source} has {count}", *lines])) from None


def _describe_error(place: Sequence[str | int], kind: str, message: str, given: Any) -> str:
    """One error: where it is, what was found, what is needed."""
    where = ""
    for step in place:
        where += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    where = where.lstrip(".")
    if kind == "extra_forbidden":
        return f"{where}: there is no such {'key' if len(place) > 1 else 'section'}; {_suggest(place)}"
    if kind == "missing":
        return f"{where}: missing; a value is needed"
    found = repr(given) if isinstance(given, str | int | float) else f"a {type(given).__name__}"
    needed = message.removeprefix("Input should be ").removeprefix("Value error, ").removeprefix("a valid ")
    needed = needed.replace("valid tuple", "list").replace("tuple", "list")
    return f"{where}: found {found[:60]}; needed: {needed}"


def _suggest(place: Sequence[str | int]) -> str:
    """The key closest to a misspelt one, or all keys."""
    sections: dict[str, type[BaseModel]] = {
        "model": ModelSection,
        "data": DataSection,
        "audit": AuditSection,
        "accept": WaiverSection,
    }
    kind = sections.get(str(place[0]), Config) if len(place) > 1 else Config
    known = list(kind.model_fields)
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _resolve_paths(config: Config, folder: Path) -> Config:
    """The configuration with paths relative to the file's folder."""

    def at(path: str) -> str:
        return path if not path else str(folder / path)

    def code(place: str) -> str:
        """FILE.py:FUNCTION is a path; package.module:function is not."""
        file, colon, _ = place.rpartition(":")
        return place if colon and not file.endswith(".py") else at(place)

    model = {name: code(getattr(config.model, name)) for name in ("file", "architecture", "recipe")}
    data: dict[str, Any] = {name: at(getattr(config.data, name)) for name in ("test", "train", "background")}
    data["concepts"] = {name: at(path) for name, path in config.data.concepts.items()}
    audit = {name: at(getattr(config.audit, name)) for name in ("store", "out")}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=model),
            "data": config.data.model_copy(update=data),
            "audit": config.audit.model_copy(update=audit),
        }
    )
