# SPDX-License-Identifier: Apache-2.0
"""Adapter for Hugging Face nets and tokenizers."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.model.adapters.text import Parts, ReadPosition, check_tokens, padding_effect, text_model
from assay.model.adapters.torch import torch as wrapped
from assay.model.adapters.torch import with_scores
from assay.model.attention import record_attention
from assay.model.model import Model
from assay.model.texts.text_nets import with_shared_embedding
from assay.model.texts.token_layer import TokenLayer, find_token_layer
from assay.model.texts.tokenizer import HubTokenizer
from assay.nouns.inputs.output_kind import Gives, OutputKind, check_gives
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

UNBOUNDED = 1_000_000
"""A ``model_max_length`` at or above this number means that the tokenizer has no maximum length."""

PROBE, LONGER = 5, (30, 12, 6)
"""Tokens, besides special ones, of the text on which the net runs once, and of longer ones to which it is padded."""


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
    """A Hugging Face net and its tokenizer, or any module that takes token ids, as a model of texts or pairs of texts.

    The shape of the scores decides: (row, class) is a classifier, with the class names of the config; (row, token,
    vocabulary) is a language model, whose output is the next token after the text. ``answers`` restricts its classes to
    single tokens (``[" yes", " no"]``; the class names are stripped of spaces). One score a row of a config without a
    problem type is a regression, as in transformers.

    An encoder-decoder that writes text answers with the first token of its decoder.

    Texts longer than ``max_length`` tokens (default: the limit of net and tokenizer) are refused, unless ``truncate``.
    Rows are padded on the right under the attention mask; the caller's tokenizer stays unchanged. Where the outputs of
    a short text change with the padding, texts of one length are evaluated at a time without padding, and a note says
    so. ``embedding`` overrides the layer that the forward pass calls with the ids (an encoder-decoder's is that of the
    encoder; a decoder that reads the same ids gets the same embeddings), ``read`` the position that the output is
    computed from (see ``assay.model.text``).

    The parts are words; in scripts without spaces, and in texts of one word, the tokenizer's pieces, with a note. Words
    of a pair are shown with the number of their text ("2: film").
    """
    base = wrapped(net, device=device, gives=gives or "logits", batch=batch, memory=memory, name=name)
    private = base.net
    config = getattr(private, "config", None)
    pad = _prepared_padding(tokenizer, config)
    inputs = _input_names(private)
    tokenize = HubTokenizer(copy.deepcopy(tokenizer), inputs, pad, None, truncate, parts, window=_window(config))
    probe = _probe_net(base, tokenize)
    longest = _max_tokens(private, tokenizer, max_length, probe.layer.positions)
    tokenize = replace(tokenize, longest=longest, decoder_start=probe.decoder_start)
    if probe.scores.ndim == 3:
        keep = None if answers is None else [tokenize.token_id(answer) for answer in answers]
        names = _answer_names(tokenizer, answers, probe.scores.shape[-1]) if classes is None else tuple(classes)
        kind = check_gives(gives or "logits")
        scores: Any = _AtLast(None if keep is None else tuple(keep))
    else:
        if answers is not None:
            raise InputError("answers are for language models; this net scores classes. Name them with classes=…")
        kind = _output_kind(config, probe.scores.shape[-1]) if gives is None else check_gives(gives)
        names = _class_names(config, probe.scores.shape[-1]) if classes is None else tuple(classes)
        scores = _Scores()
    if kind == "values":
        names = tuple(classes or ())
    count = len(answers) if answers is not None else probe.scores.shape[-1]
    if names and len(names) != count and not (count == 1 and len(names) == 2):
        raise InputError(f"{len(names)} class names for a net of {count} classes.")
    notes: tuple[Note, ...] = ()
    layer = _embedding_layer(private, probe.layer.name) if embedding is None else embedding
    if layer == probe.layer.name and probe.layer.decoder:
        base = with_shared_embedding(base, layer, probe.layer.decoder)
    if layer == probe.layer.name and probe.layer.others:
        notes = (_others_note(layer, probe.layer.others),)
    scored = with_scores(base, scores, kind, names)
    change = _padding_change(scored, tokenize)
    if change:
        notes = (*notes, _padding_note(change))
    model = text_model(
        scored, tokenize, layer, parts, read or probe.read_position(config), tokenize.token_id, masked=not change
    )
    return replace(model, notes=(*model.notes, *notes))


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

        logits, mask = _logits(out), rows.carried.get("attention_mask")
        if mask is None or "decoder_input_ids" in rows.carried:
            scores = logits[:, -1]
        else:
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
    """Scores of the net for a short text, whether its attention is causal (``None``: unknown), and its token layer.

    ``decoder_start`` is the id from which the decoder of an encoder-decoder writes, ``None`` for other nets.
    """

    scores: pt.Tensor
    causal: bool | None
    layer: TokenLayer
    decoder_start: int | None = None

    def read_position(self, config: Any) -> ReadPosition | None:
        """The position that the output is computed from; ``None`` where it is unknown."""
        if getattr(config, "is_encoder_decoder", False):
            return None
        if self.scores.ndim == 3 or self.causal:
            return "last"
        if config is None or self.causal is None or not hasattr(config, "num_labels"):
            return None
        pooling = getattr(config, "classifier_pooling", getattr(config, "summary_type", "cls"))
        return READ.get(pooling)


READ: dict[Any, ReadPosition] = {"cls": "first", "first": "first", "mean": "mean", "last": "last"}
"""The position that a config's ``classifier_pooling`` or ``summary_type`` names."""


def _probe_net(base: Model, tokenize: HubTokenizer) -> _Probe:
    """The net's scores for a short text; ``InputError`` where it cannot evaluate one."""
    try:
        return _probe_as_classifier_or_writer(base, tokenize)
    except (AssayError, MemoryError):
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(
            f"{base.name} cannot evaluate a text of {PROBE} words with the inputs {', '.join(tokenize.carried_names)}: "
            f"{type(error).__name__}: {told}. Check that net and tokenizer belong together; give a net that needs "
            f"other inputs, or a fixed number of tokens, with assay.model.text."
        ) from error


def _probe_as_classifier_or_writer(base: Model, tokenize: HubTokenizer) -> _Probe:
    """The net's scores for a short text; an encoder-decoder that writes text gets the start of its decoder only."""
    config = getattr(base.net, "config", None)
    writes = bool(getattr(config, "is_encoder_decoder", False)) and "decoder_input_ids" in tokenize.inputs
    try:
        probe = _run_probe(base, tokenize)
    except ValueError:  # a net that needs inputs of the decoder
        if not writes:
            raise
    else:
        if not writes or probe.scores.ndim == 2:
            return probe
    known = [getattr(config, name, None) for name in ("decoder_start_token_id", "bos_token_id")]
    start = next(int(number) for number in (*known, tokenize.pad) if number is not None)
    return _run_probe(base, replace(tokenize, decoder_start=start))


def _run_probe(base: Model, tokenize: HubTokenizer) -> _Probe:
    import torch as pt

    tokens = check_tokens(tokenize.probe([PROBE]), 1)
    ids = pt.as_tensor(tokens.ids).to(base.device)
    carried = {name: pt.as_tensor(value).to(base.device) for name, value in tokens.carried.items()}
    recorded: list[pt.Tensor] = []
    shape_only = Rows(pt.zeros((*ids.shape, 1)), ("probe",))
    with pt.no_grad(), record_attention(recorded, shape_only):
        real = None if tokens.real is None else int(tokens.real.sum())
        layer, out = find_token_layer(base.net, ids, carried, real)
    scores = _logits(out)
    vocabulary = getattr(getattr(base.net, "config", None), "vocab_size", scores.shape[-1])
    if scores.ndim not in (2, 3) or len(scores) != 1 or (scores.ndim == 3 and scores.shape[-1] != vocabulary):
        raise CapabilityError(
            f"the net returns scores of shape {tuple(scores.shape)} for 1 text of {ids.shape[1]} tokens; (row, class), "
            f"or (row, token, vocabulary) of a language model, is needed."
        )
    causal = all(float(one.triu(1).abs().max()) == 0 for one in recorded) if recorded and ids.shape[1] > 1 else None
    if scores.ndim == 3 and causal is False and "decoder_input_ids" not in tokenize.inputs:
        raise CapabilityError(
            "the net scores every token and its attention is not causal: a masked language model. Only models of the "
            "next token are supported; use a sequence classifier built on the net."
        )
    return _Probe(scores, causal, layer, tokenize.decoder_start)


def _padding_change(scored: Model, tokenize: HubTokenizer) -> float:
    """How far the output of a short text changes when it is padded; infinite where padding cannot be masked."""
    if "attention_mask" not in tokenize.carried_names:
        return float("inf")
    alone = tokenize.probe([PROBE])
    special = alone.ids.shape[1] - PROBE
    fits = [count for count in LONGER if tokenize.longest is None or count + special <= tokenize.longest]
    return padding_effect(scored, alone, tokenize.probe([PROBE, fits[0]]), 0) if fits else 0.0


def _padding_note(change: float) -> Note:
    by = f"change by {change:.2g}" if np.isfinite(change) else "may change"
    return Note(
        "no-padding",
        f"outputs of this net {by} with the padding, which it does not mask: texts of one length are evaluated at a "
        f"time, without padding",
    )


def _others_note(layer: str, others: Sequence[str]) -> Note:
    return Note(
        "token-layers",
        f"{', '.join(others[:4])} reads the token ids too: what a method changes in {layer!r} stays unchanged there",
    )


def _prepared_padding(tokenizer: Any, config: Any) -> int:
    """The id for padding, which the config of the private copy gets where it has none; its cache is turned off."""
    pad = _padding_id(tokenizer, config)
    if config is not None:
        config.use_cache = False
        if getattr(config, "pad_token_id", None) is None:
            config.pad_token_id = pad  # some heads look for the last token by it
    return pad


def _padding_id(tokenizer: Any, config: Any) -> int:
    """The id for padding; its value has no effect under the attention mask."""
    known = (getattr(tokenizer, "pad_token_id", None), getattr(config, "pad_token_id", None))
    ends = (getattr(tokenizer, "eos_token_id", None), 0)
    return int(next(number for number in (*known, *ends) if number is not None))


def _input_names(net: Any) -> tuple[str, ...]:
    """Names of the net's arguments; with ``**`` where it takes any."""
    named = inspect.signature(net.forward).parameters
    return tuple(f"**{n}" if p.kind is p.VAR_KEYWORD else n for n, p in named.items())


def _window(config: Any) -> int:
    """The number of tokens to a multiple of which a net with local attention pads its input; 1 for other nets."""
    found = getattr(config, "attention_window", None)
    sizes = list(found) if isinstance(found, list | tuple) else [found]
    return max((size for size in sizes if isinstance(size, int)), default=1)


def _max_tokens(net: Any, tokenizer: Any, max_length: int | None, positions: int | None) -> int | None:
    """The largest number of tokens of a row; ``None`` where neither net nor tokenizer states it.

    ``positions`` is what the net's table of positions has. Without such a table ``max_length`` is not limited; by
    default it is then what the config states.
    """
    if max_length is not None and max_length < 1:
        raise InputError(f"max_length={max_length}; at least 1 token is needed.")
    configs = [module.config for module in net.modules() if hasattr(module, "config")]
    stated = [getattr(tokenizer, "model_max_length", None)]
    stated += [getattr(config, "max_position_embeddings", None) for config in configs[:1]]
    known = [positions, *(stated if max_length is None else [max_length])]
    bounds = [int(n) for n in known if isinstance(n, int | float) and 0 < n < UNBOUNDED]
    return min(bounds) if bounds else None


def _embedding_layer(net: Any, found: str) -> str:
    """Dotted name of the layer that embeds tokens; ``InputError`` where the forward pass calls none with the ids."""
    import torch as pt

    if found:
        return found
    tables = [name for name, module in net.named_modules() if isinstance(module, pt.nn.Embedding)]
    raise InputError(
        f"the layer that embeds the tokens is unknown: no layer of {type(net).__name__} is called with the ids. Give "
        f"embedding=…; there are {tables[:8] or 'no nn.Embedding'}."
    )


def _output_kind(config: Any, count: int) -> OutputKind:
    kind = getattr(config, "problem_type", None)
    if kind == "multi_label_classification":
        return OutputKind("logits", exclusive=False)
    single = count == 1 and config is not None and hasattr(config, "problem_type")
    return OutputKind("values" if kind == "regression" or (single and kind is None) else "logits")


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
