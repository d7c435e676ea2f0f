# SPDX-License-Identifier: Apache-2.0
"""How many simple trees are nearly as good as the best one, and how much they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.stats import Interval
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.data_quality.training_labels import labels_without_outputs
from assay.engine.declare import diagnostic
from assay.engine.distinct.rashomon import RashomonTrees
from assay.engine.distinct.rashomon_bounds import finite_bound
from assay.engine.distinct.rashomon_spread import importance_cloud, prediction_spread
from assay.engine.distinct.table import Binariser, distinct_rows, fit_binariser
from assay.engine.distinct.trees import Tree, count_leaves, decide, tree_text
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import read_like, true_labels
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import Finding

SIZE = Check(
    "ITP201",
    "How many trees are nearly as good as the best one?",
    "Choose among them by what else matters: fairness, cost of the columns, what experts find right.",
    origin="no threshold: the ratio depends on the class, the penalty and the conditions",
)
AMBIGUITY = Check(
    "ITP202",
    "For which share of rows does the decision depend on which of the nearly best trees is taken?",
    "Tell the people concerned that an equally good model decides otherwise, or decide these rows by hand.",
    origin="no threshold: what is tolerable depends on the use",
)
CHECKS = (SIZE, AMBIGUITY)

LISTED, DRAWN, SHOWN = 2000, 500, 3
"""Trees up to which all are listed, as many as are drawn otherwise, and trees that the evidence writes out."""

MEANING = {
    SIZE: "Rashomon ratio: trees of the class whose misclassified share + penalty · leaves on the training rows is at "
    "most the limit, over all trees of the class, 0 … 1. Both are exact counts of trees, not of different decisions. A "
    "property of class, penalty, depth and conditions: never compare data sets that were binarised otherwise. A large "
    "ratio does not say that the trees are good.",
    AMBIGUITY: "Ambiguity: share of training rows that at least one tree of the set decides otherwise than the best "
    "tree, 0 … 1; discrepancy is the largest share that one tree decides otherwise. Where the set is drawn and not "
    "listed, both are lower limits.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call with the training rows, and the rows under audit where their labels are known."""
    assert inputs.train is not None
    held_out = {} if inputs.labels is None else {"held_out": (inputs.x, inputs.labels)}
    return [Call((inputs.ask(), *inputs.train), {**held_out, **inputs.options_of(method)})]


@diagnostic(
    source="semenova2022",
    needs={"classes", "table", "train"},
    optional={"labels"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=lambda inputs: Cost(len(inputs.case)) * inputs.model.passes_per_row,
    has_exact_cost=False,
)
def rashomon(
    case: Case,
    train: Any,
    train_labels: Any,
    *,
    held_out: tuple[Any, Any] | None = None,
    depth: int = 3,
    penalty: float = 0.01,
    epsilon: float = 0.05,
    limit: float | None = None,
    splits_agree: bool = False,
    cuts: int = 3,
    most: int = 20,
    margin: float = 0.01,
    simple_depth: int | None = None,
    failure: float = 0.05,
    level: float = 0.95,
) -> list[Finding]:
    """The exact number of decision trees that are nearly as good as the best one on the training rows.

    The class: trees of at most ``depth`` on at most ``most`` conditions of the columns (``fit_binariser``, ``cuts``
    thresholds a column), whose splits all get training rows on both sides and whose leaves decide for the commonest
    class. The set: those of misclassified share + ``penalty`` · leaves at most (1 + ``epsilon``) times the best, or at
    most ``limit``. A split whose two leaves decide the same counts with ``splits_agree``; without, it is left out of
    the set and of the class, as TreeFARMS does. The evidence has the counts by both rules.

    ITP201 (no verdict): count, size of the class and ratio. The claim says "likely a simple model exists" only with a
    witness: the best tree, whose accuracy on ``held_out`` (rows of the case and labels) is shown to be less than
    ``margin`` below the model's. Where the best tree is a single leaf, or is not shown on ``held_out`` to be more
    accurate than always deciding for the commonest class, it says that everything fits equally badly.

    The evidence has Theorem 1 of Semenova et al. for a small class of as many models as trees of ``simple_depth``
    (default: one less) with every term. It holds if the small class were **drawn at random** from the large one; trees
    of smaller depth are not, so the evidence also has the best objective of that depth. The bound fails with
    probability ``failure`` at most where the class meets the set; θ, from the training rows, was not chosen on the
    held-out ones.

    ITP202 (no verdict): ambiguity, with discrepancy, the number of distinct decision vectors (many trees decide the
    same), and the importance cloud: the range over trees of how much each column is relied on (increase of the error
    when its conditions come from another row). From all trees, or 500 drawn uniformly where there are more than 2,000.
    """
    if not (0 < level < 1 and 0 < failure < 1 and 0 <= margin < 1):
        raise InputError(f"level={level}, failure={failure}, margin={margin}; all lie between 0 and 1.")
    if not case.model.kind.exclusive:
        raise CapabilityError(f"{case.model.name} gives several labels a row; audit one of them.")
    if held_out is not None:
        require_pair("held_out", held_out)
        if len(read_like(case, held_out[0])) != len(case):
            raise InputError(f"held_out has other rows than the {len(case)} of the case; give these, and their labels.")
    codes = np.asarray(labels_without_outputs(case, train_labels, len(read_like(case, train))), dtype=np.int64)
    binariser = fit_binariser(train, codes, cuts=cuts, most=most)
    table = distinct_rows(binariser(train), codes, max(len(case.model.classes), int(codes.max()) + 1))
    found = (
        RashomonTrees.near_best(table, penalty, depth, epsilon, splits_agree)
        if limit is None
        else RashomonTrees(table, penalty, depth, limit, splits_agree)
    )
    smaller = max(depth - 1, 0) if simple_depth is None else simple_depth
    simple = RashomonTrees(table, penalty, smaller, found.limit, splits_agree)
    witness = None if held_out is None else _Witness.of(case, found, binariser, held_out, level, margin)
    within = f"within {epsilon:.1%} of the best" if limit is None else "at most θ"
    theorem = _theorem(found, simple, case, held_out, failure)
    return [_size(case, found, binariser, witness, within, theorem), _spread(case, found, binariser)]


def _size(
    case: Case,
    found: RashomonTrees,
    binariser: Binariser,
    witness: _Witness | None,
    within: str,
    theorem: dict[str, Any],
) -> Finding:
    other = RashomonTrees(found.table, found.penalty, found.depth, found.limit, not found.splits_agree)
    return Finding(
        code=SIZE.code,
        verdict="informative",
        claim=_claim(found, witness, binariser, within),
        subject=case.model.name,
        estimate=found.ratio,
        n=int(found.table.total),
        meaning=MEANING[SIZE],
        advice=SIZE.remedy,
        evidence={
            "trees in the set": _number(found.count),
            "trees of the class": _number(found.class_size),
            "class": _class_text(found, binariser),
            "limit θ": found.limit,
            "best objective": found.best,
            "by number of leaves": {str(leaves): _number(count) for leaves, count in found.by_leaves.items()},
            "by the other rule for splits of equal leaves": {
                "rule": _rule(other),
                "in the set": _number(other.count),
                "of the class": _number(other.class_size),
            },
            "best tree": _text(found.best_tree, binariser, case.model.classes),
            "on held-out rows": {} if witness is None else witness.evidence,
            "theorem 1, for a class drawn at random": theorem,
        },
    )


@dataclass(frozen=True, eq=False)
class _Witness:
    """The best tree on held-out rows: is it better than a constant, and as good as the model?"""

    accuracy: float
    gain: Interval
    price: float
    price_limits: Interval
    margin: float

    @staticmethod
    def of(
        case: Case, found: RashomonTrees, binariser: Binariser, held_out: tuple[Any, Any], level: float, margin: float
    ) -> _Witness:
        labels: Ints = np.asarray(true_labels(case.model, held_out[1], len(case), case.prediction), dtype=np.int64)
        right: Floats = (decide(found.best_tree, binariser(held_out[0])) == labels).astype(np.float64)
        commonest = int(found.table.counts.sum(axis=0).argmax())
        own = (predicted_class(case.prediction, case.model.gives) == labels).astype(np.float64)
        return _Witness(
            float(right.mean()),
            paired_rate_interval((labels == commonest).astype(np.float64), right, level),
            float(own.mean() - right.mean()),
            paired_rate_interval(right, own, level),
            margin,
        )

    @property
    def is_useful(self) -> bool:
        """Whether the tree is shown to be more accurate than always deciding for the commonest class."""
        return self.gain.low > 0

    @property
    def is_as_good(self) -> bool:
        """Whether the tree is shown to be less than the margin below the model."""
        return self.price_limits.high < self.margin

    @property
    def evidence(self) -> dict[str, Any]:
        """The numbers."""
        return {
            "accuracy of the best tree": self.accuracy,
            "gain over the commonest class, low": self.gain.low,
            "gain over the commonest class, high": self.gain.high,
            "accuracy of the model minus its": self.price,
            "difference, low": self.price_limits.low,
            "difference, high": self.price_limits.high,
            "margin": self.margin,
        }


def _claim(found: RashomonTrees, witness: _Witness | None, binariser: Binariser, within: str) -> str:
    text = (
        f"{found.count:,} of the {found.class_size:.3g} {_class_text(found, binariser)} have an objective {within} "
        f"(θ = {found.limit:.4f}) on {len(found.table.which)} training rows: ratio {found.ratio:.2g}."
    )
    if not found.count:
        return f"No tree is that good. {text}"
    if isinstance(found.best_tree, int) or (witness is not None and not witness.is_useful):
        return f"Everything fits equally badly: the best tree is not shown to beat a constant decision. {text}"
    if witness is not None and witness.is_as_good:
        return (
            f"Likely a simple model exists: a tree of {count_leaves(found.best_tree)} leaves has an accuracy of "
            f"{witness.accuracy:.4f} on the rows under audit, less than {witness.margin:g} below the model's. {text}"
        )
    return text


def _class_text(found: RashomonTrees, binariser: Binariser) -> str:
    return f"trees of depth at most {found.depth} on {len(binariser.conditions)} conditions ({_rule(found)})"


def _rule(found: RashomonTrees) -> str:
    return f"splits whose leaves agree {'counted' if found.splits_agree else 'left out'}"


def _number(count: int) -> int | float:
    """A count that JSON readers keep: whole up to 2⁵³."""
    return count if count < 2**53 else float(count)


def _text(tree: Tree, binariser: Binariser, classes: Sequence[str]) -> str:
    """A tree with the decision of each leaf."""
    decisions: list[int] = []

    def collect(node: Tree) -> None:
        if isinstance(node, int):
            decisions.append(node)
        else:
            collect(node[1])
            collect(node[2])

    collect(tree)
    names = [one.text for one in binariser.conditions], [one.negated for one in binariser.conditions]
    return tree_text(tree, *names, lambda leaf: str(classes[decisions[leaf]] if classes else decisions[leaf]))


def _theorem(
    found: RashomonTrees, simple: RashomonTrees, case: Case, held_out: tuple[Any, Any] | None, failure: float
) -> dict[str, Any]:
    if held_out is None or not found.count:
        return {"why not": "it needs rows that did not choose θ" if held_out is None else "the set is empty"}
    bound = finite_bound(
        found.limit,
        size=found.class_size,
        inside=found.count,
        drawn=simple.class_size,
        rows=len(case),
        epsilon=failure,
    )
    terms = {name: value for name, value in asdict(bound).items() if name != "tight"}
    return terms | {
        "size": _number(bound.size),
        "inside": _number(bound.inside),
        "drawn": _number(bound.drawn),
        "says": f"|loss of the best tree of the class − training loss of the best of {bound.drawn:.3g} trees drawn at "
        f"random from it| ≤ {bound.bound:.4f} with probability at least {bound.probability:.4f}; nothing about a class "
        f"that is not drawn at random",
        f"best objective of the trees of depth {simple.depth}": simple.best,
    }


def _spread(case: Case, found: RashomonTrees, binariser: Binariser) -> Finding:
    if not found.count:
        return Finding(
            code=AMBIGUITY.code,
            verdict="not applicable",
            claim="No tree is that good.",
            subject=case.model.name,
            meaning=MEANING[AMBIGUITY],
        )
    is_listed = found.count <= LISTED
    trees = found.trees(LISTED) if is_listed else found.draw(DRAWN, case.seed.child("rashomon").generator())
    spread = prediction_spread(trees, found.best_tree, found.table)
    what = f"all {found.count:,} trees" if is_listed else f"{len(trees)} trees drawn from {found.count:,}"
    least = "" if is_listed else "at least "
    return Finding(
        code=AMBIGUITY.code,
        verdict="informative",
        claim=(
            f"{least.capitalize()}{spread.ambiguity:.1%} of rows are decided otherwise by some nearly best tree, "
            f"{least}{spread.discrepancy:.1%} by a single one ({what}, {spread.distinct} distinct decision vectors)."
        ),
        subject=case.model.name,
        estimate=spread.ambiguity,
        n=int(found.table.total),
        meaning=MEANING[AMBIGUITY],
        advice=AMBIGUITY.remedy,
        affected=spread.ambiguity,
        evidence={
            "trees looked at": len(trees),
            "all of the set": is_listed,
            "ambiguity": spread.ambiguity,
            "discrepancy": spread.discrepancy,
            "distinct decision vectors": spread.distinct,
            "reliance on each column, over trees": _reliance(found, trees[:DRAWN], binariser),
            "trees": [_text(tree, binariser, case.model.classes) for tree in trees[:SHOWN]],
        },
    )


def _reliance(found: RashomonTrees, trees: Sequence[Tree], binariser: Binariser) -> list[dict[str, Any]]:
    """The importance cloud as the range over trees for each column."""
    columns = list(dict.fromkeys(one.column for one in binariser.conditions))
    groups = [[i for i, one in enumerate(binariser.conditions) if one.column == name] for name in columns]
    return [
        {"column": name, "least": float(own.min()), "median": float(np.median(own)), "most": float(own.max())}
        for name, own in zip(columns, importance_cloud(trees, found.table, groups).T)
    ]
