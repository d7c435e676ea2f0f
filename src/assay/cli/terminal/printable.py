# SPDX-License-Identifier: Apache-2.0
"""Text from data and models as printable text: names of columns, classes and files may hold anything."""

from __future__ import annotations

from unicodedata import category


def printable(text: str) -> str:
    """The text on one line: control characters, escape sequences and marks of text direction as escapes.

    A character that is not printable, such as ESC, a line break or U+202E, is written as Python writes it: \\x1b. Other
    spaces become a space.
    """
    return text if text.isprintable() else "".join(map(_printable_character, text))


def _printable_character(c: str) -> str:
    if c.isprintable():
        return c
    return " " if category(c) == "Zs" else ascii(c)[1:-1]


def printable_markup(text: str) -> str:
    """XML or HTML that looks the same to a parser, with characters that could steer a terminal as references."""
    return "".join(c if c.isprintable() or c in "\n\t" or category(c) == "Zs" else f"&#x{ord(c):x};" for c in text)


def printable_lines(text: str) -> str:
    """The text with each line printable; line breaks stay."""
    return "\n".join(map(printable, text.split("\n")))
