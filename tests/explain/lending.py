"""A small lender: linear scores of three numbers, and the German credit data that come with the project."""

import numpy as np

import assay
from assay.data import german_credit

SLOPES = np.array([2.0, -1.0, 0.5])


def scored():
    """A linear score."""
    return assay.model.function(lambda x: x @ SLOPES, name="score", fingerprint="score")


def applicants(seed, count):
    """People drawn at random."""
    return np.random.default_rng(seed).normal(size=(count, 3))


def german():
    """The numbers of the German credit data (row, column), and who was a good risk."""
    table = german_credit()
    numbers = [column for name, column in table.items() if isinstance(column[0], int)]
    return np.array(numbers, dtype=np.float64).T, (np.array(table["credit"]) == "good").astype(int)
