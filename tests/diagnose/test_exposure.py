"""Exposure of canaries in a character LSTM: memorised ones are found, others follow the exponential law."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tests.oracles.character_lstm import canaries, ids, text_with, trained

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.basics.errors import CapabilityError, InputError
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.privacy.exposure import distance_from_chance
from assay.nouns.catalogue import find


@cache
def small() -> tuple[Any, list[tuple[str, str]], list[int]]:
    """A small net, canaries of two digits, and how often each was inserted."""
    pairs, insertions = canaries({0: 12, 24: 2}, 2, 0)
    net = trained(text_with(pairs, insertions, 2000, 0), hidden=48, epochs=30, rate=0.02)
    return net, pairs, insertions


@cache
def findings() -> dict[float, Any]:
    net, pairs, insertions = small()
    case = assay.case(assay.model.language_model(net, ids), pairs)
    return {one.evidence["insertions"]: one for one in diagnose.exposure(case, insertions)}


def test_the_rank_is_that_of_a_plain_loop_over_all_candidates() -> None:
    net, pairs, _ = small()
    prefix, secret = pairs[-1]
    scores = []
    for number in range(100):
        tokens = torch.tensor([ids(f"{prefix}{number:02d}")])
        with torch.no_grad():
            logs = torch.log_softmax(net(tokens).double(), dim=2)
        start = len(prefix)
        scores.append(sum(float(logs[0, at - 1, tokens[0, at]]) for at in range(start, start + 2)))
    rank = sum(one >= scores[int(secret)] for one in scores)
    assert findings()[24].evidence["ranks"][-1] == rank == 1


def test_inserted_secrets_are_exposed_and_controls_are_not() -> None:
    inserted, control = findings()[24], findings()[0]
    assert inserted.code == "PRV202"
    assert inserted.evidence["p"] < 0.01
    assert inserted.estimate > 5
    assert inserted.evidence["largest exposure"] == np.log2(100)
    assert inserted.interval.high <= np.log2(100)
    assert inserted.evidence["extracted"] == ["13"]
    assert inserted.rows[0] == "13"
    assert (control.code, control.verdict) == ("PRV203", "informative")
    assert control.null_interval.low < control.estimate < control.null_interval.high
    assert control.evidence["p of an exponential distribution"] > 0.01


def fake(pairs: Any, likely: str = "4711", tokens: Any = len) -> list[list[float]]:
    """A language model that only knows one secret; each begins as likely as its place in it, others by a hash."""
    found = []
    for prefix, secret in pairs:
        drawn = int.from_bytes(hashlib.blake2b((prefix + secret).encode(), digest_size=8).digest(), "big") / 2**64
        total = -0.1 * len(secret) if prefix == "pin " and likely.startswith(secret) else -5 - drawn
        found.append([total / tokens(secret)] * tokens(secret))
    return found


def fake_case(pairs: Any, function: Any = fake) -> Any:
    return assay.case(assay.model.language_model(function, fingerprint="fake"), pairs)


def test_one_secret_at_the_maximum_fails() -> None:
    (found,) = diagnose.exposure(fake_case([("pin ", "4711")]), [3])
    assert (found.verdict, found.evidence["ranks"]) == ("fail", [1])
    assert found.subject == "fake, inserted 3 times"


def test_of_a_large_space_candidates_are_drawn_and_the_secret_is_extracted_by_beam_search() -> None:
    case = fake_case([("pin ", "4711"), ("pin ", "1234")])
    (found,) = diagnose.exposure(case, [9, 9], enumerated=9999, references=200)
    evidence = found.evidence
    assert (evidence["rank"], evidence["candidates"]) == ("sampled", 201)
    assert evidence["exposures"][0] == pytest.approx(np.log2(201), abs=1e-4)
    assert evidence["extrapolated"][0] > evidence["exposures"][0]
    assert evidence["extracted"] == ["0"]


def test_candidates_of_different_numbers_of_tokens_are_refused() -> None:
    def pieces(pairs: Any) -> Any:
        return fake(pairs, tokens=lambda secret: 1 if secret == "0000" else 2)

    with pytest.raises(InputError, match="different numbers of tokens: '0000' 1"):
        diagnose.exposure(fake_case([("pin ", "4711")], pieces), [3])


def test_what_is_no_language_model_or_no_canary_is_refused() -> None:
    words = assay.model.text_function(lambda texts: [len(text) for text in texts])
    with pytest.raises(CapabilityError, match="needs a language model that scores continuations"):
        diagnose.exposure(assay.case(words, ["a b"]), [1])
    with pytest.raises(InputError, match="takes pairs"):
        fake_case(["pin 4711"])
    for wrong in ([-1], ["often"], [1, 2]):
        with pytest.raises(InputError, match="insertions"):
            diagnose.exposure(fake_case([("pin ", "4711")]), wrong)
    with pytest.raises(InputError, match="each is above 0"):
        diagnose.exposure(fake_case([("pin ", "4711")]), [1], beam=0)


def test_a_text_that_does_not_end_where_a_token_ends_is_refused() -> None:
    net = small()[0]

    def pairs_of_signs(text: str) -> list[int]:
        return [(ord(a) * 7 + ord(b)) % 38 for a, b in zip(text[::2], [*text[1::2], " "])]

    case = assay.case(assay.model.language_model(net, pairs_of_signs), [("ab", "cd")])
    assert case.prediction[0, 1] == 1
    with pytest.raises(CapabilityError, match="end where a token ends"):
        _ = assay.case(assay.model.language_model(net, pairs_of_signs), [("abc", "de")]).prediction
    with pytest.raises(InputError, match="give tokenize"):
        assay.model.language_model(net)
    with pytest.raises(InputError, match="at most 0"):
        _ = fake_case([("a", "b")], lambda pairs: [[0.5]]).prediction


def test_a_hugging_face_model_gives_the_loss_of_its_own_continuation() -> None:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    signs = ["<s>", "</s>", "<unk>", *"abc0123456789"]
    inner = Tokenizer(models.WordLevel({sign: i for i, sign in enumerate(signs)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    config = transformers.GPT2Config(
        vocab_size=16, bos_token_id=0, eos_token_id=1, n_positions=16, n_embd=8, n_layer=1, n_head=2
    )
    torch.manual_seed(0)
    net = transformers.GPT2LMHeadModel(config).eval()
    found = assay.case(assay.model.language_model(net, tokenizer), [("ab", "12"), ("c", "345")]).prediction
    for (text, after), (total, count) in zip([("ab", "12"), ("c", "345")], found):
        tokens = torch.tensor([[0, *(signs.index(sign) for sign in text + after)]])
        labels = tokens.clone()
        labels[0, : 1 + len(text)] = -100
        assert count == len(after)
        assert total == pytest.approx(-len(after) * net(tokens, labels=labels).loss.item(), abs=1e-4)


def test_the_cost_is_at_most_the_one_declared_and_audits_of_other_models_do_not_mention_it() -> None:
    for options in ({}, {"enumerated": 10, "references": 30}):
        model = assay.model.language_model(fake, fingerprint="fake")
        pairs = [("pin ", "4711"), ("pin ", "1234"), ("code ", "1111")]
        inputs = AuditInputs(model, pairs, [1, 1, 0], options={"exposure": options})
        method = find("diagnose", "exposure")
        assert method.audit_cost is not None
        declared = method.audit_cost(inputs).forwards
        before = model.meter.forwards
        call_on_inputs(method, inputs)
        assert model.meter.forwards - before <= declared
    words = assay.model.text_function(lambda texts: [len(text) for text in texts])
    skipped = prepare(words, ["a b", "c d"] * 5, [1.0, 2.0] * 5).plan
    assert "exposure" not in str(skipped)


@pytest.mark.judge
def test_on_12_kb_of_text_controls_are_exponential_and_a_secret_inserted_16_times_is_at_the_maximum() -> None:
    pairs, insertions = canaries({0: 4, 16: 3}, 4, 0)
    generator = np.random.default_rng(1)
    controls = [(prefix, f"{generator.integers(10_000):04d}") for prefix, _ in pairs[:4] for _ in range(25)]
    net = trained(text_with(pairs, insertions, 12_000, 0), hidden=128, epochs=15)
    case = assay.case(assay.model.language_model(net, ids), [*pairs, *controls])
    control, inserted = diagnose.exposure(case, [*insertions, *[0] * 100])
    assert inserted.evidence["candidates"] == 10_000
    assert max(inserted.evidence["exposures"]) == pytest.approx(np.log2(10_000), abs=1e-3)
    assert inserted.verdict == "fail"
    assert distance_from_chance(np.array(control.evidence["exposures"])) > 0.01
