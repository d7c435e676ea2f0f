# SPDX-License-Identifier: Apache-2.0
"""What the planted-truth suite found: the models first, then every method on every benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from assay.basics.errors import InputError
from assay.nouns.records.saveable import Saveable

Standing = Literal[
    "oracle", "reference", "beats the references", "beats chance", "no better than chance", "worse than chance",
    "not judged", "not applicable",
]  # fmt: skip

SIGNS: dict[Standing, str] = {
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
    "✓ agrees more than every reference (random, constant, edges, the input itself); + than chance; 0 no better; "
    "✗ worse than chance; ? not judged, since the model does not use what was planted; – not applicable."
)


@dataclass(frozen=True)
class BenchmarkModel:
    """One benchmark: what was planted, and how well its model uses that, measured before any method is asked."""

    benchmark: str
    agreement: str
    chance: float
    what: str
    share: float
    low: float
    high: float
    needed: float
    enough: bool
    beside: Mapping[str, float]
    meaning: str
    should: str
    rows: int
    parts: int
    sources: tuple[str, ...]

    @property
    def family(self) -> str:
        """What the name begins with: benchmarks of one family are variants of one another."""
        return self.benchmark.partition("-")[0]


@dataclass(frozen=True)
class BenchmarkLine:
    """One method on one benchmark: mean agreement over rows with its BCa interval, and how it stands.

    ``left_out`` of ``rows`` have no agreement (constant or undefined values). ``mean`` is ``None`` where the method
    was not judged or refused; ``why`` then says so.
    """

    benchmark: str
    method: str
    standing: Standing
    mean: float | None
    low: float | None
    high: float | None
    rows: int
    left_out: int
    why: str = ""

    @property
    def shown(self) -> str:
        """Sign and number."""
        sign = SIGNS[self.standing]
        return sign if self.mean is None else f"{sign} {self.mean:.2f}".strip().replace("-", "−")


@dataclass(frozen=True, repr=False)
class BenchmarkTable(Saveable):
    """Benchmarks, and every method held to each of them; ``versions`` of what the numbers depend on."""

    models: tuple[BenchmarkModel, ...]
    lines: tuple[BenchmarkLine, ...]
    seed: int
    quick: bool
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in order: oracle, references, then by name."""
        return tuple(dict.fromkeys(line.method for line in self.lines))

    def line(self, benchmark: str, method: str) -> BenchmarkLine:
        """One line; ``InputError`` names what there is."""
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

        told = [asdict(line) for line in self.lines]
        return nw.from_dict({name: [line[name] for line in told] for name in told[0]}, backend=backend).to_native()

    def to_json(self) -> str:
        """The whole table as JSON."""
        from assay.nouns.records.store import to_jsonable

        return json.dumps(to_jsonable(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """The models, then a matrix of methods and benchmarks."""
        lines = ["# Planted truth", "", "## Do the models use what was planted?", ""]
        lines += ["| benchmark | measured | share | needed | judged |", "|---|---|---|---|---|"]
        for m in self.models:
            share = f"{m.share:.2f} [{m.low:.2f}, {m.high:.2f}]"
            lines.append(f"| {m.benchmark} | {m.what} | {share} | {m.needed:g} | {'yes' if m.enough else 'no'} |")
        lines += ["", "## Agreement with the truth", "", LEGEND, ""]
        names = [m.benchmark for m in self.models]
        heads = [f"{m.benchmark}<br>{m.agreement}, chance {m.chance:.2f}" for m in self.models]
        lines += [f"| method | {' | '.join(heads)} |", "|---" * (len(names) + 1) + "|"]
        for method in self.methods:
            cells = (self.line(name, method).shown for name in names)
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines += ["", *(f"- **{m.benchmark}**: a method should {m.should}. Truth: {m.meaning}." for m in self.models)]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        judged = sum(model.enough for model in self.models)
        return (
            f"BenchmarkTable: {len(self.methods)} methods × {len(self.models)} benchmarks, {judged} of them judged; "
            f"seed {self.seed}{', quick' if self.quick else ''}"
        )
