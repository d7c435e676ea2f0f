# SPDX-License-Identifier: Apache-2.0
"""Exceptions that assay raises.

::

    AssayError
    ├── InputError(ValueError)          E021  an argument cannot be used
    ├── CapabilityError(TypeError)      E031  the model (or noun) cannot do what the method needs
    ├── MissingExtra(ImportError)       E032  an optional package is not installed
    ├── Refused(PermissionError)        E041  a file that could run code when read
    ├── Unreadable(OSError)             E042  a file that is damaged or of an unknown format
    ├── NumericalError(ArithmeticError) E051  a computation failed numerically
    └── NoAnswer(ConnectionError)       E061  a generator cannot be reached, or gives nothing that can be used

Every message states what was found, what is needed, and what to do. The command line prints ``code``; ``exit`` is the
command's exit code.
"""


class AssayError(Exception):
    """Base class of all exceptions of the package."""

    code = "E001"
    exit = 3


class InputError(AssayError, ValueError):
    """An argument cannot be used as it is."""

    code = "E021"
    exit = 2


class MissingArgument(InputError):
    """A method is called without arguments that it needs; ``arguments`` are their names."""

    def __init__(self, verb: str, method: str, arguments: tuple[str, ...]) -> None:
        super().__init__(f"{verb}.{method} needs {', '.join(arguments)}; give {'=…, '.join(arguments)}=….")
        self.verb, self.method, self.arguments = verb, method, arguments


class CapabilityError(AssayError, TypeError):
    """The model, removal or explanation cannot do what the method needs."""

    code = "E031"
    exit = 4


class MissingExtra(AssayError, ImportError):
    """A package of an optional extra is not installed."""

    code = "E032"
    exit = 4


class Refused(AssayError, PermissionError):
    """Reading this file could run code from an untrusted source."""

    code = "E041"
    exit = 4


class Unreadable(AssayError, OSError):
    """A file that is damaged or of an unknown format."""

    code = "E042"
    exit = 4


class NumericalError(AssayError, ArithmeticError):
    """A computation gave a result outside the range that its definition allows."""

    code = "E051"
    exit = 3


class NoAnswer(AssayError, ConnectionError):
    """A generator cannot be reached, takes too long, or gives nothing that can be used."""

    code = "E061"
    exit = 3
