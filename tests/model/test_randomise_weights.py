from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.evaluate.settings import curved

from assay import model
from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.seed import Seed
from assay.model.model import Model
from assay.model.transformations.randomise_weights import layer_names, randomise_weights
from assay.nouns.inputs.rows import Rows


class Transformer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = torch.nn.Parameter(torch.zeros(1, 1, 8))
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = torch.nn.LayerNorm(8)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        return torch.as_tensor(self.head(self.norm(self.attention(z, z, z)[0][:, 0])))


@pytest.fixture
def trained() -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model.torch(Transformer().eval())


def _weights(some: Model) -> dict[str, torch.Tensor]:
    return {name: parameter.clone() for name, parameter in some.net.named_parameters()}


def test_every_parameter_changes_attention_projections_norms_and_class_token_too(trained: Model) -> None:
    before, after = _weights(trained), _weights(randomise_weights(trained, Seed()))
    assert {"attention.in_proj_weight", "token", "norm.weight", "head.bias"} <= set(before)
    assert not [name for name in before if (before[name] == after[name]).any()]


def test_the_original_net_stays_unchanged(trained: Model) -> None:
    before, fingerprint = _weights(trained), trained.fingerprint
    randomise_weights(trained, Seed())
    assert all(torch.equal(tensor, before[name]) for name, tensor in _weights(trained).items())
    assert trained.fingerprint == fingerprint


def test_layer_names_start_at_the_output_and_cover_every_parameter(trained: Model) -> None:
    layers = layer_names(trained)
    assert layers == ("head", "norm", "attention.out_proj", "attention", "")
    assert {name.rpartition(".")[0] for name in _weights(trained)} == set(layers)


def test_only_the_given_layers_change(trained: Model) -> None:
    before, after = _weights(trained), _weights(randomise_weights(trained, Seed(), layers=("head", "")))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias", "token"}


def test_the_draw_of_a_layer_does_not_depend_on_other_layers(trained: Model) -> None:
    some, all_ = (
        _weights(randomise_weights(trained, Seed(), layers=("head",))),
        _weights(randomise_weights(trained, Seed())),
    )
    assert torch.equal(some["head.weight"], all_["head.weight"])


def test_the_same_seed_draws_the_same_and_another_another(trained: Model) -> None:
    one, repeated, other = (randomise_weights(trained, Seed(s)) for s in (1, 1, 2))
    assert one.fingerprint == repeated.fingerprint
    assert torch.equal(_weights(one)["head.weight"], _weights(repeated)["head.weight"])
    assert not torch.equal(_weights(one)["head.weight"], _weights(other)["head.weight"])


def test_equal_layers_of_different_names_draw_differently() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)).eval()
    net[1].load_state_dict(net[0].state_dict())
    after = _weights(randomise_weights(model.torch(net), Seed()))
    assert (after["0.weight"] != after["1.weight"]).all()


def test_weights_keep_their_mean_and_spread() -> None:
    net = torch.nn.Linear(200, 200).eval()
    with torch.no_grad():
        net.weight.copy_(torch.linspace(1.0, 3.0, 40000).reshape(200, 200))
    weights = _weights(randomise_weights(model.torch(net), Seed()))["weight"]
    assert abs(float(weights.mean()) - 2.0) < 0.02
    assert abs(float(weights.std()) - 2 / np.sqrt(12)) < 0.02


def test_tied_weights_stay_tied() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)).eval()
    net[1].weight = net[0].weight
    other = randomise_weights(model.torch(net), Seed()).net
    assert other[0].weight is other[1].weight


def test_the_batch_size_set_on_the_model_is_kept(trained: Model) -> None:
    assert randomise_weights(replace(trained, batch=3), Seed()).batch == 3


def test_it_counts_on_the_same_meter_even_when_scrambled_twice(trained: Model) -> None:
    twice = randomise_weights(randomise_weights(trained, Seed(1)), Seed(2))
    assert twice.meter is trained.meter


def test_the_mark_tells_nets_and_cuts_apart(trained: Model) -> None:
    marks = {
        trained.fingerprint,
        randomise_weights(trained, Seed()).fingerprint,
        randomise_weights(trained, Seed(), layers=("head",)).fingerprint,
        randomise_weights(trained.up_to_layer("norm"), Seed()).fingerprint,
    }
    assert len(marks) == 4


def test_a_layer_of_the_scrambled_net_can_be_read(trained: Model) -> None:
    x = torch.ones(2, 5, 8)
    rows = Rows(x, ("a", "b"))
    cut = randomise_weights(trained.up_to_layer("norm"), Seed())
    assert cut.forward(rows).shape == (2, 8)
    assert not torch.equal(cut.values(rows), trained.up_to_layer("norm").values(rows))


def test_outputs_stay_finite_and_of_similar_size(trained: Model) -> None:
    rows = Rows(torch.ones(2, 5, 8), ("a", "b"))
    before, after = trained.values(rows), randomise_weights(trained, Seed()).values(rows)
    assert torch.isfinite(after).all()
    assert after.abs().max() < 20 * before.abs().max()


def test_global_generators_are_left_alone(trained: Model) -> None:
    state = torch.get_rng_state()
    randomise_weights(trained, Seed())
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_weights_change_too() -> None:
    net = torch.nn.Linear(4, 2).eval().to(torch.bfloat16)
    before = _weights(model.torch(net))
    after = _weights(randomise_weights(model.torch(net), Seed()))
    assert all(after[name].dtype == torch.bfloat16 for name in after)
    assert not [name for name in before if torch.equal(before[name], after[name])]


def test_an_unknown_layer_is_refused(trained: Model) -> None:
    with pytest.raises(InputError, match=r"no parameters in .*'body'"):
        randomise_weights(trained, Seed(), layers=("body",))


def test_a_net_without_parameters_is_refused() -> None:
    with pytest.raises(InputError, match="no layer to randomise"):
        randomise_weights(model.torch(torch.nn.ReLU().eval()), Seed())


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    net = torch.nn.Linear(2, 2).eval()
    with torch.no_grad():
        net.weight[0, 0] = torch.nan
    with pytest.raises(NumericalError, match="parameter weight"):
        randomise_weights(model.torch(net), Seed())


def test_models_without_weights_are_refused_with_advice() -> None:
    with pytest.raises(CapabilityError, match="Refit it on permuted labels"):
        randomise_weights(curved().model, Seed())
