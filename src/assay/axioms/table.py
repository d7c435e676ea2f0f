# SPDX-License-Identifier: Apache-2.0
"""The table of methods and axioms: measured, read from the package, written."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assay.axioms.attribution import completeness, demand_monotonicity, dummy, monotonicity, sensitivity, symmetry
from assay.axioms.functions import distributional_marginality, linear_agreement, linearity
from assay.axioms.invariance import (
    batch_independence,
    constant_shift_invariance,
    implementation_invariance,
    structured_shift_invariance,
)
from assay.axioms.measurement import Explain, Measured, Verdict, asking
from assay.basics.errors import InputError
from assay.data.axioms import shipped
from assay.nouns.catalogue import find, known

Axiom = Callable[[Explain], Measured]
AXIOMS: dict[str, Axiom] = {
    axiom.__name__: axiom
    for axiom in (
        completeness,
        sensitivity,
        dummy,
        symmetry,
        monotonicity,
        demand_monotonicity,
        linearity,
        linear_agreement,
        distributional_marginality,
        implementation_invariance,
        constant_shift_invariance,
        structured_shift_invariance,
        batch_independence,
    )
}
"""Every axiom, by name, in the order of the table."""
SOURCES: dict[str, tuple[str, ...]] = {
    "completeness": ("sundararajan2017",),
    "sensitivity": ("sundararajan2017",),
    "dummy": ("shapley1953", "sundararajan2017"),
    "symmetry": ("shapley1953",),
    "monotonicity": ("friedman1999",),
    "demand_monotonicity": ("friedman1999", "sundararajan2020"),
    "linearity": ("shapley1953", "sundararajan2017"),
    "linear_agreement": ("leino2018",),
    "distributional_marginality": ("leino2018",),
    "implementation_invariance": ("sundararajan2017",),
    "constant_shift_invariance": ("kindermans2019",),
    "structured_shift_invariance": ("kindermans2019",),
    "batch_independence": ("assay2026",),
}
"""Where each axiom comes from: keys of ``basics/bibliography.py``."""


@dataclass(frozen=True)
class Cell:
    """One method held to one axiom. ``size`` and ``tolerance`` are rounded to three digits."""

    method: str
    axiom: str
    verdict: Verdict
    size: float | None
    tolerance: float
    counterexample: str
    answered: int
    asked: int

    @property
    def sign(self) -> str:
        """✓ kept, ✗ and the size violated, ? undecided, – not applicable."""
        if self.size is None:
            return "–"
        return {"kept": "✓", "undecided": f"? {self.size:.2g}"}.get(self.verdict, f"✗ {self.size:.2g}")


@dataclass(frozen=True)
class Table:
    """Rows are methods, columns axioms."""

    cells: tuple[Cell, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in order."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))

    def cell(self, method: str, axiom: str) -> Cell:
        """One cell; ``InputError`` names what there is."""
        for one in self.cells:
            if (one.method, one.axiom) == (method, axiom):
                return one
        if method not in self.methods:
            raise InputError(f"no method {method!r} in the table; there are {', '.join(self.methods)}.")
        raise InputError(f"no axiom {axiom!r}; there are {', '.join(AXIOMS)}.")

    def only(self, methods: Iterable[str]) -> Table:
        """The rows of these methods."""
        wanted = tuple(methods)
        for name in wanted:
            self.cell(name, next(iter(AXIOMS)))
        return Table(tuple(cell for cell in self.cells if cell.method in wanted))

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a cell (method, axiom, verdict, size, tolerance, counterexample, answered, asked)."""
        import narwhals as nw

        lines = [asdict(cell) for cell in self.cells]
        return nw.from_dict({name: [line[name] for line in lines] for name in FIELDS}, backend=backend).to_native()

    def to_json(self) -> str:
        """The table as the package ships it: by method, then by axiom."""
        told: dict[str, dict[str, Any]] = {}
        for cell in self.cells:
            line = asdict(cell)
            told.setdefault(line.pop("method"), {})[line.pop("axiom")] = line
        return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FIELDS = ("method", "axiom", "verdict", "size", "tolerance", "counterexample", "answered", "asked")


def measured(methods: Sequence[str] | None = None, axioms: Sequence[str] | None = None) -> Table:
    """Every explanation method, or those named, held to every axiom, or those named: nothing is asserted.

    The subjects are fixed and the seed is 0, so that the table is the same each time; all of it takes under a minute on
    one core. torch is needed.
    """
    import assay.explain  # noqa: F401  # fills the catalogue

    names = [method.name for method in known("explain")] if methods is None else list(methods)
    strange = [name for name in axioms or () if name not in AXIOMS]
    if strange:
        raise InputError(f"no axiom {strange[0]!r}; there are {', '.join(AXIOMS)}.")
    cells = []
    for name in names:
        explain = asking(find("explain", name))
        cells += [_cell(name, axiom, AXIOMS[axiom](explain)) for axiom in axioms or AXIOMS]
    return Table(tuple(cells))


def _cell(method: str, axiom: str, found: Measured) -> Cell:
    size = None if found.size is None else _rounded(found.size)
    tolerance = _rounded(found.tolerance)
    words = (found.counterexample, found.answered, found.asked)
    return Cell(method, axiom, found.verdict, size, tolerance, *words)


def _rounded(number: float) -> float:
    """Three digits; what is rounding is 0, so that machines agree."""
    return 0.0 if number < 1e-9 else float(f"{number:.3g}")


def stored() -> Table:
    """The table that ships with the package; ``assay axioms --measure --out FILE`` makes it anew."""
    return table_of(shipped())


def table_of(told: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """What ``to_json`` wrote, read back."""
    cells = [Cell(method=method, axiom=axiom, **line) for method, row in told.items() for axiom, line in row.items()]
    return Table(tuple(cells))


def said(axiom: str) -> str:
    """An axiom's docstring."""
    return inspect.getdoc(AXIOMS[axiom]) or ""
