#!/usr/bin/env bash
# polars 2.1.0, dtype Categorical.
#
# Behaviour: categories are kept in one table for the whole process, as long as
# somebody uses them. The codes of a column follow this table, so they depend on
# which other columns are alive.
#
# Usual guess: the codes follow the column: 0 for the first value in it, 1 for the
# next, as in pandas' factorize. A model may be trained on them.
#
# Seen: ["low", "mid"] has the codes [0, 1]. While a column ["high", "mid"] is
# alive the same call gives [2, 1]. When that is gone it gives [0, 1] again.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import polars as pl


def codes():
    """The codes of a column that is made anew."""
    return pl.Series(["low", "mid"], dtype=pl.Categorical).to_physical().to_list()


before = codes()
other = pl.Series(["high", "mid"], dtype=pl.Categorical)
beside = codes()
del other
after = codes()

print("usual guess: always [0, 1]")
print("what happens: alone", before, "| beside another column", beside, "| when that is gone", after)
if (before, beside, after) != ([0, 1], [2, 1], [0, 1]):
    sys.exit("no longer as stated")
PROGRAM
