"""The laws of every method. Each takes the calls of a method on a subject; a broken one raises AssertionError.

``violations`` checks all of them on the same calls and lists every law that is broken, by name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_allclose
from tests.contract.runs import REORDERED, Runs, run_method, with_small_batches
from tests.contract.subjects import SUBJECTS

from assay.nouns.inputs.features import units
from assay.nouns.records.store import load

Law = Callable[[Runs], None]


def values_have_the_shape_of_the_rows(runs: Runs) -> None:
    case, result, _ = runs.first
    explains = runs.method.verb == "explain"
    shape = (len(case), len(result.features)) if explains else (len(case),)
    assert result.values.shape == shape
    of_training_rows = explains and "train" in runs.method.needs
    if of_training_rows:
        assert result.x.shape == (len(case), *case.rows.shape)
    elif explains:
        assert result.x.shape == (len(case), *result.features.shape)
        is_of_layer = "layer" in runs.method.options
        of_units = is_of_layer and result.features.fingerprint == units(result.features.shape).fingerprint
        of_concepts = bool({"concepts", "masks"} & set(runs.method.options))
        assert of_units or of_concepts or result.features.fingerprint == case.features.fingerprint
    assert result.values.dtype == np.float64
    assert result.ids == case.rows.ids
    assert result.meaning
    if result.stderr is not None:
        assert result.stderr.shape == shape
        assert (result.stderr[np.isfinite(result.stderr)] >= 0).all()


def values_are_finite_or_noted_as_undefined(runs: Runs) -> None:
    result = runs.result
    undefined = np.isnan(result.values).reshape(len(result.ids), -1).any(axis=1)
    assert not np.isinf(result.values).any()
    noted = {row for note in result.notes if note.code == "undefined" for row in note.rows}
    assert noted == {name for name, is_undefined in zip(result.ids, undefined) if is_undefined}
    if runs.method.verb == "explain" and runs.method.has_exact_cost:  # a search may find nothing
        assert not undefined.any()


def values_are_read_only(runs: Runs) -> None:
    assert not runs.result.values.flags.writeable


def the_same_seed_gives_the_same_bytes(runs: Runs) -> None:
    one, two = runs.result, runs.second[0]
    assert one.values.tobytes() == two.values.tobytes()
    assert (one.stderr is None) == (two.stderr is None)
    assert one.stderr is None or one.stderr.tobytes() == two.stderr.tobytes()


def order_batches_and_other_rows_together_change_nothing(runs: Runs) -> None:
    """Two rows of three, reordered, in small batches; where this fails, the next three laws tell which it is."""
    assert_same(runs.reduced, runs, list(REORDERED))


def batch_size_changes_nothing(runs: Runs) -> None:
    if fails(order_batches_and_other_rows_together_change_nothing, runs):
        assert_same(run_method(runs.method, with_small_batches(SUBJECTS[runs.subject]())), runs, [0, 1, 2])


def row_order_changes_nothing(runs: Runs) -> None:
    if fails(order_batches_and_other_rows_together_change_nothing, runs):
        assert_same(run_method(runs.method, SUBJECTS[runs.subject]().take([2, 0, 1])), runs, [2, 0, 1])


def other_rows_change_nothing(runs: Runs) -> None:
    if fails(order_batches_and_other_rows_together_change_nothing, runs):
        assert_same(run_method(runs.method, SUBJECTS[runs.subject]().take([1])), runs, [1])


def assert_same(result: Any, runs: Runs, rows: Any) -> None:
    """The result's values are those of these rows in the first call; a search may end 1 % of the largest away."""
    expected = runs.result.values[rows]
    near = 0.01 * float(np.abs(expected).max()) if "searched" in runs.method.claims else 1e-6
    assert_allclose(result.values, expected, atol=near, rtol=1e-6)


def the_call_leaves_everything_unchanged(runs: Runs) -> None:
    assert runs.first[2] == []


def an_error_leaves_everything_unchanged(runs: Runs) -> None:
    assert runs.changes_after_error == []


def the_provenance_records_the_call(runs: Runs) -> None:
    (case, result, _), method = runs.first, runs.method
    provenance = result.provenance
    assert (provenance.method, provenance.verb) == (method.name, method.verb)
    assert set(provenance.options) == set(method.options)
    assert provenance.model_fingerprint == case.model.fingerprint
    assert provenance.rows_fingerprint == case.rows.fingerprint
    assert provenance.seed == case.seed


def model_evaluations_equal_the_declared_cost(runs: Runs) -> None:
    """A method without a declared cost enters no plan; test_catalogue demands one of all methods of the package."""
    _, counted, declared = runs.second
    if declared is not None and not runs.method.has_exact_cost:
        assert counted.forwards <= declared.forwards
        assert counted.backwards <= declared.backwards
    else:
        assert declared is None or counted == declared


def the_result_survives_saving_and_loading(runs: Runs) -> None:
    result = runs.result
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(result.save(Path(folder) / "result.assay"))
    assert type(loaded) is type(result)
    assert loaded.values.tobytes() == result.values.tobytes()
    assert (loaded.ids, loaded.notes, loaded.meaning) == (result.ids, result.notes, result.meaning)
    one, two = loaded.provenance, result.provenance
    assert (one.method, one.seed, dict(one.cost)) == (two.method, two.seed, dict(two.cost))
    assert set(one.options) == set(two.options)
    assert (loaded.stderr is None) == (result.stderr is None)
    if runs.method.verb == "explain":
        assert_allclose(loaded.map(), result.map())
        assert_allclose(loaded.residual, result.residual)


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        values_have_the_shape_of_the_rows,
        values_are_finite_or_noted_as_undefined,
        values_are_read_only,
        the_same_seed_gives_the_same_bytes,
        order_batches_and_other_rows_together_change_nothing,
        batch_size_changes_nothing,
        row_order_changes_nothing,
        other_rows_change_nothing,
        the_call_leaves_everything_unchanged,
        an_error_leaves_everything_unchanged,
        the_provenance_records_the_call,
        model_evaluations_equal_the_declared_cost,
        the_result_survives_saving_and_loading,
    )
}


def fails(law: Law, runs: Runs) -> str:
    """What is wrong where the law is broken; empty where it holds."""
    try:
        law(runs)
    except AssertionError as error:
        return str(error) or "AssertionError"
    return ""


def violations(runs: Runs) -> dict[str, str]:
    """Every law that is broken, by name, with what is wrong."""
    return {name: wrong for name, law in LAWS.items() if (wrong := fails(law, runs))}
