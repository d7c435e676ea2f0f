"""Methods compared, where they agree, and scores put to the test, on the trained net of the digits."""

import numpy as np
import pytest
from safetensors.torch import load_file
from tests.real.test_mnist import Digits
from tests.shared import folder

import assay
from assay import evaluate, explain
from assay.cases.case import Case
from assay.nouns.results.result import Explanation

pytestmark = pytest.mark.shared

METHODS = (explain.integrated_gradients, explain.input_x_gradient, explain.saliency, explain.occlusion, explain.random)


@pytest.fixture(scope="module")
def case() -> Case:
    """Thirty-two digits in patches."""
    net = Digits()
    net.load_state_dict(load_file(folder("mnist-models") / "cnn.safetensors"))
    model = assay.model.torch(net, classes=list("0123456789"), preprocess=lambda x: (x / 255 - 0.1307) / 0.3081)
    x = np.load(folder("mnist") / "mnist.npz")["x_test"][:32, None].astype(np.float32)
    return assay.case(model, x, features=assay.grid((1, 28, 28), 4))


@pytest.fixture(scope="module")
def explained(case: Case) -> dict[str, Explanation]:
    """Five methods and their aggregate."""
    found = {method.method.name: method(case) for method in METHODS}
    return found | {"aggregate": explain.aggregate(case, members=[v for k, v in found.items() if k != "random"])}


def test_every_method_but_saliency_is_shown_better_than_chance(case: Case, explained: dict[str, Explanation]) -> None:
    scores = [score(one, case) for one in explained.values() for score in (evaluate.deletion, evaluate.insertion)]
    found = assay.compare_methods(scores, share=0.05)
    for name in ("integrated_gradients", "input_x_gradient", "occlusion", "aggregate"):
        assert found.verdict(name, "random", "deletion") == "better"
    ranking = found.of("deletion").ranking
    assert ranking is not None
    assert ranking.p < 0.001
    np.testing.assert_allclose(found.across_methods.diagonal(), 1.0)
    assert -1 <= found.across_methods[0, 1] == found.across_methods[1, 0] < 1
    assert len(repr(found).splitlines()) <= 6


def test_gradients_times_input_agree_more_with_each_other_than_with_chance(explained: dict[str, Explanation]) -> None:
    found = assay.agreement(explained, k=10)
    near = found.interval("feature", "integrated_gradients", "input_x_gradient")
    assert near.low > found.interval("feature", "integrated_gradients", "random").high
    assert found.interval("feature", "integrated_gradients", "random").low < 10 / 49 + 0.05
    assert found.map().shape == (32, 1, 28, 28)


@pytest.mark.parametrize("score", ["deletion", "faithfulness_correlation"])
def test_scores_of_occlusion_are_reliable_here(score: str, case: Case, explained: dict[str, Explanation]) -> None:
    found = assay.meta_evaluation(score, explained["occlusion"], case, draws=2, randoms=3)
    assert found.verdict == "reliable", found
