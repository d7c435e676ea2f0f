# SPDX-License-Identifier: Apache-2.0
"""The experiment ``shift`` of ``assay experiment``: its options, its run, and the files it writes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.experiments.shift import ShiftSettings
    from assay.nouns.comparisons.shift_experiment import ShiftExperiment, ShiftLine
    from assay.nouns.inputs.recipe import Recipe


@Parameter(name="*")
@dataclass(frozen=True)
class ShiftFlags:
    """Options of the experiment ``shift``.

    Parameters
    ----------
    recipe
        shift: FILE.py:FUNCTION that returns an assay.Recipe; may be repeated, to compare ways of training.
    of
        shift: the method that explains.
    of_option
        shift: NAME=VALUE, an option of that method; may be repeated.
    ask
        shift: the target that is explained; by default what suits the model.
    sizes
        shift: sizes of the noise on the training data, in standard deviations of a column, with commas between them.
    strengths
        shift: strengths given to the recipes (weight decay, …), with commas between them.
    softplus
        shift: sharpness of softplus in place of ReLU after training, with commas between them; empty for none.
    top
        shift: number of top features compared.
    repeats
        shift: pairs of models for each setting, each of another seed.
    measure
        shift: the measure in the plot: sign, feature, direction, signed_set, distance, relative or turned.
    """

    recipe: tuple[str, ...] = ()
    of: str = "saliency"
    of_option: tuple[str, ...] = ()
    ask: str = ""
    sizes: str = "0.1"
    strengths: str = "0"
    softplus: str = ""
    top: int = 5
    repeats: int = 5
    measure: str = "sign"


def refuse_unread(given: Mapping[str, Any], command: Callable[..., Any]) -> None:
    """``InputError`` for options of the command that differ from their defaults and that ``shift`` does not read."""
    read = {"name", "data", "target", "ids", "rows", "seed", "out", "dry_run", "quiet", "shift"}
    parameters = inspect.signature(command).parameters.values()
    unread = [one.name for one in parameters if one.name not in read and given[one.name] != one.default]
    if unread:
        flags = ", ".join("MODEL" if name == "model" else f"--{name.replace('_', '-')}" for name in unread)
        raise InputError(f"experiment shift does not read {flags}; leave it out.")


def run_shift_experiment(
    flags: ShiftFlags, data: Path | None, *, target: str, ids: str, rows: int, seed: int, out: Path, dry_run: bool
) -> int:
    """Train, measure, and write shift.assay, shift.json, shift.csv and shift.svg to the folder ``out``."""
    from assay.cli.options import parsed
    from assay.cli.read_rows import read_rows
    from assay.cli.request import method_of
    from assay.experiments.shift import run_shift, trained_models

    if data is None or not flags.recipe:
        raise InputError(
            "experiment shift needs how to train and the rows to explain: --recipe FILE.py:FUNCTION --data FILE."
        )
    settings = _settings(flags)
    recipes = _recipes(flags.recipe)
    table = read_rows(data, target, ids)
    part = slice(0, rows or None)
    x, labels = table.rows[part], () if table.labels is None else table.labels[part]
    trained = trained_models(len(recipes), settings)
    sys.stderr.write(f"{trained} models are trained, {len(x)} rows explained by {flags.of}\n")
    if dry_run:
        return 0
    found = run_shift(
        recipes if len(recipes) > 1 else next(iter(recipes.values())),
        _as_trained(x, next(iter(recipes.values()))),
        labels,
        of=flags.of,
        of_options=parsed(method_of("explain", flags.of), flags.of_option, None),
        target=flags.ask or None,
        settings=settings,
        seed=seed,
    )
    _write(found, flags.measure, out)
    _print(found, flags.measure)
    return 0


def _settings(flags: ShiftFlags) -> ShiftSettings:
    from assay.experiments.shift import ShiftSettings
    from assay.nouns.comparisons.shift_experiment import MEASURES

    if flags.measure not in MEASURES:
        raise InputError(f"--measure {flags.measure}; there are {', '.join(MEASURES)}.")
    return ShiftSettings(
        _numbers("sizes", flags.sizes),
        _numbers("strengths", flags.strengths),
        _numbers("softplus", flags.softplus) if flags.softplus else (),
        k=flags.top,
        repeats=flags.repeats,
    )


def _write(found: ShiftExperiment, measure: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    found.save(out / "shift.assay")
    (out / "shift.json").write_text(found.to_json(), encoding="utf-8")
    (out / "shift.csv").write_text(_csv(found), encoding="utf-8")
    found.plot(measure=measure).save(out / "shift.svg")


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(f"--{flag} {text!r}; give numbers with commas between them, such as 0.1,0.5.") from error


def _recipes(places: tuple[str, ...]) -> dict[str, Recipe]:
    """The recipes by the names of their functions."""
    from assay.model.files.user_code import load_recipe

    names = [place.rpartition(":")[2] for place in places]
    if len(set(names)) < len(names):
        raise InputError(f"--recipe: two functions have one name: {', '.join(names)}. Rename one.")
    return {name: load_recipe(place) for name, place in zip(names, places)}


def _as_trained(x: Any, recipe: Recipe) -> Any:
    """The rows as a matrix where the recipe trains on one."""
    import numpy as np

    if not isinstance(recipe.x, np.ndarray) or isinstance(x, np.ndarray):
        return x
    try:
        return x.to_numpy().astype(recipe.x.dtype)
    except (ValueError, TypeError) as error:
        raise InputError(f"the recipe trains on a matrix of numbers; the rows of the data are none: {error}") from error


def _record(line: ShiftLine) -> Mapping[str, Any]:
    """One line of the CSV file."""
    record: dict[str, Any] = {
        "recipe": line.recipe,
        "strength": line.strength,
        "softplus": "" if line.sharpness is None else line.sharpness,
        "shift": line.shift,
        "pairs": line.pairs,
        "accuracy before": line.accuracy_before,
        "accuracy after": line.accuracy_after,
        "unequal": line.unequal,
    }
    for name, mean in line.means.items():
        interval = line.intervals[name]
        record |= {name: mean, f"{name} low": interval.low, f"{name} high": interval.high}
        record[f"{name} retraining"] = line.retraining[name]
    return record | {"weights": line.weights, "constant": line.constant}


def _csv(found: ShiftExperiment) -> str:
    import csv
    import io

    text = io.StringIO()
    records = [_record(line) for line in found.lines]
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _print(found: ShiftExperiment, measure: str) -> None:
    """One line for each setting: the measure with its interval, between seeds, and the accuracies."""
    from rich import box
    from rich.table import Table

    from assay.cli.printing import printable, terminal

    block = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    heads = ("recipe", "strength", "softplus", "shift", f"{measure} [95 %]", "seeds", "accuracy")
    for head in heads:
        block.add_column(head, no_wrap=head != "recipe")
    for line in found.lines:
        interval = line.intervals[measure]
        block.add_row(
            printable(line.recipe or "recipe"),
            f"{line.strength:g}",
            "–" if line.sharpness is None else f"{line.sharpness:g}",
            f"{line.shift:g}",
            f"{line.means[measure]:.2f} [{interval.low:.2f}, {interval.high:.2f}]",
            f"{line.retraining[measure]:.2f}",
            f"{line.accuracy_before:.2f} → {line.accuracy_after:.2f}" + ("*" if line.unequal else ""),
        )
    terminal().print(block)
    if any(line.unequal for line in found.lines):
        terminal().print("* the accuracies before and after the shift differ; not comparable", soft_wrap=True)
