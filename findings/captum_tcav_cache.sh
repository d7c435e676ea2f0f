#!/usr/bin/env bash
# captum 0.9.0, captum.concept.TCAV with its default settings.
#
# Behaviour: the vectors of concepts are stored on disk in ./cav/default_model_id/
# under the ids of the concepts alone. A later TCAV of another model, or of other
# pictures under the same ids, reads the old vector. No warning.
#
# Usual guess: scores are those of the model and of the pictures that are given.
#
# Seen for f = relu(a) - relu(b): the mean sensitivity towards "a is high" is +0.55. For
# a second model that swaps a and b it is -0.58, and for examples of "b is high" -0.69,
# each with a folder of its own; with the default folder +0.62 and +0.55.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 captum==0.9.0 scikit-learn==1.9.1 numpy==2.4.6

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys
import warnings

import numpy as np
import torch
from captum.concept import TCAV, Concept

warnings.filterwarnings("ignore", message="Using default classifier")  # that it holds the rows in memory
torch.set_num_threads(1)
torch.manual_seed(0)
np.random.seed(0)
ROWS = torch.rand(200, 2) - 0.5


class Net(torch.nn.Module):
    """f = relu(a) - relu(b), where (a, b) is the row or, swapped, (b, a)."""

    def __init__(self, swapped):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2, bias=False)
        self.layer.weight.data = torch.tensor([[0.0, 1.0], [1.0, 0.0]]) if swapped else torch.eye(2)

    def forward(self, x):
        a = self.layer(x)
        return (torch.relu(a[:, :1]) - torch.relu(a[:, 1:])).reshape(-1, 1)


def examples(column):
    """Rows in which one column is high."""
    found = 0.1 * torch.randn(60, 2)
    if column is not None:
        found[:, column] += 3.0
    return found


def score(net, column, folder):
    """Mean sensitivity towards the concept, with the stored vectors of a folder."""
    concepts = [Concept(0, "high", [examples(column)]), Concept(1, "random", [examples(None)])]
    found = TCAV(net, ["layer"], save_path=folder).interpret(ROWS, [concepts], target=0)
    return float(found["0-1"]["layer"]["magnitude"][0])


first = score(Net(False), 0, "./cav/")
other_model, fresh_model = score(Net(True), 0, "./cav/"), score(Net(True), 0, "./cav-of-the-second-model/")
other_rows, fresh_rows = score(Net(False), 1, "./cav/"), score(Net(False), 1, "./cav-of-the-other-rows/")
print(f"first model, concept 'a is high':             {first:+.3f}")
print(f"second model (columns swapped), usual guess:  {fresh_model:+.3f}  (a folder of its own)")
print(f"second model, what happens:                   {other_model:+.3f}")
print(f"first model, 'b is high', usual guess:        {fresh_rows:+.3f}  (a folder of its own)")
print(f"first model, 'b is high', what happens:       {other_rows:+.3f}")
as_stated = first > 0 > max(fresh_model, fresh_rows) and other_model > 0 and other_rows == first
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
