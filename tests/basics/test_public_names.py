"""The public names of the package."""

import pytest

import assay

NAMES = """
    Ball Blur BlurPath Case Concept Conditional Constant Endpoint Features Game Gaussian Generative Line Lines
    Marginal Mean Model NoisyLinear Path Point Recipe Removal Run Seed ShadowTrainer Target Uniform Waiver agreement
    attack audit case certify columns compare compare_methods contrast diagnose elements evaluate examples explain
    explanation_shift grid groups integer_map interpretable load mean_shift_clusters meta_evaluation model plot
    recompute redteam repair settings_cost settings_grid shift_study smallest_sufficient superpixels unit wrap
    wrong_classes
"""


def test_the_public_names_are_these() -> None:
    assert sorted(assay.__all__) == sorted(NAMES.split())
    assert dir(assay) == sorted(assay.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'assay' has no attribute 'explian'"):
        assay.explian  # noqa: B018  # reading it is what fails
