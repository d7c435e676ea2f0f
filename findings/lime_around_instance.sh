#!/usr/bin/env bash
# lime 0.2.0.1, LimeTabularExplainer(sample_around_instance=True).
#
# Behaviour: the option does nothing as long as discretize_continuous is True,
# which is the default. No warning is given.
#
# Usual guess: the model is asked about points around the row that is explained.
#
# Seen, row at 3.0, mean of the data near 0: the model is asked about points with the
# mean -0.06, with the option and without it, and both explanations are the same to
# the last digit. With discretize_continuous=False the mean of the points is 2.98.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lime==0.2.0.1 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from lime.lime_tabular import LimeTabularExplainer

x = np.random.default_rng(0).normal(size=(1000, 2))


def told(**options):
    """The mean of what the model is asked in column 0, and the explanation."""
    asked = []

    def model(rows):
        asked.append(rows[:, 0].mean())
        return rows[:, 0] ** 2

    explainer = LimeTabularExplainer(x, mode="regression", random_state=0, **options)
    said = explainer.explain_instance(np.array([3.0, 0.0]), model, num_samples=5000)
    return asked[0], dict(said.as_list())


without, plain = told()
around, local = told(sample_around_instance=True)
numbers, _ = told(sample_around_instance=True, discretize_continuous=False)
print("usual guess: with the option the points lie around 3.0")
print(f"what happens: mean of the points without the option {without:.2f}, with it {around:.2f}")
print("explanation without the option", plain)
print("explanation with the option   ", local)
print(f"with discretize_continuous=False, too: mean of the points {numbers:.2f}")
as_stated = around == without and abs(around) < 0.5 and plain == local and abs(numbers - 3) < 0.1
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
