"""Records at the limits: many columns, nothing at all, and any text wherever text can enter."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from tests.report.record import PROXY, complete, credit, scored

from assay.basics.seed import Seed
from assay.basics.stats import Interval
from assay.nouns.inputs.features import columns
from assay.nouns.records.record import Gallery, MetricChange, NotRun, Reason, Record, RepairRecord, Waiver
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation, Note, Refusal


@functools.cache
def wide(count: int = 1000, rows: int = 60) -> Record:
    """A thousand columns with names of 300 characters, a hundred findings with long evidence, five full galleries."""
    draw, record = np.random.default_rng(6), credit()
    names = tuple(
        f"column {i} " + "measured in the third quarter of the year before the last " * 5 for i in range(count)
    )
    names = tuple(name[:300] for name in names)
    ids = tuple(f"row {i}" for i in range(rows))
    shown = tuple(tuple(f"{v:.6g}" for v in row) for row in draw.normal(size=(rows, count)))

    def widened(explanation: Explanation) -> Explanation:
        return replace(
            explanation,
            features=columns(names),
            ids=ids,
            part_texts=shown,
            x=np.zeros((rows, count)),
            values=draw.normal(size=(rows, count)),
            stderr=None,
            base=np.zeros(rows),
            output=np.ones(rows),
            labels=("granted",) * rows,
            extra={},
        )

    explanations = {name: widened(e) for name, e in record.explanations.items()}
    big = {f"table {i}": [dict.fromkeys(names[:12], 0.5) for _ in range(30)] for i in range(3)}
    findings = [
        replace(PROXY, code=f"FAI{i:03d}", claim=f"{names[i]} drives a gap", evidence={**PROXY.evidence, **big})
        for i in range(100)
    ]
    galleries = tuple(Gallery(f"gallery {g}", "why", tuple(range(6 * g, 6 * g + 6)), 30) for g in range(5))
    return replace(
        complete(record),
        title="A wide table",
        explanations=explanations,
        rivals={"shapley": widened(record.explanations["shapley"])},
        scores=scored(explanations),
        findings=tuple(findings),
        predictions=("granted",) * rows,
        truth=("refused",) * rows,
        galleries=galleries,
    )


def empty() -> Record:
    """An audit in which nothing ran."""
    return Record("", {}, {}, (), {}, {}, {}, ())


def hostile(text: str) -> Record:
    """The credit record with ``text`` wherever text can enter."""
    record = credit()
    first = record.explanations["shapley"]
    names = (text, *first.features.names[1:])
    features = replace(first.features, names=names)
    evil = replace(
        first,
        features=features,
        ids=(text, *first.ids[1:]),
        labels=(text,) * len(first.ids),
        part_texts=((text,) * len(names),) * len(first.ids),
        meaning=text,
        provenance=replace(first.provenance, method=text, seed=Seed(0)),
        notes=(Note("note", text),),
    )
    found = Finding(
        text,
        "fail",
        text,
        text,
        0.5,
        Interval(0.4, 0.6, 0.95, text),
        0.1,
        "at most",
        0.0,
        3,
        text,
        text,
        {
            text: text,
            "table": [{text: text}],
            "map": {text: {text: text}},
            "list": [[text]],
            f"{text} roc": [[0.0, 0.0], [1.0, 1.0]],
        },
    )
    attack_result = replace(record.attack_results["integrated_gradients"], quantity=text, meaning=text)
    certificate = replace(record.certificates["mus"], bounds={text: np.ones(40)}, theorem=text, assumptions=(text,))
    return replace(
        record,
        title=text,
        about={text: text, "versions": text},
        cost={text: 1},
        findings=(found, replace(found, code="TRU001", verdict="undecided")),
        explanations={text: evil},
        scores={(text, text): replace(record.scores["shapley", "deletion"], meaning=text)},
        references=(text + "reference",),
        attack_results={text: attack_result},
        certificates={text: certificate},
        reasons=tuple(
            replace(t, row=text, group=text, question=text, lines=(Reason(text, text, 1.0, 0.5, 1.5),))
            for t in record.reasons
        ),
        repairs=(
            RepairRecord(
                text,
                text,
                text,
                {f"{text} again": 1.0},
                {f"{text} again": 1.0},
                (found,),
                (replace(found, verdict="pass"),),
                (MetricChange(text, 0.5, 0.4, Interval(-0.2, -0.05, 0.95, text), text),),
            ),
        ),
        refusals=(Refusal(text, "explain", text, text),),
        not_run=(NotRun(text, text, text),),
        limits=(text,),
        predictions=(text,) * len(first.ids),
        truth=(f"{text} ",) * len(first.ids),
        rivals={text: evil},
        galleries=(Gallery(text, text, (0, 1), 2), Gallery("again", text, (0,), 1)),
        axioms={text: {text: "violated", "dummy": text}},
        waivers=(Waiver(text, text, text, "2027-01-31"), Waiver("TRU", text, text, "2020-01-31", text)),
        times={"when": "2026-11-22 04:43 UTC", text: text},
        reproduce=text,
    )
