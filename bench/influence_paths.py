# SPDX-License-Identifier: Apache-2.0
"""Influence paths measured: the seven compression schemes on recurrent nets of a templated grammar, and SmolLM2.

    python bench/influence_paths.py [seeds] [first]    the table of the grammar, about 20 s of CPU a seed
    python bench/influence_paths.py smollm2 FOLDER [threads]     twelve sentences on SmolLM2 in that folder

Prints Markdown for bench/influence_paths.md.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
import torch

import assay
from assay.basics.stats import clopper_pearson, student_interval
from assay.engine.gradients.distributions import Line
from assay.engine.influence_paths.path_gates import PathGates, path_gates

NOUNS = ["author", "senator", "pilot", "teacher", "farmer", "guard", "chef", "clerk", "dancer", "poet"]
PREPOSITIONS, ADJECTIVES = ["near", "behind", "under", "with"], ["old", "new", "tall", "kind"]
WORDS = ["<s>", "the", "is", "are", *PREPOSITIONS, *ADJECTIVES, *NOUNS, *[f"{one}s" for one in NOUNS]]
IDS = {word: number for number, word in enumerate(WORDS)}
SUBJECT, ATTRACTOR, LAST = 2, 5, 5
"""Positions in "<s> the NOUN PREPOSITION the NOUN", whose next word is the verb."""

CONDITIONS = ("SS", "SP", "PS", "PP")
SCHEMES: dict[str, tuple[tuple[int, ...], str]] = {
    "not si": ((SUBJECT, ATTRACTOR), "drop"),
    "not s": ((SUBJECT,), "drop"),
    "not i": ((ATTRACTOR,), "drop"),
    "si": ((SUBJECT, ATTRACTOR), "keep"),
    "s": ((SUBJECT,), "keep"),
    "i": ((ATTRACTOR,), "keep"),
}


@dataclass(frozen=True)
class Grammar:
    """Sentences "<s> the NOUN PREPOSITION the NOUN VERB ADJECTIVE" with verbs that an attractor turns at times."""

    generator: np.random.Generator
    noise: float = 0.45

    def sentence(self, condition: str, noise: float) -> list[int]:
        """One sentence of a condition: numbers of subject and of the noun in between."""
        draw = self.generator.choice
        first, second = (draw(NOUNS) + ("s" if one == "P" else "") for one in condition)
        number = condition[0]
        if condition[0] != condition[1] and self.generator.random() < noise:
            number = condition[1]
        verb = "is" if number == "S" else "are"
        return [IDS[one] for one in ("<s>", "the", first, draw(PREPOSITIONS), "the", second, verb, draw(ADJECTIVES))]

    def sentences(self, count: int, noise: float | None = None) -> np.ndarray:
        """So many sentences of random conditions."""
        noise = self.noise if noise is None else noise
        return np.array([self.sentence(self.generator.choice(CONDITIONS), noise) for _ in range(count)])


class Speaker(torch.nn.Module):
    """Token ids to the scores of the word after the last, by an LSTM of two layers of 48."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(len(WORDS), 48)
        self.lstm = torch.nn.LSTM(48, 48, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(48, len(WORDS))

    def every(self, x: torch.Tensor) -> torch.Tensor:
        """The scores after each word."""
        return self.head(self.lstm(x)[0])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embed(ids))[0][:, -1])


def trained(seed: int, steps: int = 900) -> tuple[Speaker, Grammar]:
    """A net trained on sentences of the grammar, and the grammar."""
    torch.manual_seed(seed)
    grammar, net = Grammar(np.random.default_rng(seed)), Speaker()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    data = torch.as_tensor(grammar.sentences(6000))
    for _ in range(steps):
        batch = data[torch.randint(len(data), (64,))]
        scores = net.every(net.embed(batch[:, :-1]))
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval(), grammar


def tokenize(texts: list[str]) -> assay.model.Tokens:
    """Words at spaces."""
    ids = np.array([[IDS[word] for word in text.split()] for text in texts])
    return assay.model.Tokens(ids, np.tile(np.arange(ids.shape[1]), (len(ids), 1)), {}, [t.split() for t in texts])


def texts_of(ids: np.ndarray) -> list[str]:
    """The words before the verb."""
    return [" ".join(WORDS[one] for one in row[: LAST + 1]) for row in ids]


def measure(seed: int, each: int = 200) -> tuple[dict[tuple[str, str], float], dict[str, tuple[float, float]]]:
    """Accuracy by condition and scheme; for each scheme its share of gates kept and its loss after the noun."""
    net, grammar = trained(seed)
    model = assay.model.text(net, tokenize, embedding="embed", classes=WORDS, masked=False)
    chosen = texts_of(np.array([grammar.sentence(c, 0.0) for c in CONDITIONS for _ in range(10)]))
    case = assay.case(model, chosen, target="logit", label=["is"] * 40)
    made: dict[str, PathGates] = {}
    accuracy: dict[tuple[str, str], float] = {}
    extra: dict[str, tuple[float, float]] = {}
    tests = {c: np.array([grammar.sentence(c, 0.0) for _ in range(each)]) for c in CONDITIONS}
    running = grammar.sentences(400)
    for scheme, (sources, mode) in [*SCHEMES.items(), ("whole", ((), ""))]:
        share, other = 1.0, model
        if mode:
            key = str(sources)
            made.setdefault(key, path_gates(case, Line(0.0, 16), sources, 2))
            other, share = made[key].model(mode, scheme)
        for condition, ids in tests.items():
            decided = _verbs(other, ids)
            accuracy[condition, scheme] = float((decided == (condition[0] == "P")).mean())
        extra[scheme] = share, _loss(other, running)
    for condition in CONDITIONS:
        print(seed, condition, [f"{accuracy[condition, one]:.2f}" for one in [*SCHEMES, "whole"]], file=sys.stderr)
    print(f"seed {seed}: {made[str((SUBJECT,))].text}; {made[str((ATTRACTOR,))].text}", file=sys.stderr)
    return accuracy, extra


def _verbs(model: assay.Model, ids: np.ndarray) -> np.ndarray:
    """Whether the plural verb has the higher score (row,)."""
    scores = assay.case(model, texts_of(ids), label=["is"] * len(ids)).prediction
    return np.asarray(scores[:, IDS["are"]] > scores[:, IDS["is"]])


def _loss(model: assay.Model, ids: np.ndarray) -> float:
    """−log P of the verb among all words, nats."""
    scores = assay.case(model, texts_of(ids), label=["is"] * len(ids)).prediction
    logs = (
        scores
        - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
        - scores.max(1, keepdims=True)
    )
    return float(-logs[np.arange(len(ids)), ids[:, LAST + 1]].mean())


def grammar_table(seeds: int, first: int = 0) -> None:
    """The table of the seven schemes, and the three orderings."""
    begun = time.process_time()
    found = [measure(seed) for seed in range(first, first + seeds)]
    names = [*SCHEMES, "whole"]
    print("| | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for condition in CONDITIONS:
        print(f"| {condition} | " + " | ".join(_cell([one[0][condition, s] for one in found]) for s in names) + " |")
    means = {s: [float(np.mean([one[0][c, s] for c in CONDITIONS])) for one in found] for s in names}
    print("| mean | " + " | ".join(_interval(means[s]) for s in names) + " |")
    print(
        "| share of gates kept | " + " | ".join(f"{np.mean([one[1][s][0] for one in found]):.3f}" for s in names) + " |"
    )
    print("| loss, nats | " + " | ".join(_interval([one[1][s][1] for one in found]) for s in names) + " |")
    orders = {
        "without the noun in between at least as good as whole": [
            a >= b for a, b in zip(means["not i"], means["whole"])
        ],
        "without the subject's path at chance": [
            abs(a - 0.5) <= 0.1 and abs(b - 0.5) <= 0.1 for a, b in zip(means["not s"], means["i"])
        ],
        "the subject's path alone ≥ .80": [a >= 0.8 for a in means["s"]],
    }
    for name, held in orders.items():
        limits = clopper_pearson(sum(held), len(held))
        print(f"- {name}: {sum(held)} of {len(held)} seeds [{limits.low:.2f}, {limits.high:.2f}]")
    print(f"- {(time.process_time() - begun) / seeds:.0f} s of CPU a seed")


def _cell(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ({np.std(values, ddof=1) if len(values) > 1 else 0:.2f})"


def _interval(values: list[float]) -> str:
    if len(values) < 2 or np.ptp(values) == 0:
        return f"{np.mean(values):.2f}"
    limits = student_interval(np.array(values))
    return f"{np.mean(values):.2f} [{limits.low:.2f}, {limits.high:.2f}]"


SENTENCES = [
    ("The author near the senators", "The authors near the senators"),
    ("The key to the cabinets", "The keys to the cabinets"),
    ("The picture of the dogs", "The pictures of the dogs"),
    ("The teacher behind the students", "The teachers behind the students"),
    ("The farmer with the horses", "The farmers with the horses"),
    ("The doctor next to the nurses", "The doctors next to the nurses"),
    ("The books on the table", "The book on the table"),
    ("The cars behind the house", "The car behind the house"),
    ("The boys near the teacher", "The boy near the teacher"),
    ("The windows of the building", "The window of the building"),
    ("The students with the book", "The student with the book"),
    ("The songs about the river", "The song about the river"),
]
"""Twelve sentences before "is" or "are": six subjects in the singular, six in the plural; and the other number."""


def language_table(folder: str, threads: int) -> None:
    """The paths of the subject's number in twelve sentences on SmolLM2."""
    from transformers import AutoTokenizer, LlamaForCausalLM

    torch.set_num_threads(threads)
    net = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = assay.model.transformers(net, AutoTokenizer.from_pretrained(folder), answers=[" is", " are"])
    print("| sentence | change of the log odds | residual | share that crosses once | largest crossings | CPU s |")
    print("|---|---|---|---|---|---|")
    right, shares, last, spent = [], [], [], []
    for text, other in SENTENCES:
        case = assay.case(model, [text], target="log_odds", label="is")
        begun = time.process_time()
        found = assay.explain.influence_paths(case, contrast=(other,))
        spent.append(time.process_time() - begun)
        crossings, share = found.extra["crossings"][0, 0], float(found.extra["share"][0, 0])
        whole = float(found.output[0] - found.base[0])
        order = np.argsort(-np.abs(crossings))[:2]
        heads = np.abs(found.extra["heads"][0, 0])
        top = ", ".join(f"{i} ({crossings[i]:+.2f}, head {int(np.argmax(heads[i]))})" for i in order)
        ranked = f"{share:.2f} | {top}" if np.isfinite(share) else "not ranked | not ranked"
        right.append((found.output[0] > 0) == (SENTENCES.index((text, other)) < 6))
        shares.append(share)
        last.append(float(crossings[26:28].sum() / found.extra["influence"][0, 0]))
        print(f"| {text} | {whole:+.2f} | {found.extra['residual'][0]:.2%} | {ranked} | {spent[-1]:.1f} |")
    middle, low, high = np.nanmedian(shares), np.nanmin(shares), np.nanmax(shares)
    print(f"\nMedian share {middle:.2f} ({low:.2f}–{high:.2f}); {sum(right)} of {len(right)} verbs right.")
    print(f"Layers 26 and 27 carry {np.nanmin(last):.2f}–{np.nanmax(last):.2f} of the subject's influence.")
    print(f"{np.median(spent):.1f} s of CPU a sentence, at most {np.max(spent):.1f}.")


if __name__ == "__main__" and sys.argv[1:2] == ["smollm2"]:
    language_table(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
elif __name__ == "__main__":
    torch.set_num_threads(1)
    grammar_table(int(sys.argv[1]) if len(sys.argv) > 1 else 5, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
