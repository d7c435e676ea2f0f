# SPDX-License-Identifier: Apache-2.0
"""A causal language model on this machine as a generator."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError, Unreadable
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.engine.redteam.generators import Query, chat
from assay.model.adapters.language_model import language_model, token_ids
from assay.model.adapters.torch import net_fingerprint
from assay.model.state_fingerprint import state_fingerprint

if TYPE_CHECKING:
    import torch as pt

    from assay.model.model import Model


@dataclass(frozen=True, eq=False)
class LocalModel:
    """A torch net from token ids to scores of the next token, with its tokenizer.

    Conversations are written with the tokenizer's chat template; without one as "User: …" lines. A text to complete is
    given as it is. At most ``batch`` queries are answered at a time; a Hugging Face model reuses what it computed
    for earlier tokens. What is drawn depends on the seed of each query, not on the batch, up to rounding.
    """

    net: pt.nn.Module
    tokenizer: Any
    name: str = ""
    batch: int = 16

    def __post_init__(self) -> None:
        if not callable(self.tokenizer) or not callable(getattr(self.tokenizer, "decode", None)):
            raise InputError(
                f"the tokenizer is a {type(self.tokenizer).__name__}; needed is a function from a text to token ids "
                f"with a method decode from ids to a text."
            )
        object.__setattr__(self, "name", self.name or type(self.net).__name__)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with weights and tokenizer."""
        return digest("local model", net_fingerprint(self.net), state_fingerprint(self.tokenizer))

    @property
    def about(self) -> Mapping[str, str]:
        """Kind and size."""
        count = sum(weight.numel() for weight in self.net.parameters())
        template = "chat template" if self._has_template else "no chat template"
        return {"reads": f"messages ({template})", "gives": "a text", "parameters": f"{count:,}"}

    def scores(self) -> Model:
        """The same net as a model of pairs (text, continuation), for exposure."""
        return language_model(self.net, self.tokenizer, name=self.name)

    def answer(self, queries: Sequence[Query]) -> list[str]:
        """One text for each query, without special tokens and without space around it."""
        torch: Any = need("torch", extra="torch")
        given = [self._read(query) for query in queries]
        found = [""] * len(queries)
        modes = [(module, module.training) for module in self.net.modules()]
        try:
            self.net.eval()
            with torch.no_grad():
                for places in self._batches([len(ids) for ids in given]):
                    said = self._continue(torch, [given[at] for at in places], [queries[at] for at in places])
                    for at, ids in zip(places, said):
                        found[at] = str(_decode(self.tokenizer, ids)).strip()
        finally:
            for module, mode in modes:
                module.training = mode
        return found

    @property
    def _has_template(self) -> bool:
        return bool(getattr(self.tokenizer, "chat_template", None))

    @property
    def _is_padded(self) -> bool:
        """Whether texts of different lengths can be answered together: so of Hugging Face models."""
        return hasattr(self.net, "generate") and hasattr(self.net, "config")

    @cached_property
    def _ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        configured = getattr(getattr(self.net, "generation_config", None), "eos_token_id", None)
        found = [configured] if isinstance(configured, int) else list(configured or [])
        return frozenset(int(one) for one in [*found, getattr(self.tokenizer, "eos_token_id", None)] if one is not None)

    def _read(self, query: Query) -> list[int]:
        if query.is_beginning or not self._has_template:
            ids = token_ids(self.tokenizer)(query.messages[-1][1] if query.is_beginning else _lines(query))
        else:
            ids = self._templated(query)
        if not ids:
            raise InputError(f"the tokenizer of {self.name} gives no token for {query.messages[-1][1]!r}.")
        return ids

    def _templated(self, query: Query) -> list[int]:
        messages = chat(query.messages)
        write = self.tokenizer.apply_chat_template
        try:
            text = write(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # a template raises what it likes where it has no place for a system prompt
            if messages[0]["role"] != "system" or len(messages) < 2:
                raise CapabilityError(f"the chat template of {self.name} refuses these messages: {error}.") from error
            merged = f"{messages[0]['content']}\n\n{messages[1]['content']}"
            text = write([messages[1] | {"content": merged}, *messages[2:]], tokenize=False, add_generation_prompt=True)
        return [int(one) for one in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Places of the queries that are answered together: of like length, or of equal length without padding."""
        order = sorted(range(len(lengths)), key=lambda at: (lengths[at], at))
        groups: list[list[int]] = []
        for at in order:
            fits = groups and len(groups[-1]) < self.batch
            if fits and (self._is_padded or lengths[groups[-1][0]] == lengths[at]):
                groups[-1].append(at)
            else:
                groups.append([at])
        yield from groups

    def _continue(self, torch: Any, given: Sequence[list[int]], queries: Sequence[Query]) -> list[list[int]]:
        """The tokens that follow each text, up to the end token or the query's number of tokens."""
        step = _Step(torch, self.net, self._is_padded, given)
        streams = [query.seed.generator() for query in queries]
        said: list[list[int]] = [[] for _ in queries]
        open_rows = set(range(len(queries)))
        for _ in range(max(query.tokens for query in queries)):
            scores = step.scores()
            chosen = [_choose(line, query, stream) for line, query, stream in zip(scores, queries, streams)]
            for row in sorted(open_rows):
                if chosen[row] in self._ends:
                    open_rows.discard(row)
                else:
                    said[row].append(chosen[row])
                    if len(said[row]) == queries[row].tokens:
                        open_rows.discard(row)
            if not open_rows:
                break
            step = step.after(chosen)
        return said


@dataclass(eq=False)
class _Step:
    """Texts as a batch, padded on the left, and what the net computed for earlier tokens."""

    torch: Any
    net: Any
    is_padded: bool
    ids: Sequence[Sequence[int]]
    past: Any = None
    mask: Any = None

    def scores(self) -> Floats:
        """Scores of the next token (row, vocabulary)."""
        device = next((weight.device for weight in self.net.parameters()), "cpu")
        out: Any
        if not self.is_padded:
            out = self.net(self.torch.as_tensor(self.ids, dtype=self.torch.int64, device=device))
        else:
            out = self._padded(device)
        logits: Any = getattr(out, "logits", out[0] if isinstance(out, tuple) else out)
        return np.asarray(logits[:, -1].double().cpu().numpy())

    def _padded(self, device: Any) -> Any:
        longest = max(map(len, self.ids))
        if self.mask is None:
            mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in self.ids]
            self.mask = self.torch.as_tensor(mask, device=device)
        rows = [[0] * (longest - len(ids)) + list(ids) for ids in self.ids]
        given = self.torch.as_tensor(rows, device=device)
        places = (self.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -longest:]
        out = self.net(
            input_ids=given,
            attention_mask=self.mask,
            position_ids=places,
            past_key_values=self.past,
            use_cache=True,
            **({"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(self.net.forward).parameters else {}),
        )
        self.past = getattr(out, "past_key_values", None)
        return out

    def after(self, chosen: Sequence[int]) -> _Step:
        """The batch with one more token a row."""
        if not self.is_padded or self.past is None:
            ids = [[*ids, one] for ids, one in zip(self.ids, chosen)]
            return replace(self, ids=ids, mask=None, past=None)
        mask = self.torch.cat([self.mask, self.torch.ones_like(self.mask[:, :1])], dim=1)
        return replace(self, ids=[[one] for one in chosen], mask=mask)


def _choose(scores: Floats, query: Query, stream: np.random.Generator) -> int:
    """The most likely token, or one drawn by the probabilities at the temperature."""
    if query.temperature == 0:
        return int(scores.argmax())
    logs = (scores - scores.max()) / query.temperature
    total = np.cumsum(np.exp(logs))
    return int(min(np.searchsorted(total, stream.random() * total[-1], side="right"), len(scores) - 1))


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of token ids."""
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        return str(tokenizer.decode(list(ids), skip_special_tokens=True))
    return str(tokenizer.decode(list(ids)))


def _lines(query: Query) -> str:
    """A conversation as lines, for a model without a chat template; one message alone is a text as it is."""
    names = {"system": "System", "user": "User", "assistant": "Assistant"}
    if len(query.messages) == 1:
        return query.messages[0][1]
    return "\n".join(f"{names[role]}: {text}" for role, text in query.messages) + "\nAssistant:"


def read_local_model(folder: str | Path) -> LocalModel:
    """The causal language model in a folder of Hugging Face's layout; only safetensors are read, and no code is run."""
    place = Path(folder)
    library = need("transformers", extra="text")
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(place, local_files_only=True)
        net = library.AutoModelForCausalLM.from_pretrained(
            place, local_files_only=True, use_safetensors=True, dtype="float32"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{place} holds no causal language model with a tokenizer: {error}") from error
    return LocalModel(net, tokenizer, name=place.name)
