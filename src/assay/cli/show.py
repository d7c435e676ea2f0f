# SPDX-License-Identifier: Apache-2.0
"""``assay show``."""

from __future__ import annotations

from pathlib import Path


def show(what: str, /) -> int:
    """Show a method's page, or a saved result.

    Parameters
    ----------
    what
        A method (shapley, explain.shapley) or the path of a saved result.
    """
    from rich.console import Console

    from assay.cli.catalogue import methods
    from assay.words.errors import InputError

    console = Console(highlight=False, markup=False)
    if Path(what).is_file():
        from assay.nouns.store import load

        console.print(repr(load(what)))
        return 0
    found = [m for m in methods() if what in (m.name, f"{m.verb}.{m.name}")]
    if not found:
        import difflib

        near = difflib.get_close_matches(what.rpartition(".")[2], [m.name for m in methods()], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ". Try: assay list"
        raise InputError(f"{what!r} is no method and no file{hint}")
    for method in found:
        console.print(f"{method.verb}.{method.name}  ({method.source}, {method.status})\n")
        console.print(method.doc)
        console.print("\noptions:" if method.options else "\nno options")
        for name, option in method.options.items():
            default = "" if option.default is option.empty else f" = {option.default!r}"
            console.print(f"  {name}: {option.annotation}{default}")
        if method.needs:
            console.print(f"needs: {', '.join(sorted(method.needs))}")
        if method.claims:
            console.print(f"claims, tested: {', '.join(sorted(method.claims))}")
    return 0
