"""The answer caches of games against dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from assay.cases import answer_cache
from assay.cases.answer_cache import MIN_SIZE, BatchCache, QueryCache, batch_key

MASKS = np.packbits(np.eye(2, dtype=bool), axis=1)


def batch(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([number, number + 1]), MASKS, np.arange(2) + 10.0 * number


@pytest.mark.parametrize("recent", [0, 3, 4096])
@pytest.mark.parametrize("max_size", [5, 40, 10_000])
def test_queries_are_found_as_in_a_dictionary(recent: int, max_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "RECENT", recent)
    generator = np.random.default_rng(0)
    cache, expected = QueryCache(3, max_size), {}
    for step in range(60):
        queries = np.unique(generator.integers(0, 3 * 32, int(generator.integers(1, 12))))
        which, packed = queries % 3, (queries[:, None] // 3).astype(np.uint8)
        values, missing = cache.find(which, packed)
        known = np.setdiff1d(np.arange(len(queries)), missing)
        assert_array_equal(missing, [i for i, query in enumerate(queries.tolist()) if query not in expected])
        assert_array_equal(values[known], [expected[query] for query in queries[known].tolist()])
        cache.add(which, packed, np.where(np.isin(np.arange(len(queries)), missing), 100.0 * step, -1.0))
        expected.update(dict.fromkeys(queries[missing].tolist(), 100.0 * step))
        while len(expected) > max_size:
            del expected[next(iter(expected))]
        assert len(cache) == len(expected)


@pytest.mark.parametrize("most", [1, 3, 100])
def test_batches_are_found_as_in_a_bounded_dictionary(most: int) -> None:
    cache, expected = BatchCache(most * MIN_SIZE), {}
    for number in np.random.default_rng(0).integers(0, 8, 60).tolist():
        which, packed, values = batch(number)
        found, missing = cache.find(which, packed)
        assert missing.tolist() == ([] if number in expected else [0, 1])
        if len(missing):
            cache.add(which, packed, values)
            expected[number] = values
        else:
            assert_array_equal(found, expected[number])
        while len(expected) > most:
            del expected[next(iter(expected))]
        assert list(cache.batches) == [batch_key(*batch(one)[:2]) for one in expected]
        assert len(cache) == 2 * len(expected)


def test_a_batch_is_told_from_every_other() -> None:
    which, masks = np.array([0, 1]), np.array([[128], [64]], dtype=np.uint8)
    others = [(which[::-1], masks), (which, masks[::-1]), (which[:1], masks[:1]), (which, np.hstack([masks, masks]))]
    keys = {batch_key(which, masks), *(batch_key(*other) for other in others)}
    assert len(keys) == 5
    assert batch_key(which.astype(np.int32), masks.copy()) in keys


@pytest.mark.parametrize("make", [lambda: BatchCache(1000), lambda: QueryCache(9, 1000)])
def test_exported_values_are_found_in_another_cache(make: Any) -> None:
    first, second = make(), make()
    first.add(*batch(0))
    since = first.stored_count
    first.add(*batch(2))
    first.add(*batch(4))
    second.import_entries(first.export_entries(since))
    assert [len(second.find(*batch(number)[:2])[1]) for number in (0, 2, 4)] == [2, 0, 0]
    assert_array_equal(second.find(*batch(4)[:2])[0], [40.0, 41.0])
    empty = second.export_entries(second.stored_count)
    assert len(empty["values"]) == 0
    first.import_entries(empty)
    assert len(first) == 6


def test_batches_dropped_since_are_not_exported() -> None:
    cache = BatchCache(2 * MIN_SIZE)
    for number in range(5):
        cache.add(*batch(number))
    assert_array_equal(cache.export_entries(since=1)["values"], [30.0, 31.0, 40.0, 41.0])


def test_cached_values_are_not_the_callers() -> None:
    cache = BatchCache(1000)
    which, packed, values = batch(1)
    cache.add(which, packed, values)
    values[0] = -1.0
    found, _ = cache.find(which, packed)
    found[1] = -1.0
    assert_array_equal(cache.find(which, packed)[0], [10.0, 11.0])
