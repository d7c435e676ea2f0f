# SPDX-License-Identifier: Apache-2.0
"""Robust and non-robust features: units of a net that indicate a class, also or only without an attack on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Interval, skewness_corrected_interval
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.declare import diagnostic
from assay.engine.gradients.activation_maps import find_hidden_layer
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.robustness.unit_usefulness import ChosenUnits, LayerUnits, Usefulness, choose_units, usefulness
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import Finding

UNITS, ROWS, STEPS = 20, 400, 10
"""Defaults: units that are attacked, rows that are read, steps of the attack on each unit."""

LEAST_ROWS = 20
"""Fewest rows that are read."""

FEATURES = Check(
    "ROB102",
    "How many of the units that indicate a class stop doing so when they are attacked?",
    "Train on attacked rows (repair.adversarial_training), so that the net has to use units that withstand.",
)

MEANING = (
    "Share, 0 to 1, of the units that indicate a class which indicate it no longer, or indicate another one, when each "
    "is moved against its class within the ball (non-robust features); lower is better. Such a unit predicts well and "
    "is easy to attack: the decision inherits both. The attack is on the unit, not on the decision. Misleading where "
    "the attack on a unit is weak: a unit that is called robust was only not shown to be non-robust."
)


@dataclass(frozen=True)
class _Unit:
    """One unit: what it indicates, its usefulness with limits, and whether it withstands."""

    number: int
    label: str
    clean: Interval
    attacked: Interval
    means: tuple[float, float, float]

    @property
    def is_useful(self) -> bool:
        """Shown to indicate its class without an attack."""
        return self.clean.low > 0

    @property
    def kind(self) -> str:
        """Not shown to be useful, robust, non-robust, or open."""
        if not self.is_useful:
            return "not shown to be useful"
        return "non-robust" if self.attacked.high < 0 else "robust" if self.attacked.low > 0 else "open"

    def as_data(self) -> dict[str, Any]:
        """For the page."""
        clean, attacked, random = self.means
        return {
            "unit": self.number,
            "class": self.label,
            "usefulness": clean,
            "usefulness low": self.clean.low,
            "after the attack": attacked,
            "after the attack low": self.attacked.low,
            "after the attack high": self.attacked.high,
            "at random points": random,
            "kind": self.kind,
        }


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    return [Call((inputs.case, inputs.known_labels, inputs.ball), inputs.options_of(method))]


def _audit_cost(inputs: AuditInputs) -> Cost:
    given = {"units": UNITS, "rows": ROWS, "steps": STEPS} | dict(inputs.options.get("robust_features", {}))
    rows = min(int(given["rows"]), len(inputs.case))
    attacked = -(-rows // 2) * int(given["units"])
    steps = 2 * int(given["steps"])
    return Cost(attacked * (2 * steps + 1) + 3 * rows + 2, attacked * steps) * inputs.model.passes_per_row


@diagnostic(
    source="ilyas2019",
    needs={"gradient", "net", "classes", "numbers", "complete", "labels", "ball"},
    checks=(FEATURES,),
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def robust_features(
    case: Case,
    labels: Any,
    ball: Ball,
    *,
    layer: str | None = None,
    units: int = UNITS,
    rows: int = ROWS,
    steps: int = STEPS,
    level: float = 0.95,
) -> list[Finding]:
    """Units that indicate a class, and how many of them stop doing so when each is attacked itself.

    A feature is a unit of ``layer`` (by default the last hidden one; a channel counts as its mean). Its usefulness for
    class c is E[w · s · z] with z the standardised unit, s = ±1 its direction, and w the standardised indicator of c:
    the correlation of both. Its robust usefulness is E[min over δ in the ball of w · s · z(x + δ)] (Ilyas et al. 2019,
    who have two classes, w = ±1): δ moves the unit itself, down on rows of the class and up on others. A useful unit
    is non-robust where that is below 0: attacked, it indicates the wrong class.

    Half of at most ``rows`` rows chooses the ``units`` of largest |correlation|, with class and direction; the other
    half measures, with limits by Student for skewed rows, corrected for all statements (Bonferroni). δ is searched by
    ``steps`` steps from two starts, along gradients in which ReLU is a softplus, since a unit that is off has no
    gradient. The search bounds the robust usefulness from above: "non-robust" is shown, "robust" not refuted.

    ROB102: the share of non-robust ones among the units shown to be useful; its interval leaves the open ones open. The
    evidence lists the units, with their usefulness at random points of the ball's surface, which usually stays, and
    has the mean usefulness of all units chosen with limits, which needs fewer rows than a statement about each.
    """
    if units < 1 or steps < 1 or rows < LEAST_ROWS or not 0 < level < 1:
        raise InputError(
            f"units={units}, steps={steps}, rows={rows}, level={level}; needed are at least 1 unit and step, "
            f"{LEAST_ROWS} rows, and a level between 0 and 1."
        )
    if ball.norm == "l0":
        raise InputError("the ball's norm is 'l0', which has no steepest direction: use linf, l2 or l1.")
    if not case.model.kind.exclusive:
        raise CapabilityError(f"robust_features needs classes that exclude each other; {case.model.name} has none.")
    if len(case) < LEAST_ROWS:
        return [_not_run(case)]
    order = case.seed.child("robust features").generator().permutation(len(case))[:rows]
    first, second = np.sort(order[::2]), np.sort(order[1::2])
    true = np.asarray(true_labels(case.model, labels, len(case), case.prediction))
    name, _ = find_hidden_layer(case, layer)
    every = LayerUnits.of(case, name)
    choosing = every.take(first)
    classes = len(case.model.classes) or int(true.max()) + 1
    chosen = choose_units(choosing.activations(choosing.case.rows.x), true[first], classes, units)
    if not len(chosen.unit):
        raise CapabilityError(f"no unit of layer {name!r} varies with the class on the rows given.")
    found = usefulness(every.take(second), chosen, true[second], ball, steps)
    return [_finding(case, name, ball, _judged(case, chosen, found, level), found, level)]


def _judged(case: Case, chosen: ChosenUnits, found: Usefulness, level: float) -> list[_Unit]:
    each = 1 - (1 - level) / (2 * len(chosen.unit))

    def limits(values: Floats) -> Interval:
        return skewness_corrected_interval(values, each)

    def label(place: int) -> str:
        number = int(chosen.label[place])
        name = case.model.classes[number] if case.model.classes else str(number)
        return name if chosen.sign[place] > 0 else f"not {name}"

    return [
        _Unit(
            int(chosen.unit[place]),
            label(place),
            limits(found.clean[:, place]),
            limits(found.attacked[:, place]),
            (
                float(found.clean[:, place].mean()),
                float(found.attacked[:, place].mean()),
                float(found.random[:, place].mean()),
            ),
        )
        for place in range(len(chosen.unit))
    ]


def _finding(case: Case, layer: str, ball: Ball, units: list[_Unit], found: Usefulness, level: float) -> Finding:
    rows = len(found.clean)
    clean, attacked = found.clean.mean(axis=1), found.attacked.mean(axis=1)
    limits = skewness_corrected_interval(attacked, level)
    useful = [one for one in units if one.is_useful]
    counts = {kind: sum(one.kind == kind for one in useful) for kind in ("non-robust", "robust", "open")}
    evidence = {
        "layer": layer,
        **{f"{kind} units": count for kind, count in counts.items()},
        "not shown to be useful": len(units) - len(useful),
        "mean usefulness": float(clean.mean()),
        "mean after the attack": float(attacked.mean()),
        "mean after the attack low": limits.low,
        "mean after the attack high": limits.high,
        "mean at random points": float(found.random.mean()),
        "units": [one.as_data() for one in units],
    }
    fields: dict[str, Any] = {"subject": case.model.name, "n": rows, "meaning": MEANING, "evidence": evidence}
    if not useful:
        text = f"None of {len(units)} units of layer {layer} is shown to indicate a class on {rows} rows."
        return Finding(FEATURES.code, "not applicable", text, advice="Give more rows with labels.", **fields)
    count = len(useful)
    text = (
        f"Of {count} units of layer {layer} that indicate a class, {counts['non-robust']} stop doing so within "
        f"{ball.norm} {ball.radius:g} when each is attacked itself, {counts['robust']} are not shown to, "
        f"{counts['open']} are open; the mean usefulness of all {len(units)} falls from {clean.mean():.2f} to "
        f"{attacked.mean():.2f} [{limits.low:.2f}, {limits.high:.2f}]."
    )
    low, high = counts["non-robust"] / count, (count - counts["robust"]) / count
    return Finding(
        FEATURES.code,
        "informative",
        text,
        estimate=low,
        interval=Interval(low, high, level, f"student for each of {len(units)} units, Bonferroni"),
        null=sum(one.means[2] < 0 for one in useful) / count,
        advice="Compare the share, and the usefulness after the attack, with those of a net trained on attacked rows.",
        **fields,
    )


def _not_run(case: Case) -> Finding:
    return Finding(
        FEATURES.code,
        "not run",
        f"{len(case)} rows are too few: half of them chooses the units, half measures.",
        case.model.name,
        n=len(case),
        meaning=MEANING,
        advice=f"Give at least {LEAST_ROWS} rows with labels.",
    )
