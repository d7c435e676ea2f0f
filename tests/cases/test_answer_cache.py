"""The answer cache of games against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from assay.cases import answer_cache
from assay.cases.answer_cache import AnswerCache


@pytest.mark.parametrize("recent", [0, 3, 4096])
@pytest.mark.parametrize("max_size", [5, 40, 10_000])
def test_it_finds_what_a_dictionary_would(recent: int, max_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "RECENT", recent)
    generator = np.random.default_rng(0)
    cache, expected = AnswerCache(3, max_size), {}
    for step in range(60):
        masks = generator.random((int(generator.integers(1, 12)), 5)) < 0.5
        keys = cache.number_masks(masks) * 3 + generator.integers(0, 3, len(masks))
        found = cache.find(keys)
        rows, packed = keys % 3, np.packbits(masks, axis=1)
        queries = [(int(row), mask.tobytes()) for row, mask in zip(rows, packed)]
        assert_array_equal(found >= 0, [key in expected for key in queries])
        assert_array_equal(cache.values[found[found >= 0]], [expected[key] for key in queries if key in expected])
        first = np.sort(np.unique(keys[found < 0], return_index=True)[1])
        fresh = np.flatnonzero(found < 0)[first]
        cache.add(keys[fresh], fresh + 100.0 * step)
        expected.update({queries[i]: i + 100.0 * step for i in fresh})
        while len(expected) > max_size:
            del expected[next(iter(expected))]
        assert list(cache) == list(expected)
        assert len(cache) == len(expected)
