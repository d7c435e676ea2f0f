# SPDX-License-Identifier: Apache-2.0
"""Adversarial training as a repair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.declare import repairer
from assay.engine.performance.change_of_training import AdaptiveTest, fine_tuned_fields, fine_tuning_cost
from assay.engine.retraining.adversarial_rows import adversarial_rows
from assay.engine.retraining.fine_tuning import fine_tuned_model, plain_loss, row_losses
from assay.engine.search.ball import Ball


@repairer(
    source="madry2018",
    needs={"gradient", "net", "classes", "numbers", "train", "labels", "ball"},
    answers=("ATK401", "ROB101"),
    side_effects="Accuracy on unchanged rows can fall, most for small classes; the net is another one, and "
    "explanations of the same rows change; typical inputs of a class can be reconstructed more easily.",
    audit_cost=lambda inputs: fine_tuning_cost(inputs, passes=8),
)
def adversarial_training(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    ball: Ball,
    inner_steps: int = 5,
    clean: float = 0.5,
    epochs: int = 5,
    batch: int = 64,
    rate: float = 1e-3,
    steps: int = 30,
    rows: int = 100,
    train_rows: int = 5000,
) -> Mapping[str, Any]:
    """A net fine-tuned on the worst points that an attack finds in the ball, so that its decisions withstand attacks.

    min over weights of the mean of clean · ℓ(x) + (1 − clean) · max ℓ(x + δ) over δ in the ball, ℓ the cross-entropy of
    the label (Madry et al. 2018: clean = 0). The maximum is searched at each batch by ``inner_steps`` steps of
    projected ascent from a random point, each of 2.5 / steps of the radius; one step of 1.25 radii is the one-step
    training of Wong et al. (2020), which can overfit to its own attack. A copy of the net is trained on the rows of
    ``train``, at most ``train_rows``, for ``epochs`` by Adam with learning rate ``rate``, in evaluation mode (batch
    norms keep their statistics).

    ``before`` and ``after``: accuracy on ``held_out`` with limits at 95 %; robust accuracy of ``rows`` of these rows
    under ``attack.pgd`` with ``steps`` steps on the margin, from starts that training did not use; mean top-k overlap
    of saliency of the case's rows under ``attack.top_k``; and, since robust nets are explained better and inverted more
    easily, the cosine of gradients with class means, and the correlation of pictures of classes
    (``explain.feature_visualisation``) and of reconstructions (``attack.model_inversion``) with class means. Numbers
    that end in "plain fine-tuning" are those of the same training with clean = 1, which shows what the attack in the
    training adds. Notes have the paired differences,
    and what speaks against the attack on the new net (zero gradients, say). Explanations need not withstand more.
    """
    if not 0 <= clean < 1 or inner_steps < 1:
        raise InputError(f"clean={clean}, inner_steps={inner_steps}; needed are 0 ≤ clean < 1 and inner_steps ≥ 1.")
    if train_rows < 1:
        raise InputError(f"train_rows={train_rows}; at least 1 is needed.")
    test, model, seed = AdaptiveTest(ball, steps, rows), case.model, case.seed.child("adversarial training")
    test.check(case, train, held_out)

    def adversarial(outputs: Callable[[Any], Any], x: Any, labels: Any) -> Any:
        def losses(x: Any) -> Any:
            return row_losses(outputs(x), labels, model)

        worst = losses(draw(losses, x)).mean()
        return worst if clean == 0 else clean * losses(x).mean() + (1 - clean) * worst

    draw = adversarial_rows(ball, inner_steps, seed)
    fitting: dict[str, Any] = {"epochs": epochs, "batch": batch, "rate": rate, "seed": seed, "most": train_rows}
    trained = fine_tuned_model(case, train, adversarial, name="adversarially trained", **fitting)
    simple = fine_tuned_model(case, train, plain_loss(model), name="fine-tuned", **fitting)
    change = (
        f"fine-tuned for {epochs} epochs on {min(len(train[1]), train_rows)} rows, {1 - clean:.0%} of the loss at "
        f"points of the {ball.norm} ball of radius {ball.radius:g} found by {inner_steps} steps"
    )
    return fine_tuned_fields(case, trained, simple, change, train, held_out, test)
