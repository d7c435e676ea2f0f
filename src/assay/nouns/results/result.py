# SPDX-License-Identifier: Apache-2.0
"""What comes back: values with their errors, notes, and how they came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval, skewed
from assay.basics.types import Floats, Masks, PerPart, PerRow, RowMasks
from assay.nouns.inputs.features import Features
from assay.nouns.results.global_explanation import GlobalExplanation, mean_over
from assay.nouns.results.part_labels import for_shap, leading, worded

if TYPE_CHECKING:
    from pathlib import Path

    from assay.model.model import Model


@dataclass(frozen=True)
class Note:
    """Something the reader of a result must know: a stable code, a sentence, and the rows it concerns."""

    code: str
    text: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """How a result came to be. ``options`` are the method's own, as given; ``cost`` counts rows."""

    method: str
    verb: str
    options: Mapping[str, Any]
    seed: Seed
    target: str
    model_fingerprint: str
    rows_fingerprint: str
    features_fingerprint: str
    versions: Mapping[str, str]
    device: str
    cost: Mapping[str, int]


@dataclass(frozen=True)
class Estimate:
    """What a method's body may return instead of a bare array.

    Values of a layer's units, not of the input, bring the units as ``features`` and the activations as ``x``. Values
    that share out another number than the target at the rows bring it as ``output``. ``told`` is what it says in words.
    """

    values: Any
    stderr: Any = None
    base: Any = None
    notes: tuple[Note, ...] = ()
    extra: Mapping[str, Floats] = field(default_factory=dict)
    features: Features | None = None
    x: Any = None
    output: Any = None
    told: tuple[str, ...] = ()


SHOWN = 12
"""Parts of an explanation that a notebook's cell shows."""


def frozen(array: Any, kind: Any = np.float64) -> Any:
    """A private read-only copy, float64 unless ``kind`` says otherwise."""
    copy = np.array(array, dtype=kind)
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """Read-only numpy arrays, notes, and how they were made."""

    provenance: Provenance
    notes: tuple[Note, ...]

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                wide = value.dtype.kind == "f" and item.name != "x"  # inputs keep the model's own type
                object.__setattr__(self, item.name, frozen(value, np.float64 if wide else value.dtype))
            elif isinstance(value, dict) and item.name in ("extra", "bounds"):
                object.__setattr__(self, item.name, {name: frozen(array) for name, array in value.items()})

    @property
    def method(self) -> str:
        """The method's name."""
        return self.provenance.method

    def save(self, path: str | Path) -> Path:
        """Write to one file: numbers as safetensors, the rest as JSON; never pickle."""
        from assay.nouns.records.store import save

        return save(self, path)

    def _head(self) -> str:
        cost = ", ".join(f"{count:,} {what}" for what, count in self.provenance.cost.items())
        return f"{type(self).__name__} {self.provenance.method} of {self.provenance.target} ({cost or 'no model call'})"

    def _tail(self) -> str:
        return "".join(f"\n  note: {note.text}" for note in self.notes[:2]) + (
            f"\n  … {len(self.notes) - 2} more notes" if len(self.notes) > 2 else ""
        )


@dataclass(frozen=True, repr=False, eq=False)
class Explanation(Result):
    """How much each part of each row matters to the target.

    ``values`` (row, part) in units of the target unless the method's page says otherwise; ``stderr`` (row, part)
    where values were sampled, else ``None``. ``output`` (row,) is the target at the rows, ``base`` (row,) the
    target the values start from (NaN where the method has none), ``residual`` = output − base − Σ values.
    ``dense`` (row, *shape) keeps values finer than the parts, where the method gives them. ``told`` says in words what
    numbers alone do not (the rules of a surrogate, a row's reasons). ``backend`` is the library of the frame that was
    explained (pandas, polars, …).
    """

    values: PerPart
    stderr: PerPart | None
    base: PerRow
    output: PerRow
    features: Features
    ids: tuple[str, ...]
    x: Any
    labels: tuple[str, ...] = ()
    dense: Floats | None = None
    shown: tuple[tuple[str, ...], ...] = ()
    extra: Mapping[str, Floats] = field(default_factory=dict)
    meaning: str = ""
    backend: str = ""
    told: tuple[str, ...] = ()

    @property
    def residual(self) -> PerRow:
        """Output − base − Σ values, (row,): what the values leave unexplained; NaN where there is no base."""
        return np.asarray(self.output - self.base - self.values.sum(axis=1))

    def map(self) -> Floats:
        """Values on the input's own grid, (row, *shape): each element shows its part's value, or its own if known."""
        return self.dense if self.dense is not None else self.features.map(self.values)

    def order(self) -> Any:
        """Parts from the highest value to the lowest, (row, part); ties fall in part order."""
        return np.argsort(-self.values, axis=1, kind="stable")

    def top(self, share: float) -> RowMasks:
        """Masks (row, part) of the ⌈share · n⌉ parts with the highest values."""
        if not 0 < share <= 1:
            raise InputError(f"share is a fraction of the parts, above 0 and at most 1; got {share}.")
        count = int(np.ceil(share * self.values.shape[1] - 1e-9))
        chosen = np.zeros(self.values.shape, dtype=bool)
        np.put_along_axis(chosen, self.order()[:, :count], True, axis=1)
        return chosen

    def mean(self, members: Any = None, level: float = 0.95) -> GlobalExplanation:
        """What the explanation says of all rows, or of those that ``members`` (row,) marks: the mean of each part."""
        chosen = np.ones(len(self.ids), dtype=bool) if members is None else members
        return mean_over(self.values, self.stderr, self.features.names, chosen, None, level)

    def gap(self, members: Any, level: float = 0.95) -> GlobalExplanation:
        """What each part adds to the gap in the target's mean between the rows ``members`` (row,) marks and the others.

        For ``shapley``, ``qii`` and their like this is the part's Shapley value (its influence) in the game whose worth
        is the gap: such values are linear in the game.
        """
        return mean_over(self.values, self.stderr, self.features.names, members, ~np.asarray(members), level)

    def to_shap(self) -> Any:
        """A ``shap.Explanation`` that shap's own plots accept, errors as ``error_std`` and 95 % bounds; needs shap.

        The values are those of one class a row. Where the method has no base, shap's base values are NaN, and plots
        that start from a base (waterfall, force) mean nothing.
        """
        return for_shap(self)

    def to_frame(self, backend: Any = None) -> Any:
        """One line per row and part (row, part, value, stderr), as a frame of the kind explained, or of ``backend``.

        Texts have a column of words, too. Of arrays and tensors it is a pandas frame, unless another library is named.
        """
        import narwhals as nw

        rows, parts = self.values.shape
        return nw.from_dict(
            {
                "row": np.repeat(self.ids, parts).tolist(),
                "part": list(self.features.names) * rows,
                **worded(self.shown, self.features),
                "value": self.values.ravel(),
                "stderr": (np.full(self.values.shape, np.nan) if self.stderr is None else self.stderr).ravel(),
            },
            backend=backend or self.backend or "pandas",
        ).to_native()

    def _repr_html_(self) -> str:
        from html import escape

        mean, size = self.values.mean(axis=0), np.abs(self.values).mean(axis=0)
        order = np.argsort(-size, kind="stable")[:SHOWN]
        lines = "".join(
            f"<tr><td>{escape(self.features.names[i])}</td><td style='text-align:right'>{mean[i]:+.4g}</td>"
            f"<td style='text-align:right'>{size[i]:.4g}</td></tr>"
            for i in order
        )
        left = len(size) - len(order)
        more = f"<p>… and {left} more parts; to_frame() has all.</p>" if left > 0 else ""
        more += f"<pre>{escape(chr(10).join(self.told[:40]))}</pre>" if self.told else ""
        return (
            f"<p><b>{escape(self._head())}</b></p><table><thead><tr><th>part</th><th>mean value</th>"
            f"<th>mean |value|</th></tr></thead><tbody>{lines}</tbody></table>{more}<p>{escape(self.meaning)}</p>"
        )

    def __repr__(self) -> str:
        rows, parts = self.values.shape
        best = leading(self.values, self.ids, self.shown, self.features)
        gap = np.abs(self.residual)
        residual = f"largest residual {np.nanmax(gap):.2g}" if np.isfinite(gap).any() else "no base, so no residual"
        return f"{self._head()}\n  {rows} rows × {parts} parts; {best}\n  {residual}{self._tail()}"


@dataclass(frozen=True, repr=False, eq=False)
class Score(Result):
    """One number per row that judges an explanation; NaN where undefined, with a note that says why."""

    values: PerRow
    ids: tuple[str, ...]
    better: Literal["higher", "lower", "neither"]
    of: str
    stderr: PerRow | None = None
    extra: Mapping[str, Floats] = field(default_factory=dict)
    meaning: str = ""

    @property
    def defined(self) -> Masks:
        """Which rows have a value."""
        return ~np.isnan(self.values)

    @property
    def mean(self) -> float:
        """Mean over the defined rows; NaN where none is."""
        return float(self.values[self.defined].mean()) if self.defined.any() else float("nan")

    def interval(self, level: float = 0.95) -> Interval:
        """Interval of the mean over the defined rows; holds for skewed scores, too."""
        return skewed(self.values[self.defined], level)

    def __repr__(self) -> str:
        interval = self.interval()
        return (
            f"{self._head()}, of {self.of}\n  mean {self.mean:.4g} [{interval.low:.4g}, {interval.high:.4g}] over "
            f"{int(self.defined.sum())} of {len(self.values)} rows; better: {self.better}{self._tail()}"
        )


@dataclass(frozen=True, repr=False, eq=False)
class AttackResult(Result):
    """What an attack found. ``x`` (row, *shape) are the moved inputs, ``success`` (row,) whether the aim was met.

    ``moved`` (row,) is the distance in the ball's norm; ``before`` and ``after`` (row,) the attacked quantity;
    ``kept`` (row,) whether the prediction stayed; ``random`` (row,) the quantity after equally large random moves.
    """

    x: Any
    ids: tuple[str, ...]
    success: Masks
    kept: Masks
    moved: PerRow
    before: PerRow
    after: PerRow
    random: PerRow
    quantity: str
    meaning: str = ""

    def __repr__(self) -> str:
        return (
            f"{self._head()}\n  {self.quantity}: {self.before.mean():.4g} → {self.after.mean():.4g} "
            f"(random moves: {self.random.mean():.4g}); succeeded on {int(self.success.sum())} of "
            f"{len(self.ids)} rows, prediction kept on {int(self.kept.sum())}{self._tail()}"
        )


@dataclass(frozen=True, repr=False, eq=False)
class Certificate(Result):
    """A statement that holds, with its theorem and assumptions; or an abstention with the reason.

    ``bounds`` maps each certified quantity to one value a row (NaN where abstained); attribute access reads it:
    ``c.incremental`` is ``c.bounds["incremental"]``.
    """

    bounds: Mapping[str, Floats]
    ids: tuple[str, ...]
    abstained: Masks
    theorem: str
    assumptions: tuple[str, ...]
    confidence: float
    draws: int
    extra: Mapping[str, Floats] = field(default_factory=dict)
    meaning: str = ""

    def __getattr__(self, name: str) -> Floats:
        bounds: Mapping[str, Floats] = self.__dict__.get("bounds", {})
        if name in bounds:
            return bounds[name]
        method = self.__dict__["provenance"].method if "provenance" in self.__dict__ else "not yet made"
        raise AttributeError(f"certificate {method} bounds {', '.join(bounds)}, not {name!r}")

    def __repr__(self) -> str:
        bounds = "; ".join(
            f"{name} median {np.nanmedian(v) if np.isfinite(v).any() else np.nan:.3g}"
            for name, v in self.bounds.items()
        )
        abstained = f"abstained on {int(self.abstained.sum())} of {len(self.ids)} rows"
        return f"{self._head()}\n  {bounds}; {abstained}\n  {self.theorem}{self._tail()}"


Verdict = Literal["pass", "fail", "undecided", "informative", "not applicable", "not run", "error"]


@dataclass(frozen=True)
class Finding:
    """One check's outcome: an estimate, the interval it was judged by, and the threshold it was held to.

    ``direction`` says on which side of ``threshold`` is passing. ``evidence`` is small JSON-able data for the page.
    ``basis`` makes the interval again at another level; where many checks are judged together, ``interval`` is at the
    level that the verdict used and ``alone`` what the check by itself would have had. ``more`` estimates how many
    further rows would decide an undecided check.
    """

    code: str
    verdict: Verdict
    claim: str
    subject: str
    estimate: float = float("nan")
    interval: Interval | None = None
    threshold: float | None = None
    direction: Literal["at most", "at least", ""] = ""
    null: float | None = None
    n: int = 0
    meaning: str = ""
    advice: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    basis: Basis | None = field(default=None, compare=False, repr=False)
    alone: Interval | None = None
    more: int | None = None


def judge(
    interval: Interval, threshold: float, direction: Literal["at most", "at least"]
) -> Literal["pass", "fail", "undecided"]:
    """Pass when all of the interval is on the passing side of ``threshold``, fail when all is beyond it.

    Else undecided. The threshold itself passes; an interval with a NaN limit decides nothing.
    """
    low, high = (interval.low, interval.high) if direction == "at most" else (-interval.high, -interval.low)
    limit = threshold if direction == "at most" else -threshold
    if low <= limit and high <= limit:
        return "pass"
    return "fail" if low > limit and high > limit else "undecided"


@dataclass(frozen=True, repr=False, eq=False)
class Repair(Result):
    """A changed model, what was changed, and what it cost on the rows at hand. Every repair is re-audited."""

    model: Model
    change: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    meaning: str = ""

    def __repr__(self) -> str:
        moved = "; ".join(f"{k} {self.before[k]:.4g} → {self.after[k]:.4g}" for k in self.after if k in self.before)
        return f"{self._head()}\n  {self.change}\n  {moved}{self._tail()}"


@dataclass(frozen=True)
class Refusal:
    """A step that could not be done, in words."""

    method: str
    verb: str
    reason: str
    kind: str
