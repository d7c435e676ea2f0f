# SPDX-License-Identifier: Apache-2.0
"""Names of earlier versions, which still work and warn that they will go."""

from __future__ import annotations

import warnings
from typing import Any

FORMER_NAMES: dict[str, dict[str, str]] = {
    "Case": {
        "asked": "target_text",
        "asking": "with_target",
        "room": "max_batch_rows",
        "shown": "part_texts",
        "since": "from_layer",
        "slope": "layer_gradient",
    },
    "Model": {
        "mark": "fingerprint",
        "passes": "passes_per_row",
        "room": "max_batch_rows",
        "since": "from_layer",
        "until": "up_to_layer",
    },
    "Result": {"made": "provenance"},
    "Explanation": {"made": "provenance", "shown": "part_texts", "told": "description"},
    "assay": {"movement": "explanation_shift", "remake": "recompute", "settings_price": "settings_cost"},
    "assay.model": {
        "layers": "layer_names",
        "scrambled": "randomise_weights",
        "smoothed": "smooth",
        "softened": "softplus_surrogate",
    },
}
"""Present names by class or module, and by earlier name."""


class WithFormerNames:
    """A class whose attributes also have the names of earlier versions."""

    def __getattr__(self, name: str) -> Any:
        for ancestor in type(self).__mro__:
            new = FORMER_NAMES.get(ancestor.__name__, {}).get(name)
            if new is not None:
                return getattr(self, present_name(type(self).__name__, name, new))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def present_name(owner: str, former: str, new: str) -> str:
    """The present name of an attribute; warns that the earlier one will be removed."""
    text = f"{owner}.{former} is now {owner}.{new}; the earlier name will be removed."
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return new
