# SPDX-License-Identifier: Apache-2.0
"""The exit codes of the command: what each means, and which command ends with which. The documentation reads them."""

from __future__ import annotations

PASSED, FINDINGS, USAGE, INCOMPLETE, UNREADABLE, NOTHING, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130

EXIT_CODES = {
    PASSED: "nothing failed",
    FINDINGS: "findings",
    USAGE: "usage or configuration",
    INCOMPLETE: "incomplete",
    UNREADABLE: "model or data refused or unreadable",
    NOTHING: "nothing selected",
    INTERRUPTED: "interrupted",
    INTERNAL: "internal error",
}
"""Each exit code and its meaning."""

DETAILS = {
    PASSED: "The command did what it was asked for; of a command that judges, no check failed.",
    FINDINGS: "A check failed (audit, gate, diagnose, redteam), or is newly failing, worse or missing (compare).",
    USAGE: "An argument, a file, a column, an option or assay.toml cannot be used; the message says what to give.",
    INCOMPLETE: "A required check has no result (audit, gate), a required part does not work (doctor), an endpoint "
    "does not answer (redteam), or a computation failed numerically.",
    UNREADABLE: "The model cannot do what the method needs, a file is damaged or could run code, an optional package "
    "is missing, or the model's own code raised an error.",
    NOTHING: "No check is left to run or to judge.",
    INTERRUPTED: "Stopped by Ctrl-C. Finished steps of an audit are in the store.",
    INTERNAL: "A fault in assay. Versions and traceback, without your data, are written into the folder of the store.",
}
"""What each exit code means, at length."""

_METHOD = (PASSED, USAGE, INCOMPLETE, UNREADABLE)
COMMAND_CODES = {
    "audit": (PASSED, FINDINGS, USAGE, INCOMPLETE, UNREADABLE, NOTHING),
    "explain": _METHOD,
    "evaluate": _METHOD,
    "attack": _METHOD,
    "certify": _METHOD,
    "diagnose": (PASSED, FINDINGS, USAGE, INCOMPLETE, UNREADABLE),
    "redteam": (PASSED, FINDINGS, USAGE, INCOMPLETE, UNREADABLE),
    "repair": _METHOD,
    "report": (PASSED, USAGE, UNREADABLE),
    "show": (PASSED, USAGE, UNREADABLE),
    "choose": (PASSED, USAGE),
    "axioms": (PASSED, USAGE),
    "benchmark": (PASSED, USAGE),
    "experiment": (PASSED, USAGE),
    "simulatability": _METHOD,
    "study": _METHOD,
    "list": (PASSED, USAGE),
    "compare": (PASSED, FINDINGS, USAGE, INCOMPLETE, UNREADABLE, NOTHING),
    "gate": (PASSED, FINDINGS, USAGE, INCOMPLETE, UNREADABLE, NOTHING),
    "inspect": (PASSED, USAGE),
    "doctor": (PASSED, USAGE, INCOMPLETE),
    "init": (PASSED, USAGE, UNREADABLE),
    "schema": (PASSED, USAGE),
    "demo": (PASSED, USAGE, UNREADABLE),
}
"""The exit codes of each command; each can also be interrupted (130) and have an internal error (70)."""


def describe_exit_codes() -> str:
    """All exit codes in one sentence."""
    return "Exit codes: " + ", ".join(f"{code} {text}" for code, text in EXIT_CODES.items()) + "."


def exit_code_tables() -> str:
    """The exit codes in Markdown: what each means, and which command ends with which."""
    lines = ["| code | means | when |", "|---|---|---|"]
    lines += [f"| {code} | {text} | {DETAILS[code]} |" for code, text in EXIT_CODES.items()]
    judged = [code for code in EXIT_CODES if code not in (INTERRUPTED, INTERNAL)]
    lines += ["", "| command | " + " | ".join(map(str, judged)) + " |", "|---" * (len(judged) + 1) + "|"]
    for command, codes in COMMAND_CODES.items():
        cells = " | ".join("✓" if code in codes else "" for code in judged)
        lines.append(f"| `assay {command}` | {cells} |")
    lines += ["", "Every command can also end with 130 and 70. A closed pipe (`assay list | head -1`) changes no code."]
    return "\n".join(lines) + "\n"
