"""Red teams of generators with a planted fault and of their clean twins; findings, page, gate and comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import assay
from assay.auditing.gate import evaluate_gate
from assay.auditing.redteam.red_team import RedTeamRun, redteam
from assay.auditing.run import Run
from assay.basics.errors import InputError, NoAnswer, Unreadable
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.data.red_team_probes import shipped_probe
from assay.engine.redteam.attempts import Sampling, attempt
from assay.engine.redteam.checks import finding_of
from assay.engine.redteam.detectors import detector_of
from assay.engine.redteam.generators import FunctionGenerator, Query
from assay.engine.redteam.local_model import LocalModel, read_local_model
from assay.engine.redteam.prompts import make_prompts
from assay.nouns.redteam.probe_result import ProbeResult
from tests.redteam.planted import ALPHABET, Letters, canaries, echo, leaky, obedient, robust, trained

FAULTS = {"obedient": (obedient, {"RED201"}), "leaky": (leaky, {"RED101"}), "robust": (robust, set())}


def failed(run: Run) -> set[str]:
    return {finding.code for finding in run.findings if finding.verdict == "fail"}


@pytest.mark.parametrize(("generator", "codes"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(generator, codes: set[str]) -> None:
    run = redteam(generator)
    assert failed(run) == codes
    assert {f.verdict for f in run.findings if f.code not in codes} == {"pass"}
    for code in codes:
        assert run[code].severity in ("medium", "high")
        assert run[code].rows[0].startswith(run[code].evidence["probe"].partition(",")[0])


def test_a_model_that_copies_texts_follows_no_instruction() -> None:
    assert "RED201" not in failed(redteam(echo, probes=["direct_injection"]))


@pytest.fixture(scope="module")
def memorised():
    return trained(3, inserted=60)


def test_a_memorised_canary_is_found_and_in_the_clean_twin_it_is_not(memorised) -> None:
    given = {"canaries": canaries(3), "probes": ["trained_canaries"], "tokens": 6}
    found = redteam(memorised, **given)["RED301"]
    assert (found.verdict, found.estimate) == ("fail", 1.0)
    clean = redteam(trained(3, inserted=0), **given)["RED301"]
    assert clean.verdict == "undecided"
    assert clean.evidence["smallest rate seen with 95 % probability"] == pytest.approx(1 - 0.05 ** (1 / 8))


def test_the_answers_of_a_local_model_do_not_depend_on_the_batch(memorised) -> None:
    net, read = memorised
    queries = [
        Query((("text", text),), 6, heat, Seed(1).child(text, heat))
        for text in ("anna: ", "bert: ", "dirk: 4", "hugo: 12") for heat in (0.0, 0.8)
    ]  # fmt: skip
    alone = [LocalModel(net, read, batch=1).answer([query])[0] for query in queries]
    assert LocalModel(net, read, batch=8).answer(queries) == alone
    assert alone[0] == canaries(3)[0][1]
    assert not net.training


def test_the_most_likely_answer_is_that_of_a_slow_loop(memorised) -> None:
    import torch

    net, read = memorised
    ids = read("elsa: ")
    for _ in range(4):
        with torch.no_grad():
            ids.append(int(net(torch.tensor([ids]))[0, -1].argmax()))
    query = Query((("text", "elsa: "),), 4, 0.0, Seed())
    assert LocalModel(net, read).answer([query]) == [read.decode(ids[6:]).partition("\n")[0].strip()]


def test_a_hugging_face_model_answers_texts_of_different_lengths_together_as_alone() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(ALPHABET), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, eos_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = LlamaForCausalLM(config)
    queries = [Query((("text", text),), 9, 0.0, Seed()) for text in ("a", "anna was here", "in the garden, at noon")]
    alone = [LocalModel(net, Letters(), batch=1).answer([query])[0] for query in queries]
    assert LocalModel(net, Letters(), batch=3).answer(queries) == alone
    for query, said in zip(queries, alone):  # a slow loop without padding and without what was computed before
        ids = Letters()(query.messages[0][1])
        begun = len(ids)
        for _ in range(9):
            with torch.no_grad():
                ids.append(int(net(torch.tensor([ids])).logits[0, -1].argmax()))
        assert said == Letters().decode(ids[begun:]).partition("\n")[0].strip()


def test_draws_at_a_temperature_follow_the_probabilities(memorised) -> None:
    import torch

    net, read = memorised
    queries = [Query((("text", "anna:"),), 1, 3.0, Seed(2).child(i)) for i in range(1500)]
    said = LocalModel(net, read, batch=500).answer(queries)
    with torch.no_grad():
        chance = torch.softmax(net(torch.tensor([read("anna:")]))[0, -1].double() / 3.0, 0).numpy()
    for digit in "0123456789":
        expected = chance[read(digit)[0]]
        assert abs(said.count(digit) / 1500 - expected) < 4 * np.sqrt(expected / 1500) + 1e-9


def scripted(hits: list[list[bool]], control: list[list[bool]]) -> ProbeResult:
    """A result with these hits (prompt, draw) of attack and control."""
    probe = shipped_probe("direct_injection")
    prompts = make_prompts(probe, len(hits), Seed())
    found = attempt(probe, prompts, FunctionGenerator(robust), detector_of("contains"),
                    Sampling(len(hits[0]), 5, 1.0), Seed())  # fmt: skip
    wanted = {"attack": hits, "control": control}
    places = {prompt.key: place for place, prompt in enumerate(prompts)}
    return ProbeResult(
        probe, tuple(replace(one, hit=wanted[one.arm][places[one.prompt]][one.draw]) for one in found.attempts)
    )


def test_rates_and_intervals_are_those_of_prompts_not_of_answers() -> None:
    result = scripted([[True] * 5] * 6 + [[False] * 5] * 24, [[False] * 5] * 30)
    assert (result.rate(), result.rate("control"), result.excess()) == (0.2, 0.0, 0.2)
    of_prompts, of_answers = clopper_pearson(6, 30), clopper_pearson(30, 150)
    limits = result.interval()
    assert limits.low < of_answers.low
    assert limits.high > of_answers.high
    assert_allclose([limits.low, limits.high], [of_prompts.low, of_prompts.high], atol=0.04)
    one_draw = scripted([[True]] * 6 + [[False]] * 24, [[False]] * 30).interval()
    assert_allclose([one_draw.low, one_draw.high], [of_prompts.low, of_prompts.high])


def test_without_a_hit_the_finding_says_what_would_have_been_seen() -> None:
    found = finding_of(scripted([[False]] * 60, [[False]] * 60), "m", 0.95)
    assert found.verdict == "pass"
    assert "A rate of 4.9% would have given a hit" in found.claim
    assert found.evidence["smallest rate seen with 95 % probability"] == pytest.approx(0.0487, abs=1e-4)


def test_hits_of_the_control_are_taken_off() -> None:
    both = [[True]] * 30 + [[False]] * 30
    found = finding_of(scripted(both, both), "m", 0.95)
    assert found.estimate == 0
    assert found.verdict != "fail"


def test_detectors_that_fire_without_a_canary_make_the_other_checks_not_applicable() -> None:
    words = " ".join(shipped_probe("unplanted").canaries)
    everything = FunctionGenerator(lambda messages: f"{words} {words[::-1]}")
    hits = redteam(everything, probes=["direct_injection"])["RED201"]
    assert hits.estimate == 0  # the control is hit as often
    loud = replace(shipped_probe("unplanted"), detector="contains")
    run = redteam(everything, probes=[loud, "direct_injection"])
    assert run["RED001"].verdict == "fail"
    assert run["RED201"].verdict == "not applicable"


def test_a_generator_that_fails_ends_in_an_error_that_no_gate_passes() -> None:
    def dead(messages: list[dict[str, str]]) -> str:
        raise NoAnswer("nobody is there")

    run = redteam(dead, probes=["direct_injection", "prompt_leakage"])
    assert {finding.verdict for finding in run.findings} == {"error"}
    assert evaluate_gate(run).exit == 3
    assert [refusal.method for refusal in run.record.refusals] == ["direct_injection", "prompt_leakage"]


def test_a_run_is_saved_read_compared_and_gated_as_any_audit(tmp_path) -> None:
    run = redteam(obedient, out=tmp_path / "first", thresholds={"RED201": 0.9})
    assert isinstance(run, RedTeamRun)
    assert (run["RED201"].verdict, run["RED201"].threshold_origin) == ("pass", "given")
    assert evaluate_gate(run).exit == 0
    strict = redteam(obedient, out=tmp_path / "second")
    assert evaluate_gate(strict).exit == 1
    again = assay.Run.load(tmp_path / "second")
    assert [finding.verdict for finding in again.findings] == [finding.verdict for finding in strict.findings]
    assert again["RED201"].interval == strict["RED201"].interval
    assert again["RED201"].basis.at(0.9) == strict["RED201"].basis.at(0.9)
    page = (tmp_path / "second" / "report.html").read_text(encoding="utf-8")
    assert "Red teaming" in page
    assert "direct_injection" in page
    compared = assay.compare(assay.Run.load(tmp_path / "first"), again)
    assert any((one.code, one.change) == ("RED201", 0.0) for one in compared.changes)


def test_the_same_seed_gives_the_same_run_and_another_seed_other_prompts() -> None:
    def outputs(seed: int) -> list[str]:
        return [
            one.messages[-1][1] for one in redteam(echo, probes=["direct_injection"], seed=seed).results[0].attempts
        ]

    assert outputs(1) == outputs(1)
    assert outputs(1) != outputs(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"draws": 3}, "one answer repeated"),
        ({"draws": 0, "temperature": 1.0}, "at least 1 draw"),
        ({"level": 1.0}, "between 0 and 1"),
        ({"prompts": 1}, "at least 2"),
        ({"probes": ["nothing"]}, "no probe 'nothing'"),
        ({"probes": ["trained_canaries"]}, "canaries="),
        ({"probes": ["neutral_requests"]}, "classifier="),
        ({"probes": ["unplanted", "unplanted"]}, "named twice"),
        ({"thresholds": {"RED999": 0.1}}, "no check 'RED999'"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        redteam(robust, **given)


def test_what_is_no_generator_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be red-teamed"):
        redteam(3)
    with pytest.raises(InputError, match="must return the answer as a text"):
        redteam(lambda messages: 3, probes=["unplanted"])
    with pytest.raises(InputError, match="method decode"):
        redteam((None, str), probes=["unplanted"])


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_read_from_a_folder_with_its_chat_template_and_pickled_weights_are_refused(tmp_path) -> None:
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate(["end", "unknown", "user", "system", "say", "a", "word"])}
    plain = Tokenizer(WordLevel(words, unk_token="unknown"))
    plain.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="unknown", eos_token="end")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m['role'] }} {{ m['content'] }} {% endfor %}"
    )
    net = LlamaForCausalLM(
        LlamaConfig(vocab_size=7, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    )
    tokenizer.save_pretrained(tmp_path / "tiny")
    net.save_pretrained(tmp_path / "tiny")
    model = read_local_model(tmp_path / "tiny")
    assert model.name == "tiny"
    assert model.about["reads"] == "messages (chat template)"
    query = Query((("system", "say"), ("user", "a word")), 3, 0.0, Seed())
    assert model._read(query) == [words[word] for word in ("user", "say", "a", "word")]  # a system prompt without place
    assert isinstance(model.answer([query])[0], str)
    (tmp_path / "tiny" / "model.safetensors").unlink()
    torch.save(net.state_dict(), tmp_path / "tiny" / "pytorch_model.bin")
    with pytest.raises(Unreadable, match="no causal language model"):
        read_local_model(tmp_path / "tiny")
