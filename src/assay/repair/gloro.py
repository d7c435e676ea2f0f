# SPDX-License-Identifier: Apache-2.0
"""Globally robust training as a repair: a net whose decisions are proved to withstand changes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from assay.basics.errors import InputError
from assay.basics.types import Masks
from assay.cases.case import Case
from assay.engine.bounds.read_layers import read_layers
from assay.engine.bounds.trained_slopes import TrainedSlopes
from assay.engine.declare import repairer
from assay.engine.performance.change_of_training import AdaptiveTest, fine_tuned_fields, fine_tuning_cost
from assay.engine.retraining.fine_tuning import fine_tuned_model, plain_loss
from assay.engine.retraining.smoothness_penalties import default_distance
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import find
from assay.nouns.inputs.rows import to_floats

RAMP = 0.1
"""Share of the training in which the radius grows from 0 to its full size."""

EPOCHS = 60
"""Default number of epochs."""


@repairer(
    source="leino2021",
    needs={"gradient", "net", "classes", "numbers", "complete", "train", "labels", "ball"},
    answers=("ROB101",),
    side_effects="Accuracy on unchanged rows can fall, most near a boundary; the net is another, smoother one, and "
    "explanations of the same rows change; typical inputs of a class can be reconstructed more easily.",
    audit_cost=lambda inputs: fine_tuning_cost(inputs, passes=1, epochs=EPOCHS),
)
def gloro(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    ball: Ball,
    reach: float = 1.0,
    epochs: int = EPOCHS,
    batch: int = 64,
    rate: float = 3e-3,
    steps: int = 30,
    rows: int = 100,
    train_rows: int = 5000,
) -> Mapping[str, Any]:
    """A net fine-tuned so that its decisions are proved to stay in the ball, by the Lipschitz constant of the net.

    GloRo (Leino, Wang and Fredrikson 2021): the scores f get one more, f_⊥ = max over i ≠ j of f_i + ε K_ij
    with j the predicted class and K_ij = ‖w_i − w_j‖ times the spectral norms of the layers below: a bound of how fast
    f_i − f_j can change, anywhere. f_⊥ is the largest where an input of another class within ε cannot be excluded. The
    net is trained by the cross-entropy of the label among all m + 1 scores. ε is ``reach`` times the longest Euclidean
    move in the ``ball`` (its radius in l2), and grows from 0 in the first tenth of the training. In linf and l1 the
    proof covers more than the ball, and costs more than it needs to. The new net has m scores, as before.

    A copy of the net is trained on the rows of ``train``, at most ``train_rows``, for ``epochs`` by Adam with learning
    rate ``rate``, in evaluation mode (batch norms keep their statistics). Spectral norms are followed by power
    iteration in training, which approaches them from below; certificates use proved upper bounds.

    ``before`` and ``after``: accuracy on ``held_out``; on ``rows`` of these the robust accuracy under ``attack.pgd``
    with ``steps`` steps, and the certified accuracy: classified correctly, with ``certify.lipschitz_margin`` above the
    reach of the ball, each with limits at 95 %; mean top-k overlap of saliency under ``attack.top_k``. The true robust
    accuracy lies between the certified and the attacked one. Numbers that end in "plain fine-tuning" are those of the
    same training without f_⊥. For nets of the layers that ``certify.lipschitz_margin`` reads.
    """
    if not 0 < reach < float("inf") or ball.norm == "l0":
        raise InputError(f"reach={reach}, norm={ball.norm!r}; needed are reach > 0 and a ball in linf, l2 or l1.")
    if epochs < 1 or batch < 1 or train_rows < 1:
        raise InputError(f"epochs={epochs}, batch={batch}, train_rows={train_rows}; at least 1 of each is needed.")
    test, model, seed = AdaptiveTest(ball, steps, rows), case.model, case.seed.child("gloro")
    test.check(case, train, held_out)
    read_layers(case)
    radius, slopes = reach * default_distance(case, None, ball), list[TrainedSlopes]()
    ramp = RAMP * epochs * -(-min(len(train[1]), train_rows) // batch)
    sizes = (radius * min(1.0, number / ramp) for number in count(1))

    def prepare(net: Any, example: Any) -> None:
        slopes.append(TrainedSlopes(net, example, model.name, seed))

    def robust(outputs: Any, x: Any, labels: Any) -> Any:
        import torch

        scores = with_bottom(outputs(x), slopes[-1](), next(sizes))
        return torch.nn.functional.cross_entropy(scores, labels)

    fitting: dict[str, Any] = {"epochs": epochs, "batch": batch, "rate": rate, "seed": seed, "most": train_rows}
    trained = fine_tuned_model(case, train, robust, name="globally robust", prepare=prepare, **fitting)
    simple = fine_tuned_model(case, train, plain_loss(model), name="fine-tuned", **fitting)
    change = (
        f"fine-tuned for {epochs} epochs on {min(len(train[1]), train_rows)} rows with one more score, the highest "
        f"that another class can reach within a Euclidean distance of {radius:.3g}"
    )
    return fine_tuned_fields(case, trained, simple, change, train, held_out, test, prove=proved_rows)


def with_bottom(scores: Any, slopes: Any, radius: float) -> Any:
    """The scores (row, class) and f_⊥ as one more; a single score s counts as the scores 0 and s."""
    import torch

    if scores.shape[1] == 1:
        scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
        slopes = slopes * (1 - torch.eye(2, dtype=slopes.dtype))
    top = scores.argmax(dim=1)
    others = torch.nn.functional.one_hot(top, scores.shape[1]).bool()
    reached = (scores + radius * slopes[top]).masked_fill(others, -torch.inf)
    return torch.cat([scores, reached.amax(dim=1, keepdim=True)], dim=1)


def proved_rows(case: Case, ball: Ball) -> Masks:
    """The rows (row,) whose class is proved to stay within the longest Euclidean move in the ball."""
    radius = to_floats(find("certify", "lipschitz_margin").call(case, draws=0).radius)
    return radius > default_distance(case, None, ball)
