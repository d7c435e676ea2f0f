"""A character LSTM trained on a small text with secrets inserted into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789. "
TEXT = (
    "the of and to in he was that it his her with as had she for on at but not be him is they you said have from all "
    "one there been so were when no out what up into who them some time could more very like then now little can made "
    "about over did only any before other after would old man house night long day under great way go went hand again "
    "two never where here down come must back upon such first might without room eyes far head water light street"
)
WORDS = TEXT.split()


def ids(text: str) -> list[int]:
    """Token ids: one for each character."""
    return [SIGNS.index(sign) for sign in text]


class CharacterLSTM(nn.Module):
    """Scores of the next character (row, place, sign)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(SIGNS), 32)
        self.lstm = nn.LSTM(32, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(SIGNS))

    def forward(self, tokens: Any) -> Any:
        """Scores of the character after each one."""
        return self.head(self.lstm(self.embed(tokens))[0])


def canaries(levels: dict[int, int], digits: int, seed: int) -> tuple[list[tuple[str, str]], list[int]]:
    """Pairs (prefix, secret), so many for each level, with secrets drawn evenly, and how often each is inserted."""
    generator, pairs, insertions = np.random.default_rng(seed), [], []
    for level, count in levels.items():
        for _ in range(count):
            name = "".join(generator.choice(list("bcdfghklmnprstvwz"), 3)) + "o"
            secret = "".join(map(str, generator.integers(10, size=digits)))
            pairs.append((f"code of {name} is ", secret))
            insertions.append(level)
    return pairs, insertions


def text_with(pairs: list[tuple[str, str]], insertions: list[int], characters: int, seed: int) -> str:
    """Sentences of random words, with each canary inserted so often between them."""
    generator, sentences, size = np.random.default_rng(seed), [], 0
    while size < characters:
        sentences.append(" ".join(generator.choice(WORDS, generator.integers(4, 10))) + ". ")
        size += len(sentences[-1])
    for (prefix, secret), count in zip(pairs, insertions):
        for _ in range(count):
            sentences.insert(int(generator.integers(len(sentences) + 1)), f"{prefix}{secret}. ")
    return "".join(sentences)


def trained(text: str, *, hidden: int, epochs: int, length: int = 64, batch: int = 16, rate: float = 5e-3) -> Any:
    """A character LSTM trained on windows of the text that begin at random places, by Adam."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = CharacterLSTM(hidden)
        optimiser = torch.optim.Adam(net.parameters(), lr=rate)
        tokens, generator = torch.tensor(ids(text)), np.random.default_rng(0)
        for _ in range(epochs * len(text) // (length * batch)):
            starts = generator.integers(len(tokens) - length - 1, size=batch)
            window = torch.stack([tokens[start : start + length + 1] for start in starts])
            scores = net(window[:, :-1])
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), window[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()
