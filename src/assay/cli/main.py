# SPDX-License-Identifier: Apache-2.0
"""The ``assay`` command."""

from __future__ import annotations

import sys

from cyclopts import App

from assay.words.errors import AssayError, CapabilityError, InputError, MissingExtra

app = App(
    name="assay",
    help="Explain a trained model, test the explanations, find the model's faults, mend them, and prove the mending.",
    help_format="plaintext",
    version="0.1.0",
)
for _name, _place, _help in (
    ("audit", "assay.cli.audit:audit", "Audit a model on data, and write results and a page."),
    ("demo", "assay.cli.demo:demo", "Audit a real model: a credit pipeline, or an ImageNet classifier."),
    ("list", "assay.cli.listing:listing", "List the methods, with what their numbers mean."),
    ("show", "assay.cli.show:show", "Show a method's page, or a saved result."),
):
    app.command(_place, name=_name, help=_help)


def main() -> None:
    """Run a command; what assay refuses is told in words, with exit code 2 (usage) or 4 (unreadable)."""
    try:
        sys.exit(app() or 0)
    except MissingExtra as error:
        _tell(error, 4)
    except InputError as error:
        _tell(error, 2)
    except CapabilityError as error:
        _tell(error, 4)
    except AssayError as error:
        _tell(error, 3)


def _tell(error: AssayError, code: int) -> None:
    sys.stderr.write(f"error[{type(error).__name__}]: {error}\n")
    sys.exit(code)
