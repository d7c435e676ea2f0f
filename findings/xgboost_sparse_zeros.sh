#!/usr/bin/env bash
# XGBoost 3.2.0, rows of zeros and counts, dense and as a scipy CSR matrix.
#
# Behaviour: what a sparse matrix does not store is a missing value. A dense zero is
# the number 0. The two take different ways in a tree.
#
# Usual guess: a sparse matrix is another way to store the same numbers, as for
# scikit-learn, so that predictions are the same.
#
# Seen, fitted on a dense array: R2 1.00 on it, and -9.41 on csr_matrix of the very
# same numbers. No warning comes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from scipy.sparse import csr_matrix
from xgboost import XGBRegressor

draw = np.random.default_rng(0)
x = draw.poisson(0.3, size=(500, 3)).astype(float)
y = 3.0 * (x[:, 0] > 0) + x[:, 1]
model = XGBRegressor(n_estimators=30, max_depth=2, n_jobs=1).fit(x, y)
same = csr_matrix(x)
dense, sparse = model.score(x, y), model.score(same, y)

print("the numbers are equal:", bool((same.toarray() == x).all()))
print(f"usual guess: R2 is {dense:.2f} for both")
print(f"what happens: {dense:.2f} for the dense array, {sparse:.2f} for the sparse matrix")
print("first predictions, dense", model.predict(x[:4]).round(2), "sparse", model.predict(same[:4]).round(2))
as_stated = dense > 0.9 and sparse < 0
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
