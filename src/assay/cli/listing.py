# SPDX-License-Identifier: Apache-2.0
"""``assay list``."""

from __future__ import annotations

from typing import Literal


def listing(
    verb: Literal["all", "explain", "evaluate", "attack", "certify", "diagnose", "repair"] = "all",
    /,
    *,
    json: bool = False,
) -> int:
    """List the methods, with what their numbers mean.

    Parameters
    ----------
    verb
        Only the methods of this verb.
    json
        Print JSON instead of text.
    """
    from assay.cli.catalogue import methods

    chosen = [method for method in methods() if verb in ("all", method.verb)]
    if json:
        import sys
        from json import dumps

        rows = [
            {
                "verb": m.verb,
                "name": m.name,
                "meaning": m.meaning,
                "source": m.source,
                "needs": sorted(m.needs),
                "status": m.status,
            }
            for m in chosen
        ]
        sys.stdout.write(dumps(rows, indent=1) + "\n")
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("method", "needs", "what the number means"):
        table.add_column(heading, overflow="fold")
    for method in chosen:
        table.add_row(f"{method.verb}.{method.name}", ", ".join(sorted(method.needs)), method.meaning)
    Console(highlight=False, markup=False).print(table)
    return 0
