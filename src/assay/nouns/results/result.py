# SPDX-License-Identifier: Apache-2.0
"""Results: values with their standard errors, notes and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Interval, clopper_pearson, skewness_corrected_interval
from assay.basics.types import Floats, Masks, PerPart, PerRow, RowMasks
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.records.plottable import Plottable
from assay.nouns.records.saveable import Saveable
from assay.nouns.renamed import WithFormerNames
from assay.nouns.results.global_explanation import GlobalExplanation, mean_over
from assay.nouns.results.part_labels import describe_changes, describe_top, to_shap_explanation, word_column
from assay.nouns.results.provenance import Note as Note
from assay.nouns.results.provenance import Provenance as Provenance
from assay.nouns.results.provenance import Refusal as Refusal


@dataclass(frozen=True)
class Estimate:
    """What a method's body may return instead of a bare array.

    Values of a layer's units have the units as ``features`` and the activations as ``x``. Values that distribute
    another number than the target at the rows have it as ``output``. ``description`` are lines of text.
    """

    values: Any
    stderr: Any = None
    base: Any = None
    notes: tuple[Note, ...] = ()
    extra: Mapping[str, Floats] = field(default_factory=dict)
    features: Features | None = None
    x: Any = None
    output: Any = None
    description: tuple[str, ...] = ()


NOTEBOOK_FEATURES = 12
"""Features of an explanation that a notebook cell shows."""


def frozen(array: Any, kind: Any = np.float64) -> Any:
    """A read-only copy as numpy, of type ``kind``."""
    copy = np.array(array, dtype=kind)
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, repr=False, eq=False)
class Result(Saveable, WithFormerNames):
    """Read-only numpy arrays, notes and provenance."""

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

    def _head(self) -> str:
        cost = ", ".join(f"{count:,} {what}" for what, count in self.provenance.cost.items())
        name = f"{type(self).__name__} {self.provenance.method} of {self.provenance.target}"
        return f"{name} ({cost or 'no model evaluation'})"

    def _tail(self) -> str:
        return "".join(f"\n  note: {note.text}" for note in self.notes[:2]) + (
            f"\n  … {len(self.notes) - 2} more notes" if len(self.notes) > 2 else ""
        )


@dataclass(frozen=True, repr=False, eq=False)
class Explanation(Result, Plottable):
    """How much each feature of each row matters to the target.

    ``values`` (row, part) in units of the target unless the method's page says otherwise; ``stderr`` (row, part)
    where values were sampled, else ``None``. ``output`` (row,) is the target at the rows, ``base`` (row,) the
    target the values start from (NaN where the method has none), ``residual`` = output − base − Σ values.
    ``dense`` (row, *shape) holds values finer than the parts, where the method gives them. ``description`` are lines of
    text (the rules of a surrogate, a row's reasons); ``part_texts`` (row, part) the values of features as text.
    ``backend`` is the library of the frame that was explained (pandas, polars, …).
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
    part_texts: tuple[tuple[str, ...], ...] = ()
    extra: Mapping[str, Floats] = field(default_factory=dict)
    meaning: str = ""
    backend: str = ""
    description: tuple[str, ...] = ()

    @property
    def residual(self) -> PerRow:
        """Output − base − Σ values, (row,): the part of the output not attributed; NaN where there is no base."""
        return np.asarray(self.output - self.base - self.values.sum(axis=1))

    def map(self) -> Floats:
        """Values on the input's own grid, (row, *shape): each element gets its part's value, or its own if known."""
        return self.dense if self.dense is not None else self.features.map(self.values)

    def order(self) -> Any:
        """Positions of the parts from the highest value to the lowest, (row, part); ties stay in part order."""
        return np.argsort(-self.values, axis=1, kind="stable")

    def top(self, share: float) -> RowMasks:
        """Masks (row, part) of the top-k features, k = ⌈share · n⌉, by their values."""
        if not 0 < share <= 1:
            raise InputError(f"share is a fraction of the features, above 0 and at most 1; got {share}.")
        count = int(np.ceil(share * self.values.shape[1] - 1e-9))
        chosen = np.zeros(self.values.shape, dtype=bool)
        np.put_along_axis(chosen, self.order()[:, :count], True, axis=1)
        return chosen

    def mean(self, members: Any = None, level: float = 0.95) -> GlobalExplanation:
        """The mean value of each feature over all rows, or over those where ``members`` (row,) is true.

        Where rows are explained for different classes the result names them: their values differ in sign.
        """
        chosen = np.ones(len(self.ids), dtype=bool) if members is None else members
        return mean_over(self.values, self.stderr, self.features.names, chosen, None, level, self.labels)

    def gap(self, members: Any, level: float = 0.95) -> GlobalExplanation:
        """What each feature adds to the gap in the target's mean between the rows ``members`` (row,) and the others.

        For ``shapley``, ``qii`` and similar methods this is the Shapley value of the feature in the game whose worth is
        the gap: such values are linear in the game.
        """
        others = ~np.asarray(members)
        return mean_over(self.values, self.stderr, self.features.names, members, others, level, self.labels)

    def to_shap(self) -> Any:
        """A ``shap.Explanation`` that shap's own plots accept, errors as ``error_std`` and 95 % bounds; needs shap.

        The values are those of one class a row; a ``UserWarning`` names the classes where rows differ in them. Where
        the method has no base, shap's base values are NaN, and plots that start from a base (waterfall, force) are
        meaningless.
        """
        return to_shap_explanation(self)

    def to_frame(self, backend: Any = None) -> Any:
        """One line per row and part: row, part, cell, class, value, stderr, as a frame of the library explained.

        ``cell`` is the value of the part in the row, as text; texts have a column of words instead. There is no class
        for a regression of one value. ``backend`` chooses another library; for arrays the default is pandas.
        """
        import narwhals as nw

        rows, parts = self.values.shape
        return nw.from_dict(
            {
                "row": np.repeat(self.ids, parts).tolist(),
                "part": list(self.features.names) * rows,
                **word_column(self.part_texts, self.features),
                **({"class": np.repeat(self.labels, parts).tolist()} if len(self.labels) == rows else {}),
                "value": self.values.ravel(),
                "stderr": (np.full(self.values.shape, np.nan) if self.stderr is None else self.stderr).ravel(),
            },
            backend=backend or self.backend or "pandas",
        ).to_native()

    def _repr_html_(self) -> str:
        from html import escape

        mean, size = self.values.mean(axis=0), np.abs(self.values).mean(axis=0)
        order = np.argsort(-size, kind="stable")[:NOTEBOOK_FEATURES]
        lines = "".join(
            f"<tr><td>{escape(self.features.names[i])}</td><td style='text-align:right'>{mean[i]:+.4g}</td>"
            f"<td style='text-align:right'>{size[i]:.4g}</td></tr>"
            for i in order
        )
        left = len(size) - len(order)
        more = f"<p>… and {left} more features; to_frame() has all.</p>" if left > 0 else ""
        more += f"<pre>{escape(chr(10).join(self.description[:40]))}</pre>" if self.description else ""
        return (
            f"<p><b>{escape(self._head())}</b></p><table><thead><tr><th>feature</th><th>mean value</th>"
            f"<th>mean |value|</th></tr></thead><tbody>{lines}</tbody></table>{more}<p>{escape(self.meaning)}</p>"
        )

    def __repr__(self) -> str:
        rows, parts = self.values.shape
        best = describe_top(self.values, self.ids, self.part_texts, self.features)
        gap = np.abs(self.residual)
        residual = f"largest residual {np.nanmax(gap):.2g}" if np.isfinite(gap).any() else "no base value"
        return f"{self._head()}\n  {rows} rows × {parts} features; {best}\n  {residual}{self._tail()}"


@dataclass(frozen=True, repr=False, eq=False)
class Score(Result, Plottable):
    """One number per row that evaluates an explanation; NaN where undefined, with a note that says why."""

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
        """Interval of the mean over the defined rows; valid for skewed scores too."""
        return skewness_corrected_interval(self.values[self.defined], level)

    def __repr__(self) -> str:
        interval = self.interval()
        return (
            f"{self._head()}, of {self.of}\n  mean {self.mean:.4g} [{interval.low:.4g}, {interval.high:.4g}] over "
            f"{int(self.defined.sum())} of {len(self.values)} rows; better: {self.better}{self._tail()}"
        )


@dataclass(frozen=True, repr=False, eq=False)
class AttackResult(Result, Plottable):
    """What an attack found. ``x`` (row, *shape) are the perturbed inputs, ``success`` (row,) whether it succeeded.

    ``distance`` (row,) is the distance in the ball's norm; ``before`` and ``after`` (row,) the attacked quantity;
    ``prediction_unchanged`` (row,) whether the predicted class stayed; ``random`` (row,) the quantity after random
    perturbations of the same size. Of attacks on predictions ``validity`` says, by name, what makes the robust accuracy
    valid or not (docs/attacks.md); ``extra`` holds further numbers a row, such as ``minimal_distance``. Of attacks on
    explanations it says what was searched and what evaluated, and has the means of ``extra`` with their limits.
    ``changes`` say what words or columns changed; ``inputs`` are the rows as texts, or as a frame, which no file has.
    """

    x: Any
    ids: tuple[str, ...]
    success: Masks
    prediction_unchanged: Masks
    distance: PerRow
    before: PerRow
    after: PerRow
    random: PerRow
    quantity: str
    meaning: str = ""
    validity: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Floats] = field(default_factory=dict)
    changes: tuple[tuple[str, ...], ...] = ()
    inputs: Any = None

    @property
    def robust_accuracy(self) -> float:
        """The share of rows in which an attack on predictions failed, 0 … 1; ``validity`` says of which rows.

        An upper bound on the share that withstands every perturbation in the ball. NaN for attacks on explanations.
        """
        return float(self.validity.get("robust_accuracy", float("nan")))

    def interval(self, level: float = 0.95) -> Interval:
        """Clopper–Pearson interval of the robust accuracy; of the share of failures for attacks on explanations."""
        return clopper_pearson(int((~self.success).sum()), len(self.success), level)

    def __repr__(self) -> str:
        limits, of = self.interval(), self.validity.get("robust_accuracy_of", "")
        robust = f"\n  robust accuracy {self.robust_accuracy:.1%} [{limits.low:.1%}, {limits.high:.1%}] of {of}"
        changes = describe_changes(self.changes, self.ids)
        return (
            f"{self._head()}\n  {self.quantity}: {self.before.mean():.4g} → {self.after.mean():.4g} "
            f"(random perturbations: {self.random.mean():.4g}); succeeded on {int(self.success.sum())} of "
            f"{len(self.ids)} rows, prediction unchanged on {int(self.prediction_unchanged.sum())}"
            f"{robust if 'robust_accuracy' in self.validity else ''}{changes}{self._tail()}"
        )


@dataclass(frozen=True, repr=False, eq=False)
class Certificate(Result, Plottable):
    """Certified bounds, with what they are worth: their theorem, their assumptions, and the bounds of a control.

    ``bounds`` maps each certified quantity to one value a row (NaN where abstained); attribute access reads it:
    ``c.incremental`` is ``c.bounds["incremental"]``. ``unit`` is theirs, ``cap`` the largest value they can have.

    ``guarantee`` is "exact" (a proof), "probabilistic" (wrong with probability at most 1 − ``confidence``) or
    "empirical" (an estimate that certifies nothing). ``certified`` names the model that the bounds hold for, which may
    be a smoothed one; ``agreement`` is the share of the rows in which it predicts as the model itself, ``histogram``
    (class,) the share of the rows in each of its classes: a constant model is certified everywhere. ``strict`` says
    whether a tie counts as a change. ``control`` holds the same bounds for a random explanation of equal size; it is
    empty for certificates of predictions.
    """

    bounds: Mapping[str, Floats]
    ids: tuple[str, ...]
    abstained: Masks
    theorem: str
    assumptions: tuple[str, ...]
    confidence: float
    draws: int
    guarantee: Literal["exact", "probabilistic", "empirical"]
    unit: str
    certified: str
    agreement: float
    histogram: Floats
    cap: float = float("inf")
    strict: bool = True
    control: Mapping[str, Floats] = field(default_factory=dict)
    extra: Mapping[str, Floats] = field(default_factory=dict)
    meaning: str = ""

    def __getattr__(self, name: str) -> Floats:
        bounds: Mapping[str, Floats] = self.__dict__.get("bounds", {})
        if name in bounds:
            return bounds[name]
        method = self.__dict__["provenance"].method if "provenance" in self.__dict__ else "without provenance"
        raise AttributeError(f"the bounds of certificate {method} are {', '.join(bounds)}; there is no {name!r}")

    def __repr__(self) -> str:
        bounds = "; ".join(
            f"{name} median {np.nanmedian(v) if np.isfinite(v).any() else np.nan:.3g}"
            for name, v in self.bounds.items()
        )
        abstained = f"abstained on {int(self.abstained.sum())} of {len(self.ids)} rows"
        lines = (f"{bounds}; {abstained}", self.theorem, *self.description)
        return "\n  ".join([self._head(), *lines]) + self._tail()

    @property
    def description(self) -> tuple[str, ...]:
        """What the bounds are worth, in sentences: guarantee, unit, model, cap, ties, and the control."""
        kinds = {
            "exact": "exact: a proof",
            "probabilistic": f"probabilistic: holds with probability {self.confidence:.4g}",
            "empirical": "empirical only: an estimate, which certifies nothing",
        }
        cap = f", at most {self.cap:.4g}" if np.isfinite(self.cap) else ""
        ties = "a tie counts as a change" if self.strict else "a tie does not count as a change"
        lines = [f"{kinds[self.guarantee]}; in {self.unit}{cap}; {ties}"]
        largest = f"{self.histogram.max():.0%} of the rows are in its largest class" if len(self.histogram) else ""
        same = f"it predicts as the model in {self.agreement:.0%} of the rows" if np.isfinite(self.agreement) else ""
        lines.append("; ".join(text for text in (f"holds for {self.certified}", same, largest) if text))
        for name in (name for name in self.bounds if name in self.control):
            own, other = (_mean_of_finite(values[name]) for values in (self.bounds, self.control))
            lines.append(f"{name}: mean {own}, of a random explanation of equal size {other}")
        return tuple(lines)


def _mean_of_finite(values: Floats) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.mean():.3g}" if len(finite) else "undefined"


@dataclass(frozen=True, repr=False, eq=False)
class Repair(Result):
    """A changed ``model`` (a ``Model``), the change, and its measured effect on the given rows.

    Where the repair changes how a model is explained and not the model, ``explanation`` is the one to use instead, and
    ``model`` the model as it was. Every repair of a model is audited again.

    ``baseline`` is the model after a plain repair of the same fault (stronger regularisation, another threshold, a
    column left out), with the same data and seed; ``baseline_change`` says which. It is audited as the repair is: a
    repair is worth its price only where it does better than this. ``None`` where no plainer repair is known.
    ``recipe`` trains models as the repaired one was, where the repair is a training: shadow models need it, and its
    rows are the training rows from then on; ``baseline_recipe`` is that of the plain repair, where it differs.
    """

    model: Any
    change: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    meaning: str = ""
    explanation: Explanation | None = None
    baseline: Any = None
    baseline_change: str = ""
    recipe: Recipe | None = None
    baseline_recipe: Recipe | None = None

    def __repr__(self) -> str:
        changes = "; ".join(f"{k} {self.before[k]:.4g} → {self.after[k]:.4g}" for k in self.after if k in self.before)
        return f"{self._head()}\n  {self.change}\n  {changes}{self._tail()}"
