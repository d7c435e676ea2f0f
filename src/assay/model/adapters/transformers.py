# SPDX-License-Identifier: Apache-2.0
"""Adapter for Hugging Face nets and tokenizers."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Ints
from assay.model.adapters.text import Parts, ReadPosition, Tokens, check_tokens, text_model
from assay.model.adapters.torch import torch as wrapped
from assay.model.adapters.torch import with_scores
from assay.model.attention import record_attention
from assay.model.model import Model
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

UNBOUNDED = 1_000_000
"""A ``model_max_length`` at or above this number means that the tokenizer has no maximum length."""

PROBE = "a b c"
"""A text on which the net runs once, to find the shape of its scores and whether its attention is causal."""


def transformers(
    net: pt.nn.Module,
    tokenizer: Any,
    *,
    parts: Parts = "words",
    answers: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    max_length: int | None = None,
    truncate: bool = False,
    embedding: str | None = None,
    gives: Gives | None = None,
    read: ReadPosition | None = None,
    device: str | None = None,
    batch: int = 16,
    memory: int | None = None,
    name: str | None = None,
) -> Model:
    """A Hugging Face net and its tokenizer, or any module that takes input_ids and attention_mask, as a model of texts.

    The shape of the scores decides: (row, class) is a classifier, with the class names of the config; (row, token,
    vocabulary) is a language model, whose output is the next token after the text. ``answers`` restricts its classes to
    single tokens (``[" yes", " no"]``; the class names are stripped of spaces). One score a row of a config without a
    problem type is a regression, as in transformers.

    Texts longer than ``max_length`` tokens (default: the limit of net and tokenizer) are refused, unless ``truncate``.
    Rows are padded on the right under the attention mask; the caller's tokenizer stays unchanged. ``embedding``
    overrides the layer that ``get_input_embeddings`` names, ``read`` the position that the output is computed from (see
    ``assay.model.text``).
    """
    base = wrapped(net, device=device, gives=gives or "logits", batch=batch, memory=memory, name=name)
    private = base.net
    config = getattr(private, "config", None)
    pad = _padding_id(tokenizer, config)
    if config is not None:
        config.use_cache = False
        if getattr(config, "pad_token_id", None) is None:
            config.pad_token_id = pad  # of the private copy: some heads look for the last token by it
    longest = _max_tokens(private, tokenizer, max_length)
    tokenize = _Tokenizer(copy.deepcopy(tokenizer), _input_names(private), pad, longest, truncate, parts)
    probe = _probe_net(base, tokenize)
    if probe.scores.ndim == 3:
        keep = None if answers is None else [tokenize.token_id(answer) for answer in answers]
        names = _answer_names(tokenizer, answers, probe.scores.shape[-1]) if classes is None else tuple(classes)
        kind: Gives = gives or "logits"
        scores: Any = _AtLast(None if keep is None else tuple(keep))
    else:
        if answers is not None:
            raise InputError("answers are for language models; this net scores classes. Name them with classes=…")
        kind = gives or _output_kind(config, probe.scores.shape[-1])
        names = _class_names(config, probe.scores.shape[-1]) if classes is None else tuple(classes)
        scores = _Scores()
    if kind == "values":
        names = tuple(classes or ())
    count = len(answers) if answers is not None else probe.scores.shape[-1]
    if names and len(names) != count and not (count == 1 and len(names) == 2):
        raise InputError(f"{len(names)} class names for a net of {count} classes.")
    return text_model(
        with_scores(base, scores, kind, names),
        tokenize,
        embedding or _embedding_layer(private),
        parts,
        read or probe.read_position(config),
        tokenize.token_id,
    )


@dataclass(frozen=True)
class _Scores:
    """The logits (row, class) in the net's return value."""

    def __call__(self, out: Any, rows: Rows) -> pt.Tensor:
        return _logits(out)


@dataclass(frozen=True)
class _AtLast:
    """The logits at the last token without padding; of the tokens ``keep``, or of all where it is ``None``."""

    keep: tuple[int, ...] | None

    def __call__(self, out: Any, rows: Rows) -> pt.Tensor:
        import torch as pt

        logits, mask = _logits(out), rows.carried["attention_mask"]
        last = (mask * pt.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
        scores = logits[pt.arange(len(logits), device=logits.device), last]
        return scores if self.keep is None else scores[:, list(self.keep)]


def _logits(out: Any) -> pt.Tensor:
    import torch as pt

    if isinstance(out, tuple | list) and out and isinstance(out[0], pt.Tensor):
        return out[0]
    found = out if isinstance(out, pt.Tensor) else getattr(out, "logits", None)
    if not isinstance(found, pt.Tensor):
        raise CapabilityError(
            f"the net returns {type(out).__name__} without logits. Load it with a head (AutoModelForSequence"
            f"Classification, AutoModelForCausalLM), or put encoder and head into one module that returns scores."
        )
    return found


@dataclass(frozen=True, eq=False)
class _Probe:
    """Scores of the net for a short text, and whether its attention is causal (``None``: unknown)."""

    scores: pt.Tensor
    causal: bool | None

    def read_position(self, config: Any) -> ReadPosition | None:
        """The position that the output is computed from; ``None`` where it is unknown."""
        if self.scores.ndim == 3 or self.causal:
            return "last"
        pooling = getattr(config, "classifier_pooling", "cls")
        if config is None or self.causal is None or not hasattr(config, "num_labels"):
            return None
        return {"cls": "first", "mean": "mean"}.get(pooling)  # type: ignore[return-value]  # the values are literals


def _probe_net(base: Model, tokenize: _Tokenizer) -> _Probe:
    import torch as pt

    tokens = check_tokens(tokenize([PROBE]), 1)
    ids = pt.as_tensor(tokens.ids).to(base.device)
    carried = {name: pt.as_tensor(value).to(base.device) for name, value in tokens.carried.items()}
    recorded: list[pt.Tensor] = []
    shape_only = Rows(pt.zeros((*ids.shape, 1)), ("probe",))
    with pt.no_grad(), record_attention(recorded, shape_only):
        scores = _logits(base.net(ids, **carried))
    vocabulary = getattr(getattr(base.net, "config", None), "vocab_size", scores.shape[-1])
    if scores.ndim not in (2, 3) or len(scores) != 1 or (scores.ndim == 3 and scores.shape[-1] != vocabulary):
        raise CapabilityError(
            f"the net returns scores of shape {tuple(scores.shape)} for 1 text of {ids.shape[1]} tokens; (row, class), "
            f"or (row, token, vocabulary) of a language model, is needed."
        )
    causal = all(float(one.triu(1).abs().max()) == 0 for one in recorded) if recorded and ids.shape[1] > 1 else None
    if scores.ndim == 3 and causal is False:
        raise CapabilityError(
            "the net scores every token and its attention is not causal: a masked language model. Only models of the "
            "next token are supported; use a sequence classifier built on the net."
        )
    return _Probe(scores, causal)


@dataclass(frozen=True, eq=False)
class _Tokenizer:
    """A private copy of a tokenizer, as a function from texts to ``Tokens`` padded on the right."""

    tokenizer: Any
    inputs: tuple[str, ...]
    pad: int
    longest: int | None
    truncate: bool
    parts: Parts

    def __post_init__(self) -> None:
        if self.parts == "words" and not self.fast:
            raise CapabilityError(
                f"{type(self.tokenizer).__name__} is a slow tokenizer, which does not give the words of tokens; use "
                f'its fast version, or parts="tokens".'
            )

    @property
    def fast(self) -> bool:
        """Whether the tokenizer gives the positions of tokens in the text."""
        return bool(getattr(self.tokenizer, "is_fast", False))

    def __call__(self, texts: list[str]) -> Tokens:
        rows = [self._tokenize(text) for text in texts]
        notes: tuple[Note, ...] = ()
        long = [i for i, row in enumerate(rows) if self.longest is not None and len(row.ids) > self.longest]
        if long:
            lengths = [len(rows[i].ids) for i in long]
            if not self.truncate:
                raise InputError(
                    f"row {list_first(np.array(long))}: {list_first(np.array(lengths))} tokens; at most "
                    f"{self.longest} fit. Shorten the texts, or give the model truncate=True."
                )
            notes = (_truncation_note(long, self.longest),)
            for i in long:
                rows[i] = self._tokenize(texts[i], truncation=True, max_length=self.longest)
        return self._pad(rows, notes)

    def token_id(self, token: str) -> int:
        """The id of one token, written as in the vocabulary or as text."""
        known = self.tokenizer.get_vocab()
        if token in known:
            return int(known[token])
        found = self.tokenizer(token, add_special_tokens=False)["input_ids"]
        if len(found) != 1:
            raise InputError(
                f"{token!r} is {len(found)} tokens of this vocabulary ({self.tokenizer.convert_ids_to_tokens(found)}); "
                f"one is needed. A word inside a sentence often starts with a space."
            )
        return int(found[0])

    def _tokenize(self, text: str, **options: Any) -> _TokenizedText:
        given = self.tokenizer(
            text,
            padding=False,
            return_special_tokens_mask=True,
            return_offsets_mapping=self.fast,
            verbose=False,
            **options,
        )
        ids, special = list(given["input_ids"]), [bool(flag) for flag in given["special_tokens_mask"]]
        kinds = given.get("token_type_ids")
        if not self.fast:
            word = [-1 if flag else i for i, flag in enumerate(special)]
            return _TokenizedText(ids, word, list(map(str, self.tokenizer.convert_ids_to_tokens(ids))), kinds, None)
        offsets = given["offset_mapping"]
        pieces = [text[start:end] for start, end in offsets]
        word = [-1 if flag or number is None else number for number, flag in zip(given.word_ids(), special)]
        if len({number for number in word if number >= 0}) < 2 and len(text.split()) > 1:
            word = _words_by_spaces(text, offsets, special)
        return _TokenizedText(ids, word, pieces, kinds, _join_words(text, word, offsets))

    def _pad(self, rows: Sequence[_TokenizedText], notes: tuple[Note, ...]) -> Tokens:
        width = max(len(row.ids) for row in rows)

        def padded(values: Sequence[Sequence[int]], value: int) -> Ints:
            out = np.full((len(rows), width), value, dtype=np.int64)
            for line, own in zip(out, values):
                line[: len(own)] = own
            return out

        mask = padded([[1] * len(row.ids) for row in rows], 0)
        carried = {"attention_mask": mask}
        if "token_type_ids" in self.inputs and any(any(row.kinds or []) for row in rows):  # zeros are the default
            carried["token_type_ids"] = padded([row.kinds or [] for row in rows], 0)
        words = [row.words for row in rows if row.words is not None]
        return Tokens(
            padded([row.ids for row in rows], self.pad),
            padded([row.word for row in rows], -1),
            carried,
            [row.pieces + [""] * (width - len(row.ids)) for row in rows],
            mask.astype(bool),
            words if len(words) == len(rows) else None,
            notes,
        )


@dataclass(frozen=True, eq=False)
class _TokenizedText:
    """The tokens of one text."""

    ids: list[int]
    word: list[int]
    pieces: list[str]
    kinds: list[int] | None
    words: list[str] | None


def _truncation_note(rows: Sequence[int], longest: int | None) -> Note:
    return Note("truncated", f"{len(rows)} texts cut to {longest} tokens: row {list_first(np.array(rows))}")


def _words_by_spaces(text: str, offsets: Sequence[tuple[int, int]], special: Sequence[bool]) -> list[int]:
    """The word of each token where the tokenizer does not give it: a new word begins after white space."""
    word, number, end = [], -1, 0
    for (start, stop), flag in zip(offsets, special):
        if flag:
            word.append(-1)
            continue
        if number < 0 or text[end:start].strip() != text[end:start] or text[start : start + 1].isspace():
            number += 1
        word.append(number)
        end = max(end, stop)
    return word


def _join_words(text: str, word: Sequence[int], offsets: Sequence[tuple[int, int]]) -> list[str]:
    """Each word as it is written in the text."""
    spans: dict[int, tuple[int, int]] = {}
    for number, (start, stop) in zip(word, offsets):
        if number >= 0:
            first, last = spans.get(number, (start, stop))
            spans[number] = min(first, start), max(last, stop)
    return [text[start:stop].strip() for _, (start, stop) in sorted(spans.items())]


def _padding_id(tokenizer: Any, config: Any) -> int:
    """The id for padding; its value has no effect under the attention mask."""
    known = (getattr(tokenizer, "pad_token_id", None), getattr(config, "pad_token_id", None))
    ends = (getattr(tokenizer, "eos_token_id", None), 0)
    return int(next(number for number in (*known, *ends) if number is not None))


def _input_names(net: Any) -> tuple[str, ...]:
    """Names of the net's arguments; raises ``CapabilityError`` where padding cannot be masked."""
    named = inspect.signature(net.forward).parameters
    if "attention_mask" not in named and not any(p.kind is p.VAR_KEYWORD for p in named.values()):
        raise CapabilityError(
            f"{type(net).__name__} takes {list(named)[:6]} but no attention_mask, so padding would change its outputs. "
            f"Use assay.model.text with your own tokenizer."
        )
    return tuple(named)


def _max_tokens(net: Any, tokenizer: Any, max_length: int | None) -> int | None:
    """The largest number of tokens of a row; ``None`` where neither net nor tokenizer states it."""
    if max_length is not None and max_length < 1:
        raise InputError(f"max_length={max_length}; at least 1 token is needed.")
    configs = [module.config for module in net.modules() if hasattr(module, "config")]
    known = [max_length, getattr(tokenizer, "model_max_length", None)]
    known += [getattr(config, "max_position_embeddings", None) for config in configs[:1]]
    bounds = [int(n) for n in known if isinstance(n, int | float) and 0 < n < UNBOUNDED]
    return min(bounds) if bounds else None


def _embedding_layer(net: Any) -> str:
    """Dotted name of the layer that embeds tokens."""
    import torch as pt

    names = {id(module): name for name, module in net.named_modules()}
    for module in net.modules():
        if callable(getattr(module, "get_input_embeddings", None)):
            try:
                return names[id(module.get_input_embeddings())]
            except (NotImplementedError, KeyError):
                continue
    tables = [name for name, module in net.named_modules() if isinstance(module, pt.nn.Embedding)]
    if len(tables) == 1:
        return tables[0]
    raise InputError(
        f"the layer that embeds the tokens is unknown. Give embedding=…; there are {tables[:8] or 'no nn.Embedding'}."
    )


def _output_kind(config: Any, count: int) -> Gives:
    single = count == 1 and config is not None and hasattr(config, "problem_type")
    return "values" if single and config.problem_type in (None, "regression") else "logits"


def _class_names(config: Any, count: int) -> tuple[str, ...]:
    """Class names of the config; empty where they are the numbered ones of the default config."""
    named = getattr(config, "id2label", None) or {}
    found = tuple(str(named.get(i, named.get(str(i), f"LABEL_{i}"))) for i in range(count))
    is_default = all(name == f"LABEL_{i}" for i, name in enumerate(found))
    return () if is_default or len(set(found)) < count else found


def _answer_names(tokenizer: Any, answers: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if answers is None:
        known = {int(number): token for token, number in tokenizer.get_vocab().items()}
        return tuple(known.get(i, f"<{i}>") for i in range(count))
    bare = tuple(answer.strip() for answer in answers)
    found = bare if len(set(bare)) == len(bare) and all(bare) else tuple(answers)
    if len(set(found)) < 2 or len(set(found)) != len(found):
        raise InputError(f"answers={list(answers)}; at least two different ones are needed.")
    return found
