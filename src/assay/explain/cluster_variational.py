# SPDX-License-Identifier: Apache-2.0
"""Cluster variational explanation."""

from __future__ import annotations

from math import isnan
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gibbs.cluster_game import (
    DESIGN,
    ClusterGame,
    ClusterPosterior,
    Clusters,
    read_posterior,
    with_beta,
)
from assay.engine.gibbs.design import posterior_design
from assay.engine.gibbs.families import fit_mixture, gap, mean_field, product_log
from assay.engine.gibbs.posterior import choose_beta, fidelity_of, rate_fidelity
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate, Note

FEW, MISSED = 50, 0.25
"""The effective sample size below which, and the evidence possibly missed above which a note warns."""

MAX_ENUMERATED_FAMILY = 2**14
"""Largest table to which the mean field is fitted for its gap."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    counts = Clusters.of(case, o.clusters).counts
    stream = case.seed.child("design", DESIGN)
    sizes = {int(n): len(posterior_design(int(n), o.prior, o.budget, stream).masks) - 1 for n in np.unique(counts)}
    return Cost(sum(sizes[int(n)] for n in counts)) * (o.remove.fills * case.model.passes_per_row)


@explainer(source="li2024", claims={"dummy", "symmetric", "enumerable"}, cost=_cost)
def cluster_variational(
    case: Case,
    *,
    remove: Removal = DEFAULT,
    prior: float = 0.1,
    fidelity: float = 0.9,
    beta: float | None = None,
    family: Literal["exact", "mean_field", "mixture"] = "exact",
    clusters: int = 12,
    budget: int = 4096,
) -> Estimate:
    """How much a cluster is needed for the class: the log odds that it is kept, less those of the prior, over β.

    A set m of clusters has the prior π^|m| (1 − π)^(n − |m|) with π = ``prior``, and v(m) = log p of the class with the
    other clusters removed (−loss for a loss; else the target). The Gibbs posterior is p(m) ∝ prior · e^(β v(m)); the
    value w_i = [logit P(m_i = 1) − logit π] / β is in nats (units of the target). It is a_i for v = Σ a_i m_i, whatever
    β and π; 0 for a cluster without effect; at β = 0 the mean of v with the cluster minus the mean without it (the
    Banzhaf value for π = ½); as β grows the largest v with it minus the largest without it. There is no base. It is not
    a probability that a cluster is critical: β and π are choices. Where the target of a regression falls when
    everything is present, the posterior keeps it low.

    ``beta``: by default the smallest with E[p] ≥ ``fidelity`` · p(x) under the posterior (for other targets E[v] has
    that share of v(x) − v(∅)). 1/β is the price of a cluster in nats. ``extra["rate_fidelity"]`` (row, point, 3) is the
    curve of β, bits KL(posterior ‖ prior) / ln 2, and fidelity.

    Exact, without error, where 2^n fits in ``budget``. Else masks are drawn stratified by size: ``stderr`` is that of
    the draws with β as given, extra["effective_sample_size"] says what the draws are worth (below 50 a note, below 10
    NaN), extra["possibly_missed"] what sets never drawn could add to the evidence (above .25 a note, 10 NaN), and
    extra["certified_low"], ["certified_high"] (row, part) are limits of P(m_i = 1) that hold whatever the
    other masks give, since v ≤ 0; NaN for a target without a limit. They are narrow only for a small ``prior``.

    Clusters are the features. Pictures with more than ``clusters`` features have them merged into at most that many by
    mean shift over place and colour (extra["cluster"], a note); each feature then has the value of its cluster.
    ``assay.mean_shift_clusters(images)`` cuts a case so from the start.

    ``family``: "mean_field" and "mixture" (of three) report the marginals of the product, or mixture, that is nearest
    in KL(q ‖ posterior), for comparison. extra["gap"] is that KL in nats, log Z = extra["elbo"] + gap; with "exact" it
    is that of the mean field. More: "marginals", "entropy_bits", "kl_bits", "log_evidence", "expected_clusters",
    "credible_masks" (row, 16, part), "credible_probability", "credible_count" of the 95 % credible set.

    Not for more than 20 clusters, word order, or a removal that gives inputs unlike any the model knows: the posterior
    then describes the hole. Log p near 0 (an overconfident net) leaves little to tell clusters by. ``InputError`` for
    options out of range, and for a family that is not exact where 2^n exceeds the budget. The draft behind it (Li 2024)
    defines no algorithm; the definition is this page's.
    """
    _check(prior, fidelity, beta, clusters)
    game = ClusterGame.of(case, remove, clusters, prior, budget)
    rows, parts = len(case), len(case.features)
    values, stderr = np.full((rows, parts), np.nan), np.full((rows, parts), np.nan)
    extra: dict[str, Floats] = {}
    exact = True
    for group in game.groups():
        design = game.design(group, prior, budget)
        found = read_posterior(game, group, design, prior)
        of_probability = game.worth.is_log_probability
        chosen = (
            choose_beta(found.posterior, fidelity, of_probability=of_probability)
            if beta is None
            else np.full(len(group), float(beta))
        )
        found = with_beta(found, chosen)
        exact &= found.posterior.is_complete
        own, error, numbers = _read(found, game, family)
        for place, row in enumerate(group):
            values[row] = game.clusters.spread(row, own[place], 0.0)
            stderr[row] = game.clusters.spread(row, error[place], 0.0)
        _store(extra, numbers, game, group, (rows, parts))
    extra["cluster"] = game.clusters.labels.astype(np.float64)
    output = game.worth.sign * game.game.case.output
    found_notes = _notes(case, game, extra, exact=exact, prior=prior)
    return game.path.annotate(Estimate(values, stderr, output=output, notes=found_notes, extra=extra))


def _check(prior: float, fidelity: float, beta: float | None, clusters: int) -> None:
    if not 0 < prior < 1 or not 0 < fidelity < 1 or (beta is not None and (isnan(beta) or beta < 0)) or clusters < 1:
        raise InputError(
            f"prior={prior}, fidelity={fidelity}, beta={beta}, clusters={clusters}; needed are a prior and a fidelity "
            f"strictly between 0 and 1, beta ≥ 0 (or None), and at least 1 cluster."
        )


def _read(found: ClusterPosterior, game: ClusterGame, family: str) -> tuple[Floats, Floats, dict[str, Floats]]:
    """Values and errors (row, cluster), and the numbers of ``extra``."""
    posterior = found.posterior
    values, error = found.values, posterior.stderr()
    marginals, shortfall = posterior.marginals, np.full(len(values), np.nan)
    start = logit(posterior.prior)
    with np.errstate(divide="ignore", invalid="ignore"):
        if not posterior.is_complete:
            if family != "exact":
                raise InputError(
                    f"family={family!r} needs the whole table, {2.0 ** values.shape[1]:.0f} masks of {values.shape[1]} "
                    f"clusters; raise budget."
                )
            values = np.where(posterior.is_usable[:, None], values, np.nan)
            marginals = expit(posterior.beta[:, None] * found.direction[:, None] * values + start)
        elif family == "mixture":
            marginals, log_q = fit_mixture(posterior)
            shortfall = gap(posterior, log_q)
        elif family == "mean_field" or len(posterior.design.masks) <= MAX_ENUMERATED_FAMILY:
            rates = mean_field(posterior)
            shortfall = gap(posterior, product_log(rates, posterior.design.masks))
            marginals = rates if family == "mean_field" else marginals
        if family != "exact":
            values = found.direction[:, None] * (logit(marginals) - start) / posterior.beta[:, None]
    undefined = ~found.defined[:, None]
    values = np.where(undefined | ~np.isfinite(values), np.nan, values)
    error = np.where(np.isnan(values), np.nan, error)
    return values, error, _numbers(found, game, np.where(undefined, np.nan, marginals), shortfall)


def _numbers(found: ClusterPosterior, game: ClusterGame, marginals: Floats, shortfall: Floats) -> dict[str, Floats]:
    """What ``extra`` has of each row; per cluster where the name says so."""
    posterior, of_probability = found.posterior, game.worth.is_log_probability
    low, high = posterior.bounds(game.worth.ceiling)
    masks, chances, number = posterior.credible_set()
    numbers: dict[str, Any] = {
        "marginals": marginals,
        "certified_low": low,
        "certified_high": high,
        "credible_masks": masks,
        "beta": posterior.beta,
        "fidelity": fidelity_of(posterior, of_probability=of_probability),
        "entropy_bits": posterior.entropy() / np.log(2),
        "kl_bits": posterior.divergence() / np.log(2),
        "log_evidence": posterior.log_evidence,
        "gap": shortfall,
        "elbo": posterior.log_evidence - shortfall,
        "expected_clusters": marginals.sum(axis=1),
        "effective_sample_size": posterior.effective_sample_size(),
        "possibly_missed": posterior.possibly_missed(),
        "certified_width": (high - low).max(axis=1),
        "credible_probability": chances,
        "credible_count": number,
        "rate_fidelity": rate_fidelity(posterior, of_probability=of_probability),
    }
    undefined = ~found.defined
    return {name: np.where(_wide(undefined, array), np.nan, array) for name, array in numbers.items()}


BY_CLUSTER = ("marginals", "certified_low", "certified_high", "credible_masks")
"""Numbers whose last axis is the cluster."""


def _wide(rows: Any, like: Any) -> Any:
    return rows.reshape(-1, *[1] * (like.ndim - 1))


def _store(
    extra: dict[str, Floats], numbers: dict[str, Floats], game: ClusterGame, group: Any, shape: tuple[int, int]
) -> None:
    """Write the numbers of some rows into arrays of all rows, those of clusters spread over their parts."""
    for name, array in numbers.items():
        of_parts = name in BY_CLUSTER
        ends = (*array.shape[1:-1], shape[1]) if of_parts else array.shape[1:]
        place = extra.setdefault(name, np.full((shape[0], *ends), np.nan))
        for row, one in zip(group, array):
            place[row] = game.clusters.spread(row, one, np.nan) if of_parts else one


def _notes(case: Case, game: ClusterGame, extra: dict[str, Floats], *, exact: bool, prior: float) -> tuple[Note, ...]:
    notes = []
    if game.worth.is_log_probability and case.target.name != "loss":
        text = f"values are of log p of the class, in nats, not of the target {case.target.name}"
        notes.append(Note("log probability", text))
    if game.clusters.merged:
        low, high = game.clusters.counts.min(), game.clusters.counts.max()
        text = f"{len(case.features)} features were merged into {low} to {high} clusters by mean shift; the value of a "
        notes.append(Note("clusters", f"{text}feature is that of its cluster"))
    if exact:
        return tuple(notes)
    sample, ids = extra["effective_sample_size"], case.rows.ids
    missed = extra["possibly_missed"]
    few = np.flatnonzero((sample < FEW) | (missed > MISSED))
    if len(few):
        text = (
            f"draws of {len(few)} row(s) are worth few ({sample[few].min():.0f} at least), or may have missed what "
            f"counts ({missed[few].max():.2g} of the evidence at most): raise budget, or merge features"
        )
        notes.append(Note("few effective draws", text, tuple(ids[i] for i in few)))
    width = extra["certified_width"]
    if game.worth.ceiling is None or np.nanmax(width, initial=0.0) > 0.5:
        notes.append(Note("not certified", f"certified limits of P(kept) are wide, or have none at prior {prior:g}"))
    return tuple(notes)
