# SPDX-License-Identifier: Apache-2.0
"""Everything assay raises on purpose.

::

    AssayError
    ├── InputError(ValueError)          E021  what was handed in cannot be used
    ├── CapabilityError(TypeError)      E031  the model (or noun) cannot do what the method needs
    ├── MissingExtra(ImportError)       E032  an optional package is not installed
    ├── Refused(PermissionError)        E041  a file that could run code when read
    ├── Unreadable(OSError)             E042  a file that is damaged, foreign or of an unknown format
    └── NumericalError(ArithmeticError) E051  the numbers went wrong on the way

Every message says what was found, what was needed, and what to do. The code stands on the command line; ``exit`` is
the command's exit code.
"""


class AssayError(Exception):
    """Anything assay refuses or fails at knowingly."""

    code = "E001"
    exit = 3


class InputError(AssayError, ValueError):
    """What was handed in cannot be used as it is."""

    code = "E021"
    exit = 2


class CapabilityError(AssayError, TypeError):
    """The model, removal or explanation cannot do what the method needs."""

    code = "E031"
    exit = 4


class MissingExtra(AssayError, ImportError):
    """A package of an optional extra is not installed."""

    code = "E032"
    exit = 4


class Refused(AssayError, PermissionError):
    """Reading this file could run code that somebody else wrote."""

    code = "E041"
    exit = 4


class Unreadable(AssayError, OSError):
    """A file that is damaged, foreign, or of a format assay does not know."""

    code = "E042"
    exit = 4


class NumericalError(AssayError, ArithmeticError):
    """A computation left the numbers that its definition allows."""

    code = "E051"
    exit = 3
