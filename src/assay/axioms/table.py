# SPDX-License-Identifier: Apache-2.0
"""The table of explanation methods and axioms: measured, read from the package, or written as JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from assay.axioms.attribution import completeness, demand_monotonicity, dummy, monotonicity, sensitivity, symmetry
from assay.axioms.functions import distributional_marginality, linear_agreement, linearity
from assay.axioms.invariance import (
    batch_independence,
    constant_shift_invariance,
    implementation_invariance,
    structured_shift_invariance,
)
from assay.axioms.measurement import Explain, Measurement, Verdict, with_subject_baseline
from assay.basics.errors import InputError
from assay.data.axioms import load_axiom_data
from assay.nouns.catalogue import find, known

Axiom = Callable[[Explain], Measurement]
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
"""Sources of each axiom: keys of ``basics/bibliography.py``."""


@dataclass(frozen=True)
class AxiomCell:
    """The result of one method on one axiom. ``size`` and ``tolerance`` are rounded to three significant digits.

    The method answered for ``subjects_answered`` of the ``subjects_tested``, and refused the others.
    """

    method: str
    axiom: str
    verdict: Verdict
    size: float | None
    tolerance: float
    counterexample: str
    subjects_answered: int
    subjects_tested: int

    @property
    def symbol(self) -> str:
        """✓ kept, ✗ and the size violated, ? undecided, – not applicable."""
        if self.size is None:
            return "–"
        return {"kept": "✓", "undecided": f"? {self.size:.2g}"}.get(self.verdict, f"✗ {self.size:.2g}")


@dataclass(frozen=True)
class AxiomTable:
    """A table with one row per explanation method and one column per axiom."""

    cells: tuple[AxiomCell, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in order."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))

    def cell(self, method: str, axiom: str) -> AxiomCell:
        """One cell; ``InputError`` lists the known names."""
        for one in self.cells:
            if (one.method, one.axiom) == (method, axiom):
                return one
        if method not in self.methods:
            raise InputError(f"no method {method!r} in the table; there are {', '.join(self.methods)}.")
        raise InputError(f"no axiom {axiom!r}; there are {', '.join(AXIOMS)}.")

    def select(self, methods: Iterable[str]) -> AxiomTable:
        """The rows of these methods."""
        names = tuple(methods)
        for name in names:
            self.cell(name, next(iter(AXIOMS)))
        return AxiomTable(tuple(cell for cell in self.cells if cell.method in names))

    def to_frame(self, backend: Any = "pandas") -> Any:
        """A data frame with one row per cell and the columns ``FIELDS``."""
        import narwhals as nw

        rows = [asdict(cell) for cell in self.cells]
        return nw.from_dict({name: [row[name] for row in rows] for name in FIELDS}, backend=backend).to_native()

    def to_json(self) -> str:
        """The table as JSON, by method and then by axiom: the format of ``data/axioms.json``."""
        by_method: dict[str, dict[str, Any]] = {}
        for cell in self.cells:
            line = asdict(cell)
            by_method.setdefault(line.pop("method"), {})[line.pop("axiom")] = line
        return json.dumps(by_method, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FIELDS = tuple(field.name for field in fields(AxiomCell))


def measure_table(methods: Sequence[str] | None = None, axioms: Sequence[str] | None = None) -> AxiomTable:
    """Measure every explanation method, or those named, on every axiom, or those named.

    The subjects and the seed are fixed, so that the table is reproducible. The whole table takes under a minute on one
    core. Needs torch.
    """
    import assay.explain  # noqa: F401  # fills the catalogue

    names = [method.name for method in known("explain")] if methods is None else list(methods)
    unknown = [name for name in axioms or () if name not in AXIOMS]
    if unknown:
        raise InputError(f"no axiom {unknown[0]!r}; there are {', '.join(AXIOMS)}.")
    cells = []
    for name in names:
        explain = with_subject_baseline(find("explain", name))
        cells += [_cell(name, axiom, AXIOMS[axiom](explain)) for axiom in axioms or AXIOMS]
    return AxiomTable(tuple(cells))


def _cell(method: str, axiom: str, result: Measurement) -> AxiomCell:
    return AxiomCell(
        method=method,
        axiom=axiom,
        verdict=result.verdict,
        size=None if result.size is None else _round(result.size),
        tolerance=_round(result.tolerance),
        counterexample=result.counterexample,
        subjects_answered=result.subjects_answered,
        subjects_tested=result.subjects_tested,
    )


def _round(number: float) -> float:
    """Round to three significant digits, and rounding errors to 0, so that machines agree."""
    return 0.0 if number < 1e-9 else float(f"{number:.3g}")


def load_table() -> AxiomTable:
    """Load the table that ships with the package; ``assay axioms --measure --out FILE`` measures it again."""
    return table_from_json(load_axiom_data())


def table_from_json(data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> AxiomTable:
    """Make a table from the parsed output of ``to_json``."""
    cells = [
        AxiomCell(method=method, axiom=axiom, **line) for method, row in data.items() for axiom, line in row.items()
    ]
    return AxiomTable(tuple(cells))


def axiom_docstring(axiom: str) -> str:
    """The docstring of an axiom."""
    return inspect.getdoc(AXIOMS[axiom]) or ""
