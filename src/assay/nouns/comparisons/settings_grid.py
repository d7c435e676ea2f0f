# SPDX-License-Identifier: Apache-2.0
"""The result of a settings grid: the ranking of explanations by one score under many settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.rank_tests import kemeny_distance, kendall
from assay.basics.types import Floats, Ints, Masks
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note

AXES = ("removal", "target", "steps", "sign")
"""The axes of a grid of settings."""


@dataclass(frozen=True)
class Scoring:
    """One setting of a score; an axis that the score does not have is empty (``steps``: −1)."""

    removal: str
    target: str
    steps: int
    sign: str

    def __str__(self) -> str:
        steps = "" if self.steps < 0 else "one feature a step" if self.steps == 0 else f"{self.steps} steps"
        return ", ".join(text for text in (self.removal, self.target, steps, self.sign) if text)


@dataclass(frozen=True)
class RankChange:
    """A method's ``default_rank`` under the default setting, and its ``rank`` under another ``setting``."""

    method: str
    default_rank: float
    rank: float
    setting: Scoring

    @property
    def change(self) -> float:
        """Difference of the ranks; above 0 the method is worse than under the default setting."""
        return self.rank - self.default_rank


@dataclass(frozen=True, repr=False, eq=False)
class SettingsGrid(Saveable):
    """Methods ranked by one score under many settings; the first setting is the default setting.

    ``values`` (setting, row, method) are the scores. ``means`` and ``ranks`` (setting, method; 1 is best, ties have
    their mean rank) are over the ``rows`` (setting,) where every method that is not a reference has a value; references
    have means over the rows they share, and no rank (NaN). ``best_rate`` (setting, method) is the share of resamples of
    the rows in which a method has the best mean; all settings have the same resamples, and ties share a win.
    ``best_everywhere`` (method,) is the share in which it is best, alone or tied, under all settings.
    ``beaten_by_random`` (setting, method) is the share in which the mean of random is at least as good; NaN without a
    random reference. ``familiarity`` (setting, method) is the mean of ``evaluate.familiarity`` of the setting's
    perturbed inputs; NaN where it was not computed.
    """

    score: str
    better: Literal["higher", "lower"]
    methods: tuple[str, ...]
    references: Mapping[str, str]
    ids: tuple[str, ...]
    settings: tuple[Scoring, ...]
    values: Floats
    means: Floats
    ranks: Floats
    rows: Any
    best_rate: Floats
    best_everywhere: Floats
    beaten_by_random: Floats
    familiarity: Floats
    cost: Mapping[str, int]
    notes: tuple[Note, ...] = field(default=())

    @property
    def ranked(self) -> tuple[str, ...]:
        """The methods that are not references."""
        references = set(self.references.values())
        return tuple(method for method in self.methods if method not in references)

    @property
    def tau(self) -> Floats:
        """Kendall's τ-b of the rankings of two settings, (setting, setting); NaN where all methods are tied in one."""
        chosen = self.ranks[:, self._ranked]
        return np.array([[kendall(one, other) for other in chosen] for one in chosen], dtype=np.float64)

    @property
    def mean_tau(self) -> float:
        """Mean of the defined τ over pairs of settings; 1: the ranking does not depend on the setting."""
        known = self._defined_pairs(self.tau)
        return float(known.mean()) if len(known) else float("nan")

    @property
    def min_tau(self) -> tuple[float, Scoring, Scoring]:
        """The two settings that rank most differently, and their τ."""
        table = self.tau
        pairs = [pair for pair in combinations(range(len(self.settings)), 2) if np.isfinite(table[pair])]
        if not pairs:
            raise InputError(
                "no two settings have comparable rankings; at least two settings and two methods are needed."
            )
        i, j = min(pairs, key=lambda pair: float(table[pair]))
        return float(table[i, j]), self.settings[i], self.settings[j]

    @property
    def largest_rank_changes(self) -> tuple[RankChange, ...]:
        """The largest rank change of each ranked method, under any setting; the first setting among equal ones."""
        changes = []
        for method in self.ranked:
            ranks = self.ranks[:, self.methods.index(method)]
            size = np.abs(ranks - ranks[0])
            i = int(np.nanargmax(size)) if np.isfinite(size).any() else 0
            changes.append(RankChange(method, float(ranks[0]), float(ranks[i]), self.settings[i]))
        return tuple(changes)

    @property
    def best(self) -> str:
        """The method with the best mean under the default setting; the first of equal ones."""
        if not np.isfinite(self.ranks[0, self._ranked]).any():
            raise InputError(f"the default setting ({self.settings[0]}) has no row on which every method has a value.")
        return self.ranked[int(np.nanargmin(self.ranks[0, self._ranked]))]

    @property
    def best_unchanged_share(self) -> float:
        """Share of the ranked settings under which the default setting's best method is best, alone or tied."""
        ranks = self.ranks[:, self._ranked]
        whole = np.isfinite(ranks).all(axis=1)
        own = ranks[whole, self.ranked.index(self.best)]
        return float((own == ranks[whole].min(axis=1)).mean())

    @property
    def best_everywhere_rate(self) -> float:
        """Share of resamples of the rows in which the default setting's best method is best under all settings."""
        return float(self.best_everywhere[self.methods.index(self.best)])

    @property
    def reversal_rates(self) -> dict[str, float]:
        """Share of pairs of methods that each axis alone orders differently, a tie under one setting counting half.

        The mean over pairs of settings that differ in this axis only and rank the same rows: 0 where the axis has no
        effect, 1 where it reverses the ranking. Axes with one value are absent.
        """
        ranks, whole, found = self.ranks[:, self._ranked], self._whole, {}
        for axis in AXES:
            others = [other for other in AXES if other != axis]
            shares = [
                kemeny_distance(ranks[i], ranks[j]) if (whole[i] == whole[j]).all() else float("nan")
                for i, j in combinations(range(len(self.settings)), 2)
                if getattr(self.settings[i], axis) != getattr(self.settings[j], axis)
                and all(getattr(self.settings[i], o) == getattr(self.settings[j], o) for o in others)
            ]
            known = [share for share in shares if np.isfinite(share)]
            if shares:
                found[axis] = float(np.mean(known)) if known else float("nan")
        return found

    @property
    def comparable(self) -> Masks:
        """Settings (setting,) ranked on the same rows as the default setting, so that their ranks are comparable."""
        whole = self._whole
        return np.asarray((whole == whole[0]).all(axis=1) & whole[0].any())

    @property
    def largest_rank_change(self) -> RankChange:
        """The largest rank change of any method over comparable settings; the first of equal ones."""
        return self._largest(np.flatnonzero(self.comparable))

    @property
    def largest_rank_change_by_axis(self) -> dict[str, RankChange]:
        """By axis, the largest rank change over comparable settings that differ from the default in this axis only."""
        default, found = self.settings[0], {}
        for axis in AXES:
            equal = [all(getattr(one, o) == getattr(default, o) for o in AXES if o != axis) for one in self.settings]
            indices = np.flatnonzero(self.comparable & np.array(equal))
            if len(indices) > 1:
                found[axis] = self._largest(indices)
        return found

    def winners(self, setting: int) -> tuple[str, ...]:
        """The methods with the best mean under a setting: several in a tie, none where there is no ranking."""
        ranks = self.ranks[setting, self._ranked]
        return tuple(name for name, rank in zip(self.ranked, ranks) if rank == np.min(ranks))

    @property
    def _whole(self) -> Masks:
        """Rows (setting, row) where every ranked method has a value."""
        return np.asarray(~np.isnan(self.values[:, :, self._ranked]).any(axis=2))

    def _largest(self, settings: Ints) -> RankChange:
        if not len(settings):
            raise InputError(f"the default setting ({self.settings[0]}) has no row on which every method has a value.")
        size = np.abs(self.ranks[settings][:, self._ranked] - self.ranks[0, self._ranked])
        i, j = np.unravel_index(int(np.argmax(size)), size.shape)
        setting, column = int(settings[i]), self._ranked[j]
        rank = float(self.ranks[setting, column])
        return RankChange(self.methods[column], float(self.ranks[0, column]), rank, self.settings[setting])

    @property
    def not_better_than_random(self) -> tuple[tuple[Scoring, str], ...]:
        """Settings and methods for which the mean of the random reference is at least as good as the method's."""
        random = self.references.get("random")
        if random is None:
            return ()
        sign = 1.0 if self.better == "higher" else -1.0
        reference = sign * self.means[:, self.methods.index(random)]
        return tuple(
            (setting, method)
            for i, setting in enumerate(self.settings)
            for method in self.ranked
            if reference[i] >= sign * self.means[i, self.methods.index(method)]
        )

    def to_frame(self, of: Literal["methods", "settings", "rows"] = "methods", backend: Any = "pandas") -> Any:
        """One line for each setting and method, or pair of settings (τ), or setting, row and method."""
        import narwhals as nw

        frames = {"methods": self._methods, "settings": self._settings, "rows": self._rows}
        if of not in frames:
            raise InputError(f"of={of!r}; there are frames of {', '.join(frames)}.")
        lines = frames[of]()
        if not lines:
            raise InputError("the grid has only one setting, so there are no pairs of settings.")
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def _methods(self) -> list[dict[str, Any]]:
        names = ("means", "ranks", "best_rate", "beaten_by_random", "familiarity")
        tables = {name: getattr(self, name) for name in names}
        return [
            _values_of(setting)
            | {"method": method}
            | {name.removesuffix("s"): float(table[i, j]) for name, table in tables.items()}
            | {"rows": int(self.rows[i])}
            for i, setting in enumerate(self.settings)
            for j, method in enumerate(self.methods)
        ]

    def _settings(self) -> list[dict[str, Any]]:
        table, lines = self.tau, []
        for i, j in combinations(range(len(self.settings)), 2):
            one, other = _values_of(self.settings[i]), _values_of(self.settings[j])
            line: dict[str, Any] = {f"{axis}_one": value for axis, value in one.items()}
            line |= {f"{axis}_other": value for axis, value in other.items()}
            lines.append(line | {"tau": float(table[i, j])})
        return lines

    def _rows(self) -> list[dict[str, Any]]:
        return [
            _values_of(setting) | {"row": row, "method": method, "value": float(self.values[i, k, j])}
            for i, setting in enumerate(self.settings)
            for k, row in enumerate(self.ids)
            for j, method in enumerate(self.methods)
        ]

    @property
    def _ranked(self) -> list[int]:
        return [self.methods.index(method) for method in self.ranked]

    def _defined_pairs(self, table: Floats) -> Floats:
        pairs = table[np.triu_indices(len(table), 1)]
        return np.asarray(pairs[np.isfinite(pairs)])

    def __repr__(self) -> str:
        lines = [
            f"SettingsGrid of {self.score}: {len(self.methods)} methods × {len(self.settings)} settings, "
            f"{len(self.ids)} rows"
        ]
        if len(self._defined_pairs(self.tau)):
            least, one, other = self.min_tau
            lines.append(
                f"  Kendall's τ between settings: mean {self.mean_tau:.2f}, least {least:.2f} ({one} | {other})"
            )
            rates = sorted(self.reversal_rates.items(), key=lambda rate: -rate[1])
            text = ", ".join(f"{axis} {share:.0%}" for axis, share in rates)
            lines.append(f"  pairs of methods whose order depends on: {text}")
        if np.isfinite(self.ranks[0, self._ranked]).any():
            most = max(self.largest_rank_changes, key=lambda one: abs(one.change))
            lines.append(
                f"  first {self.best}, under {self.best_unchanged_share:.0%} of settings (under all in "
                f"{self.best_everywhere_rate:.0%} of resamples); largest rank change: {most.method} "
                f"{most.default_rank:g} → {most.rank:g} ({most.setting})"
            )
        if "random" in self.references:
            above = len(self.not_better_than_random)
            lines.append(
                f"  random is as good or better: {above} of {len(self.settings) * len(self.ranked)} (setting, method)"
            )
        if self.notes:
            more = f" (+{len(self.notes) - 1} notes)" if self.notes[1:] else ""
            lines.append(f"  note: {self.notes[0].text}{more}")
        return "\n".join(lines)


def _values_of(setting: Scoring) -> dict[str, Any]:
    return {axis: getattr(setting, axis) for axis in AXES}
