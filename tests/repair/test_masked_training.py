# SPDX-License-Identifier: Apache-2.0
"""Masked training: the smoothed model gets more accurate, the net stays as it was, what cannot work is refused."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

import assay
from assay import repair
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.nouns.inputs.features import Features
from assay.planted.networks import initialise, perceptron, train_network
from assay.repair.masked_training import _MaskedLoss

FAST: dict[str, Any] = {"smoothing": (0.125,), "q": 16, "epochs": 8, "rate": 3e-3}


def convolutions() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


@cache
def digits() -> tuple[Any, Any, Any, Any]:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    net = train_network(initialise(convolutions, Seed(0)), x[:900], y[:900], Seed(0), epochs=12)
    return net, x, y, assay.case(assay.wrap(net), x[900:910], features=assay.grid((1, 8, 8), 1))


def repaired(**options: Any) -> Any:
    _, x, y, case = digits()
    return repair.masked_training(
        case, train=(x[:900], y[:900]), held_out=(x[900:1300], y[900:1300]), **{**FAST, **options}
    )


@cache
def plain() -> Any:
    return repaired()


def test_the_smoothed_digits_are_read_far_better_and_the_plain_ones_as_well() -> None:
    was, now = plain().before, plain().after
    name = "smoothed accuracy, λ = 1/8"
    assert was[name] < 0.5
    assert now[name] >= 0.65
    assert now[f"{name}, low"] > was[f"{name}, high"]
    assert now["accuracy"] >= was["accuracy"] - 0.02


def test_the_reported_accuracy_is_that_of_the_smoothed_model_made_anew() -> None:
    _, x, y, case = digits()
    for model, reported in ((case.model, plain().before), (plain().model, plain().after)):
        smooth = assay.model.multiplicative_smoothing(
            model, case.features, remove=assay.Constant(0.0), smoothing=0.125, q=16, seed=case.seed
        )
        hits = assay.case(smooth, x[900:1300]).prediction.argmax(axis=1) == y[900:1300]
        assert reported["smoothed accuracy, λ = 1/8"] == hits.mean()


def test_notes_hold_the_paired_differences() -> None:
    texts = [note.text for note in plain().notes if note.code == "held-out"]
    assert [text.partition(" on ")[0] for text in texts] == ["accuracy", "smoothed accuracy, λ = 1/8"]
    was, now = plain().before["smoothed accuracy, λ = 1/8"], plain().after["smoothed accuracy, λ = 1/8"]
    assert f"paired difference {now - was:+.4g} [" in texts[1]


def test_the_same_training_without_masks_helps_far_less() -> None:
    (text,) = (note.text for note in plain().notes if note.code == "control")
    rates = [float(one.rpartition(" ")[2]) for one in text.partition(": ")[2].split("; ")]
    was, now = (found["smoothed accuracy, λ = 1/8"] for found in (plain().before, plain().after))
    assert len(rates) == 2
    assert rates[0] > 0.9
    assert rates[1] - was < 0.5 * (now - was)


def test_the_callers_net_and_the_case_stay_as_they_are() -> None:
    net, _, _, case = digits()
    before, fingerprint = {name: value.clone() for name, value in net.state_dict().items()}, case.model.fingerprint
    private = {name: value.clone() for name, value in case.model.net.state_dict().items()}
    found = repaired(epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(value, private[name]) for name, value in case.model.net.state_dict().items())
    assert (net.training, case.model.fingerprint) == (False, fingerprint)
    assert found.model.fingerprint != fingerprint
    assert not any(weight.requires_grad for weight in found.model.net.parameters())


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others() -> None:
    _, x, y, case = digits()
    torch.manual_seed(5)
    one, other = repaired(epochs=1), repaired(epochs=1)
    assert one.model.fingerprint == other.model.fingerprint
    for name, weights in one.model.net.state_dict().items():
        assert weights.numpy().tobytes() == other.model.net.state_dict()[name].numpy().tobytes()
    moved = assay.case(case.model, x[900:910], features=case.features, seed=1)
    third = repair.masked_training(
        moved, train=(x[:900], y[:900]), held_out=(x[900:], y[900:]), **{**FAST, "epochs": 1}
    )
    assert third.model.fingerprint != one.model.fingerprint


@pytest.mark.parametrize(
    "remove", [assay.Constant(0.5), assay.Mean(np.random.default_rng(0).random((5, 1, 8, 8))), assay.Blur(1.0)], ids=str
)
def test_every_fill_that_is_supported_is_the_fill_of_the_removal(remove: Any) -> None:
    """With nothing kept, the masked copies that the net sees are the removal's own filling of all features."""
    _, x, _, case = digits()
    seen: list[Any] = []

    class Kept:
        def random(self, shape: Any) -> Any:
            return np.ones(shape)  # never below a share: nothing is kept

    taught = assay.case(case.model, x[:4], features=case.features)
    loss = _MaskedLoss(taught, remove, None, Seed(0))
    loss.generator = Kept()
    live = Spy(taught, seen)
    loss(live, np.arange(4), torch.zeros(4, dtype=torch.long))
    (filled,) = remove.bind(taught.rows).fill(np.arange(4), np.zeros((4, 1, 8, 8), dtype=bool))
    assert_array_equal(seen[0].numpy(), taught.rows.x.numpy())
    assert_array_equal(seen[1].numpy(), filled.numpy())


class Spy:
    """A case that remembers the rows that the net is given."""

    def __init__(self, case: Any, seen: list[Any]) -> None:
        self.case, self.seen, self.rows, self.model = case, seen, case.rows, case.model

    def outputs(self, x: Any, which: Any) -> Any:
        self.seen.append(x)
        return torch.zeros(len(x), 10)


def test_a_fixed_share_keeps_subsets_of_that_size_and_of_half_of_it() -> None:
    _, x, _, case = digits()
    taught = assay.case(case.model, x[:200], features=case.features)
    loss = _MaskedLoss(taught, assay.Constant(0.0), 0.5, Seed(0))
    one, half = (mask.sum(axis=1) for mask in loss._masks(np.arange(200)))
    assert (one.min(), one.max()) == (31, 33)
    assert (half.min(), half.max()) == (15, 17)


def test_a_fixed_share_helps_at_its_own_smoothing() -> None:
    name = "smoothed accuracy, λ = 1/8"
    found = repaired(share=0.125, epochs=4)
    assert found.after[name] > found.before[name] + 0.1


def test_a_table_gets_the_mean_of_the_training_rows() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 6)).astype(np.float32) + 3
    y = (x[:, :3].sum(axis=1) > 9).astype(int)
    net = train_network(initialise(perceptron(6, 16, 2), Seed(0)), x[:200], y[:200], Seed(0), epochs=8)
    cut = Features(np.array([0, 0, 1, 1, 2, 2]), ("a", "b", "c"))
    case = assay.case(assay.wrap(net), x[:5], features=cut)
    found = repair.masked_training(
        case, train=(x[:200], y[:200]), held_out=(x[200:], y[200:]), smoothing=(0.5,), q=8, epochs=2
    )
    assert "Mean(<200 rows" in found.change
    assert [note.code for note in found.notes][:1] == ["default-removal"]
    assert set(found.after) == {
        name + limit for name in ("accuracy", "smoothed accuracy, λ = 1/2") for limit in ("", ", low", ", high")
    }


WORDS = ["[PAD]", "[UNK]", "[MASK]", "good", "bad", "film", "plot", "the"]


def text_model(mask: bool = True) -> Any:
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    known = {"mask_token": "[MASK]"} if mask else {}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", **known)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.head = nn.Embedding(len(WORDS), 8), nn.Linear(8, 2)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            weight = attention_mask[:, :, None].float()
            return self.head((torch.tanh(self.words(input_ids)) * weight).sum(dim=1) / weight.sum(dim=1))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net().eval()
    return assay.model.transformers(net, tokenizer, classes=["sad", "glad"])


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    generator = np.random.default_rng(seed)
    glad = generator.random(count) < 0.5
    rest = [" ".join(generator.choice(WORDS[5:], generator.integers(1, 5))) for _ in glad]
    return [f"{'good' if one else 'bad'} {words}" for one, words in zip(glad, rest)], [
        "glad" if one else "sad" for one in glad
    ]


def test_words_of_a_text_are_masked_by_the_mask_token_and_embeddings_stay() -> None:
    model = text_model()
    case = assay.case(model, texts(4, 0)[0])
    found = repair.masked_training(
        case, train=texts(200, 1), held_out=texts(60, 2), smoothing=(0.5,), q=4, epochs=12, rate=0.1
    )
    assert "[MASK]" in next(note.text for note in found.notes if note.code == "default-removal")
    assert found.after["accuracy"] > 0.9 > found.before["accuracy"]
    assert torch.equal(found.model.encode.base.net.words.weight, model.encode.base.net.words.weight)
    assert any("also occur among the training texts" in note.text for note in found.notes)
    again = assay.case(found.model, texts(60, 2)[0])
    hits = np.mean([again.model.classes[i] for i in again.prediction.argmax(axis=1)] == np.array(texts(60, 2)[1]))
    assert hits == found.after["accuracy"]


def refusals() -> dict[str, tuple[Any, type[Exception], str]]:
    _, x, y, case = digits()
    good: dict[str, Any] = {"train": (x[:50], y[:50]), "held_out": (x[50:90], y[50:90]), **FAST}

    def call(**changed: Any) -> Any:
        return lambda: repair.masked_training(changed.pop("case", case), **{**good, **changed})

    line = assay.wrap(LogisticRegression(max_iter=50).fit(x[:99].reshape(99, -1), y[:99]))
    cut = assay.integer_map(np.stack([np.arange(64).reshape(1, 8, 8)] * 10), per_row=True)
    return {
        "a marginal fill": (call(remove=assay.Marginal(x[:5])), CapabilityError, "Constant, Mean or Blur"),
        "a conditional fill": (call(remove=assay.Conditional(x[:5], 2)), CapabilityError, "Constant, Mean or Blur"),
        "no net": (call(case=assay.case(line, x[:5].reshape(5, -1))), CapabilityError, "net"),
        "superpixels": (call(case=assay.case(case.model, x[:10], features=cut)), CapabilityError, "one cut"),
        "no labels": (call(train=x[:50]), InputError, "train is a pair"),
        "no held-out labels": (call(held_out=x[:50]), InputError, "held_out is a pair"),
        "a wrong count": (call(train=(x[:50], y[:49])), InputError, "49 labels for 50 rows"),
        "a share of 0": (call(share=0.0), InputError, "share"),
        "λ between two masks": (call(smoothing=(0.3,)), InputError, "whole number"),
        "no epoch": (call(epochs=0), InputError, "epochs"),
    }


@pytest.mark.parametrize("name", refusals())
def test_what_cannot_work_gets_a_typed_error(name: str) -> None:
    call, kind, message = refusals()[name]
    with pytest.raises(kind, match=message):
        call()


def test_a_text_net_without_a_mask_token_is_refused() -> None:
    class Unnamed:
        """The tokenizer without what it knows of special tokens."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __call__(self, given: Any) -> Any:
            return self.inner(given)

    known = text_model()
    model = assay.model.text(
        known.encode.base.net, Unnamed(known.encode.tokenize), embedding="words", classes=["a", "b"]
    )
    case = assay.case(model, texts(4, 0)[0])
    rows, labels = texts(20, 1)
    named = ["a" if label == "sad" else "b" for label in labels]
    with pytest.raises(CapabilityError, match="names no mask token"):
        repair.masked_training(case, train=(rows, named), held_out=(rows, named), **FAST)
