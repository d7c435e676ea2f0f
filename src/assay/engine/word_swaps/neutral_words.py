# SPDX-License-Identifier: Apache-2.0
"""A control for exchanged words: as many neutral words of the same texts, for others of about the same frequency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.engine.word_swaps.word_pairs import SwappedText, like
from assay.model.texts.words import TextRow, replace_words, word_spans

NEUTRAL = 2.0
"""Standard errors by which the share of any class among the texts with a neutral word may differ from that of all."""

NEAREST = 5
"""Words of the nearest frequencies among which a replacement is drawn."""


@dataclass(frozen=True, eq=False)
class NeutralWords:
    """Words associated with no predicted class, sorted by the number of texts that have them."""

    words: tuple[str, ...]
    counts: Ints
    frequency: Counter[str]

    @staticmethod
    def of(texts: Sequence[TextRow], predicted: Ints, excluded: frozenset[str]) -> NeutralWords:
        """The neutral words of the texts, without those ``excluded``: runs of letters in two texts at least.

        A word is neutral where the share of each predicted class among its texts differs from that of all texts by at
        most ``NEUTRAL`` standard errors.
        """
        classes = int(predicted.max()) + 1
        base = np.bincount(predicted, minlength=classes) / len(predicted)
        having: dict[str, Any] = {}
        for text, own in zip(texts, predicted):
            for word in set(_words(text)):
                having.setdefault(word, np.zeros(classes))[own] += 1
        frequency = Counter({word: int(count.sum()) for word, count in having.items()})

        def is_neutral(count: Any) -> bool:
            rows = count.sum()
            error = np.sqrt(base * (1 - base) / rows)
            return bool((np.abs(count / rows - base) <= NEUTRAL * error + 1e-12).all())

        found = [
            (int(count.sum()), word)
            for word, count in having.items()
            if word not in excluded and word.isalpha() and count.sum() >= 2 and is_neutral(count)
        ]
        found.sort()
        return NeutralWords(tuple(w for _, w in found), np.array([c for c, _ in found], dtype=np.int64), frequency)

    def swap(self, text: TextRow, swapped: SwappedText, seed: Seed) -> TextRow | None:
        """The text with as many neutral words replaced as were exchanged; ``None`` where it has too few.

        Each word exchanged has one counterpart: the neutral word of the text whose frequency is nearest, replaced by
        one of ``NEAREST`` neutral words whose frequency is nearest to that of the word's partner.
        """
        generator = seed.generator()
        parts = [text] if isinstance(text, str) else list(text)
        spans = [word_spans(part)[0] for part in parts]
        known = set(self.words)
        places = [
            (which, place)
            for which, part in enumerate(parts)
            for place, (start, stop) in enumerate(spans[which])
            if part[start:stop].lower() in known
        ]
        if len(places) < len(swapped.partners) or len(self.words) < 2:
            return None
        found: list[dict[int, str]] = [{} for _ in parts]
        for word, partner in swapped.partners:
            gaps = [self._gap(parts[w][slice(*spans[w][p])].lower(), self.frequency[word]) for w, p in places]
            which, place = places.pop(int(generator.choice(np.flatnonzero(np.array(gaps) == min(gaps)))))
            original = parts[which][slice(*spans[which][place])]
            found[which][place] = like(original, self._near(self.frequency[partner], original.lower(), generator))
        changed = [replace_words(part, own, new) for part, own, new in zip(parts, spans, found)]
        return changed[0] if isinstance(text, str) else (changed[0], changed[1])

    def _gap(self, word: str, count: int) -> float:
        return float(abs(np.log((1 + self.frequency[word]) / (1 + count))))

    def _near(self, count: int, other: str, generator: Any) -> str:
        """A neutral word other than ``other`` that about so many texts have."""
        gaps = np.abs(np.log((1 + self.counts) / (1 + count)))
        gaps[[place for place, word in enumerate(self.words) if word == other]] = np.inf
        near = np.argsort(gaps, kind="stable")[:NEAREST]
        least = gaps[np.isfinite(gaps)].min()
        ties = np.flatnonzero(gaps <= least + 1e-12)
        pool = ties if len(ties) > NEAREST else near[np.isfinite(gaps[near])]
        return self.words[int(generator.choice(pool))]


def _words(text: TextRow) -> list[str]:
    parts = [text] if isinstance(text, str) else list(text)
    return [part[start:stop].lower() for part in parts for start, stop in word_spans(part)[0]]
