# SPDX-License-Identifier: Apache-2.0
"""The command ``assay choose``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.nouns.choosing.choice import Choice

Name = TypeVar("Name", bound=str)


def choose(
    *,
    goal: str = "",
    kind: tuple[str, ...] = (),
    camp: tuple[str, ...] = (),
    model: str = "MODEL",
    data: str = "FILE",
    target: str = "COLUMN",
    format: Literal["text", "json"] = "text",
) -> int:
    """Name one to four methods for a goal, with the reason and the command. Asks on a terminal for what is not given.

    Lists are separated by commas. What is left out does not restrict the choice.

    Parameters
    ----------
    goal
        understand, trust, select-features, act or debug.
    kind
        The rows (table, image, text or language-model) and the model (trees, net or black-box), such as table,trees.
    camp
        local or global, agnostic or specific, intrinsic or post-hoc, such as local,agnostic.
    model
        The model file, to complete the commands.
    data
        The file of rows, to complete the commands.
    target
        The column of labels, to complete the commands.
    format
        text or json.
    """
    from assay.cli.options import split
    from assay.nouns.choosing import choice as names
    from assay.nouns.choosing.choose import choose as choose_methods
    from assay.nouns.choosing.choose import why_none

    kinds, camps = split(kind), split(camp)
    if not goal and sys.stdin.isatty():
        goal = _ask("What do you want", names.GOALS, required=True)
        kinds = kinds or (_ask("What are the rows", names.DATA), _ask("What is the model", names.MODELS))
        camps = camps or tuple(_ask("Which", {name: names.CAMPS[name] for name in pair}) for pair in names.PAIRS)
    wanted = _known("--goal", [goal] if goal else [], names.GOALS)
    if not wanted:
        raise InputError(f"say what for: --goal {', '.join(names.GOALS)}.")
    named_kinds, named_camps = _known("--kind", kinds, names.KINDS), _known("--camp", camps, names.CAMPS)
    found = choose_methods(wanted[0], named_kinds, named_camps)
    commands = [choice.command(model, data, target) for choice in found]
    if format == "json":
        plain = [_plain(choice, command) for choice, command in zip(found, commands)]
        sys.stdout.write(dumps(plain, indent=1) + "\n")
    else:
        _print(found, commands, "" if found else why_none(wanted[0], named_kinds, named_camps))
    return 0


def _known(flag: str, words: Sequence[str], known: Mapping[Name, str]) -> list[Name]:
    """The words as names of the table; ``InputError`` for others. Empty words are left out."""
    import difflib

    names = {str(name): name for name in known}
    for word in filter(None, words):
        if word not in names:
            near = difflib.get_close_matches(word, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
            raise InputError(f"{flag} {word!r}; {hint}")
    return [names[word] for word in words if word]


def _ask(question: str, answers: Mapping[Any, str], required: bool = False) -> str:
    """An answer from the terminal, by number or name; an empty one leaves the question open."""
    names = list(answers)
    lines = [f"{question}?", *(f"  {i}  {name}: {answers[name]}" for i, name in enumerate(names, 1))]
    sys.stderr.write("\n".join(lines) + f"\n{'number' if required else 'number, or Enter for any'}: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    answer = line.strip()
    if not answer and (not required or not line):
        return ""
    if answer.isdigit() and 1 <= int(answer) <= len(names):
        return str(names[int(answer) - 1])
    if answer in names:
        return answer
    sys.stderr.write(f"there is no {answer!r}.\n")
    return _ask(question, answers, required)


def _plain(choice: Choice, command: str) -> dict[str, Any]:
    return {"method": choice.method, "camps": choice.camps, "reason": choice.reason, "command": command}


def _print(found: Sequence[Choice], commands: Sequence[str], why_none: str) -> None:
    from assay.cli.printing import terminal

    console = terminal()
    if why_none:
        console.print(why_none, soft_wrap=True)
    for choice, command in zip(found, commands):
        console.print(f"{choice.method}  ({', '.join(choice.camps)})", soft_wrap=True)
        console.print(f"  {choice.reason}", soft_wrap=True)
        console.print(f"  $ {command}", soft_wrap=True)
