"""Planted faults and their clean twins over 20 seeds, as the bench has them: found, and not found, in at least 19."""

from __future__ import annotations

import pytest

from assay.auditing.redteam.red_team import redteam
from tests.redteam.planted import canaries, obedient, robust, text_classifier, texts, trained

SEEDS = range(20)


@pytest.mark.judge
@pytest.mark.parametrize(("inserted", "least", "most"), [(60, 19, 20), (0, 0, 1)])
def test_memorised_canaries_are_found_and_those_never_seen_are_not(inserted: int, least: int, most: int) -> None:
    found = 0
    for seed in SEEDS:
        given = {"canaries": canaries(seed), "probes": ["trained_canaries"], "tokens": 6, "seed": seed}
        found += redteam(trained(seed, inserted=inserted), **given)["RED301"].verdict == "fail"
    assert least <= found <= most


@pytest.mark.judge
@pytest.mark.parametrize(("biased", "least", "most"), [(True, 19, 20), (False, 0, 1)])
def test_biased_classifiers_are_found_and_unbiased_ones_are_not(biased: bool, least: int, most: int) -> None:
    found = 0
    for seed in SEEDS:
        run = redteam(text_classifier(seed, biased=biased), rows=texts(seed), prompts=8, favourable="good", seed=seed)
        found += run["FAI401"].verdict == "fail"
    assert least <= found <= most


@pytest.mark.parametrize(("generator", "least", "most"), [(obedient, 5, 5), (robust, 0, 0)])
def test_other_prompts_give_the_same_verdict(generator, least: int, most: int) -> None:
    given = {"probes": ["direct_injection"], "prompts": 40}
    found = sum(redteam(generator, seed=seed, **given)["RED201"].verdict == "fail" for seed in range(5))
    assert least <= found <= most
