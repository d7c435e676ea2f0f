# SPDX-License-Identifier: Apache-2.0
"""The flags of ``assay audit``, as the sections of assay.toml."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError
from assay.cli.concept_files import named_files

if TYPE_CHECKING:
    from assay.auditing.config import Config
    from assay.nouns.catalogue import Verb

SECTIONS = {"explain": "methods", "evaluate": "scores"}
"""Sections of assay.toml with the options of explanations and scores; those of other methods are in ``options``."""

SHARED = ("remove", "background", "comparison", "reference")
"""Options that an audit gives every method itself, so that their results can be compared."""


@Parameter(name="*")
@dataclass(frozen=True)
class ModelFlags:
    """How the model is loaded.

    Parameters
    ----------
    architecture
        FILE.py:FUNCTION that returns the untrained net whose weights the model file holds.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe, how the model was trained; enables repairs of failed checks.
    output
        What the model's scores are: logits, margin, probabilities or values.
    classes
        Names of the classes, in the order of the outputs.
    trust
        A further type that a skops file may name.
    unsafe_pickle
        Allow pickles, whose code is run. Only for files you trust.
    """

    architecture: str = ""
    recipe: str = ""
    output: str = ""
    classes: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    unsafe_pickle: bool = False

    def settings(self) -> dict[str, Any]:
        """The section ``model`` without its file."""
        lists = {"classes": self.classes, "trust": self.trust}
        texts = {"architecture": self.architecture, "recipe": self.recipe, "output": self.output}
        return {**texts, **_split(lists), "unsafe_pickle": self.unsafe_pickle or None}


@Parameter(name="*")
@dataclass(frozen=True)
class DataFlags:
    """The rows, and the roles of their columns.

    Parameters
    ----------
    data
        File of rows the model was not trained on: .csv, .parquet, .feather, .jsonl, .npy or .npz.
    target
        Column of the data (and of --train) that holds the true labels.
    train
        File of rows the model was trained on; enables the checks of membership, shortcuts and the train/test split.
    background
        File of background rows, which replace removed features; by default the training rows.
    sensitive
        Columns whose groups are compared; those that the model does not use are removed from its rows.
    favourable
        The favourable class; by default the last one.
    suspects
        Columns that should not affect decisions.
    concept
        NAME=FILE, rows that show a concept, in the form of the data; may be repeated. Enables the checks of concepts.
    ids
        Column of row ids; it is not given to the model.
    text
        Column of texts, for a model that reads text; by default the only such column.
    """

    data: Path | None = None
    target: str = ""
    train: Path | None = None
    background: Path | None = None
    sensitive: tuple[str, ...] = ()
    favourable: str = ""
    suspects: tuple[str, ...] = ()
    concept: tuple[str, ...] = ()
    ids: str = ""
    text: str = ""

    def settings(self) -> dict[str, Any]:
        """The section ``data``."""
        files = {"test": self.data, "train": self.train, "background": self.background}
        texts = {"target": self.target, "ids": self.ids, "text": self.text, "favourable": self.favourable}
        lists = {"sensitive": self.sensitive, "suspects": self.suspects}
        shown = {name: str(path) for name, path in named_files(self.concept, "--concept").items()}
        paths = {name: path_text(path) for name, path in files.items()}
        return {**paths, **texts, **_split(lists), "concepts": shown}


@Parameter(name="*")
@dataclass(frozen=True)
class DepthFlags:
    """How deep the audit goes, and what counts as a failure.

    Parameters
    ----------
    profile
        quick, standard (the default) or deep.
    methods
        Explainers to use instead of the profile's, such as shapley or tree_shapley.
    scores
        Scores to use instead of the profile's, such as deletion or morf.
    option
        METHOD.NAME=VALUE, an option of a method of the audit, such as lime.budget=1024 or disparity.combine=false; may
        be repeated. See: assay show METHOD.
    ask
        The target, a function of the outputs: logit, probability, margin, value, …; by default what suits the model.
    label
        The class that is explained; by default each row's predicted class.
    ball
        How far inputs may be moved by attacks and scores of stability, in the units of the rows, instead of the
        audit's own choice: linf:0.03 or l2:1, with bounds linf:0.03:0:1.
    settings_grid
        Also rank the explanations under other removals, targets, steps and signs; by default in profile deep.
    select
        Beginnings of check codes, such as SAN or SAN1: only these checks run.
    ignore
        Beginnings of check codes that are left out.
    level
        Joint confidence level of all verdicts; 0.95 by default.
    threshold
        CODE=NUMBER, the threshold of a check instead of its default, such as FAI101=0.2.
    seed
        Seed of all random draws; 0 by default.
    store
        Folder that stores finished steps; .assay/store by default.
    out
        Folder for results and page; audit by default.
    fail_on
        The mildest verdict that fails: fail (the default), undecided or never.
    require
        Beginnings of check codes that must have run.
    """

    profile: Literal["", "quick", "standard", "deep"] = ""
    methods: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    option: tuple[str, ...] = ()
    ask: str = ""
    label: str = ""
    ball: str = ""
    settings_grid: bool | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    level: float | None = None
    threshold: tuple[str, ...] = ()
    seed: int | None = None
    store: Path | None = None
    out: Path | None = None
    fail_on: Literal["", "fail", "undecided", "never"] = ""
    require: tuple[str, ...] = ()

    def settings(self) -> dict[str, dict[str, Any]]:
        """The sections ``audit``, ``thresholds``, ``methods``, ``scores`` and ``options``."""
        from assay.cli.options import parse_thresholds, split

        lists = {name: getattr(self, name) for name in ("methods", "scores", "select", "ignore", "require")}
        single = {
            name: getattr(self, name)
            for name in ("profile", "ask", "label", "ball", "settings_grid", "level", "seed", "fail_on")
        }
        files = {"store": path_text(self.store), "out": path_text(self.out)}
        return {
            "audit": {**single, **files, **_split(lists)},
            "thresholds": parse_thresholds(split(self.threshold)),
            **_options_by_verb(self.option),
        }


NO_MODEL_FLAGS, NO_DATA_FLAGS, NO_DEPTH_FLAGS = ModelFlags(), DataFlags(), DepthFlags()
"""Nothing given."""


def command_text(model: str, flags: Sequence[Any], title: str = "", config: Path | None = None) -> str:
    """The command that repeats an audit: the model, every flag that is given, and the file that was read.

    ``--out`` and ``--store`` are left out, since they change no result.
    """
    words = ["assay", "audit", *([model] if model else [])]
    for name, value in ((one.name, getattr(group, one.name)) for group in flags for one in fields(group)):
        flag = f"--{name.replace('_', '-')}"
        if value in (None, "", (), False) or name in ("out", "store"):
            continue
        words += [flag] if value is True else [w for v in _as_tuple(value) for w in (flag, str(v))]
    words += ["--title", title] if title else []
    words += ["--config", str(config)] if config is not None else []
    return shlex.join(words)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def path_text(path: Path | None) -> str:
    """A path as the text of assay.toml; empty if it is not given."""
    return "" if path is None else str(path)


def _split(lists: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    from assay.cli.options import split

    return {name: split(words) for name, words in lists.items()}


def _options_by_verb(words: Sequence[str]) -> dict[str, dict[str, dict[str, str]]]:
    """METHOD.NAME=VALUE words as texts by section, method and option."""
    from assay.cli.catalogue import methods

    found: dict[str, dict[str, dict[str, str]]] = {"methods": {}, "scores": {}, "options": {}}
    verbs = ("certify", "attack", "diagnose", "evaluate", "explain")
    names = {m.name: verb for verb in verbs for m in (methods() if words else ()) if m.verb == verb}
    for word in words:
        place, equals, value = word.partition("=")
        verb, _, rest = place.partition(".")
        method, dot, option = (rest if verb in verbs else place).partition(".")
        if not (equals and dot):
            raise InputError(f"--option {word}: write METHOD.NAME=VALUE, such as lime.budget=1024.")
        if method not in names:
            import difflib

            near = difflib.get_close_matches(method, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see: assay list."
            raise InputError(f"--option {word}: {method!r} is no method of an audit; {hint}")
        found[SECTIONS.get(names[method], "options")].setdefault(method, {})[option] = value
    return found


def method_options(
    verb: Verb, named: Sequence[str], options: Mapping[str, Mapping[str, Any]], background: Any = None
) -> tuple[str, ...] | dict[str, dict[str, Any]]:
    """The methods that an audit is asked for with their options, as ``assay.audit`` takes them.

    ``InputError`` names an option of a method that is not named where others are, and one that the audit gives itself.
    """
    flag = "--methods" if verb == "explain" else "--scores"
    unnamed = [name for name in options if name not in named]
    if unnamed and named:
        raise InputError(
            f"options are given for {verb}.{unnamed[0]}, which is not among the methods asked for "
            f"({', '.join(named)}); name it: {flag} {','.join((*named, unnamed[0]))}."
        )
    if not options:
        return tuple(named)
    return {name: _parsed_options(verb, name, options.get(name, {}), background) for name in named}


def profile_options(config: Config, background: Any = None) -> dict[str, dict[str, Any]]:
    """The options of methods that the profile chooses, as ``assay.audit`` takes them."""
    from assay.cli.catalogue import methods

    explained = {} if config.audit.methods else config.methods
    scored = {} if config.audit.scores else config.scores
    found = {name: _parsed_options("explain", name, given, background) for name, given in explained.items()}
    found |= {name: _parsed_options("evaluate", name, given, background) for name, given in scored.items()}
    for place, given in config.options.items():
        verb, _, name = place.rpartition(".")
        verbs = [one for one in ("diagnose", "attack", "certify", "explain", "evaluate") if verb in ("", one)]
        method = next((m for m in methods() if m.name == name and m.verb in verbs), None)
        found[place] = dict(given) if method is None else _parsed_options(method.verb, name, given, background)
    return found


def _parsed_options(verb: Verb, name: str, given: Mapping[str, Any], background: Any) -> dict[str, Any]:
    from assay.cli.options import parsed
    from assay.cli.request import method_of

    method = method_of(verb, name)
    own = [option for option in given if option in SHARED and option in method.options]
    if own:
        raise InputError(
            f"{verb}.{name}: an audit gives all methods the same {own[0]}; leave it out, or give the rows that "
            f"fill absent features with --background FILE."
        )
    return parsed(method, [f"{key}={_text(value)}" for key, value in given.items()], background)


def _text(value: Any) -> str:
    """A value of assay.toml as it is written on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)
