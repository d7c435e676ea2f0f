#!/usr/bin/env bash
# CatBoost 1.2.10, a bool column among cat_features.
#
# Behaviour: the categories are called "1" and "0", not "True" and "False". A text
# "True" or "False" in such a column is a category that the model has not seen, and
# that is no error.
#
# Usual guess: categories are compared as texts, so that a row that was written to a
# CSV file and read back as text gets the same prediction.
#
# Seen, target about 2 for True and 0 for False: with bools 2.00 and 0.00, with 1 and 0 the
# same, with the texts "True" and "False" 2.00 for both.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
import pandas as pd
from catboost import CatBoostRegressor

draw = np.random.default_rng(0)
flag = draw.random(300) > 0.5
model = CatBoostRegressor(iterations=100, verbose=0, thread_count=1, allow_writing_files=False, cat_features=["flag"])
model.fit(pd.DataFrame({"flag": flag}), 2.0 * flag)


def predict(values):
    """Predictions for two rows of the one column."""
    return model.predict(pd.DataFrame({"flag": values}))


as_bool, as_number, as_text = predict([True, False]), predict([1, 0]), predict(["True", "False"])
print("usual guess: True and 'True' are one category, False and 'False' the other")
print("what happens: bools", as_bool.round(2), "numbers", as_number.round(2), "texts", as_text.round(2))
as_stated = as_bool[0] - as_bool[1] > 1.5 and np.array_equal(as_bool, as_number) and as_text[0] == as_text[1]
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
