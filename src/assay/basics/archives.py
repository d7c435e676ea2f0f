# SPDX-License-Identifier: Apache-2.0
"""Zip archives with limits on what they unpack to, checked before anything is unpacked."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from assay.basics.errors import Refused

MAX_BYTES = 2**31
"""Most bytes that the members of an archive may have together when unpacked."""

MAX_RATIO, SMALL = 200, 2**26
"""Most bytes of a member for each byte it is stored in, where it is larger than ``SMALL``."""

VARIABLE = "ASSAY_MAX_ARCHIVE_BYTES"
"""Environment variable that replaces ``MAX_BYTES``, and then no ratio is checked."""


@contextmanager
def open_archive(source: str | Path | IO[bytes], name: str = "") -> Iterator[zipfile.ZipFile]:
    """A zip archive for reading; raises ``Refused`` where what it declares to unpack to exceeds the limits.

    A member never gives more than it declares: ``zipfile`` stops there. ``name`` is the file in the message.
    """
    with zipfile.ZipFile(source) as archive:
        check_archive(archive, name or str(source if isinstance(source, str | Path) else "the archive"))
        yield archive


def check_archive(archive: zipfile.ZipFile, name: str) -> None:
    """Raise ``Refused`` where the members' declared sizes exceed the limits."""
    given = os.environ.get(VARIABLE, "")
    limit = int(given) if given.isdecimal() else MAX_BYTES
    total = sum(item.file_size for item in archive.infolist())
    if total > limit:
        raise Refused(
            f"{name} unpacks to {total:,} bytes; at most {limit:,} are read. If you trust the file, set {VARIABLE}."
        )
    if given:
        return
    for item in archive.infolist():
        if item.file_size > SMALL and item.file_size > MAX_RATIO * max(item.compress_size, 1):
            raise Refused(
                f"{name}: member {item.filename!r} unpacks from {item.compress_size:,} to {item.file_size:,} bytes, "
                f"more than {MAX_RATIO} times as many. If you trust the file, set {VARIABLE} to the most bytes to read."
            )
