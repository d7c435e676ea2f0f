# SPDX-License-Identifier: Apache-2.0
"""The same explanations under one score made in many ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.rank_tests import kendall, turned_round
from assay.basics.types import Floats, Ints, Masks
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note

AXES = ("removal", "target", "steps", "sign")
"""What one way of scoring may change against another."""


@dataclass(frozen=True)
class Scoring:
    """One way to make a score; an axis that the score does not have is empty (``steps``: −1)."""

    removal: str
    target: str
    steps: int
    sign: str

    def __str__(self) -> str:
        steps = "" if self.steps < 0 else "one part a step" if self.steps == 0 else f"{self.steps} steps"
        return ", ".join(text for text in (self.removal, self.target, steps, self.sign) if text)


@dataclass(frozen=True)
class RankChange:
    """Where a method's rank moves farthest from the first setting's: by ``change`` places (above 0: it falls)."""

    method: str
    usual: float
    there: float
    setting: Scoring

    @property
    def change(self) -> float:
        """Places lost, or (below 0) won."""
        return self.there - self.usual


@dataclass(frozen=True, repr=False, eq=False)
class SettingsGrid(Saveable):
    """Methods ranked by one score under many settings; the first setting is the usual one.

    ``values`` (setting, row, method) as scored. ``means`` and ``ranks`` (setting, method; 1 is best, ties their mean
    rank) are over the ``rows`` (setting,) on which every method that is no reference has a value; references have
    means over those they share, and no rank (NaN). ``first`` (setting, method) is how often a method has the best mean
    when rows are drawn again, the same draws for all settings, ties shared; ``all_along`` (method,) how often it has
    it, alone or tied, under all settings at once. ``beaten`` (setting, method) is how often random's mean is no worse
    than the method's, NaN without a random reference. ``familiarity`` (setting, method) is the mean of
    ``evaluate.familiarity`` of the inputs that the setting's removals make, NaN where it was not asked for.
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
    first: Floats
    all_along: Floats
    beaten: Floats
    familiarity: Floats
    cost: Mapping[str, int]
    notes: tuple[Note, ...] = field(default=())

    @property
    def ranked(self) -> tuple[str, ...]:
        """The methods that are no references."""
        played = set(self.references.values())
        return tuple(method for method in self.methods if method not in played)

    @property
    def tau(self) -> Floats:
        """Kendall's τ-b between the rankings of two settings, (setting, setting); NaN where one ties all methods."""
        chosen = self.ranks[:, self._ranked]
        return np.array([[kendall(one, other) for other in chosen] for one in chosen], dtype=np.float64)

    @property
    def mean_tau(self) -> float:
        """Mean of τ over pairs of settings that have one: 1, the setting does not matter; 0, it decides."""
        known = self._pairs_of(self.tau)
        return float(known.mean()) if len(known) else float("nan")

    @property
    def least_tau(self) -> tuple[float, Scoring, Scoring]:
        """The two settings that rank most differently, and their τ."""
        table = self.tau
        pairs = [pair for pair in combinations(range(len(self.settings)), 2) if np.isfinite(table[pair])]
        if not pairs:
            raise InputError(
                "no two settings have rankings to be compared: give two settings and two methods at least."
            )
        i, j = min(pairs, key=lambda pair: float(table[pair]))
        return float(table[i, j]), self.settings[i], self.settings[j]

    @property
    def worst(self) -> tuple[RankChange, ...]:
        """For each ranked method the setting where its rank is farthest from the first setting's, the first of such."""
        found = []
        for method in self.ranked:
            ranks = self.ranks[:, self.methods.index(method)]
            moved = np.abs(ranks - ranks[0])
            place = int(np.nanargmax(moved)) if np.isfinite(moved).any() else 0
            found.append(RankChange(method, float(ranks[0]), float(ranks[place]), self.settings[place]))
        return tuple(found)

    @property
    def best(self) -> str:
        """The method with the best mean under the first setting, the first of equals."""
        if not np.isfinite(self.ranks[0, self._ranked]).any():
            raise InputError(f"the first setting ({self.settings[0]}) has no row on which every method has a value.")
        return self.ranked[int(np.nanargmin(self.ranks[0, self._ranked]))]

    @property
    def keeps(self) -> float:
        """Share of the settings with a ranking under which the first setting's best method is best, alone or tied."""
        ranks = self.ranks[:, self._ranked]
        whole = np.isfinite(ranks).all(axis=1)
        own = ranks[whole, self.ranked.index(self.best)]
        return float((own == ranks[whole].min(axis=1)).mean())

    @property
    def keeps_chance(self) -> float:
        """How often the first setting's best method has the best mean under all settings when rows are drawn again."""
        return float(self.all_along[self.methods.index(self.best)])

    @property
    def axes(self) -> dict[str, float]:
        """How far each axis alone moves the ranking: the mean over pairs of settings that differ in it alone.

        Of each such pair the share of pairs of methods that are ordered differently, a tie in one counting half:
        0 where the axis changes nothing, 1 where it turns the ranking round. Only axes with several values are there,
        and only pairs count that rank the same rows.
        """
        ranks, whole, found = self.ranks[:, self._ranked], self._whole, {}
        for axis in AXES:
            others = [other for other in AXES if other != axis]
            held = [
                turned_round(ranks[i], ranks[j]) if (whole[i] == whole[j]).all() else float("nan")
                for i, j in combinations(range(len(self.settings)), 2)
                if getattr(self.settings[i], axis) != getattr(self.settings[j], axis)
                and all(getattr(self.settings[i], o) == getattr(self.settings[j], o) for o in others)
            ]
            known = [share for share in held if np.isfinite(share)]
            if held:
                found[axis] = float(np.mean(known)) if known else float("nan")
        return found

    @property
    def comparable(self) -> Masks:
        """Settings (setting,) ranked on the very rows of the first: elsewhere a rank may move because rows are lost."""
        whole = self._whole
        return np.asarray((whole == whole[0]).all(axis=1) & whole[0].any())

    @property
    def farthest(self) -> RankChange:
        """The farthest that any method's rank is from the first setting's, over comparable settings; the first such."""
        return self._farthest(np.flatnonzero(self.comparable))

    @property
    def farthest_alone(self) -> dict[str, RankChange]:
        """The same by axis, over comparable settings that differ in this axis alone; only axes that have such."""
        usual, found = self.settings[0], {}
        for axis in AXES:
            alike = [all(getattr(one, o) == getattr(usual, o) for o in AXES if o != axis) for one in self.settings]
            held = np.flatnonzero(self.comparable & np.array(alike))
            if len(held) > 1:
                found[axis] = self._farthest(held)
        return found

    def winners(self, setting: int) -> tuple[str, ...]:
        """The methods with the best mean under a setting: several where they tie, none where it ranks nothing."""
        ranks = self.ranks[setting, self._ranked]
        return tuple(name for name, rank in zip(self.ranked, ranks) if rank == np.min(ranks))

    @property
    def _whole(self) -> Masks:
        """Rows (setting, row) on which every ranked method has a value."""
        return np.asarray(~np.isnan(self.values[:, :, self._ranked]).any(axis=2))

    def _farthest(self, places: Ints) -> RankChange:
        if not len(places):
            raise InputError(f"the first setting ({self.settings[0]}) has no row on which every method has a value.")
        moved = np.abs(self.ranks[places][:, self._ranked] - self.ranks[0, self._ranked])
        i, j = np.unravel_index(int(np.argmax(moved)), moved.shape)
        place, column = int(places[i]), self._ranked[j]
        there = float(self.ranks[place, column])
        return RankChange(self.methods[column], float(self.ranks[0, column]), there, self.settings[place])

    @property
    def overtaken(self) -> tuple[tuple[Scoring, str], ...]:
        """Settings and methods where the random reference has a mean as good as the method's, or better."""
        random = self.references.get("random")
        if random is None:
            return ()
        sign = 1.0 if self.better == "higher" else -1.0
        floor = sign * self.means[:, self.methods.index(random)]
        return tuple(
            (setting, method)
            for i, setting in enumerate(self.settings)
            for method in self.ranked
            if floor[i] >= sign * self.means[i, self.methods.index(method)]
        )

    def to_frame(self, of: Literal["methods", "settings", "rows"] = "methods", backend: Any = "pandas") -> Any:
        """One line for each setting and method, or pair of settings (τ), or setting, row and method."""
        import narwhals as nw

        made = {"methods": self._methods, "settings": self._settings, "rows": self._rows}
        if of not in made:
            raise InputError(f"of={of!r}; there are frames of {', '.join(made)}.")
        lines = made[of]()
        if not lines:
            raise InputError("there is one setting only, and no pair of settings to tell of.")
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def _methods(self) -> list[dict[str, Any]]:
        tables = {name: getattr(self, name) for name in ("means", "ranks", "first", "beaten", "familiarity")}
        return [
            _told(setting)
            | {"method": method}
            | {name.removesuffix("s"): float(table[i, j]) for name, table in tables.items()}
            | {"rows": int(self.rows[i])}
            for i, setting in enumerate(self.settings)
            for j, method in enumerate(self.methods)
        ]

    def _settings(self) -> list[dict[str, Any]]:
        table, lines = self.tau, []
        for i, j in combinations(range(len(self.settings)), 2):
            one, other = _told(self.settings[i]), _told(self.settings[j])
            line: dict[str, Any] = {f"{axis}_one": value for axis, value in one.items()}
            line |= {f"{axis}_other": value for axis, value in other.items()}
            lines.append(line | {"tau": float(table[i, j])})
        return lines

    def _rows(self) -> list[dict[str, Any]]:
        return [
            _told(setting) | {"row": row, "method": method, "value": float(self.values[i, k, j])}
            for i, setting in enumerate(self.settings)
            for k, row in enumerate(self.ids)
            for j, method in enumerate(self.methods)
        ]

    @property
    def _ranked(self) -> list[int]:
        return [self.methods.index(method) for method in self.ranked]

    def _pairs_of(self, table: Floats) -> Floats:
        held = table[np.triu_indices(len(table), 1)]
        return np.asarray(held[np.isfinite(held)])

    def __repr__(self) -> str:
        lines = [
            f"SettingsGrid of {self.score}: {len(self.methods)} methods × {len(self.settings)} settings, "
            f"{len(self.ids)} rows"
        ]
        if len(self._pairs_of(self.tau)):
            least, one, other = self.least_tau
            lines.append(
                f"  Kendall's τ between settings: mean {self.mean_tau:.2f}, least {least:.2f} ({one} | {other})"
            )
            told = ", ".join(f"{axis} {share:.0%}" for axis, share in sorted(self.axes.items(), key=lambda a: -a[1]))
            lines.append(f"  pairs of methods that an axis alone turns round: {told}")
        if np.isfinite(self.ranks[0, self._ranked]).any():
            most = max(self.worst, key=lambda one: abs(one.change))
            lines.append(
                f"  first {self.best}, under {self.keeps:.0%} of settings (under all in {self.keeps_chance:.0%} of "
                f"resamples); farthest: {most.method} {most.usual:g} → {most.there:g} ({most.setting})"
            )
        if "random" in self.references:
            above = len(self.overtaken)
            lines.append(f"  random as good or better: {above} of {len(self.settings) * len(self.ranked)}")
        if self.notes:
            more = f" (+{len(self.notes) - 1} notes)" if self.notes[1:] else ""
            lines.append(f"  note: {self.notes[0].text}{more}")
        return "\n".join(lines)


def _told(setting: Scoring) -> dict[str, Any]:
    return {axis: getattr(setting, axis) for axis in AXES}
