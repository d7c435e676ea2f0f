"""The posterior over the clusters that a class needs, through cases: what is asked, merged, reported and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay import Constant, Marginal, examples, explain
from assay.basics.errors import AssayError, InputError
from assay.cases.case import Case
from assay.engine.coalitions.estimator import all_masks
from assay.model.adapters.function import function

ZERO = Constant(0.0)


def planted(parts: int = 10, strength: float = 6.0, rows: int = 1) -> Case:
    """A classifier that reads two of its parts together, and nothing else."""

    def probability(x: Any) -> Any:
        score = strength * x[:, 2] * x[:, 5] - strength / 2
        p = 1 / (1 + np.exp(-score))
        return np.stack([1 - p, p], axis=1)

    model = function(probability, name=f"planted {strength}", fingerprint=f"planted {strength}", gives="probabilities")
    return assay.case(model, np.ones((rows, parts)), label=1)


def test_a_model_that_reads_two_parts_needs_exactly_these() -> None:
    found = explain.cluster_variational(planted(), remove=ZERO, fidelity=0.99)
    others = np.delete(found.values[0], [2, 5])
    assert np.abs(others).max() < 1e-9
    assert found.values[0, [2, 5]].min() > 1.0
    listed = found.extra["credible_masks"][0]
    kept = listed[~np.isnan(listed[:, 0])]
    assert len(kept) > 5
    assert (kept[:, [2, 5]] == 1).all()


def test_values_are_those_of_the_log_probability_written_out() -> None:
    case = planted(6)
    found = explain.cluster_variational(case, remove=ZERO, prior=0.2, beta=1.5)
    masks = all_masks(6)
    v = np.log(1 / (1 + np.exp(-(6.0 * masks[:, 2] * masks[:, 5] - 3.0))))
    weight = 0.2 ** masks.sum(axis=1) * 0.8 ** (6 - masks.sum(axis=1)) * np.exp(1.5 * v)
    p = weight @ masks / weight.sum()
    assert_allclose(found.values[0], (np.log(p / (1 - p)) - np.log(0.25)) / 1.5, atol=1e-10)
    assert_allclose(found.extra["marginals"][0], p, atol=1e-12)
    assert_allclose(found.output, v[-1])
    assert found.stderr is not None
    assert not found.stderr.any()
    assert np.isnan(found.base).all()
    assert_allclose(found.extra["elbo"] + found.extra["gap"], found.extra["log_evidence"], atol=1e-12)
    assert 0 < found.extra["gap"][0] < 1


def test_additive_games_give_their_weights_also_where_the_target_falls() -> None:
    case = examples.linear((2.0, -1.0, -4.0, 0.5))
    for options in ({}, {"beta": 3.0}, {"prior": 0.5}):
        found = explain.cluster_variational(case, remove=ZERO, **options)
        assert_allclose(found.values, [[2.0, -1.0, -4.0, 0.5]], atol=1e-9)
    assert found.extra["expected_clusters"][0] > 0


def test_at_beta_0_and_an_even_prior_it_is_banzhaf() -> None:
    case, _ = examples.random_game(7)
    found = explain.cluster_variational(case, remove=ZERO, prior=0.5, beta=0.0)
    assert_allclose(found.values, explain.banzhaf(case, remove=ZERO).values, atol=1e-10)


def test_masks_are_shared_with_other_methods_of_the_same_target() -> None:
    case = planted(8).with_target("loss")
    explain.banzhaf(case, remove=ZERO)
    before = case.model.meter.forwards
    found = explain.cluster_variational(case, remove=ZERO)
    assert case.model.meter.forwards == before
    assert found.provenance.cost.get("forwards", 0) == 0


def test_the_curve_of_bits_and_fidelity_rises_and_the_beta_chosen_lies_on_it() -> None:
    found = explain.cluster_variational(planted(), remove=ZERO, fidelity=0.8)
    curve = found.extra["rate_fidelity"][0]
    assert (np.diff(curve, axis=0) >= -1e-12).all()
    assert_allclose(found.extra["fidelity"], 0.8, atol=1e-9)
    assert np.interp(found.extra["beta"][0], curve[:, 0], curve[:, 2]) == pytest.approx(0.8, abs=0.05)


def test_drawn_masks_have_errors_and_certified_limits_that_hold() -> None:
    case = planted(13, strength=4.0)
    exact = explain.cluster_variational(case, remove=ZERO, beta=1.0, budget=2**13)
    found = explain.cluster_variational(case, remove=ZERO, beta=1.0, budget=600)
    assert found.stderr is not None
    assert (found.stderr > 0).all()
    assert (np.abs(found.values - exact.values) < 5 * found.stderr + 1e-9).all()
    p = exact.extra["marginals"]
    assert (found.extra["certified_low"] <= p + 1e-12).all()
    assert (p <= found.extra["certified_high"] + 1e-12).all()
    assert (found.extra["certified_width"] < 0.25).all()
    assert_allclose(exact.extra["certified_width"], 0.0)
    assert np.isinf(exact.extra["effective_sample_size"]).all()


def test_draws_that_are_worth_nothing_give_nan_and_say_so() -> None:
    def probability(x: Any) -> Any:
        p = np.where(x[:, :20].sum(axis=1) >= 19.5, 0.99, 1e-9)
        return np.stack([1 - p, p], axis=1)

    model = function(probability, name="needle", fingerprint="needle", gives="probabilities")
    case = assay.case(model, np.ones((1, 40)), label=1)
    found = explain.cluster_variational(case, remove=ZERO, budget=200)
    assert np.isnan(found.values).all()
    assert found.extra["possibly_missed"][0] > 1
    assert {"undefined", "few effective draws", "not certified"} <= {note.code for note in found.notes}


def test_a_class_of_probability_0_is_undefined_and_a_target_without_limit_not_certified() -> None:
    model = function(lambda x: np.stack([x[:, 0], 1 - x[:, 0]], axis=1), name="sure", gives="probabilities")
    found = explain.cluster_variational(assay.case(model, [[1.0, 0.3]], label=1), remove=ZERO)
    assert np.isnan(found.values).all()
    assert "undefined" in {note.code for note in found.notes}
    regression = explain.cluster_variational(examples.random_game(13)[0], remove=ZERO, budget=500, beta=0.1)
    assert np.isnan(regression.extra["certified_low"]).all()
    assert "not certified" in {note.code for note in regression.notes}


def pictures(count: int = 2) -> torch.Tensor:
    """Plain squares of different brightness on black."""
    x = torch.zeros(count, 1, 16, 16)
    x[:, :, 2:7, 2:7], x[:, :, 9:14, 9:14], x[:, :, 2:7, 9:14] = 1.0, 0.6, 0.3
    return x


def read_square() -> Any:
    """A net whose class 1 is the mean brightness of the first square."""

    class Square(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(8.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = self.scale * (x[:, 0, 2:7, 2:7].mean(dim=(1, 2)) - 0.5)
            return torch.stack([-score, score], dim=1)

    return assay.wrap(Square(), classes=["no", "yes"])


def test_many_parts_of_a_picture_are_merged_by_mean_shift_and_share_a_value() -> None:
    case = assay.case(read_square(), pictures(), label="yes", features=assay.grid((1, 16, 16), 1))
    found = explain.cluster_variational(case, remove=ZERO, clusters=8, budget=256)
    labels = found.extra["cluster"]
    assert labels.shape == found.values.shape == (2, 256)
    assert 2 <= labels.max() + 1 <= 8
    assert "clusters" in {note.code for note in found.notes}
    for row in range(2):
        for cluster in np.unique(labels[row]):
            assert np.ptp(found.values[row, labels[row] == cluster]) == 0.0
    heat = found.map()[0, 0]
    inside = np.zeros((16, 16), dtype=bool)
    inside[2:7, 2:7] = True
    assert heat[inside].mean() > 0.5
    assert heat[inside].mean() > 3 * np.abs(heat[~inside]).mean()


def test_merged_features_have_the_values_of_a_cut_by_their_clusters() -> None:
    torch.manual_seed(0)
    model = assay.wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 2).double()))
    x, grey = pictures().double(), Constant(0.5)
    fine = assay.case(model, x, label=1, features=assay.grid((1, 16, 16), 1))
    found = explain.cluster_variational(fine, remove=grey, clusters=8, budget=256)
    clusters = found.extra["cluster"].astype(int)
    cut = assay.integer_map(clusters.reshape(2, 1, 16, 16), per_row=True)
    direct = explain.cluster_variational(assay.case(model, x, label=1, features=cut), remove=grey)
    assert_allclose(direct.map(), found.map(), atol=1e-9)
    assert all(np.abs(direct.values[row, clusters[row].max()]) > 1e-6 for row in range(2))


def test_groups_of_columns_and_words_of_texts_are_the_clusters() -> None:
    case = planted(6)
    grouped = assay.case(case.model, np.ones((1, 6)), label=1, features=assay.integer_map([0, 1, 2, 0, 1, 2]))
    found = explain.cluster_variational(grouped, remove=ZERO)
    assert_allclose(found.values[0, :2], 0.0, atol=1e-9)
    assert found.values[0, 2] > 1.0


def test_fillings_are_averaged_in_the_log() -> None:
    case = planted(6)
    background = np.array([[0.0] * 6, [0.5] * 6])
    found = explain.cluster_variational(case, remove=Marginal(background), beta=1.0)
    loss = case.with_target("loss").game(Marginal(background))
    v = -loss.table(all_masks(6))[0]
    weight = np.exp(v) * 0.1 ** all_masks(6).sum(axis=1) * 0.9 ** (~all_masks(6)).sum(axis=1)
    p = weight @ all_masks(6) / weight.sum()
    assert_allclose(found.extra["marginals"][0], p, atol=1e-12)


@pytest.mark.parametrize("family", ["mean_field", "mixture"])
def test_a_family_reports_its_own_marginals_and_its_gap(family: Any) -> None:
    case = planted(6)
    exact = explain.cluster_variational(case, remove=ZERO, beta=4.0)
    found = explain.cluster_variational(case, remove=ZERO, beta=4.0, family=family)
    assert 0 <= found.extra["gap"][0] <= exact.extra["gap"][0] + 1e-9
    p = found.extra["marginals"]
    assert_allclose(found.values, (np.log(p / (1 - p)) - np.log(1 / 9)) / 4.0, atol=1e-9)
    with pytest.raises(InputError, match="needs the whole table"):
        explain.cluster_variational(case, remove=ZERO, family=family, budget=20)


@pytest.mark.parametrize(
    "options", [{"prior": 0.0}, {"prior": 1.0}, {"fidelity": 1.0}, {"beta": -1.0}, {"clusters": 0}]
)
def test_options_out_of_range_are_refused(options: Any) -> None:
    with pytest.raises(AssayError):
        explain.cluster_variational(planted(4 + 2), remove=ZERO, **options)
