# SPDX-License-Identifier: Apache-2.0
"""Rule lists that are proved to be the best of their class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.engine.distinct.rule_lists import Literal, affordable_nodes, best_rule_list, conjunctions
from assay.engine.distinct.table import DistinctRows
from assay.interpretable.certificate import OptimalityCertificate
from assay.interpretable.estimator import InterpretableClassifier, class_rates


@dataclass(frozen=True)
class Rule:
    """One rule: the literals that all have to hold, and how many training rows of each class it caught."""

    literals: tuple[Literal, ...]
    counts: tuple[float, ...]


class RuleList(InterpretableClassifier):
    """An ordered list if …, else if …, else …, with the lowest misclassified share + ``penalty`` · rules.

    Each rule is a conjunction of up to ``length`` conditions or their opposites that holds for at least the share
    ``least`` of the training rows. A rule predicts the commonest class of the training rows that it catches;
    probabilities are the shares of the classes among these rows. ``certificate_`` says whether the search
    proved the list the best of its class, and the gap if not; it stops after ``nodes`` prefixes (by default at most
    20,000, fewer for large tables, about 10 seconds). Several lists may be best; one is returned. With a penalty of .02
    a rule has to save 2 % of all rows.

    CORELS (Angelino et al., 2018) solves the same problem; here one prefix is kept for each set of rows left. Not for
    tables of more than about 40 conditions, and not where classes overlap in a smooth score: use ``RiskScore``.
    """

    max_classes = 20

    def __init__(
        self,
        penalty: float = 0.01,
        *,
        length: int = 2,
        least: float = 0.01,
        cuts: int | Mapping[str, Sequence[float]] = 4,
        most: int = 40,
        nodes: int | None = None,
    ) -> None:
        self.penalty = penalty
        self.length = length
        self.least = least
        self.cuts = cuts
        self.most = most
        self.nodes = nodes

    def _search(self, table: DistinctRows) -> None:
        few = self.nodes is not None and self.nodes < 1
        if not 0 < self.penalty < 1 or self.length not in (1, 2, 3) or few:
            raise InputError(
                f"penalty={self.penalty}, length={self.length}, nodes={self.nodes}; needed: a penalty between 0 and 1, "
                f"a length of 1, 2 or 3, and at least one node."
            )
        antecedents = conjunctions(table, self.length, self.least)
        nodes = affordable_nodes(table, antecedents) if self.nodes is None else self.nodes
        found = best_rule_list(table, antecedents, self.penalty, nodes)
        left, rules = np.ones(len(table.masks), dtype=bool), []
        for chosen in found.rules:
            caught = left & antecedents.masks[chosen]
            rules.append(Rule(antecedents.literals[chosen], tuple(table.counts[caught].sum(axis=0).tolist())))
            left &= ~caught
        self.rules_ = (*rules, Rule((), tuple(table.counts[left].sum(axis=0).tolist())))
        self.certificate_ = OptimalityCertificate(
            found.objective,
            found.lower_bound,
            "misclassified share + penalty · rules",
            self.penalty,
            f"rule lists of {len(antecedents.literals)} conjunctions of up to {self.length} conditions",
            self.binariser_.names,
            found.nodes,
            "optimal" if found.ended else "feasible",
        )
        self.text_ = self.as_text()

    def _probabilities(self, masks: Masks) -> Floats:
        answers, left = np.zeros((len(masks), len(self.classes_))), np.ones(len(masks), dtype=bool)
        for rule in self.rules_:
            caught = left.copy()
            for one in rule.literals:
                caught &= masks[:, one.condition] == one.holds
            answers[caught] = class_rates(np.array(rule.counts))
            left &= ~caught
        return answers

    def as_text(self) -> str:
        """The model in lines."""
        lines = []
        for position, rule in enumerate(self.rules_):
            conditions = [self.binariser_.conditions[one.condition] for one in rule.literals]
            words = [c.text if one.holds else c.negated for c, one in zip(conditions, rule.literals)]
            counts = np.array(rule.counts)
            share = f"{counts.max() / counts.sum():.0%} of {counts.sum():.0f} rows" if counts.sum() else "no rows"
            start = "else" if not rule.literals else f"{'else ' if position else ''}if {' and '.join(words)}"
            lines.append(f"{start}: {self.classes_[counts.argmax()]} ({share})")
        return "\n".join(lines)
