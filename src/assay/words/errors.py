# SPDX-License-Identifier: Apache-2.0
"""Everything assay raises on purpose.

::

    AssayError
    ├── InputError(ValueError)          what was handed in cannot be used
    ├── CapabilityError(TypeError)      the model (or noun) cannot do what the method needs
    ├── MissingExtra(ImportError)       an optional package is not installed
    └── NumericalError(ArithmeticError) the numbers went wrong on the way

Every message says what was found, what was needed, and what to do.
"""


class AssayError(Exception):
    """Anything assay refuses or fails at knowingly."""


class InputError(AssayError, ValueError):
    """What was handed in cannot be used as it is."""


class CapabilityError(AssayError, TypeError):
    """The model, removal or explanation cannot do what the method needs."""


class MissingExtra(AssayError, ImportError):
    """A package of an optional extra is not installed."""


class NumericalError(AssayError, ArithmeticError):
    """A computation left the numbers that its definition allows."""
