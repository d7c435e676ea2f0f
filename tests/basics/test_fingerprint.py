"""Marks change with the content and with nothing else."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from assay import Ball
from assay.basics.fingerprint import digest


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


def test_a_functions_fingerprint_is_the_same_in_another_process() -> None:
    # a nested function's code would show its address if it were printed
    code = (
        "from assay.basics.fingerprint import digest; "
        "print(digest(lambda x: [(lambda y: y * 2)(v) for v in x], {'p', 'q'}))"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(runs) == 1
    assert len(runs.pop().strip()) == 32
