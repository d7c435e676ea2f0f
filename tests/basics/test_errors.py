"""What assay raises on purpose."""

import pytest

from assay.basics.errors import AssayError, CapabilityError, InputError, MissingExtra, NumericalError
from assay.basics.optional import need


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (InputError, ValueError),
        (CapabilityError, TypeError),
        (MissingExtra, ImportError),
        (NumericalError, ArithmeticError),
    ],
)
def test_an_error_is_ours_and_the_builtin(ours: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise ours("said")
    assert issubclass(ours, AssayError)


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(MissingExtra, match=r"no_such_package.*pip install 'assay\[trees\]'"):
        need("no_such_package", extra="trees")


def test_a_package_that_is_there_comes_back() -> None:
    assert need("json", extra="none").dumps([1]) == "[1]"
