# SPDX-License-Identifier: Apache-2.0
"""HopSkipJump: a walk along the decision boundary towards the row, of which the decisions alone are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.search.minimum_norm import NearestPoints
from assay.engine.search.threat import Threat, as_array
from assay.nouns.inputs.rows import to_floats

STARTS, COMPARED = 40, 8
"""Random points that are tried as the start of a row; so many of each row are bisected, and the nearest counts."""

SPENT_ON_STARTS = 10
"""At most one of so many queries goes to the comparison of starts."""

HALVINGS = 12
"""How often the length of a step is halved."""

PROBES = 100
"""Random directions of the first step; later steps use √step times as many."""

SHARE = 0.1
"""At most this share of the queries is used for the directions of the first step."""

REACH = 0.1
"""The largest distance of the probes from the boundary, as a share of the distance to the row; 1 / elements if less."""

PRECISION = 8
"""How much nearer than the probes the boundary is located."""


@dataclass(eq=False)
class BoundaryWalk:
    """The walk of all rows of a threat; ``queries`` (row,) counts the decisions asked, at most ``most`` a row.

    Moves (row, element) are in units of the ball's scale. ``move`` is the best that succeeds, ``length`` (row,) its
    norm, infinite where there is none. ``from_rows`` (row,) says that the start was another row of the case.
    """

    threat: Threat
    most: int
    rows: Floats = field(init=False)
    scale: Floats = field(init=False)
    queries: Ints = field(init=False)
    move: Floats = field(init=False)
    length: Floats = field(init=False)
    from_rows: Masks = field(init=False)

    def __post_init__(self) -> None:
        threat = self.threat
        self.rows = to_floats(threat.x).reshape(len(threat), -1)
        scale = np.array(threat.ball.scale) if threat.ball.scale else np.ones(1)
        self.scale = np.broadcast_to(scale, threat.x.shape[1:]).ravel().astype(np.float64)
        self.queries = np.zeros(len(threat), dtype=np.int64)
        self.move, self.length = np.zeros_like(self.rows), np.full(len(threat), np.inf)
        self.from_rows = np.zeros(len(threat), dtype=bool)

    @property
    def is_linf(self) -> bool:
        """Whether the norm is linf, else l2."""
        return self.threat.ball.norm == "linf"

    def run(self) -> NearestPoints:
        """The nearest points found."""
        self._start()
        running = np.flatnonzero(np.isfinite(self.length) & (self.length > 0))
        self._shrink(running, self.move[running])
        generators = [
            self.threat.case.seed.child("hop_skip_jump", name).generator() for name in self.threat.case.rows.ids
        ]
        step = 0
        while len(running := self._affording(running)):
            step += 1
            probes = self._probes(running, step)
            directions = self._directions(running, probes, generators)
            moved = self._step(running, directions, step)
            self._shrink(running, moved)
        found = np.isfinite(self.length)
        x = self._points(np.arange(len(self.rows)), self.move)
        far = np.full(len(found), np.inf)
        return NearestPoints(x, np.where(found, self.length, np.inf), x, far)

    def norm(self, moves: Floats) -> Floats:
        """The norm of each move (row,)."""
        return np.asarray(np.abs(moves).max(axis=1) if self.is_linf else np.linalg.norm(moves, axis=1))

    def succeeds(self, which: Ints, moves: Floats) -> Masks:
        """Whether each move of the rows ``which`` succeeds: one query for each."""
        if not len(which):
            return np.zeros(0, dtype=bool)
        np.add.at(self.queries, which, 1)
        outputs = to_floats(self.threat.case.outputs(self._points(which, moves), which))
        return self.threat.successes(outputs, which)

    def _points(self, which: Ints, moves: Floats) -> np.ndarray:
        values = self.rows[which] + moves * self.scale
        ball, like = self.threat.ball, self.threat.x
        return as_array(np.clip(values, ball.low, ball.high).reshape((len(which), *like.shape[1:])), like)

    def _inside(self, which: Ints, moves: Floats) -> Floats:
        """The moves as the bounds allow them."""
        ball, safe = self.threat.ball, np.where(self.scale > 0, self.scale, 1.0)
        values = np.clip(self.rows[which] + moves * self.scale, ball.low, ball.high)
        return np.where(self.scale > 0, (values - self.rows[which]) / safe, 0.0)

    def _accept(self, which: Ints, moves: Floats) -> None:
        """Take over moves that succeeded and are shorter."""
        length = self.norm(moves)
        shorter = length < self.length[which]
        self.move[which[shorter]], self.length[which[shorter]] = moves[shorter], length[shorter]

    def _start(self) -> None:
        """A random point that succeeds; else the nearest other row of the case that does."""
        threat = self.threat
        done = threat.successes(threat.case.prediction)
        self.length[done] = 0.0
        compared = min(COMPARED, max(1, self.most // (SPENT_ON_STARTS * (self.bisections + 1))))
        for number in range(min(STARTS, max(1, self.most // 4))):
            which = np.flatnonzero(~done if number < compared else np.isinf(self.length))
            if not len(which):
                return
            moves = self._inside(which, np.stack([self._draw(row, number) for row in which.tolist()]))
            success = self.succeeds(which, moves)
            self._accept(which[success], moves[success])
            self._shrink(which[success], moves[success])
        for row in np.flatnonzero(np.isinf(self.length)).tolist():
            self._start_from_rows(row)

    def _draw(self, row: int, number: int) -> Floats:
        ball, name = self.threat.ball, self.threat.case.rows.ids[row]
        stream = self.threat.case.seed.child("start", number, name).generator()
        if np.isfinite([ball.low, ball.high]).all():
            safe = np.where(self.scale > 0, self.scale, 1.0)
            return (stream.uniform(ball.low, ball.high, len(self.scale)) - self.rows[row]) / safe
        direction = stream.standard_normal(len(self.scale))
        return direction / self.norm(direction[None]) * ball.radius * 2 ** (number / 2)

    def _start_from_rows(self, row: int) -> None:
        outputs = self.threat.case.prediction
        goal = self.threat.successes(outputs, np.full(len(outputs), row))
        safe = np.where(self.scale > 0, self.scale, 1.0)
        moves = (self.rows - self.rows[row]) / safe
        goal &= (moves[:, self.scale == 0] == 0).all(axis=1)
        if goal.any():
            places = np.flatnonzero(goal)
            nearest = places[int(self.norm(moves[places]).argmin())]
            self._accept(np.array([row]), moves[[nearest]])
            self.from_rows[row] = True

    @property
    def reach(self) -> float:
        """How far the probes lie from the boundary, as a share of the distance to the row."""
        return min(REACH, 1 / len(self.scale))

    @property
    def bisections(self) -> int:
        """Queries that locate the boundary on the way to the row."""
        return int(np.ceil(np.log2(PRECISION / self.reach)))

    def _affording(self, which: Ints) -> Ints:
        """The rows whose queries suffice for one more step of at least two probes."""
        return which[self.most - self.queries[which] >= self.bisections + HALVINGS + 2]

    def _probes(self, which: Ints, step: int) -> int:
        count = min(PROBES, max(2, int(SHARE * self.most))) * np.sqrt(step)
        return int(min(count, (self.most - self.queries[which]).min() - self.bisections - HALVINGS))

    def _shrink(self, which: Ints, moves: Floats) -> None:
        """Move each successful point towards its row, to where the decision changes: by bisection."""
        which, moves = which[(room := self.most - self.queries[which] >= self.bisections)], moves[room]
        if not len(which):
            return
        longest = self.norm(moves)
        low, high = np.zeros(len(which)), np.ones(len(which))
        for _ in range(self.bisections):
            middle = (low + high) / 2
            success = self.succeeds(which, self._part(moves, middle, longest))
            low, high = np.where(success, low, middle), np.where(success, middle, high)
        self._accept(which, self._part(moves, high, longest))

    def _part(self, moves: Floats, share: Floats, longest: Floats) -> Floats:
        """The part of each move: shorter by this share, for linf cut off at this share of its largest element."""
        if self.is_linf:
            limit = (share * longest)[:, None]
            return np.clip(moves, -limit, limit)
        return moves * share[:, None]

    def _directions(self, which: Ints, count: int, generators: list[np.random.Generator]) -> Floats:
        """The direction of the boundary's normal at each point (row, element), from the decisions around it."""
        free = self.scale > 0
        drawn = np.stack([generators[row].standard_normal((count, len(self.scale))) for row in which.tolist()]) * free
        drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
        size = self.reach * self.length[which]
        here = self.move[which][:, None] + size[:, None, None] * drawn
        rows = np.repeat(which, count)
        inside = self._inside(rows, here.reshape(-1, len(self.scale)))
        signs = np.where(self.succeeds(rows, inside), 1.0, -1.0).reshape(len(which), count)
        true = (inside.reshape(here.shape) - self.move[which][:, None]) / size[:, None, None]
        mixed = np.abs(signs.sum(axis=1)) < count
        weight = np.where(mixed[:, None], signs - signs.mean(axis=1, keepdims=True), signs)
        normal = np.asarray((weight[:, :, None] * true).mean(axis=1))
        if self.is_linf:
            return np.sign(normal)
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        return np.asarray(normal / np.where(length > 0, length, 1.0))

    def _step(self, which: Ints, directions: Floats, step: int) -> Floats:
        """The points after a step into the other class; its length is halved until it succeeds, else the old point."""
        start, size = self.move[which], self.length[which] / np.sqrt(step)
        found, waiting = start.copy(), np.ones(len(which), dtype=bool)
        for _ in range(HALVINGS):
            open_ = np.flatnonzero(waiting)
            if not len(open_):
                break
            moves = self._inside(which[open_], start[open_] + size[open_, None] * directions[open_])
            success = self.succeeds(which[open_], moves)
            found[open_[success]], waiting[open_[success]] = moves[success], False
            size[open_] /= 2
        return found
