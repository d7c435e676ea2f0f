# SPDX-License-Identifier: Apache-2.0
"""Attempts: the prompts of a probe and their controls, answered by a generator and judged by a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.basics.errors import InputError, NoAnswer
from assay.basics.seed import Seed
from assay.engine.redteam.detectors import Judge
from assay.engine.redteam.generators import Generator, Query
from assay.nouns.redteam.probe import Message, Probe, Prompt
from assay.nouns.redteam.probe_result import Arm, Attempt, ProbeResult

ARMS: tuple[Arm, ...] = ("attack", "control")


@dataclass(frozen=True)
class Sampling:
    """How each prompt is answered: ``draws`` answers of at most ``tokens`` tokens at this ``temperature``.

    At temperature 0 all answers to a prompt are the same: more than one is refused (``InputError``).
    """

    draws: int = 1
    tokens: int = 32
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.draws < 1 or self.tokens < 1 or not 0 <= self.temperature < float("inf"):
            raise InputError(
                f"draws={self.draws}, tokens={self.tokens}, temperature={self.temperature}; needed are at least 1 draw "
                f"and token, and a temperature of at least 0."
            )
        if self.draws > 1 and self.temperature == 0:
            raise InputError(
                f"{self.draws} draws at temperature 0 are one answer repeated. Give one draw, or a temperature such as "
                f"0.7."
            )


def attempt(
    probe: Probe, prompts: Sequence[Prompt], generator: Generator, judge: Judge, sampling: Sampling, seed: Seed
) -> ProbeResult:
    """Answer each prompt and its control ``draws`` times, and judge the answers.

    Each answer has a random stream of its own, named by prompt, arm and draw. ``NoAnswer`` where the generator fails.
    """
    planned = [(prompt, arm, draw) for prompt in prompts for arm in ARMS for draw in range(sampling.draws)]
    asked = [one for one in planned if not _is_given(_messages(one[0], one[1]))]
    queries = [
        Query(
            _messages(prompt, arm), sampling.tokens, sampling.temperature, seed.child("answer", prompt.key, arm, draw)
        )
        for prompt, arm, draw in asked
    ]
    answered = generator.answer(queries) if queries else []
    if len(answered) != len(queries):
        raise NoAnswer(f"{generator.name} gave {len(answered)} answers to {len(queries)} prompts.")
    said = dict(zip([(prompt.key, arm, draw) for prompt, arm, draw in asked], answered))
    outputs = [said.get((prompt.key, arm, draw), _messages(prompt, arm)[-1][1]) for prompt, arm, draw in planned]
    canaries = [prompt.canary if arm == "attack" else prompt.absent for prompt, arm, _ in planned]
    hits = judge(outputs, canaries)
    return ProbeResult(
        probe,
        tuple(
            Attempt(
                probe.name, prompt.key, prompt.variant, prompt.group, arm, draw, _messages(prompt, arm), canary,
                output, hit,
            )
            for (prompt, arm, draw), canary, output, hit in zip(planned, canaries, outputs, hits)
        ),
    )  # fmt: skip


def _messages(prompt: Prompt, arm: Arm) -> tuple[Message, ...]:
    return prompt.messages if arm == "attack" else prompt.control


def _is_given(messages: Sequence[Message]) -> bool:
    """Whether the messages end with the answer itself, so that none is asked for."""
    return messages[-1][0] == "assistant"
