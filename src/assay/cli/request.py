# SPDX-License-Identifier: Apache-2.0
"""What the commands on one method share: the model, the rows, and the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.cli.read_rows import DataTable
    from assay.model.model import Model
    from assay.nouns.catalogue import Cost, Method
    from assay.nouns.inputs.recipe import Recipe
    from assay.nouns.results.result import Explanation


@Parameter(name="*")
@dataclass(frozen=True)
class Request:
    """The model, the rows, and the target explained.

    Parameters
    ----------
    data
        File of rows: .csv, .parquet, .feather, .jsonl, .npy or .npz.
    target
        Column that holds the true labels; the model does not see it.
    ids
        Column that names the rows; the model does not see it.
    rows
        Only the first so many rows; 0 for all.
    background
        File of rows that fill removed features.
    ask
        The target, a function of the outputs: logit, probability, margin, value, …; by default what suits the model.
    label
        The class explained: its name, predicted or runner_up; by default the last of two classes, else the predicted.
    option
        NAME=VALUE, an option of the method; may be repeated. See: assay show METHOD.
    seed
        Root of all randomness.
    format
        text or json.
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
    text
        Column of texts, for a model that reads text; by default the only such column.
    quiet
        Print no progress.
    hidden
        Further columns that the model does not see; set by commands, not on the command line.
    files
        The data files, read in one way; set by commands, not on the command line.
    """

    data: Path
    target: str = ""
    ids: str = ""
    rows: int = 0
    background: Path | None = None
    ask: str = ""
    label: str = "default"
    option: tuple[str, ...] = ()
    seed: int = 0
    format: Literal["text", "json"] = "text"
    architecture: str = ""
    output: str = ""
    classes: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    unsafe_pickle: bool = False
    text: str = ""
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False
    hidden: Annotated[tuple[str, ...], Parameter(parse=False)] = ()
    files: Annotated[Any, Parameter(parse=False)] = None

    def open(self, place: str, *further: Path | None) -> tuple[Model, Request]:
        """The model, and the request with its data files and ``further`` ones, read as the model was trained."""
        from assay.cli.read_rows import DataFiles

        model = self.model(place)
        return model, replace(self, files=DataFiles.of(model, self.data, self.background, *further))

    def model(self, place: str) -> Model:
        """The model, with a meter of its own."""
        from assay.cli.options import split
        from assay.model.files.load import load_model

        model = load_model(
            place,
            architecture=self.architecture,
            classes=split(self.classes) or None,
            output=self.output or None,
            trust=self.trust,
            unsafe_pickle=self.unsafe_pickle,
        )
        return replace(model, meter=model.meter.separate())

    def table(self) -> DataTable:
        """The rows, cut to ``rows``."""
        from assay.cli.read_rows import DataTable

        whole: DataTable = self.files.read(self.data, self.target, self.ids)
        if self.rows < 0:
            raise InputError(f"--rows {self.rows}; give a number of rows, or 0 for all.")
        if not self.rows:
            return whole
        part = slice(0, self.rows)
        labels = None if whole.labels is None else whole.labels[part]
        return DataTable(whole.rows[part], labels, None if whole.ids is None else whole.ids[part], whole.path)

    def other_rows(self, path: Path | None) -> Any:
        """Rows of another file in the form of the data, without columns that the model does not see."""
        if path is None:
            return None
        table: DataTable = self.files.read(path)
        return self.model_rows(table.without([name for name in (self.target, self.ids, *self.hidden) if name]))

    def model_rows(self, table: DataTable) -> Any:
        """The rows of a table as the model takes them: the table, or its texts."""
        return table.model_rows(self.files.model, self.text)

    def case(self, model: Model, table: DataTable, label: Any = "") -> Case:
        """The case: the model, the rows, the target and the class."""
        from assay.cases.new_case import case
        from assay.nouns.inputs.target import LOSSES

        chosen = self.label if label == "" else label
        if self.ask in LOSSES and label == "":
            chosen = self._truth(table)
        return case(model, self.model_rows(table), target=self.ask or None, label=chosen, ids=table.ids, seed=self.seed)

    def _truth(self, table: DataTable) -> Any:
        """The true labels of the rows, of which a loss is a function."""
        if table.labels is None:
            raise InputError(f"--ask {self.ask} needs the true labels of the rows: --target COLUMN.")
        return table.labels

    def progress(self, method: Method, case: Case, options: Mapping[str, Any], again: Cost | None = None) -> Any:
        """The progress of one call of a method, as a context; ``again`` is the cost of its explanation."""
        from assay.cli.terminal.progress import meter_progress

        name = f"{method.verb}.{method.name}"
        return meter_progress(case.model.meter, name, planned_cost(method, case, options, again), self.quiet)

    def options(self, method: Method) -> dict[str, Any]:
        """The method's options; a background also fills removed features, unless ``remove`` says otherwise."""
        from assay.cli.options import parsed

        background = self.other_rows(self.background)
        options = parsed(method, self.option, background)
        if background is not None:
            from assay.cases.removals import Marginal

            if "remove" in method.options:
                options.setdefault("remove", Marginal(background))
            for name in {"background", "comparison", "reference"} & set(method.options):
                options[name] = background
        return options


def method_of(verb: str, name: str) -> Method:
    """The method of this name."""
    from assay.cli.catalogue import methods
    from assay.nouns.catalogue import find

    methods()
    return find(verb, name)


def planned_cost(method: Method, case: Case, options: Mapping[str, Any], again: Cost | None = None) -> Cost | None:
    """The planned cost of a call with the model's own output; ``None`` where it is unknown, or the call is refused."""
    from assay.basics.errors import AssayError
    from assay.engine.cost import cost_of
    from assay.nouns.catalogue import Cost

    required = [name for name, option in method.options.items() if option.default is option.empty]
    if method.cost is None or any(name not in options for name in required):
        return None
    try:
        return cost_of(method, case, options, again) + Cost(2 * len(case) * case.model.passes_per_row)
    except AssayError:  # the call itself raises it
        return None


def recipe_of(method: Method, place: str) -> Recipe:
    """The recipe that a method trains with, from FILE.py:FUNCTION."""
    from assay.model.files.user_code import load_recipe

    if not place:
        raise InputError(
            f"{method.verb} {method.name} needs to know how to train: --recipe FILE.py:FUNCTION, returning "
            f"assay.Recipe(fit, x, y)."
        )
    return load_recipe(place)


def training_options(request: Request, method: Method, train: Path | None, recipe: str) -> dict[str, Any]:
    """The options about the training that flags give; ``InputError`` for a flag that is missing, or not read."""
    for flag, given in (("train", train), ("recipe", recipe)):
        if given and flag not in method.options:
            raise InputError(f"{method.verb} {method.name} does not read --{flag}; leave it out.")
    found: dict[str, Any] = {}
    if "train" in method.options and (train is not None or method.options["train"].default is not None):
        if train is None or not request.target:
            raise InputError(
                f"{method.verb} {method.name} needs the training rows and their labels: --train FILE --target COLUMN."
            )
        table = request.files.read(train, request.target, request.ids)
        found["train"] = (request.model_rows(table), table.labels)
        if table.ids is not None and "ids" in method.options:
            found["ids"] = list(map(str, table.ids))
    required = "recipe" in method.options and method.options["recipe"].default is not None
    return found | ({"recipe": recipe_of(method, recipe)} if recipe or required else {})


def explanation_of(
    request: Request, case: Case, saved: Path | None, of: str, of_option: tuple[str, ...]
) -> Explanation:
    """The explanation in a file, or computed now by the method ``of``."""
    from assay.nouns.records.store import load
    from assay.nouns.results.result import Explanation

    if (saved is None) == (not of):
        raise InputError("say which explanation: --explanation FILE.assay, or --of METHOD such as --of shapley.")
    if saved is not None:
        found = load(saved)
        if not isinstance(found, Explanation):
            raise InputError(f"{saved} holds a {type(found).__name__}, not an explanation.")
        return found
    method = method_of("explain", of)
    options = replace(request, option=of_option).options(method)
    with request.progress(method, case, options):
        explanation: Explanation = method.call(case, **options)
    return explanation
