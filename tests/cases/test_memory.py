"""The memory of games against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from assay.cases import answer_cache as memory
from assay.cases.answer_cache import AnswerCache


@pytest.mark.parametrize("recent", [0, 3, 4096])
@pytest.mark.parametrize("most", [5, 40, 10_000])
def test_it_finds_what_a_dictionary_would(recent: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RECENT", recent)
    generator = np.random.default_rng(0)
    kept, slow = AnswerCache(3, most), {}
    for step in range(60):
        masks = generator.random((int(generator.integers(1, 12)), 5)) < 0.5
        keys = kept.numbered(masks) * 3 + generator.integers(0, 3, len(masks))
        found = kept.find(keys)
        rows, packed = keys % 3, np.packbits(masks, axis=1)
        told = [(int(row), mask.tobytes()) for row, mask in zip(rows, packed)]
        assert_array_equal(found >= 0, [key in slow for key in told])
        assert_array_equal(kept.values[found[found >= 0]], [slow[key] for key in told if key in slow])
        first = np.sort(np.unique(keys[found < 0], return_index=True)[1])
        fresh = np.flatnonzero(found < 0)[first]
        kept.add(keys[fresh], fresh + 100.0 * step)
        slow.update({told[i]: i + 100.0 * step for i in fresh})
        while len(slow) > most:
            del slow[next(iter(slow))]
        assert list(kept) == list(slow)
        assert len(kept) == len(slow)
