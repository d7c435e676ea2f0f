"""Marks change with the content and with nothing else."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from assay import Ball
from assay.basics.fingerprint import digest


class Opaque:
    """An object without a text of its own."""

    def __init__(self, weight: float) -> None:
        self.weight = weight


def first(x: float) -> float:
    return x + 1


def second(x: float) -> float:
    return first(x) * 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(3), np.zeros(3, dtype=np.float32)),
        (["ab", "c"], ["a", "bc"]),
        ([["a"], "b"], [["a", "b"]]),
        ({"a": 1}, {"a": 2}),
        (1, "1"),
        (1, 1.0),
        (b"x", "x"),
        (torch.zeros(5000), torch.cat([torch.zeros(2500), torch.ones(1), torch.zeros(2499)])),
        (Ball("linf", 0.1), Ball("linf", 0.2)),
        (lambda x: x + 1, lambda x: x + 2),
        (partial(round, ndigits=1), 1),
        (torch.tensor([1j]), torch.tensor([2j])),
        (torch.tensor([2**60]), torch.tensor([2**60 + 1])),
        (Opaque(1), Opaque(2)),
        (np.array([Opaque(1)]), np.array([Opaque(2)])),
    ],
)
def test_different_things_have_different_fingerprints(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_the_order_of_keys_and_the_layout_of_an_array_do_not_matter() -> None:
    square = np.arange(6.0).reshape(2, 3)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(square) == digest(np.asfortranarray(square))
    assert digest({"x", "yy", "zzz"}) == digest({"zzz", "x", "yy"})


def test_a_function_counts_by_what_it_closes_over() -> None:
    def scaled(weight: np.ndarray) -> object:
        return lambda x: x @ weight

    assert digest(scaled(np.ones(2))) == digest(scaled(np.ones(2)))
    assert digest(scaled(np.ones(2))) != digest(scaled(np.full(2, 1.5)))


def test_a_function_counts_by_the_functions_that_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(second)
    assert digest(second) == before
    monkeypatch.setitem(globals(), "first", lambda x: x - 1)
    assert digest(second) != before


def test_bytes_between_the_fields_of_a_record_do_not_count() -> None:
    kind = np.dtype({"names": ["a"], "formats": ["u1"], "offsets": [0], "itemsize": 8})
    one, other = np.frombuffer(bytes(8), kind), np.frombuffer(bytes([0, *[255] * 7]), kind)
    assert digest(one) == digest(other)


def test_an_object_without_a_text_has_no_address_in_its_fingerprint() -> None:
    assert digest(Opaque(1)) == digest(Opaque(1))


def test_a_functions_fingerprint_is_the_same_in_another_process() -> None:
    # a nested function's code would show its address if it were printed
    code = (
        "from assay.basics.fingerprint import digest; "
        "print(digest(lambda x: [(lambda y: y * 2)(v) for v in x], {'p', 'q', frozenset({'r', 's'})}))"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(runs) == 1
    assert len(runs.pop().strip()) == 32
