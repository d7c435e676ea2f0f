# SPDX-License-Identifier: Apache-2.0
"""Certified top features of smoothed maps: the counting by brute force, and nets under shifted inputs."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import norm
from tests.contract.nets import net

import assay
from assay import certify
from assay.basics.errors import InputError
from assay.certify.smoothed_top_k import certified_overlap


def worst_overlap(h, k, steps):
    """The smallest overlap of the k largest when every Φ⁻¹(h_i) moves by up to ``steps``, at the corners."""
    top = set(np.argsort(-h, kind="stable")[:k].tolist())
    scores, least = norm.ppf(h), k
    for signs in product((-1, 0, 1), repeat=len(h)):
        moved = scores + steps * np.array(signs)
        least = min(least, len(top & set(np.argsort(-moved, kind="stable")[:k].tolist())))
    return least / k


@pytest.mark.parametrize("seed", range(10))
def test_the_overlap_is_never_below_the_certificate_however_the_map_moves(seed):
    generator = np.random.default_rng(seed)
    h, k = generator.uniform(0.02, 0.98, size=6), 1 + seed % 4
    for steps in (0.05, 0.2, 0.5, 1.0):
        found = certified_overlap(h[None], h[None], k, steps)[0]
        assert found <= worst_overlap(h, k, steps) + 1e-12


def test_the_certificate_is_attained_where_the_map_has_steps():
    h = np.array([0.99, 0.98, 0.5, 0.49, 0.02, 0.01])
    assert certified_overlap(h[None], h[None], 2, 0.3).tolist() == [1.0]
    assert certified_overlap(h[None], h[None], 3, 0.1).tolist() == [2 / 3]  # the third and the fourth may swap
    assert worst_overlap(h, 3, 0.1) == 2 / 3


def test_a_tie_is_not_certified_and_fewer_features_than_rivals_cannot_pass():
    same = np.full((1, 4), 0.5)
    assert certified_overlap(same, same, 1, 0.0).tolist() == [0.0]
    assert certified_overlap(same, same, 4, 0.5).tolist() == [1.0]
    assert certified_overlap(same, same, 3, 0.5).tolist() == [2 / 3]  # three of four: at least two stay
    assert worst_overlap(same[0], 3, 0.5) == 2 / 3


def images_case():
    from tests.contract.subjects import visual

    return visual()


def test_the_top_features_of_a_net_stay_as_certified_when_the_input_is_shifted():
    x = np.random.default_rng(1).normal(size=(6, 4)) * 2
    case = assay.case(assay.wrap(net()), torch.as_tensor(x), target="logit", label=0)
    options = {"sigma": 0.5, "k": 2, "share": 0.5, "alpha": 0.01}
    radius = 0.1
    found = certify.smoothed_top_k(case, radius=radius, draws=2000, **options)
    assert found.overlap.max() > 0
    generator = np.random.default_rng(2)
    for draw in range(4):
        if draw < 2:
            move = generator.normal(size=x.shape)
        else:  # towards the largest change of the gradient itself
            h = 1e-3
            slope = case.gradient(case.rows.x).numpy()
            grown = case.gradient(torch.as_tensor(x + h * slope)).numpy()
            move = (grown - slope) * (1 if draw == 2 else -1)
        move *= radius / np.linalg.norm(move, axis=1, keepdims=True)
        shifted = certify.smoothed_top_k(case.at(torch.as_tensor(x + move)), radius=radius, draws=2000, **options)
        overlap = (found.extra["top"] * shifted.extra["top"]).sum(axis=1) / 2
        assert (overlap >= found.overlap).all()


def test_a_net_that_always_reads_the_same_features_is_certified_whole():
    weights = np.array([5.0, -4.0, 0.1, 0.05, 0.01])
    case = assay.examples.linear(tuple(weights), np.ones((2, 5)))
    found = certify.smoothed_top_k(case, sigma=1.0, radius=0.2, k=2, share=0.4, draws=300)
    assert found.overlap.tolist() == [1.0, 1.0]
    assert_allclose(found.extra["map"], [[1, 1, 0, 0, 0]] * 2)
    far = certify.smoothed_top_k(case, sigma=1.0, radius=20.0, k=2, share=0.4, draws=300)
    assert far.overlap.tolist() == [0.0, 0.0]


def test_patches_of_images_are_certified():
    case = images_case()
    found = certify.smoothed_top_k(case, sigma=0.1, radius=0.01, k=2, share=0.5, draws=40)
    assert found.extra["map"].shape == (3, 4)
    assert_allclose(found.extra["map"].sum(axis=1), 2.0)


def test_evaluations_are_those_declared_and_rows_are_certified_alike_alone():
    from assay.engine.cost import cost_of

    case = assay.case(assay.wrap(net()), torch.as_tensor(np.eye(4)[:3]), target="logit", label=0)
    meter, _ = case.model.meter, (case.output, case.prediction)
    before = meter.forwards, meter.backwards
    found = certify.smoothed_top_k(case, sigma=0.5, radius=0.1, k=2, draws=20)
    declared = cost_of(certify.smoothed_top_k.method, case, {"draws": 20})
    assert (meter.backwards - before[1]) == declared.backwards == 60
    alone = certify.smoothed_top_k(case.take([1]), sigma=0.5, radius=0.1, k=2, draws=20)
    np.testing.assert_array_equal(alone.extra["map"][0], found.extra["map"][1])


@pytest.mark.parametrize(
    "wrong", [{"sigma": 0.0}, {"radius": -1.0}, {"k": 6}, {"k": 0}, {"share": 0.0}, {"alpha": 1.0}]
)
def test_impossible_options_are_refused(wrong):
    case = assay.examples.linear((1.0, 2.0, 3.0, 4.0, 5.0), np.ones((2, 5)))
    with pytest.raises(InputError):
        certify.smoothed_top_k(case, **{"sigma": 1.0, "radius": 0.1, **wrong})
