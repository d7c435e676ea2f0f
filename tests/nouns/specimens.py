"""Results written by hand, with every kind of field a result can have."""

from dataclasses import replace
from typing import Any

import numpy as np

from assay import Ball, Blur, Constant, Marginal, Seed, integer_map
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Note, Provenance, Score

OPTIONS: dict[str, Any] = {
    "steps": 32,
    "share": np.float64(0.25),
    "limit": float("inf"),
    "gap": float("nan"),
    "signed": False,
    "name": "NaN",
    "sizes": (1, 2.5, "x"),
    "list": [1, None],
    "remove": Constant(0.0),
    "blur": Blur(3.0),
    "ball": Ball("l2", 0.5),
    "background": Marginal(np.arange(6.0).reshape(2, 3)),
    "start": np.zeros(3),
    "table": {"a": 1.0, "b": float("-inf")},
}


def provenance(method: str = "shapley", **options: Any) -> Provenance:
    return Provenance(
        method=method,
        verb="explain",
        options=options,
        seed=Seed(3, ("a", "b")),
        target="logit of Käse",
        model_fingerprint="m" * 32,
        rows_fingerprint="r" * 32,
        features_fingerprint="f" * 32,
        versions={"python": "3.11", "assay": "0"},
        device="cpu",
        cost={"forwards": 12},
    )


def explanation(values: Any = ((3.0, -1.0), (0.5, np.nan)), **fields: Any) -> Explanation:
    array = np.array(values, dtype=np.float64)
    rows, parts = array.shape
    plain: dict[str, Any] = {
        "provenance": provenance(**OPTIONS),
        "notes": (Note("train-mode", "a <b>note</b> über alles", ("r0",)), Note("undefined", "one row")),
        "values": array,
        "stderr": np.full(array.shape, 0.1),
        "base": np.full(rows, 1.0),
        "output": np.full(rows, 3.25),
        "features": integer_map([*range(parts), -1]),
        "ids": tuple(f"r{i}" for i in range(rows)),
        "x": np.ones((rows, parts + 1), dtype=np.float32),
        "labels": ("cat",) * rows,
        "dense": np.ones((rows, parts + 1)),
        "part_texts": (("1", "a"),) * rows,
        "extra": {"curve": np.arange(3.0)},
        "meaning": "what it means",
    }
    return Explanation(**(plain | fields))


def score(values: Any = (0.5, np.nan, 1.5), **fields: Any) -> Score:
    array = np.array(values, dtype=np.float64)
    ids = tuple(map(str, range(len(array))))
    made_ = replace(provenance("deletion"), verb="evaluate")
    return Score(
        **({"provenance": made_, "notes": (), "values": array, "ids": ids, "better": "lower", "of": "shapley"} | fields)
    )


def attack_result() -> AttackResult:
    two = np.array([1.0, 2.0])
    return AttackResult(
        provenance=provenance("pgd"),
        notes=(),
        x=np.zeros((2, 3), dtype=np.float32),
        ids=("a", "b"),
        success=np.array([True, False]),
        prediction_unchanged=np.array([False, True]),
        distance=two,
        before=two,
        after=-two,
        random=two,
        quantity="logit",
    )


def certificate() -> Certificate:
    return Certificate(
        provenance=provenance("mus"),
        notes=tuple(Note("n", f"note {i}") for i in range(5)),
        bounds={"incremental": np.array([1.0, np.nan]), "decremental": np.array([np.inf, 0.0])},
        ids=("a", "b"),
        abstained=np.array([False, True]),
        theorem="Xue, Alur and Wong (2023), theorem 3.3",
        assumptions=("masks are drawn as stated",),
        confidence=0.95,
        draws=64,
        guarantee="exact",
        unit="features",
        certified="the model smoothed with λ = 1/4",
        agreement=0.75,
        histogram=np.array([0.5, 0.5]),
        cap=2.0,
        control={"incremental": np.zeros(2)},
    )
