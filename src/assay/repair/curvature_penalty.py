# SPDX-License-Identifier: Apache-2.0
"""A penalty on the curvature by the input, or on the gradient, as a repair of explanations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Literal

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.declare import repairer
from assay.engine.performance.change_of_training import AdaptiveTest, fine_tuned_fields, fine_tuning_cost
from assay.engine.retraining.fine_tuning import fine_tuned_model, plain_loss, row_losses
from assay.engine.retraining.smoothness_penalties import PENALTIES, default_distance
from assay.engine.search.ball import Ball
from assay.engine.search.losses import search_scores
from assay.model.transformations.softplus_surrogate import softplus_for_relu
from assay.nouns.inputs.target import select_label


@repairer(
    source="moosavidezfooli2019",
    needs={"gradient", "net", "classes", "numbers", "train", "labels"},
    answers=("ATK401", "STA301"),
    side_effects="The net is another one: accuracy can fall, and explanations of the same rows change; maps can "
    "withstand attacks because they depend less on the input.",
    audit_cost=lambda inputs: fine_tuning_cost(inputs, passes=4),
)
def curvature_penalty(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    of: Literal["curvature", "loss_curvature", "gradient"] = "curvature",
    strength: float | None = None,
    distance: float | None = None,
    sharpness: float = 5.0,
    ball: Ball | None = None,
    epochs: int = 5,
    batch: int = 64,
    rate: float = 1e-3,
    steps: int = 30,
    rows: int = 100,
    train_rows: int = 5000,
) -> Mapping[str, Any]:
    """A net fine-tuned so that the gradient by the input, which explanations show, changes slowly.

    min over weights of the mean of ℓ(x) + strength · R(x), ℓ the cross-entropy of the label, s its score (logit), and
    z(f) = sign ∇f(x) / ‖sign ∇f(x)‖, a finite difference of gradients along the sign of the gradient as in CURE
    (Moosavi-Dezfooli et al. 2019):

    - of="curvature": R = ‖∇s(x + h·z(s)) − ∇s(x)‖² / ‖∇s(x)‖², of the score that is explained, relative, without units.
    - of="loss_curvature": R = h² ‖∇ℓ(x + h·z(ℓ)) − ∇ℓ(x)‖², CURE itself, whose γ is strength · h².
    - of="gradient": R = h² ‖∇ℓ(x)‖², input-gradient regularisation (Ross and Doshi-Velez 2018).

    CURE penalises the loss to make predictions robust; the gradient of the loss is near 0 where the net is sure, so
    that it says little about explanations of scores. h = ``distance`` is a Euclidean length in units of the rows, which
    grows from 0 in the first half of the training; by default the longest move in the ``ball``, without a ball a tenth
    of the root mean square distance of training rows from their mean. ``strength`` is by default 5, 0.03 or 0.3. A copy
    of the net is trained on the rows of ``train``, at most ``train_rows``, for ``epochs`` by Adam with learning rate
    ``rate``, in evaluation mode (batch norms keep their statistics). R is computed with softplus of this ``sharpness``
    (its β) for ReLU, whose gradient jumps where no weight can see it.

    ``before`` and ``after``: accuracy on ``held_out`` with limits at 95 %. With a ``ball`` also the mean top-k overlap
    of saliency of the case's rows under ``attack.top_k``, which differentiates the new net, and the robust accuracy of
    ``rows`` held-out rows under ``attack.pgd``, both of ``steps`` steps; without one a note says that the defence is
    not adaptively tested. Numbers that end in "plain fine-tuning" are those of the same training with strength 0. A map
    can withstand attacks because it is nearly constant: score its faithfulness, too.
    """
    if of not in PENALTIES:
        raise InputError(f"of={of!r}; there are {', '.join(PENALTIES)}.")
    penalty, weight = PENALTIES[of], PENALTIES[of].strength if strength is None else strength
    if not 0 < weight < float("inf") or (distance is not None and not 0 < distance < float("inf")):
        raise InputError(f"strength={strength}, distance={distance}; finite numbers above 0 are needed.")
    if not 0 < sharpness < float("inf"):
        raise InputError(f"sharpness={sharpness}; a finite number above 0 is needed, for example 5.")
    if epochs < 1 or batch < 1 or train_rows < 1:
        raise InputError(f"epochs={epochs}, batch={batch}, train_rows={train_rows}; at least 1 of each is needed.")
    test, model, seed = AdaptiveTest(ball, steps, rows), case.model, case.seed.child("curvature penalty")
    test.check(case, train, held_out)
    h = default_distance(case, train, ball) if distance is None else distance
    whole = epochs * -(-min(len(train[1]), train_rows) // batch)
    reach = (h * min(1.0, 2 * number / whole) for number in count(1))

    def penalised(outputs: Callable[[Any], Any], x: Any, labels: Any) -> Any:
        def smooth(x: Any) -> Any:
            with softplus_for_relu(sharpness):
                found = outputs(x)
            scores = search_scores(found, model.gives)
            return row_losses(found, labels, model) if penalty.of_loss else select_label(scores, labels)

        return row_losses(outputs(x), labels, model).mean() + weight * penalty.value(smooth, x, next(reach)).mean()

    fitting: dict[str, Any] = {"epochs": epochs, "batch": batch, "rate": rate, "seed": seed, "most": train_rows}
    trained = fine_tuned_model(case, train, penalised, name=f"{of.replace('_', ' ')} penalised", **fitting)
    simple = fine_tuned_model(case, train, plain_loss(model), name="fine-tuned", **fitting)
    change = (
        f"fine-tuned for {epochs} epochs on {min(len(train[1]), train_rows)} rows with a penalty of {weight:g} on the "
        f"{penalty.text} over a distance of {h:.3g}"
    )
    return fine_tuned_fields(case, trained, simple, change, train, held_out, test)
