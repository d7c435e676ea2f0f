# SPDX-License-Identifier: Apache-2.0
"""Texts that share most of their word sequences, found by hashing and confirmed by counting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Ints

WORDS, BANDS, LINES = 3, 16, 4
"""Words of a shingle; bands of a signature, and its lines in each: pairs of Jaccard 0.8 share a band with 99.9 %."""

SHARED = 0.8
"""Jaccard similarity of the shingles of near-duplicates, at least."""

MOST_IN_BAND = 50
"""Texts of one band that are compared with each other."""


def shingles(text: str) -> frozenset[int]:
    """Hashes of all sequences of ``WORDS`` words in lower case; of a shorter text the whole."""
    words = text.lower().split()
    count = max(1, len(words) - WORDS + 1)
    return frozenset(crc32(" ".join(words[i : i + WORDS]).encode()) for i in range(count))


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """Shared shingles over all shingles of both."""
    return len(one & other) / max(len(one | other), 1)


def similar_pairs(texts: Sequence[str], seed: Seed) -> list[tuple[int, int, float]]:
    """Pairs of texts (first, second, Jaccard) of at least ``SHARED``, the first before the second.

    MinHash signatures (Broder 1997) are cut into bands; texts that share a band are compared. Cost and memory grow with
    the number of texts, not with its square.
    """
    sets = [shingles(text) for text in texts]
    signatures = _signatures(sets, seed)
    found: dict[tuple[int, int], float] = {}
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for place, line in enumerate(np.ascontiguousarray(signatures[:, band * LINES : (band + 1) * LINES])):
            buckets[line.tobytes()].append(place)
        for places in buckets.values():
            for first, second in _pairs(places):
                if (first, second) not in found:
                    found[first, second] = jaccard(sets[first], sets[second])
    return [(one, other, share) for (one, other), share in sorted(found.items()) if share >= SHARED]


def _pairs(places: list[int]) -> list[tuple[int, int]]:
    """All pairs of a bucket; of a large one, the first with each other, and one after another."""
    if len(places) <= MOST_IN_BAND:
        return [(one, other) for i, one in enumerate(places) for other in places[i + 1 :]]
    return list(pairwise(places)) + [(places[0], other) for other in places[2:]]


def _signatures(sets: Sequence[frozenset[int]], seed: Seed) -> Ints:
    """The smallest value of each of ``BANDS · LINES`` hash functions, (text, function)."""
    generator, prime = seed.child("hashes").generator(), (1 << 31) - 1
    factors = generator.integers(1, prime, size=BANDS * LINES)
    offsets = generator.integers(0, prime, size=BANDS * LINES)
    lines = [
        ((np.fromiter(one, np.int64, len(one))[:, None] % prime * factors + offsets) % prime).min(axis=0)
        for one in sets
    ]
    return np.asarray(lines, dtype=np.int64).reshape(len(sets), BANDS * LINES)
