"""Removal by drawing: its draws against a mixture's conditional, its bytes, costs, errors and refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.model.diffusion_mixtures import mixture, questions

import assay
from assay import Generative, evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.removal.drawn_fills import over_draws
from assay.model.diffusion import Denoiser, GaussianMixture
from assay.nouns.inputs.rows import Rows

PLAIN = GaussianMixture(
    np.ones(1), np.array([[1.0, -1.0, 0.5]]), np.array([[[1.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 1.0]]])
)
WEIGHTS = np.array([2.0, -1.0, 0.5])
ROWS = np.array([[0.2, 0.5, 1.0], [2.0, -0.5, 0.0]])


def linear(x: np.ndarray) -> np.ndarray:
    return x @ WEIGHTS


def question(rows: np.ndarray = ROWS, ids: list[str] | None = None) -> assay.Case:
    return assay.case(assay.model.function(linear, name="linear", fingerprint="linear"), rows, ids=ids)


def few(method: str = "guided", **other) -> Generative:
    given = {"steps": 12, "repeats": 3, "draws": 3, "conditional": method != "replacement"} | other
    return Generative(PLAIN.denoiser(), method=method, **given)


def filled(removal: Generative, which: list[int], keep: list[list[bool]], rows: np.ndarray = ROWS) -> np.ndarray:
    filling = removal.bind(question(rows, [f"row {i}" for i in range(len(rows))]).rows)
    return np.stack(list(filling.fill(np.array(which), np.array(keep))))


@pytest.mark.parametrize(("method", "steps", "repeats"), [("repaint", 15, 20), ("guided", 60, 1)])
def test_the_value_of_a_coalition_is_the_conditional_mean_of_a_linear_model(method, steps, repeats) -> None:
    removal = few(method, steps=steps, repeats=repeats, draws=120)
    masks = np.array([mask for mask in product([True, False], repeat=3) if 0 < sum(mask) < 3])
    found = question().game(removal).table(masks)
    gaps = []
    for row, x in enumerate(ROWS):
        for mask, value in zip(masks, found[row]):
            truth = PLAIN.conditional(x, mask)
            expected = x[mask] @ WEIGHTS[mask] + truth.mean @ WEIGHTS[~mask]
            spread = np.sqrt(WEIGHTS[~mask] @ truth.covariance @ WEIGHTS[~mask])
            gaps.append(abs(value - expected) / spread)
    assert np.median(gaps) <= 0.25


@pytest.mark.parametrize("method", ["repaint", "guided", "replacement"])
def test_present_elements_stay_and_the_absent_ones_differ_between_draws(method: str) -> None:
    found = filled(few(method), [0, 1, 1], [[True, False, True], [False, True, True], [False, False, False]])
    assert found.shape == (3, 3, 3)
    assert_array_equal(found[:, 0, [0, 2]], np.tile(ROWS[0, [0, 2]], (3, 1)))
    assert_array_equal(found[:, 1, 1:], np.tile(ROWS[1, 1:], (3, 1)))
    assert len(np.unique(found[:, 0, 1])) == len(np.unique(found[:, 2, 0])) == 3


@pytest.mark.parametrize("method", ["repaint", "guided", "replacement"])
def test_a_draw_has_the_same_bytes_in_any_company_and_for_any_number_of_draws(method: str) -> None:
    keep = [True, False, False]
    alone = filled(few(method), [1], [keep])
    together = filled(few(method), [0, 1, 0], [[False, True, False], keep, keep])
    assert alone[:, 0].tobytes() == together[:, 1].tobytes()
    more = filled(few(method, draws=5), [1], [keep])
    assert_allclose(more[:3], alone, rtol=1e-12)
    one = [filled(draw, [1], [keep])[0] for draw in few(method).each_draw()]
    assert_allclose(one, alone, rtol=1e-12)
    assert (filled(few(method, seed=1), [1], [keep])[:, 0, 1:] != alone[:, 0, 1:]).all()


def test_a_draw_belongs_to_the_id_of_its_row_and_not_to_its_place_or_mask() -> None:
    keep = np.array([[True, False, False], [False, True, False]])

    def drawn(rows: np.ndarray, ids: list[str], masks: np.ndarray) -> np.ndarray:
        filling = few("repaint").bind(question(rows, ids).rows)
        return np.stack(list(filling.fill(np.arange(2), masks)))

    there, back = drawn(ROWS, ["a", "b"], keep), drawn(ROWS[::-1], ["b", "a"], keep[::-1])
    assert there.tobytes() == np.ascontiguousarray(back[:, ::-1]).tobytes()
    assert (drawn(ROWS, ["c", "b"], keep)[:, 0, 1:] != there[:, 0, 1:]).all()
    free = GaussianMixture(np.ones(1), np.zeros((1, 3)), np.eye(3)[None])  # elements do not depend on each other
    filling = replace(few("repaint"), denoiser=free.denoiser()).bind(question().rows)
    masks = np.array([[False, False, True], [False, True, False], [False, False, False]])
    found = np.stack(list(filling.fill(np.zeros(3, dtype=np.int64), masks)))
    assert_allclose(found[:, 0, 0], found[:, 1, 0], atol=1e-12)
    assert_allclose(found[:, 0, 0], found[:, 2, 0], atol=1e-12)


def test_draws_of_a_net_have_the_same_bytes_in_any_company() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    denoiser = Denoiser(lambda x, t: net(x), (3,), "net")
    keep, some = [True, False, False], few("guided", steps=6)
    alone = filled(replace(some, denoiser=denoiser), [1], [keep])
    together = filled(replace(some, denoiser=denoiser), [0, 1, 0], [[False, True, False], keep, keep])
    assert alone[:, 0].tobytes() == together[:, 1].tobytes()


def test_units_of_the_rows_change_the_fill_as_they_change_the_rows() -> None:
    keep = [[True, False, False]]
    plain = filled(few(), [0], keep)
    moved = filled(replace(few(), denoiser=PLAIN.denoiser().in_units(5.0, 2.0)), [0], keep, 5.0 + 2.0 * ROWS)
    assert_allclose(moved, 5.0 + 2.0 * plain, rtol=1e-10)


def test_a_fill_keeps_the_kind_of_the_rows() -> None:
    filling = few().bind(Rows(torch.as_tensor(ROWS, dtype=torch.float32), ("a", "b")))
    version = next(filling.fill(np.array([1]), np.array([[True, False, True]])))
    assert isinstance(version, torch.Tensor)
    assert version.dtype == torch.float32


@pytest.mark.parametrize(("method", "calls"), [("repaint", 36), ("guided", 12), ("replacement", 12)])
def test_the_cost_in_calls_of_the_denoiser_is_exact_and_the_model_is_evaluated_once_a_draw(method, calls) -> None:
    plain, seen = PLAIN.denoiser(), []
    counted = replace(plain, clean=lambda x, t: (seen.append(len(x)), plain.clean(x, t))[1])
    removal = replace(few(method, draws=2), denoiser=counted)
    case = question()
    case.game(removal)(np.array([0]), np.array([[True, False, True]]))
    assert removal.denoiser_calls == calls == len(seen)
    assert set(seen) == {2}
    explanation = explain.leave_one_out(question(), remove=few(method))
    assert explanation.provenance.cost["forwards"] == 2 + 2 * 3 * 3


def test_the_explanation_names_the_fill() -> None:
    found = explain.leave_one_out(question(), remove=few())
    (note,) = [note for note in found.notes if note.code == "drawn-fill"]
    assert "3 draws of Gaussian mixture by guided, 12 calls each" in note.text
    loose = explain.leave_one_out(question(), remove=few("replacement"))
    assert [note.code for note in loose.notes] == ["no-conditional-fill"]


def test_the_error_of_the_draws_is_the_spread_over_seeds() -> None:
    whole = explain.shapley(question(), remove=few(draws=8, steps=4))
    found = over_draws("shapley", question(), remove=few(draws=8, steps=4))
    assert_allclose(found.values, whole.values, atol=1e-10)
    assert found.provenance.cost["forwards"] >= whole.provenance.cost["forwards"]
    seeds = [explain.shapley(question(), remove=few(draws=8, steps=4, seed=seed)).values for seed in range(15)]
    assert found.stderr is not None
    assert_allclose(found.stderr.mean(), np.std(seeds, axis=0).mean(), rtol=0.5)
    with pytest.raises(InputError, match="at least two draws"):
        over_draws("shapley", question(), remove=few(draws=1))


def test_a_score_by_drawn_removal_is_the_same_again() -> None:
    case = question()
    explanation = explain.shapley(case, remove=few())
    scores = [evaluate.deletion(explanation, question(), remove=few()).values for _ in range(2)]
    assert scores[0].tobytes() == scores[1].tobytes()


def test_replacement_is_refused_where_a_conditional_is_claimed() -> None:
    with pytest.raises(CapabilityError, match=r"does not draw from the conditional.*'repaint' or 'guided'"):
        Generative(PLAIN.denoiser(), method="replacement")
    assert Generative(PLAIN.denoiser(), method="replacement", conditional=False).fills == 4


@pytest.mark.parametrize("name", ["steps", "repeats", "draws"])
@pytest.mark.parametrize("value", [0, -1, 0.5, True, None])
def test_a_number_that_counts_nothing_is_refused(name: str, value) -> None:
    with pytest.raises(InputError, match="a whole number, at least 1, is needed"):
        Generative(PLAIN.denoiser(), **{name: value})


def test_what_it_cannot_fill_is_refused() -> None:
    with pytest.raises(InputError, match="there are repaint, guided, replacement"):
        Generative(PLAIN.denoiser(), method="inpaint")  # type: ignore[arg-type]  # the fault tested
    with pytest.raises(InputError, match="a Denoiser is needed"):
        Generative(lambda x, t: x)  # type: ignore[arg-type]  # the fault tested
    with pytest.raises(InputError, match=r"shape \(3,\); the rows have shape \(2,\)"):
        few().bind(Rows(np.zeros((1, 2)), ("a",)))
    with pytest.raises(InputError, match=r"some are missing"):
        few().bind(Rows(np.array([[1.0, np.nan, 0.0]]), ("a",)))
    bounded = replace(few(), denoiser=replace(PLAIN.denoiser(), bounds=(-1.0, 1.0)))
    with pytest.raises(InputError, match=r"learnt rows in -1 … 1; these lie in 0 … 255\. Say how they differ"):
        bounded.bind(Rows(np.array([[0.0, 255.0, 3.0]]), ("a",)))
    frame = pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0], "c": [0.0, 1.0]})
    with pytest.raises(InputError, match="text or categorical"):
        few().bind(assay.case(assay.model.function(lambda f: f["b"].to_numpy(), name="b", fingerprint="b"), frame).rows)


def test_every_setting_changes_the_fingerprint() -> None:
    denoiser = PLAIN.denoiser()
    variants = [
        few("repaint"), few("repaint", steps=13), few("repaint", repeats=4), few("repaint", draws=4),
        few("repaint", seed=1), few("repaint", first=1), few("guided"), few("replacement"),
        replace(few("repaint"), denoiser=denoiser.in_units(1.0, 1.0)),
        replace(few("repaint"), denoiser=replace(denoiser, bounds=(-9.0, 9.0))),
        replace(few("repaint"), denoiser=mixture().denoiser()),
    ]  # fmt: skip
    assert len({one.fingerprint for one in variants}) == len(variants)
    assert few("repaint").fingerprint == few("repaint").fingerprint


def test_a_removal_reads_the_points_of_the_mixture_it_is_tested_on() -> None:
    x, keep = next(questions(mixture()))
    removal = Generative(mixture().denoiser(), method="guided", steps=40, draws=200)
    rows = Rows(x[None], ("a",))
    found = np.stack([one[0] for one in removal.bind(rows).fill(np.zeros(1, dtype=np.int64), keep[None])])
    truth = mixture().conditional(x, keep)
    gap = np.abs(found[:, ~keep].mean(axis=0) - truth.mean) / np.sqrt(np.diag(truth.covariance))
    assert gap.mean() < 0.6
    assert_array_equal(found[:, keep], np.tile(x[keep], (200, 1)))
