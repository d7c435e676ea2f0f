"""What the decorators make of a body's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import assay
from assay import examples
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.declare import explainer, scorer
from assay.nouns.catalogue import leave
from assay.nouns.results.result import Estimate, Explanation, Note

ROWS = np.array([[1.0, 2.0], [3.0, 5.0]])


@pytest.fixture
def declare() -> Iterator[Callable[[Any, Any], Any]]:
    """Declares a body, and forgets it after the test."""
    entered = []

    def enter(decorator: Any, body: Any) -> Any:
        declared = decorator(body)
        entered.append(declared.method)
        return declared

    yield enter
    for method in entered:
        leave(method)


def explained(declare: Any, answer: Any, case: Case | None = None) -> Explanation:
    """The explanation made from a body's answer on two rows of two numbers, with 2a − b as the target."""

    def toy_answer(case: Case) -> Any:
        """What it was given."""
        return answer

    found: Explanation = declare(explainer(source="assay2026"), toy_answer)(
        case or examples.linear((2.0, -1.0), x=ROWS)
    )
    return found


def test_errors_of_an_estimate_reach_the_explanation_and_an_array_alone_has_none(declare: Any) -> None:
    values, stderr = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.1, 0.2], [0.3, 0.4]])
    found = explained(declare, Estimate(values, stderr))
    assert found.stderr is not None
    assert_allclose(found.values, values)
    assert_allclose(found.stderr, stderr)
    assert explained(declare, Estimate(values)).stderr is None
    assert explained(declare, values).stderr is None


def test_errors_of_an_estimate_reach_the_score_and_an_array_alone_has_none(declare: Any) -> None:
    case = examples.linear((2.0, -1.0), x=ROWS)

    def toy_score(explanation: Explanation, case: Case, *, errors: bool = True) -> Any:
        """Two numbers."""
        return Estimate(np.array([5.0, 7.0]), np.array([0.5, 0.25])) if errors else np.array([5.0, 7.0])

    score = declare(scorer(source="assay2026", better="higher"), toy_score)
    explanation = explained(declare, np.ones((2, 2)), case)
    found = score(explanation, case)
    assert_allclose(found.values, [5.0, 7.0])
    assert_allclose(found.stderr, [0.5, 0.25])
    assert (found.of, found.better, found.meaning) == ("toy_answer", "higher", "Two numbers.")
    assert score(explanation, case, errors=False).stderr is None


def test_base_and_output_are_the_estimates_or_none_and_the_cases(declare: Any) -> None:
    plain = explained(declare, np.ones((2, 2)))
    assert np.isnan(plain.base).all()
    assert_allclose(plain.output, [0.0, 1.0])
    found = explained(declare, Estimate(np.ones((2, 2)), base=np.array([1.0, 2.0]), output=np.array([4.0, 8.0])))
    assert_allclose(found.base, [1.0, 2.0])
    assert_allclose(found.output, [4.0, 8.0])
    assert_allclose(found.residual, [1.0, 4.0])


def test_values_of_elements_are_summed_over_their_features_and_kept_as_dense(declare: Any) -> None:
    case = examples.linear((1.0, 1.0, 1.0), x=[[1.0, 2.0, 3.0]], features=assay.integer_map(np.array([0, 1, 1])))
    found = explained(declare, np.array([[1.0, 2.0, 4.0]]), case)
    assert_allclose(found.values, [[1.0, 6.0]])
    assert_allclose(found.dense, [[1.0, 2.0, 4.0]])
    coarse = explained(declare, np.array([[1.0, 6.0]]), case)
    assert_allclose(coarse.values, [[1.0, 6.0]])
    assert coarse.dense is None
    assert explained(declare, np.ones((2, 2))).dense is None
    with pytest.raises(InputError, match=r"toy_answer returned shape \(1, 4\); expected \(1, 2\) .* or \(1, 3\)"):
        explained(declare, np.ones((1, 4)), case)


def test_rows_without_a_number_are_noted_after_the_estimates_own_notes(declare: Any) -> None:
    values = np.array([[1.0, 2.0], [np.nan, 4.0]])
    found = explained(declare, Estimate(values, notes=(Note("own", "a note"),)))
    assert [(note.code, note.rows) for note in found.notes] == [("own", ()), ("undefined", ("1",))]
    assert found.notes[1].text == "values is undefined (NaN) for 1 of 2 rows: 1"
    assert explained(declare, np.ones((2, 2))).notes == ()


def test_the_rows_kept_are_a_copy_that_cannot_be_written(declare: Any) -> None:
    found = explained(declare, np.ones((2, 2)))
    assert_allclose(found.x, ROWS)
    with pytest.raises(ValueError, match="read-only"):
        found.x[0, 0] = 9.0


def test_forward_and_backward_passes_of_the_body_alone_are_the_cost(declare: Any) -> None:
    def toy_passes(case: Case, *, times: int = 1) -> Any:
        """Gradients and values at other rows."""
        for k in range(times):
            case.value(case.rows.x + k + 1)
        return case.gradient(case.rows.x)

    case = examples.linear((2.0, -1.0), x=ROWS)
    case.value(ROWS + 0.5)
    method = declare(explainer(source="assay2026"), toy_passes)
    found = method(case, times=3)
    assert found.provenance.cost == {"forwards": 3 * 2 + 2, "backwards": 2}  # a gradient is a pass each way
    assert found.provenance.options == {"times": 3}
    assert explained(declare, np.ones((2, 2))).provenance.cost == {}


def test_what_a_body_or_a_call_lacks_is_said(declare: Any) -> None:
    def toy_bare(case: Case, *, scale: float = 1.0) -> Any:
        return np.ones((2, 2))

    with pytest.raises(InputError, match="toy_bare has no docstring"):
        declare(explainer(source="assay2026"), toy_bare)
    with pytest.raises(InputError, match=r"unknown needs \['wings'\]"):
        explainer(source="assay2026", needs={"wings"})
    toy_bare.__doc__ = "Ones."
    method = declare(explainer(source="assay2026"), toy_bare)
    case = examples.linear((2.0, -1.0), x=ROWS)
    with pytest.raises(InputError, match=r"has no option 'scal'; did you mean 'scale'\?"):
        method(case, scal=2.0)
    with pytest.raises(InputError, match="there are scale"):
        method(case, q=2.0)
    with pytest.raises(InputError, match=r"explain\.toy_bare needs a case"):
        method(ROWS)
    with pytest.raises(InputError, match=r"explain\.toy_bare: too many positional"):
        method(case, 2.0)


def test_an_explanation_of_other_rows_or_parts_is_refused(declare: Any) -> None:
    def toy_score(explanation: Explanation, case: Case) -> Any:
        """Ones."""
        return np.ones(len(case))

    score = declare(scorer(source="assay2026", better="higher"), toy_score)
    explanation = explained(declare, np.ones((2, 2)))
    with pytest.raises(InputError, match="2 rows of 2 parts, the case 1 rows of 2 parts"):
        score(explanation, examples.linear((2.0, -1.0), x=ROWS[:1]))
    with pytest.raises(InputError, match="2 rows of 2 parts, the case 2 rows of 3 parts"):
        score(explanation, examples.linear((2.0, -1.0, 1.0), x=np.ones((2, 3))))
