"""Counterfactuals of trees: cost, proof and time beside CP-SAT on the same problem, and the cost beside DiCE.

Run by hand in the environment of the peers: python bench/counterfactual.py. Writes bench/counterfactual.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sufficient_features import SETTINGS, german_forest

import assay
from assay import explain
from assay.engine.changes.column_rules import column_names, column_rules
from assay.engine.recourse.causes import read_causes
from assay.engine.recourse.question import Question, read_goal
from assay.engine.recourse.tree_recourse import TreeRecourse
from assay.engine.search.threat import as_array
from report import machine

ROWS, SOLVED, LIMIT, SCALE = 100, 10, 60.0, 1e10
ONE_COLUMN = {"German": "1", "Adult": "hours_per_week", "COMPAS": "priors_count"}


def search_of(case: assay.Case, train: Any) -> TreeRecourse:
    """The search that the method runs, row by row."""
    rules = column_rules(
        case, columns=(), up=(), down=(), values=None, bounds=None, background=train, unit="range", level=1.0
    )
    reference = np.asarray(case.rows.convert(train), dtype=np.float64)
    question = Question(
        case, rules, read_causes(case, None), read_goal(case, None), 0.0, 1, 1, 20_000, None, None, reference
    )
    return TreeRecourse(question)


def by_solver(search: TreeRecourse, row: int, most: float) -> tuple[float, float, bool, float]:
    """Cost, bound, whether both are equal, and seconds of CPU of CP-SAT (one worker) on the same cells."""
    from ortools.sat.python import cp_model

    own = search.question.rows[row]
    columns = [one for one in search.question.movable(row) if search._matters(one)]
    options = [search._options(one, [c.place for c in columns], own) for one in columns]
    boxes = search.trees.leaves(row, options)
    [[rival]] = search.question.conditions(row, search.summed, search.size)
    worth, limit = search._limit(boxes, rival)
    started = time.process_time()
    model = cp_model.CpModel()
    above = [[model.new_bool_var("") for _ in one.values[1:]] for one in options]
    for chain in above:
        for low, high in pairwise(chain):
            model.add_implication(high, low)
    leaves = [model.new_bool_var("") for _ in boxes.node]
    ends = [*boxes.starts[1:].tolist(), len(leaves)]
    for start, stop in zip(boxes.starts.tolist(), ends):
        model.add_exactly_one(leaves[start:stop])
    for leaf, first, last in zip(leaves, boxes.first.tolist(), boxes.last.tolist()):
        for chain, low, high in zip(above, first, last):
            if low > 0:
                model.add_implication(leaf, chain[low - 1])
            if high < len(chain):
                model.add_implication(leaf, chain[high].negated())
    model.add(sum(round(w * SCALE) * leaf for w, leaf in zip(worth.tolist(), leaves)) >= int(np.ceil(limit * SCALE)))
    fixed, terms = 0, []
    for one, chain in zip(options, above):
        scaled = np.round(one.costs * SCALE).astype(np.int64)
        fixed += int(scaled[0])
        terms += [int(step) * variable for step, variable in zip(np.diff(scaled), chain)]
    model.minimize(fixed + sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = most
    status = solver.solve(model)
    seconds = time.process_time() - started
    cost = solver.objective_value / SCALE if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else np.inf
    return cost, solver.best_objective_bound / SCALE, status == cp_model.OPTIMAL, seconds


def proofs(case: assay.Case, model: Any, others: Any, train: Any, column: str) -> tuple[int, int]:
    """With one column of whole numbers free: rows proved infeasible, and how many answers enumeration contradicts."""
    found = explain.counterfactual(case, columns=(column,), background=train)
    place = column_names(case).index(column)
    known = np.asarray(case.rows.convert(train), dtype=np.float64)[:, place]
    values = np.arange(known.min(), known.max() + 1)
    wrong = 0
    for row in range(len(case)):
        one = others[row : row + 1]
        if isinstance(one, pd.DataFrame):
            lines = one.loc[one.index.repeat(len(values))].assign(**{column: values.astype(int)})
        else:
            lines = np.repeat(one, len(values), axis=0)
            lines[:, place] = values
        flips = bool((model.predict(lines) != model.predict(one)[0]).any())
        wrong += flips == (found.extra["status"][row] == 2)
    return int((found.extra["status"] == 2).sum()), wrong


def measure(name: str, make: Callable[[], tuple[Any, Any, Any]], rows: int, solved: int, limit: float) -> str:
    """One line of the table."""
    model, train, others = make()
    case = assay.case(assay.wrap(model), others[:rows])
    started = time.process_time()
    search = search_of(case, train)
    prepared = time.process_time() - started
    seconds, answers = [], []
    for row in range(rows):
        started = time.process_time()
        answers.append(search.answer(row))
        seconds.append(time.process_time() - started)
        print(name, row, answers[-1].status, f"{seconds[-1]:.2f}", flush=True)
    has = np.array([row for row, one in enumerate(answers) if one.points])
    changed = np.array(search.question.rows)
    changed[has] = [answers[row].points[0].x for row in has]
    valid = search.question.accepts(case.outputs(as_array(changed, case.rows.x)), np.arange(rows))[has].mean()
    share = {status: np.mean([one.status == status for one in answers]) for status in ("optimal", "feasible")}
    gaps, ratios, optimal, wrong = [], [], 0, 0
    for row in range(solved):
        cost, bound, is_optimal, spent = by_solver(search, row, limit)
        ours = answers[row].points[0].cost
        ratios.append(spent / seconds[row])
        optimal += is_optimal
        if is_optimal:
            gaps.append(abs(cost - ours))
        wrong += not (bound - 1e-6 <= ours and (answers[row].status != "optimal" or ours <= cost + 1e-6))
        print(name, row, ours, cost, bound, is_optimal, f"{seconds[row]:.2f} {spent:.1f}", flush=True)
    infeasible, contradicted = proofs(case, model, others, train, ONE_COLUMN[name.split()[0].rstrip(",")])
    return (
        f"| {name} | {valid:.2f} of {len(has)} | {share['optimal']:.0%} | {share['feasible']:.0%} | "
        f"{np.median(seconds):.2f} | "
        f"{np.quantile(seconds, 0.9):.2f} | {np.max(seconds):.1f} | {prepared:.1f} | "
        f"{optimal} of {solved} | {f'{max(gaps):.1e}' if gaps else '–'} | {wrong} | {np.median(ratios):.0f} × | "
        f"{infeasible} of {rows} | {contradicted} |"
    )


def beside_dice(rows: int) -> str:
    """The costs of DiCE's random counterfactuals of German rows over ours."""
    import dice_ml
    from raiutils.exceptions import UserConfigValidationException

    model, train, others = german_forest()
    names = [f"c{place}" for place in range(train.shape[1])]
    frame = pd.DataFrame(train.astype(int), columns=names)
    span = np.ptp(train, axis=0)

    class Named:
        """The forest, which was fitted on an array, on DiCE's frames."""

        classes_ = model.classes_

        def predict(self, x: Any) -> Any:
            return model.predict(np.asarray(x, dtype=float))

        def predict_proba(self, x: Any) -> Any:
            return model.predict_proba(np.asarray(x, dtype=float))

    data = dice_ml.Data(
        dataframe=frame.assign(y=model.predict(train).astype(int)), continuous_features=names, outcome_name="y"
    )
    dice = dice_ml.Dice(data, dice_ml.Model(model=Named(), backend="sklearn"), method="random")
    found = explain.counterfactual(assay.case(assay.wrap(model), others[:rows]), background=train)
    best, mean = [], []
    for row in range(rows):
        one = pd.DataFrame(others[row : row + 1].astype(int), columns=names)
        try:
            answer = dice.generate_counterfactuals(
                one, total_CFs=4, desired_class="opposite", random_seed=0, verbose=False
            )
        except UserConfigValidationException:  # DiCE found none
            continue
        points = answer.cf_examples_list[0].final_cfs_df
        if points is None:
            continue
        x = points[names].to_numpy(dtype=float)
        x = x[model.predict(x) != model.predict(others[row : row + 1])[0]]
        if len(x):
            costs = (np.abs(x - others[row]) / np.where(span > 0, span, 1)).sum(axis=1)
            best.append(costs.min() / found.extra["cost"][row, 0])
            mean.append(costs.mean() / found.extra["cost"][row, 0])
    return (
        f"DiCE (dice-ml 0.12, `random`, 4 counterfactuals a row, those that the model confirms), German credit, same "
        f"cost: on {len(best)} of {rows} rows its best costs {np.median(best):.1f} times ours (median; least "
        f"{np.min(best):.2f}), its mean {np.median(mean):.1f} times."
    )


def main() -> None:
    """Measure all settings and write the page."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--solved", type=int, default=SOLVED)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of CP-SAT a row")
    parser.add_argument("--only", default="", help="the start of a model's name: measure it alone, write no page")
    parser.add_argument("--dice", type=int, default=30, help="rows of German credit beside DiCE")
    parser.add_argument("--keep", type=Path, help="a folder of lines measured before, which are not measured again")
    given = parser.parse_args()
    lines = [
        "# Counterfactuals of trees, proved",
        "",
        machine(),
        "",
        f"{given.rows} held-out rows, all columns free within the ranges and levels of the training rows, cost "
        f"Σ |change| / range and 1 for another level, `explain.counterfactual` with its defaults. Seconds of CPU a row "
        f"on one core, without the preparation that all rows share. CP-SAT (ortools 9.15, one worker, at most "
        f"{given.limit:.0f} s a row) solves the same problem over the same cells and leaves for the first rows: how "
        f"many it proves, the largest difference of the cost there, rows where its bounds contradict our "
        f"cost, and its CPU time over ours (median; where it ran out of time this is a lower limit). Last: with one "
        f"column of whole numbers free, rows proved infeasible, and answers that enumeration of all its values "
        f"contradicts.",
        "",
        "| model | valid | optimal | feasible with bound | median s | 90 % | worst s | preparation s | CP-SAT proves "
        "| largest difference | contradictions | CP-SAT's time | proved infeasible | contradicted |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, make in reversed(SETTINGS.items()):
        if name.startswith(given.only):
            kept = None if given.keep is None else given.keep / name.split()[0].rstrip(",")
            if kept is not None and kept.exists():
                lines.append(kept.read_text())
                continue
            lines.append(measure(name, make, given.rows, given.solved, given.limit))
            if kept is not None:
                kept.write_text(lines[-1])
            print(lines[-1], flush=True)
    if given.only:
        return
    kept = None if given.keep is None else given.keep / "DiCE"
    if kept is not None and kept.exists():
        lines += ["", kept.read_text()]
    else:
        lines += ["", beside_dice(min(given.rows, given.dice))]
    print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
