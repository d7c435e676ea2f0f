from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from tests.evaluate.settings import digits, replace_values
from tests.oracles import ordered_removal as oracle
from tests.shared import folder

import assay
from assay import NoisyLinear, evaluate, explain
from assay.basics.errors import CapabilityError
from assay.model.adapters.function import function


def test_it_equals_the_mean_of_the_target_after_each_exact_solve() -> None:
    case = digits(2)
    e = explain.integrated_gradients(case, steps=4)
    expected = []
    for row in range(2):
        picture, order, seen = case.rows.x[row, 0].double().numpy(), oracle.ranking(e.values[row]), []
        for share in (0.1, 0.5, 0.9):
            missing = np.zeros(64, dtype=bool)
            missing[order[: int(np.ceil(share * 64))]] = True
            seen.append(oracle.imputed(picture, missing.reshape(8, 8)))
        x = torch.tensor(np.stack(seen)[:, None], dtype=torch.float32)
        expected.append(case.value(x, np.full(3, row)).mean())
    score = evaluate.road(e, case, remove=NoisyLinear(0.0), shares=(0.1, 0.5, 0.9))
    assert_allclose(score.values, expected, atol=1e-5)


def test_truth_beats_chance_beats_reversal() -> None:
    picture = np.random.default_rng(3).uniform(size=(1, 1, 8, 8))
    weight = np.abs(picture) * (np.arange(64).reshape(8, 8) % 5 == 0)
    model = function(lambda x: (weight * x).sum(axis=(1, 2, 3)), name="few pixels", fingerprint="few pixels")
    case = assay.case(model, picture)
    true = replace_values(explain.random(case), (weight * picture).reshape(1, -1))
    generator = np.random.default_rng(4)
    drawn = [
        evaluate.road(replace_values(true, generator.permutation(true.values[0])[None]), case).mean for _ in range(10)
    ]
    best, worst = evaluate.road(true, case).mean, evaluate.road(replace_values(true, -true.values), case).mean
    assert best < np.mean(drawn) < worst


def test_q2_every_row_counts_whatever_the_batch() -> None:
    case = digits(9)
    small = replace(case, model=replace(case.model, batch=4))
    scores = [evaluate.road(explain.saliency(one), one).values for one in (case, small)]
    assert len(np.unique(scores[0])) == 9
    assert_allclose(*scores, atol=1e-5)


def test_q19_a_patch_is_taken_from_all_channels() -> None:
    picture = np.random.default_rng(0).uniform(size=(1, 3, 4, 4))
    seen = []
    model = function(lambda x: seen.append(np.array(x)) or x.sum(axis=(1, 2, 3)), name="seen", fingerprint="seen")
    case = assay.case(model, picture, features=assay.grid((3, 4, 4), 2))
    e = replace_values(explain.random(case), [[4.0, 3.0, 2.0, 1.0]])
    seen.clear()
    evaluate.road(e, case, shares=(0.25,))
    changed = seen[0][0] != picture[0]
    assert changed[:, :2, :2].all()
    assert changed.sum() == 12


def test_any_curve_can_use_its_filling_and_shares_the_evaluations(exact_rows: None) -> None:
    case = digits(2)
    e = explain.saliency(case)
    assert evaluate.deletion(e, case, remove=NoisyLinear()).provenance.cost == {"forwards": 128}
    assert evaluate.road(e, case).provenance.cost == {}


def test_tables_are_refused() -> None:
    case = assay.examples.additive((1.0, 2.0))
    with pytest.raises(CapabilityError, match="needs images"):
        evaluate.road(explain.saliency(case), case)


@pytest.mark.shared
def test_on_handwritten_digits_integrated_gradients_beat_random_order() -> None:
    held = np.load(folder("mnist") / "mnist.npz")["x_test"][:8, None].astype(np.float32) / 255
    weights = load_file(folder("mnist-models") / "cnn.safetensors")
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 20, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(20, 50, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(800, 500),
        torch.nn.ReLU(),
        torch.nn.Linear(500, 10),
    )
    net.load_state_dict(
        dict(
            zip(
                net.state_dict(),
                (weights[f"{n}.{k}"] for n in ("conv1", "conv2", "fc1", "fc2") for k in ("weight", "bias")),
            )
        )
    )
    case = assay.case(
        assay.model.torch(net.eval(), preprocess=lambda x: (x - 0.1307) / 0.3081), held, target="probability"
    )
    good, chance = explain.integrated_gradients(case), explain.random(case)
    assert evaluate.road(good, case).mean < evaluate.road(chance, case).mean - 0.1
