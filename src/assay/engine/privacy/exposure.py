# SPDX-License-Identifier: Apache-2.0
"""Exposure of secrets in language models: ranks among candidates, exact or sampled, and extraction by beam search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints

CHANCE = 1 / math.log(2)
"""Mean exposure in bits of a secret that is not memorised."""

ALPHABETS = {"#": "0123456789", "@": "abcdefghijklmnopqrstuvwxyz"}
"""What stands for one of several characters in a pattern, and which; other characters stand for themselves."""

LEAST_FITTED = 20
"""Sampled candidates from which the distribution of their perplexities is extrapolated."""


@dataclass(frozen=True)
class SecretSpace:
    """All secrets that could have been inserted: those of a pattern such as "####", or a list."""

    pattern: str = ""
    listed: tuple[str, ...] = ()

    @staticmethod
    def of(secrets: Sequence[str], pattern: str, listed: Sequence[str] = ()) -> SecretSpace:
        """The space of the secrets; by default each of their digits could be any digit.

        ``InputError`` where a secret is not in it, or it has fewer than two members.
        """
        if listed and pattern:
            raise InputError("space and candidates are both given; give one of them.")
        if listed:
            space = SecretSpace(listed=tuple(dict.fromkeys(map(str, listed))))
        else:
            derived = {"".join("#" if sign.isdigit() else sign for sign in secret) for secret in secrets}
            if not pattern and len(derived) > 1:
                raise InputError(
                    f"the secrets have the forms {sorted(derived)[:4]}; test secrets of one form at a time, or give "
                    f"space (# for a digit, @ for a small letter) or candidates."
                )
            space = SecretSpace(pattern or derived.pop())
        outside = [secret for secret in secrets if secret not in space]
        if outside or len(space) < 2:
            raise InputError(
                f"{outside[0]!r} is not among the {len(space):,} candidates"
                if outside
                else f"the space {space.pattern!r} has {len(space)} candidate(s); at least 2 are needed: # stands for "
                f"a digit, @ for a small letter."
            )
        return space

    def __len__(self) -> int:
        return len(self.listed) if self.listed else math.prod(map(len, self.choices))

    def __contains__(self, secret: str) -> bool:
        if self.listed:
            return secret in self.listed
        return len(secret) == len(self.pattern) and all(s in c for s, c in zip(secret, self.choices))

    @property
    def choices(self) -> list[str]:
        """The characters that each place can have."""
        return [ALPHABETS.get(sign, sign) for sign in self.pattern]

    def all(self) -> list[str]:
        """All candidates."""
        return list(self.listed) if self.listed else ["".join(signs) for signs in product(*self.choices)]

    def draw(self, count: int, without: str, seed: Seed) -> list[str]:
        """``count`` candidates drawn independently and evenly, none of them the secret itself."""
        generator, found = seed.generator(), list[str]()
        while len(found) < count:
            if self.listed:
                one = self.listed[int(generator.integers(len(self.listed)))]
            else:
                one = "".join(c[int(generator.integers(len(c)))] for c in self.choices)
            if one != without:
                found.append(one)
        return found


def rank_among(own: float, others: Floats) -> int:
    """1 + the number of other candidates that are at least as likely: ties count against the secret."""
    return 1 + int((others >= own).sum())


def exposures(ranks: Ints, candidates: int) -> Floats:
    """log2(candidates) − log2(rank), in bits: 0 for the least likely, log2(candidates) for the most likely one.

    Without memory the rank is uniform, so that 2^−exposure is a p-value, and exposure nearly exponential with the mean
    1 / ln 2 = 1.44 bits.
    """
    return np.asarray(np.log2(candidates) - np.log2(ranks))


def extrapolated_exposure(own: float, others: Floats) -> float:
    """−log2 P(log-perplexity of a candidate ≤ the secret's) by a skew-normal fitted to sampled candidates; in bits.

    It can exceed log2 of the number of candidates sampled, where nothing but the shape of the fit supports it. NaN for
    fewer than 20 candidates or equal ones.
    """
    perplexities = -np.asarray(others, dtype=np.float64)
    if len(perplexities) < LEAST_FITTED or np.ptp(perplexities) == 0:
        return float("nan")
    fitted: Any = scipy_stats.skewnorm.fit(perplexities)
    shape, place, scale = (float(one) for one in fitted)
    return float(-scipy_stats.skewnorm.logcdf(-own, shape, place, scale) / math.log(2))


def combined_p(values: Floats) -> float:
    """Fisher's p-value for several canaries of which each has the p-value 2^−exposure."""
    return float(scipy_stats.chi2.sf(2 * math.log(2) * float(np.sum(values)), 2 * len(values)))


def distance_from_chance(values: Floats) -> float:
    """p-value of Kolmogorov and Smirnov's test that exposures are exponential with the mean 1 / ln 2."""
    return float(scipy_stats.kstest(values, "expon", args=(0, CHANCE)).pvalue)


def chance_limits(count: int, level: float) -> tuple[float, float]:
    """Where the mean exposure of so many secrets lies if none is memorised, in bits."""
    low, high = (float(scipy_stats.chi2.ppf(share, 2 * count)) for share in ((1 - level) / 2, (1 + level) / 2))
    return low * CHANCE / (2 * count), high * CHANCE / (2 * count)


def beam_search(space: SecretSpace, score: Callable[[list[str]], Floats], width: int) -> tuple[str, float]:
    """The most likely secret of a pattern that a beam of ``width`` beginnings finds, and its score.

    ``score`` gives the log-likelihoods of beginnings of secrets. Places with one possible character cost nothing.
    """
    beam = [""]
    values: Floats = np.zeros(1)
    for stop, more in _extensions(space.choices):
        longer = [begun + end for begun in beam for end in more]
        if len(longer) == 1 and stop < len(space.pattern):
            beam = longer
            continue
        values = score(longer)
        best = np.argsort(-values, kind="stable")[:width]
        beam, values = [longer[int(i)] for i in best], values[best]
    return beam[0], float(values[0])


def beam_cost(space: SecretSpace, width: int) -> int:
    """The most beginnings that a beam search scores."""
    count, total = 1, 0
    for _, more in _extensions(space.choices):
        total += count * len(more)
        count = min(width, count * len(more))
    return total


def _extensions(choices: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """For each place with several possible characters: where it ends, and these, with the fixed ones that follow."""
    free = [place for place, signs in enumerate(choices) if len(signs) > 1]
    if free and free[0] > 0:
        yield free[0], ["".join(choices[: free[0]])]
    for place, stop in zip(free, [*free[1:], len(choices)]):
        yield stop, [sign + "".join(choices[place + 1 : stop]) for sign in choices[place]]


def level_of(value: Any) -> float:
    """How often a canary was inserted, as a number; ``InputError`` for anything below 0 or no number."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if not 0 <= found < math.inf:
        raise InputError(f"{value!r} insertions; give for each canary how often it was inserted, 0 for controls.")
    return found
