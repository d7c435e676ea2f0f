# SPDX-License-Identifier: Apache-2.0
"""Errors of torch's autograd as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from assay.basics.errors import CapabilityError

SIGNS = ("inplace operation", "in-place operation", "is not implemented", "returned an", "backward through the graph")
"""Texts of autograd's errors about the net: what is needed was overwritten, has no derivative, or a wrong one."""


@contextmanager
def derivative_of(name: str) -> Iterator[None]:
    """Context in which a net is differentiated; ``CapabilityError`` where autograd cannot.

    Other errors pass, also those of memory that ran out, after which a batch is halved.
    """
    try:
        yield
    except CapabilityError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        if not isinstance(error, NotImplementedError) and not any(sign in str(error) for sign in SIGNS):
            raise
        told = " ".join(str(error).partition("Hint:")[0].split())[:250].rstrip(".")
        raise CapabilityError(
            f"autograd cannot differentiate {name}: {told}. Change the net there (work on a copy, not in place; give "
            f"a custom function a backward), or use a removal method (shapley, occlusion)."
        ) from error
