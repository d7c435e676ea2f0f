# SPDX-License-Identifier: Apache-2.0
"""How far a posterior over clusters moves when the input does, and what an attack on one cluster alone achieves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Design
from assay.engine.gibbs.cluster_game import ClusterGame, ClusterPosterior, read_posterior, with_beta
from assay.engine.gibbs.posterior import Posterior, choose_beta, total_variation
from assay.engine.search.ball import Ball
from assay.engine.search.threat import as_array
from assay.nouns.inputs.rows import to_floats

OVERSHOOT = 2.5
"""Sum of all step lengths over the radius of the ball."""


@dataclass(frozen=True, eq=False)
class MovedPosterior:
    """The posteriors of rows with equally many clusters, whose class, clusters and β stay when rows move.

    ``remove`` fills absent clusters at the moved rows too.
    """

    game: ClusterGame
    rows: Ints
    design: Design
    remove: Removal
    own: ClusterPosterior

    @classmethod
    def of(
        cls, game: ClusterGame, rows: Ints, remove: Removal, prior: float, budget: int, fidelity: float
    ) -> MovedPosterior:
        """The posteriors at the rows themselves, with β chosen by their fidelity."""
        design = game.design(rows, prior, budget)
        start = read_posterior(game, rows, design, prior)
        beta = choose_beta(start.posterior, fidelity, of_probability=game.worth.is_log_probability)
        return cls(game, rows, design, remove, with_beta(start, beta))

    def at(self, x: Array) -> PosteriorAt:
        """The posteriors at ``x``, all rows of the case, at the β of the rows themselves."""
        game = self.game.at(x, self.remove)
        found = read_posterior(game, self.rows, self.design, self.own.posterior.prior)
        return PosteriorAt(game, with_beta(found, self.own.posterior.beta).posterior, self)


@dataclass(frozen=True, eq=False)
class PosteriorAt:
    """The posteriors of moved rows."""

    game: ClusterGame
    posterior: Posterior
    moved: MovedPosterior

    @property
    def distance(self) -> Floats:
        """Total variation (row,) to the posterior of the row itself."""
        return total_variation(self.posterior, self.moved.own.posterior)

    def slope(self) -> Floats:
        """The derivative (row, *shape) of the distance with respect to the rows, fillings held fixed.

        dTV/dv_k = β/2 · p_k (s_k − Σ p s) with s the sign of p − p_own; times the derivative of v through what is kept.
        """
        share, rows, case = self.posterior.share, self.moved.rows, self.game.worth.case
        sign = np.sign(share - self.moved.own.posterior.share)
        pull = 0.5 * self.posterior.beta[:, None] * share * (sign - (share * sign).sum(axis=1, keepdims=True))
        pull *= self.game.worth.sign * self.moved.own.direction[:, None] / self.moved.remove.fills
        keep = self.game.clusters.masks_of(rows, self.moved.design.masks)
        total = np.zeros((len(case), *case.features.shape))
        for queries, filled, which in self.game.game.inputs(np.repeat(rows, len(self.moved.design.masks)), keep):
            slope = to_floats(case.gradient(filled, which)) * case.features.expand_masks(keep[queries], which)
            np.add.at(total, which, slope * pull.ravel()[queries].reshape(-1, *[1] * (slope.ndim - 1)))
        return total


def random_distances(moved: MovedPosterior, ball: Ball, draws: int) -> Floats:
    """Total variation (draw, row) at random points of the ball."""
    case = moved.game.worth.case
    stream = case.seed.child("cluster sensitivity")
    return np.stack([moved.at(ball.draw(case.rows, stream.child(draw))).distance for draw in range(draws)])


def searched_distances(moved: MovedPosterior, ball: Ball, steps: int) -> Floats:
    """The largest total variation (row,) that projected steps along its gradient find, from a random point."""
    case = moved.game.worth.case
    x = ball.draw(case.rows, case.seed.child("cluster sensitivity", "start"))
    here = moved.at(x)
    best = here.distance
    for _ in range(steps):
        step = ball.steepest(as_array(here.slope(), case.rows.x)) * (OVERSHOOT * ball.radius / steps)
        x = ball.confine(ball.project(x + step, case.rows.x), case.rows.x)
        here = moved.at(x)
        best = np.maximum(best, here.distance)
    return best


def attack_clusters(moved: MovedPosterior, ball: Ball, steps: int) -> tuple[Floats, Masks]:
    """The fall of v and whether the class changed (row, cluster), when one cluster alone is moved within the ball."""
    case, sign = moved.game.worth.case, moved.game.worth.sign
    count = len(moved.own.values[0])
    owners = np.repeat(moved.rows, count)
    parts = np.concatenate([np.arange(count)[:, None] == moved.game.clusters.labels[row] for row in moved.rows])
    movable = as_array(np.array(case.features.expand_masks(parts, owners)), case.rows.x)
    start = case.rows.x[owners]
    movable = array_namespace(start).asarray(movable, dtype=start.dtype)
    x = start
    for _ in range(steps):
        slope = -sign * case.gradient(x, owners) * movable
        step = ball.steepest(slope) * movable * (OVERSHOOT * ball.radius / steps)
        x = ball.project(x + step, start)
    fall = sign * (case.output[owners] - case.value(x, owners))
    changed = case.predicted(x, owners) != case.predicted(start, owners)
    return fall.reshape(-1, count), changed.reshape(-1, count)
