# SPDX-License-Identifier: Apache-2.0
"""The result of the planted-truth benchmark: its models, and every method on every benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from assay.basics.errors import InputError
from assay.nouns.records.saveable import Saveable

BenchmarkVerdict = Literal[
    "oracle", "reference", "beats the references", "beats chance", "no better than chance", "worse than chance",
    "not judged", "not applicable",
]  # fmt: skip

SIGNS: dict[BenchmarkVerdict, str] = {
    "beats the references": "✓",
    "beats chance": "+",
    "no better than chance": "0",
    "worse than chance": "✗",
    "not judged": "?",
    "not applicable": "–",
    "oracle": "",
    "reference": "",
}
LEGEND = (
    "✓ better than every reference (random, constant, edges, the input itself); + better than chance; 0 no better than "
    "chance; ✗ worse than chance; ? not judged, since the model does not use what was planted; – not applicable."
)


@dataclass(frozen=True)
class BenchmarkModel:
    """One benchmark: what was planted, and how well its model uses it, measured before any method is run.

    ``share`` is the measure ``what`` with its interval; it must be at least ``needed`` (``is_sufficient``).
    ``meaning`` describes the true explanation, ``should`` what a correct method does.
    """

    benchmark: str
    agreement: str
    chance: float
    what: str
    share: float
    low: float
    high: float
    needed: float
    is_sufficient: bool
    other_measures: Mapping[str, float]
    meaning: str
    should: str
    rows: int
    parts: int
    sources: tuple[str, ...]

    @property
    def family(self) -> str:
        """The first part of the name; benchmarks of one family are variants of each other."""
        return self.benchmark.partition("-")[0]


@dataclass(frozen=True)
class BenchmarkLine:
    """One method on one benchmark: mean agreement over rows with its BCa interval, and the verdict.

    ``left_out`` of ``rows`` have no agreement (constant or undefined values). ``mean`` is ``None`` where the method is
    not judged or not applicable; ``why`` then has the reason.
    """

    benchmark: str
    method: str
    verdict: BenchmarkVerdict
    mean: float | None
    low: float | None
    high: float | None
    rows: int
    left_out: int
    why: str = ""

    @property
    def label(self) -> str:
        """Sign of the verdict and mean agreement."""
        sign = SIGNS[self.verdict]
        return sign if self.mean is None else f"{sign} {self.mean:.2f}".strip().replace("-", "−")


@dataclass(frozen=True, repr=False)
class BenchmarkTable(Saveable):
    """Benchmarks, and the result of every method on each; ``versions`` are those of the libraries used."""

    models: tuple[BenchmarkModel, ...]
    lines: tuple[BenchmarkLine, ...]
    seed: int
    quick: bool
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in the order of the table: oracle, references, then the others by name."""
        return tuple(dict.fromkeys(line.method for line in self.lines))

    def line(self, benchmark: str, method: str) -> BenchmarkLine:
        """The line of a method on a benchmark; ``InputError`` where there is none."""
        for one in self.lines:
            if (one.benchmark, one.method) == (benchmark, method):
                return one
        raise InputError(
            f"no {method!r} on {benchmark!r}; benchmarks are {', '.join(m.benchmark for m in self.models)}, methods "
            f"{', '.join(self.methods)}."
        )

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a benchmark and method."""
        import narwhals as nw

        lines = [asdict(line) for line in self.lines]
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def to_json(self) -> str:
        """The whole table as JSON."""
        from assay.nouns.records.jsonable import to_jsonable

        return json.dumps(to_jsonable(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """The models, then a matrix of methods and benchmarks."""
        lines = ["# Planted truth", "", "## Do the models use what was planted?", ""]
        lines += ["| benchmark | measured | share | needed | judged |", "|---|---|---|---|---|"]
        for m in self.models:
            share = f"{m.share:.2f} [{m.low:.2f}, {m.high:.2f}]"
            lines.append(
                f"| {m.benchmark} | {m.what} | {share} | {m.needed:g} | {'yes' if m.is_sufficient else 'no'} |"
            )
        lines += ["", "## Agreement with the truth", "", LEGEND, ""]
        names = [m.benchmark for m in self.models]
        heads = [f"{m.benchmark}<br>{m.agreement}, chance {m.chance:.2f}" for m in self.models]
        lines += [f"| method | {' | '.join(heads)} |", "|---" * (len(names) + 1) + "|"]
        for method in self.methods:
            cells = (self.line(name, method).label for name in names)
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines += ["", *(f"- **{m.benchmark}**: a method should {m.should}. Truth: {m.meaning}." for m in self.models)]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        judged = sum(model.is_sufficient for model in self.models)
        return (
            f"BenchmarkTable: {len(self.methods)} methods × {len(self.models)} benchmarks, {judged} of them judged; "
            f"seed {self.seed}{', quick' if self.quick else ''}"
        )
