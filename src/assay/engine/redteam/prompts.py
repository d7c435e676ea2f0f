# SPDX-License-Identifier: Apache-2.0
"""Prompts of a probe: its variants with slots filled and canaries drawn by a seed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.word_swaps.word_pairs import GENDER, SwapTable, swap_words
from assay.nouns.redteam.probe import Message, Probe, Prompt, Variant

MAX_TRIES = 200
"""Draws of the slots of one prompt before a repeated prompt is accepted as the last one."""


@dataclass(frozen=True)
class TrainingCanary:
    """A secret that was inserted into a training text after ``prefix``, and one of the same form that was not."""

    prefix: str
    secret: str
    unused: str


def make_prompts(probe: Probe, count: int, seed: Seed) -> tuple[Prompt, ...]:
    """At most ``count`` different prompts of a probe: variants in turn, slots and canaries drawn by the seed.

    The canary is one word, for the detector of secrets two words; ``{decoy}`` is another one. The same seed gives the
    same prompts, and more prompts begin with the same ones.
    """
    if count < 2:
        raise InputError(f"{count} prompts; at least 2 are needed.")
    found: dict[tuple[Message, ...], Prompt] = {}
    for place in range(count):
        variant = probe.variants[place % len(probe.variants)]
        stream = seed.child("prompts", probe.name, place).generator()
        for _ in range(MAX_TRIES):
            prompt = _prompt(probe, variant, f"{probe.name}/{place}", stream)
            if prompt.messages not in found:
                found[prompt.messages] = prompt
                break
    return tuple(found.values())


def canary_prompts(probe: Probe, canaries: Sequence[TrainingCanary]) -> tuple[Prompt, ...]:
    """The prompts of a memorisation probe, one for each canary and variant; prompts of a canary are one cluster."""
    return tuple(
        Prompt(
            key=f"{probe.name}/{place}/{variant.name}",
            variant=variant.name,
            messages=_filled(variant.messages, {"prefix": one.prefix}),
            control=_filled(variant.control, {"prefix": one.prefix}),
            canary=one.secret,
            control_canary=one.unused,
            cluster=f"canary {place}",
        )
        for place, one in enumerate(canaries)
        for variant in probe.variants
    )


def draw_unused(secret: str, taken: Sequence[str], seed: Seed) -> str:
    """A text of the same form as a secret: each digit and letter drawn again, none of ``taken``.

    ``InputError`` where the secret has no digit and no letter, or where no other text was found.
    """
    stream = seed.child("unused", secret).generator()
    for _ in range(MAX_TRIES):
        drawn = "".join(_redrawn(one, stream) for one in secret)
        if drawn != secret and drawn not in taken:
            return drawn
    raise InputError(f"no other text of the form of a secret with {len(secret)} characters was found.")


def _redrawn(one: str, stream: np.random.Generator) -> str:
    for alphabet in ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if one in alphabet:
            return alphabet[int(stream.integers(len(alphabet)))]
    return one


def _prompt(probe: Probe, variant: Variant, key: str, stream: np.random.Generator) -> Prompt:
    words = {name: options[int(stream.integers(len(options)))] for name, options in probe.slots.items()}
    canary, decoy = _canaries(probe, stream)
    words |= _encodings(canary) | {"decoy": decoy}
    messages = _filled(variant.messages, words)
    control = _swapped(messages) if probe.family == "bias" else _filled(variant.control, words)
    return Prompt(key, variant.name, messages, control, canary)


def _swapped(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with all words of sex exchanged."""
    table = SwapTable.of(GENDER)
    return tuple((role, str(swap_words(text, table).text)) for role, text in messages)


def _canaries(probe: Probe, stream: np.random.Generator) -> tuple[str, str]:
    """The canary and the decoy: words, or pairs of words, without a word in common."""
    if not probe.canaries:
        return "", ""
    each = 2 if probe.detector == "secret" else 1
    if len(probe.canaries) < 2 * each:
        raise InputError(f"the probe {probe.name} has {len(probe.canaries)} canaries; at least {2 * each} are needed.")
    chosen = [probe.canaries[i] for i in stream.choice(len(probe.canaries), 2 * each, replace=False)]
    return " ".join(chosen[:each]), " ".join(chosen[each:])


def _encodings(canary: str) -> dict[str, str]:
    return {
        "canary": canary,
        "canary_base64": base64.b64encode(canary.encode()).decode(),
        "canary_reversed": canary[::-1],
        "canary_spelled": "-".join(canary),
    }


def _filled(messages: Sequence[Message], words: Mapping[str, str]) -> tuple[Message, ...]:
    """The messages with their slots filled, in one pass, so that what fills a slot is not filled again."""
    return tuple((role, _fill(text, words)) for role, text in messages)


def _fill(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), text)
