# SPDX-License-Identifier: Apache-2.0
"""The page of the experiments on multiplicative smoothing: one HTML file that loads nothing and runs no script."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from assay.nouns.comparisons.mus_experiment import MusExperiment, MusSubject
from assay.report.audit.page import UNSEEN, environment
from assay.report.experiment.tables import ACCURACY_HEADS, STABILITY_HEADS, accuracy_rows, stability_rows
from assay.report.plots.kinds.smoothing_curves import draw_accuracy_curves, draw_certified_shares

TITLE = "Certified stability of explanations by multiplicative smoothing"


@dataclass(frozen=True)
class SubjectView:
    """A subject with its tables and drawings."""

    subject: MusSubject
    anchor: str
    stability: list[tuple[str, ...]]
    accuracy: list[tuple[str, ...]]
    certified: Markup
    rates: Markup


def render_mus(experiment: MusExperiment, command: str = "") -> str:
    """The page of both experiments; ``command`` repeats them."""
    views = [_view(experiment, place, one) for place, one in enumerate(experiment.subjects)]
    page = (
        environment()
        .get_template("mus.html")
        .render(
            title=TITLE,
            experiment=experiment,
            views=views,
            command=command,
            stability_heads=STABILITY_HEADS,
            accuracy_heads=ACCURACY_HEADS,
            versions=", ".join(f"{name} {version}" for name, version in experiment.versions.items()),
        )
    )
    return page.translate(UNSEEN)


def _view(experiment: MusExperiment, place: int, subject: MusSubject) -> SubjectView:
    certified = draw_certified_shares(experiment, subject=subject.name)
    rates = draw_accuracy_curves(experiment, subject=subject.name)
    return SubjectView(
        subject,
        f"subject-{place + 1}",
        stability_rows(experiment, subject.name),
        accuracy_rows(experiment, subject.name),
        Markup(certified._repr_html_()),  # markup of this package, in which all text is escaped
        Markup(rates._repr_html_()),
    )
