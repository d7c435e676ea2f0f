# SPDX-License-Identifier: Apache-2.0
"""The ``assay`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from assay.basics.errors import AssayError
from assay.cli.error_messages import INTERNAL, INTERRUPTED, USAGE, broken, interrupted, told, unwritable

COMMANDS = {
    "audit": ("audit", "Audit a model on data, and write results and a page."),
    "explain": ("explain", "Explain rows with one method."),
    "evaluate": ("evaluate", "Test an explanation with one score."),
    "attack": ("attack", "Attack a prediction or an explanation."),
    "certify": ("certify", "Certify what cannot move a prediction."),
    "diagnose": ("diagnose", "Look for one kind of fault."),
    "repair": ("repair", "Mend a model, and tell what that costs."),
    "report": ("report", "Write a finished audit in another format."),
    "show": ("show", "Show what a check, a method or a saved result means."),
    "axioms": ("axioms", "Show which axioms each explanation method keeps, or measure it."),
    "benchmark": ("benchmark", "Hold explanation methods to models with planted truth."),
    "list": ("listing", "List methods, checks, profiles, formats."),
    "compare": ("compare", "Compare two audits, or two models on the same rows."),
    "gate": ("gate", "Judge a finished audit; fails closed."),
    "inspect": ("inspect", "Tell what a model file holds; nothing is loaded."),
    "doctor": ("doctor", "Tell versions, extras, and what is missing."),
    "init": ("init", "Write a commented assay.toml for this data."),
    "schema": ("schema", "Print the JSON Schema of assay.toml or result.json."),
    "demo": ("demo", "Audit a real model: a credit pipeline, or an ImageNet classifier."),
}
"""Each command: the module of this room whose function of the same name it runs, and what it does."""

LOUD = ("-v", "--verbose")
CODES = (
    "Exit codes: 0 nothing failed, 1 findings, 2 usage or configuration, 3 incomplete, 4 model or data refused or "
    "unreadable, 5 nothing selected, 130 interrupted, 70 internal error. With -v (--verbose), every error prints "
    "its traceback."
)

app = App(
    name="assay",
    help="Explain a trained model, test the explanations, find the model's faults, mend them, and prove the mending.",
    help_format="plaintext",
    help_epilogue=CODES,
    version="0.1.0",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,
)
for _name, (_module, _help) in COMMANDS.items():
    app.command(f"assay.cli.commands.{_module}:{_module}", name=_name, help=_help)


def main() -> None:
    """Run the words of the shell."""
    sys.exit(answered(sys.argv[1:]))


def answered(words: Sequence[str]) -> int:
    """Run a command; the exit code is given back. Whatever goes wrong is told in words, never as a traceback alone."""
    loud = any(word in LOUD for word in words)
    kept = [word for word in words if word not in LOUD]
    try:
        code = app(kept, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        return told("E020", str(error), USAGE, loud, hint=f"assay {_command(kept)}--help")
    except AssayError as error:
        return told(error.code, str(error), error.exit, loud)
    except KeyboardInterrupt:
        interrupted(kept)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # whoever read us has gone, and flushing at exit would complain
        return 0
    except OSError as error:
        return told("E022", unwritable(error), USAGE, loud)
    except Exception as error:  # noqa: BLE001  # the outermost door: an internal error has an exit code of its own
        return broken(error, kept, loud) or INTERNAL


def _command(words: Sequence[str]) -> str:
    return f"{words[0]} " if words and words[0] in COMMANDS else ""
