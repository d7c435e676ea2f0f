# SPDX-License-Identifier: Apache-2.0
"""Adapter for language models as functions from a text and its continuation to the probability of the latter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array, Floats
from assay.model.adapters.text import Encoded
from assay.model.adapters.torch import net_fingerprint
from assay.model.model import Model
from assay.model.state_fingerprint import state_fingerprint
from assay.model.texts.words import TextRow
from assay.nouns.inputs.output_kind import check_gives
from assay.nouns.inputs.rows import Rows, Text, to_floats

if TYPE_CHECKING:
    import torch as pt

PAIRS = "texts"
"""What rows carry: the text and its continuation (row, 2)."""

LIKELIHOOD, TOKENS = "log-likelihood", "tokens"
"""The names of the two outputs."""

Score = Callable[[Sequence[tuple[str, str]]], Sequence[Any]]
"""Pairs (text, continuation) to the log-probabilities (token,) of the tokens of each continuation."""


def language_model(
    model: Any,
    tokenize: Any = None,
    *,
    batch: int = 256,
    name: str | None = None,
    fingerprint: str | None = None,
) -> Model:
    """A language model as a model of pairs (text, continuation): log P(continuation | text) in nats, and its tokens.

    ``model`` is a torch net from token ids (row, token) to scores of the next token (row, token, vocabulary), as a
    tensor, the first of a tuple, or an attribute ``logits`` (Hugging Face causal models), or a function from pairs to
    the log-probabilities of each continuation's tokens. ``tokenize`` is a Hugging Face tokenizer, or a function from a
    text to token ids; a net needs it. Special tokens are those the tokenizer puts before a text.

    The tokens of the text must be the same with and without the continuation (``CapabilityError``), so that all
    continuations of a text are scored after the same tokens. Probabilities are computed in float64 from the scores, in
    batches of equal length, without padding. Such a model is for ``diagnose.exposure``; it has no parts to explain.
    """
    label = name or str(getattr(model, "__name__", type(model).__name__))
    score: Score = model
    found = fingerprint
    if _is_net(model):
        if tokenize is None:
            raise InputError(f"{label} takes token ids; give tokenize, a tokenizer or a function from a text to ids.")
        score = NetScore(model, token_ids(tokenize), batch)
        found = found or digest(label, net_fingerprint(model), state_fingerprint(tokenize))
    elif not callable(model) or tokenize is not None:
        raise InputError(
            f"{label}: give a torch net with tokenize, or a function of pairs (text, continuation) without it."
        )

    def forward(rows: Rows) -> Array:
        if PAIRS not in rows.carried or (to_floats(rows.x) != 1).any():
            raise InputError(f"{label} takes pairs of texts as they are: assay.case(model, [(text, continuation), …]).")
        pairs = [(str(text), str(after)) for text, after in rows.carried[PAIRS]]
        return _totals(score(pairs), pairs, label)

    return Model(
        forward=forward,
        name=label,
        fingerprint=found or digest(label, state_fingerprint(model)),
        partial_fingerprint=found is None,
        gives=check_gives("values"),
        batch=max(batch, 2048),
        default_target="value",
        output_names=(LIKELIHOOD, TOKENS),
        encode=_encode_pairs,
        column_types={"prefix": "text", "secret": "text"},
        about={"reads": "pairs of texts", "gives": LIKELIHOOD},
    )


def _is_net(model: Any) -> bool:
    try:
        return isinstance(model, need("torch", extra="torch").nn.Module)
    except ImportError:
        return False


def token_ids(tokenize: Any) -> Callable[[str], list[int]]:
    """A function from a text to its token ids, without special tokens after it."""
    if not callable(tokenize):
        raise InputError(f"tokenize is a {type(tokenize).__name__}; give a tokenizer or a function from a text to ids.")

    def read(text: str) -> list[int]:
        found = tokenize(text)
        ids = found["input_ids"] if hasattr(found, "keys") else found
        return [int(one) for one in ids]

    if not hasattr(tokenize, "build_inputs_with_special_tokens") and not hasattr(tokenize, "add_special_tokens"):
        return read
    marks = read("")  # special tokens before and after an empty text
    plain = [int(one) for one in tokenize("a", add_special_tokens=False)["input_ids"]]
    whole = read("a")
    before = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
    after = len(marks) - before
    return lambda text: read(text)[: -after or None]


@dataclass(frozen=True, eq=False)
class NetScore:
    """Log-probabilities of continuations by a causal net, evaluated without gradient in batches of equal length."""

    net: pt.nn.Module
    ids: Callable[[str], list[int]]
    batch: int

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[Floats]:
        """One array (token,) for each pair."""
        known = {text: self.ids(text) for text in {text for text, _ in pairs}}
        tokens, starts = [], []
        for text, after in pairs:
            whole, begun = self.ids(text + after), known[text]
            if not begun or len(whole) <= len(begun) or whole[: len(begun)] != begun:
                raise CapabilityError(
                    f"{text!r} has {len(begun)} token(s), and {text + after!r} does not begin with them or adds none. "
                    f"Let the text have at least one token, and end where a token ends (before a space, say)."
                )
            tokens.append(whole)
            starts.append(len(begun))
        found: list[Floats] = [np.empty(0)] * len(pairs)
        pt: Any = need("torch", extra="torch")
        modes = [(module, module.training) for module in self.net.modules()]
        try:
            self.net.eval()
            with pt.no_grad():
                for which in self._batches(tokens):
                    rows = self._scores(pt, [tokens[i] for i in which])
                    for place, line in zip(which, rows):
                        found[place] = line[starts[place] - 1 :]
        finally:
            for module, mode in modes:
                module.training = mode
        return found

    def _batches(self, tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        lengths: dict[int, list[int]] = {}
        for place, ids in enumerate(tokens):
            lengths.setdefault(len(ids), []).append(place)
        for places in lengths.values():
            yield from (places[start : start + self.batch] for start in range(0, len(places), self.batch))

    def _scores(self, pt: Any, ids: Sequence[Sequence[int]]) -> Floats:
        """log P(token | all before) of each token but the first (row, token − 1)."""
        device = next((weight.device for weight in self.net.parameters()), "cpu")
        given = pt.as_tensor(np.asarray(ids, dtype=np.int64), device=device)
        out: Any = self.net(given)
        out = getattr(out, "logits", out[0] if isinstance(out, tuple) else out)
        if out.ndim != 3 or tuple(out.shape[:2]) != tuple(given.shape):
            raise CapabilityError(
                f"{type(self.net).__name__} gives shape {tuple(out.shape)} for ids {tuple(given.shape)}; needed are "
                f"scores of the next token (row, token, vocabulary)."
            )
        logs = pt.log_softmax(out[:, :-1].double(), dim=2).gather(2, given[:, 1:, None])
        return np.asarray(logs[:, :, 0].cpu().numpy())


def _totals(found: Sequence[Any], pairs: Sequence[tuple[str, str]], name: str) -> Floats:
    """Sum of log-probabilities and number of tokens (row, 2)."""
    lines = [np.asarray(to_floats(line), dtype=np.float64).ravel() for line in found]
    if len(lines) != len(pairs):
        raise InputError(f"{name} gave {len(lines)} rows of log-probabilities for {len(pairs)} pairs of texts.")
    wrong = [i for i, line in enumerate(lines) if not len(line) or np.isnan(line).any() or (line > 1e-6).any()]
    if wrong:
        raise InputError(
            f"{name}: pair {pairs[wrong[0]]!r} has log-probabilities {lines[wrong[0]][:4].tolist()}; needed is a "
            f"number of at most 0 for each token of the continuation."
        )
    return np.array([[line.sum(), len(line)] for line in lines])


def _encode_pairs(texts: Sequence[TextRow]) -> Encoded:
    """Pairs of texts as rows of two ones."""
    single = [i for i, row in enumerate(texts) if isinstance(row, str)]
    if single:
        raise InputError(f"row {single[0]}: a single text; a language model takes pairs (text, continuation).")
    pairs = [(str(row[0]), str(row[1])) for row in texts]
    empty = [i for i, (_, after) in enumerate(pairs) if not after]
    if empty:
        raise InputError(f"row {empty[0]}: the continuation is empty.")
    carried = np.empty((len(pairs), 2), dtype=object)
    carried[:] = pairs
    real = np.ones((len(pairs), 2), dtype=bool)
    index = np.tile(np.arange(2), (len(pairs), 1))
    given = Text(tuple(pairs), real, tuple(pairs))
    return Encoded(np.ones((len(pairs), 2)), {PAIRS: carried}, index, given, "text", ())
