# SPDX-License-Identifier: Apache-2.0
"""The command ``assay experiment``."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from assay.basics.errors import InputError
from assay.cli.shift_experiment import ShiftFlags, refuse_unread, run_shift_experiment

if TYPE_CHECKING:
    from assay.experiments.mus_subject import MusSettings, Subject
    from assay.experiments.mus_subjects import Sizes
    from assay.nouns.comparisons.mus_experiment import MusExperiment, SkippedSubject

NOT_REPEATED = ("name", "model", "out", "dry_run", "quiet")
"""Arguments that do not change the results, or that are written first."""

OF_MODEL = (
    "target", "ids", "background", "architecture", "output", "classes", "trust", "unsafe_pickle", "text", "seed",
)  # fmt: skip
"""Arguments with which a caller's model and rows are read."""


def experiment(
    name: str,
    model: str = "",
    /,
    *,
    only: Sequence[str] = (),
    folder: Path | None = None,
    data: Path | None = None,
    target: str = "",
    ids: str = "",
    text: str = "",
    background: Path | None = None,
    patch: int = 0,
    architecture: str = "",
    output: str = "",
    classes: tuple[str, ...] = (),
    trust: tuple[str, ...] = (),
    unsafe_pickle: bool = False,
    rows: int = 0,
    labelled: int = 0,
    smoothing: str = "1,1/2,1/4,1/8",
    q: int = 16,
    share: float = 0.25,
    budget: int = 256,
    search: int = 128,
    seed: int = 0,
    out: Path | None = None,
    dry_run: bool = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
    shift: ShiftFlags | None = None,
) -> int:
    """Run a published experiment again: mus, certified stability by multiplicative smoothing, or shift.

    shift trains pairs of models by your --recipe, before and after noise on the training data, for several strengths
    and recipes, and measures how far the explanations of your --data change (assay.shift_study).

    mus: for each smoothing λ it measures on how many rows the top features of each explanation, and random ones, are
    certified to keep the class when features are added or removed, what a search for a change finds, and the accuracy
    that smoothing costs. Without a model it runs on photographs, digits, tweets and a table; what needs absent data or
    packages is skipped with the reason. With MODEL and --data it runs on your model. It writes results, plots and a
    page to a folder.

    Parameters
    ----------
    name
        The experiment: mus or shift.
    model
        A model file, or FILE.py:FUNCTION that returns the trained model; by default the subjects of the package.
    only
        Run only these subjects: photographs-7, photographs-14, digits, digits-masked, tweets, credit, credit-masked.
    folder
        Folder of data that does not ship with the package: imagenet-val-boxes (pictures), tweeteval (tweets).
    data
        File of rows of your model: .csv, .parquet, .feather, .jsonl, .npy or .npz.
    target
        Column that holds the true labels, for the accuracy; the model does not see it.
    ids
        Column that names the rows; the model does not see it.
    text
        Column of texts, for a model that reads text; by default the only such column.
    background
        File of rows that fill removed features; by default other rows of a table, zeros of an image, the mask token.
    patch
        Side in pixels of the square patches of your images; 0 cuts them into about 7 × 7.
    architecture
        Code that returns the untrained net whose weights the file holds.
    output
        What the model's scores are: logits, margin, probabilities or values.
    classes
        Names of the classes, in the order of the outputs.
    trust
        A further type that a skops file may name.
    unsafe_pickle
        Let the code in a pickle run. Only for files you trust.
    rows
        Rows explained, of each subject; 0 for its own number (20 of your model).
    labelled
        Rows for the accuracy, of each subject; 0 for its own number (all of your model).
    smoothing
        The shares λ of features kept, with commas between them; λ times q must be a whole number.
    q
        Masks of the smoothed model: evaluations of the model for one of the smoothed one.
    share
        Share of the features that is explained.
    budget
        Coalitions a row of Shapley values and LIME.
    search
        Sets a row that the search for a change evaluates; 0 for none.
    seed
        Root of all randomness.
    out
        Folder for the results, the plots and index.html; by default mus or shift.
    dry_run
        Print how many model evaluations each subject takes at most, and stop.
    quiet
        Print no progress.
    """
    given = dict(locals())
    if name not in ("mus", "shift"):
        raise InputError(f"no experiment {name!r}; there are mus and shift.")
    if rows < 0 or labelled < 0:
        raise InputError(f"--rows {rows} --labelled {labelled}; give numbers of rows, or 0 for the usual ones.")
    out = out or Path(name)
    if not dry_run and out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder.")
    if name == "shift":
        refuse_unread(given, experiment)
        return run_shift_experiment(
            shift or ShiftFlags(), data, target=target, ids=ids, rows=rows, seed=seed, out=out, dry_run=dry_run
        )
    if shift is not None:
        raise InputError("experiment mus trains nothing: --recipe, --of, --sizes and the like are options of shift.")
    return _run_mus(given, out)


def _run_mus(given: Mapping[str, Any], out: Path) -> int:
    """Run the experiments on smoothing, and write and print what was found."""
    from assay.cli.terminal.progress import ProgressLine
    from assay.experiments.mus import run_mus
    from assay.experiments.mus_subject import MusSettings

    smoothing = _fractions(given["smoothing"])
    settings = MusSettings(smoothing, given["q"], given["share"], budget=given["budget"], search=given["search"])
    settings.check()
    subjects = _subjects(given, settings)
    _print_plan(subjects)
    if given["dry_run"]:
        return 0
    with ProgressLine(unit="steps", quiet=given["quiet"]) as line:
        found = run_mus(subjects, seed=given["seed"], progress=lambda text: setattr(line, "label", text))
    _write(found, out, _command(given))
    _print_tables(found)
    return 0


def _subjects(given: Mapping[str, Any], settings: MusSettings) -> list[Subject | SkippedSubject]:
    """The caller's model, or the subjects of the package."""
    from assay.basics.seed import Seed
    from assay.cli.terminal.progress import ProgressLine
    from assay.experiments.mus_subjects import SUBJECTS, Sizes, make_subjects

    sizes, only, data = Sizes(given["rows"], given["labelled"]), given["only"], given["data"]
    if given["model"]:
        if only or data is None:
            raise InputError("with a model give its rows, --data FILE, and no --only.")
        return [_own(given["model"], data, given["patch"], sizes, settings, {name: given[name] for name in OF_MODEL})]
    if data is not None:
        raise InputError("--data needs the model that reads it: assay experiment mus MODEL --data FILE.")
    with ProgressLine(unit="subjects", label="making the subjects", quiet=given["quiet"]) as line:
        line.planned = len(only or SUBJECTS)
        return make_subjects(only, given["folder"], sizes, settings, Seed(given["seed"]))


def _own(model: str, data: Path, patch: int, sizes: Sizes, settings: MusSettings, given: dict[str, Any]) -> Subject:
    """The subject of the caller's model and rows."""
    from assay.basics.seed import Seed
    from assay.cases.removals import Marginal
    from assay.cli.request import Request
    from assay.experiments.mus_subjects import own_subject

    loaded, request = Request(data, **given).open(model)
    table = request.table()
    background = request.other_rows(request.background)
    return own_subject(
        loaded,
        request.model_rows(table),
        table.labels,
        ids=table.ids,
        patch=patch,
        removal=None if background is None else Marginal(background),
        sizes=sizes,
        settings=settings,
        seed=Seed(request.seed),
    )


def _fractions(text: str) -> tuple[float, ...]:
    """``1,1/2,1/4`` as numbers, the largest first."""
    from fractions import Fraction

    try:
        return tuple(sorted({float(Fraction(word.strip())) for word in text.split(",")}, reverse=True))
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--smoothing {text!r}; give shares with commas between them, such as 1,1/2,1/4.") from error


def _print_plan(subjects: Sequence[Subject | SkippedSubject]) -> None:
    """What each subject takes at most, and what is skipped, on standard error."""
    from assay.cli.printing import printable
    from assay.experiments.mus import planned_evaluations
    from assay.experiments.mus_subject import Subject

    for one in subjects:
        if isinstance(one, Subject):
            sizes = f"{len(one.case)} rows explained, {len(one.labelled or one.case)} for the accuracy"
            sys.stderr.write(
                f"{printable(one.name)}: at most {planned_evaluations(one):,} model evaluations; {sizes}\n"
            )
        else:
            sys.stderr.write(f"{printable(one.name)}: skipped, {printable(one.reason)}\n")


def _command(asked: Mapping[str, Any]) -> str:
    """The command that gives the same results: the arguments that are not the usual ones."""
    words = ["assay", "experiment", asked["name"], *([asked["model"]] if asked["model"] else [])]
    for option, parameter in inspect.signature(experiment).parameters.items():
        value = asked[option]
        if option in NOT_REPEATED or value == parameter.default:
            continue
        flag = f"--{option.replace('_', '-')}"
        values = list(value) if isinstance(value, tuple | list) else [value]
        words += [word for one in values for word in ([flag] if one is True else [flag, str(one)])]
    return shlex.join(words)


def _write(found: MusExperiment, out: Path, command: str) -> None:
    """The results, tables, plots and page, in one folder."""
    from assay.report.experiment.page import render_mus
    from assay.report.experiment.tables import to_markdown
    from assay.report.plots.kinds.smoothing_curves import draw_accuracy_curves, draw_certified_shares

    out.mkdir(parents=True, exist_ok=True)
    found.save(out / "mus.assay")
    (out / "mus.json").write_text(found.to_json(), encoding="utf-8")
    (out / "mus.md").write_text(to_markdown(found), encoding="utf-8")
    (out / "index.html").write_text(render_mus(found, command), encoding="utf-8")
    for place, subject in enumerate(found.subjects):
        draw_certified_shares(found, subject=subject.name).save(out / f"certified-{place + 1}.svg")
    if found.subjects:
        draw_accuracy_curves(found).save(out / "accuracy.svg")


def _print_tables(found: MusExperiment) -> None:
    """The accuracy, and the share of rows that are consistent and certified at radius 1, of each subject."""
    from assay.cli.printing import printable, terminal
    from assay.report.experiment.tables import ACCURACY_HEADS, accuracy_rows, certified_matrix

    console = terminal()
    for subject in found.subjects:
        console.print(printable(f"{subject.name}: {subject.text}"), soft_wrap=True)
        console.print(_block(ACCURACY_HEADS, accuracy_rows(found, subject.name)))
        console.print("share of rows that are consistent and certified when one feature is added")
        console.print(_block(*certified_matrix(found, subject.name)))
        for note in subject.notes:
            console.print(printable(f"note: {note}"), soft_wrap=True)
    for one in found.skipped:
        console.print(printable(f"skipped {one.name}: {one.reason}"), soft_wrap=True)


def _block(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Any:
    """A table for the terminal."""
    from rich import box
    from rich.table import Table

    block = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        block.add_column(head)
    for line in lines:
        block.add_row(*line)
    return block
