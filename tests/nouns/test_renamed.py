"""Names of earlier versions still work, and warn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import assay
from assay.cli.reading import rows_from
from assay.nouns.renamed import FORMER_NAMES

CASE = assay.case(assay.wrap(lambda x: x[:, :1] * 2, output="values"), np.ones((2, 2)))
EXPLANATION = assay.explain.occlusion(CASE, remove=assay.Constant(0.0))
OWNERS = {"Case": CASE, "Model": CASE.model, "Explanation": EXPLANATION, "assay": assay, "assay.model": assay.model}
OWNERS["Result"] = assay.evaluate.sparseness(EXPLANATION, CASE)


@pytest.mark.parametrize(("owner", "former"), [(one, name) for one, names in FORMER_NAMES.items() for name in names])
def test_an_earlier_name_is_the_present_one_and_warns(owner, former):
    thing, new = OWNERS[owner], FORMER_NAMES[owner][former]
    with pytest.warns(DeprecationWarning, match=f"{former} is now .*{new}"):
        old = getattr(thing, former)
    found = getattr(thing, new)
    assert old is found or old == found
    assert former not in dir(thing)


def test_other_names_are_attribute_errors():
    for thing in OWNERS.values():
        with pytest.raises(AttributeError, match="explian"):
            thing.explian  # noqa: B018  # reading it is what fails


def test_rows_are_read_under_the_earlier_name(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("code,y\n07,1\n08,0\n")
    with pytest.warns(DeprecationWarning, match="is now assay.cli.read_rows"):
        table = rows_from(tmp_path / "rows.csv", target="y")
    assert list(table.rows["code"]) == ["07", "08"]
    assert list(table.labels) == [1, 0]
