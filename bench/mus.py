"""Certified stability of explanations, and the accuracy that smoothing costs: ``assay experiment mus``, written down.

Both experiments on every subject of the package; ``make mus`` writes bench/mus.md. The pictures and the tweets are in
the folder of shared data, which does not ship: without it those subjects are listed as skipped.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import assay
from assay.basics.seed import Seed
from assay.experiments.mus import run_mus
from assay.experiments.mus_subject import MusSettings
from assay.experiments.mus_subjects import SUBJECTS, Sizes, make_subjects
from assay.nouns.comparisons.mus_experiment import MusExperiment, SkippedSubject, StabilityLine, random_is_best
from assay.report.experiment.tables import (
    ACCURACY_HEADS,
    accuracy_rows,
    certified_matrix,
    explanation_name,
    format_smoothing,
)
from report import table, write

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
METHOD = "shapley"
SIZES = {"photographs-7": Sizes(5, 16), "photographs-14": Sizes(3, 12), "tweets": Sizes(6, 40)}
"""Rows explained and rows for the accuracy of the dear subjects; the others have their own numbers."""


def accuracy_table(found: MusExperiment) -> str:
    rows = [[one.name, *row] for one in found.subjects for row in accuracy_rows(found, one.name)]
    return table(["subject", *ACCURACY_HEADS], rows)


def certified_table(found: MusExperiment) -> str:
    """Consistent and certified at radius 1, for each explanation."""
    rows, heads = [], ("λ",)
    for one in found.subjects:
        heads, lines = certified_matrix(found, one.name)
        rows += [[one.name, *line] for line in lines if line[0] != "1"]
    return table(["subject", *heads], rows)


def beside(line: StabilityLine, subject: str) -> list[str]:
    share, limits = line.share(1), line.interval(1)
    radius = sum(r * ok for r, ok in zip(line.incremental, line.consistent)) / line.rows
    added = line.mean_attacked
    return [
        subject,
        format_smoothing(line.smoothing),
        explanation_name(line.explanation),
        f"{line.cap:g}",
        f"{line.share(0):.2f}",
        f"{share:.2f} [{limits.low:.2f}, {limits.high:.2f}]",
        f"{line.share(1, ties=True):.2f}",
        f"{line.share(1, 'decremental'):.2f}",
        f"{radius:.2f}",
        "–" if not line.attacked else f"{line.unchanged(1):.2f}",
        "–" if math.isnan(added) else f"{added:.1f}",
    ]


def beside_table(found: MusExperiment) -> str:
    """What is certified for Shapley values and for random features, next to what a search finds."""
    heads = [
        "subject", "λ", "explanation", "cap", "consistent", "inc. r ≥ 1", "ties counted", "dec. r ≥ 1",
        "mean certified radius", "unchanged at r = 1 by the search", "features the search added",
    ]  # fmt: skip
    rows = [beside(line, line.subject) for line in found.stability if line.explanation in (METHOD, "random")]
    return table(heads, rows)


def surprises(found: MusExperiment) -> Iterator[str]:
    best = [
        f"{one.name} at λ = {format_smoothing(smoothing)}"
        for one in found.subjects
        for smoothing in dict.fromkeys(line.smoothing for line in found.stability_of(one.name))
        if random_is_best([line for line in found.stability_of(one.name) if line.smoothing == smoothing])
    ]
    if best:
        yield f"Random features are certified at radius 1 on as many rows as every explanation's: {'; '.join(best)}."
    ties = [line for line in found.stability if line.smoothing == 0.5]
    counted, strict = (max(line.share(1, ties=one) for line in ties) for one in (True, False))
    yield (
        f"At λ = 1/2 radius 1 needs all votes, and then allows a tie: up to {counted:.0%} of a subject's rows reach it "
        f"where equality counts, as in the published code, and {strict:.0%} where it does not."
    )
    for one in found.subjects:
        last = found.accuracy_of(one.name)[-1]
        if last.largest >= 0.9:
            yield (
                f"{one.name}: at λ = {format_smoothing(last.smoothing)} {last.largest:.0%} of the rows have one class "
                f"(entropy {last.entropy:.2f}), and the certificates are the largest."
            )
    by_name = {one.name: one.name.removesuffix(", masked training") for one in found.subjects}
    for after, before in by_name.items():
        if after != before and before in by_name:
            pairs = zip(found.accuracy_of(before), found.accuracy_of(after))
            rates = [
                f"{was.accuracy('votes'):.2f} → {now.accuracy('votes'):.2f} at λ = {format_smoothing(now.smoothing)}"
                for was, now in pairs
            ]
            yield f"{before}, masked training changes the accuracy by votes: {', '.join(rates)}."
            (chance, best_share), (later, best_later) = (certified_by(found, one, 0.125) for one in (before, after))
            yield (
                f"{before} at λ = 1/8: certified at radius 1 for random features {chance:.2f}, for the best "
                f"explanation {best_share:.2f}; after masked training {later:.2f} and {best_later:.2f}."
            )


def certified_by(found: MusExperiment, subject: str, smoothing: float) -> tuple[float, float]:
    """The share certified at radius 1 for random features, and the largest of the explanations."""
    shares = {line.explanation: line.share(1) for line in found.stability_of(subject) if line.smoothing == smoothing}
    return shares.pop("random"), max(shares.values())


def kept(name: str, store: Path, folder: Path, *, run: bool) -> MusExperiment:
    """The experiment on one subject, from the store, or run now and stored with its processor time."""
    place = store / f"{name}.assay"
    if not place.exists() and not run:
        return run_mus([SkippedSubject(name, "it was not run; `make mus` runs what is missing")])
    if not place.exists():
        begun = time.process_time()
        settings = MusSettings(search=6) if name in SIZES else MusSettings()
        subjects = make_subjects([name], folder, SIZES.get(name, Sizes()), settings, Seed(0))
        found = run_mus(
            subjects, progress=lambda text: print(text, round(time.process_time() - begun), "s", flush=True)
        )
        (store / f"{name}.seconds").write_text(f"{time.process_time() - begun:.1f}", encoding="utf-8")
        found.save(place)
    return assay.load(place)


def joined(parts: Sequence[MusExperiment]) -> MusExperiment:
    """One experiment of the subjects of several."""
    fields = {
        name: tuple(one for part in parts for one in getattr(part, name))
        for name in ("subjects", "stability", "accuracy", "skipped")
    }
    return replace(parts[0], **fields)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(SUBJECTS), help="run these and write nothing")
    parser.add_argument("--folder", type=Path, default=DATA)
    parser.add_argument("--store", type=Path, default=Path("/tmp/assay-bench-mus"))
    parser.add_argument("--stored", action="store_true", help="write what is in the store, and run nothing")
    given = parser.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    found = joined([kept(name, given.store, given.folder, run=not given.stored) for name in given.only])
    if len(given.only) < len(SUBJECTS):
        return
    seconds = sum(float(path.read_text(encoding="utf-8")) for path in given.store.glob("*.seconds"))
    spent = f"{seconds / 60:.1f} processor minutes for everything."
    described = "\n".join(
        f"- **{one.name}**: {one.text}; {one.rows} rows explained, {one.features:.3g} features, q = {one.q}, "
        f"{one.evaluations:,} model evaluations."
        for one in found.subjects
    )
    differences = "\n".join(f"- **{one.name}**: {'; '.join(one.differences)}." for one in found.subjects)
    skipped = "\n".join(f"- **{one.name}**: {one.reason}" for one in found.skipped) or "Nothing."
    write(
        "mus",
        "Certified stability of explanations, and what smoothing costs",
        f"The two experiments of Xue, Alur and Wong (2023), run again by `make mus`: {spent} Each subject is stored, "
        "so that a run that was stopped goes on.",
        described,
        "## What is surprising\n\n" + "\n".join(f"- {line}" for line in surprises(found)),
        "## Accuracy of the smoothed model against λ\n\nWilson limits at 95 %; agreement is with the model itself; "
        "the entropy of the classes of the votes is in nats.\n\n" + accuracy_table(found),
        "## Rows that are consistent and certified when one feature is added\n\nOf the top quarter of the features of "
        "each explanation; the inequality is strict.\n\n" + certified_table(found),
        "## Certified, and found by a search\n\nAll shares are of consistent rows among all. *unchanged* is an upper "
        "bound on the rows that are stable at radius 1.\n\n" + beside_table(found),
        "## Differences from the published experiments\n\n" + differences,
        "## Skipped\n\n" + skipped,
    )


if __name__ == "__main__":
    main()
