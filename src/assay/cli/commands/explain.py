# SPDX-License-Identifier: Apache-2.0
"""``assay explain``."""

from __future__ import annotations

from pathlib import Path

from assay.cli.request import Wanted


def explain(model: str, method: str, /, *, wanted: Wanted, save: Path | None = None) -> int:
    """Explain rows with one method.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The method: shapley, integrated_gradients, … See: assay list explain.
    save
        File for the result, such as shapley.assay.
    """
    from assay.cli.printing import result_shown
    from assay.cli.request import method_of

    chosen = method_of("explain", method)
    asked = wanted.case(wanted.model(model), wanted.table())
    found = chosen.call(asked, **wanted.options(chosen))
    result_shown(found, wanted.format, save)
    return 0
