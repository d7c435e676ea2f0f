"""How often is a sound explanation forbidden, and are worthless ones caught? Writes bench/trust.md.

Two hundred audits of small models on exchangeable rows: each explanation's worth is known from a thousand rows, and the
verdict is made from sixty of them, so that a "do not use" of an explanation that meets every demand is a false one.
Then explanations that are worth nothing: of a net with other weights, of edges alone, shuffled.
``python bench/trust.py [AUDITS]``.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

import assay  # as above
from assay import diagnose, evaluate, explain  # as above
from assay.auditing.joint_verdicts import judge_jointly  # as above
from assay.basics.stats import clopper_pearson  # as above
from assay.cases.case import Case  # as above
from assay.cases.removals import Constant, Marginal, Removal  # as above
from assay.diagnose.explanation_trust import conclude  # as above
from assay.engine.comparison.criteria import criteria_of, reading, reference_method  # as above
from assay.engine.declare import explainer  # as above
from assay.model.transformations.randomise_weights import randomise_weights  # as above
from assay.nouns.catalogue import leave  # as above
from assay.nouns.inputs.features import grid  # as above
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation, Score  # as above

POPULATION, ROWS, COLUMNS, PICTURES = 1000, 60, 8, 128
Scores = dict[tuple[str, str], Score]


def of_rows(scores: Scores, which: np.ndarray) -> Scores:
    """The same scores of some of the rows."""
    return {
        key: replace(
            score,
            values=score.values[which],
            ids=tuple(score.ids[i] for i in which),
            extra={name: values[which] for name, values in score.extra.items()},
            stderr=None,
        )
        for key, score in scores.items()
    }


def verdicts(case: Case, candidates: Mapping[str, Explanation], scores: Scores) -> list[Finding]:
    """TRU001 of every candidate, all checks held together as in an audit."""
    found = [f for f in diagnose.explanation_trust(case, candidates, scores) if f.code != "TRU001"]
    return conclude(judge_jointly(found), tuple(candidates))


def worthless(name: str, scores: Scores, candidates: Mapping[str, Explanation]) -> list[str]:
    """The demands of faithfulness and sanity that an explanation misses on all rows there are."""
    top = reference_method(scores, tuple(candidates))
    missed = []
    for criterion in criteria_of(name, scores):
        estimate = reading(criterion, name, scores, top).estimate
        beyond = estimate > criterion.threshold if criterion.direction == "at most" else estimate < criterion.threshold
        if criterion.kind != "other" and beyond:
            missed.append(criterion.code)
    return missed


@dataclass(frozen=True)
class World:
    """A kind of small model, and how it is made of a seed, rows and labels."""

    name: str
    made: Callable[[int, np.ndarray, np.ndarray], Any]


def net(seed: int, x: np.ndarray, y: np.ndarray) -> Any:
    """A small net with one hidden layer."""
    import torch

    torch.manual_seed(seed)
    made = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 16), torch.nn.ReLU(), torch.nn.Linear(16, 2)).double()
    adam = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(150):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(made(torch.as_tensor(x)), torch.as_tensor(y)).backward()
        adam.step()
    return assay.wrap(made.eval())


WORLDS = (
    World("logistic regression", lambda seed, x, y: assay.wrap(LogisticRegression().fit(x, y))),
    World(
        "boosted trees",
        lambda seed, x, y: assay.wrap(
            GradientBoostingClassifier(n_estimators=20, max_depth=2, random_state=0).fit(x, y)
        ),
    ),
    World("net", net),
)


def population(world: World, seed: int) -> tuple[Case, Removal]:
    """Rows that are exchangeable, and a model trained on others of the same law."""
    generator = np.random.default_rng([seed, 11])
    x = generator.normal(size=(POPULATION + 500, COLUMNS))
    weights = generator.normal(size=COLUMNS) * (generator.random(COLUMNS) < 0.7)
    y = (generator.random(len(x)) < 1 / (1 + np.exp(-x @ weights - x[:, 0] * x[:, 1]))).astype(int)
    model = world.provenance(seed, x[POPULATION:], y[POPULATION:])
    return assay.case(model, x[:POPULATION], label="predicted", seed=seed), Marginal(x[POPULATION : POPULATION + 10])


def explained(case: Case, remove: Removal, seed: int) -> dict[str, Explanation]:
    """What an audit would explain with, and one that is right in a quarter of the rows: just good enough to be used."""
    found = {
        "shapley": explain.shapley(case, remove=remove, budget=128),
        "occlusion": explain.occlusion(case, remove=remove),
        "lime": explain.lime(case, remove=remove, budget=128),
    }
    if case.model.net is not None:
        found["saliency"] = explain.saliency(case, signed=True)
        found["input_x_gradient"] = explain.input_x_gradient(case)
        found["integrated_gradients"] = explain.integrated_gradients(case, start=0.0, steps=16)
    generator = np.random.default_rng([seed, 13])
    right = generator.random(len(case)) < 0.25
    best = found["shapley"]
    mixed = np.where(right[:, None], best.values, generator.permuted(best.values, axis=1))
    return found | {"right in a quarter": replace(best, values=mixed)}


def scored(case: Case, remove: Removal, explanations: Mapping[str, Explanation], again: tuple[str, ...]) -> Scores:
    """The scores that decide, beside random; ``again`` are explained again on a net with other weights."""
    found: Scores = {}
    for name, explanation in {**explanations, "random": explain.random(case)}.items():
        found[name, "deletion"] = evaluate.deletion(explanation, case, remove=remove)
        found[name, "insertion"] = evaluate.insertion(explanation, case, remove=remove)
        found[name, "faithfulness_correlation"] = evaluate.faithfulness_correlation(
            explanation, case, remove=remove, draws=64
        )
        if name in again:
            found[name, "parameter_randomisation"] = evaluate.parameter_randomisation(explanation, case)
    return found


@dataclass
class Tally:
    """Audits of one kind of model: how many forbade a sound explanation, which, and what was said of the sound."""

    world: str
    audits: int = 0
    failed: int = 0
    which: Counter[str] = None  # type: ignore[assignment]
    words: Counter[str] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.which, self.words = Counter(), Counter()


def null(audits: int) -> list[Tally]:
    """So many audits, spread over the worlds."""
    tallies = [Tally(world.name) for world in WORLDS]
    for seed in range(audits):
        tally, world = tallies[seed % len(WORLDS)], WORLDS[seed % len(WORLDS)]
        case, remove = population(world, seed)
        explanations = explained(case, remove, seed)
        gradients = ("saliency", "input_x_gradient", "integrated_gradients")
        scores = scored(case, remove, explanations, gradients if case.model.net is not None else ())
        sound = [name for name in explanations if not worthless(name, scores, explanations)]
        which = np.sort(np.random.default_rng([seed, 17]).choice(POPULATION, ROWS, replace=False))
        told = {f.subject: f for f in verdicts(case, explanations, of_rows(scores, which))}
        wrong = [name for name in sound if told[name].verdict == "fail"]
        tally.audits += 1
        tally.failed += bool(wrong)
        tally.which.update(wrong)
        tally.words.update(str(told[name].evidence["word"]) for name in sound)
    return tallies


def digits_nets(count: int) -> Iterator[tuple[Case, int]]:
    """Small convolutional nets trained on digits, each with other weights, and rows they have not seen."""
    import torch

    x, y = load_digits(return_X_y=True)
    pictures = torch.as_tensor((x / 16).astype(np.float32).reshape(-1, 1, 8, 8))
    labels = torch.as_tensor(y)
    for seed in range(count):
        torch.manual_seed(seed)
        made = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.ReLU(),
            torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(128, 10),
        )  # fmt: skip
        adam = torch.optim.Adam(made.parameters(), 4e-3)
        order = np.random.default_rng(seed).permutation(len(x))
        for step in range(220):
            batch = order[:1400][(64 * step) % 1400 :][:64]
            adam.zero_grad()
            torch.nn.functional.cross_entropy(made(pictures[batch]), labels[batch]).backward()
            adam.step()
        case = assay.case(assay.wrap(made.eval()), pictures[order[1400:]], seed=seed)
        yield replace(case, features=grid((1, 8, 8), 2)), seed


KINDS = ("a net with other weights", "edges alone", "shuffled")


def caught(nets: int, draws: int) -> tuple[Counter[str], Counter[str], int]:
    """How often each worthless explanation is forbidden, what else is said of it, and in how many audits."""
    hits, words = Counter(), Counter()
    for case, seed in digits_nets(nets):
        other = randomise_weights(case.model, case.seed.child("planted"))

        @explainer(source="assay2026", needs={"gradient"})
        def blind(case: Case, *, other: Any = other) -> Any:
            """Input × gradient of a net with weights drawn anew, whatever net is asked about."""
            return explain.input_x_gradient.method.body(replace(case, model=other))

        try:
            best = explain.shapley(case, remove=Constant(0.0), budget=128)
            shuffled = np.random.default_rng(seed).permuted(best.values, axis=1)
            candidates = {
                "shapley": best,
                KINDS[0]: blind(case),
                KINDS[1]: explain.edges(case),
                KINDS[2]: replace(best, values=shuffled),
            }
            scores = scored(case, Constant(0.0), candidates, KINDS[:2])
        finally:
            leave(blind.method)
        for draw in range(draws):
            which = np.sort(np.random.default_rng([seed, draw]).choice(len(case), PICTURES, replace=False))
            for finding in verdicts(case, candidates, of_rows(scores, which)):
                hits[finding.subject] += finding.verdict == "fail"
                words[f"{finding.subject}: {finding.evidence['word']}"] += 1
    return hits, words, nets * draws


def main() -> None:
    """Run all and write the page."""
    audits = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    started = time.monotonic()
    tallies = null(audits)
    failed = sum(tally.failed for tally in tallies)
    limits = clopper_pearson(failed, audits)
    middle = time.monotonic()
    nets = max(2, audits // 5)
    hits, words, runs = caught(nets, 5)
    lines = [[t.world, str(t.audits), str(t.failed), told(t.which) or "–", told(t.words)] for t in tallies]
    rates = []
    for kind in (*KINDS, "shapley"):
        rate = clopper_pearson(hits[kind], runs)
        said = told(Counter({w.split(": ")[1]: n for w, n in words.items() if w.startswith(f"{kind}: ")}))
        rates.append([kind, f"{hits[kind]} of {runs}: {hits[kind] / runs:.1%} [{rate.low:.1%}, {rate.high:.1%}]", said])
    write(
        "trust",
        "Verdicts on explanations: false ones, and worthless explanations caught",
        f"{audits} audits of small models on exchangeable rows ({ROWS} of {POPULATION} rows, {COLUMNS} columns) in "
        f"{middle - started:.0f} s; {runs} audits of {PICTURES} digits by {nets} nets in "
        f"{time.monotonic() - middle:.0f} s; processor shared.",
        f"## A sound explanation is told not to be used\n\n{failed} of {audits} audits: {100 * failed / audits:.1f} % "
        f"[{100 * limits.low:.1f}, {100 * limits.high:.1f}]; nominal at most 5 %, bar 16 of 200. Sound is what meets "
        f"every demand of faithfulness and sanity on all {POPULATION} rows; “right in a quarter” stands just above.",
        table(("model", "audits", "with a false “do not use”", "of which", "what was said of the sound"), lines),
        "## Worthless explanations\n\nBar: 95 % told not to be used. Shapley values of the same removal stand beside.",
        table(("explanation", "do not use", "what was said"), rates),
    )


def told(counts: Mapping[str, int]) -> str:
    """Names and counts, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    main()
